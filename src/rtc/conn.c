/* The half of a peer on the rtc thread: ICE below DTLS below SCTP, and the reason it ends. */
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rtc/cert.h"
#include "rtc/dtls.h"
#include "rtc/engine.h"
#include "rtc/ice.h"

#define SCTP_PORT 5000
/* A client's first flight may overtake our knowledge that its pair works. */
#define EARLY_MAX 8
#define EARLY_LEN 1500
/* How long a close waits for what was sent before it, in ticks of 10 ms (so that a machine that
 * stands still does not count): a round trip or two, for a farewell behind a full queue. */
#define LINGER_TICKS 30

struct early {
    size_t len;
    uint8_t data[EARLY_LEN];
};

struct fb_conn {
    struct fb_peer *peer;
    struct fb_engine *engine;
    uintptr_t id;
    struct fb_cert cert;
    struct fb_ice *ice;
    struct fb_dtls *dtls;
    struct fb_sctp *sctp;
    struct fb_desc remote;
    bool has_remote, gathered, described, connected, open;
    bool doomed;             /* it is over; what is below goes at the next reap */
    bool down;               /* what is below has gone or is going */
    bool ice_gone;           /* ... has gone */
    bool released;           /* the user has let go */
    int64_t deadline_us;     /* 0: none */
    int linger_ticks;        /* once released */
    struct fb_queue sending; /* what SCTP has not taken */
    struct early *early;     /* EARLY_MAX of them, or NULL */
    size_t early_count;
};

static void post(struct fb_conn *conn, enum fb_item_kind kind, int value, const void *data,
                 size_t len) {
    struct fb_item *item = fb_item_new(conn->peer, kind, value, data, len);
    if (item == NULL)
        abort(); /* as GLib does */
    fb_rtc_event(conn->peer->rtc, item);
}

/* Not at once: the layers below may be the ones that call. */
static void doom(struct fb_conn *conn) {
    conn->doomed = true;
    conn->engine->reap = true;
    fb_rtc_wake(conn->peer->rtc);
}

static void fail(struct fb_conn *conn, enum fb_peer_reason reason) {
    if (conn->doomed)
        return;
    post(conn, FB_ITEM_CLOSED, (int)reason, NULL, 0);
    doom(conn);
}

/* ---- messages ---- */

static void take_message(struct fb_conn *conn, const uint8_t *data, size_t len) {
    if (conn->released)
        return;
    struct fb_item *item = fb_item_new(conn->peer, FB_ITEM_MESSAGE, 0, data, len);
    if (item == NULL) {
        fail(conn, FB_PEER_SYSTEM);
        return;
    }
    atomic_fetch_add(&conn->peer->inbox, fb_item_cost(item));
    fb_rtc_event(conn->peer->rtc, item);
}

/* True when the user has too much to read; peer.c sends FB_ITEM_RESUME once that is over. */
static bool is_stalled(struct fb_peer *peer) {
    if (atomic_load(&peer->inbox) < peer->config.recv_max)
        return false;
    atomic_store(&peer->stalled, true);
    /* The user may have emptied it just before it could see the flag. */
    return atomic_load(&peer->inbox) > peer->config.recv_max / 2 ||
           !atomic_exchange(&peer->stalled, false);
}

static void on_opened(struct fb_conn *conn) {
    conn->open = true;
    conn->deadline_us = 0;
    post(conn, FB_ITEM_PROGRESS, FB_PEER_SCTP_OPEN, NULL, 0);
}

static void receive(struct fb_conn *conn) {
    uint8_t *buf = conn->engine->scratch;
    size_t len = 0;
    while (!conn->doomed && (conn->released || !is_stalled(conn->peer))) {
        switch (fb_sctp_read(conn->sctp, buf, &len)) {
        case FB_SCTP_NOTHING: return;
        case FB_SCTP_OPENED: on_opened(conn); break;
        case FB_SCTP_MESSAGE: take_message(conn, buf, len); break;
        case FB_SCTP_IGNORED: atomic_fetch_add(&conn->peer->ignored, 1); break;
        case FB_SCTP_TOO_BIG: fail(conn, FB_PEER_MESSAGE_TOO_BIG); break;
        case FB_SCTP_CLOSED: fail(conn, FB_PEER_BY_REMOTE); break;
        case FB_SCTP_LOST: fail(conn, FB_PEER_LOST); break;
        case FB_SCTP_REFUSED: fail(conn, FB_PEER_SCTP_FAILED); break;
        }
    }
}

