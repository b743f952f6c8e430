/*
 * A client with a whole network around it, on loopback and one loop: the egress of bench_egress.h,
 * a broker that does as it is told, volunteers with real WebRTC peers that can be bad or vanish,
 * and apps at the client's proxy.
 */
#ifndef FB_TEST_BENCH_CLIENT_H
#define FB_TEST_BENCH_CLIENT_H

#include "bench_egress.h"
#include "core/document.h"
#include "core/rendezvous.h"
#include "net/fetch.h"
#include "role/client.h"
#include "rtc/peer.h"

/* ---- volunteers ---- */

struct net_bench;

struct vol {
    struct net_bench *bench;
    struct fb_rendezvous *rv; /* until the answer is given */
    struct fb_http_req *req;  /* where the offer came directly ... */
    uint64_t request;         /* ... or its number on the egress's link */
    struct fb_peer *peer;
    struct fb_ws *ws;
    bool peer_open, ws_open, carried;
    bool frozen; /* says and passes on nothing, closes nothing */
    uint8_t attach[1 + FB_TICKET_LEN + FB_FIRST_LEN];
    uint8_t *kept[256]; /* from the egress, for a channel that is not open yet */
    size_t kept_len[256], kept_count;
    unsigned count;
};

#define VOLS 24

struct net_bench {
    struct egress_bench e;
    struct fb_rtc *rtc;
    struct fb_fetcher *fetcher;
    struct fb_client *client;
    struct fb_join join;
    uint8_t sealing_key[FB_KEY_LEN], network_seed[FB_KEY_LEN];
    uint8_t document[FB_DOCUMENT_MAX];
    size_t document_len;
    struct vol vols[VOLS];
    size_t vol_count;
    unsigned offers_direct, offers_inside, documents_direct, cancelled;
    uint64_t serial;   /* of the newest document, as answers name it */
    uint64_t lasts_s;  /* ... and how long the next is valid; 0: an hour */
    const char *cache; /* of the client; NULL: none */
    /* What volunteers do with session messages, each one in so many; 0: never. */
    unsigned drop, alter, repeat;
    bool mute; /* they pass nothing on to the egress */
    /* What a client says of lanes; NULL: it is ignored. With it, the end of a volunteer's first
     * lane is not the volunteer's. */
    void (*hop)(struct vol *vol, const uint8_t *data, size_t len);
    char stun[32]; /* in documents signed from now on */
    /* The next offers are answered so, without a volunteer. */
    enum fb_answer_status next[8];
    size_t next_count;
    /* What the client said. */
    unsigned stages[FB_CLIENT_LOST + 1];
    char last[256], ended[256], lost[256]; /* ... in all, of a session's end, of a path's */
    bool rtc_gone;
    struct fb_broker_link link;
};

static inline void vol_close(struct vol *vol) {
    if (vol->peer != NULL)
        fb_peer_close(vol->peer);
    if (vol->ws != NULL)
        fb_ws_close(vol->ws, 1000, NULL);
    vol->peer = NULL;
    vol->ws = NULL;
    fb_rendezvous_free(vol->rv);
    vol->rv = NULL;
    for (size_t i = 0; i < vol->kept_count; i++)
        free(vol->kept[i]);
    vol->kept_count = 0;
}

static inline bool vol_turn(const struct vol *vol, unsigned each) {
    return each != 0 && vol->count % each == each - 1;
}

/* One message through a volunteer, which may be bad. */
static inline void vol_relay(struct vol *vol, bool up, const uint8_t *data, size_t len) {
    uint8_t copy[FB_MESSAGE_MAX];
    struct net_bench *bench = vol->bench;
    vol->count++;
    vol->carried = true;
    if (vol->frozen || (up && bench->mute) || len == 0 || len > sizeof copy ||
        data[0] != FB_KIND_SESSION || vol_turn(vol, bench->drop))
        return;
    memcpy(copy, data, len);
    if (vol_turn(vol, bench->alter))
        copy[len - 1] ^= 4;
    for (int i = 0; i < (vol_turn(vol, bench->repeat) ? 2 : 1); i++) {
        if (up && vol->ws != NULL)
            fb_ws_send(vol->ws, copy, len);
        else if (!up && vol->peer != NULL)
            fb_peer_send(vol->peer, copy, len);
    }
}

static inline void vol_ws_opened(void *user, struct fb_ws *ws) {
    struct vol *vol = user;
    vol->ws_open = true;
    fb_ws_send(ws, vol->attach, sizeof vol->attach);
}

static inline void vol_ws_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct vol *vol = user;
    if (vol->peer_open) {
        vol_relay(vol, false, data, len);
    } else if (vol->kept_count < 256) {
        vol->kept[vol->kept_count] = malloc(len);
        memcpy(vol->kept[vol->kept_count], data, len);
        vol->kept_len[vol->kept_count++] = len;
    }
}

