/* core/session: several paths at once. What is known of each, spares, deaths. */
#include "session_load.h"

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
    wanted_paths = 0;
    add_path(20 * MS, 1000000);
    pair_run(&pr, 10 * S, NULL);
    assert_int_equal(fb_session_path_stats(pr.end[0], path, pr.now, &stats), FB_ERR_NOT_FOUND);
    assert_int_equal(fb_session_path_standby(pr.end[0], path, true), FB_ERR_NOT_FOUND);
    end();
}

/* The volunteer's word of a long queue comes after the one that it is short again: the last report
 * says that all is stuck, and nothing is. */
static void an_old_report_of_a_queue_stops_nothing(void **state) {
    begin(9);
    uint32_t path = add_path(20 * MS, 1000000);
    for (int end = 0; end < 2; end++)
        fb_session_path_queued(pr.end[end], path, 1 << 20);
    transfer(1 << 20, 1 << 20, 10 * S);
    end();
}

/* The only path dies, and long after its state would be forgotten another comes: what had arrived
 * is acknowledged there first, and only what was under way goes out again. */
static void what_arrived_is_not_sent_again(void **state) {
    begin(10);
    uint32_t first = add_path(50 * MS, 1000000);
    assert_true(pair_request(&pr, 0, 4 << 20, &wanted));
    pair_run(&pr, 2 * S, NULL);
    uint64_t under_way = stats_of(1, first).in_flight;
    pair_close(&pr, first);
    pair_run(&pr, 20 * S, NULL);
    wanted_paths = 0;
    uint32_t second = add_path(50 * MS, 1000000);
    assert_true(pair_run(&pr, 20 * S, is_done));
    uint64_t sent = pr.link[first].sent[1] + pr.link[second].sent[1];
    print_message("%.1f KiB more than asked for, %.1f under way\n",
                  (double)(sent - (4 << 20)) / 1024, (double)under_way / 1024);
    assert_true(under_way > 32 << 10);
    assert_true(sent < (4 << 20) * 103 / 100 + under_way);
    end();
}

