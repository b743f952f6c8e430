#include "base/err.h"
#include "core/session_impl.h"

/* 0, or the code to close the session with. */
typedef enum fb_close_code verdict;

static verdict of_err(int err) {
    switch (err) {
    case 0: return FB_CLOSE_NONE;
    case FB_ERR_LIMIT: return FB_CLOSE_FLOW_CONTROL;
    case FB_ERR_MALFORMED: return FB_CLOSE_FINAL_SIZE;
    case FB_ERR_TOO_BIG: return FB_CLOSE_PROTOCOL;
    default: return FB_CLOSE_INTERNAL;
    }
}

/*
 * The stream that a frame names; *st NULL when it has come and gone. Streams open in any order,
 * since paths do not keep it.
 */
static verdict find_stream(struct fb_session *s, uint64_t id, struct fb_stream **st) {
    *st = fb_stream_find(s, id);
    if (*st != NULL)
        return FB_CLOSE_NONE;
    if (s->client)
        return id < s->next_stream ? FB_CLOSE_NONE : FB_CLOSE_PROTOCOL;
    if (id >= s->streams_limit)
        return FB_CLOSE_STREAM_LIMIT;
    if (fb_ranges_has(&s->seen, id))
        return FB_CLOSE_NONE;
    if (fb_ranges_add(&s->seen, id, id + 1) != 0)
        return FB_CLOSE_INTERNAL;
    *st = fb_stream_add(s, id);
    if (*st == NULL)
        return FB_CLOSE_INTERNAL;
    (*st)->is_new = true;
    fb_stream_wake(s, *st);
    return FB_CLOSE_NONE;
}

/* Flow control of the session for bytes that are new in a stream (RFC 9000 section 4.1). */
static verdict account(struct fb_session *s, const struct fb_stream *st, uint64_t grown) {
    s->in_total += grown;
    if (s->in_total > s->in_limit)
        return FB_CLOSE_FLOW_CONTROL;
    if (st->dead || st->peer_reset)
        fb_session_credit(s, grown); /* nobody will read them */
    return FB_CLOSE_NONE;
}

static verdict on_stream(struct fb_session *s, const struct fb_frame *f) {
    struct fb_stream *st;
    uint64_t grown;
    verdict v = find_stream(s, f->stream, &st);
    if (v != FB_CLOSE_NONE || st == NULL)
        return v;
    v = of_err(fb_stream_receive(st, f->offset, f->data, f->len, f->fin, &grown));
    if (v == FB_CLOSE_NONE)
        v = account(s, st, grown);
    if (v == FB_CLOSE_NONE && (fb_ranges_has(&st->got, st->read) || fb_stream_at_end(st)))
        fb_stream_wake(s, st);
    fb_stream_settle(s, st);
    return v;
}

static void peer_resets(struct fb_session *s, struct fb_stream *st, uint64_t code) {
    if (st->dead || st->peer_reset)
        return;
    fb_session_credit(s, st->highest - st->read);
    st->peer_reset = true;
    st->peer_code = code;
    fb_stream_wake(s, st);
}

static verdict on_reset_stream(struct fb_session *s, const struct fb_frame *f) {
    struct fb_stream *st;
    uint64_t grown;
    verdict v = find_stream(s, f->stream, &st);
    if (v != FB_CLOSE_NONE || st == NULL)
        return v;
    bool had_end = fb_stream_at_end(st);
    v = of_err(fb_stream_receive_reset(st, f->value, &grown));
    if (v == FB_CLOSE_NONE)
        v = account(s, st, grown);
    if (v == FB_CLOSE_NONE && !had_end)
        peer_resets(s, st, f->code);
    fb_stream_settle(s, st);
    return v;
}

static verdict on_stop_sending(struct fb_session *s, const struct fb_frame *f) {
    struct fb_stream *st;
    verdict v = find_stream(s, f->stream, &st);
    if (v != FB_CLOSE_NONE || st == NULL)
        return v;
    bool done = st->fin_acked && fb_stream_out_base(st) == st->written;
    fb_stream_drop_output(s, st, f->code); /* RFC 9000 section 3.5 */
    if (!done)
        peer_resets(s, st, f->code);
    fb_stream_settle(s, st);
    return FB_CLOSE_NONE;
}

