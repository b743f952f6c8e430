/* What the tests of role/broker share: a broker with its surroundings, a volunteer and a client. */
#ifndef FB_TEST_BROKER_RIG_H
#define FB_TEST_BROKER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/rendezvous.h"
#include "core/ticket.h"
#include "crypto/openssl.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "role/broker.h"
#include "wait.h"

#define LIMIT_MS 10000

static const uint8_t process_id[FB_PROCESS_ID_LEN] = "process number 1";
static const uint8_t egress_id[FB_EGRESS_ID_LEN] = "the one egress of this network.";
static const uint8_t link_secret[FB_KEY_LEN] = "a secret of broker and egresses";

struct vol {
    struct fb_ws *ws;
    bool open, closed;
    int code;
    size_t got;
    struct fb_vol_msg last;
    unsigned seen[FB_VOL_STATUS + 1]; /* messages by type */
};

struct client {
    struct fb_rendezvous *rv;
    struct fb_fetch *fetch;
    struct fb_offer offer;
    uint8_t sealed[FB_SEALED_OFFER_LEN];
    bool done;
    int err, status;
    struct fb_answer answer;
};

struct world {
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_fetcher *fetcher;
    struct fb_broker *broker;
    struct fb_addr addr;
    struct fb_broker_link link; /* an egress of this process */
    uint8_t network_seed[FB_KEY_LEN], network_id[FB_KEY_LEN], sealing_public[FB_KEY_LEN];
    struct fb_ticket_key ticket_key;
    struct fb_document document;
    struct fb_log log;
    char logged[65536];
    size_t logged_len;
    struct client client;
    struct vol vol;
    /* what the egress of this process was answered */
    unsigned answers;
    uint64_t number;
    uint8_t sealed[FB_SEALED_ANSWER_LEN];
    size_t sealed_len;
    char body[4096];
    size_t body_len;
    int body_status;
    bool body_done;
};

static void keep_log(void *ctx, enum fb_log_level level, const char *line) {
    struct world *w = ctx;
    size_t len = strlen(line);
    if (w->logged_len + len < sizeof w->logged) {
        memcpy(w->logged + w->logged_len, line, len);
        w->logged_len += len;
    }
}

static void on_answered(void *user, uint64_t request, const uint8_t *sealed, size_t len) {
    struct world *w = user;
    w->answers++;
    w->number = request;
    w->sealed_len = len;
    memcpy(w->sealed, sealed, len);
}

static struct world *world_new(bool local, void (*adjust)(struct fb_broker_config *config)) {
    struct world *w = calloc(1, sizeof *w);
    const struct fb_crypto *crypto = fb_crypto_openssl();
    char err[FB_BROKER_ERR_MAX];
    uv_loop_init(&w->loop);
    w->log = (struct fb_log){"broker", FB_LOG_DEBUG, keep_log, w};
    struct fb_net_config net = {.loop = &w->loop};
    w->net = fb_net_new(&net, err);
    w->server = fb_server_new(w->net, NULL, NULL, err);
    w->fetcher = fb_fetcher_new(&w->loop, NULL);
    w->addr = (struct fb_addr){.family = 4, .ip = {127, 0, 0, 1}};
    assert_int_equal(fb_server_listen(w->server, &w->addr, err), 0);

