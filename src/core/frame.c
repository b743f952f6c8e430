#include "core/frame.h"

#include "base/err.h"

#define STREAM_OFF 4
#define STREAM_LEN 2
#define STREAM_FIN 1

/* RFC 9000 section 19.3: largest, delay, count, first range, then gap and range alternating. */
static void read_ack(struct fb_rd *rd, struct fb_frame *f) {
    f->path = fb_rd_varint(rd);
    uint64_t largest = fb_rd_varint(rd);
    f->value = fb_rd_varint(rd) * 8;
    uint64_t count = fb_rd_varint(rd) + 1;
    if (count > FB_ACK_RANGES_MAX || largest >= UINT64_C(1) << 48) {
        rd->ok = false;
        return;
    }
    uint64_t hi = largest + 1;
    for (f->range_count = 0; f->range_count < count && rd->ok; f->range_count++) {
        if (f->range_count > 0) {
            uint64_t gap = fb_rd_varint(rd) + 1; /* numbers missing */
            if (gap >= hi) {
                rd->ok = false;
                return;
            }
            hi -= gap;
        }
        uint64_t len = fb_rd_varint(rd) + 1;
        if (len > hi) {
            rd->ok = false;
            return;
        }
        f->ranges[f->range_count] = (struct fb_range){hi - len, hi};
        hi -= len;
    }
}

static void read_stream(struct fb_rd *rd, struct fb_frame *f, uint64_t code) {
    f->type = FB_FRAME_STREAM;
    f->fin = code & STREAM_FIN;
    f->stream = fb_rd_varint(rd);
    f->offset = code & STREAM_OFF ? fb_rd_varint(rd) : 0;
    f->len = code & STREAM_LEN ? (size_t)fb_rd_varint(rd) : rd->len;
    f->data = fb_rd_bytes(rd, f->len);
    if (f->offset > FB_VARINT_MAX - f->len)
        rd->ok = false;
}

static void read_padding(struct fb_rd *rd) {
    while (rd->len > 0 && *rd->ptr == FB_FRAME_PADDING)
        fb_rd_u8(rd);
}

int fb_frame_read(struct fb_rd *rd, struct fb_frame *f) {
    uint64_t type = fb_rd_varint(rd);
    f->type = (enum fb_frame_type)type;
    if (type >= FB_FRAME_STREAM && type <= (FB_FRAME_STREAM | 7)) {
        read_stream(rd, f, type);
        return rd->ok ? 0 : FB_ERR_MALFORMED;
    }
    switch (type) {
    case FB_FRAME_PADDING: read_padding(rd); break;
    case FB_FRAME_PING: break;
    case FB_FRAME_ACK: read_ack(rd, f); break;
    case FB_FRAME_RESET_STREAM:
        f->stream = fb_rd_varint(rd);
        f->code = fb_rd_varint(rd);
        f->value = fb_rd_varint(rd);
        break;
    case FB_FRAME_STOP_SENDING:
        f->stream = fb_rd_varint(rd);
        f->code = fb_rd_varint(rd);
        break;
    case FB_FRAME_NEW_TOKEN:
        f->path = fb_rd_varint(rd);
        f->len = FB_TOKEN_LEN;
        f->data = fb_rd_bytes(rd, f->len);
        break;
    case FB_FRAME_MAX_STREAM_DATA: f->stream = fb_rd_varint(rd); /* fall through */
    case FB_FRAME_MAX_DATA:
    case FB_FRAME_MAX_STREAMS: f->value = fb_rd_varint(rd); break;
    case FB_FRAME_CLOSE: f->code = fb_rd_varint(rd); break;
    case FB_FRAME_PATH_STATUS:
        f->path = fb_rd_varint(rd);
        f->sequence = fb_rd_varint(rd);
        f->code = fb_rd_varint(rd);
        f->value = fb_rd_varint(rd);
        break;
    case FB_FRAME_PATH_ABANDON:
        f->path = fb_rd_varint(rd);
        f->code = fb_rd_varint(rd);
        break;
    case FB_FRAME_BROKER:
    case FB_FRAME_NETWORK_DOCUMENT: f->value = fb_rd_varint(rd); /* fall through */
    case FB_FRAME_DATAGRAM:
        f->len = (size_t)fb_rd_varint(rd);
        f->data = fb_rd_bytes(rd, f->len);
        break;
    default: return FB_ERR_MALFORMED;
    }
    return rd->ok ? 0 : FB_ERR_MALFORMED;
}

