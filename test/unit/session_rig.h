/* A pair of sessions (sim/pair.h) with the real crypto and counted memory, for test_session_*.c. */
#ifndef FB_TEST_SESSION_RIG_H
#define FB_TEST_SESSION_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/openssl.h"
#include "env.h"
#include "sim/pair.h"

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)

static uint8_t egress_private[32] = {1, 2, 3}, egress_public[32];
static struct pair pr;
static struct test_mem tm;
static uint64_t wanted; /* stream that is_done() asks for */
static size_t wanted_paths;

static inline bool is_done(const struct pair *pair) {
    return pair_done(pair, wanted);
}

static inline bool has_paths(const struct pair *pair) {
    return pair->end[1] != NULL && fb_session_open_paths(pair->end[0]) == wanted_paths &&
           fb_session_open_paths(pair->end[1]) == wanted_paths;
}

/* How many: few in the short form of the tests, more in the long. */
static inline uint64_t seeds(uint64_t few, uint64_t many) {
    return getenv("FB_FULL") != NULL ? many : few;
}

static inline void begin(uint64_t seed) {
    tm = (struct test_mem){0};
    struct fb_mem mem = test_mem_make(&tm);
    assert_true(pair_init(&pr, &mem, fb_crypto_openssl(), egress_public, egress_private, seed));
    wanted_paths = 0;
}

static inline void end(void) {
    pair_clear(&pr);
    assert_int_equal(tm.live, 0);
}

/* One more path, open at both ends; rate in bytes a second, 0 without limit. */
static inline uint32_t add_path(uint64_t delay, uint64_t rate) {
    uint32_t path;
    wanted_paths++;
    assert_true(pair_open(&pr, delay, &path));
    pr.link[path].rate = rate;
    assert_true(pair_run(&pr, 10 * S, has_paths));
    return path;
}

static inline void transfer(uint64_t up, uint64_t down, uint64_t us) {
    assert_true(pair_request(&pr, up, down, &wanted));
    assert_true(pair_run(&pr, us, is_done));
}

static inline struct fb_path_stats stats_of(int end, uint32_t path) {
    struct fb_path_stats stats;
    assert_int_equal(fb_session_path_stats(pr.end[end], path, pr.now, &stats), 0);
    return stats;
}

static inline int rig_setup(void **state) {
    return fb_x25519_public(egress_private, egress_public);
}

#endif
