/* core/session: two ends in virtual time over paths that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/openssl.h"
#include "env.h"
#include "sim/pair.h"

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)

static uint8_t egress_private[32] = {1, 2, 3}, egress_public[32];
static struct pair pr;
static struct test_mem tm;
static uint64_t wanted; /* stream that is_done() asks for */

static bool is_ready(const struct pair *pair) {
    return pair->ready[0] && pair->ready[1] && pair->opened[0] > 0 && pair->opened[1] > 0;
}

static bool is_done(const struct pair *pair) {
    return pair_done(pair, wanted);
}

static bool is_closed(const struct pair *pair) {
    return pair->closed[0] && pair->closed[1];
}

static bool two_open(const struct pair *pair) {
    return fb_session_open_paths(pair->end[0]) == 2 && fb_session_open_paths(pair->end[1]) == 2;
}

static void begin(uint64_t seed) {
    tm = (struct test_mem){0};
    struct fb_mem mem = test_mem_make(&tm);
    assert_true(pair_init(&pr, &mem, fb_crypto_openssl(), egress_public, egress_private, seed));
}

static void end(void) {
    pair_clear(&pr);
    assert_int_equal(tm.live, 0);
}

static uint32_t connect_path(uint64_t delay) {
    uint32_t path;
    assert_true(pair_open(&pr, delay, &path));
    assert_true(pair_run(&pr, 10 * S, is_ready));
    return path;
}

static void transfer(uint64_t up, uint64_t down, uint64_t us) {
    assert_true(pair_request(&pr, up, down, &wanted));
    assert_true(pair_run(&pr, us, is_done));
}

static void downloads_and_uploads(void **state) {
    begin(1);
    connect_path(20 * MS);
    assert_memory_equal(fb_session_process_id(pr.end[0]), pr.config[1].process_id, 16);
    transfer(0, 0, S);
    transfer(0, 5 << 20, 20 * S);
    transfer(5 << 20, 100, 20 * S);
    transfer(3 << 20, 3 << 20, 20 * S);
    end();
}

static void many_streams_share(void **state) {
    begin(2);
    connect_path(20 * MS);
    uint64_t ids[100];
    for (int i = 0; i < 100; i++)
        assert_true(pair_request(&pr, 1000, 200000, &ids[i]));
    for (int i = 0; i < 100; i++) {
        wanted = ids[i];
        assert_true(pair_run(&pr, 60 * S, is_done));
    }
    /* The limit on streams moves on as they end. */
    for (int round = 0; round < 1000; round++)
        transfer(1, 1, 5 * S);
    end();
}

static void drops_only_slow_it(void **state) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        begin(seed);
        uint32_t path = connect_path(30 * MS);
        pr.link[path].jitter = 40 * MS;
        pr.link[path].drop = 10; /* one in a hundred */
        pr.link[path].duplicate = 10;
        transfer(1 << 20, 8 << 20, 120 * S);
        assert_int_equal(fb_session_open_paths(pr.end[0]), 1);
        end();
    }
}

static void mostly_dropped_closes_the_path(void **state) {
    begin(3);
    uint32_t path = connect_path(30 * MS);
    pr.link[path].drop = 300;
    assert_true(pair_request(&pr, 0, 64 << 20, &wanted));
    pair_run(&pr, 120 * S, NULL);
    assert_true(pr.path_closed[0] + pr.path_closed[1] > 0);
    assert_int_equal(pr.reason[pr.path_closed[0] > 0 ? 0 : 1], FB_PATH_LOSSY);
    end();
}

static void death_and_replacement(void **state) {
    for (int silent = 0; silent < 2; silent++) {
        begin(4);
        uint32_t first = connect_path(50 * MS), second;
        pr.link[first].rate = 2 << 20;
        assert_true(pair_request(&pr, 0, 10 << 20, &wanted));
        pair_run(&pr, 2 * S, NULL);
        assert_false(pair_done(&pr, wanted));
        if (silent)
            pr.link[first].silent = true;
        else
            pair_close(&pr, first);
        assert_true(pair_open(&pr, 50 * MS, &second));
        assert_int_not_equal(first, second);
        assert_true(pair_run(&pr, 60 * S, is_done));
        if (!silent) /* half a second of rendezvous, four delays, and what waits for a timer */
            assert_true(pr.longest_gap < 1000 * MS);
        end();
    }
}

