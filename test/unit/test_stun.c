/* core/stun: answers to the byte, and silence where RFC 8489 asks for it. core/bucket beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "core/bucket.h"
#include "core/stun.h"
#include "env.h"

/* The transaction id of RFC 5769, which also has the addresses and answers of section 2.2, 2.3. */
static const uint8_t request[20] = {0x00, 0x01, 0x00, 0x00, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7,
                                    0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};
static const struct fb_addr four = {.family = 4, .ip = {192, 0, 2, 1}, .port = 32853};
static const struct fb_addr six = {
    .family = 6,
    .ip = {0x20, 0x01, 0x0d, 0xb8, 0x12, 0x34, 0x56, 0x78, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66,
           0x77},
    .port = 32853,
};

static void mapped_addresses(void **state) {
    /* RFC 5769 section 2.2: XOR-MAPPED-ADDRESS of 192.0.2.1:32853. */
    static const uint8_t attr4[] = {0x00, 0x20, 0x00, 0x08, 0x00, 0x01,
                                    0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43};
    /* Section 2.3: of [2001:db8:1234:5678:11:2233:4455:6677]:32853. */
    static const uint8_t attr6[] = {0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47,
                                    0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79,
                                    0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9};
    uint8_t out[FB_STUN_REPLY_MAX];
    assert_int_equal(fb_stun_respond(request, sizeof request, &four, out, sizeof out), 32);
    assert_int_equal(out[0] << 8 | out[1], 0x0101);
    assert_int_equal(out[3], 12);
    assert_memory_equal(out + 4, request + 4, 16);
    assert_memory_equal(out + 20, attr4, sizeof attr4);
    assert_int_equal(fb_stun_respond(request, sizeof request, &six, out, sizeof out), 44);
    assert_int_equal(out[3], 24);
    assert_memory_equal(out + 20, attr6, sizeof attr6);
}

/* RFC 5769 section 2.1: a request with SOFTWARE, PRIORITY, ICE-CONTROLLED, USERNAME,
 * MESSAGE-INTEGRITY and FINGERPRINT. */
static const uint8_t sample[] = {
    0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86,
    0xfa, 0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65, 0x73,
    0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00, 0x04, 0x6e, 0x00, 0x01, 0xff,
    0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9, 0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09,
    0x65, 0x76, 0x74, 0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00, 0x14,
    0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2, 0xb5, 0xb2, 0xd3, 0xf2, 0x49,
    0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00, 0x04, 0xe5, 0x7a, 0x3b, 0xcf};

static void fingerprints(void **state) {
    uint8_t out[FB_STUN_REPLY_MAX], bad[sizeof sample];
    size_t len = fb_stun_respond(sample, sizeof sample, &four, out, sizeof out);
    assert_int_equal(len, 40);
    assert_int_equal(out[3], 20);
    static const uint8_t head[] = {0x80, 0x28, 0x00, 0x04};
    assert_memory_equal(out + 32, head, sizeof head);
    memcpy(bad, sample, sizeof sample);
    for (size_t i = 0; i < sizeof sample; i++) {
        if (i == sizeof sample - 8 || i == sizeof sample - 7)
            continue; /* FINGERPRINT's type: then it has none */
        bad[i] ^= 1;
        assert_int_equal(fb_stun_respond(bad, sizeof bad, &four, out, sizeof out), 0);
        bad[i] ^= 1;
    }
    for (size_t cut = 0; cut < sizeof sample; cut++)
        assert_int_equal(fb_stun_respond(sample, cut, &four, out, sizeof out), 0);
}

