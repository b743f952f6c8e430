#include "net/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/conn.h"
#include "net/sockaddr.h"

/* When the process is out of descriptors: how long to leave the callers in the queue. */
#define ACCEPT_PAUSE_US UINT64_C(200000)
#define ACCEPT_BATCH 64
#define ROUTES_MAX 64

struct fb_server {
    struct fb_net *net;
    struct lws_vhost *vhost;
    bool tls;
    struct fb_list listeners;
    struct fb_http_route http[ROUTES_MAX];
    struct fb_ws_route ws[ROUTES_MAX];
    struct fb_asset assets[ROUTES_MAX];
    size_t http_count, ws_count, asset_count;
};

struct listener {
    struct fb_list link;
    struct fb_server *server;
    uv_poll_t poll;
    struct fb_timer *retry;
    int fd;
};

/* Open connections of one IPv4 address or one IPv6 /64, which is what one subscriber has. */
struct address_count {
    uint8_t key[9];
    size_t count;
};

static bool is_loopback(const struct fb_addr *addr) {
    static const uint8_t six[16] = {[15] = 1};
    return addr->family == 4 ? addr->ip[0] == 127 : memcmp(addr->ip, six, 16) == 0;
}

bool server_count(struct fb_net *net, struct conn *conn) {
    if (net->connections >= net->max_connections)
        return false;
    if (net->max_per_address == 0 || (net->local && is_loopback(&conn->remote))) {
        net->connections++;
        return true;
    }
    uint8_t key[9] = {conn->remote.family};
    memcpy(key + 1, conn->remote.ip, conn->remote.family == 4 ? 4 : 8);
    struct address_count *counted = fb_map_get(net->addresses, key);
    if (counted == NULL) {
        counted = calloc(1, sizeof *counted);
        if (counted == NULL)
            return false;
        memcpy(counted->key, key, sizeof key);
        if (fb_map_put(net->addresses, key, counted) != 0) {
            free(counted);
            return false;
        }
    }
    if (counted->count >= net->max_per_address)
        return false;
    counted->count++;
    conn->counted = counted;
    net->connections++;
    return true;
}

void server_uncount(struct conn *conn) {
    if (!conn->incoming)
        return;
    conn->incoming = false;
    conn->net->connections--;
    struct address_count *counted = conn->counted;
    conn->counted = NULL;
    if (counted == NULL || --counted->count > 0)
        return;
    fb_map_take(conn->net->addresses, counted->key);
    free(counted);
}

/* Says which file is at fault; the library would only fail. */
static bool certificate_ok(const char *cert, const char *key, char *err) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok = false;
    if (ctx == NULL)
        snprintf(err, FB_NET_ERR_MAX, "cannot start TLS");
    else if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
        snprintf(err, FB_NET_ERR_MAX, "cannot read certificate %s", cert);
    else if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        snprintf(err, FB_NET_ERR_MAX, "cannot use key %s with certificate %s", key, cert);
    else
        ok = true;
    SSL_CTX_free(ctx);
    return ok;
}

struct fb_server *fb_server_new(struct fb_net *net, const char *cert, const char *key,
                                char err[static FB_NET_ERR_MAX]) {
    if ((cert == NULL) != (key == NULL)) {
        snprintf(err, FB_NET_ERR_MAX, "a certificate needs its key, and a key its certificate");
        return NULL;
    }
    if (cert != NULL && !certificate_ok(cert, key, err))
        return NULL;
    snprintf(err, FB_NET_ERR_MAX, "out of memory");
    struct fb_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    server->net = net;
    server->tls = cert != NULL;
    fb_list_init(&server->listeners);
    /* The library never listens: accepting here gives exact errors, limits before any work, and no
     * spinning when descriptors run out. */
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .vhost_name = "server",
        .protocols = fb_net_protocols,
        .retry_and_idle_policy = &fb_net_no_pings,
        .options = server->tls ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0,
        .ssl_cert_filepath = cert,
        .ssl_private_key_filepath = key,
        .ssl_options_set = SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1,
        .alpn = "http/1.1",
        .keepalive_timeout = 20,
    };
    server->vhost = lws_create_vhost(net->context, &info);
    if (server->vhost == NULL) {
        snprintf(err, FB_NET_ERR_MAX, "cannot start the server");
        free(server);
        return NULL;
    }
    err[0] = '\0';
    return server;
}

static void listener_closed(uv_handle_t *handle) {
    struct listener *listener = handle->data;
    close(listener->fd);
    free(listener);
}

void fb_server_free(struct fb_server *server) {
    if (server == NULL)
        return;
    FB_LIST_EACH (link, &server->listeners) {
        struct listener *listener = FB_CONTAINER(link, struct listener, link);
        fb_timer_free(listener->retry);
        uv_close((uv_handle_t *)&listener->poll, listener_closed);
    }
    /* The virtual host stays with the context; its connections know no server any more. */
    FB_LIST_EACH (link, &server->net->conns) {
        struct conn *conn = FB_CONTAINER(link, struct conn, link);
        if (conn->server != server)
            continue;
        conn->server = NULL;
        if (conn->req != NULL)
            fb_http_hold(conn->req, NULL, NULL);
        if (conn->ws != NULL)
            ws_abandon(conn->ws);
        if (conn->wsi != NULL)
            conn_kill(conn);
    }
    free(server);
}