static void resumes_without_any_path(void **state) {
    begin(5);
    uint32_t first = connect_path(20 * MS), second;
    pr.link[first].rate = 1 << 20;
    assert_true(pair_request(&pr, 1 << 20, 3 << 20, &wanted));
    pair_run(&pr, S, NULL);
    pair_close(&pr, first);
    pair_run(&pr, 50 * S, NULL);
    assert_false(pr.closed[0] || pr.closed[1]);
    assert_true(pair_open(&pr, 20 * MS, &second));
    assert_true(pair_run(&pr, 60 * S, is_done));
    end();
}

static void no_path_for_a_minute_ends_it(void **state) {
    begin(6);
    uint32_t first = connect_path(20 * MS);
    pair_close(&pr, first);
    pair_run(&pr, 59 * S, NULL);
    assert_false(pr.closed[0] || pr.closed[1]);
    pair_run(&pr, 2 * S, NULL);
    assert_true(pr.closed[0] && pr.closed[1]);
    assert_int_equal(pr.code[0], FB_CLOSE_IDLE);
    end();
}

static void idle_paths_stay(void **state) {
    begin(7);
    uint32_t path = connect_path(20 * MS);
    pair_run(&pr, 3 * 3600 * S, NULL); /* keys change meanwhile */
    assert_false(pr.closed[0] || pr.closed[1]);
    assert_int_equal(fb_session_open_paths(pr.end[0]), 1);
    transfer(1 << 20, 1 << 20, 20 * S);
    /* Three hours of keepalive are no load. */
    assert_true(pr.link[path].sent[0] < (2 << 20));
    end();
}

static void silent_path_is_closed(void **state) {
    begin(8);
    uint32_t path = connect_path(20 * MS);
    pr.link[path].silent = true;
    assert_true(pair_request(&pr, 0, 1000, &wanted));
    pair_run(&pr, 30 * S, NULL);
    assert_int_equal(pr.path_closed[0] + pr.path_closed[1], 1); /* whoever notices first */
    assert_int_equal(pr.reason[pr.path_closed[1]], FB_PATH_SILENT);
    end();
}

static void freeze_is_survived(void **state) {
    begin(9);
    uint32_t path = connect_path(20 * MS);
    pr.link[path].rate = 4 << 20;
    assert_true(pair_request(&pr, 0, 16 << 20, &wanted));
    for (int i = 0; i < 3; i++) {
        pair_run(&pr, 500 * MS, NULL);
        pr.link[path].free_at[0] = pr.link[path].free_at[1] = pr.now + 1500 * MS;
    }
    assert_true(pair_run(&pr, 60 * S, is_done));
    assert_int_equal(pr.path_closed[0] + pr.path_closed[1], 0);
    end();
}

static void reader_that_stops_stops_the_sender(void **state) {
    begin(10);
    connect_path(5 * MS);
    uint64_t stalled, flowing;
    assert_true(pair_request(&pr, 0, 64 << 20, &stalled));
    pr.stream[stalled].pause[0] = true;
    pair_run(&pr, 20 * S, NULL);
    uint64_t written = pr.stream[stalled].down_done;
    assert_true(written <= pr.config[0].max_stream_data + pr.config[1].send_buffer_stream);
    pair_run(&pr, 20 * S, NULL);
    assert_true(pr.stream[stalled].down_done == written);
    assert_true(pair_request(&pr, 0, 1 << 20, &flowing));
    wanted = flowing;
    assert_true(pair_run(&pr, 20 * S, is_done));
    pair_resume(&pr, 0, stalled);
    wanted = stalled;
    assert_true(pair_run(&pr, 60 * S, is_done));
    end();
}

