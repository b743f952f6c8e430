#include "null_crypto.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct fb_key {
    bool checked;
    uint8_t bytes[FB_KEY_LEN];
};

struct fb_noise {
    bool checked, initiator;
    unsigned step; /* messages handled */
    uint8_t mixed[FB_HASH_LEN];
    uint8_t e[FB_KEY_LEN];
};

static bool is_checked(void *ctx) {
    return ctx != NULL;
}

/* FNV-1a, spread over the output; state goes on from out's content when more is mixed in. */
static void mix(uint8_t out[FB_HASH_LEN], const void *in, size_t len) {
    const uint8_t *p = in;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < FB_HASH_LEN; i++)
        h = (h ^ out[i]) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    for (size_t i = 0; i < FB_HASH_LEN; i++) {
        h = (h ^ i) * UINT64_C(0x100000001b3);
        out[i] = (uint8_t)(h >> 56);
    }
}

static void checksum(const uint8_t key[FB_KEY_LEN], const uint8_t nonce[FB_NONCE_LEN],
                     const void *ad, size_t ad_len, const uint8_t *in, size_t len,
                     uint8_t tag[FB_TAG_LEN]) {
    uint8_t sum[FB_HASH_LEN] = {0};
    mix(sum, key, FB_KEY_LEN);
    mix(sum, nonce, FB_NONCE_LEN);
    mix(sum, ad, ad_len);
    mix(sum, in, len);
    memcpy(tag, sum, FB_TAG_LEN);
}

static struct fb_key *key_new(void *ctx, const uint8_t bytes[FB_KEY_LEN]) {
    struct fb_key *key = calloc(1, sizeof *key);
    if (key == NULL)
        return NULL;
    key->checked = is_checked(ctx);
    memcpy(key->bytes, bytes, FB_KEY_LEN);
    return key;
}

static void key_free(struct fb_key *key) {
    free(key);
}

static void seal(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                 size_t ad_len, const uint8_t *in, size_t len, uint8_t *out) {
    if (len > 0)
        memmove(out, in, len);
    checksum(key->bytes, nonce, ad, ad_len, out, len, out + len);
}

static int open_sealed(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                       size_t ad_len, const uint8_t *in, size_t len, uint8_t *out) {
    uint8_t tag[FB_TAG_LEN];
    if (len < FB_TAG_LEN)
        return FB_ERR_AUTH;
    len -= FB_TAG_LEN;
    checksum(key->bytes, nonce, ad, ad_len, in, len, tag);
    if (key->checked && memcmp(tag, in + len, FB_TAG_LEN) != 0)
        return FB_ERR_AUTH;
    if (len > 0)
        memmove(out, in, len);
    return 0;
}

void fb_null_public(const uint8_t private_key[static FB_KEY_LEN],
                    uint8_t public_key[static FB_KEY_LEN]) {
    for (size_t i = 0; i < FB_KEY_LEN; i++)
        public_key[i] = (uint8_t)~private_key[i];
}

static struct fb_noise *noise_new(void *ctx, bool initiator, const uint8_t static_key[FB_KEY_LEN],
                                  const uint8_t ephemeral[FB_KEY_LEN], const void *prologue,
                                  size_t prologue_len) {
    struct fb_noise *noise = calloc(1, sizeof *noise);
    uint8_t responder[FB_KEY_LEN];
    if (noise == NULL)
        return NULL;
    noise->checked = is_checked(ctx);
    noise->initiator = initiator;
    fb_null_public(ephemeral, noise->e);
    if (initiator)
        memcpy(responder, static_key, FB_KEY_LEN);
    else
        fb_null_public(static_key, responder);
    mix(noise->mixed, prologue, prologue_len);
    mix(noise->mixed, responder, FB_KEY_LEN);
    return noise;
}

static void noise_free(struct fb_noise *noise) {
    free(noise);
}

static const uint8_t nonce_zero[FB_NONCE_LEN];

