/*
 * The client: a local SOCKS5 and HTTP proxy whose connections leave at the network's egress. It
 * fetches and verifies the network document, keeps one session with an egress, and keeps paths
 * under it: an offer to the broker, the answer of a volunteer, a data channel. core/pathset.h
 * decides how many there are; when one dies another takes over, and connections go on where they
 * were. After the first path, offers go through the session.
 *
 * Everything happens on the net's loop; callbacks are never made from inside a function of this
 * header. Logs hold no destination and no identifier (DESIGN section 3.5).
 */
#ifndef FB_ROLE_CLIENT_H
#define FB_ROLE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "core/crypto.h"
#include "core/join.h"
#include "net/fetch.h"
#include "net/log.h"
#include "net/net.h"
#include "rtc/rtc.h"

struct fb_client;

/* The steps on the way to a working path, in their order, for a person who watches. While a path
 * carries, WAITING to CHANNEL are not told of further ones. */
enum fb_client_stage {
    FB_CLIENT_JOINING,    /* fetching the network document */
    FB_CLIENT_RENDEZVOUS, /* asking the broker for a volunteer */
    FB_CLIENT_WAITING,    /* nobody is free, or something failed: tried again by itself */
    FB_CLIENT_FOUND,      /* a volunteer has answered */
    FB_CLIENT_ICE,        /* its address answers */
    FB_CLIENT_DTLS,       /* encrypted to it */
    FB_CLIENT_CHANNEL,    /* the data channel is open */
    FB_CLIENT_ATTACHED,   /* the egress has answered: the session exists */
    FB_CLIENT_READY,      /* a path carries the session; again for each further one */
    FB_CLIENT_LOST,       /* a path is gone; another takes over or is sought */
};

struct fb_client_handler {
    /* text: one line for a person. May be NULL. */
    void (*progress)(void *user, enum fb_client_stage stage, const char *text);
};

struct fb_client_config {
    struct fb_net *net;
    struct fb_fetcher *fetcher;
    struct fb_rtc *rtc;
    const struct fb_crypto *crypto;
    const struct fb_log *log;   /* may be NULL */
    const struct fb_join *join; /* copied */
    const char *cache_file;     /* for the network document; NULL: none */
    uint32_t software_version;  /* FB_SOFTWARE_VERSION() */
    struct fb_addr listen;      /* of the proxy; port 0: a free one */
    /* That carry at once, up to FB_PATHSET_TARGET_MAX (core/pathset.h); 0: 4. With more than one
     * another stands by; an idle client keeps one that carries and one that stands by. */
    size_t paths;
    size_t lanes; /* at most, over all paths; 0: FB_LANES_CLIENT_MAX, 1: one for each path */
    const struct fb_client_handler *handler; /* outlives the client; may be NULL */
    void *user;
};

/* Listens and begins to look for a path. 0, FB_ERR_NOMEM; FB_ERR_USED (the port), FB_ERR_DENIED,
 * FB_ERR_IO with a message in err that names address and port. */
int fb_client_new(struct fb_client **out, const struct fb_client_config *config,
                  char err[static FB_NET_ERR_MAX]);
/* Tells egress and volunteers and closes every path and connection; no callback comes afterwards.
 * What was said leaves while the loop runs on and fb_rtc_free() has not called back. */
void fb_client_stop(struct fb_client *client);
/* Stops where that was not done. Before the fetcher and the net. Accepts NULL. */
void fb_client_free(struct fb_client *client);

/* Where the proxy listens. */
const struct fb_addr *fb_client_proxy(const struct fb_client *client);

struct fb_client_counts {
    uint64_t paths, connections; /* now: open paths, spares too; connections of apps */
    uint64_t lanes;              /* now: open data channels of all paths */
    uint64_t paths_all, offers;  /* since the start */
    uint64_t sessions_all;
    uint64_t bytes_up, bytes_down; /* on paths */
    uint64_t rtt_us;               /* of the best path; 0 unknown */
};
void fb_client_count(const struct fb_client *client, struct fb_client_counts *counts);

#endif
