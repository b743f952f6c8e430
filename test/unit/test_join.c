/* core/join, core/url and base/base64url. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64url.h"
#include "base/err.h"
#include "core/join.h"
#include "crypto/openssl.h"

static struct fb_join sample, read_back;
static char text[FB_JOIN_MAX + 1];

static int parse(const char *link) {
    return fb_join_parse(fb_crypto_openssl(), link, &read_back);
}

static int setup(void **state) {
    memset(&sample, 0, sizeof sample);
    for (size_t i = 0; i < FB_KEY_LEN; i++)
        sample.network[i] = (uint8_t)(0xf0 + i);
    sample.broker_count = 2;
    strcpy(sample.brokers[0], "https://broker.example");
    strcpy(sample.brokers[1], "http://[::1]:8080/a?b=c&d=%20");
    return fb_join_format(fb_crypto_openssl(), &sample, text);
}

static void round_trip(void **state) {
    assert_int_equal(parse(text), 0);
    assert_memory_equal(&read_back, &sample, sizeof sample);
    assert_null(strstr(text, "d=%20")); /* the URL's own "&", "=" and "%" are encoded */
    char padded[FB_JOIN_MAX + 8];
    snprintf(padded, sizeof padded, " \t%s\r\n", text);
    assert_int_equal(parse(padded), 0);
    assert_memory_equal(&read_back, &sample, sizeof sample);
}

static void percent_encoding_of_others(void **state) {
    char link[FB_JOIN_MAX + 64];
    *strchr(text, '?') = '\0';
    snprintf(link, sizeof link, "%s?v=9&at=https%%3a%%2f%%2fbroker.example&&later", text);
    assert_int_equal(parse(link), 0);
    assert_int_equal(read_back.broker_count, 1);
    assert_string_equal(read_back.brokers[0], "https://broker.example");
}

static void not_a_link(void **state) {
    static const char *const links[] = {
        "", " ", "footbridge", "https://broker.example", "Footbridge:x", "xfootbridge:"};
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        assert_int_equal(parse(links[i]), FB_ERR_NOT_FOUND);
}

/* Every changed, lost or added letter of the key is noticed. */
static void damaged_key(void **state) {
    char *key = strchr(text, ':') + 1;
    size_t len = strcspn(key, "?");
    for (size_t i = 0; i < len; i++) {
        char was = key[i];
        key[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(parse(text), FB_ERR_AUTH);
        key[i] = '=';
        assert_int_equal(parse(text), FB_ERR_AUTH);
        key[i] = was;
    }
    memmove(key + 1, key, strlen(key) + 1);
    assert_int_equal(parse(text), FB_ERR_AUTH);
    memmove(key, key + 2, strlen(key + 2) + 1);
    assert_int_equal(parse(text), FB_ERR_AUTH);
    assert_int_equal(parse("footbridge:?at=https://a"), FB_ERR_AUTH);
}

static void no_address(void **state) {
    char *query = strchr(text, '?');
    strcpy(query, "?");
    assert_int_equal(parse(text), FB_ERR_STATE);
    strcpy(query, "?to=https://a");
    assert_int_equal(parse(text), FB_ERR_STATE);
    *query = '\0';
    assert_int_equal(parse(text), FB_ERR_STATE);
    sample.broker_count = 0;
    assert_int_equal(fb_join_format(fb_crypto_openssl(), &sample, text), FB_ERR_STATE);
}

static void damaged_address(void **state) {
    static const char *const ends[] = {
        "?at=",
        "?at=a",
        "?at=ftp://a",
        "?at=https://a%2",
        "?at=https://a%",
        "?at=https://%00",
        "?at=https://a%0Ab",
        "?at=https://a%zz",
        "?at=https://a b",
        "?at=wss://a",
        "?at=https://a&at=b",
        "?at=https://\xc3\xa9",
    };
    char *query = strchr(text, '?');
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        strcpy(query, ends[i]);
        assert_int_equal(parse(text), FB_ERR_MALFORMED);
    }
    strcpy(sample.brokers[0], "broker.example");
    assert_int_equal(fb_join_format(fb_crypto_openssl(), &sample, text), FB_ERR_MALFORMED);
}