/* The client of a sole path that falls silent knows soon; no other is used instead. */
static void a_sole_path_is_known_to_be_silent(void **state) {
    begin(11);
    uint32_t path = add_path(50 * MS, 1000000);
    assert_true(pair_request(&pr, 0, 16 << 20, &wanted));
    pair_run(&pr, 2 * S, NULL);
    pr.link[path].silent = true;
    pair_run(&pr, 500 * MS, NULL);
    assert_false(stats_of(0, path).silent);
    pair_run(&pr, 1300 * MS, NULL);
    assert_true(stats_of(0, path).silent);
    assert_false(stats_of(0, path).suspect);
    pr.link[path].silent = false;
    pair_run(&pr, 3 * S, NULL);
    assert_false(stats_of(0, path).silent);
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
        print_message("%.0f ms\n", (double)pr.longest_gap / 1000);
        assert_true(pr.longest_gap < (silent ? 700 : 300) * MS);
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

/* The last bytes are on a path that has all but stopped; they come by the other, which has nothing
 * else to do, before the slow one is suspected. */
static void the_end_is_not_held_up(void **state) {
    begin(5);
    add_path(20 * MS, 20 * MBIT);
    uint32_t slow = add_path(100 * MS, 20 * MBIT);
    transfer(0, 4 << 20, 20 * S); /* both are known */
    assert_true(pair_request(&pr, 0, 2 << 20, &wanted));
    pair_run(&pr, 300 * MS, NULL);
    pr.link[slow].rate = 10000;
    uint64_t began = pr.now;
    assert_true(pair_run(&pr, 20 * S, is_done));
    print_message("%.0f ms\n", (double)(pr.now - began) / 1000);
    assert_true(pr.now - began < 700 * MS);
    end();
}

/* ---- together ---- */

static const uint64_t rates[4] = {2 * MBIT, 5 * MBIT, 10 * MBIT, 20 * MBIT};

/* Paths of 2, 5, 10 and 20 Mbit/s; the round trips, 40 to 300 ms, in three orders. */
static void paths_add_up(void **state) {
    static const uint64_t rtts[3][4] = {
        {300 * MS, 200 * MS, 100 * MS, 40 * MS},
        {40 * MS, 100 * MS, 200 * MS, 300 * MS},
        {100 * MS, 40 * MS, 300 * MS, 200 * MS},
    };
    for (uint64_t seed = 0; seed < seeds(4, 30); seed++) {
        begin(seed);
        for (size_t i = 0; i < 4; i++) {
            uint32_t path = add_path(rtts[seed % 3][i] / 2, rates[i]);
            pr.link[path].jitter = seed % 2 * 10 * MS;
        }
        struct outcome outcome = load(seed / 2 & 1);
        report(seed / 2 & 1 ? "up" : "down", 37 * MBIT, &outcome);
        assert_true(outcome.goodput > 37 * MBIT * 9 / 10);
        assert_true(outcome.loaded <= 2 * outcome.idle);
        end();
    }
}

static void streams_share_paths(void **state) {
    enum { N = 8 };
    for (int up = 0; up < 2; up++) {
        uint64_t id[N], before[N];
        double sum = 0, squares = 0;
        begin(7);
        add_path(20 * MS, 10 * MBIT);
        add_path(100 * MS, 5 * MBIT);
        for (size_t i = 0; i < N; i++)
            assert_true(pair_request(&pr, up ? BULK : 0, up ? 0 : BULK, &id[i]));
        pair_run(&pr, 3 * S, NULL);
        for (size_t i = 0; i < N; i++)
            before[i] = arrived(id[i], up);
        pair_run(&pr, 5 * S, NULL);
        for (size_t i = 0; i < N; i++) {
            double got = (double)(arrived(id[i], up) - before[i]);
            sum += got;
            squares += got * got;
        }
        print_message("fairness %.3f\n", sum * sum / (N * squares));
        assert_true(sum * sum > 0.95 * N * squares); /* Jain's index */
        assert_true(sum > 5.0 * 15 * MBIT * 0.9);
        end();
    }
}

/* ---- deaths ---- */

/* One of four paths dies in the middle of a download: how long nothing comes of it. */
static uint64_t gap_of_death(uint64_t seed, bool silent) {
    uint64_t bulk;
    uint32_t path[4];
    begin(seed);
    for (size_t i = 0; i < 4; i++) {
        path[i] = add_path(50 * MS, 8 * MBIT);
        pr.link[path[i]].jitter = 5 * MS;
    }
    assert_true(pair_request(&pr, 0, BULK, &bulk));
    pair_run(&pr, 4 * S + seed * 37 * MS, NULL);
    pr.longest_gap = 0;
    if (silent)
        pr.link[path[seed % 4]].silent = true;
    else
        pair_close(&pr, path[seed % 4]);
    pair_run(&pr, 3 * S, NULL);
    uint64_t gap = pr.longest_gap, before = pr.stream[bulk].down_read;
    pair_run(&pr, S, NULL);
    assert_true(pr.stream[bulk].down_read - before > 20 * MBIT);
    end();
    return gap;
}

static void a_death_is_hardly_felt(void **state) {
    uint64_t longest[2] = {0, 0};
    for (uint64_t seed = 0; seed < seeds(4, 64); seed++)
        for (int silent = 0; silent < 2; silent++) {
            uint64_t gap = gap_of_death(seed, silent);
            longest[silent] = gap > longest[silent] ? gap : longest[silent];
        }
    print_message("%.0f ms after a close, %.0f ms in silence\n", (double)longest[0] / 1000,
                  (double)longest[1] / 1000);
    assert_true(longest[0] <= 300 * MS);
    assert_true(longest[1] <= (500 + 2 * 100) * MS);
}

/* Small requests while paths die in silence: each is answered in time all the same. */
static void requests_survive_a_death(void **state) {
    uint64_t longest = 0;
    for (uint64_t seed = 0; seed < seeds(6, 64); seed++) {
        uint32_t path[3];
        begin(seed);
        for (size_t i = 0; i < 3; i++)
            path[i] = add_path(50 * MS, 8 * MBIT);
        pair_run(&pr, S, NULL);
        for (int i = 0; i < 3; i++)
            (void)small_request();
        pr.link[path[seed % 3]].silent = true;
        for (int i = 0; i < 20; i++) {
            uint64_t took = small_request();
            longest = took > longest ? took : longest;
        }
        end();
    }
    print_message("%.0f ms\n", (double)longest / 1000);
    assert_true(longest <= (500 + 2 * 100) * MS);
}

/* A tab that freezes for a second again and again: suspect, not dead, and never in the way. */
static void a_frozen_path_is_suspect(void **state) {
    uint64_t bulk;
    unsigned suspected = 0;
    begin(9);
    uint32_t steady = add_path(50 * MS, 8 * MBIT), frozen = add_path(20 * MS, 8 * MBIT);
    assert_true(pair_request(&pr, 0, BULK, &bulk));
    pair_run(&pr, 3 * S, NULL);
    pr.longest_gap = 0;
    for (int i = 0; i < 5; i++) {
        pr.link[frozen].free_at[0] = pr.link[frozen].free_at[1] = pr.now + S;
        pair_run(&pr, 800 * MS, NULL);
        suspected += stats_of(1, frozen).suspect;
        pair_run(&pr, 2200 * MS, NULL);
        assert_false(stats_of(1, frozen).suspect);
        assert_false(stats_of(1, steady).suspect);
    }
    assert_true(suspected >= 3);
    assert_true(pr.longest_gap <= (500 + 2 * 100) * MS);
    assert_int_equal(pr.path_closed[0] + pr.path_closed[1], 0);
    uint64_t before = pr.stream[bulk].down_read;
    pair_run(&pr, 2 * S, NULL);
    assert_true(pr.stream[bulk].down_read - before > 2 * 13 * MBIT);
    end();
}

/* A path that falls to a fiftieth of its rate with a full window under way: nobody waits for it. */
static void a_crawling_path_holds_up_nobody(void **state) {
    uint64_t bulk, longest = 0;
    begin(12);
    uint32_t crawling = add_path(40 * MS, 20 * MBIT);
    add_path(50 * MS, 8 * MBIT);
    assert_true(pair_request(&pr, 0, BULK, &bulk));
    pair_run(&pr, 4 * S, NULL);
    pr.longest_gap = 0;
    pr.link[crawling].rate = MBIT * 4 / 10;
    for (int i = 0; i < 20; i++) {
        uint64_t took = small_request();
        longest = took > longest ? took : longest;
    }
    pair_run(&pr, 4 * S, NULL);
    print_message("gap %.0f ms, request %.0f ms\n", (double)pr.longest_gap / 1000,
                  (double)longest / 1000);
    assert_true(pr.longest_gap <= (500 + 3 * 100) * MS);
    assert_true(longest <= (500 + 3 * 100) * MS);
    assert_int_equal(fb_session_open_paths(pr.end[0]), 2);
    /* It is used again when it is well again. */
    pr.link[crawling].rate = 20 * MBIT;
    pair_run(&pr, 8 * S, NULL);
    uint64_t before = pr.stream[bulk].down_read;
    pair_run(&pr, 2 * S, NULL);
    assert_true(pr.stream[bulk].down_read - before > 2 * 24 * MBIT);
    end();
}

/* A path that dies every five seconds, and a new one a second later. */
static void churn(void **state) {
    uint64_t deaths = seeds(3, 12);
    for (int silent = 0; silent < 2; silent++) {
        uint64_t bulk;
        uint32_t path[4];
        begin(10);
        for (size_t i = 0; i < 4; i++)
            path[i] = add_path(50 * MS, 8 * MBIT);
        assert_true(pair_request(&pr, 0, BULK, &bulk));
        pair_run(&pr, 4 * S, NULL);
        uint64_t before = pr.stream[bulk].down_read;
        pr.longest_gap = 0;
        for (size_t i = 0; i < deaths; i++) {
            if (silent)
                pr.link[path[i % 4]].silent = true;
            else
                pair_close(&pr, path[i % 4]);
            assert_true(pair_open(&pr, 50 * MS, &path[i % 4]));
            pr.link[path[i % 4]].rate = 8 * MBIT;
            pair_run(&pr, 5 * S, NULL);
        }
        uint64_t got = pr.stream[bulk].down_read - before;
        print_message("%.1f %% of undisturbed, %.0f ms\n",
                      100.0 * (double)got / (5.0 * (double)deaths * 32 * MBIT),
                      (double)pr.longest_gap / 1000);
        assert_true(got > 5 * deaths * 32 * MBIT * 8 / 10);
        assert_true(pr.longest_gap <= (silent ? 500 + 200 : 300) * MS);
        end();
    }
}

/* ---- streams that nobody reads ---- */

static void stalled_streams(bool up) {
    enum { N = 200 };
    uint64_t id[N], bulk, limit = (uint64_t)(up ? 32 : 48) << 20;
    begin(11);
    add_path(50 * MS, 20 * MBIT);
    add_path(20 * MS, 20 * MBIT);
    for (size_t i = 0; i < N; i++) {
        assert_true(pair_request(&pr, up ? BULK : 0, up ? 0 : BULK, &id[i]));
        pr.stream[id[i]].pause[0] = pr.stream[id[i]].pause[1] = i % 4 != 0;
        if (i % 20 == 0)
            pair_run(&pr, 100 * MS, NULL);
    }
    pair_run(&pr, 5 * S, NULL);
    for (size_t i = 0; i < N; i++) /* a quarter of them only after some seconds */
        pr.stream[id[i]].pause[0] = pr.stream[id[i]].pause[1] = true;
    pair_run(&pr, 5 * S, NULL);
    assert_true(pair_request(&pr, up ? BULK : 0, up ? 0 : BULK, &bulk));
    pair_run(&pr, 4 * S, NULL);
    uint64_t before = arrived(bulk, up);
    pair_run(&pr, 4 * S, NULL);
    print_message("%.1f Mbit/s, %.1f MB at most\n",
                  (double)(arrived(bulk, up) - before) / 4 / (double)MBIT,
                  (double)tm.peak / 1000000);
    assert_true(arrived(bulk, up) - before > 4 * 36 * MBIT);
    assert_true(tm.peak < limit);
    for (size_t i = 0; i < N; i++) /* their windows come back */
        fb_stream_reset(pr.end[i & 1], id[i], 1);
    pair_run(&pr, 2 * S, NULL);
    transfer(1 << 20, 1 << 20, 20 * S);
    end();
}

static void stalled_streams_stop_no_other(void **state) {
    stalled_streams(false);
    stalled_streams(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stats_tell_what_a_path_does),
        cmocka_unit_test(an_old_report_of_a_queue_stops_nothing),
        cmocka_unit_test(what_arrived_is_not_sent_again),
        cmocka_unit_test(a_sole_path_is_known_to_be_silent),
        cmocka_unit_test(a_spare_stays_idle),
        cmocka_unit_test(a_spare_is_promoted_at_death),
        cmocka_unit_test(a_sole_spare_carries),
        cmocka_unit_test(the_end_is_not_held_up),
        cmocka_unit_test(paths_add_up),
        cmocka_unit_test(streams_share_paths),
        cmocka_unit_test(a_death_is_hardly_felt),
        cmocka_unit_test(requests_survive_a_death),
        cmocka_unit_test(a_frozen_path_is_suspect),
        cmocka_unit_test(a_crawling_path_holds_up_nobody),
        cmocka_unit_test(churn),
        cmocka_unit_test(stalled_streams_stop_no_other),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
