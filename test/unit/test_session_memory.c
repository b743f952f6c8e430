/* core/session where memory runs out: in each scenario every allocation fails once. Nothing leaks
 * or crashes; what arrives is right, or it does not arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "crypto/openssl.h"
#include "env.h"
#include "sim/pair.h"

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)
#define SHORT_SWEEP 120 /* allocations of each scenario that fail, without FB_FULL */

static uint8_t egress_private[32] = {4, 5, 6}, egress_public[32];
static struct pair pr;
static struct test_mem tm;
static uint64_t wanted;

static bool is_ready(const struct pair *pair) {
    return pair->ready[0] && pair->ready[1] && pair->opened[0] > 0 && pair->opened[1] > 0;
}

static bool is_done(const struct pair *pair) {
    return pair_done(pair, wanted);
}

static bool transfer(uint64_t up, uint64_t down) {
    return pair_request(&pr, up, down, &wanted) && pair_run(&pr, 20 * S, is_done);
}

/* Each scenario begins with one open path, and says whether all of it went well. */

static bool replacement(uint32_t path) {
    uint32_t next;
    pr.link[path].drop = 20;
    if (!pair_request(&pr, 200000, 400000, &wanted))
        return false;
    pair_run(&pr, 200 * MS, NULL);
    if (pair_open(&pr, 10 * MS, &next))
        pair_run(&pr, S, NULL);
    pair_close(&pr, path);
    return pair_run(&pr, 20 * S, is_done);
}

static bool many_streams(uint32_t path) {
    uint64_t id[40];
    bool well = true;
    pr.link[path].jitter = 20 * MS;
    for (int i = 0; i < 40 && well; i++)
        well = pair_request(&pr, 100, 20000, &id[i]);
    for (int i = 0; i < 40 && well; i++) {
        wanted = id[i];
        well = pair_run(&pr, 20 * S, is_done);
    }
    return well;
}

static bool resets(uint32_t path) {
    uint64_t a, b;
    if (!pair_request(&pr, 32 << 20, 32 << 20, &a) || !pair_request(&pr, 32 << 20, 32 << 20, &b))
        return false;
    pair_run(&pr, 100 * MS, NULL);
    fb_stream_reset(pr.end[0], a, 42);
    if (pr.end[1] != NULL)
        fb_stream_reset(pr.end[1], b, 7);
    pair_run(&pr, S, NULL);
    return transfer(1000, 1000) && pr.stream[a].reset_seen[1] && pr.stream[b].reset_seen[0];
}

static bool posts_and_datagrams(uint32_t path) {
    static const uint8_t data[FB_SESSION_POST_MAX];
    bool well = true;
    pr.link[path].drop = 100;
    for (int i = 0; i < 4; i++)
        well &= fb_session_post(pr.end[0], FB_POST_BROKER, data, sizeof data) == 0;
    if (pr.end[1] != NULL)
        well &= fb_session_post(pr.end[1], FB_POST_DOCUMENT, data, 100) == 0;
    for (int i = 0; i < 10; i++)
        fb_session_datagram(pr.end[0], data, FB_DATAGRAM_MAX);
    pair_run(&pr, 10 * S, NULL);
    return well && pr.posts[1] == 4 && pr.posts[0] == 1;
}

static bool paused_reader_and_resumption(uint32_t path) {
    if (!pair_request(&pr, 0, 1 << 20, &wanted))
        return false;
    pr.stream[wanted].pause[0] = true;
    pair_run(&pr, S, NULL);
    pair_close(&pr, path);
    pair_run(&pr, 5 * S, NULL);
    pair_resume(&pr, 0, wanted);
    for (int tries = 0; tries < 4 && !is_done(&pr); tries++)
        if (pair_open(&pr, 20 * MS, &path))
            pair_run(&pr, 10 * S, is_done);
    return is_done(&pr);
}

static bool run(bool (*scenario)(uint32_t), uint64_t fail) {
    tm = (struct test_mem){.fail_at = fail};
    struct fb_mem mem = test_mem_make(&tm);
    uint32_t path;
    bool well = pair_init(&pr, &mem, fb_crypto_openssl(), egress_public, egress_private, fail + 1);
    well = well && pair_open(&pr, 10 * MS, &path) && pair_run(&pr, 2 * S, is_ready) &&
           scenario(path);
    pair_clear(&pr);
    if (tm.live != 0)
        fail_msg("allocation %d fails: %d are left", (int)fail, (int)tm.live);
    return well;
}

static void sweep(bool (*scenario)(uint32_t)) {
    assert_true(run(scenario, 0));
    uint64_t total = tm.count;
    uint64_t step = getenv("FB_FULL") != NULL || total < SHORT_SWEEP ? 1 : total / SHORT_SWEEP;
    assert_true(total > 20); /* it was our memory that the sessions used */
    for (uint64_t fail = 1; fail <= total; fail += step)
        run(scenario, fail);
    assert_true(run(scenario, total * 10));
}

static void sweep_replacement(void **state) {
    sweep(replacement);
}

static void sweep_many_streams(void **state) {
    sweep(many_streams);
}

static void sweep_resets(void **state) {
    sweep(resets);
}

static void sweep_posts_and_datagrams(void **state) {
    sweep(posts_and_datagrams);
}

static void sweep_paused_reader_and_resumption(void **state) {
    sweep(paused_reader_and_resumption);
}

static int setup(void **state) {
    return fb_x25519_public(egress_private, egress_public);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sweep_replacement),
        cmocka_unit_test(sweep_many_streams),
        cmocka_unit_test(sweep_resets),
        cmocka_unit_test(sweep_posts_and_datagrams),
        cmocka_unit_test(sweep_paused_reader_and_resumption),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
