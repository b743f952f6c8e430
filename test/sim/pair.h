/*
 * Two sessions, client and egress, in virtual time, joined by paths that misbehave as told. Every
 * stream carries a pattern that each end checks byte by byte; an end that sees a wrong one stops
 * the test. Randomness is one seed.
 */
#ifndef FB_TEST_PAIR_H
#define FB_TEST_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/session.h"
#include "core/tokens.h"

#define PAIR_PATHS 64
#define PAIR_STREAMS 4096

struct pair;

/* One path, both directions alike. Chances are per thousand messages. */
struct pair_link {
    uint64_t delay, jitter; /* us */
    uint64_t rate;          /* bytes a second; 0: no limit */
    unsigned drop, duplicate, corrupt;
    bool up;     /* carries at all */
    bool silent; /* swallows everything from now on */
    uint64_t free_at[2];
    uint64_t sent[2];          /* bytes, by direction (0: to the egress) */
    uint64_t longest_queue[2]; /* bytes that waited for the rate; a test may set it back to 0 */
};

struct pair_stream {
    uint64_t up, down;           /* bytes that the client and the egress send */
    uint64_t up_done, down_done; /* written */
    uint64_t up_read, down_read;
    bool open, up_end, down_end, gone[2];
    bool pause[2]; /* the end (0 client, 1 egress) does not read */
    bool reset_seen[2];
    uint64_t reset_code;
};

struct pair {
    struct fb_mem mem;
    struct fb_rng rng;
    uint64_t seed;
    const struct fb_crypto *crypto;
    uint64_t now;
    struct fb_session *end[2]; /* 0 client, 1 egress */
    struct fb_session_config config[2];
    struct fb_tokens *tokens;
    struct fb_list wire; /* messages under way, soonest first */
    struct pair_link link[PAIR_PATHS];
    struct pair_stream stream[PAIR_STREAMS];
    unsigned opened[2], path_closed[2]; /* events seen */
    enum fb_path_reason reason[2];      /* of the last path closed */
    bool ready[2], closed[2];
    enum fb_close_code code[2];
    unsigned posts[2], datagrams[2];
    uint64_t longest_gap, last_progress; /* between bytes that the client reads */
    /* When set: looks at, and may change, each message before it is delivered to end `to`; false
     * drops it. */
    bool (*meddle)(struct pair *pair, int to, uint32_t path, uint8_t *msg, size_t *len);
    /* Watches every message put on a path by end `from`. */
    void (*watch)(struct pair *pair, int from, uint32_t path, const uint8_t *msg, size_t len);
    bool unchecked; /* streams carry no pattern: a fuzzer writes them */
    void *user;
};

/* crypto: fb_crypto_openssl() or a fuzzer's. memory may fail: then pair_init says false. */
bool pair_init(struct pair *pair, const struct fb_mem *mem, const struct fb_crypto *crypto,
               const uint8_t egress_public[32], const uint8_t egress_private[32], uint64_t seed);
void pair_clear(struct pair *pair);

/* A new path over a link with this delay; false when the client has no token or an end refuses.
 * The path's first message arrives after half a second of rendezvous. */
bool pair_open(struct pair *pair, uint64_t delay, uint32_t *path);
/* The volunteer closes: both ends are told after the link's delay. */
void pair_close(struct pair *pair, uint32_t path);
/* A stream of the client that sends up bytes and asks for down bytes. False: not allowed now. */
bool pair_request(struct pair *pair, uint64_t up, uint64_t down, uint64_t *id);
/* End `to` reads again what pause held back. */
void pair_resume(struct pair *pair, int to, uint64_t id);
bool pair_done(const struct pair *pair, uint64_t id);

/* Lets both ends act on what changed outside. */
void pair_pump(struct pair *pair);
/* Runs until pred is true or the time has passed; says whether it was. NULL: just for the time. */
bool pair_run(struct pair *pair, uint64_t us, bool (*pred)(const struct pair *pair));

#endif