static void wake_senders(struct fb_session *s) {
    size_t cursor = 0;
    struct fb_stream *st;
    while ((st = fb_map_next(s->streams, &cursor)) != NULL)
        if (st->written > st->sent)
            fb_stream_queue(s, st);
}

static verdict on_limit(struct fb_session *s, const struct fb_frame *f) {
    struct fb_stream *st;
    verdict v = FB_CLOSE_NONE;
    if (f->type == FB_FRAME_MAX_DATA) {
        if (f->value > s->out_limit) {
            s->out_limit = f->value;
            wake_senders(s);
        }
    } else if (f->type == FB_FRAME_MAX_STREAMS) {
        if (!s->client)
            return FB_CLOSE_PROTOCOL;
        if (f->value > s->streams_limit)
            s->streams_limit = f->value;
    } else {
        v = find_stream(s, f->stream, &st);
        if (v == FB_CLOSE_NONE && st != NULL && f->value > st->out_limit) {
            st->out_limit = f->value;
            fb_stream_queue(s, st);
        }
    }
    return v;
}

static verdict on_token(struct fb_session *s, const struct fb_frame *f) {
    struct fb_token_entry *free_entry = NULL;
    if (!s->client || f->path > UINT32_MAX)
        return FB_CLOSE_PROTOCOL;
    if (fb_ranges_has(&s->seen, f->path))
        return FB_CLOSE_NONE; /* sent again */
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
        if (!s->tokens[i].used)
            free_entry = &s->tokens[i];
    if (free_entry == NULL || fb_ranges_add(&s->seen, f->path, f->path + 1) != 0)
        return FB_CLOSE_PROTOCOL;
    struct fb_rd rd = fb_rd_make(f->data, f->len);
    free_entry->path = (uint32_t)f->path;
    free_entry->used = true;
    fb_rd_copy(&rd, free_entry->token, FB_TOKEN_LEN);
    s->event_tokens = true;
    return FB_CLOSE_NONE;
}

static void on_abandon(struct fb_session *s, const struct fb_frame *f, uint64_t now) {
    struct fb_path *p = f->path <= UINT32_MAX ? fb_path_find(s, (uint32_t)f->path) : NULL;
    if (p != NULL && p->state != FB_PATH_IS_CLOSED) {
        fb_path_close(s, p, FB_PATH_ABANDONED, true, false, now);
        return;
    }
    for (size_t i = 0; i < FB_TOKENS_IN_HAND && !s->client; i++) {
        struct fb_token_entry *entry = &s->tokens[i];
        uint32_t path;
        if (!entry->used || entry->path != f->path)
            continue;
        fb_tokens_take(s->config.tokens, entry->token, &path);
        *entry = (struct fb_token_entry){0};
        fb_session_issue_tokens(s);
    }
}

static void on_path_status(struct fb_session *s, const struct fb_frame *f, uint64_t now) {
    struct fb_path *p = f->path <= UINT32_MAX ? fb_path_find(s, (uint32_t)f->path) : NULL;
    if (p == NULL || f->sequence < p->status_in)
        return;
    p->status_in = f->sequence + 1;
    p->peer_standby = f->code & FB_STATUS_STANDBY;
    bool suspect = f->code & FB_STATUS_SUSPECT;
    if (suspect && !p->peer_suspect && p->received.n > 0)
        p->ack_due = now; /* the last of them may have been lost: once more, elsewhere */
    p->peer_suspect = suspect;
    p->max_packet = fb_path_packet(f->value);
}

/* Frames that cost the peer nothing and make this end work: is this one too many? */
static verdict on_nuisance(struct fb_session *s, uint64_t now) {
    s->flood_spent = (s->flood_spent > now ? s->flood_spent : now) + FB_S / FB_FLOOD_RATE;
    return s->flood_spent - now > FB_FLOOD_BURST * FB_S / FB_FLOOD_RATE ? FB_CLOSE_FLOOD
                                                                        : FB_CLOSE_NONE;
}

