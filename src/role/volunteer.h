/*
 * The headless volunteer: lends this machine's connection. It joins a network, keeps a WebSocket to
 * a broker, answers offers with fresh WebRTC peers, opens a WebSocket to the egress for each and
 * relays message by message. What to do and when is decided by core/slot alone; this is its glue,
 * as the widget's JavaScript is in a browser.
 *
 * Making the object is the operator's standing choice: it is switched on at once. Everything
 * happens on the net's loop. Logs hold no reader's address (DESIGN section 3.5).
 */
#ifndef FB_ROLE_VOLUNTEER_H
#define FB_ROLE_VOLUNTEER_H

#include <stdint.h>

#include "core/slot.h"
#include "role/joined.h"
#include "rtc/rtc.h"

struct fb_volunteer;

struct fb_volunteer_config {
    struct fb_net *net;
    struct fb_fetcher *fetcher;
    struct fb_rtc *rtc;
    const struct fb_crypto *crypto;
    const struct fb_log *log;   /* may be NULL */
    const struct fb_join *join; /* copied */
    const char *cache_file;     /* as fb_joined_config's */
    uint32_t software_version;
    struct fb_slot_limits limits; /* zeros: the default number of readers, and no other */
    /* May be NULL: what the view tells is new, bytes aside. */
    void (*changed)(void *user, const struct fb_slot_view *view);
    /* May be NULL: no network document yet, and why: one line for a person. It is tried again by
     * itself. */
    void (*failed)(void *user, const char *why);
    void *user;
};

/* NULL when out of memory. What config points to outlives the object. */
struct fb_volunteer *fb_volunteer_new(const struct fb_volunteer_config *config);
/* Switches off: says farewell on every path and closes it, leaves the broker; no callback comes
 * afterwards. What was said leaves while the loop runs on and fb_rtc_free() has not called back. */
void fb_volunteer_stop(struct fb_volunteer *volunteer);
/* Stops where that was not done. Before the rtc, the fetcher and the net. Accepts NULL. */
void fb_volunteer_free(struct fb_volunteer *volunteer);

void fb_volunteer_view(const struct fb_volunteer *volunteer, struct fb_slot_view *out);

#endif
