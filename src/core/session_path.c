#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/session_impl.h"

#define SILENT_PROBES 2 /* the first may have met a moment's pause */

struct fb_path *fb_path_find(const struct fb_session *s, uint32_t id) {
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p->id == id)
            return p;
    }
    return NULL;
}

bool fb_path_usable(const struct fb_path *p) {
    return p->state == FB_PATH_IS_OPEN || p->state == FB_PATH_IS_ATTACHED;
}

bool fb_path_spare(const struct fb_path *p) {
    return p->standby || p->peer_standby;
}

int fb_path_key(struct fb_session *s, struct fb_path *p, uint64_t now) {
    return fb_packets_init(&p->packets, s->config.crypto, p->id, s->send_secret, s->recv_secret,
                           now);
}

struct fb_path *fb_path_add(struct fb_session *s, uint32_t id, enum fb_path_state state,
                            uint64_t now) {
    struct fb_path *p = fb_alloc(s->mem, sizeof *p);
    if (p == NULL)
        return NULL;
    p->id = id;
    p->state = state;
    p->since = p->heard = now;
    p->ack_due = FB_NEVER;
    p->max_packet = FB_MESSAGE_MAX;
    fb_sent_init(&p->sent, s->mem);
    p->want_packet = FB_MESSAGE_MAX;
    fb_ranges_init(&p->received, s->mem, FB_PATH_ACK_RANGES);
    if (s->ready && fb_path_key(s, p, now) != 0) {
        fb_free(s->mem, p);
        return NULL;
    }
    fb_list_push(&s->paths, &p->link);
    s->path_count++;
    s->no_path_since = FB_NEVER;
    return p;
}

static void drop_reply(struct fb_session *s, struct fb_path *p) {
    if (p->reply != NULL)
        fb_wipe(p->reply, FB_REPLY_LEN);
    fb_free(s->mem, p->reply);
    p->reply = NULL;
}

static void uncount(struct fb_session *s, const struct fb_path *p, uint64_t now) {
    if (p->state != FB_PATH_IS_CLOSED && --s->path_count == 0)
        s->no_path_since = now;
}

void fb_path_remove(struct fb_session *s, struct fb_path *p) {
    uncount(s, p, s->now);
    drop_reply(s, p);
    fb_packets_clear(&p->packets);
    fb_sent_clear(&p->sent);
    fb_ranges_clear(&p->received);
    fb_list_remove(&p->link);
    fb_free(s->mem, p);
}

/* What the dead ones know is worth as much now as when they died. */
static void remember_closed(struct fb_session *s, uint64_t now) {
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p->state == FB_PATH_IS_CLOSED)
            p->since = now;
    }
}

void fb_path_set_open(struct fb_session *s, struct fb_path *p, uint64_t now) {
    if (fb_session_open_paths(s) == 0)
        remember_closed(s, now);
    p->state = FB_PATH_IS_OPEN;
    p->since = p->heard = now;
    p->event_open = true;
    p->send_status = true;
}

static void abandon(struct fb_session *s, uint32_t id) {
    for (size_t i = 0; i < FB_ABANDONS_MAX; i++) {
        if (s->abandons[i].used)
            continue;
        s->abandons[i] = (struct fb_abandon){.path = id, .used = true, .queue = true};
        return;
    }
}

void fb_path_close(struct fb_session *s, struct fb_path *p, enum fb_path_reason reason,
                   bool tell_owner, bool tell_peer, uint64_t now) {
    struct fb_sent_sink sink = fb_path_sink(s);
    if (p->state == FB_PATH_IS_CLOSED)
        return;
    uncount(s, p, now);
    if (tell_peer && s->ready)
        abandon(s, p->id);
    p->state = FB_PATH_IS_CLOSED;
    p->since = now;
    p->reason = reason;
    p->event_open = false;
    p->event_closed = tell_owner;
    p->send_ping = p->send_status = p->send_close = false;
    drop_reply(s, p);
    fb_packets_clear(&p->packets);
    fb_sent_lose_all(&p->sent, now, &sink);
    /* What arrived on it is acknowledged once more, elsewhere: nothing is sent again in vain. */
    if (p->received.n > 0)
        p->ack_due = now;
}

