/* base/map against a plain array, through growth, deletion and failing memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/map.h"
#include "env.h"

static void random_operations(void **state) {
    struct test_mem tm = {0};
    uint64_t seed = 7;
    struct fb_mem mem = test_mem_make(&tm);
    struct fb_rng rng = test_rng_make(&seed);
    struct fb_map *map = fb_map_new(&mem, &rng, 2);
    static char there[300];
    size_t count = 0;
    for (int i = 0; i < 50000; i++) {
        uint16_t key = (uint16_t)(test_random_u64(&seed) % 300);
        if (test_random_u64(&seed) & 1) {
            int err = fb_map_put(map, &key, &there[key]);
            assert_int_equal(err, there[key] ? FB_ERR_USED : 0);
            count += !there[key];
            there[key] = 1;
        } else {
            void *value = fb_map_take(map, &key);
            assert_ptr_equal(value, there[key] ? &there[key] : NULL);
            count -= there[key] != 0;
            there[key] = 0;
        }
        assert_int_equal(fb_map_count(map), count);
        uint16_t probe = (uint16_t)(test_random_u64(&seed) % 300);
        assert_ptr_equal(fb_map_get(map, &probe), there[probe] ? &there[probe] : NULL);
    }
    size_t cursor = 0, seen = 0;
    while (fb_map_next(map, &cursor) != NULL)
        seen++;
    assert_int_equal(seen, count);
    fb_map_free(map);
    assert_int_equal(tm.live, 0);
}

static void failing_memory(void **state) {
    for (uint64_t fail = 1; fail < 12; fail++) {
        struct test_mem tm = {.fail_at = fail};
        uint64_t seed = 1;
        struct fb_mem mem = test_mem_make(&tm);
        struct fb_rng rng = test_rng_make(&seed);
        struct fb_map *map = fb_map_new(&mem, &rng, 4);
        if (map == NULL) {
            assert_int_equal(tm.live, 0);
            continue;
        }
        for (uint32_t key = 0; key < 40; key++)
            while (fb_map_put(map, &key, map) == FB_ERR_NOMEM)
                ;
        assert_int_equal(fb_map_count(map), 40);
        for (uint32_t key = 0; key < 40; key++)
            assert_ptr_equal(fb_map_take(map, &key), map);
        fb_map_free(map);
        assert_int_equal(tm.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
