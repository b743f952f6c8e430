/*
 * role/client against a real egress, through volunteers with real WebRTC peers: apps by SOCKS5 and
 * HTTP, errors as an app sees them, volunteers that vanish or are bad, brokers that say no.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "bench_client.h"
#include "core/hop.h"

#define WAIT_MS 30000

static struct net_bench bench;
static const uint8_t local_ip[4] = {127, 0, 0, 1};

static bool is_true(void *flag) {
    return *(const bool *)flag;
}

static void await(bool *flag) {
    if (!wait_for(&bench.e.loop, is_true, flag, WAIT_MS))
        fail_msg("waited in vain; the client last said: %s", bench.last);
}

static bool is_ready(void *ctx) {
    return bench.stages[FB_CLIENT_READY] >= *(const unsigned *)ctx;
}

static void await_ready(unsigned times) {
    if (!wait_for(&bench.e.loop, is_ready, &times, WAIT_MS))
        fail_msg("not ready; the client last said: %s", bench.last);
}

static void begin(size_t paths) {
    char err[FB_NET_ERR_MAX];
    net_start(&bench);
    assert_int_equal(net_client(&bench, paths, 0, err), 0);
}

static void end(void) {
    assert_true(net_end(&bench));
}

static struct fb_client_counts counts(void) {
    struct fb_client_counts now;
    fb_client_count(bench.client, &now);
    return now;
}

static void progress_and_socks(void **state) {
    static struct app app;
    uint8_t say[32];
    begin(1);
    /* The app comes before there is a path, and waits for it. */
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    await_ready(1);
    assert_int_equal(bench.stages[FB_CLIENT_RENDEZVOUS], 1);
    assert_int_equal(bench.stages[FB_CLIENT_FOUND], 1);
    assert_int_equal(bench.stages[FB_CLIENT_ICE], 1);
    assert_int_equal(bench.stages[FB_CLIENT_DTLS], 1);
    assert_int_equal(bench.stages[FB_CLIENT_CHANNEL], 1);
    assert_int_equal(bench.stages[FB_CLIENT_ATTACHED], 1);
    assert_int_equal(bench.stages[FB_CLIENT_LOST], 0);
    await(&app.ended);
    assert_memory_equal(app.head, "\5\0\5\0\0\1\0\0\0\0\0\0", SOCKS_HEAD);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    assert_int_equal(counts().paths, 1);
    assert_int_equal(counts().offers, 1);
    app_end(&app, &bench.e.loop);
    end();
}

static void twenty_apps(void **state) {
    static struct app apps[20];
    static uint8_t say[20][32];
    begin(1);
    bench.e.send.size = 1 << 20;
    for (size_t i = 0; i < 20; i++)
        app_start(&apps[i], &bench, say[i], socks_say(say[i], local_ip, bench.e.send.port),
                  SOCKS_HEAD);
    for (size_t i = 0; i < 20; i++) {
        await(&apps[i].ended);
        assert_int_equal(apps[i].got, bench.e.send.size);
        assert_false(apps[i].bad);
        app_end(&apps[i], &bench.e.loop);
    }
    end();
}

static void http_forms(void **state) {
    static struct app app;
    char say[256], want[256];
    begin(1);
    snprintf(say, sizeof say, "CONNECT 127.0.0.1:%u HTTP/1.1\r\n\r\n", bench.e.send.port);
    app_start(&app, &bench, say, strlen(say), 39);
    await(&app.ended);
    assert_memory_equal(app.head, "HTTP/1.1 200 Connection established\r\n\r\n", 39);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    app_end(&app, &bench.e.loop);
    /* The echo shows what the origin gets: the head as rewritten, and of what follows the body. */
    snprintf(say, sizeof say,
             "POST http://127.0.0.1:%u/x HTTP/1.1\r\nProxy-Connection: keep-alive\r\n"
             "Content-Length: 4\r\n\r\nbodyGET http://other/ HTTP/1.1\r\n\r\n",
             bench.e.echo.port);
    snprintf(want, sizeof want,
             "POST /x HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Length: 4\r\n"
             "Connection: close\r\n\r\nbody",
             bench.e.echo.port);
    app_start(&app, &bench, say, strlen(say), strlen(want));
    while (app.head_len < app.head_want && !app.ended)
        uv_run(&bench.e.loop, UV_RUN_ONCE);
    assert_memory_equal(app.head, want, strlen(want));
    assert_int_equal(app.got, 0);
    app_end(&app, &bench.e.loop);
    end();
}

