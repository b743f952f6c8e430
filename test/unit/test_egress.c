/*
 * role/egress with a bare session as its client and a volunteer that may be bad in between:
 * tickets, streams and their results, backpressure, limits, death of paths, the link to the broker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench_egress.h"

#define WAIT_MS 20000

static struct egress_bench bench;
static struct raw raw;

static struct fb_egress_counts counts(void) {
    struct fb_egress_counts now;
    fb_egress_count(bench.egress, &now);
    return now;
}

static bool is_true(void *flag) {
    return *(const bool *)flag;
}

static void await(bool *flag) {
    assert_true(wait_for(&bench.loop, is_true, flag, WAIT_MS));
}

static void begin(void) {
    bench_init(&bench);
    bench_go(&bench);
    raw_start(&raw, &bench);
}

static void end(void) {
    raw_end(&raw);
    assert_true(bench_end(&bench));
}

/* Path 0, attached and open. */
static struct raw_path *attach_first(void) {
    struct raw_path *path = raw_prepare(&raw, 0);
    raw_connect(path);
    await(&path->open);
    assert_true(raw.ready);
    return path;
}

static struct raw_stream *stream_to(size_t slot, const struct origin *origin) {
    struct raw_stream *st = raw_open(&raw, slot, "127.0.0.1", origin->port);
    raw_pump(&raw);
    return st;
}

static void echoes(void **state) {
    begin();
    attach_first();
    struct raw_stream *st = raw_open(&raw, 0, "127.0.0.1", bench.echo.port);
    st->up_left = 300000;
    st->finish_after = true;
    raw_stream_pump(&raw, st);
    raw_pump(&raw);
    await(&st->gone);
    assert_true(st->finished);
    assert_int_equal(st->result, FB_DEST_OK);
    assert_int_equal(st->got, 300000);
    assert_false(st->bad);
    assert_true(bench.echo.ended);
    struct fb_egress_counts now = counts();
    assert_int_equal(now.sessions, 1);
    assert_int_equal(now.paths, 1);
    assert_int_equal(now.streams_all, 1);
    assert_int_equal(now.results[FB_DEST_OK], 1);
    end();
}

static void downloads_and_uploads(void **state) {
    begin();
    attach_first();
    struct raw_stream *down[3], *up[3];
    for (size_t i = 0; i < 3; i++) {
        down[i] = stream_to(2 * i, &bench.send);
        up[i] = raw_open(&raw, 2 * i + 1, "127.0.0.1", bench.swallow.port);
        up[i]->up_left = 3 << 20;
        up[i]->finish_after = true;
        raw_stream_pump(&raw, up[i]);
        raw_pump(&raw);
    }
    for (size_t i = 0; i < 3; i++) {
        await(&down[i]->finished);
        await(&up[i]->gone);
        assert_int_equal(down[i]->got, bench.send.size);
        assert_false(down[i]->bad);
    }
    assert_int_equal(bench.swallow.got, 3 * (3 << 20));
    assert_false(bench.swallow.bad);
    end();
}

/* ---- tickets ---- */

static bool all_reached(void *ctx) {
    const struct raw_path *path = ctx;
    return path->socket_closed;
}

static void expect_refused(struct raw_path *path, const char *why) {
    raw_connect(path);
    assert_true(wait_for(&bench.loop, all_reached, path, WAIT_MS));
    assert_int_equal(path->code, 1008);
    assert_non_null(strstr(path->why, why));
    assert_int_equal(counts().sessions, 0);
}

static void remake_ticket(struct raw_path *path, const uint8_t *seed, const uint8_t *process,
                          uint64_t now_s) {
    uint8_t *ticket = path->attach + 1;
    assert_int_equal(fb_ticket_make(bench.crypto, fb_rng_default(), seed, &bench.ticket_key,
                                    process, ticket + FB_TICKET_LEN, FB_FIRST_LEN, now_s, ticket),
                     0);
}

