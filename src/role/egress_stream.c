#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "role/egress_impl.h"

static struct fb_session *session_of(const struct egress_stream *st) {
    return st->session->s;
}

struct egress_stream *fb_egress_stream_find(struct egress_session *session, uint64_t id) {
    FB_LIST_EACH (it, &session->streams) {
        struct egress_stream *st = FB_CONTAINER(it, struct egress_stream, link);
        if (st->id == id)
            return st;
    }
    return NULL;
}

static void give_quotas(struct egress_stream *st) {
    fb_quota_give(&st->session->streams_quota);
    fb_quota_give(&st->session->egress->streams_quota);
}

void fb_egress_stream_free(struct egress_stream *st, bool gently) {
    struct fb_egress *egress = st->session->egress;
    fb_dial_cancel(st->dial);
    if (st->state == STREAM_OPEN)
        fb_pipe_stop(&st->pipe, gently);
    if (st->state != STREAM_FAILED)
        give_quotas(st);
    fb_list_remove(&st->link);
    fb_list_remove(&st->paused_link);
    fb_list_remove(&st->head_link);
    egress->counts.streams--;
    free(st);
    fb_egress_arm(egress);
}

/* Ends it at both sides, without another word. */
static void reset(struct egress_stream *st, enum fb_dest_reset code) {
    fb_stream_reset(session_of(st), st->id, code);
    fb_egress_stream_free(st, false);
}

/* ---- both directions ---- */

static void pipe_moved(void *user) {
    struct egress_stream *st = user;
    fb_egress_pump(st->session);
}

static void pipe_broken(void *user) {
    struct egress_stream *st = user;
    struct egress_session *session = st->session;
    reset(st, FB_DEST_RESET);
    fb_egress_pump(session);
}

/* Above the total of held bytes, the origins of sessions that hold more than their share wait until
 * fb_egress_resume_paused(). Readers that stop reading thus slow down nobody else. */
static bool pipe_may_read(void *user) {
    struct egress_stream *st = user;
    struct fb_egress *egress = st->session->egress;
    if (egress->counts.buffered <= egress->config.limits.buffered ||
        st->session->buffered < fb_egress_share(egress))
        return true;
    if (fb_list_empty(&st->paused_link))
        fb_list_push(&egress->paused, &st->paused_link);
    return false;
}

static const struct fb_pipe_handler pipe_handler = {
    .moved = pipe_moved,
    .broken = pipe_broken,
    .may_read = pipe_may_read,
    .close = fb_dial_close,
};

/* The result comes before all else that the client hears. */
static bool told_status(struct egress_stream *st) {
    if (!st->status_due)
        return true;
    if (fb_stream_write(session_of(st), st->id, &st->status, 1) == 0)
        return false;
    st->status_due = false;
    if (st->state == STREAM_FAILED)
        fb_stream_finish(session_of(st), st->id);
    return true;
}

static void drop_input(struct egress_stream *st) {
    const uint8_t *data;
    size_t len;
    while (fb_stream_peek(session_of(st), st->id, &data, &len), len > 0)
        fb_stream_consume(session_of(st), st->id, len);
}

static void pump(struct egress_stream *st) {
    if (st->state == STREAM_FAILED)
        drop_input(st);
    if ((st->state == STREAM_OPEN || st->state == STREAM_FAILED) && told_status(st) &&
        st->state == STREAM_OPEN)
        (void)fb_pipe_pump(&st->pipe); /* an origin that is deaf is no reason to end */
}

void fb_egress_resume_paused(struct fb_egress *egress, const struct egress_session *only) {
    FB_LIST_EACH (it, &egress->paused) {
        struct egress_stream *st = FB_CONTAINER(it, struct egress_stream, paused_link);
        if (only != NULL && st->session != only)
            continue;
        fb_list_remove(&st->paused_link);
        pump(st);
    }
}

/* ---- the beginning ---- */

static void failed(struct egress_stream *st, enum fb_dest_status status) {
    struct fb_egress *egress = st->session->egress;
    give_quotas(st);
    st->state = STREAM_FAILED;
    st->status = (uint8_t)status;
    st->status_due = true;
    egress->counts.results[status]++;
    egress->counts.over_limit += status == FB_DEST_LIMIT;
}

static void connected(struct egress_stream *st, uv_tcp_t *tcp) {
    struct fb_egress *egress = st->session->egress;
    egress->counts.results[FB_DEST_OK]++;
    st->state = STREAM_OPEN;
    st->status_due = true;
    st->pipe = (struct fb_pipe){
        .s = session_of(st),
        .stream = st->id,
        .tcp = tcp,
        .handler = &pipe_handler,
        .user = st,
        .scratch = egress->scratch,
        .scratch_len = sizeof egress->scratch,
        .take_max = UINT64_MAX,
        .held = &st->session->writing,
        .ends = &egress->ends,
    };
    fb_pipe_start(&st->pipe);
}

