/*
 * Private to src/net: one libwebsockets connection and who answers for it. The library calls
 * net.c, which finds the conn by the connection's opaque pointer and hands on to http.c (requests),
 * ws.c (open WebSockets) or wsclient.c (dialling). A conn lives from accept or dial until the
 * library's LWS_CALLBACK_WSI_DESTROY, whatever happens in between; where the library failed before
 * it had anything to destroy (it does not say), until fb_net_free.
 */
#ifndef FB_NET_CONN_H
#define FB_NET_CONN_H

#include <libwebsockets.h>

#include "base/list.h"
#include "base/map.h"
#include "net/loop.h"
#include "net/server.h"

struct address_count; /* server.c: open connections of one address */

struct conn {
    struct fb_list link; /* in net->conns */
    struct fb_net *net;
    struct fb_server *server; /* NULL: outgoing, or the server is gone */
    struct lws *wsi;
    struct address_count *counted;
    struct fb_http_req *req;
    struct fb_ws *ws;
    struct fb_addr remote;
    bool incoming; /* counts in net->connections */
};

struct fb_net {
    uv_loop_t *loop;
    struct lws_context *context; /* set to NULL by the library when it is all gone */
    struct lws_vhost *client_vhost;
    struct fb_resolver *resolver;
    struct fb_timer *sweep; /* liveness of WebSockets */
    struct fb_list conns;
    struct fb_list sockets; /* WebSockets, fb_ws.live, except */
    struct fb_list leaving; /* those that have sent everything and are to be closed */
    struct fb_timer *farewell;
    struct fb_map *addresses;
    struct conn *adopting; /* the conn whose library half is being made */
    size_t connections, max_connections, max_per_address;
    uint64_t silence_us;
    bool local;
    char *ca_file;
};

extern const struct lws_protocols fb_net_protocols[];
/* Our own pings (ws_sweep) instead of the library's, which take a paused reader for dead. */
extern const lws_retry_bo_t fb_net_no_pings;

/* conn_free: only for a conn that the library was never given; accepts NULL. */
void conn_free(struct conn *conn);
struct conn *conn_new(struct fb_net *net, struct fb_server *server, const struct fb_addr *remote);
/* Has the library close it after that time, whatever it is doing; from wherever. */
void conn_timeout(struct conn *conn, int seconds);
/* Has the library close it from the loop's next turn. */
void conn_kill(struct conn *conn);

/* server.c */
bool server_count(struct fb_net *net, struct conn *conn);
void server_uncount(struct conn *conn);
const struct fb_ws_route *server_ws_route(const struct fb_server *server, const char *path);
const struct fb_http_route *server_http_route(const struct fb_server *server, const char *path,
                                              const char *method, const char **allow);
const struct fb_asset *server_asset(const struct fb_server *server, const char *path);

/* http.c: what the library's callback returns (non-zero closes). */
int http_begin(struct conn *conn, const char *path);
int http_body(struct conn *conn, const uint8_t *data, size_t len);
int http_body_done(struct conn *conn);
int http_writable(struct conn *conn);
/* The connection closed under the request. */
void http_gone(struct conn *conn);

/* ws.c */
struct fb_ws *ws_new(struct fb_net *net, const struct fb_ws_limits *limits,
                     const struct fb_ws_handler *handler, void *user);
/* Frees it in silence; with a conn: when the library is done with that. */
void ws_abandon(struct fb_ws *ws);
/* Tells the user, unless it is done with the socket, and frees. code 0: what the other side said,
 * or 1006; why NULL: likewise. */
void ws_gone(struct fb_ws *ws, int code, const char *why);
int ws_filter(struct conn *conn);
int ws_accepted(struct conn *conn);
void ws_opened(struct fb_ws *ws);
int ws_received(struct fb_ws *ws, uint8_t *data, size_t len);
int ws_writable(struct fb_ws *ws);
void ws_peer_closes(struct fb_ws *ws, const uint8_t *data, size_t len);
/* Four times a silence: pings the silent, drops the dead. */
void ws_sweep(struct fb_net *net);
/* Closes net->leaving; user is the net. */
void ws_farewell(void *user);

/* wsclient.c: until the socket is open. */
struct dial;
void dial_free(struct dial *dial);
int dial_opened(struct conn *conn);
/* text: what the library says about the failure, not zero-terminated. Detaches the conn. */
void dial_failed(struct conn *conn, const char *text, size_t len);

/* One WebSocket; ws.c, and wsclient.c before it is open. */
struct fb_ws {
    struct fb_list live;                 /* in net->sockets, net->leaving or none */
    struct conn *conn;                   /* NULL: dialling has not come so far */
    const struct fb_ws_handler *handler; /* NULL: the user is done with it */
    void *user;
    struct dial *dial; /* clients, until open */
    struct fb_list out;
    size_t buffered;
    uint8_t *part; /* fragments of the message that is arriving */
    size_t part_len;
    uint64_t heard_us, asked_us; /* last sign of life; last ping, 0 when none is out */
    char *reason;                /* of our close, or what the other side gave */
    const char *fault;           /* why we closed on the other side */
    struct fb_ws_limits limits;
    uint16_t code; /* of our close, or what the other side gave; 0: none */
    bool open, closing, paused, ping_due;
};

#endif
