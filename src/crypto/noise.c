/*
 * Noise_NK_25519_ChaChaPoly_BLAKE2s (noiseprotocol.org, revision 34):
 *
 *     NK:
 *       <- s
 *       ...
 *       -> e, es
 *       <- e, ee
 *
 * Names are the paper's: h the handshake hash, ck the chaining key, k the cipher key (section 5).
 * Each k seals one message here, so the nonce n is always 0 and need not be kept. The first failure
 * stays in err and makes all later steps nothing, so that the message patterns read as in the
 * paper.
 */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "base/secret.h"
#include "crypto/openssl.h"
#include "crypto/primitives.h"

enum step { STEP_MESSAGE_1, STEP_MESSAGE_2, STEP_DONE };

struct fb_noise {
    bool initiator;
    enum step step;
    int err;
    uint8_t h[FB_HASH_LEN], ck[FB_HASH_LEN], k[FB_KEY_LEN];
    EVP_PKEY *s; /* the responder's static key; NULL in the initiator */
    EVP_PKEY *e; /* this side's ephemeral key */
    uint8_t e_public[FB_KEY_LEN];
    uint8_t rs[FB_KEY_LEN]; /* the initiator's copy of the responder's public key */
    uint8_t re[FB_KEY_LEN]; /* the other side's ephemeral public key */
};

static const uint8_t nonce_zero[FB_NONCE_LEN];

/* MixHash(data): h = HASH(h || data) */
static void mix_hash(struct fb_noise *noise, const void *data, size_t len) {
    if (noise->err == 0)
        noise->err = fb_blake2s((struct fb_part[]){{noise->h, FB_HASH_LEN}, {data, len}}, 2,
                                noise->h);
}

/* HKDF(ck, input, 2), section 4.3. */
static int hkdf(const uint8_t ck[FB_HASH_LEN], const void *input, size_t len,
                uint8_t out1[FB_HASH_LEN], uint8_t out2[FB_HASH_LEN]) {
    uint8_t temp[FB_HASH_LEN], first[FB_HASH_LEN];
    int err = fb_hmac(ck, &(struct fb_part){input, len}, 1, temp);
    if (err == 0)
        err = fb_hmac(temp, &(struct fb_part){"\x01", 1}, 1, first);
    if (err == 0)
        err = fb_hmac(temp, (struct fb_part[]){{first, FB_HASH_LEN}, {"\x02", 1}}, 2, out2);
    if (err == 0)
        memcpy(out1, first, FB_HASH_LEN); /* at the end, because out1 may be ck */
    fb_wipe(temp, sizeof temp);
    fb_wipe(first, sizeof first);
    return err;
}

/* MixKey(DH(private_key, public_key)) */
static void mix_key(struct fb_noise *noise, EVP_PKEY *private_key,
                    const uint8_t public_key[FB_KEY_LEN]) {
    uint8_t shared[FB_KEY_LEN];
    if (noise->err == 0)
        noise->err = fb_x25519(private_key, public_key, shared);
    if (noise->err == 0)
        noise->err = hkdf(noise->ck, shared, sizeof shared, noise->ck, noise->k);
    fb_wipe(shared, sizeof shared);
}

/* EncryptAndHash(payload) */
static void encrypt_and_hash(struct fb_noise *noise, const uint8_t *payload, size_t len,
                             uint8_t *out) {
    struct fb_key *key = noise->err == 0 ? fb_aead_new(NULL, noise->k) : NULL;
    if (key != NULL)
        fb_aead_seal(key, nonce_zero, noise->h, FB_HASH_LEN, payload, len, out);
    else if (noise->err == 0)
        noise->err = FB_ERR_NOMEM;
    fb_aead_free(key);
    mix_hash(noise, out, len + FB_TAG_LEN);
}

/* DecryptAndHash(ciphertext) */
static void decrypt_and_hash(struct fb_noise *noise, const uint8_t *in, size_t len, uint8_t *out) {
    struct fb_key *key = noise->err == 0 ? fb_aead_new(NULL, noise->k) : NULL;
    uint8_t ad[FB_HASH_LEN];
    memcpy(ad, noise->h, sizeof ad);
    mix_hash(noise, in, len); /* before opening, because out may be in; a failure ends all anyway */
    if (noise->err == 0)
        noise->err = key != NULL ? fb_aead_open(key, nonce_zero, ad, sizeof ad, in, len, out)
                                 : FB_ERR_NOMEM;
    fb_aead_free(key);
}

