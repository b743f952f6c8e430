/*
 * ICE by libnice: one agent, one stream, one component, UDP, no trickle, consent freshness
 * (RFC 8445, RFC 7675). UPnP and ICE-TCP are off; link-local addresses are not offered; STUN
 * servers are asked by mapping.h. Belongs to the thread of rtc.h.
 */
#ifndef FB_RTC_ICE_H
#define FB_RTC_ICE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/describe.h"
#include "core/signal.h"

struct fb_ice;

struct fb_ice_handler {
    /* Everything that can be learned of this machine's addresses is. Once. */
    void (*gathered)(void *user);
    /* A pair of candidates works: fb_ice_send does. Once. */
    void (*connected)(void *user);
    /* No pair works, or the working one stopped to. */
    void (*failed)(void *user);
    void (*datagram)(void *user, const uint8_t *data, size_t len);
};

struct fb_ice_config {
    GMainContext *context;
    bool controlling;
    bool loopback;              /* offer loopback addresses where there are no others */
    const struct fb_addr *stun; /* servers, IPv4; as fb_mapping_config's */
    size_t stun_count;
    uint32_t gather_ms; /* longest wait for them */
    const struct fb_ice_handler *handler;
    void *user;
};

struct fb_ice *fb_ice_new(const struct fb_ice_config *config);
/* `gathered` may come from inside. 0, FB_ERR_NOT_FOUND (no address to offer). */
int fb_ice_gather(struct fb_ice *ice);
/* Fills credentials and candidates of desc; after `gathered`. */
void fb_ice_describe(struct fb_ice *ice, struct fb_desc *desc);
/* What the STUN servers showed; after `gathered`. */
enum fb_nat fb_ice_nat(const struct fb_ice *ice);
/* Some were asked, and none has answered; after `gathered`. */
bool fb_ice_unanswered(const struct fb_ice *ice);
/* After `gathered`. 0 or FB_ERR_MALFORMED. */
int fb_ice_set_remote(struct fb_ice *ice, const struct fb_desc *remote);
/* One datagram; dropped where it cannot go now. */
void fb_ice_send(struct fb_ice *ice, const uint8_t *data, size_t len);
/* No callback comes after this but done, when sockets and memory are gone. */
void fb_ice_close(struct fb_ice *ice, void (*done)(void *user), void *user);

#endif