static void transmit(struct fb_conn *conn) {
    struct fb_peer *peer = conn->peer;
    while (!conn->doomed && conn->open && conn->sending.head != NULL) {
        struct fb_item *item = conn->sending.head;
        int err = fb_sctp_send(conn->sctp, item->data, item->len, item->next == NULL);
        if (err == FB_ERR_AGAIN)
            return;
        if (err != 0) {
            /* Why it ended is in what is left to read. */
            receive(conn);
            fail(conn, FB_PEER_BY_REMOTE);
            return;
        }
        size_t before = atomic_fetch_sub(&peer->buffered, item->len), low = peer->config.send_low;
        if (before > low && before - item->len <= low)
            post(conn, FB_ITEM_WRITABLE, 0, NULL, 0);
        free(fb_queue_pop(&conn->sending));
    }
}

static bool has_said_all(struct fb_conn *conn) {
    return !conn->open || (conn->sending.head == NULL && fb_sctp_is_dry(conn->sctp));
}

static void pump(struct fb_conn *conn) {
    if (conn->sctp == NULL || conn->doomed)
        return;
    receive(conn);
    transmit(conn);
    if (conn->released && !conn->doomed && has_said_all(conn))
        doom(conn);
}

/* ---- the layers below ---- */

static void on_dtls_output(void *user, const uint8_t *datagram, size_t len) {
    struct fb_conn *conn = user;
    fb_ice_send(conn->ice, datagram, len);
}

static void on_dtls_open(void *user) {
    struct fb_conn *conn = user;
    const struct fb_peer_config *config = &conn->peer->config;
    struct fb_sctp_config sctp = {conn->id, SCTP_PORT, conn->remote.sctp_port, config->recv_window,
                                  config->send_window};
    post(conn, FB_ITEM_PROGRESS, FB_PEER_DTLS_DONE, NULL, 0);
    conn->sctp = fb_sctp_new(&sctp);
    if (conn->sctp == NULL)
        fail(conn, FB_PEER_SYSTEM);
}

static void on_dtls_data(void *user, const uint8_t *data, size_t len) {
    struct fb_conn *conn = user;
    if (!conn->doomed)
        fb_sctp_input(conn->id, data, len);
}

static const struct fb_dtls_handler dtls_handler = {on_dtls_output, on_dtls_open, on_dtls_data};

/* close_notify is a close by the other side only after an association; before, it is a refusal. */
static void on_dtls_status(struct fb_conn *conn, enum fb_dtls_status status) {
    switch (status) {
    case FB_DTLS_HANDSHAKE:
    case FB_DTLS_OPEN: break;
    case FB_DTLS_CLOSED: fail(conn, FB_PEER_BY_REMOTE); break;
    case FB_DTLS_BAD_FINGERPRINT: fail(conn, FB_PEER_FINGERPRINT); break;
    case FB_DTLS_FAILED: fail(conn, FB_PEER_DTLS_FAILED); break;
    }
}

static void feed(struct fb_conn *conn, const uint8_t *data, size_t len) {
    enum fb_dtls_status status = fb_dtls_input(conn->dtls, data, len);
    pump(conn); /* what came before a close_notify is still to be read */
    on_dtls_status(conn, status);
}

/* The offerer said actpass, so the answer decides; an answerer is active unless the offer is. */
static enum fb_setup our_setup(const struct fb_conn *conn) {
    if (conn->peer->config.offerer)
        return FB_SETUP_ACTPASS;
    return conn->remote.setup == FB_SETUP_ACTIVE ? FB_SETUP_PASSIVE : FB_SETUP_ACTIVE;
}

static bool is_dtls_client(const struct fb_conn *conn) {
    if (conn->peer->config.offerer)
        return conn->remote.setup == FB_SETUP_PASSIVE;
    return our_setup(conn) == FB_SETUP_ACTIVE;
}