static void resets(void **state) {
    begin(11);
    connect_path(20 * MS);
    uint64_t a, b;
    assert_true(pair_request(&pr, 0, 64 << 20, &a));
    pair_run(&pr, S, NULL);
    fb_stream_reset(pr.end[0], a, 42);
    pair_run(&pr, S, NULL);
    assert_true(pr.stream[a].reset_seen[1]);
    assert_int_equal(pr.stream[a].reset_code, 42);
    assert_true(pair_request(&pr, 64 << 20, 64 << 20, &b));
    pair_run(&pr, S, NULL);
    fb_stream_reset(pr.end[1], b, 7);
    pair_run(&pr, S, NULL);
    assert_true(pr.stream[b].reset_seen[0]);
    /* All window has come back: far more than it flows still, and streams beyond the limit open. */
    for (int i = 0; i < 300; i++) {
        uint64_t id;
        assert_true(pair_request(&pr, 0, 1 << 20, &id));
        pair_run(&pr, 200 * MS, NULL);
        fb_stream_reset(pr.end[i & 1], id, 1);
        pair_run(&pr, 200 * MS, NULL);
    }
    transfer(2 << 20, 16 << 20, 60 * S);
    end();
}

static void close_is_told(void **state) {
    begin(12);
    connect_path(20 * MS);
    fb_session_close(pr.end[1], FB_CLOSE_SHUTDOWN);
    assert_true(pair_run(&pr, S, is_closed));
    assert_int_equal(pr.code[0], FB_CLOSE_SHUTDOWN);
    uint32_t path;
    assert_false(pair_open(&pr, 1, &path));
    end();
}

static void posts_and_datagrams(void **state) {
    static uint8_t big[FB_SESSION_POST_MAX];
    begin(13);
    uint32_t path = connect_path(20 * MS);
    pr.link[path].drop = 200;
    for (int i = 0; i < 8; i++)
        assert_int_equal(fb_session_post(pr.end[0], FB_POST_BROKER, big, sizeof big), 0);
    assert_int_equal(fb_session_post(pr.end[0], FB_POST_BROKER, big, 1), FB_ERR_AGAIN);
    assert_int_equal(fb_session_post(pr.end[0], FB_POST_BROKER, big, sizeof big + 1),
                     FB_ERR_TOO_BIG);
    assert_int_equal(fb_session_post(pr.end[1], FB_POST_DOCUMENT, big, 100), 0);
    pair_run(&pr, 20 * S, NULL);
    assert_int_equal(pr.posts[1], 8);
    assert_int_equal(pr.posts[0], 1);
    pr.link[path].drop = 0;
    for (int i = 0; i < 20; i++)
        assert_int_equal(fb_session_datagram(pr.end[0], big, FB_DATAGRAM_MAX), 0);
    pair_run(&pr, S, NULL);
    assert_int_equal(pr.datagrams[1], 20);
    end();
}

static void tokens_are_refunded(void **state) {
    begin(14);
    connect_path(20 * MS);
    uint8_t first[FB_FIRST_LEN];
    uint32_t path;
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 8; i++) { /* offers that fail before they attach */
            assert_int_equal(fb_session_first(pr.end[0], &path, first, pr.now), 0);
            fb_session_path_down(pr.end[0], path, pr.now);
        }
        pair_run(&pr, S, NULL);
    }
    assert_int_equal(fb_tokens_count(pr.tokens), 16);
    end();
}

static void token_works_once(void **state) {
    begin(15);
    connect_path(20 * MS);
    uint8_t first[FB_FIRST_LEN];
    uint32_t path, at;
    struct fb_session *s;
    assert_int_equal(fb_session_first(pr.end[0], &path, first, pr.now), 0);
    assert_int_equal(fb_session_attach(pr.tokens, first, pr.now, &s, &at), 0);
    assert_ptr_equal(s, pr.end[1]);
    assert_int_equal(at, path);
    assert_int_equal(fb_session_attach(pr.tokens, first, pr.now, &s, &at), FB_ERR_NOT_FOUND);
    /* An altered first message does not attach, and its token is gone. */
    assert_int_equal(fb_session_first(pr.end[0], &path, first, pr.now), 0);
    first[200] ^= 1;
    assert_int_equal(fb_session_attach(pr.tokens, first, pr.now, &s, &at), FB_ERR_AUTH);
    first[200] ^= 1;
    assert_int_equal(fb_session_attach(pr.tokens, first, pr.now, &s, &at), FB_ERR_NOT_FOUND);
    end();
}

static void two_paths_at_once(void **state) {
    begin(16);
    uint32_t a = connect_path(20 * MS), b;
    assert_true(pair_open(&pr, 60 * MS, &b));
    assert_true(pair_run(&pr, 5 * S, two_open));
    pr.link[a].rate = pr.link[b].rate = 4 << 20;
    transfer(0, 32 << 20, 30 * S);
    assert_true(pr.link[a].sent[1] > (4 << 20) && pr.link[b].sent[1] > (4 << 20));
    end();
}

