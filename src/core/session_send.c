#include "base/err.h"
#include "core/session_impl.h"

/* A packet being written: frames go to wr, what must be remembered of them to sent. */
struct draft {
    struct fb_session *s;
    struct fb_path *p;
    struct fb_wr wr;
    struct fb_sent_frame sent[FB_SENT_FRAMES_MAX];
    size_t count;
    bool asks; /* elicits an acknowledgement */
};

static bool has_room(const struct draft *d) {
    return d->count < FB_SENT_FRAMES_MAX;
}

/* Writes a frame that is sent again when lost; false (and nothing written) when it does not fit. */
static bool put(struct draft *d, const struct fb_frame *f, uint64_t id) {
    size_t before = d->wr.len;
    if (!has_room(d))
        return false;
    fb_frame_write(&d->wr, f);
    if (!d->wr.ok) {
        d->wr.ok = true;
        d->wr.len = before;
        return false;
    }
    d->sent[d->count++] = (struct fb_sent_frame){.type = f->type, .id = id};
    d->asks = true;
    return true;
}

/* ---- acknowledgements ---- */

static void put_ack(struct draft *d, struct fb_path *of, uint64_t now) {
    struct fb_frame f = {.type = FB_FRAME_ACK, .path = of->id};
    size_t n = of->received.n, before = d->wr.len;
    if (n == 0)
        return;
    while (f.range_count < n && f.range_count < FB_ACK_RANGES_MAX) {
        f.ranges[f.range_count] = of->received.v[n - 1 - f.range_count];
        f.range_count++;
    }
    f.value = now - of->highest_time;
    fb_frame_write(&d->wr, &f);
    if (!d->wr.ok) { /* a full packet: the ACK goes into the next */
        d->wr.ok = true;
        d->wr.len = before;
        return;
    }
    of->ack_due = FB_NEVER;
    of->ack_count = 0;
}

static bool ack_is_due(const struct fb_path *p, uint64_t now) {
    return p->ack_due <= now;
}

/* Acknowledgements go by their own path, and by another when that one is suspect or gone. */
static bool ack_goes_elsewhere(const struct fb_path *p) {
    return p->state == FB_PATH_IS_CLOSED || p->suspect;
}

static void put_acks(struct draft *d, uint64_t now) {
    if (d->p->ack_due != FB_NEVER)
        put_ack(d, d->p, now);
    FB_LIST_EACH (it, &d->s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p != d->p && d->p->state == FB_PATH_IS_OPEN && ack_goes_elsewhere(p) &&
            ack_is_due(p, now))
            put_ack(d, p, now);
    }
}

/* ---- control ---- */

static void put_path_control(struct draft *d) {
    struct fb_path *p = d->p;
    if (p->send_status) {
        struct fb_frame f = {.type = FB_FRAME_PATH_STATUS,
                             .path = p->id,
                             .sequence = p->status_out,
                             .code = p->standby ? FB_STATUS_STANDBY : 0,
                             .value = FB_MESSAGE_MAX};
        if (put(d, &f, p->id)) {
            p->status_out++;
            p->send_status = false;
        }
    }
    if (p->send_ping) {
        struct fb_frame f = {.type = FB_FRAME_PING};
        if (put(d, &f, 0))
            p->send_ping = false;
    }
}

static void put_limits(struct draft *d) {
    struct fb_session *s = d->s;
    if (s->send_max_data) {
        struct fb_frame f = {.type = FB_FRAME_MAX_DATA, .value = s->in_read + s->config.max_data};
        if (put(d, &f, 0)) {
            s->in_limit = f.value;
            s->send_max_data = false;
        }
    }
    if (s->send_max_streams) {
        struct fb_frame f = {.type = FB_FRAME_MAX_STREAMS,
                             .value = s->streams_gone + s->config.max_streams};
        if (put(d, &f, 0)) {
            s->streams_limit = f.value;
            s->send_max_streams = false;
        }
    }
}

