/*
 * An egress with all that is around it, on loopback and one loop: server, policy, ticket key,
 * origins that echo, send or swallow; and a client that is a bare session on a WebSocket, with a
 * volunteer in between that can do to messages what a bad one would.
 */
#ifndef FB_TEST_BENCH_EGRESS_H
#define FB_TEST_BENCH_EGRESS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/err.h"
#include "core/dest.h"
#include "core/session.h"
#include "core/ticket.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "net/server.h"
#include "role/egress.h"
#include "wait.h"

/* ---- origins ---- */

enum origin_kind { ORIGIN_ECHO, ORIGIN_SEND, ORIGIN_SWALLOW };

/* Byte number i of everything that an origin sends, or a client uploads. */
static inline uint8_t pattern(uint64_t i) {
    return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

struct origin {
    uv_tcp_t listener;
    enum origin_kind kind;
    uint64_t size; /* ORIGIN_SEND: bytes, then it closes */
    uint16_t port;
    unsigned accepted;
    uint64_t got;    /* ORIGIN_SWALLOW: bytes, all as pattern() */
    bool bad, ended; /* ... a byte was wrong; a client has finished */
};

struct origin_conn {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct origin *origin;
    uint64_t sent, got;
    uint8_t buf[65536];
};

static inline void origin_gone(uv_handle_t *handle) {
    free(handle);
}

static inline void origin_close(struct origin_conn *conn) {
    if (!uv_is_closing((uv_handle_t *)&conn->tcp))
        uv_close((uv_handle_t *)&conn->tcp, origin_gone);
}

static inline void origin_shut(uv_shutdown_t *request, int status) {
    struct origin_conn *conn = request->handle->data;
    if (conn->origin->kind != ORIGIN_SWALLOW)
        origin_close(conn);
}

static inline void origin_send(uv_write_t *request, int status) {
    struct origin_conn *conn = request->handle->data;
    if (status != 0) {
        origin_close(conn);
        return;
    }
    size_t len = sizeof conn->buf;
    if (conn->origin->size - conn->sent < len)
        len = (size_t)(conn->origin->size - conn->sent);
    if (len == 0) {
        uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, origin_shut);
        return;
    }
    for (size_t i = 0; i < len; i++)
        conn->buf[i] = pattern(conn->sent + i);
    conn->sent += len;
    uv_buf_t buf = uv_buf_init((char *)conn->buf, (unsigned)len);
    uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &buf, 1, origin_send);
}

static inline void origin_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct origin_conn *conn = handle->data;
    *buf = uv_buf_init((char *)conn->buf, sizeof conn->buf);
}

static inline void origin_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf);

static inline void origin_echoed(uv_write_t *request, int status) {
    struct origin_conn *conn = request->handle->data;
    if (status != 0)
        origin_close(conn);
    else
        uv_read_start((uv_stream_t *)&conn->tcp, origin_alloc, origin_read);
}

static inline void origin_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf) {
    struct origin_conn *conn = tcp->data;
    struct origin *origin = conn->origin;
    if (len == UV_EOF) {
        origin->ended = true;
        uv_read_stop(tcp);
        uv_shutdown(&conn->shutdown, tcp, origin_shut);
        if (origin->kind == ORIGIN_SWALLOW)
            origin_close(conn);
    } else if (len < 0) {
        origin_close(conn);
    } else if (origin->kind == ORIGIN_ECHO) {
        uv_read_stop(tcp);
        uv_buf_t out = uv_buf_init(buf->base, (unsigned)len);
        uv_write(&conn->write, tcp, &out, 1, origin_echoed);
    } else {
        for (ssize_t i = 0; i < len; i++)
            origin->bad |= (uint8_t)buf->base[i] != pattern(conn->got + (uint64_t)i);
        conn->got += (uint64_t)len;
        origin->got += (uint64_t)len;
    }
}

static inline void origin_accept(uv_stream_t *listener, int status) {
    struct origin *origin = listener->data;
    struct origin_conn *conn = calloc(1, sizeof *conn);
    conn->origin = origin;
    uv_tcp_init(listener->loop, &conn->tcp);
    conn->tcp.data = conn;
    if (uv_accept(listener, (uv_stream_t *)&conn->tcp) != 0) {
        origin_close(conn);
        return;
    }
    origin->accepted++;
    if (origin->kind == ORIGIN_SEND) {
        conn->write.handle = (uv_stream_t *)&conn->tcp;
        origin_send(&conn->write, 0);
    } else {
        uv_read_start((uv_stream_t *)&conn->tcp, origin_alloc, origin_read);
    }
}