static inline void vol_ws_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct vol *vol = user;
    vol->ws = NULL;
    vol_close(vol);
}

static const struct fb_ws_handler vol_ws_handler = {
    .open = vol_ws_opened, .message = vol_ws_message, .closed = vol_ws_closed};

static inline void bench_answer(struct vol *vol, const struct fb_answer *answer) {
    uint8_t sealed[FB_SEALED_ANSWER_LEN];
    if (fb_rendezvous_reply(vol->rv, answer, sealed) != 0)
        abort();
    fb_rendezvous_free(vol->rv);
    vol->rv = NULL;
    if (vol->req != NULL)
        fb_http_reply(vol->req, 200, "application/octet-stream", NULL, sealed, sizeof sealed);
    else
        fb_egress_answered(vol->bench->e.egress, vol->request, sealed, sizeof sealed);
    vol->req = NULL;
}

static inline void vol_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct vol *vol = user;
    struct fb_answer answer = {
        .status = FB_ANSWER_OK, .desc = *local, .handle = {1, 2}, .document = vol->bench->serial};
    char err[FB_NET_ERR_MAX];
    const struct fb_ws_limits limits = {.message_max = FB_MESSAGE_MAX, .send_max = 4 << 20};
    fb_desc_filter(&answer.desc, true);
    bench_answer(vol, &answer);
    vol->ws = fb_ws_connect(vol->bench->e.net, vol->bench->e.url, &limits, 5000000, &vol_ws_handler,
                            vol, err);
}

static inline void vol_peer_opened(void *user, struct fb_peer *peer) {
    struct vol *vol = user;
    vol->peer_open = true;
    for (size_t i = 0; i < vol->kept_count; i++) {
        vol_relay(vol, false, vol->kept[i], vol->kept_len[i]);
        free(vol->kept[i]);
    }
    vol->kept_count = 0;
}

static inline void vol_peer_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct vol *vol = user;
    if (vol->bench->hop != NULL && len > 0 && data[0] == FB_KIND_HOP)
        vol->bench->hop(vol, data, len);
    vol_relay(vol, true, data, len);
}

static inline void vol_peer_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct vol *vol = user;
    vol->peer = NULL;
    if (vol->bench->hop == NULL)
        vol_close(vol);
}

static const struct fb_peer_handler vol_peer_handler = {.described = vol_described,
                                                        .open = vol_peer_opened,
                                                        .message = vol_peer_message,
                                                        .closed = vol_peer_closed};

/* ---- the broker ---- */

static inline void bench_volunteer(struct vol *vol, struct fb_offer *offer) {
    struct net_bench *bench = vol->bench;
    const struct fb_peer_config config = {
        .local = true, .send_max = 8 << 20, .handler = &vol_peer_handler, .user = vol};
    vol->attach[0] = FB_KIND_ATTACH;
    memcpy(vol->attach + 1 + FB_TICKET_LEN, offer->first, FB_FIRST_LEN);
    fb_desc_filter(&offer->desc, true);
    if (fb_ticket_make(bench->e.crypto, fb_rng_default(), bench->e.ticket_seed,
                       &bench->e.ticket_key, fb_egress_process_id(bench->e.egress), offer->first,
                       FB_FIRST_LEN, fb_unix_s(), vol->attach + 1) != 0 ||
        fb_peer_new(&vol->peer, bench->rtc, &config) != 0 ||
        fb_peer_set_remote(vol->peer, &offer->desc) != 0)
        abort();
}

static inline void bench_take_offer(struct net_bench *bench, struct fb_http_req *req,
                                    uint64_t request, const uint8_t *sealed, size_t len) {
    struct fb_offer offer;
    if (bench->vol_count == VOLS)
        abort();
    struct vol *vol = &bench->vols[bench->vol_count++];
    memset(vol, 0, sizeof *vol);
    vol->bench = bench;
    vol->req = req;
    vol->request = request;
    if (fb_rendezvous_open(&vol->rv, fb_mem_default(), fb_rng_default(), bench->e.crypto,
                           bench->sealing_key, bench->e.network_id, sealed, len, &offer) != 0)
        abort();
    if (bench->next_count == 0) {
        bench_volunteer(vol, &offer);
        return;
    }
    struct fb_answer answer = {.status = bench->next[0]};
    memmove(bench->next, bench->next + 1, --bench->next_count * sizeof bench->next[0]);
    bench_answer(vol, &answer);
}

static inline void bench_http_gone(void *user) {
    struct vol *vol = user;
    vol->req = NULL;
    vol_close(vol);
}