static void no_ticket_no_service(void **state) {
    begin();
    uint8_t other[FB_KEY_LEN] = {1}, foreign[FB_PROCESS_ID_LEN] = {2};
    const uint8_t *process = fb_egress_process_id(bench.egress);
    struct raw_path *path = raw_prepare(&raw, 0);
    path->attach[1 + FB_TICKET_LEN - 1] ^= 1;
    expect_refused(path, "forged");
    path = raw_prepare(&raw, 0);
    remake_ticket(path, other, process, fb_unix_s());
    expect_refused(path, "forged");
    path = raw_prepare(&raw, 0);
    remake_ticket(path, bench.ticket_seed, foreign, fb_unix_s());
    expect_refused(path, "another");
    path = raw_prepare(&raw, 0);
    remake_ticket(path, bench.ticket_seed, process, fb_unix_s() - FB_TICKET_LIFE_S - 1);
    expect_refused(path, "expired");
    path = raw_prepare(&raw, 0);
    path->attach[1 + FB_TICKET_LEN + 100] ^= 1;
    expect_refused(path, "another");
    assert_int_equal(counts().tickets_refused, 5);
    path = raw_prepare(&raw, 0);
    path->attach[0] = FB_KIND_SESSION; /* a session message without a ticket before it */
    expect_refused(path, "malformed");
    assert_int_equal(counts().sessions_all, 0);
    end();
}

static void tickets_work_once(void **state) {
    begin();
    struct raw_path *path = attach_first();
    struct raw_path *again = &raw.paths[1];
    *again = (struct raw_path){.raw = &raw, .id = 77};
    memcpy(again->attach, path->attach, sizeof again->attach);
    raw_connect(again);
    assert_true(wait_for(&bench.loop, all_reached, again, WAIT_MS));
    assert_non_null(strstr(again->why, "used"));
    assert_int_equal(counts().sessions_all, 1);
    assert_int_equal(counts().tickets_refused, 1);
    /* With a new ticket the handshake can be played again: a session comes of it that nobody can
     * speak to, and nothing leaves for anywhere. */
    *again = (struct raw_path){.raw = &raw, .id = 77};
    memcpy(again->attach, path->attach, sizeof again->attach);
    remake_ticket(again, bench.ticket_seed, fb_egress_process_id(bench.egress), fb_unix_s());
    raw_connect(again);
    bool two = false;
    for (int i = 0; i < 2000 && !two; i++) {
        uv_run(&bench.loop, UV_RUN_ONCE);
        two = counts().sessions == 2;
    }
    assert_true(two);
    assert_int_equal(counts().streams_all, 0);
    end();
}

static void wrong_egress_key(void **state) {
    begin();
    struct fb_session_config config;
    fb_session_free(raw.s);
    fb_session_config_init(&config, true);
    config.mem = fb_mem_default();
    config.rng = fb_rng_default();
    config.crypto = bench.crypto;
    memcpy(config.network_id, bench.network_id, sizeof config.network_id);
    memcpy(config.egress_id, fb_egress_id(bench.egress), sizeof config.egress_id);
    config.network_id[0] ^= 1;
    assert_int_equal(fb_session_new(&raw.s, &config, fb_now_us()), 0);
    expect_refused(raw_prepare(&raw, 0), "handshake");
    end();
}

/* ---- results ---- */

static enum fb_dest_status result_of(size_t slot, const char *host, uint16_t port) {
    struct raw_stream *st = raw_open(&raw, slot, host, port);
    st->finish_after = true;
    raw_stream_pump(&raw, st);
    raw_pump(&raw);
    await(&st->finished);
    assert_int_equal(st->got, 0);
    await(&st->gone);
    return st->result;
}

static bool no_streams(void *ctx) {
    return counts().streams == 0;
}

