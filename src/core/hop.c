#include "core/hop.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"

/* The first lane is the path's own: nobody offers it. */
#define LANE_FIRST 1

static bool valid(const struct fb_hop_msg *msg) {
    switch (msg->type) {
    case FB_HOP_FAREWELL: return (unsigned)msg->farewell < FB_FAREWELL_COUNT;
    case FB_HOP_LANE_OFFER: return msg->lane > LANE_FIRST && msg->desc.setup == FB_SETUP_ACTPASS;
    /* The reader's DTLS stack waits for a browser's ClientHello (DESIGN section 2). */
    case FB_HOP_LANE_ANSWER: return msg->lane > LANE_FIRST && msg->desc.setup == FB_SETUP_ACTIVE;
    case FB_HOP_LANE_CLOSE: return msg->lane >= LANE_FIRST;
    default: return true;
    }
}

/* What follows the lane's number. */
static int put_desc(struct fb_wr *wr, const struct fb_desc *desc) {
    int len = fb_desc_encode(desc, wr->ptr + wr->len, fb_wr_room(wr));
    if (len > 0)
        wr->len += (size_t)len;
    return len;
}

/* 02 || type u8 || QUEUE, LIMIT: bytes u32; FAREWELL: reason u8; LANE_...: lane u16, description */
int fb_hop_encode(const struct fb_hop_msg *msg, uint8_t *out, size_t cap) {
    struct fb_wr wr = fb_wr_make(out, cap);
    int err = 0;
    fb_wr_u8(&wr, FB_KIND_HOP);
    fb_wr_u8(&wr, msg->type);
    if (!valid(msg))
        return FB_ERR_MALFORMED;
    switch (msg->type) {
    case FB_HOP_QUEUE:
    case FB_HOP_LIMIT: fb_wr_u32(&wr, msg->bytes); break;
    case FB_HOP_FAREWELL: fb_wr_u8(&wr, (uint8_t)msg->farewell); break;
    case FB_HOP_LANE_OFFER:
    case FB_HOP_LANE_ANSWER:
        fb_wr_u16(&wr, msg->lane);
        err = put_desc(&wr, &msg->desc);
        break;
    case FB_HOP_LANE_CLOSE: fb_wr_u16(&wr, msg->lane); break;
    case FB_HOP_FULL: break;
    default: return FB_ERR_MALFORMED;
    }
    if (err < 0)
        return err;
    return wr.ok ? (int)wr.len : FB_ERR_TOO_BIG;
}

int fb_hop_decode(struct fb_hop_msg *out, const uint8_t *in, size_t len) {
    struct fb_rd rd = fb_rd_make(in, len);
    bool known = true;
    int err = 0;
    memset(out, 0, sizeof *out);
    uint8_t kind = fb_rd_u8(&rd), type = fb_rd_u8(&rd);
    switch (type) {
    case FB_HOP_QUEUE:
    case FB_HOP_LIMIT: out->bytes = fb_rd_u32(&rd); break;
    case FB_HOP_FAREWELL: out->farewell = (enum fb_farewell)fb_rd_u8(&rd); break;
    case FB_HOP_LANE_OFFER:
    case FB_HOP_LANE_ANSWER:
        out->lane = fb_rd_u16(&rd);
        err = fb_desc_decode(&out->desc, rd.ptr, rd.len);
        fb_rd_bytes(&rd, rd.len);
        break;
    case FB_HOP_LANE_CLOSE: out->lane = fb_rd_u16(&rd); break;
    case FB_HOP_FULL: break;
    default: known = false;
    }
    out->type = type;
    if (kind == FB_KIND_HOP && err == 0 && (known ? fb_rd_done(&rd) : rd.ok) && valid(out))
        return 0;
    memset(out, 0, sizeof *out);
    return FB_ERR_MALFORMED;
}

const char *fb_farewell_text(enum fb_farewell why) {
    switch (why) {
    case FB_FAREWELL_OFF: return "the volunteer switched off";
    case FB_FAREWELL_QUEUE: return "its queue was full";
    case FB_FAREWELL_PEER: return "the reader's side is gone";
    case FB_FAREWELL_EGRESS: return "the egress's side is gone";
    case FB_FAREWELL_TIMEOUT: return "it did not open in time";
    case FB_FAREWELL_PROTOCOL: return "the other side broke the rules";
    case FB_FAREWELL_DONE: return "it was no longer needed";
    case FB_FAREWELL_DENIED: return "the egress refused";
    case FB_FAREWELL_COUNT: break;
    }
    return "closed";
}