static void too_long(void **state) {
    char longer[FB_JOIN_MAX + 300];
    char *query = strchr(text, '?');
    size_t head = (size_t)(query - text);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    memcpy(longer, text, head);
    longer[head] = '?';
    assert_int_equal(parse(longer), FB_ERR_TOO_BIG);
    strcpy(query, "?at=https://a&at=https://a&at=https://a&at=https://a");
    assert_int_equal(parse(text), 0);
    strcat(query, "&at=https://a");
    assert_int_equal(parse(text), FB_ERR_TOO_BIG);
    /* The longest address that a document allows fits, four times. */
    sample.broker_count = FB_JOIN_BROKERS_MAX;
    for (size_t i = 0; i < FB_JOIN_BROKERS_MAX; i++) {
        memset(sample.brokers[i], 'a', FB_URL_MAX);
        memcpy(sample.brokers[i], "https://h/", 10);
    }
    assert_int_equal(fb_join_format(fb_crypto_openssl(), &sample, text), 0);
    assert_int_equal(parse(text), 0);
    assert_memory_equal(&read_back, &sample, sizeof sample);
}

/* RFC 4648 section 10, without its padding, and the two characters of section 5. */
static void base64url_of_rfc4648(void **state) {
    static const struct {
        const char *bytes, *encoded;
    } vectors[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char out[16];
        uint8_t back[16];
        size_t len = strlen(vectors[i].bytes);
        fb_base64url_encode(vectors[i].bytes, len, out);
        assert_string_equal(out, vectors[i].encoded);
        assert_int_equal(fb_base64url_decode(out, strlen(out), back, len), 0);
        assert_memory_equal(back, vectors[i].bytes, len);
    }
    uint8_t out[4];
    assert_int_equal(fb_base64url_decode("Zh", 2, out, 1), FB_ERR_MALFORMED); /* spare bits set */
    assert_int_equal(fb_base64url_decode("Zg==", 4, out, 1), FB_ERR_MALFORMED);
    assert_int_equal(fb_base64url_decode("Z+", 2, out, 1), FB_ERR_MALFORMED);
    assert_int_equal(fb_base64url_decode("Zm9v", 4, out, 2), FB_ERR_MALFORMED);
}

static void url_parts(void **state) {
    struct fb_url url;
    assert_int_equal(fb_url_parse("https://a-b.example", FB_URL_HTTP, &url), 0);
    assert_true(url.tls);
    assert_string_equal(url.host, "a-b.example");
    assert_int_equal(url.port, 443);
    assert_string_equal(url.path, "");
    assert_int_equal(fb_url_parse("ws://[2001:db8::1]:81/v1/path?x", FB_URL_WS, &url), 0);
    assert_false(url.tls);
    assert_string_equal(url.host, "2001:db8::1");
    assert_int_equal(url.port, 81);
    assert_string_equal(url.path, "/v1/path?x");
    char host[FB_HOST_MAX + 1];
    uint16_t port;
    assert_int_equal(fb_hostport_parse("[::1]:65535", host, &port), 0);
    assert_string_equal(host, "::1");
    assert_int_equal(port, 65535);
    assert_int_equal(fb_hostport_parse("a:1x", host, &port), FB_ERR_MALFORMED);
    assert_int_equal(fb_hostport_parse("a:", host, &port), FB_ERR_MALFORMED);
    assert_int_equal(fb_hostport_parse(":1", host, &port), FB_ERR_MALFORMED);
    char longest[FB_HOST_MAX + 16];
    memset(longest, 'a', sizeof longest);
    strcpy(longest + FB_HOST_MAX + 1, ":1");
    assert_int_equal(fb_hostport_parse(longest, host, &port), FB_ERR_TOO_BIG);
    strcpy(longest + FB_HOST_MAX, ":1");
    assert_int_equal(fb_hostport_parse(longest, host, &port), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(round_trip, setup),
        cmocka_unit_test_setup(percent_encoding_of_others, setup),
        cmocka_unit_test(not_a_link),
        cmocka_unit_test_setup(damaged_key, setup),
        cmocka_unit_test_setup(no_address, setup),
        cmocka_unit_test_setup(damaged_address, setup),
        cmocka_unit_test_setup(too_long, setup),
        cmocka_unit_test(base64url_of_rfc4648),
        cmocka_unit_test(url_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
