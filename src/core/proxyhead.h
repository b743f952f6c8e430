/*
 * The head of a connection on the client's proxy port: SOCKS5 (RFC 1928, user and password of RFC
 * 1929 taken and ignored) or HTTP (CONNECT, and absolute-form requests, RFC 9110 and 9112), told
 * apart by the first byte. Sans-IO: bytes from the app go in, a destination and what to say to app
 * and origin come out.
 *
 *     feed bytes as they come; send fb_proxyhead_output() to the app after each feed;
 *     FB_PROXY_MORE: feed more;
 *     FB_PROXY_REFUSED: what was said is all; close;
 *     FB_PROXY_READY: connect to fb_proxyhead_dest(), then send fb_proxyhead_reply() to the app. On
 *     success send fb_proxyhead_first() to the origin and pump; of what the app sends from here on,
 *     the origin gets fb_proxyhead_body() bytes at most.
 *
 * An absolute-form request is rewritten to origin form, with Host from its target, without
 * hop-by-hop and Proxy-* fields and with "Connection: close": one request a connection. A client
 * that reuses the connection all the same could ask for another host, hence the limit on what goes
 * to the origin.
 */
#ifndef FB_CORE_PROXYHEAD_H
#define FB_CORE_PROXYHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/dest.h"

#define FB_PROXYHEAD_MAX 16384     /* a whole HTTP head */
#define FB_PROXYHEAD_LINES_MAX 128 /* its lines */
#define FB_PROXYHEAD_REPLY_MAX 512 /* any one reply */

/* Statuses of the client's own, beside enum fb_dest_status. */
#define FB_PROXY_NO_PATH 0x80 /* no volunteer carries the session */

enum fb_proxy_state { FB_PROXY_MORE, FB_PROXY_READY, FB_PROXY_REFUSED };

struct fb_proxyhead;

/* About 1 kB; an HTTP head is held until fb_proxyhead_free. NULL when out of memory. */
struct fb_proxyhead *fb_proxyhead_new(const struct fb_mem *mem);
void fb_proxyhead_free(struct fb_proxyhead *ph);

/*
 * Takes up to len bytes; *used says how many belonged to the head (the rest is the caller's: in
 * state READY the beginning of what goes to the origin). Not after READY or REFUSED.
 */
enum fb_proxy_state fb_proxyhead_feed(struct fb_proxyhead *ph, const uint8_t *in, size_t len,
                                      size_t *used);
/* What the last feed owes the app; *len may be 0. Valid until the next call on ph. */
const uint8_t *fb_proxyhead_output(const struct fb_proxyhead *ph, size_t *len);

/* In state REFUSED: why, one line for a person, without any of the app's bytes. */
const char *fb_proxyhead_why(const struct fb_proxyhead *ph);

/* In state READY: */
const struct fb_dest *fb_proxyhead_dest(const struct fb_proxyhead *ph);
/* Bytes for the origin before anything else; *len is 0 but for absolute-form requests. */
const uint8_t *fb_proxyhead_first(const struct fb_proxyhead *ph, size_t *len);
/* How many bytes after the head are for the origin; UINT64_MAX: all. */
uint64_t fb_proxyhead_body(const struct fb_proxyhead *ph);
/*
 * The answer to the app for a status (enum fb_dest_status or FB_PROXY_NO_PATH), written to out:
 * its length, 0 when nothing is to be said (an absolute-form request that succeeded).
 */
size_t fb_proxyhead_reply(const struct fb_proxyhead *ph, uint8_t status,
                          uint8_t out[static FB_PROXYHEAD_REPLY_MAX]);

#endif
