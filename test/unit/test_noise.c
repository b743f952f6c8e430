/*
 * crypto/noise: Noise_NK_25519_ChaChaPoly_BLAKE2s. The vector is that of the cacophony project, as
 * distributed with snow (tests/vectors/cacophony.txt).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "crypto/openssl.h"
#include "hex.h"

static const struct {
    const char *payload, *ciphertext;
} messages[] = {
    {"4c756477696720766f6e204d69736573",
     "ca35def5ae56cec33dc2036731ab14896bc4c75dbb07a61f879f8e3afa4c794454ae7612d1724af4"
     "2adb130160a9a94e67b5b169b4e00c189f6467cd17eb7cad"},
    {"4d757272617920526f746862617264",
     "95ebc60d2b1fa672c1f46a8aa265ef51bfe38e7ccb39ec5be34069f144808843986a5c929337e337"
     "ac8b4a074af12ab9f76318a5f18c8b599a443af07383ce"},
    {"462e20412e20486179656b", "550027c7a5d450017bcb5e12b8253b1c53fd2213aeda84891d5f95"},
    {"4361726c204d656e676572", "dfbce0c38210ccee35e830aca9dd8b8b3997b933e75bfc8864b759"},
    {"4a65616e2d426170746973746520536179",
     "4c487a88330c7c65e44d430addf3d92d2a15b081a2892b96693e00b68aec0adac2"},
    {"457567656e2042f6686d20766f6e2042617765726b",
     "471cb9f8252d8ae7b25c93f4b4aebdbf25e5baa23f14bc743559e3ef7fd065e69cfaef55ee"},
};
static const char prologue_hex[] = "4a6f686e2047616c74";
static const char init_ephemeral_hex[] =
    "893e28b9dc6ca8d611ab664754b8ceb7bac5117349a4439a6b0569da977c464a";
static const char resp_public_hex[] =
    "31e0303fd6418d2f8c0e78b91f22e8caed0fbe48656dcf4767e4834f701b8f62";
static const char resp_static_hex[] =
    "4a3acbfdb163dec651dfa3194dece676d437029c62a408b4c5ea9114246e4893";
static const char resp_ephemeral_hex[] =
    "bbdb4cdbd309f1a1f2e1456967fe288cadd6f712d65dc7b7793d5e63da6b375b";

static struct fb_noise *side(bool initiator) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    uint8_t fixed[FB_KEY_LEN], ephemeral[FB_KEY_LEN], prologue[64];
    assert_non_null(crypto);
    unhex(initiator ? resp_public_hex : resp_static_hex, fixed);
    unhex(initiator ? init_ephemeral_hex : resp_ephemeral_hex, ephemeral);
    size_t len = unhex(prologue_hex, prologue);
    return crypto->noise_new(crypto->ctx, initiator, fixed, ephemeral, prologue, len);
}

static void sealed_as_published(const uint8_t key_bytes[FB_KEY_LEN], uint8_t counter, size_t i) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    uint8_t payload[64], expected[96], out[96];
    /* Noise's ChaChaPoly nonce: 32 zero bits, then the counter in little-endian (section 12). */
    const uint8_t nonce[FB_NONCE_LEN] = {[4] = counter};
    size_t len = unhex(messages[i].payload, payload);
    size_t sealed = unhex(messages[i].ciphertext, expected);
    struct fb_key *key = crypto->key_new(crypto->ctx, key_bytes);
    assert_non_null(key);
    assert_int_equal(sealed, len + FB_TAG_LEN);
    crypto->seal(key, nonce, NULL, 0, payload, len, out);
    assert_memory_equal(out, expected, sealed);
    crypto->key_free(key);
}

static void published_vector(void **state) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    struct fb_noise *init = side(true), *resp = side(false);
    uint8_t keys[4][FB_KEY_LEN];
    assert_non_null(init);
    assert_non_null(resp);
    for (size_t i = 0; i < 2; i++) {
        struct fb_noise *from = i == 0 ? init : resp, *to = i == 0 ? resp : init;
        uint8_t payload[64], expected[128], out[128], back[64];
        size_t len = unhex(messages[i].payload, payload);
        size_t msg_len = unhex(messages[i].ciphertext, expected);
        assert_int_equal(msg_len, len + FB_NOISE_OVERHEAD);
        assert_int_equal(crypto->noise_write(from, payload, len, out), 0);
        assert_memory_equal(out, expected, msg_len);
        assert_int_equal(crypto->noise_read(to, out, msg_len, back), 0);
        assert_memory_equal(back, payload, len);
    }
    assert_int_equal(crypto->noise_split(init, keys[0], keys[1]), 0);
    assert_int_equal(crypto->noise_split(resp, keys[2], keys[3]), 0);
    assert_memory_equal(keys[0], keys[3], FB_KEY_LEN);
    assert_memory_equal(keys[1], keys[2], FB_KEY_LEN);
    sealed_as_published(keys[0], 0, 2);
    sealed_as_published(keys[1], 0, 3);
    sealed_as_published(keys[0], 1, 4);
    sealed_as_published(keys[1], 1, 5);
    crypto->noise_free(init);
    crypto->noise_free(resp);
}

