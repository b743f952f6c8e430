#include "base/err.h"
#include "core/session_impl.h"

#define PIECE_MIN 64      /* bytes of a stream that are worth a frame */
#define HELP_PACKETS 4096 /* looked at for who holds a stream up: a peer may leave many open */
#define ECHO_BYTES 4096   /* of each stream, that are sent twice */
#define URGENT_RESERVE ((size_t)8 * 1024) /* of the window, for streams that have just begun */

/* A packet being written: frames go to wr, what must be remembered of them to sent. */
struct draft {
    struct fb_session *s;
    struct fb_path *p;
    struct fb_wr wr;
    struct fb_sent_frame sent[FB_SENT_FRAMES_MAX];
    size_t count;
    size_t target; /* bytes of frames that suit the path; single control frames may be larger */
    bool asks;     /* elicits an acknowledgement */
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
    return p->state == FB_PATH_IS_CLOSED || p->suspect || p->peer_suspect;
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

/* Of a path that is suspect another tells. */
static bool status_goes_elsewhere(const struct fb_path *p) {
    return p->send_status && p->suspect && p->state == FB_PATH_IS_OPEN;
}

static void put_status(struct draft *d, struct fb_path *of) {
    struct fb_frame f = {.type = FB_FRAME_PATH_STATUS,
                         .path = of->id,
                         .sequence = of->status_out,
                         .code = (of->standby ? FB_STATUS_STANDBY : 0) |
                                 (of->suspect ? FB_STATUS_SUSPECT : 0),
                         .value = of->want_packet};
    if (put(d, &f, of->id)) {
        of->status_out++;
        of->send_status = false;
    }
}

static void put_path_control(struct draft *d) {
    if (d->p->send_status && !d->p->suspect)
        put_status(d, d->p);
    if (d->p->send_ping) {
        struct fb_frame f = {.type = FB_FRAME_PING};
        if (put(d, &f, 0))
            d->p->send_ping = false;
    }
}

static void put_statuses(struct draft *d) {
    FB_LIST_EACH (it, &d->s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (status_goes_elsewhere(p))
            put_status(d, p);
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
        if (!t->queue)
            continue; /* at once: a frame has a kilobyte of ranges to clear */
        struct fb_frame f = {.type = FB_FRAME_NEW_TOKEN, .path = t->path, .data = t->token};
        t->queue = !put(d, &f, t->path);
    }
    for (size_t i = 0; i < FB_ABANDONS_MAX; i++) {
        struct fb_abandon *a = &s->abandons[i];
        if (!a->queue)
            continue;
        struct fb_frame f = {.type = FB_FRAME_PATH_ABANDON, .path = a->path};
        a->queue = !put(d, &f, a->path);
    }
}

static void put_messages(struct draft *d) {
    struct fb_session *s = d->s;
    for (size_t i = 0; i < FB_POSTS_MAX; i++) {
        struct fb_post_out *post = &s->posts[i];
        if (!post->queue)
            continue;
        struct fb_frame f = {.type = (enum fb_frame_type)post->post,
                             .value = post->number,
                             .data = post->data,
                             .len = post->len};
        post->queue = !put(d, &f, post->number);
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
        struct fb_frame f = {
            .type = FB_FRAME_MAX_STREAM_DATA, .stream = st->id, .value = st->read + st->window};
        if (put(d, &f, st->id)) {
            st->in_limit = f.value;
            st->send_limit = false;
        }
    }
}

static void put_stream_frame(struct draft *d, struct fb_stream *st, const struct fb_piece *piece) {
    fb_frame_write_stream(&d->wr, st->id, piece->offset, piece->fin, piece->len);
    for (size_t done = 0; done < piece->len;) {
        size_t n = piece->len - done;
        const uint8_t *data = fb_blocks_at(&st->out, piece->offset + done, &n);
        fb_wr_bytes(&d->wr, data, n);
        done += n;
    }
    d->sent[d->count++] = (struct fb_sent_frame){.type = FB_FRAME_STREAM,
                                                 .id = st->id,
                                                 .offset = piece->offset,
                                                 .len = (uint32_t)piece->len,
                                                 .fin = piece->fin};
    d->asks = true;
}

/* The first bytes of a stream are often all of a request, or what the rest waits for. */
static void keep_echo(struct draft *d, const struct fb_stream *st, const struct fb_piece *piece) {
    struct fb_session *s = d->s;
    struct fb_sent_frame f = d->sent[d->count - 1];
    if (!piece->fresh || piece->offset >= ECHO_BYTES || s->echo_count == FB_ECHOES_MAX ||
        fb_session_open_paths(s) < 2)
        return;
    if (f.offset + f.len > ECHO_BYTES) {
        f.len = (uint32_t)(ECHO_BYTES - f.offset);
        f.fin = false;
    }
    s->echoes[s->echo_count++] = (struct fb_echo){f, d->p->id};
}

/* Cuts the piece to what the packet has room for; false when that is not worth a frame. */
static bool fit(const struct draft *d, uint64_t stream, struct fb_piece *piece) {
    size_t overhead = fb_frame_stream_overhead(stream, piece->offset);
    size_t room = d->target > d->wr.len ? d->target - d->wr.len : 0;
    if (room <= overhead + (d->wr.len > 0 ? PIECE_MIN : 0))
        return false;
    if (piece->len > room - overhead) {
        piece->len = room - overhead;
        piece->fin = false;
    }
    return true;
}

/* One piece of the stream's data. False when nothing was written. */
static bool put_stream_data(struct draft *d, struct fb_stream *st) {
    struct fb_session *s = d->s;
    struct fb_piece piece;
    if (!has_room(d) || !fb_stream_piece(st, s->out_limit - s->out_total, &piece) ||
        !fit(d, st->id, &piece))
        return false;
    put_stream_frame(d, st, &piece);
    fb_stream_went(s, st, &piece);
    keep_echo(d, st, &piece);
    return true;
}

static void put_streams_control(struct draft *d) {
    FB_LIST_EACH (it, &d->s->control_streams) {
        struct fb_stream *st = FB_CONTAINER(it, struct fb_stream, control_link);
        put_stream_control(d, st);
        if (fb_stream_has_control(st))
            return; /* no room for it */
        fb_list_remove(it);
    }
}

/* Until the packet has the size that suits the path. bulk: more than what may use the reserve. */
static void put_streams_data(struct draft *d, bool bulk) {
    struct fb_stream *st;
    while ((st = fb_sched_stream(d->s)) != NULL && (bulk || st->fresh > 0)) {
        size_t before = d->wr.len;
        if (!put_stream_data(d, st))
            return;
        fb_sched_spent(d->s, st, d->wr.len - before);
    }
}

/* ---- what waits ---- */

static bool session_has_control(const struct fb_session *s) {
    bool any = s->send_max_data || s->send_max_streams || s->datagrams_out_count > 0 ||
               !fb_list_empty(&s->control_streams);
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
        any |= s->tokens[i].queue;
    for (size_t i = 0; i < FB_ABANDONS_MAX; i++)
        any |= s->abandons[i].queue;
    for (size_t i = 0; i < FB_POSTS_MAX; i++)
        any |= s->posts[i].queue;
    return any;
}

/* ---- packets ---- */

static size_t finish(struct draft *d, uint8_t *buf, uint64_t now) {
    struct fb_session *s = d->s;
    struct fb_path *p = d->p;
    if (d->wr.len == 0)
        return 0;
    size_t size = d->wr.len + FB_PACKET_OVERHEAD;
    /* Never a packet that is cut short: the peer would close the session. */
    if (!d->wr.ok ||
        (d->asks && fb_sent_add(&p->sent, p->packets.next, size, d->sent, d->count, now) != 0)) {
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
    size_t size = fb_window_packet(&p->sent.window);
    size = size < p->max_packet ? size : p->max_packet;
    size = size < p->want_packet ? size : p->want_packet;
    return (struct draft){
        .s = s,
        .p = p,
        .target = size - FB_PACKET_OVERHEAD,
        .wr = fb_wr_make(buf + FB_PACKET_HEADER, FB_MESSAGE_MAX - FB_PACKET_OVERHEAD)};
}

/* bulk: this path was chosen for data, and has room for it. */
static size_t send_packet(struct fb_session *s, struct fb_path *p, bool bulk, uint8_t *buf,
                          uint64_t now) {
    struct draft d = start(s, p, buf);
    put_acks(&d, now);
    put_path_control(&d);
    /* A suspect path is asked whether it lives, a spare kept warm; what matters goes by another as
     * long as there is one. */
    if (fb_path_serves(s, p) && fb_path_room(p, FB_PATH_RESERVE)) {
        put_statuses(&d);
        put_limits(&d);
        put_path_ids(&d);
        put_messages(&d);
        put_streams_control(&d);
        if (bulk || fb_path_room(p, URGENT_RESERVE))
            put_streams_data(&d, bulk);
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

/* Once more by another path what has just gone by one, if there is room at once. */
static size_t send_echo(struct fb_session *s, uint32_t *path, uint8_t *buf, uint64_t now) {
    const struct fb_echo *echo = &s->echoes[--s->echo_count];
    const struct fb_sent_frame *f = &echo->frame;
    struct fb_path *p = fb_sched_other(s, echo->path, URGENT_RESERVE);
    struct fb_stream *st = fb_stream_find(s, f->id);
    /* Acknowledged data is not there any more. */
    if (p == NULL || st == NULL || st->reset_sent || st->send_reset ||
        fb_stream_out_base(st) > f->offset)
        return 0;
    struct fb_piece piece = {.offset = f->offset, .len = f->len, .fin = f->fin};
    struct draft d = start(s, p, buf);
    put_acks(&d, now);
    if (fit(&d, st->id, &piece))
        put_stream_frame(&d, st, &piece);
    *path = p->id;
    return finish(&d, buf, now);
}

/* Who has a byte of a stream now. */
struct holder {
    struct fb_path *path;
    uint64_t time, end; /* when it was sent; where its frame ends */
    bool fin;
};

/* The newest packet in flight with that byte of the stream, or with its end there. */
static bool find_holder(const struct fb_session *s, const struct fb_stream *st, uint64_t offset,
                        struct holder *holder) {
    size_t looked = 0;
    *holder = (struct holder){0};
    FB_LIST_EACH (at, &s->paths) {
        struct fb_path *p = FB_CONTAINER(at, struct fb_path, link);
        FB_LIST_EACH (it, &p->sent.in_flight) {
            const struct fb_sent_packet *packet = FB_CONTAINER(it, struct fb_sent_packet, link);
            if (++looked > HELP_PACKETS)
                return holder->path != NULL;
            for (size_t i = 0; i < packet->count; i++) {
                const struct fb_sent_frame *f = &packet->frames[i];
                uint64_t end = f->offset + f->len;
                if (f->type == FB_FRAME_STREAM && f->id == st->id && f->offset <= offset &&
                    (offset < end || (f->fin && offset == end)) && packet->time >= holder->time)
                    *holder = (struct holder){p, packet->time, end, f->fin};
            }
        }
    }
    return holder->path != NULL;
}

/* What the peer does not have, from the offset on: bytes, or the end alone. */
static bool next_hole(const struct fb_stream *st, uint64_t from, struct fb_range *hole) {
    if (fb_ranges_gap(&st->acked, from, st->sent, hole))
        return true;
    *hole = (struct fb_range){st->sent, st->sent};
    return st->fin_sent && !st->fin_acked && from <= st->sent;
}

/* A second copy may be late, too; by then it should have been acknowledged. */
static uint64_t help_again(const struct fb_session *s, const struct fb_stream *st) {
    uint64_t longest = 0;
    FB_LIST_EACH (it, &s->paths) {
        const struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p->state == FB_PATH_IS_OPEN && p->sent.smoothed_rtt > longest)
            longest = p->sent.smoothed_rtt;
    }
    return st->help_time + 2 * longest;
}

/* The next hole that is to be filled from another path; those have their turn in order, and again
 * after a while. False: none now. */
static bool hole_to_fill(struct fb_session *s, struct fb_stream *st, uint64_t now,
                         struct fb_range *hole) {
    uint64_t base = fb_stream_out_base(st);
    if (st->helped > base && next_hole(st, st->helped, hole))
        return true;
    if (st->helped > base && help_again(s, st) > now) {
        s->pace_at = help_again(s, st);
        return false;
    }
    st->helped = base;
    st->help_time = now;
    s->held_up = next_hole(st, base, hole);
    return s->held_up;
}

/*
 * A stream goes no further, because its window or its buffer is full or it has ended, while there
 * is room on other paths: what holds it up is what a slow one still has. That goes once more by a
 * path on which it arrives sooner ("opportunistic retransmission": Raiciu et al., NSDI 2012).
 */
static size_t send_help(struct fb_session *s, uint32_t *path, uint8_t *buf, uint64_t now) {
    struct fb_stream *st = s->held_up ? fb_stream_find(s, s->held_up_id) : NULL;
    struct holder holder;
    struct fb_range hole;
    struct fb_path *p;
    s->held_up = st != NULL && !st->reset_sent && !st->send_reset && s->path_count > 1;
    if (!s->held_up || !hole_to_fill(s, st, now, &hole))
        return 0;
    s->held_up = find_holder(s, st, hole.lo, &holder);
    if (!s->held_up || (p = fb_sched_help(s, holder.path, holder.time, now)) == NULL)
        return 0;
    uint64_t end = holder.end < hole.hi ? holder.end : hole.hi;
    struct fb_piece piece = {
        .offset = hole.lo, .len = end - hole.lo, .fin = holder.fin && end == holder.end};
    struct draft d = start(s, p, buf);
    put_acks(&d, now);
    if (!fit(&d, st->id, &piece))
        return 0;
    put_stream_frame(&d, st, &piece);
    st->helped = piece.offset + piece.len + piece.fin; /* a FIN alone has no length */
    *path = p->id;
    return finish(&d, buf, now);
}

/* The path's own needs, whatever its window. */
static size_t send_urgent(struct fb_session *s, struct fb_path *p, uint8_t *buf, uint64_t now) {
    if (p->reply != NULL)
        return send_reply(s, p, buf);
    if (!fb_path_usable(p))
        return 0;
    if (s->closing)
        return p->send_close ? send_close(s, p, buf, now) : 0;
    if (p->send_ping || (p->send_status && !p->suspect) ||
        (ack_is_due(p, now) && !ack_goes_elsewhere(p)))
        return send_packet(s, p, fb_sched_data(s, now) == p, buf, now);
    return 0;
}

static size_t send_rest(struct fb_session *s, uint32_t *path, uint8_t *buf, uint64_t now) {
    bool control = session_has_control(s), bulk = true;
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        control |= ack_goes_elsewhere(p) && ack_is_due(p, now) && p->received.n > 0;
        control |= status_goes_elsewhere(p);
    }
    struct fb_stream *st = fb_sched_stream(s);
    struct fb_path *p = NULL;
    if (control)
        p = fb_sched_control(s, FB_PATH_RESERVE);
    else if (st != NULL && st->fresh > 0)
        p = fb_sched_control(s, URGENT_RESERVE);
    if (p != NULL && st != NULL)
        bulk = fb_sched_data(s, now) == p;
    else if (st != NULL)
        p = fb_sched_data(s, now);
    if (p == NULL) {
        size_t n = st == NULL ? send_help(s, path, buf, now) : 0;
        if (n == 0)
            fb_sched_limited(s, st != NULL, now);
        return n;
    }
    *path = p->id;
    return send_packet(s, p, bulk, buf, now);
}

size_t fb_session_send(struct fb_session *s, uint32_t *path, uint8_t buf[static FB_MESSAGE_MAX],
                       uint64_t now) {
    s->now = now;
    s->pace_at = FB_NEVER;
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
    while (s->echo_count > 0) {
        size_t n = send_echo(s, path, buf, now);
        if (n > 0)
            return n;
    }
    return s->ready ? send_rest(s, path, buf, now) : 0;
}
