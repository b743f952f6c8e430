#include "core/stream.h"

#include "base/err.h"

void fb_stream_init(struct fb_stream *st, const struct fb_mem *mem, uint64_t id) {
    *st = (struct fb_stream){.id = id};
    fb_list_init(&st->event_link);
    fb_list_init(&st->control_link);
    fb_list_init(&st->send_link);
    fb_blocks_init(&st->out, mem);
    fb_blocks_init(&st->in, mem);
    fb_ranges_init(&st->acked, mem, FB_STREAM_GAPS_MAX);
    fb_ranges_init(&st->lost, mem, FB_STREAM_GAPS_MAX);
    fb_ranges_init(&st->got, mem, FB_STREAM_GAPS_MAX);
}

void fb_stream_clear(struct fb_stream *st) {
    fb_list_remove(&st->event_link);
    fb_list_remove(&st->control_link);
    fb_list_remove(&st->send_link);
    fb_blocks_clear(&st->out);
    fb_blocks_clear(&st->in);
    fb_ranges_clear(&st->acked);
    fb_ranges_clear(&st->lost);
    fb_ranges_clear(&st->got);
}

uint64_t fb_stream_out_base(const struct fb_stream *st) {
    return fb_ranges_end(&st->acked, 0);
}

int fb_stream_append(struct fb_stream *st, const uint8_t *data, size_t len) {
    int err = fb_blocks_write(&st->out, st->written, data, len);
    if (err == 0)
        st->written += len;
    return err;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

bool fb_stream_piece(const struct fb_stream *st, uint64_t credit, struct fb_piece *piece) {
    if (st->send_reset || st->reset_sent)
        return false;
    if (st->lost.n > 0) {
        const struct fb_range *r = &st->lost.v[0];
        *piece = (struct fb_piece){.offset = r->lo, .len = (size_t)(r->hi - r->lo)};
    } else {
        uint64_t end = least(st->written, st->out_limit);
        uint64_t len = end > st->sent ? least(end - st->sent, credit) : 0;
        *piece = (struct fb_piece){.offset = st->sent, .len = (size_t)len, .fresh = true};
    }
    if (piece->len > FB_BLOCK_LEN)
        piece->len = FB_BLOCK_LEN;
    piece->fin = st->finished && !st->fin_sent && piece->offset + piece->len == st->written;
    return piece->len > 0 || piece->fin;
}

uint64_t fb_stream_backlog(const struct fb_stream *st, uint64_t credit) {
    struct fb_piece piece;
    if (!fb_stream_piece(st, credit, &piece))
        return 0;
    uint64_t end = least(st->written, st->out_limit);
    uint64_t fresh = end > st->sent ? least(end - st->sent, credit) : 0;
    return piece.fresh ? fresh + piece.fin : piece.len + fresh;
}

void fb_stream_sent(struct fb_stream *st, const struct fb_piece *piece) {
    if (piece->fresh)
        st->sent += piece->len;
    else
        (void)fb_ranges_remove(&st->lost, piece->offset, piece->offset + piece->len);
    if (piece->fin)
        st->fin_sent = true;
}

int fb_stream_acked(struct fb_stream *st, uint64_t offset, uint64_t len, bool fin) {
    int err = 0;
    if (fin)
        st->fin_acked = st->fin_sent = true;
    if (len == 0 || st->reset_sent || st->send_reset)
        return 0;
    err = fb_ranges_add(&st->acked, offset, offset + len);
    if (err == 0)
        err = fb_ranges_remove(&st->lost, offset, offset + len);
    fb_blocks_release(&st->out, fb_stream_out_base(st));
    return err;
}

int fb_stream_lost(struct fb_stream *st, uint64_t offset, uint64_t len, bool fin) {
    struct fb_range gap;
    uint64_t end = offset + len;
    if (st->send_reset || st->reset_sent)
        return 0;
    if (fin && !st->fin_acked)
        st->fin_sent = false;
    while (fb_ranges_gap(&st->acked, offset, end, &gap)) {
        int err = fb_ranges_add(&st->lost, gap.lo, gap.hi);
        if (err != 0)
            return err;
        offset = gap.hi;
    }
    return 0;
}

bool fb_stream_has_control(const struct fb_stream *st) {
    return st->send_reset || st->send_stop || st->send_limit;
}

/* Where the peer's data may end, by what it has said and by its limit. */
static int check_end(struct fb_stream *st, uint64_t end, bool fin, uint64_t *grown) {
    *grown = 0;
    if (st->final_known ? end > st->final || (fin && end != st->final) : fin && end < st->highest)
        return FB_ERR_MALFORMED;
    if (end > st->in_limit)
        return FB_ERR_LIMIT;
    if (end > st->highest) {
        *grown = end - st->highest;
        st->highest = end;
    }
    if (fin) {
        st->final_known = true;
        st->final = end;
    }
    return 0;
}

int fb_stream_receive(struct fb_stream *st, uint64_t offset, const uint8_t *data, size_t len,
                      bool fin, uint64_t *grown) {
    int err = check_end(st, offset + len, fin, grown);
    if (err != 0 || st->dead || st->peer_reset)
        return err;
    /* Only bytes that are new are copied: what was handed to the owner never changes. */
    uint64_t at = offset > st->read ? offset : st->read, end = offset + len;
    struct fb_range gap;
    while (at < end && fb_ranges_gap(&st->got, at, end, &gap)) {
        err = fb_blocks_write(&st->in, gap.lo, data + (gap.lo - offset), (size_t)(gap.hi - gap.lo));
        if (err != 0)
            return err;
        err = fb_ranges_add(&st->got, gap.lo, gap.hi);
        if (err != 0)
            return err == FB_ERR_LIMIT ? FB_ERR_TOO_BIG : err;
        at = gap.hi;
    }
    return 0;
}

int fb_stream_receive_reset(struct fb_stream *st, uint64_t final, uint64_t *grown) {
    int err = check_end(st, final, true, grown);
    if (err == 0) {
        fb_blocks_clear(&st->in);
        fb_ranges_clear(&st->got);
    }
    return err;
}

const uint8_t *fb_stream_ready(const struct fb_stream *st, size_t *len) {
    uint64_t end = fb_ranges_end(&st->got, st->read);
    if (st->peer_reset || st->dead || end == st->read) {
        *len = 0;
        return NULL;
    }
    *len = (size_t)(end - st->read);
    return fb_blocks_at(&st->in, st->read, len);
}

bool fb_stream_at_end(const struct fb_stream *st) {
    return st->final_known && st->read == st->final && !st->peer_reset;
}

bool fb_stream_complete(const struct fb_stream *st) {
    bool sent = st->reset_done || (st->fin_acked && fb_stream_out_base(st) == st->written);
    bool received = st->final_known && (st->dead || st->read == st->final);
    return sent && received;
}
