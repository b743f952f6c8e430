/* core/ranges and core/blocks against plain arrays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/blocks.h"
#include "core/ranges.h"
#include "env.h"

#define N 200

static void check_against(const struct fb_ranges *r, const char *bits) {
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(fb_ranges_has(r, i), bits[i]);
        size_t end = i;
        while (end < N && bits[end])
            end++;
        assert_int_equal(fb_ranges_end(r, i), end);
    }
    for (size_t i = 1; i < r->n; i++)
        assert_true(r->v[i - 1].hi < r->v[i].lo);
}

static void random_operations(void **state) {
    struct test_mem tm = {0};
    struct fb_mem mem = test_mem_make(&tm);
    uint64_t seed = 3;
    for (int round = 0; round < 50; round++) {
        struct fb_ranges r;
        char bits[N] = {0};
        fb_ranges_init(&r, &mem, N);
        for (int i = 0; i < 300; i++) {
            uint64_t lo = test_random_u64(&seed) % N, hi = lo + 1 + test_random_u64(&seed) % 20;
            hi = hi > N ? N : hi;
            bool add = test_random_u64(&seed) % 2;
            assert_int_equal(add ? fb_ranges_add(&r, lo, hi) : fb_ranges_remove(&r, lo, hi), 0);
            memset(bits + lo, add, hi - lo);
            struct fb_range gap;
            size_t first = lo;
            while (first < hi && bits[first])
                first++;
            assert_int_equal(fb_ranges_gap(&r, lo, hi, &gap), first < hi);
            if (first < hi)
                assert_int_equal(gap.lo, first);
            check_against(&r, bits);
        }
        fb_ranges_clear(&r);
    }
    assert_int_equal(tm.live, 0);
}

static void ceiling(void **state) {
    struct test_mem tm = {0};
    struct fb_mem mem = test_mem_make(&tm);
    struct fb_ranges r;
    fb_ranges_init(&r, &mem, 3);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(fb_ranges_add(&r, i * 10, i * 10 + 5), 0);
    assert_int_equal(fb_ranges_add(&r, 100, 101), FB_ERR_LIMIT);
    assert_int_equal(fb_ranges_remove(&r, 2, 3), FB_ERR_LIMIT);
    assert_int_equal(r.n, 3);
    assert_int_equal(fb_ranges_add(&r, 5, 10), 0);
    assert_int_equal(r.n, 2);
    assert_int_equal(fb_ranges_end(&r, 0), 15);
    fb_ranges_clear(&r);
}

static void blocks_in_any_order(void **state) {
    struct test_mem tm = {0};
    struct fb_mem mem = test_mem_make(&tm);
    uint64_t seed = 5;
    static uint8_t want[20 * FB_BLOCK_LEN];
    struct fb_blocks b;
    fb_blocks_init(&b, &mem);
    for (size_t i = 0; i < sizeof want; i++)
        want[i] = (uint8_t)test_random_u64(&seed);
    for (size_t base = 0; base < sizeof want; base += 4 * FB_BLOCK_LEN) {
        for (size_t at = base + 4 * FB_BLOCK_LEN; at > base;) { /* backwards */
            size_t n = 1 + test_random_u64(&seed) % 9000;
            n = n > at - base ? at - base : n;
            at -= n;
            assert_int_equal(fb_blocks_write(&b, at, want + at, n), 0);
        }
        for (size_t at = base; at < base + 4 * FB_BLOCK_LEN;) {
            size_t n = 1 + test_random_u64(&seed) % 9000;
            n = n > base + 4 * FB_BLOCK_LEN - at ? base + 4 * FB_BLOCK_LEN - at : n;
            const uint8_t *p = fb_blocks_at(&b, at, &n);
            assert_memory_equal(p, want + at, n);
            at += n;
            fb_blocks_release(&b, at);
        }
        assert_true(tm.live <= 2); /* the ring, and no block that was released */
    }
    fb_blocks_clear(&b);
    assert_int_equal(tm.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(ceiling),
        cmocka_unit_test(blocks_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
