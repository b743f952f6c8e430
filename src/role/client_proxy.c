#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/sockaddr.h"
#include "role/client_impl.h"

#define BACKLOG 128
#define CONNS_MAX 2048
#define HEAD_WAIT_US (30 * FB_CLIENT_SECOND_US)
/* How long an app waits for a session before it hears that there is none. */
#define SESSION_WAIT_US (60 * FB_CLIENT_SECOND_US)
#define LINGER_US (30 * FB_CLIENT_SECOND_US)
#define RESET_CODE 0

/* ---- sockets ---- */

static void tcp_closed(uv_handle_t *handle) {
    free(handle);
}

static void close_tcp(uv_tcp_t *tcp, bool abort) {
    if (abort) /* refused while a shutdown is under way: then it is closed as usual */
        (void)uv_tcp_close_reset(tcp, tcp_closed);
    if (!uv_is_closing((uv_handle_t *)tcp))
        uv_close((uv_handle_t *)tcp, tcp_closed);
}

/* ---- the end of a connection ---- */

static void arm_tick(struct fb_client *client) {
    if (client->ticking || (fb_list_empty(&client->conns) && client->ends.count == 0))
        return;
    client->ticking = true;
    fb_timer_set(client->tick, fb_now_us() + FB_CLIENT_SECOND_US);
}

static bool has_stream(const struct client_conn *conn) {
    return conn->state == CONN_CONNECTING || conn->state == CONN_OPEN;
}

/* gently: what was written to the app still goes out. */
static void free_conn(struct client_conn *conn, bool gently) {
    struct fb_client *client = conn->client;
    if (conn->state == CONN_OPEN) {
        fb_pipe_stop(&conn->pipe, gently);
    } else if (gently) {
        uv_read_stop((uv_stream_t *)conn->tcp);
        conn->pipe.tcp = conn->tcp; /* a pipe without a stream knows how to end */
        fb_pipe_start(&conn->pipe);
        fb_pipe_stop(&conn->pipe, true);
    } else {
        close_tcp(conn->tcp, true);
    }
    fb_proxyhead_free(conn->head);
    free(conn->out);
    fb_list_remove(&conn->wait_link);
    fb_list_remove(&conn->link);
    client->counts.connections--;
    free(conn);
}

/* Ends stream and connection at once. */
static void reset(struct client_conn *conn) {
    if (has_stream(conn) && conn->client->s != NULL)
        fb_stream_reset(conn->client->s, conn->stream, RESET_CODE);
    free_conn(conn, false);
}

/* A few bytes to a socket whose buffer is empty; one that does not take them is broken. */
static bool say(struct client_conn *conn, const uint8_t *bytes, size_t len) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)bytes, (unsigned)len);
    return len == 0 || uv_try_write((uv_stream_t *)conn->tcp, &buf, 1) == (int)len;
}

/* Tells the app why not, and ends. */
static void refuse(struct client_conn *conn, uint8_t status) {
    uint8_t reply[FB_PROXYHEAD_REPLY_MAX];
    bool said = say(conn, reply, fb_proxyhead_reply(conn->head, status, reply));
    if (has_stream(conn) && conn->client->s != NULL)
        fb_stream_reset(conn->client->s, conn->stream, RESET_CODE);
    free_conn(conn, said);
}

/* ---- both directions ---- */

static void pipe_moved(void *user) {
    struct client_conn *conn = user;
    fb_client_pump(conn->client);
}

static void pipe_broken(void *user) {
    struct client_conn *conn = user;
    struct fb_client *client = conn->client;
    reset(conn);
    fb_client_pump(client);
}

/* The head and what came with it go before what the app sends now. */
static bool pipe_may_read(void *user) {
    const struct client_conn *conn = user;
    return conn->out_done == conn->out_len;
}

static const struct fb_pipe_handler pipe_handler = {
    .moved = pipe_moved,
    .broken = pipe_broken,
    .may_read = pipe_may_read,
    .close = close_tcp,
    .deaf_is_broken = true,
};

