/*
 * struct fb_crypto on OpenSSL 3, and the few operations that roles need beside it.
 *
 * One table serves the process and all its threads; a handshake or a key belongs to one thread at a
 * time. What has no way to fail by its interface (seal, hash, derive) aborts when OpenSSL
 * fails all the same: nothing may leave unsealed.
 */
#ifndef FB_CRYPTO_OPENSSL_H
#define FB_CRYPTO_OPENSSL_H

#include "core/crypto.h"

/* NULL when OpenSSL lacks an algorithm (a restricted configuration) or memory. Never freed. */
const struct fb_crypto *fb_crypto_openssl(void);

/* The public key of an X25519 private key (RFC 7748). 0 or FB_ERR_NOMEM. */
int fb_x25519_public(const uint8_t private_key[FB_KEY_LEN], uint8_t public_key[FB_KEY_LEN]);

/* The public key of an Ed25519 seed (RFC 8032). 0 or FB_ERR_NOMEM. */
int fb_ed25519_public(const uint8_t seed[FB_KEY_LEN], uint8_t public_key[FB_KEY_LEN]);

#endif