/* ---- the fate of frames ---- */

static void stream_frame(struct fb_session *s, const struct fb_sent_frame *f, bool acked) {
    struct fb_stream *st = fb_stream_find(s, f->id);
    if (st == NULL)
        return;
    int err = 0;
    switch (f->type) {
    case FB_FRAME_STREAM: {
        uint64_t before = fb_stream_out_base(st);
        err = acked ? fb_stream_acked(st, f->offset, f->len, f->fin)
                    : fb_stream_lost(st, f->offset, f->len, f->fin);
        if (!st->send_reset && !st->reset_sent)
            fb_session_unbuffer(s, fb_stream_out_base(st) - before);
        if (acked && (st->wants_room || st->finished))
            fb_stream_wake(s, st);
        break;
    }
    case FB_FRAME_RESET_STREAM:
        if (acked)
            st->reset_done = true;
        else
            st->send_reset = !st->reset_done;
        break;
    case FB_FRAME_STOP_SENDING: st->send_stop = !acked && !st->final_known; break;
    default: st->send_limit |= !acked && !st->final_known; break; /* a newer one may wait */
    }
    if (err != 0)
        fb_session_close(s, FB_CLOSE_INTERNAL);
    if (!acked)
        fb_stream_requeue(s, st);
    fb_stream_settle(s, st);
}

static void post_frame(struct fb_session *s, uint64_t number, bool acked) {
    for (size_t i = 0; i < FB_POSTS_MAX; i++) {
        struct fb_post_out *post = &s->posts[i];
        if (post->data == NULL || post->number != number)
            continue;
        if (acked) {
            fb_free(s->mem, post->data);
            *post = (struct fb_post_out){0};
        } else {
            post->queue = true;
        }
    }
}

static void on_frame(void *ctx, const struct fb_sent_frame *f, bool acked) {
    struct fb_session *s = ctx;
    switch (f->type) {
    case FB_FRAME_STREAM:
    case FB_FRAME_RESET_STREAM:
    case FB_FRAME_STOP_SENDING:
    case FB_FRAME_MAX_STREAM_DATA: stream_frame(s, f, acked); break;
    case FB_FRAME_MAX_DATA: s->send_max_data |= !acked; break;
    case FB_FRAME_MAX_STREAMS: s->send_max_streams |= !acked; break;
    case FB_FRAME_NEW_TOKEN:
        for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
            if (s->tokens[i].used && s->tokens[i].path == f->id)
                s->tokens[i].queue = !acked;
        break;
    case FB_FRAME_PATH_ABANDON:
        for (size_t i = 0; i < FB_ABANDONS_MAX; i++)
            if (s->abandons[i].used && s->abandons[i].path == f->id)
                s->abandons[i] = (struct fb_abandon){f->id, !acked, !acked};
        break;
    case FB_FRAME_PATH_STATUS: {
        struct fb_path *p = fb_path_find(s, (uint32_t)f->id);
        if (p != NULL && fb_path_usable(p))
            p->send_status |= !acked;
        break;
    }
    case FB_FRAME_BROKER:
    case FB_FRAME_NETWORK_DOCUMENT: post_frame(s, f->id, acked); break;
    default: break;
    }
}

struct fb_sent_sink fb_path_sink(struct fb_session *s) {
    return (struct fb_sent_sink){on_frame, s};
}

/* ---- time ---- */

static uint64_t keepalive(const struct fb_session *s, const struct fb_path *p) {
    return fb_map_count(s->streams) == 0 ? FB_KEEPALIVE
           : p->more                     ? FB_KEEPALIVE_MORE
                                         : FB_KEEPALIVE_BUSY;
}

