/*
 * The egress: the far end of every client's session. It serves /v1/path, where volunteers bring
 * paths with tickets; it holds the sessions, connects their streams to the internet as the exit
 * policy allows, and tells its broker what became of each ticket. No ticket, no service: a socket's
 * first message is checked before anything else is done for it.
 *
 * Order of birth and death:
 *     net, server, policy; egress = fb_egress_new(); fb_server_listen(); ...;
 *     fb_egress_stop(); fb_server_free(); fb_egress_free(); policy, net.
 *
 * Everything happens on the net's loop. Logs and counts hold no reader's address, no destination
 * and no identifier of a session (DESIGN section 3.5).
 */
#ifndef FB_ROLE_EGRESS_H
#define FB_ROLE_EGRESS_H

#include <stddef.h>
#include <stdint.h>

#include "core/dest.h"
#include "core/exitpolicy.h"
#include "core/session.h"
#include "core/ticket.h"
#include "net/log.h"
#include "net/server.h"
#include "role/link.h"
#include "role/quota.h"

struct fb_egress;

struct fb_egress_limits {
    size_t sessions, paths; /* at once; sockets that have not shown a ticket count as paths */
    size_t buffered; /* bytes held for all sessions together: above it, reading from origins pauses
                      * for those that hold more than their share; twice that is the ceiling, at
                      * which the session that holds most is closed (FB_CLOSE_LIMIT) */
    struct fb_quota_limits session; /* streams of one session */
    struct fb_quota_limits address; /* connections to one IPv4 address or IPv6 /64 */
    struct fb_quota_limits total;   /* streams of all sessions; of those left one session may hold
                                     * an eighth */
    uint64_t head_timeout_us;       /* from a stream's first byte to its whole destination */
    uint64_t dial_timeout_us;       /* look-up and connect together */
};

struct fb_egress_config {
    struct fb_net *net;
    struct fb_server *server; /* gets the route */
    const struct fb_crypto *crypto;
    const struct fb_log *log; /* may be NULL */
    const struct fb_exit_policy *policy;
    uint8_t network_id[FB_NETWORK_ID_LEN];
    uint8_t key[FB_KEY_LEN]; /* the egress's private key; the caller wipes its copy */
    const struct fb_ticket_key *ticket_keys; /* of the network's brokers; copied */
    size_t ticket_key_count;
    struct fb_egress_limits limits;
};

/* Fills in the default limits; the rest is zeroed. */
void fb_egress_config_init(struct fb_egress_config *config);

#define FB_EGRESS_ROUTE "/v1/path"
#define FB_EGRESS_TICKET_KEYS_MAX 16

/* 0, FB_ERR_NOMEM, FB_ERR_LIMIT (too many ticket keys). Pointers in config outlive the egress. */
int fb_egress_new(struct fb_egress **out, const struct fb_egress_config *config);
/* Tells every client that the process ends, closes every path and stream; new paths are refused. */
void fb_egress_stop(struct fb_egress *egress);
/* After fb_egress_stop() and fb_server_free(). Accepts NULL. */
void fb_egress_free(struct fb_egress *egress);

/* What the broker must know: the egress's public key, and this process. */
const uint8_t *fb_egress_id(const struct fb_egress *egress);
const uint8_t *fb_egress_process_id(const struct fb_egress *egress);

/* The network document as signed, for clients that ask whether theirs is the newest; bytes outlive
 * the egress. 0, or an error of fb_document_parse(). */
int fb_egress_set_document(struct fb_egress *egress, const uint8_t *bytes, size_t len);

/* The link to the broker is up (the struct is copied), or down (NULL). */
void fb_egress_set_broker(struct fb_egress *egress, const struct fb_broker_link *broker);
/* The broker's answer to an offer; user is the egress. An fb_link_answered. */
void fb_egress_answered(void *user, uint64_t request, const uint8_t *sealed, size_t len);

struct fb_egress_counts {
    uint64_t sessions, paths, streams, buffered; /* now */
    /* Since the start. */
    uint64_t sessions_all, paths_all, streams_all;
    uint64_t bytes_up, bytes_down; /* on paths: from clients, to clients */
    uint64_t tickets_refused, over_limit;
    uint64_t results[FB_DEST_STATUS_COUNT]; /* connects, by what the client was told */
};
void fb_egress_count(const struct fb_egress *egress, struct fb_egress_counts *counts);

#endif