static void unknown_attributes(void **state) {
    uint8_t in[20 + 12 * 4 + 4], out[FB_STUN_REPLY_MAX];
    memcpy(in, request, 20);
    in[3] = sizeof in - 20;
    memset(in + 20, 0, sizeof in - 20);
    for (int i = 0; i < 12; i++) {
        in[20 + 4 * i] = 0x70;
        in[21 + 4 * i] = (uint8_t)i;
    }
    in[sizeof in - 4] = 0x90; /* may be ignored */
    size_t len = fb_stun_respond(in, sizeof in, &four, out, sizeof out);
    assert_int_equal(out[0] << 8 | out[1], 0x0111);
    static const uint8_t error[] = {0x00, 0x09, 0x00, 0x04, 0x00, 0x00, 0x04, 0x14,
                                    0x00, 0x0a, 0x00, 0x10, 0x70, 0x00, 0x70, 0x01};
    assert_memory_equal(out + 20, error, sizeof error);
    assert_int_equal(len, 20 + 8 + 4 + 16); /* eight of them are named */
    in[20] = 0x90;
    for (int i = 1; i < 12; i++)
        in[20 + 4 * i] = i == 5 ? 0x70 : 0x90;
    len = fb_stun_respond(in, sizeof in, &four, out, sizeof out);
    assert_int_equal(len, 20 + 8 + 4 + 4); /* one, padded */
    assert_int_equal(out[31], 2);
}

static void silence(void **state) {
    uint8_t in[20], out[FB_STUN_REPLY_MAX];
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {{0, 0x01}, {1, 0x11}, {1, 0x03}, {4, 0}, {3, 4}, {0, 0x80}};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        memcpy(in, request, sizeof in);
        in[changes[i].at] = changes[i].value;
        assert_int_equal(fb_stun_respond(in, sizeof in, &four, out, sizeof out), 0);
    }
    static const struct fb_addr none = {0};
    assert_int_equal(fb_stun_respond(request, sizeof request, &none, out, sizeof out), 0);
    assert_int_equal(fb_stun_respond(request, sizeof request, &four, out, 31), 0);
}

static struct fb_addr nth(uint32_t n) {
    struct fb_addr addr = {.family = 4};
    memcpy(addr.ip, &n, 4);
    return addr;
}

static void buckets(void **state) {
    struct test_mem tm = {0};
    uint64_t seed = 1, now = 1000000;
    struct fb_mem mem = test_mem_make(&tm);
    struct fb_rng rng = test_rng_make(&seed);
    struct fb_buckets *b = fb_buckets_new(&mem, &rng, 3, 1000, 4);
    struct fb_addr a = nth(1);
    for (int i = 0; i < 3; i++)
        assert_true(fb_buckets_take(b, &a, now));
    assert_false(fb_buckets_take(b, &a, now));
    assert_false(fb_buckets_take(b, &a, now + 999));
    assert_true(fb_buckets_take(b, &a, now + 1000));
    assert_false(fb_buckets_take(b, &a, now + 1000));
    /* One IPv6 /64 is one; another is another. */
    struct fb_addr s = {.family = 6, .ip = {1}}, t = s, u = s;
    t.ip[15] = 9;
    u.ip[7] = 9;
    for (int i = 0; i < 3; i++)
        assert_true(fb_buckets_take(b, i % 2 ? &s : &t, now));
    assert_false(fb_buckets_take(b, &s, now));
    assert_true(fb_buckets_take(b, &u, now));
    /* Full: newcomers wait until somebody's bucket has filled up again. */
    struct fb_addr c = nth(2), d = nth(3);
    assert_true(fb_buckets_take(b, &c, now));
    assert_false(fb_buckets_take(b, &d, now));
    assert_true(fb_buckets_take(b, &d, now + 4000));
    for (uint32_t i = 10; i < 1000; i++) {
        struct fb_addr each = nth(i);
        assert_true(fb_buckets_take(b, &each, now + 4000 + i * 10000));
    }
    assert_true(fb_buckets_count(b) <= 4);
    fb_buckets_free(b);
    assert_int_equal(tm.live, 0);
    for (uint64_t i = 1; i <= 2; i++) {
        tm = (struct test_mem){.fail_at = i};
        assert_null(fb_buckets_new(&mem, &rng, 3, 1000, 4));
        assert_int_equal(tm.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mapped_addresses),
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(unknown_attributes),
        cmocka_unit_test(silence),
        cmocka_unit_test(buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
