#include "rtc/peer.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rtc/engine.h"

const char *fb_peer_reason_text(enum fb_peer_reason reason) {
    switch (reason) {
    case FB_PEER_BY_REMOTE: return "closed by the other side";
    case FB_PEER_LOST: return "the other side stopped answering";
    case FB_PEER_NO_ADDRESS: return "this machine has no network address to offer";
    case FB_PEER_ICE_FAILED: return "no pair of addresses works (ICE)";
    case FB_PEER_ICE_TIMEOUT: return "no pair of addresses answered in time (ICE)";
    case FB_PEER_DTLS_TIMEOUT: return "the DTLS handshake did not finish in time";
    case FB_PEER_DTLS_FAILED: return "the DTLS handshake failed";
    case FB_PEER_FINGERPRINT: return "the certificate is not the one that was described";
    case FB_PEER_SCTP_TIMEOUT: return "the data channel did not open in time (SCTP)";
    case FB_PEER_SCTP_FAILED: return "the data channel failed (SCTP)";
    case FB_PEER_MESSAGE_TOO_BIG: return "the other side sent too long a message";
    case FB_PEER_SYSTEM: return "the system or a library failed";
    }
    return "unknown reason";
}

/* Small items, as GLib's own, do not fail: the process ends instead. */
static struct fb_item *must_item(struct fb_peer *peer, enum fb_item_kind kind) {
    struct fb_item *item = fb_item_new(peer, kind, 0, NULL, 0);
    if (item == NULL)
        abort();
    return item;
}

static size_t or_default(size_t value, size_t otherwise) {
    return value != 0 ? value : otherwise;
}

static void fill_config(struct fb_peer_config *config) {
    config->timeout_ms = (uint32_t)or_default(config->timeout_ms, FB_PEER_TIMEOUT_MS);
    config->gather_ms = (uint32_t)or_default(config->gather_ms, FB_PEER_GATHER_MS);
    config->recv_window = or_default(config->recv_window, FB_PEER_RECV_WINDOW);
    config->send_window = or_default(config->send_window, FB_PEER_SEND_WINDOW);
    config->recv_max = or_default(config->recv_max, FB_PEER_QUEUE_MAX);
    config->send_max = or_default(config->send_max, FB_PEER_QUEUE_MAX);
    config->send_low = or_default(config->send_low, config->send_max / 4);
    config->stun = NULL;
}

/* Neighbours from a random place on; the caller's list is in no order of meaning. */
static void choose_stun(struct fb_peer *peer, const struct fb_peer_config *config) {
    size_t start = config->stun_count > 0 ? g_random_int() % config->stun_count : 0;
    peer->stun_count = MIN(config->stun_count, FB_MAPPING_SERVERS);
    for (size_t i = 0; i < peer->stun_count; i++)
        peer->stun[i] = config->stun[(start + i) % config->stun_count];
}

int fb_peer_new(struct fb_peer **out, struct fb_rtc *rtc, const struct fb_peer_config *config) {
    if (fb_rtc_stopping(rtc))
        return FB_ERR_STATE;
    struct fb_peer *peer = calloc(1, sizeof *peer);
    struct fb_item *start = fb_item_new(peer, FB_ITEM_START, 0, NULL, 0);
    if (peer == NULL || start == NULL) {
        free(peer);
        free(start);
        return FB_ERR_NOMEM;
    }
    peer->rtc = rtc;
    peer->config = *config;
    fill_config(&peer->config);
    choose_stun(peer, config);
    fb_rtc_count(rtc, 1);
    fb_rtc_command(rtc, start);
    *out = peer;
    return 0;
}

enum fb_nat fb_peer_nat(const struct fb_peer *peer) {
    return (enum fb_nat)atomic_load(&peer->nat);
}

bool fb_peer_unanswered(const struct fb_peer *peer) {
    return atomic_load(&peer->unanswered);
}

static bool text_fits(const char *text, size_t min, size_t max) {
    size_t len = strnlen(text, max + 1);
    return len >= min && len <= max;
}

int fb_peer_set_remote(struct fb_peer *peer, const struct fb_desc *remote) {
    if (peer->has_remote)
        return FB_ERR_STATE;
    if ((peer->config.offerer && remote->setup == FB_SETUP_ACTPASS) || remote->sctp_port == 0 ||
        remote->candidate_count > FB_DESC_CANDIDATES_MAX ||
        !text_fits(remote->ufrag, FB_DESC_UFRAG_MIN, FB_DESC_UFRAG_MAX) ||
        !text_fits(remote->pwd, FB_DESC_PWD_MIN, FB_DESC_PWD_MAX))
        return FB_ERR_MALFORMED;
    struct fb_item *item = fb_item_new(peer, FB_ITEM_REMOTE, 0, remote, sizeof *remote);
    if (item == NULL)
        return FB_ERR_NOMEM;
    peer->has_remote = true;
    peer->message_max = FB_PEER_MESSAGE_MAX;
    if (remote->max_message_size != 0 && remote->max_message_size < peer->message_max)
        peer->message_max = remote->max_message_size;
    fb_rtc_command(peer->rtc, item);
    return 0;
}