static void expect_answer(const void *say, size_t len, const char *start, size_t start_len) {
    static struct app app;
    app_start(&app, &bench, say, len, sizeof app.head);
    await(&app.ended);
    assert_true(app.head_len >= start_len);
    assert_memory_equal(app.head, start, start_len);
    app_end(&app, &bench.e.loop);
}

static void errors_reach_apps(void **state) {
    static const char denied[] = "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n";
    static const char origin_form[] = "GET / HTTP/1.1\r\n\r\n";
    static const uint8_t bind[] = {5, 1, 0, 5, 2, 0, 1, 127, 0, 0, 1, 0, 80};
    static const uint8_t inside[] = {5, 1, 0, 5, 1, 0, 1, 10, 0, 0, 1, 0, 80};
    uint8_t say[32];
    struct origin nobody;
    net_start(&bench);
    origin_start(&nobody, &bench.e.loop, ORIGIN_ECHO, 0);
    bench_except(&bench.e, nobody.port);
    uv_close((uv_handle_t *)&nobody.listener, NULL);
    char err[FB_NET_ERR_MAX];
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    expect_answer(origin_form, sizeof origin_form - 1, "HTTP/1.1 400 ", 13);
    expect_answer(bind, sizeof bind, "\5\0\5\7", 4);
    expect_answer(inside, sizeof inside, "\5\0\5\2", 4);
    expect_answer(denied, sizeof denied - 1, "HTTP/1.1 403 ", 13);
    expect_answer(say, socks_say(say, local_ip, nobody.port), "\5\0\5\5", 4);
    expect_answer("\x16\x03\x01", 3, "\x15\x03\x01", 3);
    end();
}

static void port_in_use(void **state) {
    char err[FB_NET_ERR_MAX];
    begin(1);
    struct fb_client *first = bench.client;
    uint16_t port = fb_client_proxy(first)->port;
    assert_int_equal(net_client(&bench, 1, port, err), FB_ERR_USED);
    char want[32];
    snprintf(want, sizeof want, "port %u is in use", port);
    assert_non_null(strstr(err, want));
    bench.client = first;
    end();
}

static struct vol *carrier(void) {
    for (size_t i = 0; i < bench.vol_count; i++)
        if (bench.vols[i].peer != NULL && bench.vols[i].carried)
            return &bench.vols[i];
    return NULL;
}

/* The volunteer vanishes again and again in mid-download; the app does not notice. */
static void volunteers_vanish(void **state) {
    static struct app app;
    uint8_t say[32];
    begin(1);
    bench.e.send.size = 24 << 20;
    await_ready(1);
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t mark = app.got + (2 << 20);
        while (app.got < mark && !app.ended)
            assert_true(uv_run(&bench.e.loop, UV_RUN_ONCE));
        assert_false(app.ended);
        struct vol *vol = carrier();
        assert_non_null(vol);
        vol_close(vol);
        await_ready(i + 2);
    }
    await(&app.ended);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    assert_int_equal(counts().sessions_all, 1);
    assert_int_equal(counts().paths_all, 4);
    app_end(&app, &bench.e.loop);
    end();
}

static bool has_one_path(void *ctx) {
    return counts().paths == 1;
}

/* A volunteer freezes without a word: another is found beside it within seconds, not after ICE's
 * time-out; and a long idle path is not taken for a frozen one. */
