/*
 * One bidirectional stream inside a session: what it has to send and to send again, what has
 * arrived, and flow control of both (RFC 9000 sections 2 to 4). Knows nothing of packets and paths;
 * session_*.c moves frames between the two.
 */
#ifndef FB_CORE_STREAM_H
#define FB_CORE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/list.h"
#include "core/blocks.h"
#include "core/ranges.h"

/* Gaps that a stream's data may have; a peer that makes more is closed. */
#define FB_STREAM_GAPS_MAX 2048

struct fb_stream {
    struct fb_list event_link;   /* in the session's list of streams with something to tell */
    struct fb_list control_link; /* ... with limits or resets to send */
    struct fb_list send_link;    /* ... with data to send */
    size_t fresh;                /* bytes that it may still send before others: session_sched.c */
    uint64_t id;
    void *user;

    /* Sending. Offsets: acknowledged below out_base, sent below sent, written below written. */
    struct fb_blocks out;
    struct fb_ranges acked, lost;
    uint64_t sent, written;
    uint64_t helped;    /* offset below which what is missing has gone a second time */
    uint64_t help_time; /* us; when that began from the first of it */
    uint64_t out_limit; /* the peer's MAX_STREAM_DATA */
    bool finished, fin_sent, fin_acked;      /* FIN */
    bool send_reset, reset_sent, reset_done; /* RESET_STREAM: wanted, under way, acknowledged */
    bool send_stop;                          /* STOP_SENDING to be sent */
    uint64_t reset_code;
    bool wants_room; /* a write was cut short */
    bool pressed;    /* ... and since then there was always something to send */

    /* Receiving. Offsets: consumed below read, highest byte seen below highest. */
    struct fb_blocks in;
    struct fb_ranges got;
    uint64_t read, highest;
    uint64_t in_limit;                 /* MAX_STREAM_DATA told to the peer */
    uint64_t window;                   /* how far in_limit may be beyond read */
    uint64_t window_read, window_time; /* where and when (us) it began to be used once more */
    uint64_t final;                    /* size, when final_known */
    bool final_known;
    bool send_limit; /* MAX_STREAM_DATA to be sent */
    bool peer_reset; /* RESET_STREAM or STOP_SENDING came */
    uint64_t peer_code;

    bool dead;   /* the owner has let go: fb_stream_reset() or both ways done */
    bool silent; /* let go by fb_stream_reset(): no event follows */
    bool is_new; /* FB_EVENT_STREAM_NEW not yet told */
    bool event;  /* FB_EVENT_STREAM to be told */
};

void fb_stream_init(struct fb_stream *st, const struct fb_mem *mem, uint64_t id);
void fb_stream_clear(struct fb_stream *st);

/* Offset below which all has been acknowledged. */
uint64_t fb_stream_out_base(const struct fb_stream *st);

/* Appends to what is to be sent. 0 or FB_ERR_NOMEM (nothing was appended). */
int fb_stream_append(struct fb_stream *st, const uint8_t *data, size_t len);
/*
 * The next piece to send: lost data first, then new data within the stream's limit and within
 * `credit` new bytes of the session's. False when there is none. fb_stream_sent() says how much of
 * it was put into a packet.
 */
struct fb_piece {
    uint64_t offset;
    size_t len;
    bool fin;   /* the stream's data ends with this piece */
    bool fresh; /* counts against the session's limit */
};
bool fb_stream_piece(const struct fb_stream *st, uint64_t credit, struct fb_piece *piece);
/* How much there is: bytes, and one for a FIN alone; 0 where fb_stream_piece() gives none. */
uint64_t fb_stream_backlog(const struct fb_stream *st, uint64_t credit);
void fb_stream_sent(struct fb_stream *st, const struct fb_piece *piece);
/* A STREAM frame was acknowledged, or lost. FB_ERR_NOMEM: to be treated as fatal. */
int fb_stream_acked(struct fb_stream *st, uint64_t offset, uint64_t len, bool fin);
int fb_stream_lost(struct fb_stream *st, uint64_t offset, uint64_t len, bool fin);
/* True when a RESET_STREAM, STOP_SENDING, MAX_STREAM_DATA or data waits, ignoring credit. */
bool fb_stream_has_control(const struct fb_stream *st);

/*
 * A STREAM frame's data. *grown: by how much `highest` rose (the session's flow control). 0,
 * FB_ERR_LIMIT (beyond in_limit), FB_ERR_MALFORMED (final size broken), FB_ERR_NOMEM,
 * FB_ERR_TOO_BIG (too many gaps).
 */
int fb_stream_receive(struct fb_stream *st, uint64_t offset, const uint8_t *data, size_t len,
                      bool fin, uint64_t *grown);
/* RESET_STREAM's final size; same results. */
int fb_stream_receive_reset(struct fb_stream *st, uint64_t final, uint64_t *grown);
/* Bytes in order that wait at `read`, in one piece. */
const uint8_t *fb_stream_ready(const struct fb_stream *st, size_t *len);
bool fb_stream_at_end(const struct fb_stream *st);

/* Both directions have ended and nothing is owed to the peer. */
bool fb_stream_complete(const struct fb_stream *st);

#endif
