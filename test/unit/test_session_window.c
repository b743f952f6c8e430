/* core/session over one path of a given rate: what it fills, and what it leaves in the queue. */
#include "session_rig.h"

#include "core/session_impl.h"

#define MBIT UINT64_C(125000) /* bytes a second */
#define BULK ((uint64_t)1 << 40)

static bool answered(const struct pair *pair) {
    return pair->stream[wanted].down_end;
}

/* From asking for 1,000 bytes to having them, us. */
static uint64_t small_request(void) {
    uint64_t before = pr.now;
    assert_true(pair_request(&pr, 200, 1000, &wanted));
    assert_true(pair_run(&pr, 10 * S, answered));
    return pr.now - before;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct outcome {
    uint64_t goodput;      /* bytes a second */
    uint64_t idle, loaded; /* us; of small requests: median without load, 95 of 100 with it */
};

#define REQUESTS 80

static uint64_t arrived(uint64_t bulk, bool up) {
    return up ? pr.stream[bulk].up_read : pr.stream[bulk].down_read;
}

/* Bulk data and small requests beside it, from the fourth second on, on the paths there are. */
static struct outcome load(bool up) {
    struct outcome outcome;
    uint64_t bulk, time[REQUESTS];
    for (size_t i = 0; i < REQUESTS / 4; i++) {
        time[i] = small_request();
        pair_run(&pr, 30 * MS, NULL);
    }
    qsort(time, REQUESTS / 4, sizeof time[0], by_size);
    outcome.idle = time[REQUESTS / 8];
    assert_true(pair_request(&pr, up ? BULK : 0, up ? 0 : BULK, &bulk));
    pair_run(&pr, 4 * S, NULL);
    for (uint32_t path = 0; path < PAIR_PATHS; path++)
        pr.link[path].longest_queue[!up] = 0;
    uint64_t before = arrived(bulk, up), since = pr.now;
    for (size_t i = 0; i < REQUESTS; i++) {
        time[i] = small_request();
        pair_run(&pr, 30 * MS, NULL);
    }
    outcome.goodput = (arrived(bulk, up) - before) * S / (pr.now - since);
    qsort(time, REQUESTS, sizeof time[0], by_size);
    outcome.loaded = time[REQUESTS * 95 / 100];
    return outcome;
}

static void report(const char *what, uint64_t rate, const struct outcome *outcome) {
    print_message("%s: %.1f %% of %.0f Mbit/s, %.1f ms idle, %.1f ms loaded\n", what,
                  100.0 * (double)outcome->goodput / (double)rate, (double)rate / (double)MBIT,
                  (double)outcome->idle / 1000, (double)outcome->loaded / 1000);
}

static void one_path(uint64_t rate, uint64_t rtt, uint64_t jitter, bool up) {
    for (uint64_t seed = 0; seed < 2; seed++) {
        begin(seed);
        uint32_t path = add_path(rtt / 2, rate);
        pr.link[path].jitter = jitter;
        struct outcome outcome = load(up);
        report(up ? "up" : "down", rate, &outcome);
        assert_true(outcome.goodput > rate * 90 / 100);
        assert_true(2 * outcome.loaded <= 3 * outcome.idle + 2 * (20 * MS + jitter));
        assert_true(pr.link[path].longest_queue[!up] < rate * jitter / S + (400 << 10));
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
