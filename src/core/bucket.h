/*
 * Token buckets by address: how often somebody may do something. IPv4 addresses each have one, IPv6
 * addresses one per /64, which is what one subscriber has. Memory is bounded: a bucket that has
 * filled up again is forgotten, and when `max` buckets are all in use newcomers are refused.
 */
#ifndef FB_CORE_BUCKET_H
#define FB_CORE_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/env.h"

struct fb_buckets;

/* burst: how many at once (1 or more); interval_us: one more after each. NULL: out of memory. */
struct fb_buckets *fb_buckets_new(const struct fb_mem *mem, const struct fb_rng *rng,
                                  uint32_t burst, uint64_t interval_us, size_t max);
void fb_buckets_free(struct fb_buckets *buckets);
/* True when addr may, and one is taken. */
bool fb_buckets_take(struct fb_buckets *buckets, const struct fb_addr *addr, uint64_t now_us);
/* Buckets held now. */
size_t fb_buckets_count(const struct fb_buckets *buckets);

#endif