static void connect_results(void **state) {
    bench_init(&bench);
    struct origin nobody;
    origin_start(&nobody, &bench.loop, ORIGIN_ECHO, 0);
    bench_except(&bench, nobody.port);
    uv_close((uv_handle_t *)&nobody.listener, NULL);
    uv_run(&bench.loop, UV_RUN_NOWAIT);
    bench_go(&bench);
    raw_start(&raw, &bench);
    attach_first();
    assert_int_equal(result_of(0, "127.0.0.1", nobody.port), FB_DEST_REFUSED);
    static const char *const special[] = {"127.0.0.2",  "169.254.169.254", "168.63.129.16",
                                          "::1",        "::ffff:10.0.0.1", "0.0.0.0",
                                          "100.64.0.1", "fd00::1"};
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        assert_int_equal(result_of(i + 1, special[i], 80), FB_DEST_DENIED);
    assert_int_equal(result_of(20, "8.8.8.8", 25), FB_DEST_DENIED);
    assert_int_equal(counts().results[FB_DEST_DENIED], sizeof special / sizeof special[0] + 1);
    assert_true(wait_for(&bench.loop, no_streams, NULL, WAIT_MS));
    end();
}

/* What a client must not send: the stream is reset, and nothing is connected to. */
static void malformed_destinations(void **state) {
    static const uint8_t bad[][8] = {
        {9}, {3, 0}, {3, 3, '1', '2', '7', 0, 80}, {1, 1, 2, 3, 4, 0, 0}};
    static const size_t len[] = {1, 2, 7, 7};
    begin();
    attach_first();
    for (size_t i = 0; i < 4; i++) {
        struct raw_stream *st = &raw.streams[i];
        assert_int_equal(fb_stream_open(raw.s, &st->id), 0);
        st->opened = true;
        fb_stream_write(raw.s, st->id, bad[i], len[i]);
        raw_pump(&raw);
        await(&st->was_reset);
    }
    struct raw_stream *cut = &raw.streams[5];
    assert_int_equal(fb_stream_open(raw.s, &cut->id), 0);
    cut->opened = true;
    fb_stream_write(raw.s, cut->id, (const uint8_t *)"\1\1", 2);
    fb_stream_finish(raw.s, cut->id);
    raw_pump(&raw);
    await(&cut->was_reset);
    end();
}

/* ---- backpressure and limits ---- */

static bool quiet(void *ctx) {
    uint64_t *last = ctx, got = counts().bytes_down;
    bool same = got == *last && got > 0;
    *last = got;
    return same && counts().buffered > 0;
}

static void readers_that_stop(void **state) {
    begin();
    attach_first();
    struct raw_stream *st[4];
    for (size_t i = 0; i < 4; i++) {
        st[i] = raw_open(&raw, i, "127.0.0.1", bench.send.port);
        st[i]->hold = true;
    }
    raw_pump(&raw);
    uint64_t last = 0;
    assert_true(wait_for(&bench.loop, quiet, &last, WAIT_MS));
    /* Nothing beyond what windows and buffers hold has been read from the origins. */
    assert_true(counts().buffered <= (4 << 20) + (64 << 10));
    for (size_t i = 0; i < 4; i++) {
        st[i]->hold = false;
        raw_stream_pump(&raw, st[i]);
    }
    raw_pump(&raw);
    for (size_t i = 0; i < 4; i++) {
        await(&st[i]->finished);
        assert_int_equal(st[i]->got, bench.send.size);
        assert_false(st[i]->bad);
    }
    end();
}

/* One session's readers stop while the total is small: the other one's go on. */
static void total_of_held_bytes(void **state) {
    static struct raw other;
    bench_init(&bench);
    bench.config.limits.buffered = 1 << 20;
    bench_go(&bench);
    raw_start(&raw, &bench);
    raw_start(&other, &bench);
    attach_first();
    struct raw_path *second = raw_prepare(&other, 0);
    raw_connect(second);
    await(&second->open);
    struct raw_stream *idle[4];
    for (size_t i = 0; i < 4; i++) {
        idle[i] = raw_open(&other, i, "127.0.0.1", bench.send.port);
        idle[i]->hold = true;
    }
    raw_pump(&other);
    uint64_t last = 0, most = 0;
    assert_true(wait_for(&bench.loop, quiet, &last, WAIT_MS));
    struct raw_stream *busy = stream_to(0, &bench.send);
    while (!busy->finished) {
        assert_true(uv_run(&bench.loop, UV_RUN_ONCE));
        most = counts().buffered > most ? counts().buffered : most;
    }
    assert_int_equal(busy->got, bench.send.size);
    assert_true(most < 2 << 20);
    assert_false(other.closed);
    for (size_t i = 0; i < 4; i++) {
        idle[i]->hold = false;
        raw_stream_pump(&other, idle[i]);
        raw_pump(&other);
    }
    for (size_t i = 0; i < 4; i++) {
        await(&idle[i]->finished);
        assert_int_equal(idle[i]->got, bench.send.size);
        assert_false(idle[i]->bad);
    }
    raw_end(&other);
    end();
}

