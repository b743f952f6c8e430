/* What unit tests hand to sans-IO code: counted memory that can fail, randomness from a seed. */
#ifndef FB_TEST_ENV_H
#define FB_TEST_ENV_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/env.h"

/* fail_at: the allocation (counted from 1) that fails; 0: none. live: blocks not freed. bytes: in
 * them, peak: at most so far. */
struct test_mem {
    uint64_t count, fail_at, live, bytes, peak;
};

union test_block { /* before each block: how long it is */
    size_t len;
    max_align_t align;
};

static inline void *counted_alloc(void *ctx, size_t len) {
    struct test_mem *tm = ctx;
    if (++tm->count == tm->fail_at)
        return NULL;
    union test_block *block = calloc(1, sizeof *block + len);
    if (block == NULL)
        return NULL;
    block->len = len;
    tm->live++;
    tm->bytes += len;
    tm->peak = tm->bytes > tm->peak ? tm->bytes : tm->peak;
    return block + 1;
}

static inline void counted_free(void *ctx, void *ptr) {
    struct test_mem *tm = ctx;
    if (ptr == NULL)
        return;
    union test_block *block = (union test_block *)ptr - 1;
    tm->live--;
    tm->bytes -= block->len;
    free(block);
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