static void write_ack(struct fb_wr *wr, const struct fb_frame *f) {
    fb_wr_varint(wr, f->path);
    fb_wr_varint(wr, f->ranges[0].hi - 1);
    fb_wr_varint(wr, f->value / 8);
    fb_wr_varint(wr, f->range_count - 1);
    for (size_t i = 0; i < f->range_count; i++) {
        if (i > 0)
            fb_wr_varint(wr, f->ranges[i - 1].lo - f->ranges[i].hi - 1);
        fb_wr_varint(wr, f->ranges[i].hi - f->ranges[i].lo - 1);
    }
}

void fb_frame_write(struct fb_wr *wr, const struct fb_frame *f) {
    fb_wr_varint(wr, f->type);
    switch (f->type) {
    case FB_FRAME_PADDING:
    case FB_FRAME_PING: break;
    case FB_FRAME_ACK: write_ack(wr, f); break;
    case FB_FRAME_RESET_STREAM:
        fb_wr_varint(wr, f->stream);
        fb_wr_varint(wr, f->code);
        fb_wr_varint(wr, f->value);
        break;
    case FB_FRAME_STOP_SENDING:
        fb_wr_varint(wr, f->stream);
        fb_wr_varint(wr, f->code);
        break;
    case FB_FRAME_NEW_TOKEN:
        fb_wr_varint(wr, f->path);
        fb_wr_bytes(wr, f->data, FB_TOKEN_LEN);
        break;
    case FB_FRAME_MAX_STREAM_DATA: fb_wr_varint(wr, f->stream); /* fall through */
    case FB_FRAME_MAX_DATA:
    case FB_FRAME_MAX_STREAMS: fb_wr_varint(wr, f->value); break;
    case FB_FRAME_CLOSE: fb_wr_varint(wr, f->code); break;
    case FB_FRAME_PATH_STATUS:
        fb_wr_varint(wr, f->path);
        fb_wr_varint(wr, f->sequence);
        fb_wr_varint(wr, f->code);
        fb_wr_varint(wr, f->value);
        break;
    case FB_FRAME_PATH_ABANDON:
        fb_wr_varint(wr, f->path);
        fb_wr_varint(wr, f->code);
        break;
    case FB_FRAME_BROKER:
    case FB_FRAME_NETWORK_DOCUMENT: fb_wr_varint(wr, f->value); /* fall through */
    case FB_FRAME_DATAGRAM:
        fb_wr_varint(wr, f->len);
        fb_wr_bytes(wr, f->data, f->len);
        break;
    case FB_FRAME_STREAM: wr->ok = false; break;
    }
}

size_t fb_frame_stream_overhead(uint64_t stream, uint64_t offset) {
    return 1 + fb_varint_len(stream) + fb_varint_len(offset) + fb_varint_len(FB_MESSAGE_MAX);
}

void fb_frame_write_stream(struct fb_wr *wr, uint64_t stream, uint64_t offset, bool fin,
                           size_t len) {
    fb_wr_u8(wr, (uint8_t)(FB_FRAME_STREAM | STREAM_OFF | STREAM_LEN | (fin ? STREAM_FIN : 0)));
    fb_wr_varint(wr, stream);
    fb_wr_varint(wr, offset);
    fb_wr_varint(wr, len);
}
