/*
 * Frames: what a sealed packet holds (doc/protocol.md section 3; RFC 9000 section 19 and RFC 9221
 * where the names are the same). Reading never allocates; data points into the packet.
 */
#ifndef FB_CORE_FRAME_H
#define FB_CORE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "core/message.h"
#include "core/ranges.h"

enum fb_frame_type {
    FB_FRAME_PADDING = 0x00,
    FB_FRAME_PING = 0x01,
    FB_FRAME_ACK = 0x02,
    FB_FRAME_RESET_STREAM = 0x04,
    FB_FRAME_STOP_SENDING = 0x05,
    FB_FRAME_NEW_TOKEN = 0x07,
    FB_FRAME_STREAM = 0x08, /* to 0x0f: + 4 offset, + 2 length, + 1 fin */
    FB_FRAME_MAX_DATA = 0x10,
    FB_FRAME_MAX_STREAM_DATA = 0x11,
    FB_FRAME_MAX_STREAMS = 0x12,
    FB_FRAME_CLOSE = 0x1c,
    FB_FRAME_PATH_STATUS = 0x20,
    FB_FRAME_PATH_ABANDON = 0x21,
    FB_FRAME_BROKER = 0x22,
    FB_FRAME_NETWORK_DOCUMENT = 0x23,
    FB_FRAME_DATAGRAM = 0x31,
};

/* ACK frames carry at most this many ranges of packet numbers. */
#define FB_ACK_RANGES_MAX 64

struct fb_frame {
    enum fb_frame_type type; /* FB_FRAME_STREAM for all eight of its codes */
    uint64_t stream;         /* stream id */
    uint64_t offset;         /* STREAM */
    uint64_t value;          /* MAX_*: limit; RESET_STREAM: final size; PATH_STATUS: largest packet
                                wanted, bytes; BROKER, NETWORK_DOCUMENT: number; ACK: delay, us */
    uint64_t code;     /* RESET_STREAM, STOP_SENDING, CLOSE, PATH_ABANDON; PATH_STATUS: status */
    uint64_t path;     /* ACK, PATH_*, NEW_TOKEN: path id */
    uint64_t sequence; /* PATH_STATUS */
    bool fin;
    const uint8_t *data; /* STREAM, DATAGRAM, BROKER, NETWORK_DOCUMENT; NEW_TOKEN: the token */
    size_t len;
    size_t range_count; /* ACK: highest range first, half-open, never touching */
    struct fb_range ranges[FB_ACK_RANGES_MAX];
};

/* Bits of a PATH_STATUS; none: available. */
enum fb_path_status { FB_STATUS_SUSPECT = 1, FB_STATUS_STANDBY = 2 };

/* The next frame (runs of PADDING count as one). 0 or FB_ERR_MALFORMED. rd must not be empty. */
int fb_frame_read(struct fb_rd *rd, struct fb_frame *frame);
/* Writes any frame but STREAM; wr.ok tells whether it fitted. */
void fb_frame_write(struct fb_wr *wr, const struct fb_frame *frame);
/* Bytes that a STREAM frame (with offset and length) takes beside its data, at most. */
size_t fb_frame_stream_overhead(uint64_t stream, uint64_t offset);
void fb_frame_write_stream(struct fb_wr *wr, uint64_t stream, uint64_t offset, bool fin,
                           size_t len);

#endif