static void put_path_ids(struct draft *d) {
    struct fb_session *s = d->s;
    for (size_t i = 0; i < FB_TOKENS_IN_HAND && !s->client; i++) {
        struct fb_token_entry *t = &s->tokens[i];
        struct fb_frame f = {.type = FB_FRAME_NEW_TOKEN, .path = t->path, .data = t->token};
        if (t->queue && put(d, &f, t->path))
            t->queue = false;
    }
    for (size_t i = 0; i < FB_ABANDONS_MAX; i++) {
        struct fb_abandon *a = &s->abandons[i];
        struct fb_frame f = {.type = FB_FRAME_PATH_ABANDON, .path = a->path};
        if (a->queue && put(d, &f, a->path))
            a->queue = false;
    }
}

static void put_messages(struct draft *d) {
    struct fb_session *s = d->s;
    for (size_t i = 0; i < FB_POSTS_MAX; i++) {
        struct fb_post_out *post = &s->posts[i];
        struct fb_frame f = {.type = (enum fb_frame_type)post->post,
                             .value = post->number,
                             .data = post->data,
                             .len = post->len};
        if (post->queue && put(d, &f, post->number))
            post->queue = false;
    }
    FB_LIST_EACH (it, &s->datagrams_out) {
        struct fb_blob *blob = FB_CONTAINER(it, struct fb_blob, link);
        struct fb_frame f = {.type = FB_FRAME_DATAGRAM, .data = blob->data, .len = blob->len};
        if (!put(d, &f, 0))
            break;
        fb_list_remove(&blob->link);
        s->datagrams_out_count--;
        fb_free(s->mem, blob);
    }
}

/* ---- streams ---- */

static void put_stream_control(struct draft *d, struct fb_stream *st) {
    if (st->send_reset) {
        struct fb_frame f = {.type = FB_FRAME_RESET_STREAM,
                             .stream = st->id,
                             .code = st->reset_code,
                             .value = st->sent};
        if (put(d, &f, st->id)) {
            st->send_reset = false;
            st->reset_sent = true;
        }
    }
    if (st->send_stop) {
        struct fb_frame f = {
            .type = FB_FRAME_STOP_SENDING, .stream = st->id, .code = st->reset_code};
        if (put(d, &f, st->id))
            st->send_stop = false;
    }
    if (st->send_limit) {
        struct fb_frame f = {.type = FB_FRAME_MAX_STREAM_DATA,
                             .stream = st->id,
                             .value = st->read + d->s->config.max_stream_data};
        if (put(d, &f, st->id)) {
            st->in_limit = f.value;
            st->send_limit = false;
        }
    }
}

/* One piece of the stream's data. False when nothing was written. */
static bool put_stream_data(struct draft *d, struct fb_stream *st) {
    struct fb_session *s = d->s;
    struct fb_piece piece;
    if (!has_room(d) || !fb_stream_piece(st, s->out_limit - s->out_total, &piece))
        return false;
    size_t overhead = fb_frame_stream_overhead(st->id, piece.offset);
    size_t room = fb_wr_room(&d->wr);
    if (room <= overhead)
        return false;
    if (piece.len > room - overhead) {
        piece.len = room - overhead;
        piece.fin = false;
    }
    fb_frame_write_stream(&d->wr, st->id, piece.offset, piece.fin, piece.len);
    for (size_t done = 0; done < piece.len;) {
        size_t n = piece.len - done;
        const uint8_t *data = fb_blocks_at(&st->out, piece.offset + done, &n);
        fb_wr_bytes(&d->wr, data, n);
        done += n;
    }
    fb_stream_sent(st, &piece);
    if (piece.fresh)
        s->out_total += piece.len;
    d->sent[d->count++] = (struct fb_sent_frame){.type = FB_FRAME_STREAM,
                                                 .id = st->id,
                                                 .offset = piece.offset,
                                                 .len = (uint32_t)piece.len,
                                                 .fin = piece.fin};
    d->asks = true;
    return true;
}

