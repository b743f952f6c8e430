#include "net/ws.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "net/conn.h"

#define FLUSH_S 5
/* Unsent bytes that the kernel may hold for a bulk sender: enough for 50 Mbit/s at 20 ms. */
#define NOTSENT_LOWAT 131072

/* One queued message; the library writes its header into the room before it. */
struct out {
    struct fb_list link;
    size_t len;
    uint8_t bytes[];
};

struct fb_ws *ws_new(struct fb_net *net, const struct fb_ws_limits *limits,
                     const struct fb_ws_handler *handler, void *user) {
    struct fb_ws *ws = calloc(1, sizeof *ws);
    if (ws == NULL)
        return NULL;
    fb_list_push(&net->sockets, (fb_list_init(&ws->live), &ws->live));
    fb_list_init(&ws->out);
    ws->limits = *limits;
    ws->handler = handler;
    ws->user = user;
    return ws;
}

static void ws_free(struct fb_ws *ws) {
    FB_LIST_EACH (link, &ws->out)
        free(FB_CONTAINER(link, struct out, link));
    fb_list_remove(&ws->live);
    dial_free(ws->dial);
    if (ws->conn != NULL)
        ws->conn->ws = NULL;
    free(ws->part);
    free(ws->reason);
    free(ws);
}

void ws_abandon(struct fb_ws *ws) {
    ws->handler = NULL;
    if (ws->conn == NULL)
        ws_free(ws);
}

void ws_gone(struct fb_ws *ws, int code, const char *why) {
    const struct fb_ws_handler *handler = ws->handler;
    char text[FB_NET_ERR_MAX];
    if (why != NULL)
        snprintf(text, sizeof text, "%s", why);
    else if (ws->fault != NULL)
        snprintf(text, sizeof text, "closed on the other side's fault: %s", ws->fault);
    else if (ws->code != 0)
        snprintf(text, sizeof text, "closed by the other side%s%s", ws->reason != NULL ? ": " : "",
                 ws->reason != NULL ? ws->reason : "");
    else
        snprintf(text, sizeof text, "connection lost");
    if (code == 0)
        code = ws->code != 0 ? ws->code : LWS_CLOSE_STATUS_ABNORMAL_CLOSE;
    ws->handler = NULL;
    if (handler != NULL)
        handler->closed(ws->user, ws, code, text);
    ws_free(ws);
}

/* The path of an upgrade request; NULL when it does not fit out. */
static const char *upgrade_path(struct lws *wsi, char *out, size_t cap) {
    return lws_hdr_copy(wsi, out, (int)cap, WSI_TOKEN_GET_URI) > 0 ? out : NULL;
}

int ws_filter(struct conn *conn) {
    char path[128];
    return conn->server == NULL || upgrade_path(conn->wsi, path, sizeof path) == NULL ||
           server_ws_route(conn->server, path) == NULL;
}

