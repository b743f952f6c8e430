/*
 * How much of something one holder may have: a number at once, and new ones a second with a burst
 * (a token bucket). Plain data, time is an argument; the egress keeps one for each session, each
 * destination and itself as a whole.
 */
#ifndef FB_ROLE_QUOTA_H
#define FB_ROLE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct fb_quota_limits {
    uint32_t at_once;    /* 0: no limit */
    uint32_t per_second; /* 0: no limit */
    uint32_t burst;      /* how many may come together after a pause; at least 1 */
};

struct fb_quota {
    uint32_t held;
    uint64_t spent_until_us; /* when the bucket will be full again; in the past: it is */
};

/* True when one more fits, which changes nothing. */
bool fb_quota_fits(const struct fb_quota *quota, const struct fb_quota_limits *limits,
                   uint64_t now_us);
/* Takes one, whether it fits or not. */
void fb_quota_take(struct fb_quota *quota, const struct fb_quota_limits *limits, uint64_t now_us);
/* Gives one back. Its share of the rate stays spent. */
void fb_quota_give(struct fb_quota *quota);
/* True when a new, empty quota would answer the same: this one can be forgotten. */
bool fb_quota_is_fresh(const struct fb_quota *quota, uint64_t now_us);

#endif
