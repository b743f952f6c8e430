/*
 * The cryptography that core is handed: a table of functions, implemented on OpenSSL in src/crypto
 * and by copy and checksum in fuzzers. Nothing here takes randomness: ephemeral secrets come from
 * the caller, so that runs repeat. Implementations allocate when a handshake or key is made, never
 * in seal or open.
 *
 * Algorithms: X25519 (RFC 7748), ChaCha20-Poly1305 (RFC 8439), BLAKE2s-256 (RFC 7693), Ed25519
 * (RFC 8032), Noise_NK (noiseprotocol.org, revision 34).
 */
#ifndef FB_CORE_CRYPTO_H
#define FB_CORE_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FB_KEY_LEN 32   /* X25519 keys, AEAD keys, Ed25519 public keys and seeds */
#define FB_NONCE_LEN 12 /* RFC 8439 */
#define FB_TAG_LEN 16
#define FB_HASH_LEN 32
#define FB_SIG_LEN 64
/* What a Noise_NK message adds to its payload: an ephemeral public key and a tag. */
#define FB_NOISE_OVERHEAD (FB_KEY_LEN + FB_TAG_LEN)

struct fb_noise; /* one handshake */
struct fb_key;   /* one AEAD key, ready to use */

struct fb_crypto {
    void *ctx;

    /*
     * Starts Noise_NK_25519_ChaChaPoly_BLAKE2s. static_key: for the initiator the responder's
     * public key, for the responder its own private key. ephemeral: this side's ephemeral private
     * key, from the caller's random function; copied. NULL when out of memory or when a key is
     * unusable. noise_free wipes, accepts NULL.
     */
    struct fb_noise *(*noise_new)(void *ctx, bool initiator, const uint8_t static_key[FB_KEY_LEN],
                                  const uint8_t ephemeral[FB_KEY_LEN], const void *prologue,
                                  size_t prologue_len);
    void (*noise_free)(struct fb_noise *noise);
    /*
     * The next handshake message: out takes payload_len + FB_NOISE_OVERHEAD bytes. The initiator
     * writes, then reads; the responder reads, then writes. 0, FB_ERR_STATE or FB_ERR_AUTH (a
     * low-order public key).
     */
    int (*noise_write)(struct fb_noise *noise, const uint8_t *payload, size_t payload_len,
                       uint8_t *out);
    /* out takes len - FB_NOISE_OVERHEAD bytes. 0, FB_ERR_STATE, FB_ERR_AUTH, FB_ERR_MALFORMED. */
    int (*noise_read)(struct fb_noise *noise, const uint8_t *msg, size_t len, uint8_t *out);
    /* After both messages: Split(). Keys for what this side sends and receives. 0, FB_ERR_STATE. */
    int (*noise_split)(struct fb_noise *noise, uint8_t send[FB_KEY_LEN], uint8_t recv[FB_KEY_LEN]);

    /* NULL when out of memory. key_free wipes, accepts NULL. */
    struct fb_key *(*key_new)(void *ctx, const uint8_t key[FB_KEY_LEN]);
    void (*key_free)(struct fb_key *key);
    /* out takes len + FB_TAG_LEN bytes and may be in. */
    void (*seal)(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                 size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);
    /* len counts the tag; out takes len - FB_TAG_LEN bytes and may be in. 0 or FB_ERR_AUTH. */
    int (*open)(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                size_t ad_len, const uint8_t *in, size_t len, uint8_t *out);

    /* out = HMAC-BLAKE2s(secret, label || 0x00 || info): one key from another. */
    void (*derive)(void *ctx, const uint8_t secret[FB_KEY_LEN], const char *label, const void *info,
                   size_t info_len, uint8_t out[FB_HASH_LEN]);
    /* BLAKE2s-256. */
    void (*hash)(void *ctx, const void *in, size_t len, uint8_t out[FB_HASH_LEN]);

    /* Ed25519. seed is the private key of RFC 8032. sign: 0 or FB_ERR_NOMEM; verify: 0 or
     * FB_ERR_AUTH. */
    int (*sign)(void *ctx, const uint8_t seed[FB_KEY_LEN], const void *msg, size_t len,
                uint8_t sig[FB_SIG_LEN]);
    int (*verify)(void *ctx, const uint8_t public_key[FB_KEY_LEN], const void *msg, size_t len,
                  const uint8_t sig[FB_SIG_LEN]);
};

#endif