static inline void bench_http_offer(void *user, struct fb_http_req *req) {
    struct net_bench *bench = user;
    size_t len;
    const uint8_t *body = fb_http_body(req, &len);
    bench->offers_direct++;
    fb_http_hold(req, bench_http_gone, &bench->vols[bench->vol_count]);
    bench_take_offer(bench, req, 0, body, len);
}

static inline void bench_http_document(void *user, struct fb_http_req *req) {
    struct net_bench *bench = user;
    bench->documents_direct++;
    fb_http_reply(req, 200, "application/octet-stream", NULL, bench->document, bench->document_len);
}

static inline int net_offer(void *ctx, uint64_t request, const uint8_t *sealed, size_t len) {
    struct net_bench *bench = ctx;
    bench->offers_inside++;
    bench_take_offer(bench, NULL, request, sealed, len);
    return 0;
}

static inline void net_load(void *ctx, const struct fb_link_load *load) {
}

static inline void net_report(void *ctx, const struct fb_link_report *report) {
}

static inline void net_cancel(void *ctx, uint64_t request) {
    struct net_bench *bench = ctx;
    bench->cancelled++;
}

/* ---- the whole ---- */

static inline void net_progress(void *user, enum fb_client_stage stage, const char *text) {
    struct net_bench *bench = user;
    bench->stages[stage]++;
    snprintf(bench->last, sizeof bench->last, "%s", text);
    if (strstr(text, "session has ended") != NULL)
        snprintf(bench->ended, sizeof bench->ended, "%s", text);
    if (stage == FB_CLIENT_LOST)
        snprintf(bench->lost, sizeof bench->lost, "%s", text);
}

static const struct fb_client_handler net_handler = {.progress = net_progress};

/* The document names this egress id; NULL: the right one. */
static inline void net_sign(struct net_bench *bench, const uint8_t *egress_id) {
    struct fb_document document = {.flags = FB_DOCUMENT_LOCAL,
                                   .serial = ++bench->serial,
                                   .issued_s = fb_unix_s(),
                                   .expires_s = fb_unix_s() +
                                                (bench->lasts_s > 0 ? bench->lasts_s : 3600),
                                   .broker_count = 1,
                                   .egress_count = 1};
    snprintf(document.brokers[0].url, FB_URL_MAX, "%s", bench->join.brokers[0]);
    fb_x25519_public(bench->sealing_key, document.brokers[0].sealing_key);
    document.stun_count = bench->stun[0] != '\0';
    snprintf(document.stun[0], sizeof document.stun[0], "%s", bench->stun);
    memcpy(document.brokers[0].ticket_key, bench->e.ticket_key.public_key, FB_KEY_LEN);
    memcpy(document.egresses[0].id, egress_id != NULL ? egress_id : fb_egress_id(bench->e.egress),
           FB_EGRESS_ID_LEN);
    snprintf(document.egresses[0].url, FB_URL_MAX, "%s", bench->e.url);
    if (fb_document_encode(bench->e.crypto, &document, bench->network_seed, bench->document,
                           &bench->document_len) != 0 ||
        fb_egress_set_document(bench->e.egress, bench->document, bench->document_len) != 0)
        abort();
}

/* Everything but the client. */
static inline void net_start(struct net_bench *bench) {
    static const struct fb_http_route offer = {
        .method = "POST", .path = "/v1/offer", .body_max = 4096, .handle = bench_http_offer};
    static const struct fb_http_route document = {
        .method = "GET", .path = "/v1/network", .handle = bench_http_document};
    struct fb_http_route routes[2] = {offer, document};
    memset(bench, 0, sizeof *bench);
    bench_init(&bench->e);
    fb_random(fb_rng_default(), bench->sealing_key, FB_KEY_LEN);
    fb_random(fb_rng_default(), bench->network_seed, FB_KEY_LEN);
    fb_ed25519_public(bench->network_seed, bench->e.network_id);
    memcpy(bench->e.config.network_id, bench->e.network_id, FB_KEY_LEN);
    for (size_t i = 0; i < 2; i++) {
        routes[i].user = bench;
        if (fb_server_add_http(bench->e.server, &routes[i]) != 0)
            abort();
    }
    bench_go(&bench->e);
    bench->link = (struct fb_broker_link){bench, net_load, net_report, net_offer, net_cancel};
    fb_egress_set_broker(bench->e.egress, &bench->link);
    memcpy(bench->join.network, bench->e.network_id, FB_KEY_LEN);
    bench->join.broker_count = 1;
    const char *port = strstr(bench->e.url, "127.0.0.1:");
    snprintf(bench->join.brokers[0], FB_URL_MAX, "http://%.*s", (int)strcspn(port, "/"), port);
    net_sign(bench, NULL);
    bench->fetcher = fb_fetcher_new(&bench->e.loop, NULL);
    if (bench->fetcher == NULL || fb_rtc_new(&bench->rtc, &bench->e.loop) != 0)
        abort();
}

