/*
 * The broker's matching: which idle volunteer gets which offer. Sans-IO; the caller owns sockets,
 * tickets and the bytes of offers, tells what happened, and then does what fb_match_poll() says
 * until that returns false. Times are milliseconds; fb_match_tick() when fb_match_deadline() comes.
 *
 * Rules (DESIGN section 5): a volunteer is never given a client of its own country; a session has
 * at most one live match in each /24 or /56, at most one with each volunteer, and meets at most so
 * many volunteers an hour (core/met.h); two hard NATs never meet, and opposite a hard one stands an
 * easy one rather than one that nobody knows; a pair whose data channel failed is not tried again
 * for a while; the volunteer that has waited longest goes first. One volunteer per offer: if it
 * declines or is silent, the client is told at once to come back with a fresh offer. `local` lifts
 * the country and prefix rules.
 *
 * Ids of volunteers, requests and matches are numbers that are never used twice within a matcher's
 * life; calls with one that is gone are ignored or return FB_ERR_NOT_FOUND, as each says.
 */
#ifndef FB_CORE_MATCH_H
#define FB_CORE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/signal.h"

#define FB_MATCH_NEVER UINT64_MAX
#define FB_MATCH_PLACES_MAX 1024 /* free places of one volunteer */

struct fb_match_config {
    bool local;
    uint32_t request_ms;      /* how long a request waits for a volunteer; 0: 20 s */
    uint32_t answer_ms;       /* how long a volunteer has to answer; 0: 10 s */
    uint32_t failed_ms;       /* how long a failed pair is remembered; 0: 1 h */
    uint32_t volunteers_max;  /* 0: 65,536 */
    uint32_t requests_max;    /* waiting and offered; 0: 4,096 */
    uint32_t failed_max;      /* remembered pairs, oldest forgotten first; 0: 65,536 */
    uint32_t volunteers_hour; /* that one session may meet; 0: 64 */
    uint32_t sessions_max;    /* remembered, longest unused forgotten first; 0: 65,536 */
};

/* A volunteer or a client, as far as matching cares. */
struct fb_match_end {
    uint8_t country[FB_COUNTRY_LEN];    /* two zero bytes: unknown, equal to nothing */
    uint8_t prefix[FB_ADDR_PREFIX_LEN]; /* fb_addr_prefix(); all zero: unknown, equal to nothing */
    enum fb_nat nat;
};

struct fb_match;

/* mem and rng are kept. NULL when out of memory. */
struct fb_match *fb_match_new(const struct fb_mem *mem, const struct fb_rng *rng,
                              const struct fb_match_config *config);
/* NULL-safe. */
void fb_match_free(struct fb_match *match);

/* ---- Volunteers ---- */

/* Joins with no free place. *id is its number. ctx comes back in actions. 0, FB_ERR_NOMEM,
 * FB_ERR_LIMIT. */
int fb_match_join(struct fb_match *match, const struct fb_match_end *end,
                  enum fb_volunteer_kind kind, void *ctx, uint64_t *id);
/* READY: so many places more, up to FB_MATCH_PLACES_MAX in all; each offer uses one up.
 * FB_ERR_NOT_FOUND. */
int fb_match_ready(struct fb_match *match, uint64_t volunteer, uint16_t places, uint64_t now_ms);
/* Its socket has closed: its live matches are over, unanswered requests get FB_MATCH_AGAIN. */
void fb_match_leave(struct fb_match *match, uint64_t volunteer, uint64_t now_ms);

/* Its ANSWER, DECLINE or DONE for a match. 0, or FB_ERR_NOT_FOUND: not a match of this volunteer
 * in that state (late is normal). ANSWER takes the request out and gives its ctx; who calls
 * then sends answer and RELEASE. */
int fb_match_answered(struct fb_match *match, uint64_t volunteer, uint64_t id, void **request_ctx,
                      uint64_t now_ms);
int fb_match_declined(struct fb_match *match, uint64_t volunteer, uint64_t id, enum fb_decline why,
                      uint64_t now_ms);
int fb_match_done(struct fb_match *match, uint64_t volunteer, uint64_t id, enum fb_outcome outcome,
                  uint64_t now_ms);

/* ---- Requests: one offer of a client each ---- */

struct fb_match_request {
    struct fb_match_end end;
    uint8_t session[FB_HANDLE_LEN]; /* handle; all zero: none */
    bool browsers_only;             /* FB_OFFER_BROWSERS_ONLY */
};

/* How long a session must wait, in ms, before it may meet one more volunteer; 0: it may. */
uint64_t fb_match_wait(const struct fb_match *match, const uint8_t session[static FB_HANDLE_LEN],
                       uint64_t now_ms);
/* 0, FB_ERR_NOMEM, FB_ERR_LIMIT (also while fb_match_wait()). */
int fb_match_request(struct fb_match *match, const struct fb_match_request *request, void *ctx,
                     uint64_t now_ms, uint64_t *id);
/* The client went away: its volunteer, if any, is told; no action for the request follows. */
void fb_match_cancel(struct fb_match *match, uint64_t request, uint64_t now_ms);

/* ---- Time and actions ---- */

void fb_match_tick(struct fb_match *match, uint64_t now_ms);
uint64_t fb_match_deadline(const struct fb_match *match);

enum fb_match_action_type {
    FB_MATCH_OFFER = 1,    /* volunteer_ctx, request_ctx, id: push the offer */
    FB_MATCH_WITHDRAW = 2, /* volunteer_ctx, id: send CANCEL */
    FB_MATCH_NOBODY = 3,   /* request_ctx: answer FB_ANSWER_NOBODY; the request is gone */
    FB_MATCH_AGAIN = 4,    /* request_ctx: answer FB_ANSWER_AGAIN; the request is gone */
};

struct fb_match_action {
    enum fb_match_action_type type;
    void *volunteer_ctx, *request_ctx;
    uint64_t volunteer, request;
    uint64_t id; /* of the match; the number in the volunteer's messages */
};

bool fb_match_poll(struct fb_match *match, struct fb_match_action *out);

/* ---- Counts ---- */

struct fb_match_counts {
    uint64_t volunteers, idle;       /* joined; with a free place */
    uint64_t waiting, offered, live; /* requests waiting; offers out; matches answered, not done */
    uint64_t matched, failed;        /* since birth: answered; ended by FB_OUTCOME_PEER_FAILED */
};

void fb_match_count(const struct fb_match *match, struct fb_match_counts *out);

struct fb_match_country {
    uint8_t country[FB_COUNTRY_LEN];
    uint32_t volunteers, live;
};

/* Countries with a volunteer, in no order, at most cap; returns how many were written. Exact:
 * delaying and rounding for publication is the caller's. */
size_t fb_match_countries(const struct fb_match *match, struct fb_match_country *out, size_t cap);

#endif