    struct fb_broker_config config;
    fb_broker_config_init(&config);
    memset(w->network_seed, 1, FB_KEY_LEN);
    memset(config.sealing_key, 2, FB_KEY_LEN);
    memset(config.ticket_seed, 3, FB_KEY_LEN);
    fb_ed25519_public(w->network_seed, w->network_id);
    memcpy(config.network_id, w->network_id, FB_KEY_LEN);
    struct fb_document *document = &w->document;
    document->flags = local ? FB_DOCUMENT_LOCAL : 0;
    document->serial = 7;
    document->issued_s = fb_unix_s();
    document->expires_s = fb_unix_s() + 3600;
    document->broker_count = document->egress_count = document->stun_count = 1;
    snprintf(document->brokers[0].url, FB_URL_MAX, "http://127.0.0.1:%u", w->addr.port);
    snprintf(document->egresses[0].url, FB_URL_MAX, "wss://egress.example/v1/path");
    snprintf(document->stun[0], FB_HOSTPORT_MAX, "stun.example:3478");
    memcpy(document->egresses[0].id, egress_id, FB_EGRESS_ID_LEN);
    fb_x25519_public(config.sealing_key, document->brokers[0].sealing_key);
    fb_ed25519_public(config.ticket_seed, document->brokers[0].ticket_key);
    memcpy(w->sealing_public, document->brokers[0].sealing_key, FB_KEY_LEN);
    fb_ticket_key_init(&w->ticket_key, crypto, document->brokers[0].ticket_key);
    uint8_t bytes[FB_DOCUMENT_MAX];
    assert_int_equal(
        fb_document_encode(crypto, document, w->network_seed, bytes, &config.document_len), 0);
    config.document = bytes;
    config.net = w->net;
    config.server = w->server;
    config.crypto = crypto;
    config.log = &w->log;
    config.link_secret = link_secret;
    if (adjust != NULL)
        adjust(&config);
    w->broker = fb_broker_new(&config, err);
    if (w->broker == NULL)
        fail_msg("%s", err);
    assert_int_equal(fb_broker_attach(w->broker, egress_id, process_id, on_answered, w, &w->link),
                     0);
    return w;
}

static void world_free(struct world *w) {
    fb_rendezvous_free(w->client.rv);
    fb_broker_stop(w->broker);
    fb_fetcher_free(w->fetcher);
    fb_server_free(w->server);
    fb_broker_free(w->broker);
    fb_net_free(w->net);
    assert_int_equal(fb_loop_finish(&w->loop), 0);
    free(w);
}

/* ---- a volunteer ---- */

static void vol_open(void *user, struct fb_ws *ws) {
    ((struct vol *)user)->open = true;
}

static void vol_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct vol *vol = user;
    assert_int_equal(fb_vol_decode(&vol->last, data, len), 0);
    vol->seen[vol->last.type]++;
    vol->got++;
}

static void vol_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct vol *vol = user;
    vol->closed = true;
    vol->code = code;
}

static bool vol_is_open(void *ctx) {
    return ((struct vol *)ctx)->open;
}

static bool vol_is_closed(void *ctx) {
    return ((struct vol *)ctx)->closed;
}

static bool vol_got(void *ctx) {
    return ((struct vol *)ctx)->got > 0;
}

static void vol_say(struct vol *vol, struct fb_vol_msg msg) {
    uint8_t bytes[FB_VOL_MAX];
    int len = fb_vol_encode(&msg, bytes, sizeof bytes);
    assert_true(len > 0);
    vol->got = 0;
    assert_int_equal(fb_ws_send(vol->ws, bytes, (size_t)len), 0);
}

static const struct fb_ws_handler vol_handler = {vol_open, vol_message, NULL, vol_closed};

static void vol_connect_handled(struct world *w, struct vol *vol,
                                const struct fb_ws_handler *handler) {
    static const struct fb_ws_limits limits = {.message_max = FB_VOL_MAX, .send_max = 10000};
    char url[80], err[FB_NET_ERR_MAX];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/v1/volunteer", w->addr.port);
    memset(vol, 0, sizeof *vol);
    vol->ws = fb_ws_connect(w->net, url, &limits, 5000000, handler, vol, err);
    assert_true(wait_for(&w->loop, vol_is_open, vol, LIMIT_MS));
}

static void vol_connect(struct world *w, struct vol *vol) {
    vol_connect_handled(w, vol, &vol_handler);
}

static void vol_join_handled(struct world *w, struct vol *vol, uint16_t places,
                             const struct fb_ws_handler *handler) {
    vol_connect_handled(w, vol, handler);
    vol_say(vol, (struct fb_vol_msg){
                     .type = FB_VOL_HELLO,
                     .hello = {FB_SIGNAL_VERSION, FB_VOLUNTEER_BROWSER, FB_NAT_EASY, 4}});
    assert_true(wait_for(&w->loop, vol_got, vol, LIMIT_MS));
    assert_int_equal(vol->last.type, FB_VOL_WELCOME);
    if (places > 0)
        vol_say(vol, (struct fb_vol_msg){.type = FB_VOL_READY, .free = places});
}