static void volunteer_freezes(void **state) {
    static struct app app;
    uint8_t say[32];
    begin(1);
    bench.e.send.size = 24 << 20;
    await_ready(1);
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    while (app.got < (2 << 20))
        assert_true(uv_run(&bench.e.loop, UV_RUN_ONCE));
    carrier()->frozen = true;
    uint64_t frozen_us = fb_now_us();
    await_ready(2);
    assert_true(fb_now_us() - frozen_us < 9000000);
    await(&app.ended);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    assert_true(wait_for(&bench.e.loop, has_one_path, NULL, WAIT_MS));
    app_end(&app, &bench.e.loop);
    assert_false(wait_for(&bench.e.loop, wait_never, NULL, 6000));
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    await(&app.ended);
    assert_int_equal(app.got, bench.e.send.size);
    assert_int_equal(counts().paths_all, 2);
    app_end(&app, &bench.e.loop);
    end();
}

static void bad_volunteers(void **state) {
    static struct app app;
    uint8_t say[32];
    begin(1);
    await_ready(1);
    bench.drop = 97;
    bench.repeat = 3;
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    await(&app.ended);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    assert_int_equal(counts().paths_all, 1);
    app_end(&app, &bench.e.loop);
    /* One that alters a message loses the path; the data stays whole. */
    bench.drop = bench.repeat = 0;
    bench.alter = 60;
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    while (counts().paths_all == 1)
        assert_true(uv_run(&bench.e.loop, UV_RUN_ONCE));
    bench.alter = 0;
    await(&app.ended);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    assert_int_equal(counts().sessions_all, 1);
    app_end(&app, &bench.e.loop);
    end();
}

static bool has_lost(void *ctx) {
    return bench.stages[FB_CLIENT_LOST] > *(const unsigned *)ctx;
}

/* Lanes that were not asked for, answers to nothing, junk: that path is closed, another sought. */
static void volunteers_that_break_the_rules(void **state) {
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_OFFER, .lane = 2};
    msg.desc = (struct fb_desc){
        .ufrag = "aJXQ", .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0", .sctp_port = 5000};
    uint8_t hop[5][FB_HOP_MAX] = {{0}, {0}, {2, 18, 0, 9}, {2, 18, 0}, {2, 17, 0, 2, 0xff}};
    size_t len[5] = {0, 0, 4, 3, FB_HOP_MAX};
    len[0] = (size_t)fb_hop_encode(&msg, hop[0], FB_HOP_MAX);
    msg.type = FB_HOP_LANE_ANSWER;
    msg.desc.setup = FB_SETUP_ACTIVE;
    len[1] = (size_t)fb_hop_encode(&msg, hop[1], FB_HOP_MAX);
    begin(1);
    for (unsigned i = 0; i < 5; i++) {
        await_ready(i + 1);
        unsigned before = bench.stages[FB_CLIENT_LOST];
        assert_int_equal(counts().lanes, 1);
        assert_int_equal(fb_peer_send(bench.vols[bench.vol_count - 1].peer, hop[i], len[i]), 0);
        assert_true(wait_for(&bench.e.loop, has_lost, &before, WAIT_MS));
    }
    await_ready(6);
    assert_int_equal(counts().sessions_all, 1);
    end();
}

/* An egress that does not have the key that the signed document names is never spoken to. */
static void wrong_egress_key(void **state) {
    uint8_t other[FB_KEY_LEN] = {9}, other_public[FB_KEY_LEN];
    char err[FB_NET_ERR_MAX];
    fb_x25519_public(other, other_public);
    net_start(&bench);
    net_sign(&bench, other_public);
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    while (bench.vol_count < 2)
        assert_true(uv_run(&bench.e.loop, UV_RUN_ONCE));
    assert_int_equal(bench.stages[FB_CLIENT_ATTACHED], 0);
    struct fb_egress_counts egress;
    fb_egress_count(bench.e.egress, &egress);
    assert_int_equal(egress.sessions_all, 0);
    end();
}

static bool is_joining(void *ctx) {
    return bench.stages[FB_CLIENT_JOINING] > 0;
}

static void forged_document(void **state) {
    char err[FB_NET_ERR_MAX];
    net_start(&bench);
    bench.document[bench.document_len / 2] ^= 1;
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    assert_true(wait_for(&bench.e.loop, is_joining, NULL, WAIT_MS));
    assert_int_equal(bench.offers_direct, 0);
    assert_int_equal(counts().sessions_all, 0);
    end();
}

