/*
 * Checks on URLs and host:port pairs that come in links and documents. Strict, because they end up
 * in HTTP heads, in Content-Security-Policy lines and on terminals: printable ASCII, none of
 * the characters that mean something there, no user name, no fragment.
 */
#ifndef FB_CORE_URL_H
#define FB_CORE_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FB_URL_MAX 255
#define FB_HOST_MAX 253
#define FB_HOSTPORT_MAX 255 /* with brackets and port */

enum fb_url_kind {
    FB_URL_HTTP, /* http:// or https:// */
    FB_URL_WS,   /* ws:// or wss:// */
};

struct fb_url {
    bool tls;
    char host[FB_HOST_MAX + 1]; /* without the brackets of an IPv6 address */
    uint16_t port;              /* 80 or 443 where the URL names none */
    const char *path;           /* inside the text given: "/..." or "" */
};

/* Splits a NUL-terminated URL. 0, FB_ERR_MALFORMED, FB_ERR_TOO_BIG. */
int fb_url_parse(const char *text, enum fb_url_kind kind, struct fb_url *url);

/* Splits "host:port" or "[v6]:port"; the port is required and not 0. Errors as above. */
int fb_hostport_parse(const char *text, char host[static FB_HOST_MAX + 1], uint16_t *port);

#endif