static void flush_out(struct client_conn *conn) {
    if (conn->out_done < conn->out_len)
        conn->out_done += fb_stream_write(conn->client->s, conn->stream, conn->out + conn->out_done,
                                          conn->out_len - conn->out_done);
}

/* The connect result. False: the connection is gone. */
static bool take_result(struct client_conn *conn) {
    struct fb_client *client = conn->client;
    const uint8_t *data;
    size_t len;
    bool end = fb_stream_peek(client->s, conn->stream, &data, &len);
    if (len == 0 && !end)
        return true;
    uint8_t status = len > 0 ? data[0] : FB_DEST_INTERNAL;
    if (status != FB_DEST_OK) {
        refuse(conn, status);
        return false;
    }
    fb_stream_consume(client->s, conn->stream, 1);
    uint8_t reply[FB_PROXYHEAD_REPLY_MAX];
    if (!say(conn, reply, fb_proxyhead_reply(conn->head, status, reply))) {
        reset(conn);
        return false;
    }
    conn->state = CONN_OPEN;
    conn->pipe.s = client->s;
    conn->pipe.stream = conn->stream;
    conn->pipe.tcp = conn->tcp;
    conn->pipe.take_max = conn->body_left;
    fb_pipe_start(&conn->pipe);
    return true;
}

static void pump_conn(struct client_conn *conn) {
    uint64_t code;
    if (fb_stream_peer_reset(conn->client->s, conn->stream, &code)) {
        if (conn->state == CONN_CONNECTING)
            refuse(conn, FB_DEST_INTERNAL);
        else
            reset(conn);
        return;
    }
    flush_out(conn);
    if (conn->state == CONN_CONNECTING && !take_result(conn))
        return;
    if (conn->state == CONN_OPEN && !fb_pipe_pump(&conn->pipe))
        reset(conn);
}

void fb_client_proxy_stream(struct fb_client *client, uint64_t stream, bool gone) {
    FB_LIST_EACH (it, &client->conns) {
        struct client_conn *conn = FB_CONTAINER(it, struct client_conn, link);
        if (!has_stream(conn) || conn->stream != stream)
            continue;
        if (!gone)
            pump_conn(conn);
        else if (conn->state == CONN_OPEN)
            free_conn(conn, true);
        else
            refuse(conn, FB_DEST_INTERNAL);
        return;
    }
}

void fb_client_proxy_session_lost(struct fb_client *client) {
    FB_LIST_EACH (it, &client->conns) {
        struct client_conn *conn = FB_CONTAINER(it, struct client_conn, link);
        if (conn->state == CONN_CONNECTING)
            refuse(conn, FB_PROXY_NO_PATH);
        else if (conn->state == CONN_OPEN)
            reset(conn);
    }
}

void fb_client_proxy_open_waiting(struct fb_client *client) {
    if (client->s == NULL || fb_session_open_paths(client->s) == 0)
        return;
    FB_LIST_EACH (it, &client->waiting) {
        struct client_conn *conn = FB_CONTAINER(it, struct client_conn, wait_link);
        if (fb_stream_open(client->s, &conn->stream) != 0)
            return;
        fb_list_remove(&conn->wait_link);
        conn->state = CONN_CONNECTING;
        flush_out(conn);
    }
}

/* ---- the head ---- */

/* Destination, rewritten head, and what came behind the head. */
static bool collect(struct client_conn *conn, const uint8_t *rest, size_t rest_len) {
    uint8_t dest[FB_DEST_MAX];
    size_t first_len, dest_len = fb_dest_write(fb_proxyhead_dest(conn->head), dest);
    const uint8_t *first = fb_proxyhead_first(conn->head, &first_len);
    uint64_t body = fb_proxyhead_body(conn->head);
    if (rest_len > body)
        rest_len = (size_t)body;
    conn->body_left = body == UINT64_MAX ? body : body - rest_len;
    conn->out = malloc(dest_len + first_len + rest_len);
    if (conn->out == NULL)
        return false;
    memcpy(conn->out, dest, dest_len);
    if (first_len > 0)
        memcpy(conn->out + dest_len, first, first_len);
    if (rest_len > 0)
        memcpy(conn->out + dest_len + first_len, rest, rest_len);
    conn->out_len = dest_len + first_len + rest_len;
    return true;
}

