/* core/document: what a reader refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/document.h"
#include "crypto/openssl.h"

#define NOW UINT64_C(1800000000)

static const uint8_t seed[FB_KEY_LEN] = {1};
static uint8_t network[FB_KEY_LEN];
static struct fb_document sample, read_back;
static uint8_t bytes[FB_DOCUMENT_MAX];
static size_t len;

static int encode(const struct fb_document *document) {
    return fb_document_encode(fb_crypto_openssl(), document, seed, bytes, &len);
}

static int verify(uint64_t now_s, uint64_t known_serial) {
    return fb_document_verify(fb_crypto_openssl(), network, bytes, len, now_s, known_serial,
                              &read_back);
}

static int setup(void **state) {
    memset(&sample, 0, sizeof sample);
    sample.profile = 3;
    sample.min_version = FB_SOFTWARE_VERSION(0, 1, 2);
    sample.serial = 7;
    sample.issued_s = NOW - 100;
    sample.expires_s = NOW + 100;
    sample.broker_count = 2;
    strcpy(sample.brokers[0].url, "https://broker.example");
    memset(sample.brokers[0].sealing_key, 11, FB_KEY_LEN);
    memset(sample.brokers[0].ticket_key, 12, FB_KEY_LEN);
    strcpy(sample.brokers[1].url, "http://127.0.0.1:8080/base");
    sample.egress_count = 1;
    memset(sample.egresses[0].id, 13, FB_EGRESS_ID_LEN);
    strcpy(sample.egresses[0].url, "wss://egress.example/v1/path");
    sample.stun_count = 2;
    strcpy(sample.stun[0], "stun.example:3478");
    strcpy(sample.stun[1], "[2001:db8::1]:3478");
    memset(&read_back, 0, sizeof read_back);
    return fb_ed25519_public(seed, network);
}

static void round_trip(void **state) {
    assert_int_equal(encode(&sample), 0);
    assert_int_equal(verify(NOW, 0), 0);
    assert_memory_equal(&read_back, &sample, sizeof sample);
    assert_ptr_equal(fb_document_egress(&read_back, sample.egresses[0].id), &read_back.egresses[0]);
    assert_null(fb_document_egress(&read_back, network));
    sample.flags = FB_DOCUMENT_LOCAL;
    sample.stun_count = 0;
    assert_int_equal(encode(&sample), 0);
    assert_int_equal(verify(NOW, 0), 0);
    assert_int_equal(read_back.flags, FB_DOCUMENT_LOCAL);
}

static void forged(void **state) {
    assert_int_equal(encode(&sample), 0);
    for (size_t i = 1; i < len; i++) {
        bytes[i] ^= 1;
        assert_int_equal(verify(NOW, 0), FB_ERR_AUTH);
        bytes[i] ^= 1;
    }
    network[0] ^= 1; /* another network's key */
    assert_int_equal(verify(NOW, 0), FB_ERR_AUTH);
    /* A failure leaves what the caller has. */
    assert_int_equal(read_back.serial, 0);
}

static void older_or_expired(void **state) {
    assert_int_equal(encode(&sample), 0);
    assert_int_equal(verify(NOW, 7), 0);
    assert_int_equal(verify(NOW, 8), FB_ERR_USED);
    assert_int_equal(verify(NOW + 99, 0), 0);
    assert_int_equal(verify(NOW + 100, 0), FB_ERR_EXPIRED);
    assert_int_equal(verify(NOW + 100, 8), FB_ERR_USED);
    assert_int_equal(verify(NOW - 1000, 0), 0); /* a reader's clock may be slow */
}

static void truncated_or_longer(void **state) {
    assert_int_equal(encode(&sample), 0);
    struct fb_document out;
    for (size_t n = 0; n < len; n++)
        assert_int_not_equal(fb_document_parse(bytes, n, &out), 0);
    assert_int_equal(fb_document_parse(bytes, len + 1, &out), FB_ERR_MALFORMED);
    assert_int_equal(fb_document_parse(bytes, FB_DOCUMENT_MAX + 1, &out), FB_ERR_TOO_BIG);
    bytes[0] = 2;
    assert_int_equal(fb_document_parse(bytes, len, &out), FB_ERR_VERSION);
    assert_int_equal(verify(NOW, 0), FB_ERR_VERSION);
}