static void brokers_that_say_no(void **state) {
    net_start(&bench);
    static const enum fb_answer_status no[] = {FB_ANSWER_NO_EGRESS, FB_ANSWER_NOBODY,
                                               FB_ANSWER_AGAIN, FB_ANSWER_LIMIT};
    memcpy(bench.next, no, sizeof no);
    bench.next_count = sizeof no / sizeof no[0];
    char err[FB_NET_ERR_MAX];
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    await_ready(1);
    assert_int_equal(bench.offers_direct, 5);
    assert_true(bench.stages[FB_CLIENT_WAITING] >= 4);
    assert_string_equal(bench.ended, ""); /* none had begun */
    /* The process that holds the session is gone: a new one begins. */
    bench.next[0] = FB_ANSWER_PROCESS_GONE;
    bench.next_count = 1;
    vol_close(carrier());
    await_ready(2);
    assert_true(counts().sessions_all >= 2);
    assert_string_equal(bench.ended, "the session has ended: the egress was restarted; its "
                                     "connections are cut, another session begins");
    end();
}

static bool has_ended(void *ctx) {
    return bench.ended[0] != '\0';
}

static void egress_shuts_down(void **state) {
    begin(1);
    await_ready(1);
    fb_egress_stop(bench.e.egress);
    assert_true(wait_for(&bench.e.loop, has_ended, NULL, WAIT_MS));
    assert_string_equal(bench.ended, "the session has ended: the egress shuts down; its "
                                     "connections are cut, another session begins");
    end();
}

static bool has_had_paths(void *ctx) {
    return counts().paths_all >= *(const uint64_t *)ctx;
}

static void await_paths(uint64_t paths_all) {
    if (!wait_for(&bench.e.loop, has_had_paths, &paths_all, WAIT_MS))
        fail_msg("%u paths and no more; the client last said: %s", (unsigned)counts().paths_all,
                 bench.last);
}

static void read_until(struct app *app, uint64_t bytes) {
    while (app->got < bytes && !app->ended)
        assert_true(uv_run(&bench.e.loop, UV_RUN_ONCE));
    assert_false(app->ended);
}

/* What the egress says first waits at the volunteer before the channel opens, so that the path is
 * open at the client as soon as the channel is: nothing has to go up before. */
static void first_bytes_wait(void **state) {
    begin(2);
    await_paths(3);
    bench.mute = true; /* from here on, for old paths too */
    unsigned volunteers = (unsigned)bench.vol_count;
    for (size_t i = 0; i < volunteers; i++)
        vol_close(&bench.vols[i]);
    await_paths(4); /* attached by a token, directly */
    assert_int_equal(bench.offers_direct, 2);
    assert_int_equal(counts().sessions_all, 1);
    bench.mute = false;
    await_paths(6); /* and inside the session */
    assert_int_equal(bench.offers_direct, 2);
    end();
}

static bool cache_has_newest(void *ctx) {
    uint8_t bytes[FB_DOCUMENT_MAX];
    FILE *file = fopen(bench.cache, "rb");
    size_t len = file != NULL ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file != NULL)
        fclose(file);
    return len == bench.document_len && memcmp(bytes, bench.document, len) == 0;
}

/* A newer network document, which the broker's answer names, comes through the session too. */
static void document_inside_the_session(void **state) {
    char err[FB_NET_ERR_MAX], dir[] = "/tmp/footbridge-client-XXXXXX", cache[64];
    assert_non_null(mkdtemp(dir));
    snprintf(cache, sizeof cache, "%s/document", dir);
    net_start(&bench);
    bench.cache = cache;
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    await_ready(1);
    assert_true(cache_has_newest(NULL));
    assert_int_equal(bench.documents_direct, 1);
    net_sign(&bench, NULL);
    assert_false(cache_has_newest(NULL));
    vol_close(carrier());
    await_ready(2);
    assert_int_equal(bench.offers_direct, 2); /* whose answer names it */
    assert_true(wait_for(&bench.e.loop, cache_has_newest, NULL, WAIT_MS));
    assert_int_equal(bench.documents_direct, 1);
    unlink(cache);
    rmdir(dir);
    end();
}

