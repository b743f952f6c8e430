/* Bulk data and small requests beside it: what arrives, and how long the small ones take. */
#ifndef FB_TEST_SESSION_LOAD_H
#define FB_TEST_SESSION_LOAD_H

#include "session_rig.h"

#define MBIT UINT64_C(125000) /* bytes a second */
#define BULK ((uint64_t)1 << 40)

static inline bool answered(const struct pair *pair) {
    return pair->stream[wanted].down_end;
}

/* From asking for 1,000 bytes to having them, us. */
static inline uint64_t small_request(void) {
    uint64_t before = pr.now;
    assert_true(pair_request(&pr, 200, 1000, &wanted));
    assert_true(pair_run(&pr, 10 * S, answered));
    return pr.now - before;
}

static inline int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct outcome {
    uint64_t goodput; /* bytes a second */
    uint64_t idle,
        loaded; /* us, within which 95 of 100 small requests are done: without, with it */
};

#define REQUESTS 80

static inline uint64_t small_requests(void) {
    uint64_t time[REQUESTS];
    for (size_t i = 0; i < REQUESTS; i++) {
        time[i] = small_request();
        pair_run(&pr, 30 * MS, NULL);
    }
    qsort(time, REQUESTS, sizeof time[0], by_size);
    return time[REQUESTS * 95 / 100];
}

static inline uint64_t arrived(uint64_t bulk, bool up) {
    return up ? pr.stream[bulk].up_read : pr.stream[bulk].down_read;
}

/* Bulk data and small requests beside it, on the paths there are, after four seconds and ten round
 * trips. */
static inline struct outcome load(bool up) {
    struct outcome outcome;
    uint64_t bulk;
    outcome.idle = small_requests();
    assert_true(pair_request(&pr, up ? BULK : 0, up ? 0 : BULK, &bulk));
    pair_run(&pr, 4 * S + 10 * outcome.idle, NULL);
    for (uint32_t path = 0; path < PAIR_PATHS; path++)
        pr.link[path].longest_queue[!up] = 0;
    uint64_t before = arrived(bulk, up), since = pr.now;
    outcome.loaded = small_requests();
    outcome.goodput = (arrived(bulk, up) - before) * S / (pr.now - since);
    return outcome;
}

static inline void report(const char *what, uint64_t rate, const struct outcome *outcome) {
    print_message("%s: %.1f %% of %.0f Mbit/s, %.1f ms idle, %.1f ms loaded\n", what,
                  100.0 * (double)outcome->goodput / (double)rate, (double)rate / (double)MBIT,
                  (double)outcome->idle / 1000, (double)outcome->loaded / 1000);
}

#endif