static inline void origin_start(struct origin *origin, uv_loop_t *loop, enum origin_kind kind,
                                uint64_t size) {
    struct sockaddr_in addr;
    int len = sizeof addr;
    memset(origin, 0, sizeof *origin);
    origin->kind = kind;
    origin->size = size;
    uv_ip4_addr("127.0.0.1", 0, &addr);
    uv_tcp_init(loop, &origin->listener);
    origin->listener.data = origin;
    if (uv_tcp_bind(&origin->listener, (const struct sockaddr *)&addr, 0) != 0 ||
        uv_listen((uv_stream_t *)&origin->listener, 128, origin_accept) != 0 ||
        uv_tcp_getsockname(&origin->listener, (struct sockaddr *)&addr, &len) != 0)
        abort();
    origin->port = ntohs(addr.sin_port);
}

/* ---- the egress ---- */

struct egress_bench {
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_exit_policy *policy;
    struct fb_egress *egress;
    struct fb_egress_config config;
    const struct fb_crypto *crypto;
    uint8_t ticket_seed[FB_KEY_LEN], network_id[FB_NETWORK_ID_LEN], key[FB_KEY_LEN];
    struct fb_ticket_key ticket_key;
    char url[64];
    struct origin echo, send, swallow;
    /* What the egress told its broker. */
    struct fb_broker_link broker;
    unsigned loads, attached, closed, silent;
    uint64_t closed_bytes, offer_request;
    uint64_t cancelled; /* the last */
    unsigned cancels;
    uint8_t offer[FB_LINK_SEALED_MAX];
    size_t offer_len;
};

static inline void bench_load(void *ctx, const struct fb_link_load *load) {
    ((struct egress_bench *)ctx)->loads++;
}

static inline void bench_report(void *ctx, const struct fb_link_report *report) {
    struct egress_bench *bench = ctx;
    bench->attached += report->event == FB_LINK_ATTACHED;
    bench->closed += report->event == FB_LINK_CLOSED;
    bench->silent += report->event == FB_LINK_SILENT;
    if (report->event == FB_LINK_CLOSED)
        bench->closed_bytes += report->bytes;
}

static inline int bench_offer(void *ctx, uint64_t request, const uint8_t *sealed, size_t len) {
    struct egress_bench *bench = ctx;
    bench->offer_request = request;
    bench->offer_len = len;
    memcpy(bench->offer, sealed, len);
    return 0;
}

static inline void bench_cancel(void *ctx, uint64_t request) {
    struct egress_bench *bench = ctx;
    bench->cancelled = request;
    bench->cancels++;
}

static inline void bench_except(struct egress_bench *bench, uint16_t port) {
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = port};
    if (fb_exit_policy_except(bench->policy, &addr) != 0)
        abort();
}

/* First half: everything but the egress, whose config may be changed before bench_go(). */
static inline void bench_init(struct egress_bench *bench) {
    char err[FB_NET_ERR_MAX];
    memset(bench, 0, sizeof *bench);
    uv_loop_init(&bench->loop);
    const struct fb_net_config net = {.loop = &bench->loop, .local = true};
    bench->net = fb_net_new(&net, err);
    bench->server = bench->net == NULL ? NULL : fb_server_new(bench->net, NULL, NULL, err);
    bench->policy = fb_exit_policy_new(fb_mem_default());
    bench->crypto = fb_crypto_openssl();
    if (bench->server == NULL || bench->policy == NULL || bench->crypto == NULL)
        abort();
    origin_start(&bench->echo, &bench->loop, ORIGIN_ECHO, 0);
    origin_start(&bench->send, &bench->loop, ORIGIN_SEND, (uint64_t)8 << 20);
    origin_start(&bench->swallow, &bench->loop, ORIGIN_SWALLOW, 0);
    bench_except(bench, bench->echo.port);
    bench_except(bench, bench->send.port);
    bench_except(bench, bench->swallow.port);
    uint8_t public_key[FB_KEY_LEN];
    fb_random(fb_rng_default(), bench->ticket_seed, FB_KEY_LEN);
    fb_random(fb_rng_default(), bench->network_id, FB_KEY_LEN);
    fb_random(fb_rng_default(), bench->key, FB_KEY_LEN);
    fb_ed25519_public(bench->ticket_seed, public_key);
    fb_ticket_key_init(&bench->ticket_key, bench->crypto, public_key);
    fb_egress_config_init(&bench->config);
    bench->config.net = bench->net;
    bench->config.server = bench->server;
    bench->config.crypto = bench->crypto;
    bench->config.policy = bench->policy;
    bench->config.ticket_keys = &bench->ticket_key;
    bench->config.ticket_key_count = 1;
    memcpy(bench->config.network_id, bench->network_id, FB_KEY_LEN);
    memcpy(bench->config.key, bench->key, FB_KEY_LEN);
    bench->broker = (struct fb_broker_link){bench, bench_load, bench_report, bench_offer,
                                            bench_cancel};
}