struct fb_noise *fb_noise_new(void *ctx, bool initiator, const uint8_t static_key[FB_KEY_LEN],
                              const uint8_t ephemeral[FB_KEY_LEN], const void *prologue,
                              size_t prologue_len) {
    static const char name[] = "Noise_NK_25519_ChaChaPoly_BLAKE2s";
    struct fb_noise *noise = fb_crypto_openssl() ? OPENSSL_zalloc(sizeof *noise) : NULL;
    size_t len = FB_KEY_LEN;
    if (noise == NULL)
        goto fail;
    noise->initiator = initiator;
    memcpy(noise->rs, static_key, initiator ? FB_KEY_LEN : 0);
    noise->e = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, ephemeral, FB_KEY_LEN);
    if (noise->e == NULL || EVP_PKEY_get_raw_public_key(noise->e, noise->e_public, &len) != 1)
        goto fail;
    if (!initiator) {
        noise->s = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, static_key, FB_KEY_LEN);
        if (noise->s == NULL || EVP_PKEY_get_raw_public_key(noise->s, noise->rs, &len) != 1)
            goto fail;
    }
    /* InitializeSymmetric: the name is longer than HASHLEN, so it is hashed. */
    noise->err = fb_blake2s(&(struct fb_part){name, sizeof name - 1}, 1, noise->h);
    memcpy(noise->ck, noise->h, FB_HASH_LEN);
    mix_hash(noise, prologue, prologue_len);
    mix_hash(noise, noise->rs, FB_KEY_LEN); /* <- s */
    if (noise->err == 0)
        return noise;
fail:
    fb_noise_free(noise);
    ERR_clear_error();
    return NULL;
}

void fb_noise_free(struct fb_noise *noise) {
    if (noise == NULL)
        return;
    EVP_PKEY_free(noise->s);
    EVP_PKEY_free(noise->e);
    OPENSSL_clear_free(noise, sizeof *noise);
}

/* What both messages have after e: the DH, which is es in the first and ee in the second. */
static void mix_dh(struct fb_noise *noise) {
    if (noise->step == STEP_MESSAGE_2)
        mix_key(noise, noise->e, noise->re); /* ee */
    else if (noise->initiator)
        mix_key(noise, noise->e, noise->rs); /* es */
    else
        mix_key(noise, noise->s, noise->re); /* es */
}

int fb_noise_write(struct fb_noise *noise, const uint8_t *payload, size_t payload_len,
                   uint8_t *out) {
    if (noise->err != 0 || noise->step != (noise->initiator ? STEP_MESSAGE_1 : STEP_MESSAGE_2))
        return FB_ERR_STATE;
    memcpy(out, noise->e_public, FB_KEY_LEN);
    mix_hash(noise, noise->e_public, FB_KEY_LEN); /* e */
    mix_dh(noise);                                /* es or ee */
    encrypt_and_hash(noise, payload, payload_len, out + FB_KEY_LEN);
    noise->step++;
    return noise->err;
}

int fb_noise_read(struct fb_noise *noise, const uint8_t *msg, size_t len, uint8_t *out) {
    if (noise->err != 0 || noise->step != (noise->initiator ? STEP_MESSAGE_2 : STEP_MESSAGE_1))
        return FB_ERR_STATE;
    if (len < FB_NOISE_OVERHEAD)
        return noise->err = FB_ERR_MALFORMED;
    memcpy(noise->re, msg, FB_KEY_LEN);
    mix_hash(noise, noise->re, FB_KEY_LEN); /* e */
    mix_dh(noise);                          /* es or ee */
    decrypt_and_hash(noise, msg + FB_KEY_LEN, len - FB_KEY_LEN, out);
    noise->step++;
    return noise->err;
}

/* Split(): the first key is for initiator to responder, the second for the way back. */
int fb_noise_split(struct fb_noise *noise, uint8_t send[FB_KEY_LEN], uint8_t recv[FB_KEY_LEN]) {
    if (noise->err != 0 || noise->step != STEP_DONE)
        return FB_ERR_STATE;
    return hkdf(noise->ck, NULL, 0, noise->initiator ? send : recv, noise->initiator ? recv : send);
}
