/*
 * Tickets: the broker's signature that lets one path attach to one egress process, with one first
 * message, once, soon (doc/protocol.md, "Tickets"). The volunteer carries it as opaque bytes.
 *
 * An egress checks fb_ticket_check() and then fb_replay_use() before it does anything else for a
 * WebSocket. Time is an argument: unix seconds.
 */
#ifndef FB_CORE_TICKET_H
#define FB_CORE_TICKET_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/crypto.h"
#include "core/message.h"

#define FB_TICKET_ID_LEN 16
#define FB_TICKET_VERSION 1
#define FB_TICKET_LIFE_S 60
/* What an egress grants to a broker whose clock is ahead of its own. One that is behind needs no
 * allowance: tickets are used within seconds of being made. */
#define FB_TICKET_SLACK_S 30

struct fb_ticket {
    uint8_t id[FB_TICKET_ID_LEN];
    uint64_t expiry_s;
    uint8_t process_id[FB_PROCESS_ID_LEN];
    uint8_t first_hash[FB_HASH_LEN]; /* HASH(first message) */
};

/* A broker's ticket key as an egress knows it. */
struct fb_ticket_key {
    uint8_t public_key[FB_KEY_LEN];
    uint32_t id;
};

/* The key id: the first 4 bytes of HASH(public key). */
void fb_ticket_key_init(struct fb_ticket_key *key, const struct fb_crypto *crypto,
                        const uint8_t public_key[static FB_KEY_LEN]);

/*
 * Makes a ticket under the broker's ticket key: seed is its private half, key its public one. The
 * random id comes from rng; first is the path's first message. 0 or FB_ERR_NOMEM.
 */
int fb_ticket_make(const struct fb_crypto *crypto, const struct fb_rng *rng,
                   const uint8_t seed[static FB_KEY_LEN], const struct fb_ticket_key *key,
                   const uint8_t process_id[static FB_PROCESS_ID_LEN], const uint8_t *first,
                   size_t first_len, uint64_t now_s, uint8_t out[static FB_TICKET_LEN]);

/*
 * Checks everything but single use. On success *ticket holds the fields, for fb_replay_use(). In
 * this order:
 *   FB_ERR_MALFORMED  len is not FB_TICKET_LEN
 *   FB_ERR_VERSION    not version 1
 *   FB_ERR_NOT_FOUND  signed by none of the keys
 *   FB_ERR_AUTH       forged: the signature does not hold
 *   FB_ERR_DENIED     made for another egress process
 *   FB_ERR_STATE      made for another first message
 *   FB_ERR_EXPIRED    too old
 *   FB_ERR_TOO_BIG    lives longer than a ticket may (FB_TICKET_LIFE_S + FB_TICKET_SLACK_S)
 */
int fb_ticket_check(const struct fb_crypto *crypto, const void *bytes, size_t len,
                    const struct fb_ticket_key *keys, size_t key_count,
                    const uint8_t process_id[static FB_PROCESS_ID_LEN], const uint8_t *first,
                    size_t first_len, uint64_t now_s, struct fb_ticket *ticket);

/* A phrase for a log: "ticket forged", "ticket used already"; err from either check. */
const char *fb_ticket_strerror(int err);

/* The ids of tickets used at this process, each kept until its ticket has expired. */
struct fb_replay;

/* max: how many ids are held at once, at least 1; it bounds memory to about 100 bytes each. NULL
 * when out of memory. */
struct fb_replay *fb_replay_new(const struct fb_mem *mem, const struct fb_rng *rng, size_t max);
void fb_replay_free(struct fb_replay *replay);
/*
 * Marks a checked ticket as used. 0, FB_ERR_USED when it was before, FB_ERR_LIMIT when max
 * unexpired ids are held (the ticket stays unused), FB_ERR_EXPIRED (the clock was set back),
 * FB_ERR_NOMEM.
 */
int fb_replay_use(struct fb_replay *replay, const struct fb_ticket *ticket, uint64_t now_s);
size_t fb_replay_count(const struct fb_replay *replay);

#endif
