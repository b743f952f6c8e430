/*
 * A connected TCP socket joined to a session's stream, both ways: at the egress towards an origin,
 * at the client towards an app. The socket is read only while the stream takes bytes, the stream
 * only while the socket does, so each end feels the other's pace; at most one copy of 64 KiB waits
 * here.
 *
 * The pipe is part of its owner's struct. The owner calls fb_pipe_pump() whenever the session tells
 * of the stream; what the socket does comes as a callback, which may stop the pipe and free it.
 * The owner closes and frees nothing while the pipe has not been stopped.
 */
#ifndef FB_ROLE_PIPE_H
#define FB_ROLE_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "core/session.h"

struct fb_pipe_write; /* bytes on their way to the socket */
struct fb_pipe_end;   /* the socket's orderly end */

/* Sockets with last bytes to go out, no longer anybody's; oldest first. Each is a descriptor and
 * holds up to 64 KiB, which no other limit counts: hence a ceiling, beyond which the oldest is
 * cut off. */
struct fb_pipe_ends {
    struct fb_list list;
    size_t count, max;
};

struct fb_pipe_handler {
    /* The stream was written to, finished or read: the session has something to send. Last act of
     * the pipe's callback. */
    void (*moved)(void *user);
    /* The socket failed: the owner resets the stream, stops the pipe (not gently), then pumps. */
    void (*broken)(void *user);
    /* False: reading from the socket must wait until the next fb_pipe_pump(). NULL: never. */
    bool (*may_read)(void *user);
    /* Closes a socket that the pipe was given and lets it go; abort: with RST. */
    void (*close)(uv_tcp_t *tcp, bool abort);
    /* A socket that no longer takes bytes: true: it is broken (an app that has gone); false: what
     * it still says is read (an origin that has heard enough). */
    bool deaf_is_broken;
};

struct fb_pipe {
    /* Set by the owner before fb_pipe_start(). */
    struct fb_session *s;
    uint64_t stream;
    uv_tcp_t *tcp; /* tcp->data becomes the pipe's */
    const struct fb_pipe_handler *handler;
    void *user;
    uint8_t *scratch; /* for reading, shared by all pipes of a loop */
    size_t scratch_len;
    uint64_t take_max;         /* bytes that the stream gets of the socket's, the rest is dropped */
    size_t *held;              /* counts what waits here for the socket; may be NULL */
    struct fb_pipe_ends *ends; /* the owner's, outlives them; fb_pipe_cut_ends() */
    /* The pipe's own. */
    bool reading, eof, shut, deaf;
    struct fb_pipe_write *writing;
    struct fb_pipe_end *end;
};

void fb_pipe_ends_init(struct fb_pipe_ends *ends, size_t max);
/* Begins; call fb_pipe_pump() then. */
void fb_pipe_start(struct fb_pipe *pipe);
/* Moves what can be moved now. Never calls the handler back but for may_read; false: broken, do as
 * broken() says. */
bool fb_pipe_pump(struct fb_pipe *pipe);
/*
 * Parts from the socket. gently: what was written goes out before it is closed; until then, or
 * until it is cut off, it is among the ends. Otherwise it is closed at once.
 */
void fb_pipe_stop(struct fb_pipe *pipe, bool gently);
/* Since when the oldest of these sockets has been ending; FB_NEVER: there is none. */
uint64_t fb_pipe_oldest_end(const struct fb_pipe_ends *ends);
/* Cuts off sockets that have been ending since before this time. */
void fb_pipe_cut_ends(struct fb_pipe_ends *ends, uint64_t before_us);

#endif