static inline int net_client(struct net_bench *bench, size_t paths, uint16_t port,
                             char err[static FB_NET_ERR_MAX]) {
    const struct fb_client_config config = {
        .net = bench->e.net,
        .fetcher = bench->fetcher,
        .rtc = bench->rtc,
        .crypto = bench->e.crypto,
        .join = &bench->join,
        .software_version = FB_SOFTWARE_VERSION(0, 1, 0),
        .cache_file = bench->cache,
        .listen = {.family = 4, .ip = {127, 0, 0, 1}, .port = port},
        .paths = paths,
        .handler = &net_handler,
        .user = bench,
    };
    return fb_client_new(&bench->client, &config, err);
}

static inline void net_rtc_gone(void *user) {
    *(bool *)user = true;
}

static inline bool net_end(struct net_bench *bench) {
    if (bench->client != NULL)
        fb_client_stop(bench->client);
    for (size_t i = 0; i < bench->vol_count; i++)
        vol_close(&bench->vols[i]);
    fb_rtc_free(bench->rtc, net_rtc_gone, &bench->rtc_gone);
    while (!bench->rtc_gone)
        uv_run(&bench->e.loop, UV_RUN_ONCE);
    fb_client_free(bench->client);
    fb_fetcher_free(bench->fetcher);
    return bench_end(&bench->e);
}

/* ---- apps ---- */

/* A connection to the proxy: sends `say`, then waits for `hear_head` bytes, which are kept, and
 * takes all that follows as pattern(). */
struct app {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    const uint8_t *say;
    size_t say_len;
    const uint8_t *then; /* sent when the head is complete */
    size_t then_len;
    size_t head_want, head_len;
    uint8_t head[4096];
    uint64_t got;
    bool bad, ended, closed;
    uint8_t buf[65536];
};

static inline void app_gone(uv_handle_t *handle) {
    ((struct app *)handle->data)->closed = true;
}

static inline void app_wrote(uv_write_t *request, int status) {
}

static inline void app_send(struct app *app, const uint8_t *bytes, size_t len) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    uv_write(&app->write, (uv_stream_t *)&app->tcp, &buf, 1, app_wrote);
}

static inline void app_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct app *app = handle->data;
    *buf = uv_buf_init((char *)app->buf, sizeof app->buf);
}

static inline void app_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf) {
    struct app *app = tcp->data;
    if (len < 0) {
        app->ended = true;
        uv_close((uv_handle_t *)tcp, app_gone);
        return;
    }
    for (ssize_t i = 0; i < len; i++) {
        if (app->head_len < app->head_want)
            app->head[app->head_len++] = (uint8_t)buf->base[i];
        else
            app->bad |= (uint8_t)buf->base[i] != pattern(app->got++);
    }
    if (app->then != NULL && app->head_len == app->head_want) {
        app_send(app, app->then, app->then_len);
        app->then = NULL;
    }
}

static inline void app_connected(uv_connect_t *request, int status) {
    struct app *app = request->handle->data;
    if (status != 0) {
        app->ended = true;
        uv_close((uv_handle_t *)&app->tcp, app_gone);
        return;
    }
    uv_read_start((uv_stream_t *)&app->tcp, app_alloc, app_read);
    app_send(app, app->say, app->say_len);
}

/* say outlives the app. head_want: how many bytes the proxy's answers have. */
static inline void app_start(struct app *app, struct net_bench *bench, const void *say, size_t len,
                             size_t head_want) {
    struct sockaddr_in addr;
    memset(app, 0, sizeof *app);
    app->say = say;
    app->say_len = len;
    app->head_want = head_want;
    uv_ip4_addr("127.0.0.1", fb_client_proxy(bench->client)->port, &addr);
    uv_tcp_init(&bench->e.loop, &app->tcp);
    app->tcp.data = app;
    uv_tcp_connect(&app->connect, &app->tcp, (const struct sockaddr *)&addr, app_connected);
}

static inline void app_end(struct app *app, uv_loop_t *loop) {
    if (!uv_is_closing((uv_handle_t *)&app->tcp))
        uv_close((uv_handle_t *)&app->tcp, app_gone);
    while (!app->closed)
        uv_run(loop, UV_RUN_ONCE);
}

/* Greeting and request in one, as an app in a hurry sends it; the answers are 2 + 10 bytes. */
#define SOCKS_HEAD 12
static inline size_t socks_say(uint8_t out[32], const uint8_t ip[4], uint16_t port) {
    const uint8_t bytes[] = {
        5, 1, 0, 5, 1, 0, 1, ip[0], ip[1], ip[2], ip[3], (uint8_t)(port >> 8), (uint8_t)port};
    memcpy(out, bytes, sizeof bytes);
    return sizeof bytes;
}

#endif
