#include "crypto/openssl.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "base/err.h"
#include "base/secret.h"
#include "crypto/primitives.h"

#define BLOCK_LEN 64 /* BLAKE2s's block, RFC 7693 section 2.1; HMAC pads its key to it */

/* Fetched once: a fetch by name takes a lock and a search, too much for each key. */
static struct {
    pthread_once_t once;
    EVP_MD *blake2s;
    EVP_CIPHER *chacha20_poly1305;
} lib = {.once = PTHREAD_ONCE_INIT};

static void lib_init(void) {
    lib.blake2s = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
    lib.chacha20_poly1305 = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    ERR_clear_error();
}

static bool lib_ready(void) {
    pthread_once(&lib.once, lib_init);
    return lib.blake2s != NULL && lib.chacha20_poly1305 != NULL;
}

/* For operations that have no way to fail. */
static void must(int ok) {
    if (ok != 1)
        abort();
}

/* Errors, even those of a success (an optional step that failed), must not stay in the thread's
 * queue: TLS on the same thread would take them for its own (SSL_get_error(3)). */
static int finish(int err) {
    ERR_clear_error();
    return err;
}

/* ---- hash ---- */

int fb_blake2s(const struct fb_part *parts, size_t count, uint8_t out[FB_HASH_LEN]) {
    /* A context kept for reuse would allocate all the same: OpenSSL 3.0 makes its inside anew at
     * every start. */
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = md != NULL && EVP_DigestInit_ex2(md, lib.blake2s, NULL) == 1;
    for (size_t i = 0; i < count && ok; i++)
        if (parts[i].len > 0)
            ok = EVP_DigestUpdate(md, parts[i].at, parts[i].len) == 1;
    ok = ok && EVP_DigestFinal_ex(md, out, NULL) == 1;
    EVP_MD_CTX_free(md);
    return finish(ok ? 0 : FB_ERR_NOMEM);
}

int fb_hmac(const uint8_t key[FB_HASH_LEN], const struct fb_part *parts, size_t count,
            uint8_t out[FB_HASH_LEN]) {
    uint8_t pad[BLOCK_LEN], inner[FB_HASH_LEN];
    struct fb_part all[4] = {{pad, sizeof pad}};
    must(count < sizeof all / sizeof *all);
    memcpy(all + 1, parts, count * sizeof *parts);
    for (size_t i = 0; i < BLOCK_LEN; i++)
        pad[i] = (uint8_t)((i < FB_HASH_LEN ? key[i] : 0) ^ 0x36);
    int err = fb_blake2s(all, count + 1, inner);
    for (size_t i = 0; i < BLOCK_LEN; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    if (err == 0)
        err = fb_blake2s((struct fb_part[]){{pad, sizeof pad}, {inner, sizeof inner}}, 2, out);
    fb_wipe(pad, sizeof pad);
    fb_wipe(inner, sizeof inner);
    return err;
}

static void hash(void *ctx, const void *in, size_t len, uint8_t out[FB_HASH_LEN]) {
    must(lib_ready() && fb_blake2s(&(struct fb_part){in, len}, 1, out) == 0);
}

static void derive(void *ctx, const uint8_t secret[FB_KEY_LEN], const char *label, const void *info,
                   size_t info_len, uint8_t out[FB_HASH_LEN]) {
    /* The label's own NUL is the 0x00 between label and info. */
    const struct fb_part parts[] = {{label, strlen(label) + 1}, {info, info_len}};
    must(lib_ready() && fb_hmac(secret, parts, 2, out) == 0);
}

/* ---- AEAD ---- */

struct fb_key {
    EVP_CIPHER_CTX *cipher; /* holds the key; its own memory is cleansed by OpenSSL */
};

struct fb_key *fb_aead_new(void *ctx, const uint8_t bytes[FB_KEY_LEN]) {
    struct fb_key *key = lib_ready() ? OPENSSL_zalloc(sizeof *key) : NULL;
    if (key != NULL && (key->cipher = EVP_CIPHER_CTX_new()) != NULL &&
        EVP_CipherInit_ex2(key->cipher, lib.chacha20_poly1305, bytes, NULL, 1, NULL) == 1)
        return key;
    fb_aead_free(key);
    ERR_clear_error();
    return NULL;
}

void fb_aead_free(struct fb_key *key) {
    if (key == NULL)
        return;
    EVP_CIPHER_CTX_free(key->cipher);
    OPENSSL_free(key);
}

/* Sets the nonce and direction (the key stays) and takes in the associated data. */
static void aead_start(struct fb_key *key, int seal, const uint8_t nonce[FB_NONCE_LEN],
                       const void *ad, size_t ad_len, size_t len) {
    int n;
    must(len <= INT_MAX && ad_len <= INT_MAX);
    must(EVP_CipherInit_ex2(key->cipher, NULL, NULL, nonce, seal, NULL));
    if (ad_len > 0)
        must(EVP_CipherUpdate(key->cipher, NULL, &n, ad, (int)ad_len));
}

void fb_aead_seal(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                  size_t ad_len, const uint8_t *in, size_t len, uint8_t *out) {
    int n;
    aead_start(key, 1, nonce, ad, ad_len, len);
    /* An update with no input would mean "final" to the provider. */
    if (len > 0)
        must(EVP_CipherUpdate(key->cipher, out, &n, in, (int)len));
    must(EVP_CipherFinal_ex(key->cipher, out + len, &n));
    must(EVP_CIPHER_CTX_ctrl(key->cipher, EVP_CTRL_AEAD_GET_TAG, FB_TAG_LEN, out + len));
}

int fb_aead_open(struct fb_key *key, const uint8_t nonce[FB_NONCE_LEN], const void *ad,
                 size_t ad_len, const uint8_t *in, size_t len, uint8_t *out) {
    uint8_t tag[FB_TAG_LEN];
    int n;
    if (len < FB_TAG_LEN)
        return FB_ERR_AUTH;
    len -= FB_TAG_LEN;
    memcpy(tag, in + len, FB_TAG_LEN);
    aead_start(key, 0, nonce, ad, ad_len, len);
    must(EVP_CIPHER_CTX_ctrl(key->cipher, EVP_CTRL_AEAD_SET_TAG, FB_TAG_LEN, tag));
    if (len > 0)
        must(EVP_CipherUpdate(key->cipher, out, &n, in, (int)len));
    if (EVP_CipherFinal_ex(key->cipher, tag, &n) == 1)
        return 0;
    fb_wipe(out, len); /* nobody reads what was not authenticated */
    return finish(FB_ERR_AUTH);
}

/* ---- X25519 and Ed25519 ---- */

int fb_x25519(EVP_PKEY *private_key, const uint8_t public_key[FB_KEY_LEN],
              uint8_t out[FB_KEY_LEN]) {
    static const uint8_t zero[FB_KEY_LEN];
    size_t len = FB_KEY_LEN;
    int err = FB_ERR_NOMEM;
    EVP_PKEY *peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, public_key, FB_KEY_LEN);
    EVP_PKEY_CTX *dh = EVP_PKEY_CTX_new(private_key, NULL);
    if (peer != NULL && dh != NULL && EVP_PKEY_derive_init(dh) == 1 &&
        EVP_PKEY_derive_set_peer(dh, peer) == 1) {
        /* RFC 7748 section 6.1: a result of all zeros comes from a point of small order. OpenSSL
         * refuses it; the comparison keeps that true with any provider. */
        err = EVP_PKEY_derive(dh, out, &len) == 1 && len == FB_KEY_LEN &&
                      !fb_equal(out, zero, FB_KEY_LEN)
                  ? 0
                  : FB_ERR_AUTH;
    }
    EVP_PKEY_CTX_free(dh);
    EVP_PKEY_free(peer);
    return finish(err);
}