static void take_head(struct client_conn *conn, const uint8_t *bytes, size_t len) {
    struct fb_client *client = conn->client;
    size_t used, out_len;
    enum fb_proxy_state state = fb_proxyhead_feed(conn->head, bytes, len, &used);
    const uint8_t *out = fb_proxyhead_output(conn->head, &out_len);
    if (!say(conn, out, out_len)) {
        free_conn(conn, false);
        return;
    }
    if (state == FB_PROXY_REFUSED) {
        fb_log(client->config.log, FB_LOG_DEBUG, "an app was refused: %s",
               fb_proxyhead_why(conn->head));
        free_conn(conn, true);
        return;
    }
    if (state == FB_PROXY_MORE)
        return;
    uv_read_stop((uv_stream_t *)conn->tcp);
    if (!collect(conn, bytes + used, len - used)) {
        refuse(conn, FB_DEST_INTERNAL);
        return;
    }
    conn->state = CONN_WAITING;
    conn->since_us = fb_now_us();
    fb_list_push(&client->waiting, &conn->wait_link);
    fb_client_pump(client);
}

static void head_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct client_conn *conn = handle->data;
    *buf = uv_buf_init((char *)conn->client->scratch, sizeof conn->client->scratch);
}

static void head_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf) {
    struct client_conn *conn = tcp->data;
    if (len > 0)
        take_head(conn, (const uint8_t *)buf->base, (size_t)len);
    else if (len < 0)
        free_conn(conn, false);
}

/* ---- the port ---- */

static struct client_conn *conn_new(struct fb_client *client) {
    struct client_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    conn->client = client;
    conn->head = fb_proxyhead_new(fb_mem_default());
    conn->tcp = malloc(sizeof *conn->tcp);
    if (conn->head == NULL || conn->tcp == NULL ||
        uv_tcp_init(fb_net_loop(client->config.net), conn->tcp) != 0) {
        fb_proxyhead_free(conn->head);
        free(conn->tcp);
        free(conn);
        return NULL;
    }
    conn->tcp->data = conn;
    conn->since_us = fb_now_us();
    conn->pipe = (struct fb_pipe){.handler = &pipe_handler,
                                  .user = conn,
                                  .scratch = client->scratch,
                                  .scratch_len = sizeof client->scratch,
                                  .ends = &client->ends};
    fb_list_init(&conn->wait_link);
    fb_list_init(&conn->link);
    fb_list_push(&client->conns, &conn->link);
    client->counts.connections++;
    return conn;
}

static void turn_away(struct fb_client *client);

static void spare_closed(uv_handle_t *handle) {
    struct fb_client *client = handle->data;
    if (client == NULL) { /* stopped */
        free(handle);
        return;
    }
    client->spare_busy = false;
    (void)uv_tcp_init(handle->loop, client->spare); /* allocates nothing: cannot fail */
    if (client->turn_away_due)
        turn_away(client);
}

/* For want of memory. libuv listens no further before a connection has been taken: it is, with a
 * socket that is kept for that, and closed. */
static void turn_away(struct fb_client *client) {
    client->turn_away_due = client->spare_busy;
    if (client->spare_busy)
        return;
    client->spare_busy = true;
    (void)uv_accept((uv_stream_t *)client->listener, (uv_stream_t *)client->spare);
    uv_close((uv_handle_t *)client->spare, spare_closed);
}