static void vol_join(struct world *w, struct vol *vol, uint16_t places) {
    vol_join_handled(w, vol, places, &vol_handler);
}

/* ---- a client ---- */

static struct fb_desc a_desc(enum fb_setup setup) {
    struct fb_desc desc = {.setup = setup, .sctp_port = 5000, .max_message_size = 65536};
    strcpy(desc.ufrag, "abcd");
    strcpy(desc.pwd, "abcdefghijklmnopqrstuvwx");
    static const uint8_t ips[][4] = {
        {10, 0, 0, 1}, {8, 8, 8, 8}, {127, 0, 0, 1}, {9, 9, 9, 9}, {1, 1, 1, 1}};
    for (size_t i = 0; i < 5; i++) {
        struct fb_candidate *c = &desc.candidates[desc.candidate_count++];
        c->type = FB_CAND_HOST;
        c->addr = (struct fb_addr){.family = 4, .port = (uint16_t)(4000 + i)};
        memcpy(c->addr.ip, ips[i], 4);
        c->priority = 1000 - (uint32_t)i;
    }
    return desc;
}

static void client_prepare(struct world *w, struct client *client) {
    memset(client, 0, sizeof *client);
    memcpy(client->offer.egress, egress_id, FB_EGRESS_ID_LEN);
    memset(client->offer.first, 0x11, FB_FIRST_LEN);
    client->offer.desc = a_desc(FB_SETUP_ACTPASS);
    client->offer.nat = FB_NAT_EASY;
}

static void client_seal(struct world *w, struct client *client) {
    assert_int_equal(fb_rendezvous_offer(&client->rv, fb_mem_default(), fb_rng_default(),
                                         fb_crypto_openssl(), w->sealing_public, w->network_id,
                                         &client->offer, client->sealed),
                     0);
}

static void client_done(void *user, const struct fb_fetched *result) {
    struct client *client = user;
    client->done = true;
    client->fetch = NULL;
    client->err = result->err;
    client->status = result->status;
    if (result->err != 0 || client->rv == NULL)
        return;
    assert_int_equal(fb_rendezvous_answer(client->rv, result->body, result->len, &client->answer),
                     0);
}

static void client_post(struct world *w, struct client *client, size_t len) {
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/v1/offer", w->addr.port);
    struct fb_fetch_request request = {
        .url = url, .body = client->sealed, .len = len, .reply_max = 4096, .timeout_ms = 30000};
    client->done = false;
    client->fetch = fb_fetch_start(w->fetcher, &request, client_done, client);
}

static bool client_is_done(void *ctx) {
    return ((struct client *)ctx)->done;
}

static void client_start(struct world *w, struct client *client) {
    client_prepare(w, client);
    client_seal(w, client);
    client_post(w, client, sizeof client->sealed);
}

static bool is_waiting(void *ctx) {
    struct fb_broker_counts counts;
    fb_broker_count(((struct world *)ctx)->broker, &counts);
    return counts.match.waiting == 1;
}

static void answer_offer(struct world *w, struct vol *vol) {
    assert_true(wait_for(&w->loop, vol_got, vol, LIMIT_MS));
    assert_int_equal(vol->last.type, FB_VOL_OFFER);
    vol_say(vol, (struct fb_vol_msg){.type = FB_VOL_ANSWER,
                                     .match = vol->last.match,
                                     .desc = a_desc(FB_SETUP_ACTIVE)});
    assert_true(wait_for(&w->loop, vol_got, vol, LIMIT_MS));
    assert_int_equal(vol->last.type, FB_VOL_RELEASE);
}

static void check_release(struct world *w, const struct vol *vol, const struct client *client) {
    struct fb_ticket ticket;
    const struct fb_vol_release *release = &vol->last.release;
    assert_memory_equal(release->egress, egress_id, FB_EGRESS_ID_LEN);
    assert_memory_equal(release->first, client->offer.first, FB_FIRST_LEN);
    assert_int_equal(fb_ticket_check(fb_crypto_openssl(), release->ticket, FB_TICKET_LEN,
                                     &w->ticket_key, 1, process_id, release->first, FB_FIRST_LEN,
                                     fb_unix_s(), &ticket),
                     0);
}

#endif
