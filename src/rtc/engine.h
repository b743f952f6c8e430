/*
 * Inside src/rtc: what the two halves of a peer share. peer.c is the half on the loop's thread,
 * conn.c the one on the rtc thread, rtc.c the thread and the queues between them.
 */
#ifndef FB_RTC_ENGINE_H
#define FB_RTC_ENGINE_H

#include <glib.h>
#include <stdatomic.h>

#include "rtc/mapping.h"
#include "rtc/peer.h"
#include "rtc/queue.h"
#include "rtc/sctp.h"

struct fb_conn;

struct fb_peer {
    struct fb_rtc *rtc;

    /* Set before the thread hears of the peer, and constant from then on. */
    struct fb_peer_config config;            /* defaults filled in; stun is not kept */
    struct fb_addr stun[FB_MAPPING_SERVERS]; /* the servers chosen */
    size_t stun_count;

    /* Both threads. */
    atomic_size_t buffered; /* bytes sent by the user that SCTP has not taken */
    atomic_size_t inbox;    /* bytes read from SCTP that the user has not had */
    atomic_bool stalled;    /* the thread stopped reading and wants FB_ITEM_RESUME */
    atomic_ullong ignored;
    atomic_int nat;         /* enum fb_nat */
    atomic_bool unanswered; /* STUN servers were asked in vain */

    /* The rtc thread alone. */
    struct fb_conn *conn;

    /* The loop's thread alone. */
    bool dead; /* the user's pointer is: no more callbacks */
    bool open, paused, has_remote;
    size_t message_max;   /* what the other side takes */
    struct fb_queue held; /* messages while paused */
};

/* rtc thread: state that the connections share. */
struct fb_engine {
    GMainContext *context;
    GHashTable *conns; /* id -> struct fb_conn */
    bool reap;         /* some connection has failed and is to be taken down */
    uint8_t scratch[FB_SCTP_READ_MAX];
};

/* What one message counts against a queue's ceiling: its memory, so that empty ones count too. */
static inline size_t fb_item_cost(const struct fb_item *item) {
    return sizeof *item + item->len;
}

/* rtc.c */
/* From the loop's thread to the rtc thread; takes item. */
void fb_rtc_command(struct fb_rtc *rtc, struct fb_item *item);
/* From the rtc thread to the loop's; takes item. */
void fb_rtc_event(struct fb_rtc *rtc, struct fb_item *item);
/* rtc thread: makes it look at engine->reap soon. */
void fb_rtc_wake(struct fb_rtc *rtc);
/* Loop's thread: one peer more or less exists; rtc may begin to end. */
void fb_rtc_count(struct fb_rtc *rtc, int change);
bool fb_rtc_stopping(const struct fb_rtc *rtc);

/* peer.c, on the loop's thread: one event for its peer; takes item. */
void fb_peer_event(struct fb_item *item);

/* conn.c, on the rtc thread. */
void fb_conn_command(struct fb_engine *engine, struct fb_item *item);
void fb_conn_tick(struct fb_conn *conn, int64_t now_us);
/* Takes down what has failed; called when engine->reap is set. */
void fb_conn_reap(struct fb_engine *engine);
/* A packet from usrsctp. */
void fb_conn_packet(struct fb_engine *engine, uintptr_t id, const uint8_t *packet, size_t len);

#endif
