/*
 * A network that this process has joined by its link: the newest network document, fetched from
 * the brokers, verified against the key that the link pins, kept in a cache file so that an older
 * one is refused after a restart too; and its STUN servers as addresses. For clients and headless
 * volunteers. Runs on the net's loop.
 */
#ifndef FB_ROLE_JOINED_H
#define FB_ROLE_JOINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/document.h"
#include "core/join.h"
#include "net/fetch.h"
#include "net/log.h"
#include "net/net.h"

struct fb_joined;

struct fb_joined_handler {
    /* There is a document, or a newer one; it stays good until the next call of this, or free. */
    void (*changed)(void *user, const struct fb_document *document);
    /* No broker gave a document that holds; why: one line for a person. It is tried again by
     * itself. Called also while an earlier document is good, then for information only; when that
     * has expired, fb_joined_document() is NULL and it is to be used no more. */
    void (*failed)(void *user, const char *why);
    /* A look at whether there is one newer than this is due. True: it has been asked for another
     * way than from the brokers' addresses; fb_joined_offer() or fb_joined_current() follows. The
     * brokers are asked all the same when that does not bring the newest version that was named,
     * or nothing good within a minute. May be NULL; not called without a document that is valid. */
    bool (*ask)(void *user, uint64_t serial);
};

struct fb_joined_config {
    struct fb_net *net;
    struct fb_fetcher *fetcher;
    const struct fb_crypto *crypto;
    const struct fb_log *log;   /* may be NULL */
    const struct fb_join *join; /* copied */
    const char *cache_file;     /* copied; NULL: none. Made with mode 0600, directories are not */
    uint32_t software_version;  /* FB_SOFTWARE_VERSION(); a document that wants more is refused */
    const struct fb_joined_handler *handler; /* outlives the object */
    void *user;
};

/* Begins at once; callbacks come from the loop, never from inside. NULL when out of memory. */
struct fb_joined *fb_joined_new(const struct fb_joined_config *config);
/* Accepts NULL. */
void fb_joined_free(struct fb_joined *joined);

/* The document while it is valid, or NULL. */
const struct fb_document *fb_joined_document(const struct fb_joined *joined);
/* Somebody named this version (an answer of the broker does): if it is newer it is fetched at once,
 * or asked for in 5 s where there is another way to ask, which the same answer may open. */
void fb_joined_hint(struct fb_joined *joined, uint64_t serial);
/* A document that came another way (NETWORK_DOCUMENT frame); `changed` may come from inside.
 * Unasked it is taken too, but puts nothing off unless it is newer. Errors as fb_document_verify(),
 * and FB_ERR_VERSION (it wants later software), FB_ERR_DENIED (it names an address without TLS, and
 * is not local). */
int fb_joined_offer(struct fb_joined *joined, const void *bytes, size_t len);
/* Who was asked has none that is newer: the serial of its own. Unasked, it is nothing. */
void fb_joined_current(struct fb_joined *joined, uint64_t serial);

/*
 * Up to cap addresses of STUN servers, a few of the document's by chance, for fb_peer_config; 0
 * while none is resolved. IPv4 only: with IPv6 there is no mapping to learn.
 */
size_t fb_joined_stun(const struct fb_joined *joined, struct fb_addr *out, size_t cap);

#endif
