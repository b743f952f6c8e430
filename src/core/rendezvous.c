#include "core/rendezvous.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

static const char prologue_text[] = "footbridge offer";

#define PROLOGUE_LEN (sizeof prologue_text - 1 + 1 + FB_NETWORK_ID_LEN)

struct fb_rendezvous {
    const struct fb_mem *mem;
    const struct fb_crypto *crypto;
    struct fb_noise *noise;
};

static struct fb_rendezvous *rv_new(const struct fb_mem *mem, const struct fb_rng *rng,
                                    const struct fb_crypto *crypto, bool initiator,
                                    const uint8_t *key, const uint8_t *network_id) {
    uint8_t ephemeral[FB_KEY_LEN], prologue[PROLOGUE_LEN];
    struct fb_rendezvous *rv = fb_alloc(mem, sizeof *rv);
    if (rv == NULL)
        return NULL;
    struct fb_wr wr = fb_wr_make(prologue, sizeof prologue);
    fb_wr_bytes(&wr, prologue_text, sizeof prologue_text - 1);
    fb_wr_u8(&wr, FB_PROTOCOL_VERSION);
    fb_wr_bytes(&wr, network_id, FB_NETWORK_ID_LEN);
    fb_random(rng, ephemeral, sizeof ephemeral);
    rv->mem = mem;
    rv->crypto = crypto;
    rv->noise = crypto->noise_new(crypto->ctx, initiator, key, ephemeral, prologue, wr.len);
    fb_wipe(ephemeral, sizeof ephemeral);
    if (rv->noise == NULL) {
        fb_free(mem, rv);
        return NULL;
    }
    return rv;
}

void fb_rendezvous_free(struct fb_rendezvous *rv) {
    if (rv == NULL)
        return;
    rv->crypto->noise_free(rv->noise);
    fb_free(rv->mem, rv);
}

int fb_rendezvous_offer(struct fb_rendezvous **out, const struct fb_mem *mem,
                        const struct fb_rng *rng, const struct fb_crypto *crypto,
                        const uint8_t broker_key[static FB_KEY_LEN],
                        const uint8_t network_id[static FB_NETWORK_ID_LEN],
                        const struct fb_offer *offer, uint8_t sealed[static FB_SEALED_OFFER_LEN]) {
    uint8_t payload[FB_OFFER_LEN];
    *out = NULL;
    int len = fb_offer_encode(offer, payload);
    if (len < 0)
        return len;
    struct fb_rendezvous *rv = rv_new(mem, rng, crypto, true, broker_key, network_id);
    int err = FB_ERR_NOMEM;
    if (rv != NULL)
        err = crypto->noise_write(rv->noise, payload, sizeof payload, sealed);
    fb_wipe(payload, sizeof payload);
    if (err != 0)
        fb_rendezvous_free(rv);
    else
        *out = rv;
    return err;
}

int fb_rendezvous_answer(struct fb_rendezvous *rv, const uint8_t *sealed, size_t len,
                         struct fb_answer *answer) {
    uint8_t payload[FB_ANSWER_LEN];
    if (len != FB_SEALED_ANSWER_LEN)
        return FB_ERR_MALFORMED;
    int err = rv->crypto->noise_read(rv->noise, sealed, len, payload);
    if (err == 0)
        err = fb_answer_decode(answer, payload, sizeof payload);
    fb_wipe(payload, sizeof payload);
    return err;
}

int fb_rendezvous_open(struct fb_rendezvous **out, const struct fb_mem *mem,
                       const struct fb_rng *rng, const struct fb_crypto *crypto,
                       const uint8_t sealing_key[static FB_KEY_LEN],
                       const uint8_t network_id[static FB_NETWORK_ID_LEN], const uint8_t *sealed,
                       size_t len, struct fb_offer *offer) {
    uint8_t payload[FB_OFFER_LEN];
    *out = NULL;
    if (len != FB_SEALED_OFFER_LEN)
        return FB_ERR_MALFORMED;
    struct fb_rendezvous *rv = rv_new(mem, rng, crypto, false, sealing_key, network_id);
    if (rv == NULL)
        return FB_ERR_NOMEM;
    int err = crypto->noise_read(rv->noise, sealed, len, payload);
    if (err != 0) {
        fb_rendezvous_free(rv);
        return err;
    }
    *out = rv;
    err = fb_offer_decode(offer, payload, sizeof payload);
    fb_wipe(payload, sizeof payload);
    return err;
}

int fb_rendezvous_reply(struct fb_rendezvous *rv, const struct fb_answer *answer,
                        uint8_t sealed[static FB_SEALED_ANSWER_LEN]) {
    uint8_t payload[FB_ANSWER_LEN];
    int len = fb_answer_encode(answer, payload);
    if (len < 0)
        return len;
    int err = rv->crypto->noise_write(rv->noise, payload, sizeof payload, sealed);
    fb_wipe(payload, sizeof payload);
    return err;
}
