/*
 * role/volunteer between a broker, an egress and a client that are stubs: real sockets, real
 * WebRTC, all on one loop.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "net/server.h"
#include "role/volunteer.h"
#include "rtc/peer.h"
#include "wait.h"

#define LIMIT_MS 20000
#define MATCH 77
#define MESSAGE_LEN 15000
/* Half a megabyte each way before somebody must wait, over what TCP holds by itself. */
#define MANY 1500

static const uint8_t seed[FB_KEY_LEN] = {1};

/* One end of the path as seen by its owner. */
struct end {
    unsigned messages, hops, limits;
    size_t bytes;
    int farewell; /* enum fb_farewell, or -1 */
    bool closed, bad;
    uint8_t first[1 + FB_TICKET_LEN + FB_FIRST_LEN];
    size_t first_len;
};

struct world {
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_fetcher *fetcher;
    struct fb_rtc *rtc;
    struct fb_volunteer *volunteer;
    struct fb_join join;
    uint8_t document[FB_DOCUMENT_MAX];
    size_t document_len;

    struct fb_ws *broker; /* the volunteer's socket at the broker */
    unsigned hellos, readies, answers, dones;
    enum fb_outcome outcome;
    bool broker_closed;

    struct fb_ws *egress; /* its socket at the egress */
    struct end at_egress, at_client;
    bool echo;

    struct fb_peer *client;
    bool client_open;
    unsigned to_send, sent;
    bool rtc_gone;
};

/* ---- broker ---- */

static void broker_say(struct world *w, const struct fb_vol_msg *msg) {
    uint8_t out[FB_VOL_MAX];
    int len = fb_vol_encode(msg, out, sizeof out);
    assert_true(len > 0);
    assert_int_equal(fb_ws_send(w->broker, out, (size_t)len), 0);
}

static void broker_release(struct world *w) {
    struct fb_vol_msg msg = {.type = FB_VOL_RELEASE, .match = MATCH};
    memset(msg.release.egress, 9, sizeof msg.release.egress);
    memset(msg.release.ticket, 0x70, sizeof msg.release.ticket);
    memset(msg.release.first, 0x71, sizeof msg.release.first);
    broker_say(w, &msg);
}

static void on_broker_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct world *w = user;
    struct fb_vol_msg msg, welcome = {.type = FB_VOL_WELCOME,
                                      .welcome = {.version = FB_SIGNAL_VERSION, .country = "NZ"}};
    assert_int_equal(fb_vol_decode(&msg, data, len), 0);
    switch (msg.type) {
    case FB_VOL_HELLO:
        assert_int_equal(msg.hello.kind, FB_VOLUNTEER_HEADLESS);
        w->hellos++;
        broker_say(w, &welcome);
        break;
    case FB_VOL_READY: w->readies++; break;
    case FB_VOL_ANSWER:
        w->answers++;
        assert_int_equal(fb_peer_set_remote(w->client, &msg.desc), 0);
        broker_release(w);
        break;
    case FB_VOL_DONE:
        w->dones++;
        w->outcome = msg.outcome;
        break;
    default: break;
    }
}

static void on_broker_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct world *w = user;
    w->broker = NULL;
    w->broker_closed = true;
}

static const struct fb_ws_handler broker_handler = {NULL, on_broker_message, NULL,
                                                    on_broker_closed};

static bool accept_broker(void *ctx, struct fb_ws *ws, void **user) {
    struct world *w = ctx;
    w->broker = ws;
    w->broker_closed = false;
    *user = w;
    return true;
}

static void serve_document(void *user, struct fb_http_req *req) {
    struct world *w = user;
    fb_http_reply(req, 200, "application/octet-stream", NULL, w->document, w->document_len);
}

/* ---- what both ends of a path do ---- */

static void take_hop(struct end *end, const uint8_t *data, size_t len) {
    struct fb_hop_msg hop;
    assert_int_equal(fb_hop_decode(&hop, data, len), 0);
    end->hops++;
    if (hop.type == FB_HOP_LIMIT)
        end->limits++;
    if (hop.type == FB_HOP_FAREWELL)
        end->farewell = (int)hop.farewell;
}

static void make_message(unsigned number, uint8_t out[static MESSAGE_LEN]) {
    memset(out, (int)(number * 7), MESSAGE_LEN);
    out[0] = FB_KIND_SESSION;
    out[1] = (uint8_t)(number >> 8);
    out[2] = (uint8_t)number;
}

