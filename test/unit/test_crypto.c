/* crypto/openssl: published vectors, tampering, and what happens when memory runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/err.h"
#include "crypto/openssl.h"
#include "crypto/primitives.h"
#include "hex.h"

static const struct fb_crypto *crypto;

/* RFC 8439 section 2.8.2. */
static void aead_of_rfc8439(void **state) {
    static const char text[] =
        "Ladies and Gentlemen of the class of '99: If I could offer you only "
        "one tip for the future, sunscreen would be it.";
    uint8_t key_bytes[FB_KEY_LEN], nonce[FB_NONCE_LEN], ad[16], expected[160], out[160];
    unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", key_bytes);
    unhex("070000004041424344454647", nonce);
    size_t ad_len = unhex("50515253c0c1c2c3c4c5c6c7", ad), len = sizeof text - 1;
    size_t sealed = unhex("d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                          "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                          "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                          "3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd060"
                          "0691",
                          expected);
    struct fb_key *key = crypto->key_new(crypto->ctx, key_bytes);
    assert_non_null(key);
    assert_int_equal(sealed, len + FB_TAG_LEN);
    crypto->seal(key, nonce, ad, ad_len, (const uint8_t *)text, len, out);
    assert_memory_equal(out, expected, sealed);
    /* One key serves both directions in any order, and out may be in. */
    assert_int_equal(crypto->open(key, nonce, ad, ad_len, out, sealed, out), 0);
    assert_memory_equal(out, text, len);
    crypto->seal(key, nonce, ad, ad_len, out, len, out);
    assert_memory_equal(out, expected, sealed);
    crypto->key_free(key);
    crypto->key_free(NULL);
}

static void aead_refuses(void **state) {
    const uint8_t key_bytes[FB_KEY_LEN] = {1}, nonce[FB_NONCE_LEN] = {2};
    uint8_t sealed[5 + FB_TAG_LEN], out[5];
    struct fb_key *key = crypto->key_new(crypto->ctx, key_bytes);
    crypto->seal(key, nonce, "ad", 2, (const uint8_t *)"hello", 5, sealed);
    assert_int_equal(crypto->open(key, nonce, "ad", 2, sealed, sizeof sealed, out), 0);
    for (size_t i = 0; i < sizeof sealed; i++) {
        sealed[i] ^= 0x80;
        assert_int_equal(crypto->open(key, nonce, "ad", 2, sealed, sizeof sealed, out),
                         FB_ERR_AUTH);
        assert_memory_equal(out, "\0\0\0\0\0", 5);
        sealed[i] ^= 0x80;
    }
    assert_int_equal(crypto->open(key, nonce, "aD", 2, sealed, sizeof sealed, out), FB_ERR_AUTH);
    assert_int_equal(crypto->open(key, nonce, NULL, 0, sealed, sizeof sealed, out), FB_ERR_AUTH);
    for (size_t len = 0; len < sizeof sealed; len++)
        assert_int_equal(crypto->open(key, nonce, "ad", 2, sealed, len, out), FB_ERR_AUTH);
    /* TLS on this thread would take a forgotten error for its own. */
    assert_true(ERR_peek_error() == 0);
    /* A failure leaves the key usable. */
    assert_int_equal(crypto->open(key, nonce, "ad", 2, sealed, sizeof sealed, out), 0);
    assert_memory_equal(out, "hello", 5);
    crypto->key_free(key);
}

static void aead_of_nothing(void **state) {
    const uint8_t key_bytes[FB_KEY_LEN] = {1}, nonce[FB_NONCE_LEN] = {2};
    uint8_t tag[FB_TAG_LEN], out[1];
    struct fb_key *key = crypto->key_new(crypto->ctx, key_bytes);
    crypto->seal(key, nonce, NULL, 0, NULL, 0, tag);
    assert_int_equal(crypto->open(key, nonce, NULL, 0, tag, sizeof tag, out), 0);
    tag[0] ^= 1;
    assert_int_equal(crypto->open(key, nonce, NULL, 0, tag, sizeof tag, out), FB_ERR_AUTH);
    crypto->key_free(key);
}