/* A listener that nobody can connect to, and nobody is refused by: its queue, of one, is full. */
static uint16_t start_deaf(int fd[2]) {
    struct sockaddr_in addr;
    socklen_t len = sizeof addr;
    uv_ip4_addr("127.0.0.1", 0, &addr);
    for (size_t i = 0; i < 2; i++)
        fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd[0], (const struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(fd[0], 0), 0);
    assert_int_equal(getsockname(fd[0], (struct sockaddr *)&addr, &len), 0);
    assert_int_equal(connect(fd[1], (const struct sockaddr *)&addr, len), 0);
    return ntohs(addr.sin_port);
}

/* Uploads to where nothing is read, as much as windows allow. */
static void fill_egress(struct raw *from, size_t streams, uint16_t port) {
    for (size_t i = 0; i < streams; i++) {
        struct raw_stream *st = raw_open(from, i, "127.0.0.1", port);
        st->up_left = 64 << 10;
        raw_stream_pump(from, st);
        raw_pump(from);
    }
}

static bool holds(void *ctx) {
    return counts().buffered >= *(const uint64_t *)ctx;
}

/* Who holds most goes when all together hold too much, however quiet it has become; who comes then
 * is served. */
static void ceiling_of_held_bytes(void **state) {
    static struct raw idle, newcomer;
    const uint64_t ceiling = 2 << 20;
    uint64_t by_idle = 1200 << 10;
    int deaf[2];
    bench_init(&bench);
    bench.config.limits.buffered = ceiling / 2;
    uint16_t port = start_deaf(deaf);
    bench_except(&bench, port);
    bench_go(&bench);
    raw_start(&raw, &bench);
    raw_start(&idle, &bench);
    raw_start(&newcomer, &bench);
    attach_first();
    struct raw_path *path = raw_prepare(&idle, 0);
    raw_connect(path);
    await(&path->open);
    fill_egress(&idle, 40, port);
    assert_true(wait_for(&bench.loop, holds, &by_idle, WAIT_MS));
    assert_int_equal(counts().over_limit, 0);
    fill_egress(&raw, 32, port);
    for (uint64_t end_us = fb_now_us() + WAIT_MS * UINT64_C(1000); !idle.closed;) {
        assert_true(fb_now_us() < end_us);
        uv_run(&bench.loop, UV_RUN_ONCE);
        assert_true(counts().buffered <= ceiling);
    }
    assert_int_equal(idle.code, FB_CLOSE_LIMIT);
    assert_false(raw.closed);
    assert_int_equal(counts().over_limit, 1);
    assert_int_equal(counts().sessions, 1);
    path = raw_prepare(&newcomer, 0);
    raw_connect(path);
    await(&path->open);
    struct raw_stream *st = raw_open(&newcomer, 0, "127.0.0.1", bench.echo.port);
    raw_pump(&newcomer);
    await(&st->result_known);
    assert_int_equal(st->result, FB_DEST_OK);
    close(deaf[0]);
    close(deaf[1]);
    raw_end(&idle);
    raw_end(&newcomer);
    end();
}