static void take_session(struct end *end, const uint8_t *data, size_t len) {
    uint8_t expected[MESSAGE_LEN];
    end->messages++;
    end->bytes += len;
    if (len != MESSAGE_LEN) {
        end->bad = true;
        return;
    }
    make_message((unsigned)(data[1] << 8 | data[2]), expected);
    end->bad |= memcmp(data, expected, len) != 0;
}

/* ---- egress ---- */

static void on_egress_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct world *w = user;
    struct end *end = &w->at_egress;
    if (end->first_len == 0) {
        end->first_len = len;
        memcpy(end->first, data, len < sizeof end->first ? len : sizeof end->first);
    } else if (data[0] == FB_KIND_HOP) {
        take_hop(end, data, len);
    } else {
        take_session(end, data, len);
        if (w->echo)
            assert_int_equal(fb_ws_send(ws, data, len), 0);
    }
}

static void on_egress_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct world *w = user;
    w->egress = NULL;
    w->at_egress.closed = true;
}

static const struct fb_ws_handler egress_handler = {NULL, on_egress_message, NULL,
                                                    on_egress_closed};

static bool accept_egress(void *ctx, struct fb_ws *ws, void **user) {
    struct world *w = ctx;
    w->egress = ws;
    *user = w;
    return true;
}

/* ---- client ---- */

static void client_send(struct world *w) {
    uint8_t message[MESSAGE_LEN];
    while (w->client != NULL && w->sent < w->to_send) {
        make_message(w->sent, message);
        if (fb_peer_send(w->client, message, sizeof message) != 0)
            return;
        w->sent++;
    }
}

static void on_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct world *w = user;
    struct fb_vol_msg msg = {.type = FB_VOL_OFFER, .match = MATCH, .desc = *local};
    broker_say(w, &msg);
}

static void on_client_open(void *user, struct fb_peer *peer) {
    struct world *w = user;
    w->client_open = true;
    client_send(w);
}

static void on_client_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct world *w = user;
    if (data[0] == FB_KIND_HOP)
        take_hop(&w->at_client, data, len);
    else
        take_session(&w->at_client, data, len);
}

static void on_client_writable(void *user, struct fb_peer *peer) {
    client_send(user);
}

static void on_client_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct world *w = user;
    w->client = NULL;
    w->at_client.closed = true;
}

static const struct fb_peer_handler client_handler = {
    on_described, NULL, on_client_open, on_client_message, on_client_writable, on_client_closed};

/* ---- the world ---- */

static void sign_document(struct world *w, uint16_t port) {
    struct fb_document document = {.flags = FB_DOCUMENT_LOCAL,
                                   .serial = 1,
                                   .issued_s = fb_unix_s(),
                                   .expires_s = fb_unix_s() + 1000,
                                   .broker_count = 1,
                                   .egress_count = 1};
    char *broker = document.brokers[0].url, *egress = document.egresses[0].url;
    snprintf(broker, FB_URL_MAX, "http://127.0.0.1:%u", port);
    snprintf(egress, FB_URL_MAX, "ws://127.0.0.1:%u/v1/path", port);
    memset(document.egresses[0].id, 9, FB_EGRESS_ID_LEN);
    memcpy(w->join.brokers[0], broker, sizeof w->join.brokers[0]);
    w->join.broker_count = 1;
    assert_int_equal(fb_ed25519_public(seed, w->join.network), 0);
    assert_int_equal(
        fb_document_encode(fb_crypto_openssl(), &document, seed, w->document, &w->document_len), 0);
}

static void start_servers(struct world *w) {
    static const struct fb_ws_limits broker = {.message_max = FB_VOL_MAX, .send_max = 65536},
                                     egress = {.message_max = FB_MESSAGE_MAX, .send_max = 1 << 26};
    char err[FB_NET_ERR_MAX];
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    struct fb_http_route document = {"GET", "/v1/network", 0, serve_document, w};
    struct fb_ws_route volunteers = {"/v1/volunteer", broker, &broker_handler, accept_broker, w};
    struct fb_ws_route paths = {"/v1/path", egress, &egress_handler, accept_egress, w};
    w->server = fb_server_new(w->net, NULL, NULL, err);
    assert_int_equal(fb_server_add_http(w->server, &document), 0);
    assert_int_equal(fb_server_add_ws(w->server, &volunteers), 0);
    assert_int_equal(fb_server_add_ws(w->server, &paths), 0);
    assert_int_equal(fb_server_listen(w->server, &addr, err), 0);
    sign_document(w, addr.port);
}

