/* core/session: several paths at once. What is known of each, spares, deaths. */
#include "session_rig.h"

#include "base/err.h"

static void stats_tell_what_a_path_does(void **state) {
    struct fb_path_stats stats;
    begin(1);
    uint32_t path = add_path(20 * MS, 1000000);
    uint64_t open = pr.now;
    transfer(0, 4 << 20, 20 * S);
    stats = stats_of(1, path);
    assert_int_equal(stats.state, FB_PATH_IS_OPEN);
    assert_in_range(stats.since_us, open - 100 * MS, open);
    assert_in_range(stats.min_rtt_us, 40 * MS, 60 * MS);
    assert_in_range(stats.send_rate, 900000, 1010000);
    assert_in_range(stats.sent_bytes, 4 << 20, 9 << 19);
    stats = stats_of(0, path);
    assert_in_range(stats.receive_rate, 900000, 1010000);
    assert_in_range(stats.received_bytes, 4 << 20, 9 << 19);
    assert_in_range(stats.heard_us, pr.now - S, pr.now);
    assert_true(stats.send_rate < 100000);
    /* Nothing goes by: the rates fall to nothing. */
    pair_run(&pr, 2 * S, NULL);
    assert_true(stats_of(1, path).send_rate < 1000);
    assert_true(stats_of(0, path).receive_rate < 1000);
    assert_int_equal(stats_of(1, path).in_flight, 0);
    pair_close(&pr, path);
    pair_run(&pr, 10 * S, NULL);
    assert_int_equal(fb_session_path_stats(pr.end[0], path, pr.now, &stats), FB_ERR_NOT_FOUND);
    assert_int_equal(fb_session_path_standby(pr.end[0], path, true), FB_ERR_NOT_FOUND);
    end();
}

/* Bytes on the spare while some go over the other path. */
static uint64_t spare_bytes(uint32_t spare) {
    uint64_t before = pr.link[spare].sent[0] + pr.link[spare].sent[1];
    transfer(1 << 20, 1 << 20, 20 * S);
    return pr.link[spare].sent[0] + pr.link[spare].sent[1] - before;
}

static void a_spare_stays_idle(void **state) {
    begin(2);
    uint32_t slow = add_path(80 * MS, 1 << 20), spare = add_path(10 * MS, 4 << 20);
    assert_true(spare_bytes(spare) > 1 << 20); /* the quicker one, before it is said */
    assert_int_equal(fb_session_path_standby(pr.end[0], spare, true), 0);
    pair_run(&pr, S, NULL);
    assert_true(stats_of(0, spare).standby && stats_of(1, spare).standby);
    assert_false(stats_of(0, slow).standby || stats_of(1, slow).standby);
    assert_true(spare_bytes(spare) < 2000);
    /* It lives on meanwhile, and is promoted by a word. */
    pair_run(&pr, 200 * S, NULL);
    assert_int_equal(fb_session_open_paths(pr.end[0]), 2);
    assert_int_equal(fb_session_path_standby(pr.end[0], spare, false), 0);
    pair_run(&pr, S, NULL);
    assert_false(stats_of(1, spare).standby);
    assert_true(spare_bytes(spare) > 1 << 20);
    /* Either end may say it. */
    assert_int_equal(fb_session_path_standby(pr.end[1], spare, true), 0);
    pair_run(&pr, S, NULL);
    assert_true(stats_of(0, spare).standby);
    assert_true(spare_bytes(spare) < 2000);
    end();
}

static void a_spare_is_promoted_at_death(void **state) {
    for (int silent = 0; silent < 2; silent++) {
        begin(3);
        uint32_t main = add_path(50 * MS, 1 << 20), spare = add_path(50 * MS, 1 << 20);
        assert_int_equal(fb_session_path_standby(pr.end[0], spare, true), 0);
        pair_run(&pr, S, NULL);
        assert_true(pair_request(&pr, 0, 6 << 20, &wanted));
        pair_run(&pr, 2 * S, NULL);
        assert_true(pr.link[spare].sent[1] < 4000);
        if (silent)
            pr.link[main].silent = true;
        else
            pair_close(&pr, main);
        assert_true(pair_run(&pr, 20 * S, is_done));
        assert_true(pr.longest_gap < (silent ? 1000 : 300) * MS);
        assert_true(stats_of(0, spare).standby); /* the owner's word stands */
        end();
    }
}

/* A spare told of before it is open, and of a session that has no other: data flows. */
static void a_sole_spare_carries(void **state) {
    uint32_t path;
    begin(4);
    assert_true(pair_open(&pr, 20 * MS, &path));
    assert_int_equal(fb_session_path_standby(pr.end[0], path, true), 0);
    wanted_paths = 1;
    assert_true(pair_run(&pr, 10 * S, has_paths));
    pair_run(&pr, S, NULL);
    assert_true(stats_of(1, path).standby);
    transfer(1 << 20, 1 << 20, 20 * S);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats_tell_what_a_path_does),
        cmocka_unit_test(a_spare_stays_idle),
        cmocka_unit_test(a_spare_is_promoted_at_death),
        cmocka_unit_test(a_sole_spare_carries),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
