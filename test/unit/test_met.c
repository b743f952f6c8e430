/* core/met: whom a session has met, what that costs it, and that it is forgotten in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/met.h"
#include "env.h"

#define HOUR UINT64_C(3600000)

static struct test_mem counted;
static struct fb_mem mem;
static struct fb_rng rng;
static uint64_t seed;
static const uint8_t reader[FB_HANDLE_LEN] = "a reader", other[FB_HANDLE_LEN] = "another";

static struct fb_met *make(uint32_t hour, uint32_t sessions) {
    const struct fb_met_config config = {
        .volunteers_hour = hour, .failed_ms = 60000, .sessions_max = sessions};
    counted = (struct test_mem){0};
    mem = test_mem_make(&counted);
    seed = 1;
    rng = test_rng_make(&seed);
    struct fb_met *met = fb_met_new(&mem, &rng, &config);
    assert_non_null(met);
    return met;
}

static void done(struct fb_met *met) {
    fb_met_free(met);
    assert_int_equal(counted.live, 0);
}

static void meet(struct fb_met *met, const uint8_t *session, uint64_t volunteer, uint64_t now) {
    assert_true(fb_met_may(met, session, volunteer, now));
    assert_int_equal(fb_met_offered(met, session, volunteer, now), 0);
    fb_met_answered(met, session, volunteer, now);
}

static void one_path_to_each(void **state) {
    struct fb_met *met = make(10, 10);
    meet(met, reader, 1, 0);
    assert_false(fb_met_may(met, reader, 1, 10));
    assert_true(fb_met_may(met, other, 1, 10));
    assert_true(fb_met_may(met, reader, 2, 10));
    fb_met_over(met, reader, 1, false, 20);
    assert_true(fb_met_may(met, reader, 1, 20));
    done(met);
}

static void failed_pairs_stay_apart(void **state) {
    struct fb_met *met = make(10, 10);
    meet(met, reader, 1, 0);
    fb_met_over(met, reader, 1, true, 1000);
    fb_met_over(met, reader, 1, false, 1000);
    assert_false(fb_met_may(met, reader, 1, 60999));
    assert_true(fb_met_may(met, other, 1, 60999));
    assert_true(fb_met_may(met, reader, 1, 61000));
    done(met);
}

static void an_hours_budget(void **state) {
    struct fb_met *met = make(3, 10);
    for (uint64_t i = 1; i <= 3; i++) {
        assert_int_equal(fb_met_wait(met, reader, i * 1000), 0);
        meet(met, reader, i, i * 1000);
        fb_met_over(met, reader, i, false, i * 1000 + 500);
    }
    assert_int_equal(fb_met_wait(met, reader, 10000), HOUR + 1000 - 10000);
    assert_int_equal(fb_met_offered(met, reader, 4, 10000), FB_ERR_LIMIT);
    assert_int_equal(fb_met_wait(met, other, 10000), 0);
    assert_int_equal(fb_met_wait(met, reader, HOUR + 1000), 0);
    meet(met, reader, 4, HOUR + 1000);
    assert_int_equal(fb_met_wait(met, reader, HOUR + 1000), 1000);
    done(met);
}

/* Only who answers has been met: until then the client knows nothing of him. */
static void silent_ones_cost_nothing(void **state) {
    struct fb_met *met = make(2, 10);
    for (uint64_t i = 1; i <= 20; i++) {
        assert_int_equal(fb_met_offered(met, reader, i, i), 0);
        fb_met_over(met, reader, i, false, i);
    }
    assert_int_equal(fb_met_offered(met, reader, 21, 30), 0);
    assert_int_equal(fb_met_offered(met, reader, 22, 30), 0);
    assert_int_equal(fb_met_wait(met, reader, 30), HOUR); /* both may be met any moment */
    fb_met_over(met, reader, 21, false, 40);
    assert_int_equal(fb_met_wait(met, reader, 40), 0);
    done(met);
}

/* A path of many hours counts as long as it lives. */
static void long_lived(void **state) {
    struct fb_met *met = make(1, 10);
    meet(met, reader, 1, 5);
    assert_int_equal(fb_met_wait(met, reader, 10 * HOUR), HOUR);
    fb_met_over(met, reader, 1, false, 10 * HOUR);
    assert_int_equal(fb_met_wait(met, reader, 10 * HOUR), 0);
    done(met);
}

static void sessions_are_forgotten(void **state) {
    struct fb_met *met = make(4, 3);
    uint8_t handle[FB_HANDLE_LEN] = {0};
    for (uint8_t i = 1; i <= 3; i++) {
        handle[0] = i;
        meet(met, handle, 1, i);
    }
    handle[0] = 4; /* all have a path that lives */
    assert_int_equal(fb_met_offered(met, handle, 1, 10), FB_ERR_LIMIT);
    handle[0] = 2;
    fb_met_over(met, handle, 1, false, 20);
    assert_int_equal(fb_met_wait(met, handle, 20), 0);
    handle[0] = 4;
    meet(met, handle, 1, 30);
    assert_int_equal(fb_met_count(met), 3);
    for (uint8_t i = 1; i <= 4; i++) {
        handle[0] = i;
        fb_met_over(met, handle, 1, false, 40);
    }
    handle[0] = 5;
    meet(met, handle, 1, 2 * HOUR);
    assert_int_equal(fb_met_count(met), 1);
    fb_met_over(met, reader, 1, true, 2 * HOUR); /* nobody knows of it */
    fb_met_answered(met, reader, 1, 2 * HOUR);
    done(met);
}

static void allocation_failures(void **state) {
    for (uint64_t fail = 1; fail < 40; fail++) {
        const struct fb_met_config config = {
            .volunteers_hour = 100, .failed_ms = 1000, .sessions_max = 100};
        counted = (struct test_mem){.fail_at = fail};
        struct fb_met *met = fb_met_new(&mem, &rng, &config);
        for (uint64_t i = 0; met != NULL && i < 20; i++) {
            int err = fb_met_offered(met, i % 2 == 0 ? reader : other, i, i);
            assert_true(err == 0 || err == FB_ERR_NOMEM);
            assert_int_equal(fb_met_may(met, i % 2 == 0 ? reader : other, i, i), err != 0);
        }
        fb_met_free(met);
        assert_int_equal(counted.live, 0);
    }
    fb_met_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_path_to_each),    cmocka_unit_test(failed_pairs_stay_apart),
        cmocka_unit_test(an_hours_budget),     cmocka_unit_test(silent_ones_cost_nothing),
        cmocka_unit_test(long_lived),          cmocka_unit_test(sessions_are_forgotten),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
