#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "role/egress_impl.h"

/* A copy for a socket that is full; the next piece waits in the session, where windows bound it. */
#define WRITE_MAX 65536
/* RESET_STREAM's code says nothing that the client needs to know. */
#define RESET_CODE 0

struct egress_write {
    uv_write_t request;
    struct egress_stream *stream; /* NULL: gone */
    size_t len;
    uint8_t bytes[];
};

/* Shutting a connection down: waits for what was written; outlives its stream in egress->ends. */
struct egress_end {
    uv_shutdown_t request;
    struct fb_list link;
    struct egress_stream *stream; /* NULL: gone */
    uv_tcp_t *tcp;                /* without a stream: to be closed at the end */
    uint64_t since_us;
};

static struct fb_session *session_of(const struct egress_stream *st) {
    return st->session->s;
}

static bool over_total(const struct fb_egress *egress) {
    return egress->counts.buffered > egress->config.limits.buffered;
}

struct egress_stream *fb_egress_stream_find(struct egress_session *session, uint64_t id) {
    FB_LIST_EACH (it, &session->streams) {
        struct egress_stream *st = FB_CONTAINER(it, struct egress_stream, link);
        if (st->id == id)
            return st;
    }
    return NULL;
}

/* ---- the end ---- */

static void shutdown_done(uv_shutdown_t *request, int status) {
    struct egress_end *end = request->data;
    if (end->stream != NULL)
        end->stream->end = NULL;
    else if (end->tcp != NULL)
        fb_dial_close(end->tcp, false);
    fb_list_remove(&end->link);
    free(end);
}

static void shut(struct egress_stream *st) {
    struct egress_end *end = calloc(1, sizeof *end);
    st->shut = true;
    if (end == NULL)
        return; /* the origin learns it when the socket closes */
    fb_list_init(&end->link);
    end->request.data = end;
    end->stream = st;
    if (uv_shutdown(&end->request, (uv_stream_t *)st->tcp, shutdown_done) != 0)
        free(end);
    else
        st->end = end;
}

static void close_tcp(struct egress_stream *st, bool gently) {
    if (gently && !st->shut)
        shut(st);
    if (st->end == NULL) {
        fb_dial_close(st->tcp, !gently);
        return;
    }
    struct egress_end *end = st->end;
    end->stream = NULL;
    if (gently) {
        end->tcp = st->tcp;
        end->since_us = fb_now_us();
        uv_read_stop((uv_stream_t *)st->tcp);
        fb_list_push(&st->session->egress->ends, &end->link);
        fb_egress_arm(st->session->egress);
    } else {
        fb_dial_close(st->tcp, true);
    }
}

void fb_egress_cut_ends(struct fb_egress *egress, uint64_t before_us) {
    FB_LIST_EACH (it, &egress->ends) {
        struct egress_end *end = FB_CONTAINER(it, struct egress_end, link);
        if (end->since_us >= before_us)
            continue;
        uv_tcp_t *tcp = end->tcp;
        end->tcp = NULL;
        fb_list_remove(&end->link);
        fb_dial_close(tcp, true);
    }
}

void fb_egress_stream_free(struct egress_stream *st, bool gently) {
    struct fb_egress *egress = st->session->egress;
    fb_dial_cancel(st->dial);
    if (st->writing != NULL) {
        st->session->writing -= st->writing->len;
        st->writing->stream = NULL;
    }
    if (st->tcp != NULL)
        close_tcp(st, gently);
    if (st->state != STREAM_FAILED) {
        fb_quota_give(&st->session->streams_quota);
        fb_quota_give(&egress->streams_quota);
    }
    fb_list_remove(&st->link);
    fb_list_remove(&st->paused_link);
    egress->counts.streams--;
    free(st);
}

/* Ends it at both sides, without another word. */
static void reset(struct egress_stream *st) {
    fb_stream_reset(session_of(st), st->id, RESET_CODE);
    fb_egress_stream_free(st, false);
}

/* ---- from the origin to the client ---- */

static void pump_down(struct egress_stream *st);