int fb_peer_send(struct fb_peer *peer, const void *data, size_t len) {
    if (!peer->open)
        return FB_ERR_STATE;
    if (len == 0)
        return FB_ERR_MALFORMED;
    if (len > peer->message_max)
        return FB_ERR_TOO_BIG;
    if (fb_peer_buffered(peer) + len > peer->config.send_max)
        return FB_ERR_AGAIN;
    struct fb_item *item = fb_item_new(peer, FB_ITEM_SEND, 0, data, len);
    if (item == NULL)
        return FB_ERR_NOMEM;
    atomic_fetch_add(&peer->buffered, len);
    fb_rtc_command(peer->rtc, item);
    return 0;
}

size_t fb_peer_buffered(const struct fb_peer *peer) {
    return atomic_load(&peer->buffered);
}

uint64_t fb_peer_ignored(const struct fb_peer *peer) {
    return atomic_load(&peer->ignored);
}

/* What the user has had no longer counts; a thread that stopped reading for it may go on. */
static void settle(struct fb_peer *peer, const struct fb_item *item) {
    size_t before = atomic_fetch_sub(&peer->inbox, fb_item_cost(item));
    size_t now = before - fb_item_cost(item);
    if (now <= peer->config.recv_max / 2 && atomic_exchange(&peer->stalled, false))
        fb_rtc_command(peer->rtc, must_item(peer, FB_ITEM_RESUME));
}

static void let_go(struct fb_peer *peer) {
    peer->dead = true;
    fb_queue_clear(&peer->held);
    fb_rtc_command(peer->rtc, must_item(peer, FB_ITEM_CLOSE));
}

void fb_peer_close(struct fb_peer *peer) {
    if (!peer->dead)
        let_go(peer);
}

/* Delivered from the loop's next turn: none is made from inside a function of peer.h. */
void fb_peer_pause(struct fb_peer *peer, bool pause) {
    peer->paused = pause;
    if (!pause && peer->held.head != NULL)
        fb_rtc_event(peer->rtc, must_item(peer, FB_ITEM_RELEASE));
}

static void deliver(struct fb_peer *peer, struct fb_item *item) {
    settle(peer, item);
    peer->config.handler->message(peer->config.user, peer, item->data, item->len);
    free(item);
}

/* Order does not matter to an unordered channel, but what waited longest goes first. */
static void release(struct fb_peer *peer) {
    while (!peer->dead && !peer->paused && peer->held.head != NULL)
        deliver(peer, fb_queue_pop(&peer->held));
}

static void on_progress(struct fb_peer *peer, enum fb_peer_stage stage) {
    const struct fb_peer_handler *handler = peer->config.handler;
    peer->open = stage == FB_PEER_SCTP_OPEN;
    if (handler->progress != NULL)
        handler->progress(peer->config.user, peer, stage);
    if (peer->open && !peer->dead)
        handler->open(peer->config.user, peer);
}

static void on_closed(struct fb_peer *peer, enum fb_peer_reason reason) {
    peer->dead = true;
    peer->config.handler->closed(peer->config.user, peer, reason);
    let_go(peer);
}

static void on_gone(struct fb_peer *peer) {
    struct fb_rtc *rtc = peer->rtc;
    free(peer);
    fb_rtc_count(rtc, -1);
}

void fb_peer_event(struct fb_item *item) {
    struct fb_peer *peer = item->peer;
    const struct fb_peer_handler *handler = peer->config.handler;
    void *user = peer->config.user;
    if (item->kind == FB_ITEM_GONE) {
        on_gone(peer);
    } else if (!peer->dead) {
        switch (item->kind) {
        case FB_ITEM_DESCRIBED:
            handler->described(user, peer, (const struct fb_desc *)(const void *)item->data);
            break;
        case FB_ITEM_PROGRESS: on_progress(peer, (enum fb_peer_stage)item->value); break;
        case FB_ITEM_MESSAGE:
            fb_queue_push(&peer->held, item);
            release(peer);
            return;
        case FB_ITEM_RELEASE: release(peer); break;
        case FB_ITEM_WRITABLE:
            if (handler->writable != NULL)
                handler->writable(user, peer);
            break;
        case FB_ITEM_CLOSED: on_closed(peer, (enum fb_peer_reason)item->value); break;
        default: break;
        }
    }
    free(item);
}
