/*
 * A sorted set of disjoint half-open intervals of 64-bit numbers: bytes of a stream, packet
 * numbers. The number of intervals has a ceiling, stated at birth, because a peer chooses the gaps.
 */
#ifndef FB_CORE_RANGES_H
#define FB_CORE_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

struct fb_range {
    uint64_t lo, hi; /* lo <= x < hi */
};

struct fb_ranges {
    const struct fb_mem *mem;
    struct fb_range *v; /* ascending, never touching */
    size_t n, cap, max;
};

/* Allocates nothing yet. */
void fb_ranges_init(struct fb_ranges *r, const struct fb_mem *mem, size_t max);
void fb_ranges_clear(struct fb_ranges *r);
/* Adds lo..hi (lo < hi). FB_ERR_NOMEM; FB_ERR_LIMIT when it would be one interval too many. On an
 * error the set is unchanged. */
int fb_ranges_add(struct fb_ranges *r, uint64_t lo, uint64_t hi);
/* Takes lo..hi out. Errors as above: splitting an interval makes one more. */
int fb_ranges_remove(struct fb_ranges *r, uint64_t lo, uint64_t hi);
bool fb_ranges_has(const struct fb_ranges *r, uint64_t x);
/* The end of the interval that contains x, or x itself when none does. */
uint64_t fb_ranges_end(const struct fb_ranges *r, uint64_t x);
/* The first interval within lo..hi that is not in the set; false when all of it is. */
bool fb_ranges_gap(const struct fb_ranges *r, uint64_t lo, uint64_t hi, struct fb_range *gap);

#endif