static void stream_limits(void **state) {
    bench_init(&bench);
    bench.config.limits.session = (struct fb_quota_limits){.at_once = 3};
    bench.config.limits.address = (struct fb_quota_limits){.at_once = 2};
    bench_go(&bench);
    raw_start(&raw, &bench);
    attach_first();
    struct raw_stream *st[3];
    for (size_t i = 0; i < 3; i++)
        st[i] = stream_to(i, &bench.echo);
    uint64_t fourth;
    assert_int_equal(fb_stream_open(raw.s, &fourth), FB_ERR_LIMIT); /* told at the handshake */
    await(&st[0]->result_known);
    await(&st[1]->result_known);
    await(&st[2]->finished);
    assert_int_equal(st[0]->result, FB_DEST_OK);
    assert_int_equal(st[1]->result, FB_DEST_OK);
    assert_int_equal(st[2]->result, FB_DEST_LIMIT);
    assert_int_equal(counts().over_limit, 1);
    end();
}

/* Streams that do not say where to: no slower trickle keeps them, and others are left alone. */
static void destinations_that_do_not_come(void **state) {
    bench_init(&bench);
    bench.config.limits.head_timeout_us = 1000000;
    bench_go(&bench);
    raw_start(&raw, &bench);
    attach_first();
    struct raw_stream *good = stream_to(0, &bench.echo);
    await(&good->result_known);
    struct raw_stream *late = &raw.streams[1];
    assert_int_equal(fb_stream_open(raw.s, &late->id), 0);
    late->opened = true;
    uint64_t began_us = fb_now_us();
    while (!late->was_reset) {
        assert_true(fb_now_us() - began_us < WAIT_MS * UINT64_C(1000));
        if (late->up_sent++ < 200) /* of a name of 253 bytes */
            fb_stream_write(raw.s, late->id,
                            late->up_sent == 1   ? (const uint8_t *)"\3"
                            : late->up_sent == 2 ? (const uint8_t *)"\375"
                                                 : (const uint8_t *)"a",
                            1);
        raw_pump(&raw);
        uv_run(&bench.loop, UV_RUN_ONCE);
    }
    assert_int_equal(late->reset_code, FB_DEST_RESET_LATE);
    assert_int_equal(counts().streams, 1);
    assert_false(good->was_reset);
    end();
}

/* One session opens all the streams it can: it does not get all there are. */
static void shares_of_all_streams(void **state) {
    static struct raw other;
    bench_init(&bench);
    bench.config.limits.total = (struct fb_quota_limits){.at_once = 32};
    bench_go(&bench);
    raw_start(&raw, &bench);
    raw_start(&other, &bench);
    attach_first();
    struct raw_path *second = raw_prepare(&other, 0);
    raw_connect(second);
    await(&second->open);
    unsigned got = 0;
    for (size_t i = 0; i < 40; i++) {
        struct raw_stream *st = stream_to(i, &bench.echo);
        await(&st->result_known);
        assert_true(st->result == FB_DEST_OK || st->result == FB_DEST_LIMIT);
        got += st->result == FB_DEST_OK;
    }
    assert_in_range(got, 1, 4);
    assert_int_equal(counts().over_limit, 40 - got);
    struct raw_stream *st = raw_open(&other, 0, "127.0.0.1", bench.echo.port);
    raw_pump(&other);
    await(&st->result_known);
    assert_int_equal(st->result, FB_DEST_OK);
    raw_end(&other);
    end();
}

/* ---- volunteers: bad ones, and those that leave ---- */

static void survives_death(void **state) {
    begin();
    struct raw_path *path = attach_first();
    struct raw_stream *st = stream_to(0, &bench.send);
    await(&st->result_known);
    for (size_t i = 1; i < RAW_PATHS; i++) {
        uint64_t before = st->got;
        raw_kill(path);
        path = raw_prepare(&raw, i);
        raw_connect(path);
        await(&path->open);
        while (st->got < before + 500000 && !st->finished)
            assert_true(uv_run(&bench.loop, UV_RUN_ONCE));
    }
    await(&st->finished);
    assert_int_equal(st->got, bench.send.size);
    assert_false(st->bad);
    assert_int_equal(counts().sessions_all, 1);
    end();
}

struct badness {
    unsigned drop, repeat, swap;
};

