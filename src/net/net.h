/*
 * One libwebsockets context on a libuv loop that somebody else runs: what servers (server.h) and
 * WebSocket clients (ws.h) of one process share. One a process: the library has globals. It holds
 * the limits on incoming connections and a resolver, and routes the library's log to nowhere (its
 * lines may hold addresses).
 */
#ifndef FB_NET_NET_H
#define FB_NET_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "net/resolver.h"

#define FB_NET_ERR_MAX 256 /* room for a one-line message for a person */

struct fb_net;

struct fb_net_config {
    uv_loop_t *loop;
    const char *ca_file;    /* PEM: whom clients trust; NULL: the system's authorities */
    const char *dns;        /* as fb_resolver_new's servers */
    size_t max_connections; /* incoming, in all; 0: what the descriptor limit allows */
    size_t max_per_address; /* incoming, per IPv4 address or IPv6 /64; 0: no limit */
    uint64_t silence_us;    /* after which a WebSocket is pinged; 0: 20 s */
    bool local;             /* no limit per address for loopback (networks on one machine) */
};

/* NULL with a message in err. Strings are copied. */
struct fb_net *fb_net_new(const struct fb_net_config *config, char err[static FB_NET_ERR_MAX]);
/*
 * Call after the servers, from outside every callback: runs the loop until the context is gone.
 * WebSockets still open end without their callback. Accepts NULL.
 */
void fb_net_free(struct fb_net *net);
uv_loop_t *fb_net_loop(struct fb_net *net);
struct fb_resolver *fb_net_resolver(struct fb_net *net);
/* Incoming connections open now. */
size_t fb_net_connections(const struct fb_net *net);

#endif