static bool is_ready(void *ctx) {
    return ((struct world *)ctx)->readies > 0;
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof *w);
    char err[FB_NET_ERR_MAX];
    uv_loop_init(&w->loop);
    w->at_client.farewell = w->at_egress.farewell = -1;
    struct fb_net_config net = {.loop = &w->loop};
    w->net = fb_net_new(&net, err);
    w->fetcher = fb_fetcher_new(&w->loop, NULL);
    assert_int_equal(fb_rtc_new(&w->rtc, &w->loop), 0);
    start_servers(w);
    struct fb_volunteer_config config = {.net = w->net,
                                         .fetcher = w->fetcher,
                                         .rtc = w->rtc,
                                         .crypto = fb_crypto_openssl(),
                                         .join = &w->join};
    w->volunteer = fb_volunteer_new(&config);
    assert_non_null(w->volunteer);
    assert_true(wait_for(&w->loop, is_ready, w, LIMIT_MS));
    *state = w;
    return 0;
}

static void on_rtc_gone(void *user) {
    ((struct world *)user)->rtc_gone = true;
}

static bool rtc_is_gone(void *ctx) {
    return ((struct world *)ctx)->rtc_gone;
}

static int tear_down(void **state) {
    struct world *w = *state;
    if (w->client != NULL)
        fb_peer_close(w->client);
    fb_volunteer_free(w->volunteer);
    fb_rtc_free(w->rtc, on_rtc_gone, w);
    assert_true(wait_for(&w->loop, rtc_is_gone, w, LIMIT_MS));
    fb_fetcher_free(w->fetcher);
    fb_server_free(w->server);
    fb_net_free(w->net);
    assert_int_equal(fb_loop_finish(&w->loop), 0);
    free(w);
    return 0;
}

static void start_client(struct world *w) {
    struct fb_peer_config config = {
        .offerer = true, .local = true, .handler = &client_handler, .user = w};
    assert_int_equal(fb_peer_new(&w->client, w->rtc, &config), 0);
}

static bool is_carrying(void *ctx) {
    struct world *w = ctx;
    return w->at_client.limits > 0 && w->at_egress.limits > 0;
}

static bool all_echoed(void *ctx) {
    struct world *w = ctx;
    return w->at_client.messages >= w->to_send;
}

static bool both_closed(void *ctx) {
    struct world *w = ctx;
    return w->at_client.closed && w->at_egress.closed;
}

static bool is_done(void *ctx) {
    return ((struct world *)ctx)->dones > 0;
}

static void carry(struct world *w) {
    start_client(w);
    assert_true(wait_for(&w->loop, is_carrying, w, LIMIT_MS));
}

/* ---- tests ---- */

static void relays_both_ways(void **state) {
    struct world *w = *state;
    w->echo = true;
    w->to_send = 300;
    carry(w);
    assert_true(wait_for(&w->loop, all_echoed, w, LIMIT_MS));
    assert_int_equal(w->at_egress.messages, 300);
    assert_int_equal(w->at_client.messages, 300);
    assert_false(w->at_egress.bad || w->at_client.bad);
    /* Ticket and first message came first, as they were released. */
    assert_int_equal(w->at_egress.first_len, 1 + FB_TICKET_LEN + FB_FIRST_LEN);
    assert_int_equal(w->at_egress.first[0], FB_KIND_ATTACH);
    assert_int_equal(w->at_egress.first[1], 0x70);
    assert_int_equal(w->at_egress.first[1 + FB_TICKET_LEN], 0x71);
    struct fb_slot_view view;
    fb_volunteer_view(w->volunteer, &view);
    assert_int_equal(view.state, FB_SLOT_CARRYING);
    assert_int_equal(view.people_now, 1);
    assert_true(view.bytes_up == 300 * MESSAGE_LEN && view.bytes_down == 300 * MESSAGE_LEN);
    assert_string_equal(view.country, "NZ");
}

