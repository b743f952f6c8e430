#include "core/linkseal.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

static const char prologue[] = "footbridge link 1";
static const char proof_label[] = "footbridge egress link";

#define HELLO_PAYLOAD_LEN (FB_EGRESS_ID_LEN + FB_HASH_LEN)

struct fb_linkseal {
    const struct fb_mem *mem;
    const struct fb_crypto *crypto;
    struct fb_noise *noise; /* until the handshake is done */
    struct fb_key *send, *recv;
    uint64_t sent, received; /* nonces */
};

static struct fb_linkseal *seal_new(const struct fb_mem *mem, const struct fb_rng *rng,
                                    const struct fb_crypto *crypto, bool initiator,
                                    const uint8_t key[static FB_KEY_LEN]) {
    struct fb_linkseal *seal = fb_alloc(mem, sizeof *seal);
    if (seal == NULL)
        return NULL;
    uint8_t ephemeral[FB_KEY_LEN];
    fb_random(rng, ephemeral, sizeof ephemeral);
    seal->mem = mem;
    seal->crypto = crypto;
    seal->noise = crypto->noise_new(crypto->ctx, initiator, key, ephemeral, prologue,
                                    sizeof prologue - 1);
    fb_wipe(ephemeral, sizeof ephemeral);
    if (seal->noise == NULL) {
        fb_free(mem, seal);
        return NULL;
    }
    return seal;
}

void fb_linkseal_free(struct fb_linkseal *seal) {
    if (seal == NULL)
        return;
    seal->crypto->noise_free(seal->noise);
    seal->crypto->key_free(seal->send);
    seal->crypto->key_free(seal->recv);
    fb_free(seal->mem, seal);
}

static int split(struct fb_linkseal *seal) {
    uint8_t send[FB_KEY_LEN], recv[FB_KEY_LEN];
    int err = seal->crypto->noise_split(seal->noise, send, recv);
    if (err == 0) {
        seal->send = seal->crypto->key_new(seal->crypto->ctx, send);
        seal->recv = seal->crypto->key_new(seal->crypto->ctx, recv);
        if (seal->send == NULL || seal->recv == NULL)
            err = FB_ERR_NOMEM;
    }
    fb_wipe(send, sizeof send);
    fb_wipe(recv, sizeof recv);
    return err;
}

/* Bound to the egress's id, so that what one egress was given serves no other. */
static void make_proof(const struct fb_crypto *crypto, const uint8_t *secret,
                       const uint8_t *egress_id, uint8_t proof[static FB_HASH_LEN]) {
    crypto->derive(crypto->ctx, secret, proof_label, egress_id, FB_EGRESS_ID_LEN, proof);
}

int fb_linkseal_egress(struct fb_linkseal **out, const struct fb_mem *mem, const struct fb_rng *rng,
                       const struct fb_crypto *crypto, const uint8_t broker_key[static FB_KEY_LEN],
                       const uint8_t secret[static FB_LINKSEAL_SECRET_LEN],
                       const uint8_t egress_id[static FB_EGRESS_ID_LEN],
                       uint8_t hello[static FB_LINKSEAL_HELLO_LEN]) {
    struct fb_linkseal *seal = seal_new(mem, rng, crypto, true, broker_key);
    *out = NULL;
    if (seal == NULL)
        return FB_ERR_NOMEM;
    uint8_t payload[HELLO_PAYLOAD_LEN];
    memcpy(payload, egress_id, FB_EGRESS_ID_LEN);
    make_proof(crypto, secret, egress_id, payload + FB_EGRESS_ID_LEN);
    int err = crypto->noise_write(seal->noise, payload, sizeof payload, hello);
    fb_wipe(payload, sizeof payload);
    if (err != 0) {
        fb_linkseal_free(seal);
        return err;
    }
    *out = seal;
    return 0;
}

static int check_hello(struct fb_linkseal *seal, const uint8_t *secret, const uint8_t *hello,
                       uint8_t *egress_id) {
    uint8_t payload[HELLO_PAYLOAD_LEN], proof[FB_HASH_LEN];
    int err = seal->crypto->noise_read(seal->noise, hello, FB_LINKSEAL_HELLO_LEN, payload);
    if (err == 0) {
        make_proof(seal->crypto, secret, payload, proof);
        if (!fb_equal(proof, payload + FB_EGRESS_ID_LEN, sizeof proof))
            err = FB_ERR_AUTH;
        memcpy(egress_id, payload, FB_EGRESS_ID_LEN);
        fb_wipe(proof, sizeof proof);
    }
    fb_wipe(payload, sizeof payload);
    return err;
}

int fb_linkseal_broker(struct fb_linkseal **out, const struct fb_mem *mem, const struct fb_rng *rng,
                       const struct fb_crypto *crypto, const uint8_t sealing_key[static FB_KEY_LEN],
                       const uint8_t secret[static FB_LINKSEAL_SECRET_LEN], const uint8_t *hello,
                       size_t len, uint8_t reply[static FB_LINKSEAL_REPLY_LEN],
                       uint8_t egress_id[static FB_EGRESS_ID_LEN]) {
    *out = NULL;
    if (len != FB_LINKSEAL_HELLO_LEN)
        return FB_ERR_MALFORMED;
    struct fb_linkseal *seal = seal_new(mem, rng, crypto, false, sealing_key);
    if (seal == NULL)
        return FB_ERR_NOMEM;
    int err = check_hello(seal, secret, hello, egress_id);
    if (err == 0)
        err = crypto->noise_write(seal->noise, NULL, 0, reply);
    if (err == 0)
        err = split(seal);
    if (err != 0) {
        fb_linkseal_free(seal);
        return err;
    }
    *out = seal;
    return 0;
}

int fb_linkseal_finish(struct fb_linkseal *seal, const uint8_t *reply, size_t len) {
    uint8_t nothing[1];
    if (seal->send != NULL)
        return FB_ERR_STATE;
    if (len != FB_LINKSEAL_REPLY_LEN)
        return FB_ERR_MALFORMED;
    int err = seal->crypto->noise_read(seal->noise, reply, len, nothing);
    return err != 0 ? err : split(seal);
}

static void make_nonce(uint64_t count, uint8_t nonce[static FB_NONCE_LEN]) {
    struct fb_wr wr = fb_wr_make(nonce, FB_NONCE_LEN);
    fb_wr_zeros(&wr, FB_NONCE_LEN - 8);
    fb_wr_u64(&wr, count);
}

int fb_linkseal_seal(struct fb_linkseal *seal, const uint8_t *in, size_t len, uint8_t *out) {
    uint8_t nonce[FB_NONCE_LEN];
    if (seal->send == NULL || seal->recv == NULL)
        return FB_ERR_STATE;
    make_nonce(seal->sent++, nonce);
    seal->crypto->seal(seal->send, nonce, NULL, 0, in, len, out);
    return 0;
}

int fb_linkseal_open(struct fb_linkseal *seal, const uint8_t *in, size_t len, uint8_t *out) {
    uint8_t nonce[FB_NONCE_LEN];
    if (seal->send == NULL || seal->recv == NULL)
        return FB_ERR_STATE;
    if (len < FB_TAG_LEN)
        return FB_ERR_MALFORMED;
    make_nonce(seal->received++, nonce);
    return seal->crypto->open(seal->recv, nonce, NULL, 0, in, len, out);
}
