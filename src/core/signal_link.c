/* The other half of core/signal.h: the link of broker and egress. */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/signal.h"

static void put_link_body(struct fb_wr *wr, const struct fb_link_msg *msg) {
    switch (msg->type) {
    case FB_LINK_HELLO:
        fb_wr_u8(wr, msg->hello.version);
        fb_wr_bytes(wr, msg->hello.egress, sizeof msg->hello.egress);
        fb_wr_bytes(wr, msg->hello.process, sizeof msg->hello.process);
        break;
    case FB_LINK_LOAD:
        fb_wr_u32(wr, msg->load.sessions);
        fb_wr_u32(wr, msg->load.paths);
        fb_wr_u64(wr, msg->load.bytes);
        break;
    case FB_LINK_REPORT:
        fb_wr_bytes(wr, msg->report.ticket, sizeof msg->report.ticket);
        fb_wr_u8(wr, (uint8_t)msg->report.event);
        fb_wr_u64(wr, msg->report.bytes);
        fb_wr_u32(wr, msg->report.seconds);
        break;
    case FB_LINK_OFFER:
    case FB_LINK_ANSWER:
    case FB_LINK_CANCEL:
        fb_wr_u64(wr, msg->sealed.request);
        fb_wr_bytes(wr, msg->sealed.bytes, msg->sealed.len);
        break;
    }
}

static bool valid_link(const struct fb_link_msg *msg) {
    switch (msg->type) {
    case FB_LINK_HELLO:
    case FB_LINK_LOAD: return true;
    case FB_LINK_REPORT: return (unsigned)msg->report.event < FB_LINK_EVENT_COUNT;
    case FB_LINK_OFFER: return msg->sealed.len >= 1 && msg->sealed.len <= FB_LINK_SEALED_MAX;
    case FB_LINK_ANSWER: return msg->sealed.len <= FB_LINK_SEALED_MAX;
    case FB_LINK_CANCEL: return msg->sealed.len == 0;
    }
    return false;
}

/* type u8 || what put_link_body() writes */
int fb_link_encode(const struct fb_link_msg *msg, uint8_t *out, size_t cap) {
    struct fb_wr wr = fb_wr_make(out, cap);
    if (!valid_link(msg))
        return FB_ERR_MALFORMED;
    fb_wr_u8(&wr, (uint8_t)msg->type);
    put_link_body(&wr, msg);
    return wr.ok ? (int)wr.len : FB_ERR_TOO_BIG;
}

static int get_link_body(struct fb_link_msg *msg, struct fb_rd *rd) {
    switch (msg->type) {
    case FB_LINK_HELLO:
        msg->hello.version = fb_rd_u8(rd);
        if (rd->ok && msg->hello.version != FB_SIGNAL_VERSION)
            return FB_ERR_VERSION;
        fb_rd_copy(rd, msg->hello.egress, sizeof msg->hello.egress);
        fb_rd_copy(rd, msg->hello.process, sizeof msg->hello.process);
        return 0;
    case FB_LINK_LOAD:
        msg->load.sessions = fb_rd_u32(rd);
        msg->load.paths = fb_rd_u32(rd);
        msg->load.bytes = fb_rd_u64(rd);
        return 0;
    case FB_LINK_REPORT:
        fb_rd_copy(rd, msg->report.ticket, sizeof msg->report.ticket);
        msg->report.event = (enum fb_link_event)fb_rd_u8(rd);
        msg->report.bytes = fb_rd_u64(rd);
        msg->report.seconds = fb_rd_u32(rd);
        return 0;
    case FB_LINK_OFFER:
    case FB_LINK_ANSWER:
    case FB_LINK_CANCEL:
        msg->sealed.request = fb_rd_u64(rd);
        msg->sealed.len = rd->len;
        msg->sealed.bytes = fb_rd_bytes(rd, rd->len);
        return 0;
    }
    return FB_ERR_MALFORMED;
}

int fb_link_decode(struct fb_link_msg *out, const uint8_t *in, size_t len) {
    struct fb_rd rd = fb_rd_make(in, len);
    memset(out, 0, sizeof *out);
    out->type = (enum fb_link_type)fb_rd_u8(&rd);
    int err = get_link_body(out, &rd);
    if (err == 0 && (!fb_rd_done(&rd) || !valid_link(out)))
        err = FB_ERR_MALFORMED;
    if (err != 0)
        memset(out, 0, sizeof *out);
    return err;
}
