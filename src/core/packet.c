#include "core/packet.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

static void key_clear(const struct fb_crypto *crypto, struct fb_packet_key *k) {
    if (k->key != NULL)
        crypto->key_free(k->key);
    k->key = NULL;
    fb_wipe(k->secret, sizeof k->secret);
}

static int key_init(const struct fb_crypto *crypto, struct fb_packet_key *k,
                    const uint8_t from[static FB_KEY_LEN], const char *label, const void *info,
                    size_t info_len) {
    crypto->derive(crypto->ctx, from, label, info, info_len, k->secret);
    k->key = crypto->key_new(crypto->ctx, k->secret);
    if (k->key == NULL) {
        fb_wipe(k->secret, sizeof k->secret);
        return FB_ERR_NOMEM;
    }
    return 0;
}

int fb_packets_init(struct fb_packets *p, const struct fb_crypto *crypto, uint32_t path,
                    const uint8_t send[static FB_KEY_LEN], const uint8_t recv[static FB_KEY_LEN],
                    uint64_t now) {
    uint8_t info[4];
    struct fb_wr wr = fb_wr_make(info, sizeof info);
    fb_wr_u32(&wr, path);
    memset(p, 0, sizeof *p);
    p->crypto = crypto;
    p->path = path;
    p->phase_since = now;
    int err = key_init(crypto, &p->send, send, "footbridge path", info, sizeof info);
    if (err == 0)
        err = key_init(crypto, &p->recv, recv, "footbridge path", info, sizeof info);
    if (err != 0)
        fb_packets_clear(p);
    return err;
}

void fb_packets_clear(struct fb_packets *p) {
    if (p->crypto == NULL)
        return;
    key_clear(p->crypto, &p->send);
    key_clear(p->crypto, &p->recv);
    key_clear(p->crypto, &p->recv_old);
}

static void make_nonce(uint32_t path, uint64_t number, uint8_t nonce[static FB_NONCE_LEN]) {
    struct fb_wr wr = fb_wr_make(nonce, FB_NONCE_LEN);
    fb_wr_u32(&wr, path);
    fb_wr_u64(&wr, number);
}

uint64_t fb_packet_seal(struct fb_packets *p, uint8_t *msg, size_t len) {
    uint8_t nonce[FB_NONCE_LEN];
    uint64_t number = p->next++;
    struct fb_wr wr = fb_wr_make(msg, FB_PACKET_HEADER);
    fb_wr_u8(&wr, FB_KIND_SESSION);
    fb_wr_u8(&wr, p->send_phase);
    fb_wr_u48(&wr, number);
    make_nonce(p->path, number, nonce);
    uint8_t *frames = msg + FB_PACKET_HEADER;
    p->crypto->seal(p->send.key, nonce, msg, FB_PACKET_HEADER, frames, len, frames);
    return number;
}

static bool seen(const struct fb_packets *p, uint64_t number) {
    if (number >= p->highest)
        return false;
    if (p->highest - number > FB_REPLAY_WINDOW)
        return true;
    uint64_t bit = number % FB_REPLAY_WINDOW;
    return p->seen[bit / 64] >> (bit % 64) & 1;
}

static void mark_seen(struct fb_packets *p, uint64_t number) {
    if (number >= p->highest && number - p->highest >= FB_REPLAY_WINDOW)
        memset(p->seen, 0, sizeof p->seen);
    else
        for (uint64_t n = p->highest; n < number; n++)
            p->seen[n % FB_REPLAY_WINDOW / 64] &= ~(UINT64_C(1) << (n % 64));
    p->seen[number % FB_REPLAY_WINDOW / 64] |= UINT64_C(1) << (number % 64);
    if (number >= p->highest)
        p->highest = number + 1;
}

