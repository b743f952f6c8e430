#include "base/err.h"
#include "core/session_impl.h"

#define RTT_MIN (20 * FB_MS)
/* Of a window that holds its stream up. A sender that starts doubles its rate in each round trip,
 * and what it is told of the window is a round trip old. */
#define GROWTH 4
#define UNSENT_MIN                                                                                 \
    (16 * 1024) /* bytes that each stream may have waiting, whatever the others have */

static uint64_t left(uint64_t limit, uint64_t used) {
    return used < limit ? limit - used : 0;
}

struct fb_stream *fb_stream_find(const struct fb_session *s, uint64_t id) {
    return fb_map_get(s->streams, &id);
}

/* The owner's view: a stream that it has let go is not there. */
static struct fb_stream *owned(const struct fb_session *s, uint64_t id) {
    struct fb_stream *st = fb_stream_find(s, id);
    return st != NULL && !st->silent ? st : NULL;
}

/*
 * Where few streams are open a new one begins with more than was agreed upon for all: on a long way
 * the first window is all that comes in the first round trip. An eighth of what windows may grow by
 * is for that, so that streams which nobody reads leave the rest to the others.
 */
static void open_wider(struct fb_session *s, struct fb_stream *st) {
    uint64_t most = left(s->config.max_data / 16, s->grown), more = st->window * (GROWTH - 1);
    if (!s->client || more > most)
        return;
    st->window += more;
    s->grown += more;
    st->send_limit = true;
}

struct fb_stream *fb_stream_add(struct fb_session *s, uint64_t id) {
    struct fb_stream *st = fb_alloc(s->mem, sizeof *st);
    if (st == NULL)
        return NULL;
    fb_stream_init(st, s->mem, id);
    st->in_limit = st->window = s->config.first_stream_data;
    st->window_time = s->now;
    open_wider(s, st);
    st->out_limit = s->peer_stream_data;
    if (fb_map_put(s->streams, &id, st) != 0) {
        fb_free(s->mem, st);
        return NULL;
    }
    return st;
}

void fb_stream_free(struct fb_session *s, struct fb_stream *st) {
    s->grown -= st->window - s->config.first_stream_data;
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

void fb_stream_held_up(struct fb_session *s, const struct fb_stream *st) {
    s->held_up = true;
    s->held_up_id = st->id;
}

void fb_stream_settle(struct fb_session *s, struct fb_stream *st) {
    if (!fb_stream_complete(st))
        return;
    if (!st->silent) { /* told of, then freed, by fb_session_next() */
        st->dead = true;
        fb_list_remove(&st->send_link);
        fb_list_remove(&st->control_link);
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
    s->unsent -= st->written - st->sent;
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

/* ---- what is written and not acknowledged ---- */

/* Dynamic thresholds (Choudhury and Hahne, 1998): each may have half of what is free, so that a
 * stream which is not sent leaves room for the others, and they leave it some. */
static uint64_t unsent_limit(const struct fb_session *s) {
    uint64_t half = left(s->config.send_buffer / 4, s->unsent) / 2;
    return half > UNSENT_MIN ? half : UNSENT_MIN;
}

static size_t room_of(const struct fb_session *s, const struct fb_stream *st) {
    uint64_t room = left(s->config.send_buffer_stream, st->written - fb_stream_out_base(st));
    uint64_t all = left(s->config.send_buffer, s->buffered);
    uint64_t unsent = left(unsent_limit(s), st->written - st->sent);
    room = all < room ? all : room;
    return (size_t)(unsent < room ? unsent : room);
}

void fb_stream_went(struct fb_session *s, struct fb_stream *st, const struct fb_piece *piece) {
    fb_stream_sent(st, piece);
    if (!piece->fresh)
        return;
    s->out_total += piece->len;
    s->unsent -= piece->len;
    st->pressed &= st->sent < st->written;
    if (st->wants_room && room_of(s, st) >= unsent_limit(s) / 2)
        fb_stream_wake(s, st);
}

size_t fb_stream_room(struct fb_session *s, uint64_t stream) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL || st->finished || st->send_reset || st->reset_sent || s->closed || s->closing)
        return 0;
    size_t room = room_of(s, st);
    if (room > 0)
        return room;
    st->wants_room = st->pressed = s->starved = true;
    if (fb_list_empty(&st->send_link))
        fb_stream_held_up(s, st);
    return 0;
}

size_t fb_stream_write(struct fb_session *s, uint64_t stream, const uint8_t *data, size_t len) {
    struct fb_stream *st = owned(s, stream);
    size_t room = fb_stream_room(s, stream);
    if (st == NULL)
        return 0;
    st->wants_room = room < len || room == 0;
    st->pressed |= st->wants_room;
    s->starved |= st->wants_room;
    if (len > room)
        len = room;
    if (len == 0 || fb_stream_append(st, data, len) != 0)
        return 0;
    s->buffered += len;
    s->unsent += len;
    fb_stream_queue(s, st);
    return len;
}

void fb_stream_finish(struct fb_session *s, uint64_t stream) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL || st->finished)
        return;
    st->finished = true;
    st->pressed = false;
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

/* ---- what is received and not read ---- */

static uint64_t longest_rtt(const struct fb_session *s) {
    uint64_t longest = RTT_MIN;
    FB_LIST_EACH (it, &s->paths) {
        const struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p->state == FB_PATH_IS_OPEN && p->sent.smoothed_rtt > longest)
            longest = p->sent.smoothed_rtt;
    }
    return longest;
}

static void grow_window(struct fb_session *s, struct fb_stream *st) {
    const struct fb_session_config *c = &s->config;
    uint64_t more = st->window * (GROWTH - 1), most = left(c->max_data / 2, s->grown) / 2;
    uint64_t own = left(c->max_stream_data, st->window);
    more = own < more ? own : more;
    more = most < more ? most : more;
    st->window += more;
    s->grown += more;
}

/*
 * Told after each quarter of the window. It grows, within half of what the others have left of
 * the room for that, where it holds the stream up: where as much as the window is read within two
 * round trips, or the peer has used it up while the owner has read whatever could be read.
 */
static void open_window(struct fb_session *s, struct fb_stream *st) {
    bool whole = st->read - st->window_read >= st->window;
    bool used = st->in_limit - st->highest <= st->window / 4 &&
                fb_ranges_end(&st->got, st->read) == st->read;
    if (used || (whole && s->now - st->window_time < 2 * longest_rtt(s)))
        grow_window(s, st);
    if (used || whole) {
        st->window_read = st->read;
        st->window_time = s->now;
    }
    st->send_limit = true;
    fb_stream_queue(s, st);
}

void fb_stream_consume(struct fb_session *s, uint64_t stream, size_t len) {
    struct fb_stream *st = owned(s, stream);
    if (st == NULL || len > fb_ranges_end(&st->got, st->read) - st->read)
        return;
    st->read += len;
    fb_blocks_release(&st->in, st->read);
    fb_session_credit(s, len);
    if (!st->final_known && !st->send_limit && st->in_limit - st->read <= st->window / 4 * 3)
        open_window(s, st);
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