static void origin_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct egress_stream *st = handle->data;
    size_t room = fb_stream_room(session_of(st), st->id);
    uint8_t *scratch = st->session->egress->scratch;
    *buf = uv_buf_init((char *)scratch,
                       (unsigned)(room < FB_EGRESS_SCRATCH ? room : FB_EGRESS_SCRATCH));
}

static void origin_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf) {
    struct egress_stream *st = tcp->data;
    struct egress_session *session = st->session;
    if (len > 0) {
        const uint8_t *bytes = (const uint8_t *)buf->base;
        if (fb_stream_write(session->s, st->id, bytes, (size_t)len) == (size_t)len)
            pump_down(st);
        else
            reset(st); /* memory is out: what was read cannot be kept */
    } else if (len == UV_EOF) {
        st->origin_done = true;
        uv_read_stop(tcp);
        st->reading = false;
        fb_stream_finish(session->s, st->id);
    } else if (len == UV_ENOBUFS) {
        pump_down(st); /* the room went elsewhere meanwhile */
    } else if (len < 0) {
        reset(st);
    } else {
        return;
    }
    fb_egress_pump(session);
}

/* True when the client has room for more now; otherwise the session will say when. */
static bool client_has_room(struct egress_stream *st) {
    if (fb_stream_room(session_of(st), st->id) > 0)
        return true;
    fb_stream_write(session_of(st), st->id, st->head, 0);
    return false;
}

static void pump_down(struct egress_stream *st) {
    struct fb_egress *egress = st->session->egress;
    if (st->status_due) {
        if (fb_stream_write(session_of(st), st->id, &st->status, 1) == 0)
            return;
        st->status_due = false;
        if (st->state == STREAM_FAILED)
            fb_stream_finish(session_of(st), st->id);
    }
    if (st->state != STREAM_OPEN || st->origin_done)
        return;
    bool want = client_has_room(st);
    if (want && over_total(egress)) {
        want = false;
        if (fb_list_empty(&st->paused_link))
            fb_list_push(&egress->paused, &st->paused_link);
    }
    if (want == st->reading)
        return;
    st->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)st->tcp);
    else if (uv_read_start((uv_stream_t *)st->tcp, origin_alloc, origin_read) != 0)
        st->reading = false;
}

void fb_egress_resume_paused(struct fb_egress *egress) {
    FB_LIST_EACH (it, &egress->paused) {
        struct egress_stream *st = FB_CONTAINER(it, struct egress_stream, paused_link);
        fb_list_remove(&st->paused_link);
        pump_down(st);
    }
}

/* ---- from the client to the origin ---- */

static void pump_up(struct egress_stream *st);

static void written(uv_write_t *request, int status) {
    struct egress_write *write = request->data;
    struct egress_stream *st = write->stream;
    size_t len = write->len;
    free(write);
    if (st == NULL)
        return;
    struct egress_session *session = st->session;
    session->writing -= len;
    st->writing = NULL;
    st->deaf |= status != 0;
    pump_up(st);
    fb_egress_pump(session);
}

static void write_copy(struct egress_stream *st, const uint8_t *data, size_t len) {
    len = len < WRITE_MAX ? len : WRITE_MAX;
    struct egress_write *write = malloc(sizeof *write + len);
    if (write == NULL) {
        st->deaf = true;
        return;
    }
    write->request.data = write;
    write->stream = st;
    write->len = len;
    memcpy(write->bytes, data, len);
    uv_buf_t buf = uv_buf_init((char *)write->bytes, (unsigned)len);
    if (uv_write(&write->request, (uv_stream_t *)st->tcp, &buf, 1, written) != 0) {
        free(write);
        st->deaf = true;
        return;
    }
    st->writing = write;
    st->session->writing += len;
    fb_stream_consume(session_of(st), st->id, len);
}