static inline void bench_go(struct egress_bench *bench) {
    char err[FB_NET_ERR_MAX], where[FB_ADDR_STR_MAX];
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    if (fb_egress_new(&bench->egress, &bench->config) != 0 ||
        fb_server_listen(bench->server, &addr, err) != 0)
        abort();
    snprintf(bench->url, sizeof bench->url, "ws://%s" FB_EGRESS_ROUTE,
             fb_addr_format_port(&addr, where));
    fb_egress_set_broker(bench->egress, &bench->broker);
}

/* False when something was not freed. */
static inline bool bench_end(struct egress_bench *bench) {
    fb_egress_stop(bench->egress);
    fb_server_free(bench->server);
    fb_egress_free(bench->egress);
    fb_exit_policy_free(bench->policy);
    uv_close((uv_handle_t *)&bench->echo.listener, NULL);
    uv_close((uv_handle_t *)&bench->send.listener, NULL);
    uv_close((uv_handle_t *)&bench->swallow.listener, NULL);
    fb_net_free(bench->net);
    return fb_loop_finish(&bench->loop) == 0;
}

/* ---- a client on a WebSocket ---- */

struct raw;

/* One path, and the volunteer that carries it. */
struct raw_path {
    struct raw *raw;
    struct fb_ws *ws; /* NULL: gone */
    uint32_t id;
    bool open, closed;  /* as the session says */
    bool socket_closed; /* the egress closed it */
    int code;
    char why[128];
    uint8_t attach[1 + FB_TICKET_LEN + FB_FIRST_LEN];
    /* What the volunteer does, each one in so many messages; 0: never. */
    unsigned drop, alter, repeat, swap;
    bool withhold; /* takes everything, passes nothing on */
    unsigned count;
    uint8_t *held; /* a message that waits for the next one to overtake it */
    size_t held_len;
    bool held_up;
};

#define RAW_PATHS 4

struct raw_stream {
    uint64_t id;
    bool opened, result_known, finished, gone, was_reset;
    uint8_t result;
    uint64_t reset_code;
    uint64_t got; /* bytes after the result, all as pattern() unless bad */
    bool bad;
    uint64_t up_left, up_sent; /* of pattern(), to be uploaded */
    bool finish_after;
    bool hold; /* do not read */
};

#define RAW_STREAMS 64

struct raw {
    struct egress_bench *bench;
    struct fb_session *s;
    struct fb_timer *timer;
    bool ready, closed, posted;
    enum fb_close_code code;
    uint8_t post[FB_SESSION_POST_MAX];
    size_t post_len;
    struct raw_path paths[RAW_PATHS];
    struct raw_stream streams[RAW_STREAMS];
    unsigned path_closed[8]; /* by enum fb_path_reason */
};

static inline void raw_pump(struct raw *raw);

/* One message through the volunteer: up to the egress, or down to the session. */
static inline void raw_deliver(struct raw_path *path, bool up, const uint8_t *data, size_t len) {
    uint8_t copy[FB_MESSAGE_MAX];
    if (path->ws == NULL)
        return;
    memcpy(copy, data, len);
    if (up)
        fb_ws_send(path->ws, copy, len);
    else if (path->raw->s != NULL)
        (void)fb_session_recv(path->raw->s, path->id, copy, len, fb_now_us());
}

static inline bool raw_turn(const struct raw_path *path, unsigned each) {
    return each != 0 && path->count % each == each - 1;
}

static inline void raw_carry(struct raw_path *path, bool up, const uint8_t *data, size_t len) {
    uint8_t copy[FB_MESSAGE_MAX];
    path->count++;
    if (path->withhold || raw_turn(path, path->drop))
        return;
    memcpy(copy, data, len);
    if (raw_turn(path, path->alter))
        copy[len / 2] ^= 0x10;
    if (raw_turn(path, path->swap) && path->held == NULL) {
        path->held = malloc(len);
        memcpy(path->held, copy, len);
        path->held_len = len;
        path->held_up = up;
        return;
    }
    raw_deliver(path, up, copy, len);
    if (raw_turn(path, path->repeat))
        raw_deliver(path, up, copy, len);
    if (path->held != NULL && path->held_up == up) {
        raw_deliver(path, up, path->held, path->held_len);
        free(path->held);
        path->held = NULL;
    }
}