/* A newer document does not name the session's egress any more: nothing more goes there, although
 * its paths live. */
static void egress_is_struck_off(void **state) {
    uint8_t other[FB_KEY_LEN] = {9}, other_public[FB_KEY_LEN];
    fb_x25519_public(other, other_public);
    begin(1);
    await_ready(1);
    net_sign(&bench, other_public);
    vol_close(carrier());
    await_ready(2); /* the answer named the newer document */
    assert_true(wait_for(&bench.e.loop, has_ended, NULL, WAIT_MS));
    assert_string_equal(bench.ended, "the session has ended: the network no longer has its egress; "
                                     "its connections are cut, another session begins");
    end();
}

static bool has_no_session(void *ctx) {
    struct fb_egress_counts egress;
    fb_egress_count(bench.e.egress, &egress);
    return egress.sessions == 0;
}

/* A document expires, and there is no newer one: the session ends, and none begins before there
 * is. */
static void document_expires(void **state) {
    char err[FB_NET_ERR_MAX];
    net_start(&bench);
    bench.lasts_s = 6;
    net_sign(&bench, NULL);
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    await_ready(1);
    assert_true(wait_for(&bench.e.loop, has_ended, NULL, WAIT_MS));
    assert_string_equal(bench.ended, "the session has ended: the network document has expired; its "
                                     "connections are cut, another session begins");
    assert_true(wait_for(&bench.e.loop, has_no_session, NULL, WAIT_MS));
    assert_false(wait_for(&bench.e.loop, wait_never, NULL, 2000));
    assert_int_equal(counts().sessions_all, 1);
    bench.lasts_s = 0;
    net_sign(&bench, NULL);
    await_ready(2);
    end();
}

/* All but the first volunteer are asked for through the session and not at the broker's door; with
 * every volunteer gone the session goes on by one direct offer, and the app notices nothing. */
static void rendezvous_inside_the_session(void **state) {
    static struct app app;
    uint8_t say[32];
    begin(2);
    bench.e.send.size = 24 << 20;
    await_paths(3); /* two that carry, and a spare */
    assert_int_equal(bench.offers_direct, 1);
    assert_int_equal(bench.offers_inside, 2);
    app_start(&app, &bench, say, socks_say(say, local_ip, bench.e.send.port), SOCKS_HEAD);
    for (unsigned i = 1; i <= 3; i++) {
        read_until(&app, app.got + (2 << 20));
        vol_close(carrier());
        await_paths(3 + i);
    }
    assert_int_equal(bench.offers_direct, 1);
    assert_int_equal(bench.offers_inside, 5);
    for (size_t i = 0; i < bench.vol_count; i++)
        vol_close(&bench.vols[i]);
    await_paths(9);
    assert_int_equal(bench.offers_direct, 2);
    await(&app.ended);
    assert_int_equal(app.got, bench.e.send.size);
    assert_false(app.bad);
    assert_int_equal(bench.offers_direct, 2);
    assert_int_equal(counts().sessions_all, 1);
    app_end(&app, &bench.e.loop);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(progress_and_socks),
        cmocka_unit_test(twenty_apps),
        cmocka_unit_test(http_forms),
        cmocka_unit_test(errors_reach_apps),
        cmocka_unit_test(port_in_use),
        cmocka_unit_test(volunteers_vanish),
        cmocka_unit_test(volunteer_freezes),
        cmocka_unit_test(bad_volunteers),
        cmocka_unit_test(volunteers_that_break_the_rules),
        cmocka_unit_test(wrong_egress_key),
        cmocka_unit_test(forged_document),
        cmocka_unit_test(brokers_that_say_no),
        cmocka_unit_test(egress_shuts_down),
        cmocka_unit_test(rendezvous_inside_the_session),
        cmocka_unit_test(document_inside_the_session),
        cmocka_unit_test(egress_is_struck_off),
        cmocka_unit_test(document_expires),
        cmocka_unit_test(first_bytes_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
