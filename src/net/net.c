#include "net/net.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/conn.h"

/* With it a message of 16 kB costs half the CPU time that it does with the default of 4 kB. */
#define READ_BUFFER 65600
#define HEAD_MAX 4096
#define SILENCE_US UINT64_C(20000000)
#define HEAD_TIMEOUT_S 10
#define KEEPALIVE_S 20
/* Descriptors kept for everything that is no incoming connection. */
#define SPARE_FDS 64

static struct conn *conn_of(struct lws *wsi) {
    return lws_get_opaque_user_data(wsi);
}

struct conn *conn_new(struct fb_net *net, struct fb_server *server, const struct fb_addr *remote) {
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return NULL;
    fb_list_init(&conn->link);
    fb_list_push(&net->conns, &conn->link);
    conn->net = net;
    conn->server = server;
    conn->remote = *remote;
    return conn;
}

void conn_free(struct conn *conn) {
    if (conn == NULL)
        return;
    fb_list_remove(&conn->link);
    server_uncount(conn);
    free(conn);
}

void conn_timeout(struct conn *conn, int seconds) {
    lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, seconds);
    /* Outside its own callbacks the library notes a timeout and does not set its timer. */
    lws_cancel_service(conn->net->context);
}

void conn_kill(struct conn *conn) {
    conn_timeout(conn, LWS_TO_KILL_ASYNC);
}

static void destroyed(struct conn *conn) {
    if (conn->req != NULL)
        http_gone(conn);
    if (conn->ws != NULL && conn->ws->dial != NULL)
        dial_failed(conn, "", 0);
    else if (conn->ws != NULL)
        ws_gone(conn->ws, 0, NULL);
    conn_free(conn);
}

/* The library's lines may hold addresses and names. */
static void swallow_log(int level, const char *line) {
}

static void born(struct lws *wsi) {
    struct fb_net *net = lws_context_user(lws_get_context(wsi));
    if (net == NULL || net->adopting == NULL)
        return;
    net->adopting->wsi = wsi;
    net->adopting = NULL;
}

/* The part of an open WebSocket's life. */
static int websocket_event(struct conn *conn, enum lws_callback_reasons reason, void *in,
                           size_t len) {
    struct fb_ws *ws = conn->ws;
    if (ws == NULL)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE: return ws_received(ws, in, len);
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLIENT_WRITEABLE: return ws_writable(ws);
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
        ws->heard_us = fb_now_us();
        ws->asked_us = 0;
        return 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: ws_peer_closes(ws, in, len); return 0;
    default: ws_gone(ws, 0, NULL); return 0; /* CLOSED, CLIENT_CLOSED */
    }
}

static int event(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                 size_t len) {
    if (reason == LWS_CALLBACK_WSI_CREATE) {
        born(wsi);
        return 0;
    }
    /* Streams of one HTTP/2 connection have connections of their own in the library. Nobody is
     * offered HTTP/2, but "Upgrade: h2c" may be asked for; HTTP_CONFIRM_UPGRADE, where it could be
     * refused, must not be handled (CVE-2025-11677). */
    struct conn *conn = wsi == NULL ? NULL : conn_of(wsi);
    if (conn == NULL && reason == LWS_CALLBACK_HTTP) {
        conn = conn_of(lws_get_network_wsi(wsi));
        if (conn != NULL)
            conn_kill(conn);
        return -1;
    }
    if (conn == NULL)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_HTTP: return http_begin(conn, in);
    case LWS_CALLBACK_HTTP_BODY: return http_body(conn, in, len);
    case LWS_CALLBACK_HTTP_BODY_COMPLETION: return http_body_done(conn);
    case LWS_CALLBACK_HTTP_WRITEABLE: return http_writable(conn);
    case LWS_CALLBACK_CLOSED_HTTP: http_gone(conn); return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return ws_filter(conn);
    case LWS_CALLBACK_ESTABLISHED: return ws_accepted(conn);
    case LWS_CALLBACK_CLIENT_ESTABLISHED: return dial_opened(conn);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: dial_failed(conn, in, len); return 0;
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLIENT_CLOSED: return websocket_event(conn, reason, in, len);
    case LWS_CALLBACK_WSI_DESTROY: destroyed(conn); return 0;
    default: return 0;
    }
}

/*
 * One protocol, no subprotocols: ws_filter refuses WebSockets whose path is no endpoint. All get
 * the big read buffer, for which there is no choice by path; an idle socket touches none of it, so
 * it costs thousands of volunteers address space and no memory (measured: 5.8 kB each, either way).
 */
const struct lws_protocols fb_net_protocols[] = {
    {.name = "footbridge", .callback = event, .rx_buffer_size = READ_BUFFER},
    {0},
};

const lws_retry_bo_t fb_net_no_pings = {0};