static void on_connected(void *user) {
    struct fb_conn *conn = user;
    if (conn->doomed || !conn->has_remote)
        return;
    conn->connected = true;
    post(conn, FB_ITEM_PROGRESS, FB_PEER_ICE_CONNECTED, NULL, 0);
    conn->dtls = fb_dtls_new(&conn->cert, is_dtls_client(conn), conn->remote.fingerprint,
                             &dtls_handler, conn);
    if (conn->dtls == NULL) {
        fail(conn, FB_PEER_SYSTEM);
        return;
    }
    if (is_dtls_client(conn))
        on_dtls_status(conn, fb_dtls_tick(conn->dtls));
    for (size_t i = 0; i < conn->early_count && !conn->doomed; i++)
        feed(conn, conn->early[i].data, conn->early[i].len);
    conn->early_count = 0;
    free(conn->early);
    conn->early = NULL;
}

static void on_ice_failed(void *user) {
    struct fb_conn *conn = user;
    fail(conn, conn->connected ? FB_PEER_LOST : FB_PEER_ICE_FAILED);
}

static void keep_early(struct fb_conn *conn, const uint8_t *data, size_t len) {
    if (len > EARLY_LEN || conn->early_count == EARLY_MAX)
        return;
    if (conn->early == NULL && (conn->early = calloc(EARLY_MAX, sizeof *conn->early)) == NULL)
        return;
    struct early *early = &conn->early[conn->early_count++];
    early->len = len;
    memcpy(early->data, data, len);
}

/* RFC 7983: what begins with 20 to 63 is DTLS; STUN has been taken by ICE, and we have no media. */
static void on_datagram(void *user, const uint8_t *data, size_t len) {
    struct fb_conn *conn = user;
    if (conn->doomed || len == 0 || data[0] < 20 || data[0] > 63)
        return;
    if (conn->dtls == NULL)
        keep_early(conn, data, len);
    else
        feed(conn, data, len);
}

void fb_conn_packet(struct fb_engine *engine, uintptr_t id, const uint8_t *packet, size_t len) {
    struct fb_conn *conn = g_hash_table_lookup(engine->conns, (gpointer)id);
    if (conn != NULL && conn->dtls != NULL)
        fb_dtls_send(conn->dtls, packet, len);
}

/* ---- descriptions ---- */

static void give_remote(struct fb_conn *conn) {
    if (fb_ice_set_remote(conn->ice, &conn->remote) != 0) {
        fail(conn, FB_PEER_ICE_FAILED);
        return;
    }
    conn->deadline_us = g_get_monotonic_time() + (int64_t)conn->peer->config.timeout_ms * 1000;
}

/* An answer says which DTLS role it takes, so it waits for the offer. */
static void describe(struct fb_conn *conn) {
    if (conn->described || conn->doomed || !conn->gathered ||
        (!conn->peer->config.offerer && !conn->has_remote))
        return;
    struct fb_desc desc = {
        .setup = our_setup(conn), .sctp_port = SCTP_PORT, .max_message_size = FB_PEER_MESSAGE_MAX};
    memcpy(desc.fingerprint, conn->cert.fingerprint, sizeof desc.fingerprint);
    fb_ice_describe(conn->ice, &desc);
    conn->described = true;
    atomic_store(&conn->peer->nat, fb_ice_nat(conn->ice));
    atomic_store(&conn->peer->unanswered, fb_ice_unanswered(conn->ice));
    if (desc.candidate_count == 0)
        fail(conn, FB_PEER_NO_ADDRESS);
    else
        post(conn, FB_ITEM_DESCRIBED, 0, &desc, sizeof desc);
}

static void on_gathered(void *user) {
    struct fb_conn *conn = user;
    if (conn->gathered || conn->doomed)
        return;
    conn->gathered = true;
    describe(conn);
    if (conn->has_remote && !conn->doomed)
        give_remote(conn);
}

static const struct fb_ice_handler ice_handler = {on_gathered, on_connected, on_ice_failed,
                                                  on_datagram};

/* ---- birth, time and death ---- */

/* By chance and not by count: usrsctp takes it for an address, and what it tells of addresses is
 * its own affair. */
static uintptr_t new_id(const struct fb_engine *engine) {
    uintptr_t id = 0;
    while (id == 0 || g_hash_table_contains(engine->conns, (gpointer)id))
        if (RAND_bytes((uint8_t *)&id, sizeof id) != 1)
            abort(); /* without randomness there is no DTLS either */
    return id;
}

