#include "role/pipe.h"

#include <stdlib.h>
#include <string.h>

#include "net/loop.h"

#define WRITE_MAX 65536

struct fb_pipe_write {
    uv_write_t request;
    struct fb_pipe *pipe; /* NULL: stopped */
    size_t len;
    uint8_t bytes[];
};

struct fb_pipe_end {
    uv_shutdown_t request;
    struct fb_pipe *pipe; /* NULL: stopped */
    /* Without a pipe, unless cut off: where it is kept, and what is to be closed at the end. */
    struct fb_pipe_ends *ends;
    struct fb_list link;
    uv_tcp_t *tcp;
    void (*close)(uv_tcp_t *tcp, bool abort);
    uint64_t since_us;
};

/* ---- the end ---- */

void fb_pipe_ends_init(struct fb_pipe_ends *ends, size_t max) {
    fb_list_init(&ends->list);
    ends->count = 0;
    ends->max = max;
}

static struct fb_pipe_end *oldest(const struct fb_pipe_ends *ends) {
    return FB_CONTAINER(ends->list.next, struct fb_pipe_end, link);
}

/* Out of the owner's hands: the socket is closed. */
static void let_go(struct fb_pipe_ends *ends, struct fb_pipe_end *end, bool abort) {
    ends->count--;
    end->ends = NULL;
    fb_list_remove(&end->link);
    end->close(end->tcp, abort);
}

static void linger(struct fb_pipe_ends *ends, struct fb_pipe_end *end, uv_tcp_t *tcp) {
    end->tcp = tcp;
    end->since_us = fb_now_us();
    end->ends = ends;
    fb_list_push(&ends->list, &end->link);
    if (++ends->count > ends->max)
        let_go(ends, oldest(ends), true);
}

static void shutdown_done(uv_shutdown_t *request, int status) {
    struct fb_pipe_end *end = request->data;
    if (end->pipe != NULL)
        end->pipe->end = NULL;
    else if (end->ends != NULL)
        let_go(end->ends, end, false);
    free(end);
}

/* The socket's other side learns that nothing more comes, once all that was written is out. */
static void shut(struct fb_pipe *pipe) {
    struct fb_pipe_end *end = calloc(1, sizeof *end);
    pipe->shut = true;
    if (end == NULL)
        return; /* it learns it when the socket closes */
    fb_list_init(&end->link);
    end->request.data = end;
    end->pipe = pipe;
    end->close = pipe->handler->close;
    if (uv_shutdown(&end->request, (uv_stream_t *)pipe->tcp, shutdown_done) != 0)
        free(end);
    else
        pipe->end = end;
}

void fb_pipe_stop(struct fb_pipe *pipe, bool gently) {
    if (pipe->reading)
        uv_read_stop((uv_stream_t *)pipe->tcp);
    if (gently && !pipe->shut)
        shut(pipe);
    if (pipe->writing != NULL) {
        if (pipe->held != NULL)
            *pipe->held -= pipe->writing->len;
        pipe->writing->pipe = NULL;
    }
    struct fb_pipe_end *end = pipe->end;
    if (end != NULL)
        end->pipe = NULL;
    if (gently && end != NULL)
        linger(pipe->ends, end, pipe->tcp);
    else
        pipe->handler->close(pipe->tcp, !gently);
    pipe->writing = NULL;
    pipe->end = NULL;
    pipe->tcp = NULL;
    pipe->reading = false;
}

uint64_t fb_pipe_oldest_end(const struct fb_pipe_ends *ends) {
    return ends->count == 0 ? FB_NEVER : oldest(ends)->since_us;
}

void fb_pipe_cut_ends(struct fb_pipe_ends *ends, uint64_t before_us) {
    while (ends->count > 0 && oldest(ends)->since_us < before_us)
        let_go(ends, oldest(ends), true);
}

/* ---- from the socket to the stream ---- */

static void socket_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct fb_pipe *pipe = handle->data;
    size_t room = fb_stream_room(pipe->s, pipe->stream);
    size_t len = room < pipe->scratch_len ? room : pipe->scratch_len;
    *buf = uv_buf_init((char *)pipe->scratch, (unsigned)len);
}

static void pump_in(struct fb_pipe *pipe);

/* False when memory is out: what was read cannot be kept. */
static bool take(struct fb_pipe *pipe, const uint8_t *data, size_t len) {
    if (len > pipe->take_max)
        len = (size_t)pipe->take_max;
    if (pipe->take_max != UINT64_MAX)
        pipe->take_max -= len;
    return fb_stream_write(pipe->s, pipe->stream, data, len) == len;
}