static void carry_through(const struct badness *bad) {
    begin();
    struct raw_path *path = attach_first();
    path->drop = bad->drop;
    path->repeat = bad->repeat;
    path->swap = bad->swap;
    struct raw_stream *down = stream_to(0, &bench.send);
    struct raw_stream *up = raw_open(&raw, 1, "127.0.0.1", bench.swallow.port);
    up->up_left = 2 << 20;
    up->finish_after = true;
    raw_stream_pump(&raw, up);
    raw_pump(&raw);
    await(&down->finished);
    await(&up->gone);
    assert_int_equal(down->got, bench.send.size);
    assert_false(down->bad);
    assert_int_equal(bench.swallow.got, 2 << 20);
    assert_false(bench.swallow.bad);
    assert_false(path->closed);
    end();
}

static void volunteer_drops(void **state) {
    carry_through(&(struct badness){.drop = 100});
}

static void volunteer_repeats(void **state) {
    carry_through(&(struct badness){.repeat = 1});
}

static void volunteer_reorders(void **state) {
    carry_through(&(struct badness){.swap = 3});
}

static bool path_is_gone(void *ctx) {
    const struct raw_path *path = ctx;
    return path->closed || path->socket_closed;
}

/* An altered message costs the path; the data of the stream is whole all the same. */
static void volunteer_alters(void **state) {
    begin();
    struct raw_path *path = attach_first();
    struct raw_stream *st = stream_to(0, &bench.send);
    await(&st->result_known);
    path->alter = 50;
    /* By whichever end it reached. */
    assert_true(wait_for(&bench.loop, path_is_gone, path, WAIT_MS));
    struct raw_path *honest = raw_prepare(&raw, 1);
    raw_connect(honest);
    await(&st->finished);
    assert_int_equal(st->got, bench.send.size);
    assert_false(st->bad);
    end();
}

/* A volunteer that takes everything and passes nothing on: another path carries on. */
static void volunteer_withholds(void **state) {
    begin();
    struct raw_path *path = attach_first();
    struct raw_stream *st = stream_to(0, &bench.send);
    await(&st->result_known);
    path->withhold = true;
    struct raw_path *honest = raw_prepare(&raw, 1);
    raw_connect(honest);
    await(&st->finished);
    assert_int_equal(st->got, bench.send.size);
    assert_false(st->bad);
    end();
}

/* ---- the broker ---- */

static bool reported_closed(void *ctx) {
    return bench.closed == 1;
}

static bool reported_attached(void *ctx) {
    return bench.attached == 1;
}

static void reports(void **state) {
    begin();
    assert_int_equal(bench.loads, 1);
    struct raw_path *path = attach_first();
    assert_true(wait_for(&bench.loop, reported_attached, NULL, WAIT_MS));
    struct raw_stream *st = stream_to(0, &bench.send);
    await(&st->finished);
    raw_kill(path);
    assert_true(wait_for(&bench.loop, reported_closed, NULL, WAIT_MS));
    assert_true(bench.closed_bytes > bench.send.size);
    assert_int_equal(bench.silent, 0);
    end();
}

static bool offer_came(void *ctx) {
    return bench.offer_len > 0;
}

static bool offer_cancelled(void *ctx) {
    return bench.cancels >= *(const unsigned *)ctx;
}

/* Offers that nobody waits for are taken back: on the client's word, and with the last path. */
static void offers_taken_back(void **state) {
    static const uint8_t post[] = {0, 0, 0, 9, 's', 'e', 'a', 'l', 'e', 'd'};
    unsigned times = 1;
    begin();
    attach_first();
    assert_int_equal(fb_session_post(raw.s, FB_POST_BROKER, post, sizeof post), 0);
    raw_pump(&raw);
    assert_true(wait_for(&bench.loop, offer_came, NULL, WAIT_MS));
    assert_int_equal(fb_session_post(raw.s, FB_POST_BROKER, post, 4), 0);
    raw_pump(&raw);
    assert_true(wait_for(&bench.loop, offer_cancelled, &times, WAIT_MS));
    assert_int_equal(bench.cancelled, bench.offer_request);
    bench.offer_len = 0;
    assert_int_equal(fb_session_post(raw.s, FB_POST_BROKER, post, sizeof post), 0);
    raw_pump(&raw);
    assert_true(wait_for(&bench.loop, offer_came, NULL, WAIT_MS));
    assert_int_equal(bench.cancels, 1);
    fb_ws_close(raw.paths[0].ws, 1000, NULL);
    raw.paths[0].ws = NULL;
    times = 2;
    assert_true(wait_for(&bench.loop, offer_cancelled, &times, WAIT_MS));
    assert_int_equal(bench.cancelled, bench.offer_request);
    end();
}