static void tune(struct lws *wsi, const struct fb_ws_limits *limits) {
    int fd = lws_get_socket_fd(wsi), lowat = NOTSENT_LOWAT;
    if (!limits->bulk || fd < 0)
        return;
    /* Both are wishes: a kernel without BBR keeps its default. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "bbr", 3);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
}

int ws_accepted(struct conn *conn) {
    char path[128];
    const struct fb_ws_route *route = conn->server == NULL ||
                                              upgrade_path(conn->wsi, path, sizeof path) == NULL
                                          ? NULL
                                          : server_ws_route(conn->server, path);
    struct fb_ws *ws = route == NULL ? NULL
                                     : ws_new(conn->net, &route->limits, route->handler, NULL);
    if (ws == NULL)
        return -1;
    ws->conn = conn;
    conn->ws = ws;
    ws_opened(ws);
    if (!route->accept(route->ctx, ws, &ws->user)) {
        ws->handler = NULL;
        fb_ws_close(ws, FB_WS_TRY_LATER, "try again later");
    }
    return 0;
}

void ws_opened(struct fb_ws *ws) {
    ws->open = true;
    ws->heard_us = fb_now_us();
    tune(ws->conn->wsi, &ws->limits);
}

static int refuse(struct fb_ws *ws, int code, const char *reason) {
    ws->code = (uint16_t)code;
    ws->fault = reason;
    lws_close_reason(ws->conn->wsi, (enum lws_close_status)code, (unsigned char *)(uintptr_t)reason,
                     strlen(reason));
    return -1;
}

int ws_received(struct fb_ws *ws, uint8_t *data, size_t len) {
    struct lws *wsi = ws->conn->wsi;
    ws->heard_us = fb_now_us();
    ws->asked_us = 0;
    if (ws->handler == NULL)
        return 0; /* waiting for the close handshake */
    if (!lws_frame_is_binary(wsi))
        return refuse(ws, LWS_CLOSE_STATUS_UNACCEPTABLE_OPCODE, "binary messages only");
    /* What the frame still announces counts: no reason to collect what cannot fit. */
    size_t coming = lws_remaining_packet_payload(wsi);
    if (len > ws->limits.message_max - ws->part_len ||
        coming > ws->limits.message_max - ws->part_len - len)
        return refuse(ws, LWS_CLOSE_STATUS_MESSAGE_TOO_LARGE, "message too long");
    bool whole = lws_is_final_fragment(wsi) && coming == 0;
    if (whole && ws->part_len == 0) {
        ws->handler->message(ws->user, ws, data, len);
        return 0;
    }
    uint8_t *part = realloc(ws->part, ws->part_len + len + coming + 1);
    if (part == NULL)
        return -1;
    memcpy(part + ws->part_len, data, len);
    ws->part = part;
    ws->part_len += len;
    if (whole) {
        size_t total = ws->part_len;
        ws->part = NULL;
        ws->part_len = 0;
        ws->handler->message(ws->user, ws, part, total);
        free(part);
    }
    return 0;
}

static int flush(struct fb_ws *ws) {
    struct lws *wsi = ws->conn->wsi;
    while (!fb_list_empty(&ws->out)) {
        if (lws_send_pipe_choked(wsi)) {
            lws_callback_on_writable(wsi);
            return 0;
        }
        struct out *out = FB_CONTAINER(ws->out.next, struct out, link);
        int written = lws_write(wsi, out->bytes + LWS_PRE, out->len, LWS_WRITE_BINARY);
        if (written < (int)out->len)
            return -1;
        ws->buffered -= out->len;
        fb_list_remove(&out->link);
        free(out);
    }
    return 0;
}

/*
 * The documented way to close with a reason, lws_close_reason and then -1 from the callback, sends
 * nothing in debug builds of the library (Debian 12 has one): they close a second time at once "to
 * confirm close has no problem being called again". So sockets that have said everything are closed
 * from a timer, where one call does it.
 */
static void leave(struct fb_ws *ws) {
    struct fb_net *net = ws->conn->net;
    fb_list_remove(&ws->live);
    fb_list_push(&net->leaving, &ws->live);
    fb_timer_set(net->farewell, fb_now_us());
}

void ws_farewell(void *user) {
    struct fb_net *net = user;
    while (!fb_list_empty(&net->leaving)) {
        struct fb_ws *ws = FB_CONTAINER(net->leaving.next, struct fb_ws, live);
        struct lws *wsi = ws->conn->wsi;
        fb_list_remove(&ws->live);
        lws_close_reason(wsi, (enum lws_close_status)ws->code, (unsigned char *)ws->reason,
                         ws->reason == NULL ? 0 : strlen(ws->reason));
        lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
    }
}

int ws_writable(struct fb_ws *ws) {
    struct lws *wsi = ws->conn->wsi;
    if (ws->ping_due) {
        /* Not empty: the library tells nobody of a pong without payload. */
        uint8_t ping[LWS_PRE + 1] = {0};
        ws->ping_due = false;
        lws_callback_on_writable(wsi);
        return lws_write(wsi, ping + LWS_PRE, 1, LWS_WRITE_PING) < 0 ? -1 : 0;
    }
    bool had = !fb_list_empty(&ws->out);
    if (flush(ws) != 0)
        return -1;
    if (!fb_list_empty(&ws->out))
        return 0;
    if (ws->closing) {
        /* What the kernel has not taken yet would go out without the close behind it. */
        if (lws_partial_buffered(wsi))
            lws_callback_on_writable(wsi);
        else
            leave(ws);
        return 0;
    }
    if (had && ws->handler != NULL && ws->handler->drained != NULL)
        ws->handler->drained(ws->user, ws);
    return 0;
}