static void start(struct fb_engine *engine, struct fb_peer *peer) {
    struct fb_conn *conn = g_new0(struct fb_conn, 1);
    peer->conn = conn;
    conn->peer = peer;
    conn->engine = engine;
    conn->id = new_id(engine);
    g_hash_table_insert(engine->conns, (gpointer)conn->id, conn);
    struct fb_ice_config config = {
        .context = engine->context,
        .controlling = peer->config.offerer,
        .loopback = peer->config.local,
        .stun = peer->stun,
        .stun_count = peer->stun_count,
        .gather_ms = peer->config.gather_ms,
        .handler = &ice_handler,
        .user = conn,
    };
    conn->ice = fb_ice_new(&config);
    if (fb_cert_make(&conn->cert) != 0)
        fail(conn, FB_PEER_SYSTEM);
    else if (fb_ice_gather(conn->ice) != 0)
        fail(conn, FB_PEER_NO_ADDRESS);
}

static void set_remote(struct fb_conn *conn, const struct fb_desc *remote) {
    conn->remote = *remote;
    conn->has_remote = true;
    describe(conn);
    if (conn->gathered && !conn->doomed)
        give_remote(conn);
}

static void bury(struct fb_conn *conn) {
    if (!conn->ice_gone || !conn->released)
        return;
    g_hash_table_remove(conn->engine->conns, (gpointer)conn->id);
    post(conn, FB_ITEM_GONE, 0, NULL, 0);
    g_free(conn);
}

static void on_ice_gone(void *user) {
    struct fb_conn *conn = user;
    struct fb_rtc *rtc = conn->peer->rtc;
    conn->ice_gone = true;
    bury(conn);
    fb_rtc_wake(rtc); /* the last one stops the tick */
}

/* In this order: SCTP says ABORT, DTLS says close_notify, ICE lets go of the sockets. */
static void take_down(struct fb_conn *conn) {
    conn->down = true;
    fb_sctp_free(conn->sctp);
    conn->sctp = NULL;
    fb_dtls_free(conn->dtls);
    conn->dtls = NULL;
    fb_cert_clear(&conn->cert);
    fb_queue_clear(&conn->sending);
    free(conn->early);
    conn->early = NULL;
    fb_ice_close(conn->ice, on_ice_gone, conn);
}

void fb_conn_reap(struct fb_engine *engine) {
    engine->reap = false;
    GHashTableIter iter;
    gpointer value;
    g_hash_table_iter_init(&iter, engine->conns);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        struct fb_conn *conn = value;
        if (conn->doomed && !conn->down)
            take_down(conn);
    }
}

void fb_conn_tick(struct fb_conn *conn, int64_t now_us) {
    if (conn->doomed)
        return;
    if (conn->dtls != NULL)
        on_dtls_status(conn, fb_dtls_tick(conn->dtls));
    pump(conn);
    if (conn->released && !conn->doomed && --conn->linger_ticks <= 0)
        doom(conn);
    if (conn->deadline_us != 0 && now_us >= conn->deadline_us)
        fail(conn, conn->sctp != NULL   ? FB_PEER_SCTP_TIMEOUT
                   : conn->dtls != NULL ? FB_PEER_DTLS_TIMEOUT
                                        : FB_PEER_ICE_TIMEOUT);
}

static void release(struct fb_conn *conn) {
    conn->released = true;
    if (conn->down) {
        bury(conn);
    } else if (conn->doomed || has_said_all(conn)) {
        conn->doomed = true;
        take_down(conn);
    } else {
        conn->linger_ticks = LINGER_TICKS;
    }
}

void fb_conn_command(struct fb_engine *engine, struct fb_item *item) {
    struct fb_conn *conn = item->peer->conn;
    switch (item->kind) {
    case FB_ITEM_START: start(engine, item->peer); break;
    case FB_ITEM_REMOTE:
        if (!conn->doomed)
            set_remote(conn, (const struct fb_desc *)(const void *)item->data);
        break;
    case FB_ITEM_SEND:
        if (conn->doomed)
            break;
        fb_queue_push(&conn->sending, item);
        transmit(conn);
        return;
    case FB_ITEM_RESUME: pump(conn); break;
    case FB_ITEM_CLOSE: release(conn); break;
    default: break;
    }
    free(item);
}