static void pump_up(struct egress_stream *st) {
    const uint8_t *data;
    size_t len;
    while (st->writing == NULL && !st->shut) {
        bool end = fb_stream_peek(session_of(st), st->id, &data, &len);
        if (len == 0) {
            if (end && st->tcp != NULL)
                shut(st);
            return;
        }
        uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
        int done = st->deaf || st->state == STREAM_FAILED
                       ? (int)len /* nobody is there to take it */
                       : uv_try_write((uv_stream_t *)st->tcp, &buf, 1);
        if (done > 0)
            fb_stream_consume(session_of(st), st->id, (size_t)done);
        else if (done == UV_EAGAIN)
            write_copy(st, data, len);
        else
            st->deaf = true; /* it has closed; what it still says is read */
    }
}

/* ---- the beginning ---- */

static void failed(struct egress_stream *st, enum fb_dest_status status) {
    struct fb_egress *egress = st->session->egress;
    fb_quota_give(&st->session->streams_quota);
    fb_quota_give(&egress->streams_quota);
    st->state = STREAM_FAILED;
    st->status = (uint8_t)status;
    st->status_due = true;
    egress->counts.results[status]++;
    egress->counts.over_limit += status == FB_DEST_LIMIT;
}

static void dialed(void *user, enum fb_dest_status status, uv_tcp_t *tcp) {
    struct egress_stream *st = user;
    struct egress_session *session = st->session;
    st->dial = NULL;
    if (status == FB_DEST_OK) {
        session->egress->counts.results[FB_DEST_OK]++;
        st->state = STREAM_OPEN;
        st->status_due = true;
        st->tcp = tcp;
        tcp->data = st;
    } else {
        failed(st, status);
    }
    pump_down(st);
    pump_up(st);
    fb_egress_pump(session);
}

/* Collects the prologue, which may come in pieces, and dials. False: the stream is gone. */
static bool read_head(struct egress_stream *st) {
    struct fb_egress *egress = st->session->egress;
    struct fb_dest dest;
    for (;;) {
        const uint8_t *data;
        size_t len, used;
        bool end = fb_stream_peek(session_of(st), st->id, &data, &len);
        size_t take = sizeof st->head - st->head_len;
        take = len < take ? len : take;
        if (take > 0)
            memcpy(st->head + st->head_len, data, take);
        int err = fb_dest_read(&dest, st->head, st->head_len + take, &used);
        if (err == FB_ERR_MALFORMED || (err == FB_ERR_AGAIN && end)) {
            reset(st);
            return false;
        }
        if (err == 0) {
            fb_stream_consume(session_of(st), st->id, used - st->head_len);
            break;
        }
        if (take == 0)
            return true;
        fb_stream_consume(session_of(st), st->id, take);
        st->head_len += take;
    }
    st->state = STREAM_DIALING;
    st->dial = fb_dial_start(egress->dialer, &dest, dialed, st);
    if (st->dial == NULL)
        failed(st, FB_DEST_INTERNAL);
    return true;
}

void fb_egress_stream_event(struct egress_stream *st) {
    uint64_t code;
    if (fb_stream_peer_reset(session_of(st), st->id, &code)) {
        reset(st);
        return;
    }
    if (st->state == STREAM_HEAD && !read_head(st))
        return;
    pump_down(st);
    if (st->state == STREAM_OPEN || st->state == STREAM_FAILED)
        pump_up(st);
}

void fb_egress_stream_new(struct egress_session *session, uint64_t id) {
    struct fb_egress *egress = session->egress;
    const struct fb_egress_limits *limits = &egress->config.limits;
    uint64_t now = fb_now_us();
    struct egress_stream *st = calloc(1, sizeof *st);
    if (st == NULL) {
        fb_stream_reset(session->s, id, RESET_CODE);
        return;
    }
    st->session = session;
    st->id = id;
    fb_list_init(&st->link);
    fb_list_init(&st->paused_link);
    fb_list_push(&session->streams, &st->link);
    fb_stream_set_user(session->s, id, st);
    egress->counts.streams++;
    egress->counts.streams_all++;
    bool fits = fb_quota_fits(&session->streams_quota, &limits->session, now) &&
                fb_quota_fits(&egress->streams_quota, &limits->total, now);
    fb_quota_take(&session->streams_quota, &limits->session, now);
    fb_quota_take(&egress->streams_quota, &limits->total, now);
    if (!fits)
        failed(st, FB_DEST_LIMIT);
    fb_egress_stream_event(st);
}