static bool other_open(const struct fb_session *s, const struct fb_path * not ) {
    FB_LIST_EACH (it, &s->paths) {
        const struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p != not &&p->state == FB_PATH_IS_OPEN && !p->suspect)
            return true;
    }
    return false;
}

/* When a path that still moves, but slowly, is to be suspected: there are others, and what stands
 * in its queue holds up their streams. Not before its length is known: one that is suspect learns
 * it from nothing, and a long one would stay so. */
static uint64_t crawl_time(const struct fb_session *s, const struct fb_path *p) {
    uint64_t rtt = p->sent.window.min_rtt;
    uint64_t front = p->suspect || rtt == 0 || !other_open(s, p) ? FB_NEVER
                                                                 : fb_sent_front(&p->sent);
    return front == FB_NEVER ? FB_NEVER : front + 2 * rtt + FB_CRAWL;
}

/* The peer is still to be told what had arrived on a dead path, and this end to hear the same, or
 * all of that would be sent again: not before there is a path for it. */
static uint64_t forget_time(const struct fb_session *s, const struct fb_path *p) {
    return fb_session_open_paths(s) > 0 ? p->since + 3 * fb_sent_threshold(&p->sent) : FB_NEVER;
}

uint64_t fb_path_deadline(const struct fb_session *s, const struct fb_path *p) {
    uint64_t sent = fb_sent_deadline(&p->sent);
    switch (p->state) {
    case FB_PATH_IS_OFFERED: return FB_NEVER;
    case FB_PATH_IS_UP: return p->since + FB_REPLY_WAIT;
    case FB_PATH_IS_ATTACHED: return p->since + FB_ATTACHED_WAIT;
    case FB_PATH_IS_OPEN: {
        uint64_t alive = p->heard + keepalive(s, p), crawl = crawl_time(s, p);
        sent = crawl < sent ? crawl : sent;
        return s->client && !p->send_ping && p->sent.bytes == 0 && alive < sent ? alive : sent;
    }
    case FB_PATH_IS_CLOSED: return forget_time(s, p);
    }
    return FB_NEVER;
}

size_t fb_path_packet(uint64_t bytes) {
    return bytes < FB_PATH_PACKET_MIN ? FB_PATH_PACKET_MIN
           : bytes > FB_MESSAGE_MAX   ? FB_MESSAGE_MAX
                                      : (size_t)bytes;
}

void fb_path_suspect(struct fb_path *p, bool suspect) {
    p->send_status |= p->suspect != suspect;
    p->suspect = suspect;
    p->suspect_since = p->packets.next;
}

static void tick_open(struct fb_session *s, struct fb_path *p, uint64_t now) {
    struct fb_sent_sink sink = fb_path_sink(s);
    unsigned lost;
    bool silent = false;
    if (fb_sent_tick(&p->sent, now, &sink, &lost) == FB_SENT_PROBE) {
        /* Where packets still arrive, acknowledgements may stand in a queue with them. */
        bool heard = now - p->heard < fb_sent_threshold(&p->sent) / 4;
        silent = other_open(s, p) && (!heard || p->sent.probes >= SILENT_PROBES);
        p->send_ping = true;
    }
    if (silent || crawl_time(s, p) <= now) {
        fb_path_suspect(p, true);
        fb_sent_lose_all(&p->sent, now, &sink);
        p->send_ping = true;
    }
    s->stats.lost_packets += lost;
    if (s->client && p->sent.bytes == 0 && now - p->heard >= keepalive(s, p))
        p->send_ping = true;
    if (p->sent.probes >= 3 && now - p->heard >= FB_SILENT)
        fb_path_close(s, p, FB_PATH_SILENT, true, true, now);
    else if (fb_sent_too_lossy(&p->sent))
        fb_path_close(s, p, FB_PATH_LOSSY, true, true, now);
    else if (now - p->packets.phase_since >= FB_REKEY && p->sent.acked > p->packets.phase_first)
        (void)fb_packet_rekey(&p->packets, now); /* without memory: at a later tick */
}