/*
 * Streams take turns: one piece each, a packet at a time. Control ignores the path's window, but
 * for a reserve that keeps it bounded.
 */
static void put_streams(struct draft *d, bool data) {
    struct fb_session *s = d->s;
    FB_LIST_EACH (it, &s->send_streams) {
        struct fb_stream *st = FB_CONTAINER(it, struct fb_stream, send_link);
        put_stream_control(d, st);
        bool wrote = data && put_stream_data(d, st);
        struct fb_piece piece;
        bool more = fb_stream_piece(st, s->out_limit - s->out_total, &piece);
        if (!has_room(d) || fb_wr_room(&d->wr) < 64 || (!data && more)) {
            if (wrote && more) { /* its turn is over */
                fb_list_remove(&st->send_link);
                fb_list_push(&s->send_streams, &st->send_link);
            }
            if (!has_room(d) || fb_wr_room(&d->wr) < 64)
                break;
            continue;
        }
        if (!more && !fb_stream_has_control(st))
            fb_list_remove(&st->send_link);
    }
}

/* ---- which path ---- */

static bool window_open(const struct fb_path *p, size_t reserve) {
    return p->sent.bytes + FB_MESSAGE_MAX <= FB_PATH_WINDOW + reserve &&
           p->queued < FB_PATH_QUEUE_MAX + reserve;
}

/* What a path is good for: a spare only where there is no other; a suspect one only where there is
 * no spare, be they all without room: what goes out on a path that is dead holds up its stream. */
enum rank { RANK_NONE, RANK_SUSPECT, RANK_SPARE, RANK_ACTIVE };

static enum rank rank_of(const struct fb_path *p) {
    return p->state != FB_PATH_IS_OPEN ? RANK_NONE
           : p->suspect                ? RANK_SUSPECT
           : fb_path_spare(p)          ? RANK_SPARE
                                       : RANK_ACTIVE;
}

/* The quickest with room of those that rank highest. */
static struct fb_path *best_path(const struct fb_session *s, size_t reserve) {
    struct fb_path *best = NULL;
    enum rank highest = RANK_NONE;
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        enum rank rank = rank_of(p);
        if (rank > highest) {
            highest = rank;
            best = NULL;
        }
        if (rank == RANK_NONE || rank < highest || !window_open(p, reserve))
            continue;
        if (best == NULL || p->sent.smoothed_rtt < best->sent.smoothed_rtt)
            best = p;
    }
    return best;
}

/* Whether a packet of this path may carry what any path may. */
static bool serves(const struct fb_session *s, const struct fb_path *p) {
    enum rank rank = rank_of(p);
    FB_LIST_EACH (it, &s->paths)
        if (rank_of(FB_CONTAINER(it, struct fb_path, link)) > rank)
            return false;
    return rank > RANK_NONE;
}

static bool session_has_control(const struct fb_session *s) {
    bool any = s->send_max_data || s->send_max_streams || s->datagrams_out_count > 0;
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
        any |= s->tokens[i].queue;
    for (size_t i = 0; i < FB_ABANDONS_MAX; i++)
        any |= s->abandons[i].queue;
    for (size_t i = 0; i < FB_POSTS_MAX; i++)
        any |= s->posts[i].queue;
    FB_LIST_EACH (it, &s->send_streams)
        any |= fb_stream_has_control(FB_CONTAINER(it, struct fb_stream, send_link));
    return any;
}

static bool session_has_data(const struct fb_session *s) {
    FB_LIST_EACH (it, &s->send_streams) {
        struct fb_piece piece;
        if (fb_stream_piece(FB_CONTAINER(it, struct fb_stream, send_link),
                            s->out_limit - s->out_total, &piece))
            return true;
    }
    return false;
}

/* ---- packets ---- */

