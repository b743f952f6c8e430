/* core/session over one path of a given rate: what it fills, and what it leaves in the queue. */
#include "session_load.h"

static void one_path(uint64_t rate, uint64_t rtt, uint64_t jitter, bool up) {
    for (uint64_t seed = 0; seed < 2; seed++) {
        begin(seed);
        uint32_t path = add_path(rtt / 2, rate);
        pr.link[path].jitter = jitter;
        struct outcome outcome = load(up);
        report(up ? "up" : "down", rate, &outcome);
        assert_true(outcome.goodput > rate * 90 / 100);
        assert_true(2 * outcome.loaded <= 3 * outcome.idle + 2 * (20 * MS + jitter));
        assert_true(pr.link[path].longest_queue[!up] < rate * 2 * jitter / S + (400 << 10));
        end();
    }
}

/* The figure to reach: the 95th of 100 round trips at most 1.5 times the shortest. */
static void clean_50_mbit(void **state) {
    for (int up = 0; up < 2; up++) {
        begin(1);
        add_path(50 * MS, 50 * MBIT);
        struct outcome outcome = load(up);
        report(up ? "up" : "down", 50 * MBIT, &outcome);
        assert_true(outcome.goodput > 48 * MBIT);
        assert_true(2 * outcome.loaded <= 3 * outcome.idle);
        end();
    }
}

static void slow_and_fast(void **state) {
    one_path(2 * MBIT, 40 * MS, 0, false);
    one_path(2 * MBIT, 300 * MS, 0, true);
    one_path(20 * MBIT, 40 * MS, 20 * MS, false);
    one_path(20 * MBIT, 300 * MS, 0, false);
    one_path(200 * MBIT, MS, 0, true);
    one_path(200 * MBIT, MS, 5 * MS, false);
}

/* The rate doubles each second, as when the hop adds lanes: it is found within the next. */
static void a_rate_that_doubles(void **state) {
    for (int up = 0; up < 2; up++) {
        uint64_t bulk, rate = MBIT, before = 0;
        begin(3);
        uint32_t path = add_path(50 * MS, rate);
        assert_true(pair_request(&pr, up ? BULK : 0, up ? 0 : BULK, &bulk));
        pair_run(&pr, 4 * S, NULL);
        for (; rate <= 32 * MBIT; rate *= 2) {
            pr.link[path].rate = rate;
            pair_run(&pr, S, NULL);
            before = arrived(bulk, up);
            pair_run(&pr, S / 2, NULL);
            uint64_t got = 2 * (arrived(bulk, up) - before);
            print_message("%.0f Mbit/s: %.1f %%\n", (double)rate / (double)MBIT,
                          100.0 * (double)got / (double)rate);
            assert_true(got > rate * 8 / 10);
        }
        end();
    }
}

/* ... and one that falls: the queue is gone within seconds, and the path stays. */
static void a_rate_that_falls(void **state) {
    uint64_t bulk;
    begin(4);
    uint32_t path = add_path(50 * MS, 40 * MBIT);
    assert_true(pair_request(&pr, 0, BULK, &bulk));
    pair_run(&pr, 4 * S, NULL);
    pr.link[path].rate = 4 * MBIT;
    pair_run(&pr, 6 * S, NULL);
    uint64_t before = pr.stream[bulk].down_read;
    for (int i = 0; i < 20; i++) {
        assert_true(small_request() < 160 * MS);
        pair_run(&pr, 50 * MS, NULL);
    }
    assert_true(pr.stream[bulk].down_read > before);
    assert_int_equal(fb_session_open_paths(pr.end[0]), 1);
    end();
}

/* A round trip that grows is not a queue of ours: the rate is found again. */
static void a_way_that_grows(void **state) {
    uint64_t bulk;
    begin(5);
    uint32_t path = add_path(20 * MS, 20 * MBIT);
    assert_true(pair_request(&pr, 0, BULK, &bulk));
    pair_run(&pr, 4 * S, NULL);
    pr.link[path].delay = 100 * MS;
    pair_run(&pr, 10 * S, NULL);
    uint64_t before = pr.stream[bulk].down_read;
    pair_run(&pr, 5 * S, NULL);
    assert_true(pr.stream[bulk].down_read - before > 5 * 18 * MBIT);
    end();
}

static size_t largest[2];

static void note_size(struct pair *pair, int from, uint32_t path, const uint8_t *msg, size_t len) {
    largest[from] = len > largest[from] ? len : largest[from];
}

static void packets_suit_the_rate(void **state) {
    begin(6);
    uint32_t path = add_path(20 * MS, MBIT);
    pr.watch = note_size;
    for (uint64_t rate = MBIT; rate <= 100 * MBIT; rate *= 100) {
        pr.link[path].rate = rate;
        largest[0] = largest[1] = 0;
        transfer(rate, rate, 20 * S);
        for (int i = 0; i < 2; i++)
            assert_in_range(largest[i], rate == MBIT ? 1000 : 15000, rate == MBIT ? 1200 : 16000);
    }
    /* The peer may want smaller ones. */
    assert_int_equal(fb_session_path_max_packet(pr.end[0], path, 1100), 0);
    pair_run(&pr, S, NULL);
    largest[0] = largest[1] = 0;
    transfer(1 << 20, 1 << 20, 20 * S);
    assert_in_range(largest[0], 1000, 1100);
    assert_in_range(largest[1], 1000, 1100);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_50_mbit),       cmocka_unit_test(slow_and_fast),
        cmocka_unit_test(a_rate_that_doubles), cmocka_unit_test(a_rate_that_falls),
        cmocka_unit_test(a_way_that_grows),    cmocka_unit_test(packets_suit_the_rate),
    };
    return cmocka_run_group_tests(tests, rig_setup, NULL);
}