static void on_connection(uv_stream_t *listener, int status) {
    struct fb_client *client = listener->data;
    if (status != 0)
        return;
    struct client_conn *conn = conn_new(client);
    if (conn == NULL) {
        turn_away(client);
        return;
    }
    if (uv_accept(listener, (uv_stream_t *)conn->tcp) != 0 ||
        client->counts.connections > CONNS_MAX ||
        uv_read_start((uv_stream_t *)conn->tcp, head_alloc, head_read) != 0) {
        free_conn(conn, false);
        return;
    }
    uv_tcp_nodelay(conn->tcp, 1);
    arm_tick(client);
}

static void on_tick(void *user) {
    struct fb_client *client = user;
    uint64_t now = fb_now_us();
    client->ticking = false;
    FB_LIST_EACH (it, &client->conns) {
        struct client_conn *conn = FB_CONTAINER(it, struct client_conn, link);
        if (conn->state == CONN_HEAD && now - conn->since_us >= HEAD_WAIT_US)
            free_conn(conn, false);
        else if (conn->state == CONN_WAITING && now - conn->since_us >= SESSION_WAIT_US)
            refuse(conn, FB_PROXY_NO_PATH);
    }
    fb_pipe_cut_ends(&client->ends, now - LINGER_US);
    arm_tick(client);
    fb_client_pump(client); /* looks at paths that have become quiet */
}

static int listen_failed(struct fb_client *client, int uv_err, char err[static FB_NET_ERR_MAX]) {
    char where[FB_ADDR_STR_MAX];
    fb_addr_format_port(&client->listen, where);
    if (uv_err == UV_EADDRINUSE)
        snprintf(err, FB_NET_ERR_MAX, "port %u is in use (%s)", client->listen.port, where);
    else
        snprintf(err, FB_NET_ERR_MAX, "cannot listen at %s: %s", where, uv_strerror(uv_err));
    return uv_err == UV_EADDRINUSE ? FB_ERR_USED : uv_err == UV_EACCES ? FB_ERR_DENIED : FB_ERR_IO;
}

static uv_tcp_t *tcp_new(struct fb_client *client) {
    uv_tcp_t *tcp = malloc(sizeof *tcp);
    if (tcp == NULL || uv_tcp_init(fb_net_loop(client->config.net), tcp) != 0) {
        free(tcp);
        return NULL;
    }
    tcp->data = client;
    return tcp;
}

int fb_client_proxy_start(struct fb_client *client, char err[static FB_NET_ERR_MAX]) {
    uv_loop_t *loop = fb_net_loop(client->config.net);
    struct sockaddr_storage addr;
    int len = sizeof addr;
    client->tick = fb_timer_new(loop, on_tick, client);
    client->listener = tcp_new(client);
    client->spare = tcp_new(client);
    if (client->tick == NULL || client->listener == NULL || client->spare == NULL) {
        snprintf(err, FB_NET_ERR_MAX, "%s", fb_strerror(FB_ERR_NOMEM));
        return FB_ERR_NOMEM;
    }
    fb_addr_to_sockaddr(&client->listen, &addr);
    int code = uv_tcp_bind(client->listener, (const struct sockaddr *)&addr, 0);
    if (code == 0)
        code = uv_listen((uv_stream_t *)client->listener, BACKLOG, on_connection);
    if (code == 0)
        code = uv_tcp_getsockname(client->listener, (struct sockaddr *)&addr, &len);
    if (code != 0)
        return listen_failed(client, code, err);
    client->listen = fb_addr_of_sockaddr(&addr);
    return 0;
}

void fb_client_proxy_stop(struct fb_client *client) {
    FB_LIST_EACH (it, &client->conns)
        reset(FB_CONTAINER(it, struct client_conn, link));
    fb_pipe_cut_ends(&client->ends, FB_NEVER);
    if (client->listener != NULL)
        uv_close((uv_handle_t *)client->listener, tcp_closed);
    if (client->spare != NULL) {
        client->spare->data = NULL;
        if (!client->spare_busy)
            uv_close((uv_handle_t *)client->spare, spare_closed);
    }
    fb_timer_free(client->tick);
}