static struct fb_blob *keep(struct fb_session *s, const struct fb_frame *f) {
    struct fb_blob *blob = fb_alloc(s->mem, sizeof *blob + f->len);
    if (blob == NULL)
        return NULL;
    blob->post = (enum fb_post)f->type;
    blob->len = f->len;
    for (size_t i = 0; i < f->len; i++)
        blob->data[i] = f->data[i];
    return blob;
}

static verdict on_post(struct fb_session *s, const struct fb_frame *f) {
    if (f->len > FB_SESSION_POST_MAX)
        return FB_CLOSE_PROTOCOL;
    if (fb_ranges_has(&s->posts_seen, f->value))
        return FB_CLOSE_NONE;
    if (s->posts_in_count >= FB_QUEUE_MAX)
        return FB_CLOSE_LIMIT;
    struct fb_blob *blob = keep(s, f);
    if (blob == NULL || fb_ranges_add(&s->posts_seen, f->value, f->value + 1) != 0) {
        fb_free(s->mem, blob);
        return blob == NULL ? FB_CLOSE_INTERNAL : FB_CLOSE_PROTOCOL;
    }
    fb_list_push(&s->posts_in, &blob->link);
    s->posts_in_count++;
    return FB_CLOSE_NONE;
}

static verdict on_datagram(struct fb_session *s, const struct fb_frame *f) {
    if (f->len > FB_DATAGRAM_MAX)
        return FB_CLOSE_PROTOCOL;
    struct fb_blob *blob = s->datagrams_in_count < FB_QUEUE_MAX ? keep(s, f) : NULL;
    if (blob != NULL) { /* else dropped: datagrams may be */
        fb_list_push(&s->datagrams_in, &blob->link);
        s->datagrams_in_count++;
    }
    return FB_CLOSE_NONE;
}

static verdict on_ack(struct fb_session *s, const struct fb_path *by, const struct fb_frame *f,
                      uint64_t now) {
    struct fb_path *p = f->path <= UINT32_MAX ? fb_path_find(s, (uint32_t)f->path) : NULL;
    struct fb_sent_sink sink = fb_path_sink(s);
    unsigned progress, spurious;
    if (p == NULL)
        return FB_CLOSE_NONE; /* died more than 3 T ago */
    uint64_t delivered = p->sent.window.delivered;
    if (fb_sent_ack(&p->sent, f, p == by, now, &sink, &progress, &spurious) != 0)
        return FB_CLOSE_PROTOCOL;
    s->stats.spurious_packets += spurious;
    fb_meter_add(&p->sent_meter, p->sent.window.delivered - delivered, now);
    if (p->suspect && p->sent.acked > p->suspect_since)
        fb_path_suspect(p, false);
    return FB_CLOSE_NONE;
}

static verdict on_close(struct fb_session *s, const struct fb_frame *f) {
    s->code = f->code > UINT8_MAX ? FB_CLOSE_INTERNAL : (enum fb_close_code)f->code;
    s->closed = s->closed_remote = s->event_closed = true;
    return FB_CLOSE_NONE;
}

static verdict on_frame(struct fb_session *s, const struct fb_path *by, const struct fb_frame *f,
                        uint64_t now) {
    switch (f->type) {
    case FB_FRAME_PADDING: return FB_CLOSE_NONE;
    case FB_FRAME_PING: return on_nuisance(s, now);
    case FB_FRAME_ACK: return on_ack(s, by, f, now);
    case FB_FRAME_RESET_STREAM: return on_reset_stream(s, f);
    case FB_FRAME_STOP_SENDING: return on_stop_sending(s, f);
    case FB_FRAME_NEW_TOKEN: return on_token(s, f);
    case FB_FRAME_STREAM: return on_stream(s, f);
    case FB_FRAME_MAX_DATA:
    case FB_FRAME_MAX_STREAM_DATA:
    case FB_FRAME_MAX_STREAMS: return on_limit(s, f);
    case FB_FRAME_CLOSE: return on_close(s, f);
    case FB_FRAME_PATH_STATUS: on_path_status(s, f, now); return on_nuisance(s, now);
    case FB_FRAME_PATH_ABANDON: on_abandon(s, f, now); return on_nuisance(s, now);
    case FB_FRAME_BROKER:
    case FB_FRAME_NETWORK_DOCUMENT: return on_post(s, f);
    case FB_FRAME_DATAGRAM: return on_datagram(s, f);
    }
    return FB_CLOSE_FRAME;
}