/* The reason is the other side's text: only what can be shown on a terminal is kept. */
static char *printable(const uint8_t *data, size_t len) {
    char *out = calloc(1, len + 1);
    for (size_t i = 0; out != NULL && i < len; i++)
        out[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
    return out;
}

void ws_peer_closes(struct fb_ws *ws, const uint8_t *data, size_t len) {
    if (ws->closing)
        return;
    ws->code = len >= 2 ? (uint16_t)(data[0] << 8 | data[1]) : LWS_CLOSE_STATUS_NO_STATUS;
    free(ws->reason);
    ws->reason = len > 2 ? printable(data + 2, len - 2) : NULL;
}

void ws_sweep(struct fb_net *net) {
    uint64_t now = fb_now_us();
    FB_LIST_EACH (link, &net->sockets) {
        struct fb_ws *ws = FB_CONTAINER(link, struct fb_ws, live);
        if (!ws->open || ws->closing)
            continue;
        if (ws->paused) {
            /* Its pong could not be read. Who pauses has its own idea of how long. */
            ws->heard_us = now;
        } else if (ws->asked_us == 0 && now - ws->heard_us >= net->silence_us) {
            ws->asked_us = now;
            ws->ping_due = true;
            lws_callback_on_writable(ws->conn->wsi);
        } else if (ws->asked_us != 0 && now - ws->asked_us >= net->silence_us * 3 / 2) {
            conn_kill(ws->conn);
        }
    }
}

/* What the kernel has room for goes out without waiting for the loop to say so: two calls of
 * epoll_ctl and a turn of the loop less for each message. */
static void send_now(struct fb_ws *ws) {
    if (ws->ping_due)
        return; /* ws_writable is coming */
    if (flush(ws) != 0)
        conn_kill(ws->conn);
}

int fb_ws_send(struct fb_ws *ws, const void *data, size_t len) {
    return fb_ws_send2(ws, NULL, 0, data, len);
}

int fb_ws_send2(struct fb_ws *ws, const void *head, size_t head_len, const void *data, size_t len) {
    size_t total = head_len + len;
    if (!ws->open || total == 0)
        return FB_ERR_STATE;
    if (total > ws->limits.send_max - ws->buffered || ws->buffered > ws->limits.send_max)
        return FB_ERR_AGAIN;
    struct out *out = malloc(sizeof *out + LWS_PRE + total);
    if (out == NULL)
        return FB_ERR_NOMEM;
    if (head_len > 0)
        memcpy(out->bytes + LWS_PRE, head, head_len);
    if (len > 0)
        memcpy(out->bytes + LWS_PRE + head_len, data, len);
    out->len = total;
    bool first = fb_list_empty(&ws->out);
    fb_list_init(&out->link);
    fb_list_push(&ws->out, &out->link);
    ws->buffered += total;
    if (first)
        send_now(ws);
    return 0;
}

size_t fb_ws_buffered(const struct fb_ws *ws) {
    return ws->buffered;
}

void fb_ws_pause(struct fb_ws *ws) {
    if (!ws->open || ws->paused)
        return;
    ws->paused = true;
    lws_rx_flow_control(ws->conn->wsi, 0);
}

void fb_ws_resume(struct fb_ws *ws) {
    if (!ws->open || !ws->paused)
        return;
    ws->paused = false;
    ws->heard_us = fb_now_us();
    lws_rx_flow_control(ws->conn->wsi, 1);
}

void fb_ws_close(struct fb_ws *ws, int code, const char *reason) {
    ws->handler = NULL;
    if (!ws->open) {
        if (ws->conn != NULL)
            conn_kill(ws->conn);
        ws_abandon(ws);
        return;
    }
    fb_ws_resume(ws); /* or the other side's half of the close could not be read */
    free(ws->reason);
    ws->reason = reason == NULL ? NULL : printable((const uint8_t *)reason, strnlen(reason, 123));
    ws->code = (uint16_t)code;
    ws->closing = true;
    conn_timeout(ws->conn, FLUSH_S);
    lws_callback_on_writable(ws->conn->wsi);
}

const struct fb_addr *fb_ws_remote(const struct fb_ws *ws) {
    return &ws->conn->remote;
}
