/*
 * Whom a broker has introduced to whom: for each session, by the handle that the broker calls it
 * by, the volunteers that it has lately met. So nobody is given the same volunteer twice while a
 * path to it lives, or again after that pair has failed; and no session learns of more than so many
 * volunteers an hour, because their addresses are what a censor comes to harvest. Sans-IO; times
 * are milliseconds.
 *
 * A volunteer counts from its offer on, and for an hour after its answer, which is when the client
 * learns its address; one that never answered counts no more once that is known. Memory is bounded:
 * sessions that have not met anybody for an hour are forgotten, and the longest unused make room.
 */
#ifndef FB_CORE_MET_H
#define FB_CORE_MET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/signal.h"

struct fb_met;

struct fb_met_config {
    uint32_t volunteers_hour; /* for one session */
    uint32_t failed_ms;       /* how long a pair that failed is kept apart, at most an hour */
    uint32_t sessions_max;
};

/* mem is kept. NULL: out of memory. */
struct fb_met *fb_met_new(const struct fb_mem *mem, const struct fb_rng *rng,
                          const struct fb_met_config *config);
/* Accepts NULL. */
void fb_met_free(struct fb_met *met);

/* Whether this session may be offered this volunteer: the budget is not asked here. */
bool fb_met_may(const struct fb_met *met, const uint8_t session[static FB_HANDLE_LEN],
                uint64_t volunteer, uint64_t now_ms);
/* 0: the session may meet one more; else when it may, in ms from now. */
uint64_t fb_met_wait(const struct fb_met *met, const uint8_t session[static FB_HANDLE_LEN],
                     uint64_t now_ms);

/* An offer goes to the volunteer. 0, FB_ERR_LIMIT (fb_met_wait() says when), FB_ERR_NOMEM. */
int fb_met_offered(struct fb_met *met, const uint8_t session[static FB_HANDLE_LEN],
                   uint64_t volunteer, uint64_t now_ms);
/* ... and the client gets its answer. */
void fb_met_answered(struct fb_met *met, const uint8_t session[static FB_HANDLE_LEN],
                     uint64_t volunteer, uint64_t now_ms);
/* ... and the match, or the offer, is over. */
void fb_met_over(struct fb_met *met, const uint8_t session[static FB_HANDLE_LEN],
                 uint64_t volunteer, bool failed, uint64_t now_ms);

/* Sessions remembered. */
size_t fb_met_count(const struct fb_met *met);

#endif