/* RFC 7693 appendix B, and the first vector of the authors' keyless set (the empty input). */
static void blake2s_of_rfc7693(void **state) {
    uint8_t expected[FB_HASH_LEN], out[FB_HASH_LEN];
    unhex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982", expected);
    crypto->hash(crypto->ctx, "abc", 3, out);
    assert_memory_equal(out, expected, sizeof out);
    unhex("69217a3079908094e11121d042354a7c1f55b6482ca1a51e1b250dfd1ed0eef9", expected);
    crypto->hash(crypto->ctx, NULL, 0, out);
    assert_memory_equal(out, expected, sizeof out);
}

/* derive() is HMAC-BLAKE2s of label, 0x00 and info; the value is that of Python's hmac module with
 * hashlib.blake2s. */
static void derive_is_hmac(void **state) {
    uint8_t secret[FB_KEY_LEN], expected[FB_HASH_LEN], out[FB_HASH_LEN];
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)i;
    unhex("2b5d638960f8b91c70b4d0471dc653ef91b60959bac6db11fa27e981a5f74f1b", expected);
    crypto->derive(crypto->ctx, secret, "path key", "\x00\x07", 2, out);
    assert_memory_equal(out, expected, sizeof out);
}

/* RFC 7748 section 5.2: the first vector, and the first step of the iterated one (9 times the base
 * point 9, which is a public key). */
static void x25519_of_rfc7748(void **state) {
    uint8_t scalar[FB_KEY_LEN] = {9}, u[FB_KEY_LEN], expected[FB_KEY_LEN], out[FB_KEY_LEN];
    unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079", expected);
    assert_int_equal(fb_x25519_public(scalar, out), 0);
    assert_memory_equal(out, expected, sizeof out);
    unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", scalar);
    unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", u);
    unhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552", expected);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, scalar, sizeof scalar);
    assert_int_equal(fb_x25519(key, u, out), 0);
    assert_memory_equal(out, expected, sizeof out);
    EVP_PKEY_free(key);
}

/* RFC 8032 section 7.1, TEST 3. */
static void ed25519_of_rfc8032(void **state) {
    uint8_t seed[FB_KEY_LEN], public_key[FB_KEY_LEN], out[FB_KEY_LEN];
    uint8_t expected[FB_SIG_LEN], sig[FB_SIG_LEN], msg[] = {0xaf, 0x82};
    unhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", seed);
    unhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", public_key);
    unhex("6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
          "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
          expected);
    assert_int_equal(fb_ed25519_public(seed, out), 0);
    assert_memory_equal(out, public_key, sizeof out);
    assert_int_equal(crypto->sign(crypto->ctx, seed, msg, sizeof msg, sig), 0);
    assert_memory_equal(sig, expected, sizeof sig);
    assert_int_equal(crypto->verify(crypto->ctx, public_key, msg, sizeof msg, sig), 0);
    for (size_t i = 0; i < sizeof sig; i++) {
        sig[i] ^= 1;
        assert_int_equal(crypto->verify(crypto->ctx, public_key, msg, sizeof msg, sig),
                         FB_ERR_AUTH);
        sig[i] ^= 1;
    }
    assert_int_equal(crypto->verify(crypto->ctx, public_key, msg, 1, sig), FB_ERR_AUTH);
    assert_int_equal(crypto->verify(crypto->ctx, seed, msg, sizeof msg, sig), FB_ERR_AUTH);
    assert_true(ERR_peek_error() == 0);
}

/* ---- allocation failure ---- */

static size_t allocations, fail_at; /* counted from 1; 0: none fails */
static long live;

static void *count_malloc(size_t len, const char *file, int line) {
    if (++allocations == fail_at)
        return NULL;
    void *ptr = malloc(len);
    live += ptr != NULL;
    return ptr;
}