static inline void raw_opened(void *user, struct fb_ws *ws) {
    struct raw_path *path = user;
    fb_ws_send(ws, path->attach, sizeof path->attach);
    if (path->raw->s != NULL)
        fb_session_path_up(path->raw->s, path->id, fb_now_us());
    raw_pump(path->raw);
}

static inline void raw_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct raw_path *path = user;
    if (data[0] == FB_KIND_SESSION)
        raw_carry(path, false, data, len);
    raw_pump(path->raw);
}

static inline void raw_drained(void *user, struct fb_ws *ws) {
    struct raw_path *path = user;
    if (path->raw->s != NULL)
        fb_session_path_queued(path->raw->s, path->id, 0);
    raw_pump(path->raw);
}

static inline void raw_socket_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct raw_path *path = user;
    path->ws = NULL;
    path->socket_closed = true;
    path->code = code;
    snprintf(path->why, sizeof path->why, "%s", why);
    if (path->raw->s != NULL)
        fb_session_path_down(path->raw->s, path->id, fb_now_us());
    raw_pump(path->raw);
}

static const struct fb_ws_handler raw_handler = {
    .open = raw_opened,
    .message = raw_message,
    .drained = raw_drained,
    .closed = raw_socket_closed,
};

static inline void raw_stream_pump(struct raw *raw, struct raw_stream *st) {
    const uint8_t *data;
    size_t len;
    if (!st->opened || st->gone)
        return;
    if (fb_stream_peer_reset(raw->s, st->id, &st->reset_code)) {
        fb_stream_reset(raw->s, st->id, 0);
        st->was_reset = st->gone = true;
        return;
    }
    while (st->up_left > 0) {
        uint8_t piece[4096];
        size_t take = st->up_left < sizeof piece ? (size_t)st->up_left : sizeof piece;
        for (size_t i = 0; i < take; i++)
            piece[i] = pattern(st->up_sent + i);
        size_t done = fb_stream_write(raw->s, st->id, piece, take);
        st->up_left -= done;
        st->up_sent += done;
        if (done < take)
            break;
    }
    if (st->up_left == 0 && st->finish_after)
        fb_stream_finish(raw->s, st->id);
    while (!st->hold) {
        st->finished |= fb_stream_peek(raw->s, st->id, &data, &len);
        if (len == 0)
            break;
        size_t at = 0;
        if (!st->result_known) {
            st->result = data[at++];
            st->result_known = true;
        }
        for (; at < len; at++)
            st->bad |= data[at] != pattern(st->got++);
        fb_stream_consume(raw->s, st->id, len);
    }
}

static inline struct raw_stream *raw_find(struct raw *raw, uint64_t id) {
    for (size_t i = 0; i < RAW_STREAMS; i++)
        if (raw->streams[i].opened && raw->streams[i].id == id)
            return &raw->streams[i];
    abort();
}

static inline void raw_event(struct raw *raw, const struct fb_event *event) {
    for (size_t i = 0; i < RAW_PATHS; i++) {
        struct raw_path *path = &raw->paths[i];
        if (path->raw == NULL || path->id != event->path)
            continue;
        if (event->type == FB_EVENT_PATH_OPEN)
            path->open = true;
        if (event->type == FB_EVENT_PATH_CLOSED) {
            path->closed = true;
            raw->path_closed[event->path_reason]++;
            if (path->ws != NULL)
                fb_ws_close(path->ws, 1000, NULL);
            path->ws = NULL;
        }
    }
    if (event->type == FB_EVENT_READY)
        raw->ready = true;
    if (event->type == FB_EVENT_STREAM)
        raw_stream_pump(raw, raw_find(raw, event->stream));
    if (event->type == FB_EVENT_STREAM_GONE)
        raw_find(raw, event->stream)->gone = true;
    if (event->type == FB_EVENT_POST) {
        raw->posted = true;
        raw->post_len = event->len;
        memcpy(raw->post, event->data, event->len);
    }
    if (event->type == FB_EVENT_CLOSED) {
        raw->closed = true;
        raw->code = event->code;
    }
}

