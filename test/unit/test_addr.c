/* base/addr: what is an address literal, and RFC 5952's way of writing it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/err.h"

static struct fb_addr addr_of(const char *text) {
    struct fb_addr addr;
    assert_int_equal(fb_addr_parse(text, strlen(text), &addr), 0);
    return addr;
}

static void literals_and_canonical_text(void **state) {
    static const char *const pairs[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"192.0.2.1", "192.0.2.1"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* the first of two equal runs */
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* one group is no run */
        {"2001:0db8::0001", "2001:db8::1"},
        {"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"::ffff:10.0.0.1", "::ffff:10.0.0.1"},
        {"::ffff:a00:1", "::ffff:10.0.0.1"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char text[FB_ADDR_STR_MAX];
        struct fb_addr addr = addr_of(pairs[i][0]), again;
        assert_string_equal(fb_addr_format(&addr, text), pairs[i][1]);
        assert_int_equal(fb_addr_parse(text, strlen(text), &again), 0);
        assert_true(fb_addr_equal(&addr, &again));
    }
}

static void what_is_no_literal(void **state) {
    static const char *const bad[] = {
        "",
        "1",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3.04",
        "0177.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "1.2.3.",
        ".1.2.3",
        "1..2.3",
        " 1.2.3.4",
        "1.2.3.4 ",
        "1.2.3.-4",
        "+1.2.3.4",
        "1.2.3.4444444444",
        ":",
        ":::",
        "1:",
        ":1",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8",
        "1::2::3",
        "12345::",
        "g::",
        "::1%eth0",
        "[::1]",
        "::1.2.3",
        "::1.2.3.4:5",
        "1:2:3:4:5:6:7:1.2.3.4",
        "1.2.3.4::",
        "::1:",
        "1:::2",
        "fe80::1/64",
        "1:2:3:4:5:6:7:8:",
        "::ffff:010.0.0.1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fb_addr addr;
        memset(&addr, 1, sizeof addr);
        assert_int_equal(fb_addr_parse(bad[i], strlen(bad[i]), &addr), FB_ERR_MALFORMED);
        assert_int_equal(addr.family, 0);
    }
    /* The length counts, not a NUL. */
    struct fb_addr addr;
    assert_int_equal(fb_addr_parse("1.2.3.4\0", 8, &addr), FB_ERR_MALFORMED);
    assert_int_equal(fb_addr_parse("1.2.3.45", 7, &addr), 0);
    assert_int_equal(addr.ip[3], 4);
}

static void with_ports(void **state) {
    static const char *const good[] = {"1.2.3.4:80", "[::1]:0", "[2001:db8::1]:65535"};
    static const char *const bad[] = {
        "1.2.3.4",      "1.2.3.4:",   "1.2.3.4:65536",
        "1.2.3.4:080",  "1.2.3.4:-1", "::1:80",
        "[1.2.3.4]:80", "[::1]",      "[::1]80",
        "[::1:80",      "::1]:80",    ":80",
        "[]:80",        "",           ":",
        "1.2.3.4:8 ",
    };
    char text[FB_ADDR_STR_MAX];
    struct fb_addr addr;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(fb_addr_parse_port(good[i], strlen(good[i]), &addr), 0);
        assert_string_equal(fb_addr_format_port(&addr, text), good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fb_addr_parse_port(bad[i], strlen(bad[i]), &addr), FB_ERR_MALFORMED);
}

static void comparing(void **state) {
    struct fb_addr a = addr_of("10.1.2.3"), b = addr_of("10.1.2.3");
    b.port = 1;
    assert_true(fb_addr_same_ip(&a, &b));
    assert_false(fb_addr_equal(&a, &b));
    struct fb_addr net = addr_of("10.1.0.0"), other = addr_of("10.1.128.0");
    assert_true(fb_addr_in_prefix(&a, &net, 16));
    assert_true(fb_addr_in_prefix(&a, &other, 16));
    assert_false(fb_addr_in_prefix(&a, &other, 17));
    assert_true(fb_addr_in_prefix(&a, &other, 0));
    assert_false(fb_addr_in_prefix(&a, &net, 32));
    assert_false(fb_addr_in_prefix(&a, &net, 200));
    struct fb_addr six = addr_of("::"), none = {0};
    assert_false(fb_addr_in_prefix(&a, &six, 0));
    assert_false(fb_addr_in_prefix(&none, &none, 0));
    struct fb_addr mapped = addr_of("::ffff:10.1.2.3");
    assert_false(fb_addr_same_ip(&a, &mapped));
    mapped = fb_addr_unmap(&mapped);
    assert_true(fb_addr_equal(&a, &mapped));
}

static void prefixes(void **state) {
    static const char *const same[][2] = {{"192.0.2.1", "192.0.2.254"},
                                          {"192.0.2.1", "::ffff:192.0.2.9"},
                                          {"2001:db8:1:1200::1", "2001:db8:1:12ff::1"}};
    static const char *const differ[][2] = {{"192.0.2.1", "192.0.3.1"},
                                            {"2001:db8:1:1200::1", "2001:db8:1:1300::1"}};
    uint8_t a[FB_ADDR_PREFIX_LEN], b[FB_ADDR_PREFIX_LEN];
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        struct fb_addr x = addr_of(same[i][0]), y = addr_of(same[i][1]);
        fb_addr_prefix(&x, a);
        fb_addr_prefix(&y, b);
        assert_memory_equal(a, b, sizeof a);
    }
    for (size_t i = 0; i < sizeof differ / sizeof *differ; i++) {
        struct fb_addr x = addr_of(differ[i][0]), y = addr_of(differ[i][1]);
        fb_addr_prefix(&x, a);
        fb_addr_prefix(&y, b);
        assert_memory_not_equal(a, b, sizeof a);
    }
    struct fb_addr none = {0};
    fb_addr_prefix(&none, a);
    static const uint8_t zero[FB_ADDR_PREFIX_LEN];
    assert_memory_equal(a, zero, sizeof a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_and_canonical_text),
        cmocka_unit_test(what_is_no_literal),
        cmocka_unit_test(with_ports),
        cmocka_unit_test(comparing),
        cmocka_unit_test(prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
