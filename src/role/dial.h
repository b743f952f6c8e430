/*
 * From a destination to a connected TCP socket: look-up, exit policy on every resolved address just
 * before its connect, and the simple form of RFC 8305 (families take turns, the next attempt
 * starts 250 ms after the one before, or at once when that has failed). The name is looked up
 * once and the connect goes to the checked address itself, so there is no second answer of DNS to
 * be fooled by.
 */
#ifndef FB_ROLE_DIAL_H
#define FB_ROLE_DIAL_H

#include <stdint.h>
#include <uv.h>

#include "core/dest.h"
#include "core/exitpolicy.h"
#include "net/resolver.h"
#include "role/quota.h"

/* What all dials of one egress share. */
struct fb_dialer;
struct fb_dial;

struct fb_dialer_config {
    uv_loop_t *loop;
    struct fb_resolver *resolver;
    const struct fb_exit_policy *policy;
    struct fb_quota_limits per_address; /* connections to one IPv4 address or IPv6 /64 */
    uint64_t timeout_us;                /* look-up and connect together */
};

/* The struct is copied, what it points to outlives the dialer. NULL when out of memory. */
struct fb_dialer *fb_dialer_new(const struct fb_dialer_config *config);
/* Every dial is cancelled and every connection released before this. Accepts NULL. */
void fb_dialer_free(struct fb_dialer *dialer);

/*
 * status FB_DEST_OK: tcp is connected and the callee's, who closes it with fb_dial_close();
 * otherwise tcp is NULL. The dial is gone. Never called from inside fb_dial_start.
 */
typedef void fb_dialed(void *user, enum fb_dest_status status, uv_tcp_t *tcp);

/* NULL when out of memory (done is not called). */
struct fb_dial *fb_dial_start(struct fb_dialer *dialer, const struct fb_dest *dest, fb_dialed *done,
                              void *user);
/* Ends it without its callback. Not after done was called. Accepts NULL. */
void fb_dial_cancel(struct fb_dial *dial);

/* Closes what a dial gave, with RST when abort is set, gives its place at the destination back, and
 * frees it when the loop has closed the handle. No callback of its streams follows but those of
 * pending writes, with UV_ECANCELED. */
void fb_dial_close(uv_tcp_t *tcp, bool abort);

/* What a failed connect says to the client; uv_err is a libuv error. */
enum fb_dest_status fb_dial_status(int uv_err);

#endif
