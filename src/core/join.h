/*
 * The join link: all that a client or volunteer needs to find one network (doc/protocol.md, "Join
 * link"):
 *
 *     footbridge:<base64url of network key[32] || check[4]>?at=<broker URL>[&at=<broker URL>...]
 *
 * with URLs percent-encoded and no padding. The check is the start of HASH(network key), so that a
 * letter lost in copying is told from a network that does not answer.
 */
#ifndef FB_CORE_JOIN_H
#define FB_CORE_JOIN_H

#include <stddef.h>
#include <stdint.h>

#include "core/crypto.h"
#include "core/url.h"

#define FB_JOIN_MAX 2048 /* characters; also what a QR code can hold */
#define FB_JOIN_BROKERS_MAX 4

struct fb_join {
    uint8_t network[FB_KEY_LEN]; /* the network's Ed25519 public key, which is also its id */
    size_t broker_count;         /* at least 1 */
    char brokers[FB_JOIN_BROKERS_MAX][FB_URL_MAX + 1];
};

/*
 * Reads a link; blanks around it are ignored. Errors, for fb_join_strerror():
 *   FB_ERR_NOT_FOUND  not a footbridge link at all
 *   FB_ERR_AUTH       the key in it is damaged
 *   FB_ERR_STATE      no broker address in it
 *   FB_ERR_MALFORMED  an address in it is damaged
 *   FB_ERR_TOO_BIG    longer than FB_JOIN_MAX, or too many addresses
 */
int fb_join_parse(const struct fb_crypto *crypto, const char *text, struct fb_join *link);

/* Writes the link and a NUL. 0, FB_ERR_TOO_BIG, FB_ERR_MALFORMED (an address fb_join_parse() would
 * refuse), FB_ERR_STATE (no address). */
int fb_join_format(const struct fb_crypto *crypto, const struct fb_join *link,
                   char out[static FB_JOIN_MAX + 1]);

const char *fb_join_strerror(int err);

#endif