static void socket_read(uv_stream_t *tcp, ssize_t len, const uv_buf_t *buf) {
    struct fb_pipe *pipe = tcp->data;
    if (len == 0)
        return;
    if (len == UV_EOF) {
        pipe->eof = true;
        fb_stream_finish(pipe->s, pipe->stream);
    } else if (len < 0 && len != UV_ENOBUFS) {
        pipe->handler->broken(pipe->user);
        return;
    } else if (len > 0 && !take(pipe, (const uint8_t *)buf->base, (size_t)len)) {
        pipe->handler->broken(pipe->user);
        return;
    }
    pump_in(pipe);
    pipe->handler->moved(pipe->user);
}

/* Reads or does not, as the stream has room; without room the session says when it has again. */
static void pump_in(struct fb_pipe *pipe) {
    bool want = !pipe->eof;
    if (want && fb_stream_room(pipe->s, pipe->stream) == 0) {
        fb_stream_write(pipe->s, pipe->stream, pipe->scratch, 0);
        want = false;
    }
    if (want && pipe->handler->may_read != NULL)
        want = pipe->handler->may_read(pipe->user);
    if (want == pipe->reading)
        return;
    pipe->reading = want;
    if (!want)
        uv_read_stop((uv_stream_t *)pipe->tcp);
    else if (uv_read_start((uv_stream_t *)pipe->tcp, socket_alloc, socket_read) != 0)
        pipe->reading = false;
}

/* ---- from the stream to the socket ---- */

static void socket_written(uv_write_t *request, int status) {
    struct fb_pipe_write *write = request->data;
    struct fb_pipe *pipe = write->pipe;
    size_t len = write->len;
    free(write);
    if (pipe == NULL)
        return;
    if (pipe->held != NULL)
        *pipe->held -= len;
    pipe->writing = NULL;
    pipe->deaf |= status != 0;
    if (fb_pipe_pump(pipe))
        pipe->handler->moved(pipe->user);
    else
        pipe->handler->broken(pipe->user);
}

/* Copies a piece for a socket that is full. */
static bool write_copy(struct fb_pipe *pipe, const uint8_t *data, size_t len) {
    struct fb_pipe_write *write = malloc(sizeof *write + len);
    if (write == NULL)
        return false;
    write->request.data = write;
    write->pipe = pipe;
    write->len = len;
    memcpy(write->bytes, data, len);
    uv_buf_t buf = uv_buf_init((char *)write->bytes, (unsigned)len);
    if (uv_write(&write->request, (uv_stream_t *)pipe->tcp, &buf, 1, socket_written) != 0) {
        free(write);
        return false;
    }
    pipe->writing = write;
    if (pipe->held != NULL)
        *pipe->held += len;
    return true;
}

/* How much of data the socket has taken; the rest of a full one as a copy. */
static size_t write_some(struct fb_pipe *pipe, const uint8_t *data, size_t len) {
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    int done = uv_try_write((uv_stream_t *)pipe->tcp, &buf, 1);
    if (done >= 0)
        return (size_t)done;
    size_t copy = len < WRITE_MAX ? len : WRITE_MAX;
    if (done == UV_EAGAIN && write_copy(pipe, data, copy))
        return copy;
    pipe->deaf = true;
    return 0;
}

static void pump_out(struct fb_pipe *pipe) {
    while (pipe->writing == NULL && !pipe->shut) {
        const uint8_t *data;
        size_t len;
        bool finished = fb_stream_peek(pipe->s, pipe->stream, &data, &len);
        if (len == 0) {
            if (finished)
                shut(pipe);
            return;
        }
        if (pipe->deaf && pipe->handler->deaf_is_broken)
            return;
        fb_stream_consume(pipe->s, pipe->stream, pipe->deaf ? len : write_some(pipe, data, len));
    }
}

void fb_pipe_start(struct fb_pipe *pipe) {
    pipe->tcp->data = pipe;
    pipe->reading = pipe->eof = pipe->shut = pipe->deaf = false;
    pipe->writing = NULL;
    pipe->end = NULL;
}

bool fb_pipe_pump(struct fb_pipe *pipe) {
    pump_in(pipe);
    pump_out(pipe);
    return !(pipe->deaf && pipe->handler->deaf_is_broken);
}