static void *count_realloc(void *old, size_t len, const char *file, int line) {
    if (++allocations == fail_at)
        return NULL;
    void *ptr = realloc(old, len);
    live += old == NULL && ptr != NULL;
    return ptr;
}

static void count_free(void *ptr, const char *file, int line) {
    live -= ptr != NULL;
    free(ptr);
}

/* Everything that allocates; 0 or the first error. */
static int scenario(void) {
    const uint8_t secret[FB_KEY_LEN] = {1};
    uint8_t public_key[FB_KEY_LEN], msg[FB_NOISE_OVERHEAD], sig[FB_SIG_LEN];
    struct fb_noise *init = NULL, *resp = NULL;
    struct fb_key *key = NULL;
    int err = fb_x25519_public(secret, public_key);
    if (err != 0)
        return err;
    init = crypto->noise_new(crypto->ctx, true, public_key, secret, NULL, 0);
    resp = crypto->noise_new(crypto->ctx, false, secret, secret, NULL, 0);
    key = crypto->key_new(crypto->ctx, secret);
    err = init == NULL || resp == NULL || key == NULL ? FB_ERR_NOMEM : 0;
    if (err == 0)
        err = crypto->noise_write(init, NULL, 0, msg);
    if (err == 0)
        err = crypto->noise_read(resp, msg, sizeof msg, sig);
    if (err == 0)
        err = crypto->sign(crypto->ctx, secret, "x", 1, sig);
    if (err == 0)
        err = fb_ed25519_public(secret, public_key);
    if (err == 0)
        err = crypto->verify(crypto->ctx, public_key, "x", 1, sig);
    crypto->key_free(key);
    crypto->noise_free(init);
    crypto->noise_free(resp);
    return err;
}

/* Each allocation in turn fails: an error, never a crash, a leak or a false success. */
static void memory_runs_out(void **state) {
    assert_int_equal(scenario(), 0); /* fills the library's own caches */
    allocations = 0;
    assert_int_equal(scenario(), 0);
    size_t count = allocations;
    assert_true(count > 10);
    long before = live;
    for (size_t i = 1; i <= count; i++) {
        allocations = 0;
        fail_at = i;
        int err = scenario();
        fail_at = 0;
        assert_true(err == 0 || err == FB_ERR_NOMEM || err == FB_ERR_AUTH);
        assert_true(ERR_peek_error() == 0);
    }
    assert_int_equal(scenario(), 0);
    assert_true(live <= before);
}

/* What runs for each packet allocates nothing. */
static void nothing_allocated_per_packet(void **state) {
    const uint8_t secret[FB_KEY_LEN] = {1}, nonce[FB_NONCE_LEN] = {0};
    uint8_t buf[1200 + FB_TAG_LEN] = {0};
    struct fb_key *key = crypto->key_new(crypto->ctx, secret);
    crypto->seal(key, nonce, "ad", 2, buf, 1200, buf);
    assert_int_equal(crypto->open(key, nonce, "ad", 2, buf, sizeof buf, buf), 0);
    allocations = 0;
    for (int i = 0; i < 10; i++) {
        crypto->seal(key, nonce, "ad", 2, buf, 1200, buf);
        assert_int_equal(crypto->open(key, nonce, "ad", 2, buf, sizeof buf, buf), 0);
        assert_int_equal(crypto->open(key, nonce, "ad", 2, buf, sizeof buf, buf), FB_ERR_AUTH);
    }
    assert_int_equal(allocations, 0);
    crypto->key_free(key);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aead_of_rfc8439),
        cmocka_unit_test(aead_refuses),
        cmocka_unit_test(aead_of_nothing),
        cmocka_unit_test(blake2s_of_rfc7693),
        cmocka_unit_test(derive_is_hmac),
        cmocka_unit_test(x25519_of_rfc7748),
        cmocka_unit_test(ed25519_of_rfc8032),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(nothing_allocated_per_packet),
    };
    if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
        return 1;
    crypto = fb_crypto_openssl();
    return crypto == NULL ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