void fb_path_tick(struct fb_session *s, struct fb_path *p, uint64_t now) {
    switch (p->state) {
    case FB_PATH_IS_OFFERED: break;
    case FB_PATH_IS_UP:
    case FB_PATH_IS_ATTACHED:
        if (fb_path_deadline(s, p) <= now)
            fb_path_close(s, p, FB_PATH_NO_REPLY, true, true, now);
        break;
    case FB_PATH_IS_OPEN: tick_open(s, p, now); break;
    case FB_PATH_IS_CLOSED:
        if (fb_path_deadline(s, p) <= now && !p->event_closed)
            fb_path_remove(s, p);
        break;
    }
}

/* ---- the owner's calls ---- */

int fb_session_path_up(struct fb_session *s, uint32_t path, uint64_t now) {
    struct fb_path *p = fb_path_find(s, path);
    s->now = now;
    if (p == NULL || p->state == FB_PATH_IS_CLOSED)
        return FB_ERR_NOT_FOUND;
    if (p->state == FB_PATH_IS_OFFERED) {
        p->state = FB_PATH_IS_UP;
        p->since = now;
    }
    return 0;
}

void fb_session_path_down(struct fb_session *s, uint32_t path, uint64_t now) {
    struct fb_path *p = fb_path_find(s, path);
    s->now = now;
    if (p == NULL)
        return;
    fb_path_close(s, p, FB_PATH_DOWN, false, true, now);
    p->event_closed = false;
}

void fb_session_path_queued(struct fb_session *s, uint32_t path, size_t bytes) {
    struct fb_path *p = fb_path_find(s, path);
    if (p != NULL)
        p->queued = bytes;
}

size_t fb_session_open_paths(const struct fb_session *s) {
    size_t open = 0;
    FB_LIST_EACH (it, &s->paths)
        open += FB_CONTAINER(it, struct fb_path, link)->state == FB_PATH_IS_OPEN;
    return open;
}

int fb_session_path_standby(struct fb_session *s, uint32_t path, bool standby) {
    struct fb_path *p = fb_path_find(s, path);
    if (p == NULL || p->state == FB_PATH_IS_CLOSED)
        return FB_ERR_NOT_FOUND;
    if (p->standby != standby && fb_path_usable(p))
        p->send_status = true;
    p->standby = standby;
    return 0;
}

int fb_session_path_max_packet(struct fb_session *s, uint32_t path, size_t bytes) {
    struct fb_path *p = fb_path_find(s, path);
    if (p == NULL || p->state == FB_PATH_IS_CLOSED)
        return FB_ERR_NOT_FOUND;
    bytes = fb_path_packet(bytes);
    if (p->want_packet != bytes && fb_path_usable(p))
        p->send_status = true;
    p->want_packet = bytes;
    return 0;
}

int fb_session_path_stats(const struct fb_session *s, uint32_t path, uint64_t now,
                          struct fb_path_stats *stats) {
    const struct fb_path *p = fb_path_find(s, path);
    if (p == NULL)
        return FB_ERR_NOT_FOUND;
    *stats = (struct fb_path_stats){
        .state = p->state,
        .standby = fb_path_spare(p),
        .suspect = p->suspect,
        .silent = p->state == FB_PATH_IS_OPEN && p->sent.probes >= SILENT_PROBES,
        .since_us = p->since,
        .heard_us = p->heard,
        .smoothed_rtt_us = p->sent.smoothed_rtt,
        .min_rtt_us = p->sent.window.min_rtt,
        .send_rate = fb_meter_rate(&p->sent_meter, now),
        .receive_rate = fb_meter_rate(&p->received_meter, now),
        .sent_bytes = p->sent_meter.total,
        .received_bytes = p->received_meter.total,
        .in_flight = p->sent.bytes,
        .window = fb_window_bytes(&p->sent.window),
        .full = p->sent.bytes > 0 && p->sent.window.limited_until == 0,
    };
    return 0;
}
