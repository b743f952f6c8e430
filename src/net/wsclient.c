/* The client's side of a WebSocket until it is open: URL, names, one address after the other. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/conn.h"

/* How long one address may take while others wait. */
#define ATTEMPT_US UINT64_C(4000000)

struct dial {
    struct fb_net *net;
    struct fb_ws *ws;
    struct fb_lookup *lookup;
    struct fb_timer *timer;
    uint64_t deadline_us;
    struct fb_addr addrs[FB_RESOLVE_MAX];
    size_t count, next;
    bool tls;
    uint16_t port;
    char host[256]; /* without brackets */
    char authority[264];
    char *path;
    char why[FB_NET_ERR_MAX]; /* of the last failure */
};

void dial_free(struct dial *dial) {
    if (dial == NULL)
        return;
    fb_resolve_cancel(dial->lookup);
    fb_timer_free(dial->timer);
    free(dial->path);
    free(dial);
}

/* "ws[s]://host[:port][/path]", RFC 6455 section 3; no user, no fragment. */
static bool parse_url(struct dial *dial, const char *url) {
    dial->tls = strncmp(url, "wss://", 6) == 0;
    if (!dial->tls && strncmp(url, "ws://", 5) != 0)
        return false;
    const char *host = url + (dial->tls ? 6 : 5);
    size_t authority = strcspn(host, "/?#");
    const char *path = host + authority;
    if (*path != '/' && *path != '\0')
        return false;
    dial->path = strdup(*path == '\0' ? "/" : path);
    if (authority == 0 || authority >= sizeof dial->host || memchr(host, '@', authority) != NULL ||
        dial->path == NULL || strchr(dial->path, '#') != NULL)
        return false;
    memcpy(dial->authority, host, authority);
    size_t len;
    const char *end = host + authority, *colon = NULL;
    if (host[0] == '[') {
        const char *close = memchr(host, ']', authority);
        if (close == NULL || (close + 1 != end && close[1] != ':'))
            return false;
        colon = close + 1 == end ? NULL : close + 1;
        len = (size_t)(close - host) - 1;
        host++;
    } else {
        colon = memchr(host, ':', authority);
        len = colon == NULL ? authority : (size_t)(colon - host);
    }
    memcpy(dial->host, host, len);
    dial->port = dial->tls ? 443 : 80;
    if (colon != NULL) {
        char *after = NULL;
        unsigned long port = strtoul(colon + 1, &after, 10);
        if (after != end || after == colon + 1 || port == 0 || port > UINT16_MAX)
            return false;
        dial->port = (uint16_t)port;
    }
    return len > 0;
}

/* No address is left, or time is up. */
static void give_up(struct dial *dial) {
    struct fb_ws *ws = dial->ws;
    char why[FB_NET_ERR_MAX];
    snprintf(why, sizeof why, "%s", dial->why);
    ws->dial = NULL;
    dial_free(dial);
    ws_gone(ws, LWS_CLOSE_STATUS_ABNORMAL_CLOSE, why);
}

static void try_next(struct dial *dial);

/* The conn is of no use any more; the library still has to let go of it. */
static void detach(struct dial *dial) {
    struct conn *conn = dial->ws->conn;
    if (conn == NULL)
        return;
    conn->ws = NULL;
    dial->ws->conn = NULL;
}

static bool attempt(struct dial *dial, const struct fb_addr *addr) {
    struct conn *conn = conn_new(dial->net, NULL, addr);
    if (conn == NULL)
        return false;
    char ip[FB_ADDR_STR_MAX];
    fb_addr_format(addr, ip);
    conn->ws = dial->ws;
    dial->ws->conn = conn;
    struct lws_client_connect_info info = {
        .context = dial->net->context,
        .vhost = dial->net->client_vhost,
        .address = ip,
        .port = addr->port,
        .path = dial->path,
        .host = dial->authority,
        .local_protocol_name = fb_net_protocols[0].name,
        .ietf_version_or_minus_one = -1,
        .ssl_connection = dial->tls ? LCCSCF_USE_SSL : 0,
        .alpn = "http/1.1",
        .retry_and_idle_policy = &fb_net_no_pings,
        .opaque_user_data = conn,
    };
    struct lws *wsi = lws_client_connect_via_info(&info);
    if (wsi == NULL) {
        detach(dial);
        return false;
    }
    conn->wsi = wsi;
    return true;
}

static void timer_fired(void *user) {
    struct dial *dial = user;
    struct conn *conn = dial->ws->conn;
    if (conn != NULL) {
        snprintf(dial->why, sizeof dial->why, "no answer from %.180s in time", dial->host);
        detach(dial);
        conn_kill(conn);
    }
    try_next(dial);
}

