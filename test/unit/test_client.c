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

#define BREACH "the volunteer broke the rules; its path is closed"

static bool has_lost(void *ctx) {
    return bench.stages[FB_CLIENT_LOST] > *(const unsigned *)ctx;
}

/* Not a time-out of anything: those take longer. */
static void await_breach(unsigned lost_before) {
    assert_true(wait_for(&bench.e.loop, has_lost, &lost_before, 2000));
    assert_string_equal(bench.lost, BREACH);
}

/* Lanes that were not asked for, answers to nothing, junk: that path is closed, another sought. */
static void volunteers_that_break_the_rules(void **state) {
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_OFFER, .lane = 2};
    msg.desc = (struct fb_desc){
        .ufrag = "aJXQ", .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0", .sctp_port = 5000};
    uint8_t hop[6][FB_HOP_MAX] = {{0},          {0}, {2, 18, 0, 9}, {2, 18, 0}, {2, 17, 0, 2, 0xff},
                                  {2, 18, 0, 1}}; /* the only lane */
    size_t len[6] = {0, 0, 4, 3, FB_HOP_MAX, 4};
    len[0] = (size_t)fb_hop_encode(&msg, hop[0], FB_HOP_MAX);
    msg.type = FB_HOP_LANE_ANSWER;
    msg.desc.setup = FB_SETUP_ACTIVE;
    len[1] = (size_t)fb_hop_encode(&msg, hop[1], FB_HOP_MAX);
    begin(1);
    for (unsigned i = 0; i < 6; i++) {
        await_ready(i + 1);
        unsigned before = bench.stages[FB_CLIENT_LOST];
        assert_int_equal(counts().lanes, 1);
        assert_int_equal(fb_peer_send(bench.vols[bench.vol_count - 1].peer, hop[i], len[i]), 0);
        await_breach(before);
    }
    await_ready(7);
    assert_int_equal(counts().sessions_all, 1);
    end();
}

static void vol_says(struct fb_peer *peer, const void *hop, size_t len) {
    assert_int_equal(fb_peer_send(peer, hop, len), 0);
}

/* A STUN server that says nothing: a lane takes FB_PEER_GATHER_MS to describe itself. */
struct silent {
    uv_udp_t udp;
    unsigned asked;
    bool closed;
    uint8_t buf[2048];
};

static void silent_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct silent *stun = handle->data;
    *buf = uv_buf_init((char *)stun->buf, sizeof stun->buf);
}

static void silent_asked(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf,
                         const struct sockaddr *from, unsigned flags) {
    ((struct silent *)udp->data)->asked += len > 0;
}

static void silent_closed(uv_handle_t *handle) {
    ((struct silent *)handle->data)->closed = true;
}

/* Where peers' sockets reach this machine: they are not on loopback if there is anything else. */
static void own_address(char out[INET_ADDRSTRLEN]) {
    uv_interface_address_t *all;
    int count;
    snprintf(out, INET_ADDRSTRLEN, "127.0.0.1");
    assert_int_equal(uv_interface_addresses(&all, &count), 0);
    for (int i = 0; i < count; i++)
        if (!all[i].is_internal && all[i].address.address4.sin_family == AF_INET)
            uv_ip4_name(&all[i].address.address4, out, INET_ADDRSTRLEN);
    uv_free_interface_addresses(all, count);
}

static void silent_start(struct silent *stun) {
    char own[INET_ADDRSTRLEN];
    struct sockaddr_in addr;
    int len = sizeof addr;
    own_address(own);
    *stun = (struct silent){0};
    uv_udp_init(&bench.e.loop, &stun->udp);
    stun->udp.data = stun;
    uv_ip4_addr(own, 0, &addr);
    assert_int_equal(uv_udp_bind(&stun->udp, (struct sockaddr *)&addr, 0), 0);
    assert_int_equal(uv_udp_getsockname(&stun->udp, (struct sockaddr *)&addr, &len), 0);
    assert_int_equal(uv_udp_recv_start(&stun->udp, silent_alloc, silent_asked), 0);
    snprintf(bench.stun, sizeof bench.stun, "%s:%u", own, ntohs(addr.sin_port));
}

static bool has_asked(void *ctx) {
    return ((const struct silent *)ctx)->asked > 0;
}

/* Lanes that the client makes ready are not the volunteer's to answer or to refuse before they are
 * offered: it would find them connecting when they describe themselves. */