bool fb_server_is_tls(const struct fb_server *server) {
    return server->tls;
}

static void adopt(struct fb_server *server, int fd, const struct fb_addr *from) {
    struct fb_net *net = server->net;
    struct conn *conn = conn_new(net, server, from);
    if (conn == NULL || !server_count(net, conn)) {
        close(fd);
        conn_free(conn);
        return;
    }
    conn->incoming = true;
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    net->adopting = conn;
    lws_adopt_desc_t info = {
        .vh = server->vhost,
        .type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
        .fd.sockfd = fd,
        .opaque = conn,
    };
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&info);
    net->adopting = NULL;
    if (wsi == NULL)
        server_uncount(conn);
}

static void accept_ready(uv_poll_t *poll, int status, int events) {
    struct listener *listener = poll->data;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage from;
        socklen_t len = sizeof from;
        int fd = accept4(listener->fd, (struct sockaddr *)&from, &len,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                uv_poll_stop(poll);
                fb_timer_set(listener->retry, fb_now_us() + ACCEPT_PAUSE_US);
            }
            return;
        }
        struct fb_addr addr = fb_addr_of_sockaddr(&from);
        adopt(listener->server, fd, &addr);
    }
}

static void accept_again(void *user) {
    struct listener *listener = user;
    uv_poll_start(&listener->poll, UV_READABLE, accept_ready);
}

static int explain(int error, const struct fb_addr *addr, char *err) {
    char text[FB_ADDR_STR_MAX];
    fb_addr_format(addr, text);
    const char *what = error == EADDRINUSE      ? "it is in use"
                       : error == EACCES        ? "this user may not use it"
                       : error == EADDRNOTAVAIL ? "this machine does not have the address"
                                                : strerror(error);
    snprintf(err, FB_NET_ERR_MAX, "cannot listen on TCP port %u of %s: %s", (unsigned)addr->port,
             text, what);
    return error == EADDRINUSE ? FB_ERR_USED : error == EACCES ? FB_ERR_DENIED : FB_ERR_IO;
}

static int open_listener(const struct fb_addr *addr) {
    struct sockaddr_storage at;
    socklen_t len = fb_addr_to_sockaddr(addr, &at);
    int fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (addr->family == 6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 1024) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int fb_server_listen(struct fb_server *server, struct fb_addr *addr,
                     char err[static FB_NET_ERR_MAX]) {
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener == NULL) {
        snprintf(err, FB_NET_ERR_MAX, "out of memory");
        return FB_ERR_NOMEM;
    }
    listener->server = server;
    listener->poll.data = listener;
    listener->fd = open_listener(addr);
    if (listener->fd < 0) {
        int code = explain(errno, addr, err);
        free(listener);
        return code;
    }
    struct sockaddr_storage at;
    socklen_t len = sizeof at;
    if (getsockname(listener->fd, (struct sockaddr *)&at, &len) == 0)
        addr->port = fb_addr_of_sockaddr(&at).port;
    listener->retry = fb_timer_new(server->net->loop, accept_again, listener);
    if (listener->retry == NULL ||
        uv_poll_init(server->net->loop, &listener->poll, listener->fd) != 0) {
        snprintf(err, FB_NET_ERR_MAX, "out of memory");
        fb_timer_free(listener->retry);
        close(listener->fd);
        free(listener);
        return FB_ERR_NOMEM;
    }
    fb_list_push(&server->listeners, (fb_list_init(&listener->link), &listener->link));
    accept_again(listener);
    err[0] = '\0';
    return 0;
}

int fb_server_add_http(struct fb_server *server, const struct fb_http_route *route) {
    if (server->http_count == ROUTES_MAX)
        return FB_ERR_LIMIT;
    server->http[server->http_count++] = *route;
    return 0;
}

int fb_server_add_ws(struct fb_server *server, const struct fb_ws_route *route) {
    if (server->ws_count == ROUTES_MAX)
        return FB_ERR_LIMIT;
    server->ws[server->ws_count++] = *route;
    return 0;
}

int fb_server_add_asset(struct fb_server *server, const struct fb_asset *asset) {
    if (server->asset_count == ROUTES_MAX)
        return FB_ERR_LIMIT;
    server->assets[server->asset_count++] = *asset;
    return 0;
}

const struct fb_ws_route *server_ws_route(const struct fb_server *server, const char *path) {
    for (size_t i = 0; i < server->ws_count; i++)
        if (strcmp(server->ws[i].path, path) == 0)
            return &server->ws[i];
    return NULL;
}

const struct fb_http_route *server_http_route(const struct fb_server *server, const char *path,
                                              const char *method, const char **allow) {
    for (size_t i = 0; i < server->http_count; i++) {
        const struct fb_http_route *route = &server->http[i];
        if (strcmp(route->path, path) != 0)
            continue;
        if (strcmp(route->method, method) == 0)
            return route;
        *allow = route->method;
    }
    return NULL;
}

const struct fb_asset *server_asset(const struct fb_server *server, const char *path) {
    for (size_t i = 0; i < server->asset_count; i++)
        if (strcmp(server->assets[i].path, path) == 0)
            return &server->assets[i];
    return NULL;
}
