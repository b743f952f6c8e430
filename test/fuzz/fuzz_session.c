/*
 * core/session: a peer that holds the keys sends any frames, in any order, over paths that vanish,
 * with time going by. The input is a list of steps: opcode, argument, and for packets a length and
 * that many bytes of frames. Cryptography is copy and checksum, so mutations reach the frames.
 */
#include <stdlib.h>
#include <string.h>

#include "core/session_impl.h"
#include "null_crypto.h"
#include "sim/pair.h"
#include "unit/env.h"

#define LIVE_MAX 20000 /* blocks of memory: far above what windows allow */

static struct pair pr;

static void inject(int from, uint32_t id, const uint8_t *frames, size_t len) {
    uint8_t msg[FB_MESSAGE_MAX];
    struct fb_session *s = pr.end[from], *to = pr.end[1 - from];
    struct fb_path *p = s == NULL ? NULL : fb_path_find(s, id);
    if (p == NULL || to == NULL || p->packets.send.key == NULL ||
        len > sizeof msg - FB_PACKET_OVERHEAD)
        return;
    memcpy(msg + FB_PACKET_HEADER, frames, len);
    fb_sent_note(&p->sent, fb_packet_seal(&p->packets, msg, len));
    (void)fb_session_recv(to, id, msg, len + FB_PACKET_OVERHEAD, pr.now);
}

/* What owners may do to streams at any time. */
static void touch_stream(struct fb_session *s, uint64_t id, unsigned how) {
    const uint8_t *data;
    size_t len;
    switch (how % 5) {
    case 0: fb_stream_reset(s, id, 5); break;
    case 1: fb_stream_finish(s, id); break;
    case 2: fb_stream_write(s, id, (const uint8_t *)"data", 4); break;
    case 3:
        fb_stream_peek(s, id, &data, &len);
        fb_stream_consume(s, id, len);
        break;
    case 4: fb_session_post(s, FB_POST_BROKER, (const uint8_t *)"post", 4); break;
    }
}

/* What an owner says of a path. */
static void judge_path(struct fb_session *s, uint32_t path, unsigned what) {
    struct fb_path_stats stats;
    (void)fb_session_path_standby(s, path, what & 1);
    (void)fb_session_path_max_packet(s, path, what * 3000);
    fb_session_path_queued(s, path, what * 60000);
    (void)fb_session_path_stats(s, path, pr.now, &stats);
}

static void step(struct fb_rd *rd) {
    uint32_t path;
    uint64_t id;
    uint8_t op = fb_rd_u8(rd), arg = fb_rd_u8(rd);
    switch (op % 8) {
    case 0: pair_run(&pr, (uint64_t)arg * 20000, NULL); break;
    case 1: (void)pair_open(&pr, (uint64_t)arg * 1000, &path); break;
    case 2:
        if (arg < PAIR_PATHS)
            pair_close(&pr, arg);
        break;
    case 3: (void)pair_request(&pr, arg * 100u, arg * 1000u, &id); break;
    case 4:
    case 5: {
        size_t len = fb_rd_u16(rd) % 4096;
        len = len > rd->len ? rd->len : len;
        const uint8_t *frames = fb_rd_bytes(rd, len);
        if (frames != NULL)
            inject(op % 8 - 4, arg % 4, frames, len);
        break;
    }
    case 6:
        if (pr.end[arg & 1] != NULL)
            touch_stream(pr.end[arg & 1], arg >> 5, arg >> 1);
        break;
    case 7:
        if (arg < PAIR_PATHS)
            pr.link[arg % 4].drop = arg;
        else if (pr.end[arg & 1] != NULL)
            judge_path(pr.end[arg & 1], arg >> 1 & 3, arg >> 3 & 7);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
    static const uint8_t egress_private[32] = {1};
    uint8_t egress_public[32];
    struct test_mem tm = {0};
    struct fb_mem mem = test_mem_make(&tm);
    struct fb_rd rd = fb_rd_make(data, len);
    uint32_t path;
    fb_null_public(egress_private, egress_public);
    if (!pair_init(&pr, &mem, fb_crypto_null(true), egress_public, egress_private, 1))
        abort();
    pr.unchecked = true;
    if (!pair_open(&pr, 1000, &path))
        abort();
    pair_run(&pr, 2000000, NULL);
    for (int steps = 0; rd.len > 0 && steps < 200; steps++) {
        step(&rd);
        pair_pump(&pr);
        if (tm.live > LIVE_MAX)
            abort();
    }
    pair_run(&pr, 1000000, NULL);
    pair_clear(&pr);
    if (tm.live != 0)
        abort();
    return 0;
}