/* What an operator must not be able to sign by mistake, and a reader refuses whoever signed it. */
static void refused_fields(void **state) {
    static const char *const urls[] = {"",
                                       "broker.example",
                                       "ftp://broker.example",
                                       "wss://broker.example",
                                       "https://",
                                       "https://a b",
                                       "https://a/\n",
                                       "https://user@a",
                                       "https://a/#x",
                                       "https://a;script-src",
                                       "https://a/;script-src",
                                       "https://a/'self'",
                                       "https://a:0",
                                       "https://a:65536",
                                       "https://a:x",
                                       "https://[::1",
                                       "https://a/\xc3\xa9"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct fb_document bad = sample;
        strcpy(bad.brokers[1].url, urls[i]);
        assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
    }
    struct fb_document bad = sample;
    strcpy(bad.egresses[0].url, "https://egress.example");
    assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
    bad = sample;
    strcpy(bad.stun[0], "stun.example");
    assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
    bad = sample;
    bad.broker_count = 0;
    assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
    bad = sample;
    bad.egress_count = FB_DOCUMENT_EGRESSES_MAX + 1;
    assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
    bad = sample;
    bad.flags = 0x80;
    assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
    bad = sample;
    bad.expires_s = bad.issued_s;
    assert_int_equal(encode(&bad), FB_ERR_MALFORMED);
}

static void addresses_without_tls(void **state) {
    assert_string_equal(fb_document_exposed(&sample), "http://127.0.0.1:8080/base");
    sample.flags = FB_DOCUMENT_LOCAL;
    assert_null(fb_document_exposed(&sample));
    sample.flags = 0;
    sample.broker_count = 1;
    assert_null(fb_document_exposed(&sample));
    strcpy(sample.egresses[0].url, "ws://egress.example/v1/path");
    assert_string_equal(fb_document_exposed(&sample), "ws://egress.example/v1/path");
    sample.flags = FB_DOCUMENT_LOCAL;
    assert_null(fb_document_exposed(&sample));
}

/* The same judged by the reader: a byte of a URL is replaced in the encoded form. */
static void reader_checks_strings(void **state) {
    struct fb_document out;
    assert_int_equal(encode(&sample), 0);
    uint8_t *at = memmem(bytes, len, "broker.example", 14);
    assert_non_null(at);
    static const char bad[] = {'\0', ' ', '\n', '\x7f', '"', '@', ';', '\xc3'};
    for (size_t i = 0; i < sizeof bad; i++) {
        *at = (uint8_t)bad[i];
        assert_int_equal(fb_document_parse(bytes, len, &out), FB_ERR_MALFORMED);
    }
    *at = 'x';
    assert_int_equal(fb_document_parse(bytes, len, &out), 0);
}

/* All lists full of the longest strings do not fit one message; most of it does. */
static void size_ceiling(void **state) {
    struct fb_document big = sample;
    big.broker_count = FB_DOCUMENT_BROKERS_MAX;
    big.egress_count = FB_DOCUMENT_EGRESSES_MAX;
    for (size_t i = 0; i < FB_DOCUMENT_BROKERS_MAX; i++) {
        memset(big.brokers[i].url, 'a', FB_URL_MAX);
        memcpy(big.brokers[i].url, "https://h/", 10);
    }
    for (size_t i = 0; i < FB_DOCUMENT_EGRESSES_MAX; i++) {
        memset(big.egresses[i].url, 'a', FB_URL_MAX);
        memcpy(big.egresses[i].url, "wss://h/", 8);
    }
    assert_int_equal(encode(&big), 0);
    assert_int_equal(verify(NOW, 0), 0);
    assert_memory_equal(&read_back, &big, sizeof big);
    big.stun_count = FB_DOCUMENT_STUN_MAX;
    for (size_t i = 0; i < FB_DOCUMENT_STUN_MAX; i++) {
        memset(big.stun[i], 'a', 200);
        strcpy(big.stun[i] + 200, ":3478");
    }
    assert_int_equal(encode(&big), FB_ERR_TOO_BIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(round_trip, setup),
        cmocka_unit_test_setup(forged, setup),
        cmocka_unit_test_setup(older_or_expired, setup),
        cmocka_unit_test_setup(truncated_or_longer, setup),
        cmocka_unit_test_setup(refused_fields, setup),
        cmocka_unit_test_setup(addresses_without_tls, setup),
        cmocka_unit_test_setup(reader_checks_strings, setup),
        cmocka_unit_test_setup(size_ceiling, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