static void stop_says_farewell(void **state) {
    struct world *w = *state;
    carry(w);
    fb_volunteer_stop(w->volunteer);
    assert_true(wait_for(&w->loop, both_closed, w, LIMIT_MS));
    assert_int_equal(w->at_client.farewell, FB_FAREWELL_OFF);
    assert_int_equal(w->at_egress.farewell, FB_FAREWELL_OFF);
}

static void egress_gone_closes_the_peer(void **state) {
    struct world *w = *state;
    carry(w);
    fb_ws_close(w->egress, 1001, "restart");
    w->at_egress.closed = true;
    assert_true(wait_for(&w->loop, both_closed, w, LIMIT_MS));
    assert_int_equal(w->at_client.farewell, FB_FAREWELL_EGRESS);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
    assert_int_equal(w->outcome, FB_OUTCOME_CARRIED);
}

static void client_gone_closes_the_egress(void **state) {
    struct world *w = *state;
    carry(w);
    fb_peer_close(w->client);
    w->client = NULL;
    w->at_client.closed = true;
    assert_true(wait_for(&w->loop, both_closed, w, LIMIT_MS));
    assert_int_equal(w->at_egress.farewell, FB_FAREWELL_PEER);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
}

static bool egress_has_all(void *ctx) {
    struct world *w = ctx;
    return w->at_egress.messages >= w->to_send;
}

static bool second_over(void *ctx) {
    return fb_now_us() > *(uint64_t *)ctx;
}

/* An egress that does not read: the client is made to wait, and nothing is lost. */
static void stalled_egress_holds_the_client_back(void **state) {
    struct world *w = *state;
    carry(w);
    fb_ws_pause(w->egress);
    w->to_send = MANY;
    client_send(w);
    uint64_t until = fb_now_us() + 1500000; /* time enough to take all, if nothing held it back */
    wait_for(&w->loop, second_over, &until, 1500);
    assert_true(w->sent < MANY);
    assert_false(w->at_client.closed);
    fb_ws_resume(w->egress);
    assert_true(wait_for(&w->loop, egress_has_all, w, LIMIT_MS));
    assert_false(w->at_egress.bad);
    assert_int_equal(w->at_egress.messages, MANY);
}

/* A client that does not read: the egress's socket is made to wait. */
static void stalled_client_holds_the_egress_back(void **state) {
    struct world *w = *state;
    uint8_t message[MESSAGE_LEN];
    carry(w);
    fb_peer_pause(w->client, true);
    for (unsigned i = 0; i < MANY; i++) {
        make_message(i, message);
        assert_int_equal(fb_ws_send(w->egress, message, sizeof message), 0);
    }
    uint64_t until = fb_now_us() + 1500000;
    wait_for(&w->loop, second_over, &until, 1500);
    assert_true(fb_ws_buffered(w->egress) > 0);
    assert_false(w->at_egress.closed);
    w->to_send = MANY;
    w->sent = MANY;
    fb_peer_pause(w->client, false);
    assert_true(wait_for(&w->loop, all_echoed, w, LIMIT_MS));
    assert_false(w->at_client.bad);
    assert_int_equal(w->at_client.messages, MANY);
}

static bool broker_left(void *ctx) {
    return ((struct world *)ctx)->broker_closed;
}

static bool hello_again(void *ctx) {
    struct world *w = ctx;
    return w->hellos > 1 && w->readies > 1;
}

/* A broker that breaks the rules is left, and tried again; matches live on. */
static void bad_broker_is_left(void **state) {
    struct world *w = *state;
    carry(w);
    assert_int_equal(fb_ws_send(w->broker, "rubbish", 7), 0);
    assert_true(wait_for(&w->loop, broker_left, w, LIMIT_MS));
    assert_true(wait_for(&w->loop, hello_again, w, LIMIT_MS));
    w->echo = true;
    w->to_send = 10;
    client_send(w);
    assert_true(wait_for(&w->loop, all_echoed, w, LIMIT_MS));
}

#define VOLUNTEER_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        VOLUNTEER_TEST(relays_both_ways),
        VOLUNTEER_TEST(stop_says_farewell),
        VOLUNTEER_TEST(egress_gone_closes_the_peer),
        VOLUNTEER_TEST(client_gone_closes_the_egress),
        VOLUNTEER_TEST(stalled_egress_holds_the_client_back),
        VOLUNTEER_TEST(stalled_client_holds_the_egress_back),
        VOLUNTEER_TEST(bad_broker_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
