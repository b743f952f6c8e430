/*
 * An operator's directory, made by `footbridge network new`:
 *
 *     network.key         signs the network document; belongs offline, no server reads it
 *     broker-sealing.key  offers are sealed to it (X25519)
 *     broker-ticket.key   signs tickets (Ed25519)
 *     egress.key          clients pin it (X25519); further egresses: egress-2.key, ...
 *     link.key            shared by broker and egress: authenticates their link
 *     network.document    signed, public
 *     join-link           public
 *
 * A key file is one line, `footbridge KIND key: ` and base64url of the key and the first 4 bytes of
 * its HASH, so that a wrong or damaged file is told from a wrong key. Key files have mode 0600 and
 * are never overwritten; reading refuses one that others may read.
 *
 * Everything here fails with a message of one line for a person in err.
 */
#ifndef FB_ROLE_KEYS_H
#define FB_ROLE_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "core/document.h"
#include "core/join.h"

#define FB_KEYS_ERR_MAX 512
#define FB_KEYS_PATH_MAX 4096

enum fb_key_kind {
    FB_KEY_NETWORK,
    FB_KEY_SEALING,
    FB_KEY_TICKET,
    FB_KEY_EGRESS,
    FB_KEY_LINK,
};

/* The path of a key in dir; number counts egresses from 0 and is 0 for the other kinds. */
int fb_key_path(const char *dir, enum fb_key_kind kind, size_t number,
                char out[static FB_KEYS_PATH_MAX], char err[static FB_KEYS_ERR_MAX]);

/* Writes a new file. FB_ERR_USED when there is one already, FB_ERR_IO. */
int fb_key_create(const char *path, enum fb_key_kind kind, const uint8_t key[static FB_KEY_LEN],
                  char err[static FB_KEYS_ERR_MAX]);

/* FB_ERR_NOT_FOUND, FB_ERR_DENIED (readable by others), FB_ERR_MALFORMED, FB_ERR_IO. The caller
 * wipes key. */
int fb_key_read(const char *path, enum fb_key_kind kind, uint8_t key[static FB_KEY_LEN],
                char err[static FB_KEYS_ERR_MAX]);

/* The public half: X25519 or Ed25519 as the kind wants (FB_KEY_LINK has none). 0, FB_ERR_NOMEM,
 * FB_ERR_STATE. */
int fb_key_public(enum fb_key_kind kind, const uint8_t key[static FB_KEY_LEN],
                  uint8_t public_key[static FB_KEY_LEN]);

/* The public files of a directory. */
struct fb_network_files {
    struct fb_join join;
    struct fb_document document;
    uint8_t bytes[FB_DOCUMENT_MAX]; /* the document as signed */
    size_t len;
};

/* Reads and checks both. With now_s, for who uses it: a document that has expired by then is
 * FB_ERR_EXPIRED, one that names addresses without TLS and is not local FB_ERR_DENIED. With 0, for
 * who mends it, both are read. Also FB_ERR_NOT_FOUND, FB_ERR_IO, FB_ERR_MALFORMED, FB_ERR_AUTH. */
int fb_network_files_read(const char *dir, uint64_t now_s, struct fb_network_files *files,
                          char err[static FB_KEYS_ERR_MAX]);

/* Writes both, each replacing what was there in one step. files->bytes and join are what counts.
 * FB_ERR_IO. */
int fb_network_files_write(const char *dir, const struct fb_network_files *files,
                           char err[static FB_KEYS_ERR_MAX]);

#endif