static void wrong_order(void **state) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    struct fb_noise *init = side(true), *resp = side(false);
    uint8_t msg[FB_NOISE_OVERHEAD], out[1], key[FB_KEY_LEN];
    assert_int_equal(crypto->noise_write(resp, NULL, 0, msg), FB_ERR_STATE);
    assert_int_equal(crypto->noise_read(init, msg, sizeof msg, out), FB_ERR_STATE);
    assert_int_equal(crypto->noise_split(init, key, key), FB_ERR_STATE);
    assert_int_equal(crypto->noise_write(init, NULL, 0, msg), 0);
    assert_int_equal(crypto->noise_write(init, NULL, 0, msg), FB_ERR_STATE);
    assert_int_equal(crypto->noise_split(init, key, key), FB_ERR_STATE);
    crypto->noise_free(init);
    crypto->noise_free(resp);
    crypto->noise_free(NULL);
}

/* Any altered byte fails, and a handshake that has failed stays failed. */
static void altered_messages(void **state) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    uint8_t msg[128], out[64];
    size_t len = unhex(messages[0].ciphertext, msg);
    for (size_t i = 0; i < len; i++) {
        struct fb_noise *resp = side(false);
        msg[i] ^= 0x04; /* not the top bit of a public key, which X25519 ignores but h does not */
        assert_int_equal(crypto->noise_read(resp, msg, len, out), FB_ERR_AUTH);
        msg[i] ^= 0x04;
        assert_int_equal(crypto->noise_read(resp, msg, len, out), FB_ERR_STATE);
        crypto->noise_free(resp);
    }
    for (size_t short_len = 0; short_len < FB_NOISE_OVERHEAD; short_len++) {
        struct fb_noise *resp = side(false);
        assert_int_equal(crypto->noise_read(resp, msg, short_len, out), FB_ERR_MALFORMED);
        crypto->noise_free(resp);
    }
}

static void other_key_or_prologue(void **state) {
    const struct fb_crypto *crypto = fb_crypto_openssl();
    uint8_t msg[128], out[64], secret[FB_KEY_LEN];
    size_t len = unhex(messages[0].ciphertext, msg);
    unhex(resp_static_hex, secret);
    struct fb_noise *resp = crypto->noise_new(crypto->ctx, false, secret, secret, "other", 5);
    assert_int_equal(crypto->noise_read(resp, msg, len, out), FB_ERR_AUTH);
    crypto->noise_free(resp);
    uint8_t prologue[64];
    size_t prologue_len = unhex(prologue_hex, prologue);
    secret[5] ^= 1;
    resp = crypto->noise_new(crypto->ctx, false, secret, secret, prologue, prologue_len);
    assert_int_equal(crypto->noise_read(resp, msg, len, out), FB_ERR_AUTH);
    crypto->noise_free(resp);
}

/* Public keys of small order, with which everybody could compute the shared secret: 0, 1, and a
 * point of order 8 (RFC 7748 section 7; the list is that of cr.yp.to/ecdh.html). */
static void low_order_keys(void **state) {
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    };
    const struct fb_crypto *crypto = fb_crypto_openssl();
    uint8_t ephemeral[FB_KEY_LEN], msg[FB_NOISE_OVERHEAD] = {0}, out[1];
    unhex(init_ephemeral_hex, ephemeral);
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        unhex(points[i], msg);
        struct fb_noise *resp = side(false);
        assert_int_equal(crypto->noise_read(resp, msg, sizeof msg, out), FB_ERR_AUTH);
        crypto->noise_free(resp);
        uint8_t point[FB_KEY_LEN];
        unhex(points[i], point);
        struct fb_noise *init = crypto->noise_new(crypto->ctx, true, point, ephemeral, NULL, 0);
        assert_non_null(init);
        assert_int_equal(crypto->noise_write(init, NULL, 0, msg), FB_ERR_AUTH);
        crypto->noise_free(init);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vector), cmocka_unit_test(wrong_order),
        cmocka_unit_test(altered_messages), cmocka_unit_test(other_key_or_prologue),
        cmocka_unit_test(low_order_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