static size_t finish(struct draft *d, uint8_t *buf, uint64_t now) {
    struct fb_session *s = d->s;
    struct fb_path *p = d->p;
    if (d->wr.len == 0)
        return 0;
    size_t size = d->wr.len + FB_PACKET_OVERHEAD;
    if (d->asks && fb_sent_add(&p->sent, p->packets.next, size, d->sent, d->count, now) != 0) {
        struct fb_sent_sink sink = fb_path_sink(s);
        for (size_t i = 0; i < d->count; i++)
            sink.frame(sink.ctx, &d->sent[i], false);
        s->retry_at = now + FB_RETRY;
        return 0;
    }
    uint64_t number = fb_packet_seal(&p->packets, buf, d->wr.len);
    if (!d->asks)
        fb_sent_note(&p->sent, number);
    s->stats.sent_packets++;
    s->stats.sent_bytes += size;
    return size;
}

static struct draft start(struct fb_session *s, struct fb_path *p, uint8_t *buf) {
    return (struct draft){
        .s = s,
        .p = p,
        .wr = fb_wr_make(buf + FB_PACKET_HEADER, p->max_packet - FB_PACKET_OVERHEAD)};
}

static size_t send_packet(struct fb_session *s, struct fb_path *p, uint8_t *buf, uint64_t now) {
    struct draft d = start(s, p, buf);
    put_acks(&d, now);
    put_path_control(&d);
    /* A suspect path is asked whether it lives, a spare kept warm; what matters goes by another as
     * long as there is one. */
    if (serves(s, p) && window_open(p, FB_PATH_RESERVE)) {
        put_limits(&d);
        put_path_ids(&d);
        put_messages(&d);
        put_streams(&d, window_open(p, 0));
    }
    return finish(&d, buf, now);
}

static size_t send_close(struct fb_session *s, struct fb_path *p, uint8_t *buf, uint64_t now) {
    struct draft d = start(s, p, buf);
    struct fb_frame f = {.type = FB_FRAME_CLOSE, .code = s->code};
    p->send_close = false;
    fb_frame_write(&d.wr, &f);
    return finish(&d, buf, now);
}

static size_t send_reply(struct fb_session *s, struct fb_path *p, uint8_t *buf) {
    for (size_t i = 0; i < FB_REPLY_LEN; i++)
        buf[i] = p->reply[i];
    fb_free(s->mem, p->reply);
    p->reply = NULL;
    s->stats.sent_bytes += FB_REPLY_LEN;
    return FB_REPLY_LEN;
}

/* The path's own needs, whatever its window. */
static size_t send_urgent(struct fb_session *s, struct fb_path *p, uint8_t *buf, uint64_t now) {
    if (p->reply != NULL)
        return send_reply(s, p, buf);
    if (!fb_path_usable(p))
        return 0;
    if (s->closing)
        return p->send_close ? send_close(s, p, buf, now) : 0;
    if (p->send_ping || p->send_status || (ack_is_due(p, now) && !p->suspect))
        return send_packet(s, p, buf, now);
    return 0;
}

static struct fb_path *path_for_rest(struct fb_session *s, uint64_t now) {
    bool acks = false;
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        acks |= ack_goes_elsewhere(p) && ack_is_due(p, now) && p->received.n > 0;
    }
    if (acks || session_has_control(s))
        return best_path(s, FB_PATH_RESERVE);
    return session_has_data(s) ? best_path(s, 0) : NULL;
}

size_t fb_session_send(struct fb_session *s, uint32_t *path, uint8_t buf[static FB_MESSAGE_MAX],
                       uint64_t now) {
    s->now = now;
    if (s->closed || now < s->retry_at)
        return 0;
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        size_t n = send_urgent(s, p, buf, now);
        if (n > 0) {
            *path = p->id;
            return n;
        }
    }
    if (s->closing) {
        s->closed = s->event_closed = true;
        return 0;
    }
    struct fb_path *p = s->ready ? path_for_rest(s, now) : NULL;
    if (p == NULL)
        return 0;
    *path = p->id;
    return send_packet(s, p, buf, now);
}
