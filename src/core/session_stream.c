#include "base/err.h"
#include "core/session_impl.h"

struct fb_stream *fb_stream_find(const struct fb_session *s, uint64_t id) {
    return fb_map_get(s->streams, &id);
}

/* The owner's view: a stream that it has let go is not there. */
static struct fb_stream *owned(const struct fb_session *s, uint64_t id) {
    struct fb_stream *st = fb_stream_find(s, id);
    return st != NULL && !st->silent ? st : NULL;
}

struct fb_stream *fb_stream_add(struct fb_session *s, uint64_t id) {
    struct fb_stream *st = fb_alloc(s->mem, sizeof *st);
    if (st == NULL)
        return NULL;
    fb_stream_init(st, s->mem, id);
    st->in_limit = s->config.max_stream_data;
    st->out_limit = s->peer_stream_data;
    if (fb_map_put(s->streams, &id, st) != 0) {
        fb_free(s->mem, st);
        return NULL;
    }
    return st;
}

void fb_stream_free(struct fb_session *s, struct fb_stream *st) {
    fb_map_take(s->streams, &st->id);
    fb_stream_clear(st);
    fb_free(s->mem, st);
}

void fb_stream_wake(struct fb_session *s, struct fb_stream *st) {
    if (st->silent)
        return;
    st->event = true;
    if (fb_list_empty(&st->event_link))
        fb_list_push(&s->event_streams, &st->event_link);
}

void fb_stream_queue(struct fb_session *s, struct fb_stream *st) {
    if (fb_list_empty(&st->send_link))
        fb_list_push(&s->send_streams, &st->send_link);
}

void fb_stream_settle(struct fb_session *s, struct fb_stream *st) {
    if (!fb_stream_complete(st))
        return;
    if (!st->silent) { /* told of, then freed, by fb_session_next() */
        st->dead = true;
        fb_list_remove(&st->send_link);
        if (fb_list_empty(&st->event_link))
            fb_list_push(&s->event_streams, &st->event_link);
        return;
    }
    if (!s->client) {
        s->streams_gone++;
        if (s->streams_limit - s->streams_gone < s->config.max_streams / 2 + 1)
            s->send_max_streams = true;
    }
    fb_stream_free(s, st);
}

void fb_session_unbuffer(struct fb_session *s, uint64_t len) {
    size_t cursor = 0;
    struct fb_stream *st;
    s->buffered -= len;
    if (!s->starved || s->buffered > s->config.send_buffer / 4 * 3)
        return;
    s->starved = false;
    while ((st = fb_map_next(s->streams, &cursor)) != NULL)
        if (st->wants_room)
            fb_stream_wake(s, st);
}

void fb_session_credit(struct fb_session *s, uint64_t len) {
    s->in_read += len;
    if (s->in_limit - s->in_read <= s->config.max_data / 2)
        s->send_max_data = true;
}

void fb_stream_drop_output(struct fb_session *s, struct fb_stream *st, uint64_t code) {
    if (st->send_reset || st->reset_sent ||
        (st->fin_acked && fb_stream_out_base(st) == st->written))
        return;
    fb_session_unbuffer(s, st->written - fb_stream_out_base(st));
    fb_blocks_clear(&st->out);
    fb_ranges_clear(&st->lost);
    fb_ranges_clear(&st->acked);
    st->send_reset = true;
    st->reset_code = code;
    fb_stream_queue(s, st);
}

int fb_stream_open(struct fb_session *s, uint64_t *stream) {
    if (!s->client || !s->ready || s->closing || s->closed)
        return FB_ERR_STATE;
    if (s->next_stream >= s->streams_limit)
        return FB_ERR_LIMIT;
    struct fb_stream *st = fb_stream_add(s, s->next_stream);
    if (st == NULL)
        return FB_ERR_NOMEM;
    *stream = s->next_stream++;
    return 0;
}

size_t fb_stream_room(struct fb_session *s, uint64_t stream) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL || st->finished || st->send_reset || st->reset_sent || s->closed || s->closing)
        return 0;
    uint64_t held = st->written - fb_stream_out_base(st);
    uint64_t own = held < s->config.send_buffer_stream ? s->config.send_buffer_stream - held : 0;
    uint64_t all = s->buffered < s->config.send_buffer ? s->config.send_buffer - s->buffered : 0;
    size_t room = (size_t)(own < all ? own : all);
    if (room == 0)
        st->wants_room = s->starved = true;
    return room;
}

size_t fb_stream_write(struct fb_session *s, uint64_t stream, const uint8_t *data, size_t len) {
    struct fb_stream *st = owned(s, stream);
    size_t room = fb_stream_room(s, stream);
    if (st == NULL)
        return 0;
    st->wants_room = room < len || room == 0;
    s->starved |= st->wants_room;
    if (len > room)
        len = room;
    if (len == 0 || fb_stream_append(st, data, len) != 0)
        return 0;
    s->buffered += len;
    fb_stream_queue(s, st);
    return len;
}

void fb_stream_finish(struct fb_session *s, uint64_t stream) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL || st->finished)
        return;
    st->finished = true;
    fb_stream_queue(s, st);
}

bool fb_stream_peek(struct fb_session *s, uint64_t stream, const uint8_t **data, size_t *len) {
    const struct fb_stream *st = owned(s, stream);
    *data = NULL;
    *len = 0;
    if (st == NULL)
        return false;
    *data = fb_stream_ready(st, len);
    return *len == 0 && fb_stream_at_end(st);
}

void fb_stream_consume(struct fb_session *s, uint64_t stream, size_t len) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL || len > fb_ranges_end(&st->got, st->read) - st->read)
        return;
    st->read += len;
    fb_blocks_release(&st->in, st->read);
    fb_session_credit(s, len);
    if (!st->final_known && st->in_limit - st->read <= s->config.max_stream_data / 2) {
        st->send_limit = true;
        fb_stream_queue(s, st);
    }
    fb_stream_settle(s, st);
}

void fb_stream_reset(struct fb_session *s, uint64_t stream, uint64_t code) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL)
        return;
    fb_stream_drop_output(s, st, code);
    if (!st->dead && !st->peer_reset)
        fb_session_credit(s, st->highest - st->read);
    st->send_stop = !st->final_known;
    st->reset_code = code;
    st->dead = st->silent = true;
    st->user = NULL;
    st->event = st->is_new = false;
    fb_blocks_clear(&st->in);
    fb_list_remove(&st->event_link);
    fb_stream_queue(s, st);
    fb_stream_settle(s, st);
}

bool fb_stream_peer_reset(const struct fb_session *s, uint64_t stream, uint64_t *code) {
    const struct fb_stream *st = owned(s, stream);
    if (st == NULL || !st->peer_reset)
        return false;
    *code = st->peer_code;
    return true;
}

bool fb_stream_drained(const struct fb_session *s, uint64_t stream) {
    const struct fb_stream *st = owned(s, stream);
    return st == NULL || fb_stream_out_base(st) == st->written;
}

void fb_stream_set_user(struct fb_session *s, uint64_t stream, void *user) {
    struct fb_stream *st = owned(s, stream);
    if (st != NULL)
        st->user = user;
}

void *fb_stream_user(const struct fb_session *s, uint64_t stream) {
    const struct fb_stream *st = owned(s, stream);
    return st != NULL ? st->user : NULL;
}