static bool corrupt_all(struct pair *pair, int to, uint32_t path, uint8_t *msg, size_t *len) {
    if (pair->opened[0] > 0)
        msg[*len - 1] ^= 0x80;
    return true;
}

static void altered_packet_closes_the_path(void **state) {
    begin(17);
    connect_path(20 * MS);
    pr.meddle = corrupt_all;
    assert_true(pair_request(&pr, 0, 1000, &wanted));
    pair_run(&pr, S, NULL);
    assert_true(pr.path_closed[0] + pr.path_closed[1] > 0);
    assert_int_equal(pr.reason[pr.path_closed[1] > 0], FB_PATH_ALTERED);
    assert_int_equal(pr.stream[wanted].down_read, 0);
    /* The session itself is unharmed. */
    uint32_t path;
    pr.meddle = NULL;
    assert_true(pair_open(&pr, 20 * MS, &path));
    assert_true(pair_run(&pr, 20 * S, is_done));
    end();
}

/* Everything is delivered twice, the second time much later. */
struct replay {
    uint8_t msg[4][FB_MESSAGE_MAX];
    size_t len[4];
    uint32_t path[4];
    int from[4];
    size_t next;
};

static void record(struct pair *pair, int from, uint32_t path, const uint8_t *msg, size_t len) {
    struct replay *r = pair->user;
    size_t at = r->next++ % 4;
    memcpy(r->msg[at], msg, len);
    r->len[at] = len;
    r->path[at] = path;
    r->from[at] = from;
}

static void replays_are_dropped(void **state) {
    static struct replay r;
    begin(18);
    pr.user = &r;
    connect_path(20 * MS);
    pr.watch = record;
    transfer(100000, 100000, 10 * S);
    pr.watch = NULL;
    pair_run(&pr, S, NULL); /* the last of them arrive */
    struct fb_session_stats before, after;
    for (size_t i = 0; i < 4; i++) {
        struct fb_session *to = pr.end[1 - r.from[i]];
        fb_session_stats(to, &before);
        assert_int_equal(fb_session_recv(to, r.path[i], r.msg[i], r.len[i], pr.now), 0);
        fb_session_stats(to, &after);
        assert_true(after.dropped_packets == before.dropped_packets + 1);
        assert_true(after.received_packets == before.received_packets);
    }
    transfer(100000, 100000, 10 * S);
    end();
}

static void wrong_egress_key_is_refused(void **state) {
    begin(19);
    uint32_t path;
    pr.config[1].egress_key[5] ^= 0x10;
    assert_true(pair_open(&pr, 20 * MS, &path));
    pair_run(&pr, 5 * S, NULL);
    assert_null(pr.end[1]);
    assert_false(pr.ready[0]);
    pair_run(&pr, 30 * S, NULL);
    assert_int_equal(pr.path_closed[0], 1);
    assert_int_equal(pr.reason[0], FB_PATH_NO_REPLY);
    end();
}

static void other_network_is_refused(void **state) {
    begin(20);
    uint32_t path;
    pr.config[1].network_id[0] ^= 1;
    assert_true(pair_open(&pr, 20 * MS, &path));
    pair_run(&pr, 5 * S, NULL);
    assert_null(pr.end[1]);
    end();
}

/* A lost handshake reply: the next offer is fresh and works. */
static void handshake_starts_afresh(void **state) {
    begin(21);
    uint32_t path;
    assert_true(pair_open(&pr, 20 * MS, &path));
    pr.link[path].silent = true;
    pair_run(&pr, 15 * S, NULL);
    assert_int_equal(pr.path_closed[0], 1);
    pair_run(&pr, S, NULL);
    connect_path(20 * MS);
    transfer(10, 10, S);
    end();
}

