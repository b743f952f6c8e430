/*
 * Self-tests: what would be a bug of the core, done to its packets on the way out. It needs the
 * null crypto, by which a packet's frames lie open and its checksum is not looked at.
 */
#include <string.h>

#include "base/buf.h"
#include "core/frame.h"
#include "core/packet.h"
#include "sim/net.h"

/* Frames as they stand in a packet: the bytes of one, from `at` on. */
struct spot {
    uint8_t *at;
    size_t len;
    struct fb_frame frame;
};

static bool next_spot(struct fb_rd *rd, struct spot *spot) {
    const uint8_t *before = rd->ptr;
    if (rd->len == 0 || fb_frame_read(rd, &spot->frame) != 0)
        return false;
    memcpy(&spot->at, &before, sizeof before); /* the packet is the caller's to change */
    spot->len = (size_t)(rd->ptr - before);
    return true;
}

/* The second half of a piece becomes a copy of the first: of its bytes some come twice, and as
 * many not at all. */
static void repeat(const struct spot *spot) {
    uint8_t *data = spot->at + spot->len - spot->frame.len;
    memcpy(data + spot->frame.len / 2, data, spot->frame.len / 2);
}

static void swap_halves(const struct spot *spot) {
    size_t half = spot->frame.len / 2;
    uint8_t *data = spot->at + spot->len - spot->frame.len;
    for (size_t i = 0; i < half; i++) {
        uint8_t byte = data[i];
        data[i] = data[half + i];
        data[half + i] = byte;
    }
}

/* A limit that is smaller by `less`, in as many bytes. */
static void lower(const struct spot *spot, uint64_t less) {
    uint8_t bytes[16];
    struct fb_wr wr = fb_wr_make(bytes, sizeof bytes);
    struct fb_frame frame = spot->frame;
    frame.value -= less;
    fb_frame_write(&wr, &frame);
    if (wr.ok && wr.len == spot->len)
        memcpy(spot->at, bytes, wr.len);
}

static void meddle_frame(const struct net *net, bool from_client, const struct spot *spot) {
    enum fb_frame_type type = spot->frame.type;
    bool data = type == FB_FRAME_STREAM && spot->frame.len > 16;
    switch (net->plan.meddling) {
    case MEDDLE_DUPLICATE:
        if (data)
            repeat(spot);
        break;
    case MEDDLE_REORDER:
        if (data)
            swap_halves(spot);
        break;
    case MEDDLE_WITHHOLD:
        if (!from_client && type == FB_FRAME_MAX_DATA)
            lower(spot, 1);
        break;
    case MEDDLE_STARVE:
        if (type == FB_FRAME_MAX_DATA || type == FB_FRAME_MAX_STREAM_DATA)
            memset(spot->at, 0, spot->len); /* PADDING */
        break;
    case MEDDLE_SWALLOW:
        if (data)
            memset(spot->at, 0, spot->len);
        break;
    default: break;
    }
}

void meddle_packet(struct net *net, bool from_client, uint8_t *msg, size_t len) {
    struct spot spot;
    if (net->plan.meddling == MEDDLE_NOTHING || net->world.now < 5 * SECOND ||
        msg[0] != FB_KIND_SESSION || msg[1] > FB_PACKET_PHASE1 || len < FB_PACKET_OVERHEAD)
        return;
    struct fb_rd rd = fb_rd_make(msg + FB_PACKET_HEADER, len - FB_PACKET_OVERHEAD);
    while (next_spot(&rd, &spot))
        meddle_frame(net, from_client, &spot);
}
