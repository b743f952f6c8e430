/* What noise.c and openssl.c share: the primitives, under the names the papers use. */
#ifndef FB_CRYPTO_PRIMITIVES_H
#define FB_CRYPTO_PRIMITIVES_H

#include <openssl/evp.h>

#include "core/crypto.h"

struct fb_part {
    const void *at;
    size_t len;
};

/* BLAKE2s-256 of the parts, joined. 0 or FB_ERR_NOMEM. */
int fb_blake2s(const struct fb_part *parts, size_t count, uint8_t out[FB_HASH_LEN]);

/* HMAC-BLAKE2s (RFC 2104) of the parts, joined; at most 3 parts. Errors as above. */
int fb_hmac(const uint8_t key[FB_HASH_LEN], const struct fb_part *parts, size_t count,
            uint8_t out[FB_HASH_LEN]);

/* DH(private, public). 0, FB_ERR_NOMEM, or FB_ERR_AUTH for a public key of low order. */
int fb_x25519(EVP_PKEY *private_key, const uint8_t public_key[FB_KEY_LEN], uint8_t out[FB_KEY_LEN]);

struct fb_key *fb_aead_new(void *ctx, const uint8_t key[FB_KEY_LEN]);
void fb_aead_free(struct fb_key *key);
void fb_aead_seal(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                  size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);
int fb_aead_open(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                 size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

/* noise.c, as in struct fb_crypto. */
struct fb_noise *fb_noise_new(void *ctx, bool initiator, const uint8_t static_key[FB_KEY_LEN],
                              const uint8_t ephemeral[FB_KEY_LEN], const void *prologue,
                              size_t prologue_len);
void fb_noise_free(struct fb_noise *noise);
int fb_noise_write(struct fb_noise *noise, const uint8_t *payload, size_t payload_len,
                   uint8_t *out);
int fb_noise_read(struct fb_noise *noise, const uint8_t *msg, size_t len, uint8_t *out);
int fb_noise_split(struct fb_noise *noise, uint8_t send[FB_KEY_LEN], uint8_t recv[FB_KEY_LEN]);

#endif