static void lanes_answered_before_the_offer(void **state) {
    static struct silent stun;
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_ANSWER, .lane = 3};
    msg.desc = (struct fb_desc){.ufrag = "aJXQ",
                                .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0",
                                .setup = FB_SETUP_ACTIVE,
                                .sctp_port = 5000};
    uint8_t hop[2][FB_HOP_MAX] = {{0}, {2, 18, 0, 2}};
    size_t len[2] = {0, 4};
    char err[FB_NET_ERR_MAX];
    len[0] = (size_t)fb_hop_encode(&msg, hop[0], FB_HOP_MAX);
    net_start(&bench);
    silent_start(&stun);
    net_sign(&bench, NULL);
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    for (unsigned i = 0; i < 2; i++) {
        await_ready(i + 1);
        struct fb_peer *peer = bench.vols[bench.vol_count - 1].peer;
        unsigned before = bench.stages[FB_CLIENT_LOST], offers = (unsigned)counts().offers;
        stun.asked = 0;
        for (int tries = 0; tries < 100 && stun.asked == 0; tries++) {
            vol_says(peer, "\2\x13", 2); /* FULL */
            (void)wait_for(&bench.e.loop, has_asked, &stun, 100);
        }
        assert_true(stun.asked > 0);
        assert_int_equal(counts().offers, offers);
        vol_says(peer, hop[i], len[i]);
        await_breach(before);
    }
    await_ready(3);
    assert_int_equal(counts().sessions_all, 1);
    uv_close((uv_handle_t *)&stun.udp, silent_closed);
    while (!stun.closed)
        uv_run(&bench.e.loop, UV_RUN_NOWAIT);
    end();
}

/* ---- a volunteer's second lane ---- */

struct second {
    struct fb_peer *peer, *first;
};
static struct second second;

static void second_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_ANSWER, .lane = 2, .desc = *local};
    uint8_t hop[FB_HOP_MAX];
    fb_desc_filter(&msg.desc, true);
    int len = fb_hop_encode(&msg, hop, sizeof hop);
    assert_true(len > 0);
    vol_says(second.first, hop, (size_t)len);
}

static void second_opened(void *user, struct fb_peer *peer) {
}

static void second_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
}

static void second_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    second.peer = NULL;
}

static const struct fb_peer_handler second_handler = {.described = second_described,
                                                      .open = second_opened,
                                                      .message = second_message,
                                                      .closed = second_closed};

/* Answers lane 2 and no other. */
static void take_second(struct vol *vol, const uint8_t *data, size_t len) {
    const struct fb_peer_config config = {.local = true, .handler = &second_handler};
    struct fb_hop_msg msg;
    if (fb_hop_decode(&msg, data, len) != 0 || msg.type != FB_HOP_LANE_OFFER || msg.lane != 2 ||
        second.peer != NULL)
        return;
    second.first = vol->peer;
    assert_int_equal(fb_peer_new(&second.peer, bench.rtc, &config), 0);
    assert_int_equal(fb_peer_set_remote(second.peer, &msg.desc), 0);
}

static bool has_second_lane(void *ctx) {
    return counts().lanes == 2;
}

static bool has_no_peer(void *ctx) {
    return ((const struct vol *)ctx)->peer == NULL;
}

/* The first lane may be closed as any other, and twice (both ends may say so); the last may not:
 * its path would stay, and carry nothing. */
static void volunteer_closes_all_lanes(void **state) {
    begin(1);
    await_ready(1);
    bench.hop = take_second;
    struct vol *vol = &bench.vols[0];
    for (int tries = 0; tries < 100 && counts().lanes < 2; tries++) {
        vol_says(vol->peer, "\2\x13", 2); /* FULL */
        (void)wait_for(&bench.e.loop, has_second_lane, NULL, 100);
    }
    assert_int_equal(counts().lanes, 2);
    vol_says(vol->peer, "\2\x12\0\1", 4);
    vol_says(vol->peer, "\2\x12\0\1", 4);
    assert_true(wait_for(&bench.e.loop, has_no_peer, vol, 2000));
    assert_int_equal(counts().lanes, 1);
    assert_int_equal(counts().paths, 1);
    assert_int_equal(bench.stages[FB_CLIENT_LOST], 0);
    vol_says(second.peer, "\2\x12\0\2", 4);
    await_breach(0);
    bench.hop = NULL;
    await_ready(2);
    if (second.peer != NULL)
        fb_peer_close(second.peer);
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
        uv_read_stop((uv_stream_t *)&app.tcp); /* or it might have all before there is another */
        await_paths(3 + i);
        uv_read_start((uv_stream_t *)&app.tcp, app_alloc, app_read);
    }
    assert_int_equal(bench.offers_direct, 1);
    assert_int_equal(bench.offers_inside, 5);
    uv_read_stop((uv_stream_t *)&app.tcp);
    for (size_t i = 0; i < bench.vol_count; i++)
        vol_close(&bench.vols[i]);
    await_paths(9);
    assert_int_equal(bench.offers_direct, 2);
    uv_read_start((uv_stream_t *)&app.tcp, app_alloc, app_read);
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
        cmocka_unit_test(lanes_answered_before_the_offer),
        cmocka_unit_test(volunteer_closes_all_lanes),
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
