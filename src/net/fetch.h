/*
 * HTTPS client: libcurl's multi interface on the loop. No redirects, no proxy from the environment,
 * no cookies, HTTP/1.1 and 2. For rendezvous and documents: small bodies, whole in memory.
 */
#ifndef FB_NET_FETCH_H
#define FB_NET_FETCH_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct fb_fetcher;
struct fb_fetch;

/* ca_file: PEM; NULL: the system's authorities. NULL when out of memory. */
struct fb_fetcher *fb_fetcher_new(uv_loop_t *loop, const char *ca_file);
/* Running fetches end without their callback. Accepts NULL. */
void fb_fetcher_free(struct fb_fetcher *fetcher);

struct fb_fetch_request {
    const char *url;  /* https:// or http:// */
    const void *body; /* NULL and len 0: GET, else POST; copied. NULL: fb_fetch_body() gives it */
    size_t len;
    const char *type;         /* Content-Type of body */
    size_t reply_max;         /* longest body taken */
    uint32_t timeout_ms;      /* for everything */
    const char *connect_host; /* connect (and SNI) here instead of the URL's host; NULL: do not */
    uint16_t connect_port;    /* with connect_host; 0: the URL's */
    const char *host_header;  /* NULL: the URL's */
};

struct fb_fetched {
    int err;             /* 0: status 200 to 299. FB_ERR_DENIED: another status. FB_ERR_AUTH: TLS;
                          * FB_ERR_TOO_BIG, FB_ERR_TIMEOUT, FB_ERR_NOT_FOUND (name), FB_ERR_CLOSED
                          * (refused, reset), FB_ERR_MALFORMED (URL), FB_ERR_IO */
    int status;          /* 0 when no reply came */
    const uint8_t *body; /* valid during the call; with an error status too */
    size_t len;
    const char *why; /* one line for a person: "connection refused by HOST", "" when err is 0 */
};

/* done is called once, never from inside fb_fetch_start. NULL when out of memory. */
struct fb_fetch *fb_fetch_start(struct fb_fetcher *fetcher, const struct fb_fetch_request *request,
                                void (*done)(void *user, const struct fb_fetched *result),
                                void *user);
/* The body of a request that was started without one, as long as its len; once. So a connection can
 * be made while what it is to carry is not there yet. 0 or FB_ERR_NOMEM. */
int fb_fetch_body(struct fb_fetch *fetch, const void *body);
/* Ends it without its callback. Not after done was called. */
void fb_fetch_cancel(struct fb_fetch *fetch);

#endif