static void try_next(struct dial *dial) {
    uint64_t now = fb_now_us();
    while (dial->next < dial->count && now < dial->deadline_us) {
        bool last = dial->next + 1 == dial->count;
        uint64_t until = last || dial->deadline_us - now < ATTEMPT_US ? dial->deadline_us
                                                                      : now + ATTEMPT_US;
        if (attempt(dial, &dial->addrs[dial->next++])) {
            fb_timer_set(dial->timer, until);
            return;
        }
    }
    give_up(dial);
}

static void resolved(void *user, int err, const struct fb_addr *addrs, size_t count) {
    struct dial *dial = user;
    dial->lookup = NULL;
    if (err != 0) {
        snprintf(dial->why, sizeof dial->why, "name %.180s: %s", dial->host, fb_strerror(err));
        give_up(dial);
        return;
    }
    memcpy(dial->addrs, addrs, count * sizeof *addrs);
    dial->count = count;
    try_next(dial);
}

int dial_opened(struct conn *conn) {
    struct fb_ws *ws = conn->ws;
    if (ws == NULL)
        return -1;
    dial_free(ws->dial);
    ws->dial = NULL;
    ws_opened(ws);
    if (ws->handler != NULL && ws->handler->open != NULL)
        ws->handler->open(ws->user, ws);
    return 0;
}

/* The certificate's fault, or NULL. */
static const char *certificate_fault(struct lws *wsi) {
    SSL *ssl = wsi == NULL ? NULL : lws_get_ssl(wsi);
    if (ssl == NULL)
        return NULL;
    switch (SSL_get_verify_result(ssl)) {
    case X509_V_OK: return NULL;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return "does not match its name";
    case X509_V_ERR_CERT_HAS_EXPIRED: return "has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "is not valid yet";
    default: return "is not signed by a trusted authority";
    }
}

/* text: the library's English, in which only the stage is of use. */
static void explain(struct dial *dial, struct lws *wsi, const char *text) {
    const char *fault = certificate_fault(wsi);
    if (fault != NULL)
        snprintf(dial->why, sizeof dial->why, "certificate of %.180s %s", dial->host, fault);
    else if (strcasestr(text, "ssl") != NULL || strcasestr(text, "tls") != NULL)
        snprintf(dial->why, sizeof dial->why, "no TLS with %.180s", dial->host);
    else if (strcasestr(text, "timed out") != NULL)
        snprintf(dial->why, sizeof dial->why, "no answer from %.180s in time", dial->host);
    else if (strstr(text, "HS:") != NULL || strcasestr(text, "upgrade") != NULL)
        snprintf(dial->why, sizeof dial->why, "%.180s has no such WebSocket", dial->host);
    else
        snprintf(dial->why, sizeof dial->why, "cannot connect to %.180s port %u", dial->host,
                 (unsigned)dial->port);
}

void dial_failed(struct conn *conn, const char *text, size_t len) {
    struct fb_ws *ws = conn->ws;
    if (ws == NULL)
        return;
    if (ws->dial == NULL) {
        ws_gone(ws, 0, NULL);
        return;
    }
    char line[256];
    snprintf(line, sizeof line, "%.*s", text == NULL ? 0 : (int)len, text == NULL ? "" : text);
    explain(ws->dial, conn->wsi, line);
    struct dial *dial = ws->dial;
    detach(dial);
    /* The library is in the middle of this connection: go on from the loop. */
    fb_timer_set(dial->timer, fb_now_us());
}

struct fb_ws *fb_ws_connect(struct fb_net *net, const char *url, const struct fb_ws_limits *limits,
                            uint64_t timeout_us, const struct fb_ws_handler *handler, void *user,
                            char err[static FB_NET_ERR_MAX]) {
    struct dial *dial = calloc(1, sizeof *dial);
    struct fb_ws *ws = dial == NULL ? NULL : ws_new(net, limits, handler, user);
    if (ws == NULL) {
        free(dial);
        snprintf(err, FB_NET_ERR_MAX, "out of memory");
        return NULL;
    }
    dial->net = net;
    dial->ws = ws;
    ws->dial = dial;
    if (!parse_url(dial, url)) {
        snprintf(err, FB_NET_ERR_MAX, "not a ws:// or wss:// URL: %.150s", url);
        ws_abandon(ws);
        return NULL;
    }
    snprintf(dial->why, sizeof dial->why, "cannot connect to %.180s", dial->host);
    dial->deadline_us = fb_now_us() + timeout_us;
    dial->timer = fb_timer_new(net->loop, timer_fired, dial);
    if (dial->timer != NULL)
        dial->lookup = fb_resolve(net->resolver, dial->host, dial->port, 0, timeout_us, resolved,
                                  dial);
    if (dial->lookup == NULL) {
        snprintf(err, FB_NET_ERR_MAX, "out of memory");
        ws_abandon(ws);
        return NULL;
    }
    return ws;
}
