/*
 * HTTP and WebSocket server: listeners that share routes. HTTP/1.1 (no HTTP/2: held requests and
 * WebSockets would each need a second code path); with a certificate, TLS 1.2 or later. One
 * `serve` process has one server on which broker, egress and pages each put their routes.
 *
 * Errors have short bodies; unknown paths get 404, wrong methods 405 with Allow, bodies over the
 * route's ceiling 413, connections over fb_net's limits are closed at accept. Request heads are
 * limited to 4 kB and 10 s.
 */
#ifndef FB_NET_SERVER_H
#define FB_NET_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "net/net.h"
#include "net/ws.h"

struct fb_server;
struct fb_http_req;

/* cert and key: PEM files, both or neither. NULL with a message in err. */
struct fb_server *fb_server_new(struct fb_net *net, const char *cert, const char *key,
                                char err[static FB_NET_ERR_MAX]);
/* Closes listeners and every connection; no callback comes afterwards. Accepts NULL. Before
 * fb_net_free, and not from inside a callback of this server. */
void fb_server_free(struct fb_server *server);
/*
 * Listens at addr; port 0 takes a free one and writes it to addr->port. IPv6 sockets are
 * IPv6-only. 0; FB_ERR_USED (port in use), FB_ERR_DENIED, FB_ERR_IO, FB_ERR_NOMEM with a message
 * that names address and port.
 */
int fb_server_listen(struct fb_server *server, struct fb_addr *addr,
                     char err[static FB_NET_ERR_MAX]);
bool fb_server_is_tls(const struct fb_server *server);

/* Routes: what they point to outlives the server. */

/*
 * One HTTP handler, called with the whole body (at most body_max bytes). It answers with
 * fb_http_reply, at once or later.
 */
struct fb_http_route {
    const char *method; /* "GET" (HEAD too), "POST" */
    const char *path;   /* exact, "/v1/offer" */
    size_t body_max;
    void (*handle)(void *user, struct fb_http_req *req);
    void *user;
};
/* 0 or FB_ERR_NOMEM. */
int fb_server_add_http(struct fb_server *server, const struct fb_http_route *route);

/*
 * One WebSocket endpoint. accept is called when the handshake is done and puts the handler's user
 * pointer in *user; false: refused (it may have called nothing on ws; the socket closes with
 * FB_WS_TRY_LATER).
 */
struct fb_ws_route {
    const char *path; /* exact */
    struct fb_ws_limits limits;
    const struct fb_ws_handler *handler;
    bool (*accept)(void *ctx, struct fb_ws *ws, void **user);
    void *ctx;
};
int fb_server_add_ws(struct fb_server *server, const struct fb_ws_route *route);

/*
 * A file, usually from the table that tools/assets makes at build time. Served with its ETag and,
 * to those who accept it, as gzip. GET and HEAD; If-None-Match gives 304.
 */
struct fb_asset {
    const char *path, *type;
    const char *etag;           /* with its quotes; NULL: none */
    const char *const *headers; /* name, value, name, value, NULL; NULL: none */
    const uint8_t *body;
    size_t len;
    const uint8_t *gzip; /* NULL: none */
    size_t gzip_len;
};
int fb_server_add_asset(struct fb_server *server, const struct fb_asset *asset);

/* The request: valid until fb_http_reply, or until its `gone` is called. */
const uint8_t *fb_http_body(const struct fb_http_req *req, size_t *len);
const struct fb_addr *fb_http_from(const struct fb_http_req *req);
/* Query string without '?', "" when there is none. */
const char *fb_http_query(const struct fb_http_req *req);
/* For a handler that answers later: gone(user) when the other side closes first; the request is
 * then dead and must not be answered. */
void fb_http_hold(struct fb_http_req *req, void (*gone)(void *user), void *user);
/* headers as in fb_asset. Copies everything. The request is dead afterwards. */
void fb_http_reply(struct fb_http_req *req, int status, const char *type,
                   const char *const *headers, const void *body, size_t len);

#endif