static inline void raw_pump(struct raw *raw) {
    uint8_t buf[FB_MESSAGE_MAX];
    struct fb_event event;
    uint32_t id;
    size_t len;
    bool more = raw->s != NULL;
    while (more) {
        more = false;
        while ((len = fb_session_send(raw->s, &id, buf, fb_now_us())) > 0) {
            more = true;
            for (size_t i = 0; i < RAW_PATHS; i++) {
                struct raw_path *path = &raw->paths[i];
                if (path->raw == NULL || path->id != id || path->ws == NULL)
                    continue;
                raw_carry(path, true, buf, len);
                if (path->ws != NULL)
                    fb_session_path_queued(raw->s, id, fb_ws_buffered(path->ws));
            }
        }
        while (!raw->closed && fb_session_next(raw->s, &event)) {
            raw_event(raw, &event);
            more = true;
        }
    }
    if (raw->s != NULL)
        fb_timer_set(raw->timer, raw->closed ? FB_NEVER : fb_session_deadline(raw->s));
}

static inline void raw_tick(void *user) {
    struct raw *raw = user;
    if (raw->s != NULL)
        fb_session_tick(raw->s, fb_now_us());
    raw_pump(raw);
}

static inline void raw_start(struct raw *raw, struct egress_bench *bench) {
    struct fb_session_config config;
    memset(raw, 0, sizeof *raw);
    raw->bench = bench;
    fb_session_config_init(&config, true);
    config.mem = fb_mem_default();
    config.rng = fb_rng_default();
    config.crypto = bench->crypto;
    memcpy(config.network_id, bench->network_id, sizeof config.network_id);
    memcpy(config.egress_id, fb_egress_id(bench->egress), sizeof config.egress_id);
    raw->timer = fb_timer_new(&bench->loop, raw_tick, raw);
    if (raw->timer == NULL || fb_session_new(&raw->s, &config, fb_now_us()) != 0)
        abort();
}

/* Makes a first message and its ticket, as the broker would; does not connect yet. */
static inline struct raw_path *raw_prepare(struct raw *raw, size_t slot) {
    struct egress_bench *bench = raw->bench;
    struct raw_path *path = &raw->paths[slot];
    free(path->held);
    memset(path, 0, sizeof *path);
    path->raw = raw;
    path->attach[0] = FB_KIND_ATTACH;
    uint8_t *ticket = path->attach + 1, *first = ticket + FB_TICKET_LEN;
    if (fb_session_first(raw->s, &path->id, first, fb_now_us()) != 0 ||
        fb_ticket_make(bench->crypto, fb_rng_default(), bench->ticket_seed, &bench->ticket_key,
                       fb_egress_process_id(bench->egress), first, FB_FIRST_LEN, fb_unix_s(),
                       ticket) != 0)
        abort();
    return path;
}

static inline void raw_connect(struct raw_path *path) {
    char err[FB_NET_ERR_MAX];
    const struct fb_ws_limits limits = {.message_max = FB_MESSAGE_MAX, .send_max = 4 << 20};
    path->ws = fb_ws_connect(path->raw->bench->net, path->raw->bench->url, &limits, 5000000,
                             &raw_handler, path, err);
    if (path->ws == NULL)
        abort();
}

/* The volunteer vanishes. */
static inline void raw_kill(struct raw_path *path) {
    if (path->ws != NULL)
        fb_ws_close(path->ws, 1001, NULL);
    path->ws = NULL;
    fb_session_path_down(path->raw->s, path->id, fb_now_us());
    raw_pump(path->raw);
}

static inline struct raw_stream *raw_open(struct raw *raw, size_t slot, const char *host,
                                          uint16_t port) {
    struct raw_stream *st = &raw->streams[slot];
    struct fb_dest dest;
    uint8_t head[FB_DEST_MAX];
    memset(st, 0, sizeof *st);
    if (fb_dest_make(&dest, host, strlen(host), port) != 0 || fb_stream_open(raw->s, &st->id) != 0)
        abort();
    st->opened = true;
    fb_stream_write(raw->s, st->id, head, fb_dest_write(&dest, head));
    return st;
}

static inline void raw_end(struct raw *raw) {
    for (size_t i = 0; i < RAW_PATHS; i++) {
        if (raw->paths[i].ws != NULL)
            fb_ws_close(raw->paths[i].ws, 1000, NULL);
        free(raw->paths[i].held);
    }
    fb_session_free(raw->s);
    fb_timer_free(raw->timer);
}

#endif
