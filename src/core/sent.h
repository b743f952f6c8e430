/*
 * What one path has sent and has not yet heard of: round-trip time, the loss rule of
 * doc/protocol.md section 4, and which frames to send again. RFC 9002 is the model; here a path is
 * nearly always reliable and in any order, so only time tells a loss: a packet is lost when it is
 * T older than now while a later one has been acknowledged. A lost packet is remembered for 3 T;
 * when its acknowledgement comes after all, T widens for this path, for a while.
 */
#ifndef FB_CORE_SENT_H
#define FB_CORE_SENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "base/list.h"
#include "core/frame.h"
#include "core/window.h"

/* What a packet carried, enough to make it again from the session's state. */
struct fb_sent_frame {
    enum fb_frame_type type;
    uint64_t id;     /* stream, token's or abandoned path's id, number of a post */
    uint64_t offset; /* STREAM */
    uint32_t len;    /* STREAM */
    bool fin;        /* STREAM */
};

#define FB_SENT_FRAMES_MAX 24
/* A packet counts as at least so many bytes in flight: what is remembered of it takes memory
 * whatever its size, and windows are counted in bytes. A window of 512 KiB then holds 2,048. */
#define FB_SENT_SIZE_MIN 256
/* Lost packets remembered at once: twice what 512 KiB of the smallest full packets (1,100 bytes)
 * are. Beyond that the oldest counts as truly lost before its 3 T are over. */
#define FB_SENT_LOST_MAX 1024

struct fb_sent_packet {
    struct fb_list link;
    uint64_t number, time; /* us */
    size_t size;           /* of the whole message, or FB_SENT_SIZE_MIN */
    struct fb_window_stamp stamp;
    bool lost;
    uint8_t count;
    struct fb_sent_frame frames[]; /* count of them */
};

struct fb_sent {
    const struct fb_mem *mem;
    struct fb_list in_flight; /* oldest first; all elicit acknowledgement */
    struct fb_list lost;      /* declared lost, oldest declaration first */
    size_t lost_count;        /* in that list */
    size_t bytes;             /* in flight */
    struct fb_window window;  /* how many may be */
    uint64_t end;             /* highest number sent, plus one */
    uint64_t acked;           /* highest number acknowledged, plus one */
    uint64_t ack_time;        /* when something new was last acknowledged, or sending began anew */
    uint64_t latest_rtt, smoothed_rtt, rtt_variation, min_rtt; /* us; smoothed 0: no sample */
    unsigned widen;                                            /* T is multiplied by this, 1 to 8 */
    uint64_t widen_time;                                       /* us; when that last changed */
    unsigned probes;      /* PTO count: timeouts since something was acknowledged */
    unsigned gaps, whole; /* packets truly lost and acknowledged since the counts were halved */
};

/* Told of each frame of each packet that is acknowledged, or lost and to be sent again. */
struct fb_sent_sink {
    void (*frame)(void *ctx, const struct fb_sent_frame *frame, bool acked);
    void *ctx;
};

void fb_sent_init(struct fb_sent *sent, const struct fb_mem *mem);
void fb_sent_clear(struct fb_sent *sent);

/* Remembers a packet; copies frames. FB_ERR_NOMEM. Packets that elicit nothing: fb_sent_note. */
int fb_sent_add(struct fb_sent *sent, uint64_t number, size_t size,
                const struct fb_sent_frame *frames, size_t count, uint64_t now);
void fb_sent_note(struct fb_sent *sent, uint64_t number);

/* An ACK frame. here: it came by this very path, so that its time tells of the path's round trip;
 * what comes back by a quicker one would be taken for the way's own length ever after. *progress:
 * something in flight was acknowledged; *spurious: so was something that had been called lost.
 * FB_ERR_MALFORMED: it acknowledges what was never sent. */
int fb_sent_ack(struct fb_sent *sent, const struct fb_frame *ack, bool here, uint64_t now,
                const struct fb_sent_sink *sink, unsigned *progress, unsigned *spurious);

/* T, in us. */
uint64_t fb_sent_threshold(const struct fb_sent *sent);
/* When fb_sent_tick() is due next; UINT64_MAX never. */
uint64_t fb_sent_deadline(const struct fb_sent *sent);
enum fb_sent_verdict { FB_SENT_QUIET, FB_SENT_PROBE };
/* Declares losses (their frames go to sink, *lost counts packets). FB_SENT_PROBE: nothing has been
 * acknowledged for T though something is in flight; send a PING. */
enum fb_sent_verdict fb_sent_tick(struct fb_sent *sent, uint64_t now,
                                  const struct fb_sent_sink *sink, unsigned *lost);
/* When the oldest packet in flight was sent of those that nothing sent later has overtaken, us;
 * UINT64_MAX: there is none. Where it is long ago the path crawls. */
uint64_t fb_sent_front(const struct fb_sent *sent);
/* Everything in flight is to be sent again: the path has gone or is suspect. */
void fb_sent_lose_all(struct fb_sent *sent, uint64_t now, const struct fb_sent_sink *sink);
/* True when more than an eighth of what was sent of late never arrived. */
bool fb_sent_too_lossy(const struct fb_sent *sent);

#endif
