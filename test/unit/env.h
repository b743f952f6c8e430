/* What unit tests hand to sans-IO code: counted memory that can fail, randomness from a seed. */
#ifndef FB_TEST_ENV_H
#define FB_TEST_ENV_H

#include <stdint.h>
#include <stdlib.h>

#include "base/env.h"

/* fail_at: the allocation (counted from 1) that fails; 0: none. live: blocks not freed. */
struct test_mem {
    uint64_t count, fail_at, live;
};

static inline void *counted_alloc(void *ctx, size_t len) {
    struct test_mem *tm = ctx;
    if (++tm->count == tm->fail_at)
        return NULL;
    void *ptr = calloc(1, len == 0 ? 1 : len);
    tm->live += ptr != NULL;
    return ptr;
}

static inline void counted_free(void *ctx, void *ptr) {
    struct test_mem *tm = ctx;
    tm->live -= ptr != NULL;
    free(ptr);
}

static inline struct fb_mem test_mem_make(struct test_mem *tm) {
    return (struct fb_mem){counted_alloc, counted_free, tm};
}

/* SplitMix64 over *ctx. */
static inline uint64_t test_random_u64(uint64_t *seed) {
    uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline void test_fill(void *ctx, uint8_t *out, size_t len) {
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)test_random_u64(ctx);
}

static inline struct fb_rng test_rng_make(uint64_t *seed) {
    return (struct fb_rng){test_fill, seed};
}

#endif