/* A packet of the phase that is not current: late from the old one, or the first of the next. */
static int open_other_phase(struct fb_packets *p, const uint8_t nonce[static FB_NONCE_LEN],
                            uint8_t *msg, size_t len, uint64_t now, uint64_t keep_us,
                            uint64_t number) {
    const struct fb_crypto *c = p->crypto;
    uint8_t *frames = msg + FB_PACKET_HEADER;
    if (p->recv_old.key != NULL && number < p->recv_phase_first) {
        if (now >= p->recv_old_until)
            return FB_ERR_USED;
        return c->open(p->recv_old.key, nonce, msg, FB_PACKET_HEADER, frames, len, frames);
    }
    if (number < p->recv_phase_first)
        return FB_ERR_USED; /* the old key is gone; what it sealed is as good as lost */
    struct fb_packet_key fresh;
    int err = key_init(c, &fresh, p->recv.secret, "footbridge rekey", NULL, 0);
    if (err != 0)
        return err;
    err = c->open(fresh.key, nonce, msg, FB_PACKET_HEADER, frames, len, frames);
    if (err != 0) {
        key_clear(c, &fresh);
        return err;
    }
    key_clear(c, &p->recv_old);
    p->recv_old = p->recv;
    p->recv_old_until = now + keep_us;
    p->recv = fresh;
    p->recv_phase ^= 1;
    p->recv_phase_first = number;
    fb_wipe(&fresh, sizeof fresh);
    return 0;
}

int fb_packet_open(struct fb_packets *p, uint8_t *msg, size_t len, uint64_t now, uint64_t keep_us,
                   uint64_t *number, uint8_t **frames, size_t *frames_len) {
    uint8_t nonce[FB_NONCE_LEN];
    if (len <= FB_PACKET_OVERHEAD || len > FB_MESSAGE_MAX)
        return FB_ERR_MALFORMED;
    struct fb_rd rd = fb_rd_make(msg, FB_PACKET_HEADER);
    uint8_t kind = fb_rd_u8(&rd), phase = fb_rd_u8(&rd);
    uint64_t n = fb_rd_u48(&rd);
    if (kind != FB_KIND_SESSION || phase > 1)
        return FB_ERR_MALFORMED;
    if (seen(p, n))
        return FB_ERR_USED;
    make_nonce(p->path, n, nonce);
    size_t sealed = len - FB_PACKET_HEADER;
    *frames = msg + FB_PACKET_HEADER;
    int err;
    if (phase == p->recv_phase) {
        err = p->crypto->open(p->recv.key, nonce, msg, FB_PACKET_HEADER, *frames, sealed, *frames);
        if (err == 0 && n < p->recv_phase_first)
            p->recv_phase_first = n;
    } else {
        err = open_other_phase(p, nonce, msg, sealed, now, keep_us, n);
    }
    if (err != 0)
        return err;
    mark_seen(p, n);
    *number = n;
    *frames_len = sealed - FB_TAG_LEN;
    return 0;
}

void fb_packet_seal_first(struct fb_packets *p, uint8_t msg[static FB_FIRST_LEN]) {
    uint8_t nonce[FB_NONCE_LEN];
    uint8_t *frames = msg + FB_FIRST_FRAMES;
    make_nonce(p->path, p->next++, nonce);
    p->crypto->seal(p->send.key, nonce, msg, FB_FIRST_FRAMES, frames, FB_FIRST_FRAMES_LEN, frames);
}

int fb_packet_open_first(struct fb_packets *p, uint8_t msg[static FB_FIRST_LEN]) {
    uint8_t nonce[FB_NONCE_LEN];
    uint8_t *frames = msg + FB_FIRST_FRAMES;
    make_nonce(p->path, 0, nonce);
    int err = p->crypto->open(p->recv.key, nonce, msg, FB_FIRST_FRAMES, frames,
                              FB_FIRST_FRAMES_LEN + FB_TAG_LEN, frames);
    if (err == 0)
        mark_seen(p, 0);
    return err;
}

int fb_packet_rekey(struct fb_packets *p, uint64_t now) {
    struct fb_packet_key fresh;
    int err = key_init(p->crypto, &fresh, p->send.secret, "footbridge rekey", NULL, 0);
    if (err != 0)
        return err;
    key_clear(p->crypto, &p->send);
    p->send = fresh;
    p->send_phase ^= 1;
    p->phase_first = p->next;
    p->phase_since = now;
    fb_wipe(&fresh, sizeof fresh);
    return 0;
}