static void dialed(void *user, enum fb_dest_status status, uv_tcp_t *tcp) {
    struct egress_stream *st = user;
    struct egress_session *session = st->session;
    st->dial = NULL;
    if (status == FB_DEST_OK)
        connected(st, tcp);
    else
        failed(st, status);
    pump(st);
    fb_egress_pump(session);
}

/* Takes one more piece of the prologue. FB_ERR_AGAIN: more must come. */
static int read_piece(struct egress_stream *st, struct fb_dest *dest, bool *dry) {
    const uint8_t *data;
    size_t len, used;
    bool end = fb_stream_peek(session_of(st), st->id, &data, &len);
    size_t take = sizeof st->head - st->head_len;
    take = len < take ? len : take;
    if (take > 0)
        memcpy(st->head + st->head_len, data, take);
    int err = fb_dest_read(dest, st->head, st->head_len + take, &used);
    if (err == FB_ERR_AGAIN && end)
        return FB_ERR_MALFORMED;
    if (err == 0)
        take = used - st->head_len;
    fb_stream_consume(session_of(st), st->id, take);
    st->head_len += take;
    *dry = take == 0;
    return err;
}

/* Collects the prologue, which may come in pieces, and dials. False: the stream is gone. */
static bool read_head(struct egress_stream *st) {
    struct fb_dest dest;
    bool dry = false;
    int err = FB_ERR_AGAIN;
    while (err == FB_ERR_AGAIN && !dry)
        err = read_piece(st, &dest, &dry);
    if (err == FB_ERR_AGAIN)
        return true;
    if (err != 0) {
        reset(st, FB_DEST_RESET);
        return false;
    }
    fb_list_remove(&st->head_link);
    st->state = STREAM_DIALING;
    st->dial = fb_dial_start(st->session->egress->dialer, &dest, dialed, st);
    if (st->dial == NULL)
        failed(st, FB_DEST_INTERNAL);
    return true;
}

void fb_egress_stream_event(struct egress_stream *st) {
    uint64_t code;
    if (fb_stream_peer_reset(session_of(st), st->id, &code))
        reset(st, FB_DEST_RESET);
    else if (st->state != STREAM_HEAD || read_head(st))
        pump(st);
}

void fb_egress_reset_late(struct fb_egress *egress, uint64_t now_us) {
    while (!fb_list_empty(&egress->heads)) {
        struct egress_stream *st = FB_CONTAINER(egress->heads.next, struct egress_stream,
                                                head_link);
        struct egress_session *session = st->session;
        if (now_us - st->since_us < egress->config.limits.head_timeout_us)
            return;
        reset(st, FB_DEST_RESET_LATE);
        fb_egress_pump(session); /* the session may go, with others of the list */
    }
}

static bool within_share(const struct egress_session *session) {
    const struct fb_egress *egress = session->egress;
    uint32_t all = egress->config.limits.total.at_once, held = egress->streams_quota.held;
    uint32_t share = held < all ? (all - held) / FB_EGRESS_STREAMS_SHARE : 0;
    return all == 0 || session->streams_quota.held < (share > 0 ? share : 1);
}

void fb_egress_stream_new(struct egress_session *session, uint64_t id) {
    struct fb_egress *egress = session->egress;
    const struct fb_egress_limits *limits = &egress->config.limits;
    uint64_t now = fb_now_us();
    struct egress_stream *st = calloc(1, sizeof *st);
    if (st == NULL) {
        fb_stream_reset(session->s, id, FB_DEST_RESET);
        return;
    }
    st->session = session;
    st->id = id;
    st->since_us = now;
    fb_list_init(&st->link);
    fb_list_init(&st->paused_link);
    fb_list_init(&st->head_link);
    fb_list_push(&session->streams, &st->link);
    egress->counts.streams++;
    egress->counts.streams_all++;
    bool fits = fb_quota_fits(&session->streams_quota, &limits->session, now) &&
                fb_quota_fits(&egress->streams_quota, &limits->total, now) && within_share(session);
    fb_quota_take(&session->streams_quota, &limits->session, now);
    fb_quota_take(&egress->streams_quota, &limits->total, now);
    if (fits)
        fb_list_push(&egress->heads, &st->head_link);
    else
        failed(st, FB_DEST_LIMIT);
    fb_egress_stream_event(st);
    fb_egress_arm(egress);
}