static void sweep(void *user) {
    struct fb_net *net = user;
    ws_sweep(net);
    fb_timer_set(net->sweep, fb_now_us() + net->silence_us / 4);
}

/* The library refuses a file it cannot read without saying so. */
static bool ca_file_ok(const char *path, char *err) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    bool ok = ctx != NULL && SSL_CTX_load_verify_locations(ctx, path, NULL) == 1;
    SSL_CTX_free(ctx);
    if (!ok)
        snprintf(err, FB_NET_ERR_MAX, "cannot read certificates from %s", path);
    return ok;
}

static bool make_context(struct fb_net *net, size_t fds) {
    void *loops[1] = {net->loop};
    lws_set_log_level(0, swallow_log);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .pcontext = &net->context,
        .user = net,
        .gid = (gid_t)-1,
        .uid = (uid_t)-1,
        .fd_limit_per_thread = (unsigned)fds,
        .pt_serv_buf_size = READ_BUFFER,
        .max_http_header_data = HEAD_MAX,
        .timeout_secs = HEAD_TIMEOUT_S,
    };
    net->context = lws_create_context(&info);
    if (net->context == NULL)
        return false;
    struct lws_context_creation_info vhost = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .vhost_name = "client",
        .protocols = fb_net_protocols,
        .retry_and_idle_policy = &fb_net_no_pings,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT |
                   (net->ca_file != NULL ? LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS : 0),
        .client_ssl_ca_filepath = net->ca_file,
        .alpn = "http/1.1",
    };
    net->client_vhost = lws_create_vhost(net->context, &vhost);
    return net->client_vhost != NULL;
}

struct fb_net *fb_net_new(const struct fb_net_config *config, char err[static FB_NET_ERR_MAX]) {
    if (config->ca_file != NULL && !ca_file_ok(config->ca_file, err))
        return NULL;
    snprintf(err, FB_NET_ERR_MAX, "cannot start networking: out of memory");
    struct fb_net *net = calloc(1, sizeof *net);
    if (net == NULL)
        return NULL;
    size_t fds = fb_raise_fd_limit();
    net->loop = config->loop;
    net->local = config->local;
    net->silence_us = config->silence_us != 0 ? config->silence_us : SILENCE_US;
    net->max_per_address = config->max_per_address;
    net->max_connections = config->max_connections;
    if (net->max_connections == 0 || net->max_connections > fds - SPARE_FDS)
        net->max_connections = fds - SPARE_FDS;
    fb_list_init(&net->conns);
    fb_list_init(&net->sockets);
    fb_list_init(&net->leaving);
    net->ca_file = config->ca_file == NULL ? NULL : strdup(config->ca_file);
    net->addresses = fb_map_new(fb_mem_default(), fb_rng_default(), 9);
    net->sweep = fb_timer_new(net->loop, sweep, net);
    net->farewell = fb_timer_new(net->loop, ws_farewell, net);
    net->resolver = fb_resolver_new(net->loop, config->dns);
    if (net->resolver == NULL && config->dns != NULL)
        snprintf(err, FB_NET_ERR_MAX, "not the address of a name server: %.200s", config->dns);
    if (net->addresses == NULL || net->sweep == NULL || net->farewell == NULL ||
        net->resolver == NULL || !make_context(net, fds)) {
        fb_net_free(net);
        return NULL;
    }
    fb_timer_set(net->sweep, fb_now_us() + net->silence_us / 4);
    err[0] = '\0';
    return net;
}

void fb_net_free(struct fb_net *net) {
    if (net == NULL)
        return;
    FB_LIST_EACH (link, &net->sockets)
        ws_abandon(FB_CONTAINER(link, struct fb_ws, live));
    if (net->context != NULL) {
        /* With somebody else's loop the library closes its handles in the first call, and goes on
         * in further ones (4.1: one, 4.3: up to two) once the loop has seen them off. Called too
         * early it frees what is still in use, hence the turns. */
        lws_context_destroy(net->context);
        for (int call = 0; call < 3 && net->context != NULL; call++) {
            for (int turn = 0; turn < 20 && net->context != NULL; turn++)
                uv_run(net->loop, UV_RUN_NOWAIT);
            if (net->context != NULL)
                lws_context_destroy(net->context);
        }
    }
    FB_LIST_EACH (link, &net->conns)
        conn_free(FB_CONTAINER(link, struct conn, link));
    fb_timer_free(net->sweep);
    fb_timer_free(net->farewell);
    fb_resolver_free(net->resolver);
    fb_map_free(net->addresses);
    free(net->ca_file);
    free(net);
}

uv_loop_t *fb_net_loop(struct fb_net *net) {
    return net->loop;
}

struct fb_resolver *fb_net_resolver(struct fb_net *net) {
    return net->resolver;
}

size_t fb_net_connections(const struct fb_net *net) {
    return net->connections;
}
