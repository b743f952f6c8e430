/*
 * The network document: what a network consists of, signed by its offline key (doc/protocol.md,
 * "Network document"). Clients and headless volunteers take nothing about a network from anywhere
 * else. Bytes are `body || signature`, at most FB_DOCUMENT_MAX, so that one session message carries
 * them. Time is an argument: unix seconds.
 */
#ifndef FB_CORE_DOCUMENT_H
#define FB_CORE_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

#include "core/crypto.h"
#include "core/message.h"
#include "core/url.h"

#define FB_DOCUMENT_VERSION 1
#define FB_DOCUMENT_MAX 8192
#define FB_DOCUMENT_BROKERS_MAX 8
#define FB_DOCUMENT_EGRESSES_MAX 16
#define FB_DOCUMENT_STUN_MAX 32

/* Software version a.b.c as one comparable number; each part at most 255. */
#define FB_SOFTWARE_VERSION(a, b, c) ((uint32_t)(a) << 16 | (uint32_t)(b) << 8 | (uint32_t)(c))

/* The network is on one machine: special-purpose addresses, equal prefixes and unknown countries
 * are allowed (DESIGN section 3, property 7; never set for a network that others use). */
#define FB_DOCUMENT_LOCAL 0x01

struct fb_document_broker {
    char url[FB_URL_MAX + 1];        /* http or https, the base of /v1/... */
    uint8_t sealing_key[FB_KEY_LEN]; /* X25519 public key: offers are sealed to it */
    uint8_t ticket_key[FB_KEY_LEN];  /* Ed25519 public key: its tickets are checked by it */
};

struct fb_document_egress {
    uint8_t id[FB_EGRESS_ID_LEN]; /* its X25519 public key */
    char url[FB_URL_MAX + 1];     /* ws or wss, the path socket itself */
};

struct fb_document {
    uint8_t flags;
    uint8_t profile;      /* traffic profile; 0: none */
    uint32_t min_version; /* oldest software that may use the network */
    uint64_t serial;      /* grows with every signing */
    uint64_t issued_s, expires_s;
    size_t broker_count, egress_count, stun_count; /* at least one broker and one egress */
    struct fb_document_broker brokers[FB_DOCUMENT_BROKERS_MAX];
    struct fb_document_egress egresses[FB_DOCUMENT_EGRESSES_MAX];
    char stun[FB_DOCUMENT_STUN_MAX][FB_HOSTPORT_MAX + 1]; /* "host:port" */
};

/*
 * Encodes and signs with the network's seed; *out_len receives the length. 0, FB_ERR_MALFORMED (a
 * field that fb_document_parse() would refuse), FB_ERR_TOO_BIG, FB_ERR_NOMEM.
 */
int fb_document_encode(const struct fb_crypto *crypto, const struct fb_document *document,
                       const uint8_t seed[static FB_KEY_LEN], uint8_t out[static FB_DOCUMENT_MAX],
                       size_t *out_len);

/* Reads without judging signature or age. 0, FB_ERR_MALFORMED, FB_ERR_TOO_BIG, FB_ERR_VERSION. */
int fb_document_parse(const void *bytes, size_t len, struct fb_document *document);

/*
 * Reads a document from an untrusted place. network: the key that the join link pins. known_serial:
 * that of the newest document seen so far, 0 for none. Errors in this order, *document untouched:
 * FB_ERR_TOO_BIG, FB_ERR_VERSION, FB_ERR_AUTH (forged, or another network's), FB_ERR_MALFORMED,
 * FB_ERR_USED (older than the known one), FB_ERR_EXPIRED. An issue date in the future is no error:
 * readers' clocks are wrong.
 */
int fb_document_verify(const struct fb_crypto *crypto, const uint8_t network[static FB_KEY_LEN],
                       const void *bytes, size_t len, uint64_t now_s, uint64_t known_serial,
                       struct fb_document *document);

/*
 * The first broker or egress URL without TLS in a document that is not local, or NULL. A signature
 * does not hide who asks: such a document is not signed, served or followed. It is no error of the
 * verification, so that its operator can read and mend it.
 */
const char *fb_document_exposed(const struct fb_document *document);

/* What fb_document_verify()'s error means, for a person. */
const char *fb_document_strerror(int err);

/* The egress with that id, or NULL. */
const struct fb_document_egress *fb_document_egress(const struct fb_document *document,
                                                    const uint8_t id[static FB_EGRESS_ID_LEN]);

#endif