static int noise_write(struct fb_noise *noise, const uint8_t *payload, size_t payload_len,
                       uint8_t *out) {
    struct fb_key key = {.checked = noise->checked};
    if (noise->step != (noise->initiator ? 0 : 1))
        return FB_ERR_STATE;
    memcpy(out, noise->e, FB_KEY_LEN);
    mix(noise->mixed, out, FB_KEY_LEN);
    memcpy(key.bytes, noise->mixed, FB_KEY_LEN);
    seal(&key, nonce_zero, NULL, 0, payload, payload_len, out + FB_KEY_LEN);
    noise->step++;
    return 0;
}

static int noise_read(struct fb_noise *noise, const uint8_t *msg, size_t len, uint8_t *out) {
    struct fb_key key = {.checked = noise->checked};
    if (noise->step != (noise->initiator ? 1 : 0))
        return FB_ERR_STATE;
    noise->step = 3; /* as in src/crypto: a failure is final */
    if (len < FB_NOISE_OVERHEAD)
        return FB_ERR_MALFORMED;
    mix(noise->mixed, msg, FB_KEY_LEN);
    memcpy(key.bytes, noise->mixed, FB_KEY_LEN);
    int err = open_sealed(&key, nonce_zero, NULL, 0, msg + FB_KEY_LEN, len - FB_KEY_LEN, out);
    if (err == 0)
        noise->step = noise->initiator ? 2 : 1;
    return err;
}

static int noise_split(struct fb_noise *noise, uint8_t send[FB_KEY_LEN], uint8_t recv[FB_KEY_LEN]) {
    if (noise->step != 2)
        return FB_ERR_STATE;
    memcpy(noise->initiator ? send : recv, noise->mixed, FB_KEY_LEN);
    fb_null_public(noise->mixed, noise->initiator ? recv : send);
    return 0;
}

static void hash(void *ctx, const void *in, size_t len, uint8_t out[FB_HASH_LEN]) {
    uint8_t sum[FB_HASH_LEN] = {0};
    mix(sum, in, len);
    memcpy(out, sum, FB_HASH_LEN);
}

static void derive(void *ctx, const uint8_t secret[FB_KEY_LEN], const char *label, const void *info,
                   size_t info_len, uint8_t out[FB_HASH_LEN]) {
    uint8_t sum[FB_HASH_LEN];
    memcpy(sum, secret, FB_HASH_LEN);
    mix(sum, label, strlen(label) + 1);
    mix(sum, info, info_len);
    memcpy(out, sum, FB_HASH_LEN);
}

/* The signature is a checksum under the public key, twice. */
static void signature(const uint8_t public_key[FB_KEY_LEN], const void *msg, size_t len,
                      uint8_t sig[FB_SIG_LEN]) {
    derive(NULL, public_key, "signature", msg, len, sig);
    memcpy(sig + FB_HASH_LEN, sig, FB_HASH_LEN);
}

static int sign(void *ctx, const uint8_t seed[FB_KEY_LEN], const void *msg, size_t len,
                uint8_t sig[FB_SIG_LEN]) {
    uint8_t public_key[FB_KEY_LEN];
    fb_null_public(seed, public_key);
    signature(public_key, msg, len, sig);
    return 0;
}

static int verify(void *ctx, const uint8_t public_key[FB_KEY_LEN], const void *msg, size_t len,
                  const uint8_t sig[FB_SIG_LEN]) {
    uint8_t expected[FB_SIG_LEN];
    signature(public_key, msg, len, expected);
    return !is_checked(ctx) || memcmp(expected, sig, FB_SIG_LEN) == 0 ? 0 : FB_ERR_AUTH;
}

#define TABLE                                                                                      \
    .noise_new = noise_new, .noise_free = noise_free, .noise_write = noise_write,                  \
    .noise_read = noise_read, .noise_split = noise_split, .key_new = key_new,                      \
    .key_free = key_free, .seal = seal, .open = open_sealed, .derive = derive, .hash = hash,       \
    .sign = sign, .verify = verify

const struct fb_crypto *fb_crypto_null(bool checked) {
    static char mark;
    static const struct fb_crypto passing = {TABLE}, checking = {.ctx = &mark, TABLE};
    return checked ? &checking : &passing;
}
