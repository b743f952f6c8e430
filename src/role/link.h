/*
 * Between a broker and an egress: what the egress tells and asks, whether both live in one process
 * (`serve`, `demo`) or on two machines. The messages are those of core/signal.h (FB_LINK_*); who
 * and which process the egress is (HELLO) is said when the link is made.
 *
 *     one process:   fb_broker_attach() of role/broker.h fills a struct fb_broker_link;
 *     two machines:  the egress's role/egress_link.h connects to the broker's WebSocket /v1/link
 *                    and fills one. Bytes there are sealed by core/linkseal.h.
 *
 * The egress is given the link by fb_egress_set_broker(), and NULL when it is down. None of these
 * functions calls back from inside.
 */
#ifndef FB_ROLE_LINK_H
#define FB_ROLE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "core/signal.h"

/* What a broker offers to an egress. */
struct fb_broker_link {
    void *ctx;
    /* Every FB_LINK_LOAD_S seconds, and at once when the link has come up. */
    void (*load)(void *ctx, const struct fb_link_load *load);
    /* What became of a ticket that this broker signed. */
    void (*report)(void *ctx, const struct fb_link_report *report);
    /*
     * A sealed offer that came through a session, at most FB_LINK_SEALED_MAX bytes. request is the
     * egress's number for it, never used twice; fb_link_answered follows once, unless the link goes
     * down first. 0, FB_ERR_LIMIT (too many under way), FB_ERR_NOMEM.
     */
    int (*offer)(void *ctx, uint64_t request, const uint8_t *sealed, size_t len);
    /* Nobody waits for that answer any more; fb_link_answered may follow all the same. */
    void (*cancel)(void *ctx, uint64_t request);
};

#define FB_LINK_LOAD_S 5

/* The broker's sealed answer to an offer; len 0: the offer did not open. */
typedef void fb_link_answered(void *user, uint64_t request, const uint8_t *sealed, size_t len);

#endif