static void offers_through_a_session(void **state) {
    static const uint8_t post[] = {0, 0, 0, 9, 's', 'e', 'a', 'l', 'e', 'd'};
    begin();
    attach_first();
    assert_int_equal(fb_session_post(raw.s, FB_POST_BROKER, post, sizeof post), 0);
    raw_pump(&raw);
    assert_true(wait_for(&bench.loop, offer_came, NULL, WAIT_MS));
    assert_int_equal(bench.offer_len, 6);
    assert_memory_equal(bench.offer, "sealed", 6);
    fb_egress_answered(bench.egress, bench.offer_request + 1, (const uint8_t *)"no", 2);
    fb_egress_answered(bench.egress, bench.offer_request, (const uint8_t *)"yes", 3);
    await(&raw.posted);
    assert_int_equal(raw.post_len, 7);
    assert_memory_equal(raw.post, "\0\0\0\x09yes", 7);
    /* Without a broker the client hears at once, also of what was under way. */
    raw.posted = false;
    bench.offer_len = 0;
    assert_int_equal(fb_session_post(raw.s, FB_POST_BROKER, post, sizeof post), 0);
    raw_pump(&raw);
    assert_true(wait_for(&bench.loop, offer_came, NULL, WAIT_MS));
    fb_egress_set_broker(bench.egress, NULL);
    await(&raw.posted);
    assert_int_equal(raw.post_len, 4);
    raw.posted = false;
    assert_int_equal(fb_session_post(raw.s, FB_POST_BROKER, post, sizeof post), 0);
    raw_pump(&raw);
    await(&raw.posted);
    assert_int_equal(raw.post_len, 4);
    end();
}

static void shuts_down(void **state) {
    begin();
    struct raw_path *path = attach_first();
    struct raw_stream *st = stream_to(0, &bench.echo);
    await(&st->result_known);
    fb_egress_stop(bench.egress);
    await(&raw.closed);
    assert_int_equal(raw.code, FB_CLOSE_SHUTDOWN);
    assert_true(wait_for(&bench.loop, all_reached, path, WAIT_MS));
    assert_int_equal(counts().sessions, 0);
    assert_int_equal(counts().streams, 0);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes),
        cmocka_unit_test(downloads_and_uploads),
        cmocka_unit_test(no_ticket_no_service),
        cmocka_unit_test(tickets_work_once),
        cmocka_unit_test(wrong_egress_key),
        cmocka_unit_test(connect_results),
        cmocka_unit_test(malformed_destinations),
        cmocka_unit_test(readers_that_stop),
        cmocka_unit_test(total_of_held_bytes),
        cmocka_unit_test(ceiling_of_held_bytes),
        cmocka_unit_test(stream_limits),
        cmocka_unit_test(destinations_that_do_not_come),
        cmocka_unit_test(shares_of_all_streams),
        cmocka_unit_test(survives_death),
        cmocka_unit_test(volunteer_drops),
        cmocka_unit_test(volunteer_repeats),
        cmocka_unit_test(volunteer_reorders),
        cmocka_unit_test(volunteer_alters),
        cmocka_unit_test(volunteer_withholds),
        cmocka_unit_test(reports),
        cmocka_unit_test(offers_through_a_session),
        cmocka_unit_test(offers_taken_back),
        cmocka_unit_test(shuts_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
