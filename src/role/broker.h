/*
 * The broker: introduces clients to volunteers. It takes sealed offers (POST /v1/offer, or through
 * an egress's link from inside sessions), pushes each to one idle volunteer (WebSocket
 * /v1/volunteer) by the rules of core/match.h, and exchanges ticket and first message for the
 * volunteer's answer. It serves the network document (/v1/network), what the widget needs to know
 * (/v1/widget), the widget's files, counts for the public (/v1/status) and /healthz.
 *
 * Egresses are known by their processes: fb_broker_attach() for one in this process, the WebSocket
 * /v1/link (doc/protocol.md, "Broker and egress") for others. Both go the same way from there on.
 *
 * Birth and death as with the egress:
 *     net, server; fb_broker_new(); ...; fb_broker_stop(); fb_server_free(); fb_broker_free().
 *
 * Everything happens on the net's loop. No log or count holds an address or names a session.
 */
#ifndef FB_ROLE_BROKER_H
#define FB_ROLE_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/document.h"
#include "core/match.h"
#include "net/geoip.h"
#include "net/log.h"
#include "net/server.h"
#include "role/censored.h"
#include "role/link.h"

struct fb_broker;

struct fb_broker_limits {
    uint32_t offers_per_minute; /* by one IPv4 address or IPv6 /64, directly; 0: no limit */
    uint32_t offers_under_way;  /* of one egress process, from its sessions */
    uint32_t hold_ms;           /* how long an offer waits for a volunteer */
    uint32_t answer_ms;         /* how long a volunteer has to answer */
    uint32_t failed_ms;         /* how long a pair that failed is not tried again */
    uint32_t volunteers_hour;   /* that one session may meet */
    uint32_t volunteers, requests;
    uint64_t status_us; /* age of published counts */
};

struct fb_broker_config {
    struct fb_net *net;
    struct fb_server *server; /* gets the routes */
    const struct fb_crypto *crypto;
    const struct fb_log *log;     /* may be NULL */
    const struct fb_geoip *geoip; /* may be NULL: all countries unknown */
    uint8_t network_id[FB_NETWORK_ID_LEN];
    uint8_t sealing_key[FB_KEY_LEN]; /* X25519 private key */
    uint8_t ticket_seed[FB_KEY_LEN]; /* Ed25519 */
    const uint8_t *link_secret;      /* FB_KEY_LEN bytes; NULL: no /v1/link */
    /* As signed; it must list a broker with our keys, and is published as it is. Copied. */
    const uint8_t *document;
    size_t document_len;
    struct fb_censored censored; /* whose people the widget warns */
    /* What addresses of no known country count as, for networks on one machine; two zero bytes:
     * unknown they stay. */
    uint8_t country[FB_COUNTRY_LEN];
    struct fb_broker_limits limits;
};

/* Fills in the default limits and FB_CENSORED_USUAL; the rest is zeroed. */
void fb_broker_config_init(struct fb_broker_config *config);

#define FB_BROKER_ERR_MAX 256

/* NULL with one line in err. Pointers in config outlive the broker; the caller wipes its keys. */
struct fb_broker *fb_broker_new(const struct fb_broker_config *config,
                                char err[static FB_BROKER_ERR_MAX]);
/* Sends everybody away: held offers get FB_ANSWER_AGAIN, volunteers and egresses are closed. */
void fb_broker_stop(struct fb_broker *broker);
/* After fb_server_free(). Accepts NULL. */
void fb_broker_free(struct fb_broker *broker);

/*
 * An egress of this process. Fills link for fb_egress_set_broker(); answered gets the answers, from
 * the loop, never from inside the link's functions. 0, FB_ERR_USED (that process is attached),
 * FB_ERR_NOMEM. fb_broker_detach: no call of answered follows.
 */
int fb_broker_attach(struct fb_broker *broker, const uint8_t egress[static FB_EGRESS_ID_LEN],
                     const uint8_t process[static FB_PROCESS_ID_LEN], fb_link_answered *answered,
                     void *user, struct fb_broker_link *link);
void fb_broker_detach(struct fb_broker *broker, const struct fb_broker_link *link);

struct fb_broker_counts {
    struct fb_match_counts match;
    uint64_t egresses;                  /* processes attached now */
    uint64_t offers, replays, unopened; /* since the start; refused ones by why */
    uint64_t limited;
    uint64_t tickets, attached, silent; /* tickets given; what egresses reported of them */
};
void fb_broker_count(const struct fb_broker *broker, struct fb_broker_counts *out);

#endif