/* Paths come, misbehave and go at random; every stream ends whole and every limit comes back. */
static void random_network(uint64_t seed) {
    uint64_t ids[12], dice = seed * 77 + 1;
    uint32_t path;
    begin(seed);
    connect_path(10 * MS);
    for (size_t i = 0; i < 12; i++)
        assert_true(pair_request(&pr, test_random_u64(&dice) % 300000,
                                 test_random_u64(&dice) % 2000000, &ids[i]));
    for (int step = 0; step < 60; step++) {
        uint32_t any = (uint32_t)(test_random_u64(&dice) % 20);
        struct pair_link *link = &pr.link[any];
        pair_run(&pr, test_random_u64(&dice) % (800 * MS), NULL);
        switch (test_random_u64(&dice) % 8) {
        case 0:
        case 1: pair_open(&pr, test_random_u64(&dice) % (200 * MS), &path); break;
        case 2:
            if (link->up)
                pair_close(&pr, any);
            break;
        case 3: link->silent = link->up && any > 10; break;
        case 4: link->drop = test_random_u64(&dice) % 30; break;
        case 5: link->jitter = test_random_u64(&dice) % (300 * MS); break;
        case 6: link->rate = 100000 + test_random_u64(&dice) % 4000000; break;
        case 7: link->duplicate = test_random_u64(&dice) % 100; break;
        }
        if (fb_session_open_paths(pr.end[0]) == 0)
            pair_open(&pr, 20 * MS, &path);
    }
    pair_open(&pr, 20 * MS, &path);
    for (size_t i = 0; i < 12; i++) {
        wanted = ids[i];
        for (int tries = 0; tries < 20 && !pair_run(&pr, 15 * S, is_done); tries++)
            pair_open(&pr, 20 * MS, &path);
        if (!pair_done(&pr, wanted))
            fail_msg("seed %d: stream %d has not ended", (int)seed, (int)i);
    }
    struct fb_session_stats stats;
    for (int i = 0; i < 2; i++) {
        fb_session_stats(pr.end[i], &stats);
        assert_int_equal(stats.buffered_bytes, 0);
    }
    end();
}

static void random_networks(void **state) {
    uint64_t seeds = getenv("FB_FULL") != NULL ? 2000 : 40;
    for (uint64_t seed = 100; seed < 100 + seeds; seed++)
        random_network(seed);
}

/* Every allocation fails once: nothing leaks or crashes, and the data is right or not there. */
static void failing_allocations(void **state) {
    unsigned survived = 0;
    for (uint64_t fail = 1; fail < 400; fail++) {
        tm = (struct test_mem){.fail_at = fail};
        struct fb_mem mem = test_mem_make(&tm);
        uint32_t a, b;
        if (pair_init(&pr, &mem, fb_crypto_openssl(), egress_public, egress_private, fail) &&
            pair_open(&pr, 10 * MS, &a)) {
            pr.link[a].drop = 20;
            pair_run(&pr, 2 * S, is_ready);
            if (fb_session_ready(pr.end[0]) && pair_request(&pr, 200000, 400000, &wanted)) {
                pair_run(&pr, 200 * MS, NULL);
                if (pair_open(&pr, 10 * MS, &b))
                    pair_run(&pr, S, NULL);
                pair_close(&pr, a);
                survived += pair_run(&pr, 20 * S, is_done);
            }
        }
        end();
    }
    assert_true(survived > 100);
}

static int setup(void **state) {
    return fb_x25519_public(egress_private, egress_public);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(downloads_and_uploads),
        cmocka_unit_test(many_streams_share),
        cmocka_unit_test(drops_only_slow_it),
        cmocka_unit_test(mostly_dropped_closes_the_path),
        cmocka_unit_test(death_and_replacement),
        cmocka_unit_test(resumes_without_any_path),
        cmocka_unit_test(no_path_for_a_minute_ends_it),
        cmocka_unit_test(idle_paths_stay),
        cmocka_unit_test(silent_path_is_closed),
        cmocka_unit_test(freeze_is_survived),
        cmocka_unit_test(reader_that_stops_stops_the_sender),
        cmocka_unit_test(resets),
        cmocka_unit_test(close_is_told),
        cmocka_unit_test(posts_and_datagrams),
        cmocka_unit_test(tokens_are_refunded),
        cmocka_unit_test(token_works_once),
        cmocka_unit_test(two_paths_at_once),
        cmocka_unit_test(altered_packet_closes_the_path),
        cmocka_unit_test(replays_are_dropped),
        cmocka_unit_test(wrong_egress_key_is_refused),
        cmocka_unit_test(other_network_is_refused),
        cmocka_unit_test(handshake_starts_afresh),
        cmocka_unit_test(random_networks),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