static int public_of(int type, const uint8_t secret[FB_KEY_LEN], uint8_t out[FB_KEY_LEN]) {
    size_t len = FB_KEY_LEN;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(type, NULL, secret, FB_KEY_LEN);
    int ok = key != NULL && EVP_PKEY_get_raw_public_key(key, out, &len) == 1;
    EVP_PKEY_free(key);
    return finish(ok ? 0 : FB_ERR_NOMEM);
}

int fb_x25519_public(const uint8_t private_key[FB_KEY_LEN], uint8_t public_key[FB_KEY_LEN]) {
    return public_of(EVP_PKEY_X25519, private_key, public_key);
}

int fb_ed25519_public(const uint8_t seed[FB_KEY_LEN], uint8_t public_key[FB_KEY_LEN]) {
    return public_of(EVP_PKEY_ED25519, seed, public_key);
}

static int sign(void *ctx, const uint8_t seed[FB_KEY_LEN], const void *msg, size_t len,
                uint8_t sig[FB_SIG_LEN]) {
    size_t sig_len = FB_SIG_LEN;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, FB_KEY_LEN);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = key != NULL && md != NULL && EVP_DigestSignInit(md, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestSign(md, sig, &sig_len, msg, len) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return finish(ok ? 0 : FB_ERR_NOMEM);
}

static int verify(void *ctx, const uint8_t public_key[FB_KEY_LEN], const void *msg, size_t len,
                  const uint8_t sig[FB_SIG_LEN]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, FB_KEY_LEN);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    int ok = key != NULL && md != NULL && EVP_DigestVerifyInit(md, NULL, NULL, NULL, key) == 1 &&
             EVP_DigestVerify(md, sig, FB_SIG_LEN, msg, len) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    return finish(ok ? 0 : FB_ERR_AUTH);
}

/* ---- the table ---- */

const struct fb_crypto *fb_crypto_openssl(void) {
    static const struct fb_crypto table = {
        .noise_new = fb_noise_new,
        .noise_free = fb_noise_free,
        .noise_write = fb_noise_write,
        .noise_read = fb_noise_read,
        .noise_split = fb_noise_split,
        .key_new = fb_aead_new,
        .key_free = fb_aead_free,
        .seal = fb_aead_seal,
        .open = fb_aead_open,
        .derive = derive,
        .hash = hash,
        .sign = sign,
        .verify = verify,
    };
    return lib_ready() ? &table : NULL;
}