/* Notes a packet for acknowledgement; the oldest gaps are forgotten when there are too many. */
static int note_received(struct fb_path *p, uint64_t number, uint64_t now) {
    if (p->received.n == 0 || number >= p->received.v[p->received.n - 1].hi)
        p->highest_time = now;
    int err = fb_ranges_add(&p->received, number, number + 1);
    if (err == FB_ERR_LIMIT) {
        struct fb_range oldest = p->received.v[0];
        if (number < oldest.lo)
            return 0;
        (void)fb_ranges_remove(&p->received, oldest.lo, oldest.hi);
        err = fb_ranges_add(&p->received, number, number + 1);
    }
    return err;
}

static int on_packet(struct fb_session *s, struct fb_path *p, uint64_t number,
                     const uint8_t *frames, size_t len, uint64_t now) {
    struct fb_rd rd = fb_rd_make(frames, len);
    struct fb_frame frame;
    bool asks = false, data = false; /* asks: for an acknowledgement */
    verdict v = note_received(p, number, now) == 0 ? FB_CLOSE_NONE : FB_CLOSE_INTERNAL;
    for (unsigned count = 1; rd.len > 0 && v == FB_CLOSE_NONE && !s->closed; count++) {
        v = count > FB_PACKET_FRAMES_MAX      ? FB_CLOSE_PROTOCOL
            : fb_frame_read(&rd, &frame) != 0 ? FB_CLOSE_FRAME
                                              : on_frame(s, p, &frame, now);
        asks |= frame.type != FB_FRAME_ACK && frame.type != FB_FRAME_PADDING &&
                frame.type != FB_FRAME_CLOSE;
        data |= frame.type == FB_FRAME_STREAM;
    }
    p->more = data;
    if (v != FB_CLOSE_NONE) {
        fb_session_close(s, v);
        return FB_ERR_CLOSED;
    }
    if (asks) {
        p->ack_count++;
        if (p->ack_due == FB_NEVER)
            p->ack_due = now + FB_ACK_DELAY;
        if (p->ack_count >= FB_ACK_EVERY)
            p->ack_due = now;
    }
    return s->closed ? FB_ERR_CLOSED : 0;
}

int fb_session_recv(struct fb_session *s, uint32_t path, uint8_t *msg, size_t len, uint64_t now) {
    struct fb_path *p = fb_path_find(s, path);
    uint64_t number;
    uint8_t *frames;
    size_t frames_len;
    s->now = now;
    if (s->closed || s->closing)
        return FB_ERR_CLOSED;
    if (p == NULL || p->state == FB_PATH_IS_CLOSED || len < 2)
        return 0;
    int err;
    s->stats.received_bytes += len;
    if (msg[1] == FB_HANDSHAKE_REPLY && s->client) {
        err = fb_session_read_reply(s, p, msg, len, now);
        if (err != 0)
            fb_path_close(s, p, FB_PATH_ALTERED, true, true, now);
        return err;
    }
    if (!s->ready)
        return 0; /* before its keys are here: sent again */
    err = fb_packet_open(&p->packets, msg, len, now, 3 * fb_sent_threshold(&p->sent), &number,
                         &frames, &frames_len);
    if (err == FB_ERR_USED || err == FB_ERR_NOMEM) {
        s->stats.dropped_packets++;
        return 0;
    }
    if (err != 0) {
        fb_path_close(s, p, FB_PATH_ALTERED, true, true, now);
        return err;
    }
    s->stats.received_packets++;
    s->heard = p->heard = now;
    fb_meter_add(&p->received_meter, len, now);
    if (p->state != FB_PATH_IS_OPEN)
        fb_path_set_open(s, p, now);
    return on_packet(s, p, number, frames, frames_len, now);
}
