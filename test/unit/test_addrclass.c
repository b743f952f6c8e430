/*
 * core/addrclass: first and last address of every block in IANA's special-purpose registries (as of
 * 2025), the neighbours just outside, and IPv4 hidden in IPv6.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/addrclass.h"

static const char *class_of(const char *text) {
    struct fb_addr addr;
    if (fb_addr_parse(text, strlen(text), &addr) != 0)
        fail_msg("%s does not parse", text);
    return fb_addr_special(&addr);
}

static void expect_special(const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (class_of(list[i]) == NULL)
            fail_msg("%s is not special", list[i]);
}

static void expect_global(const char *const *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (class_of(list[i]) != NULL)
            fail_msg("%s: %s", list[i], class_of(list[i]));
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void ipv4(void **state) {
    static const char *const special[] = {
        "0.0.0.0",         "0.255.255.255",   "10.0.0.0",        "10.255.255.255",
        "100.64.0.0",      "100.64.0.1",      "100.100.100.200", "100.127.255.255",
        "127.0.0.0",       "127.0.0.1",       "127.255.255.255", "168.63.129.16",
        "169.254.0.0",     "169.254.169.254", "169.254.255.255", "172.16.0.0",
        "172.31.255.255",  "192.0.0.0",       "192.0.0.7",       "192.0.0.8",
        "192.0.0.9",       "192.0.0.10",      "192.0.0.170",     "192.0.0.171",
        "192.0.0.192",     "192.0.0.255",     "192.0.2.0",       "192.0.2.255",
        "192.31.196.0",    "192.31.196.255",  "192.52.193.0",    "192.52.193.255",
        "192.88.99.0",     "192.88.99.255",   "192.168.0.0",     "192.168.255.255",
        "192.175.48.0",    "192.175.48.255",  "198.18.0.0",      "198.19.255.255",
        "198.51.100.0",    "198.51.100.255",  "203.0.113.0",     "203.0.113.255",
        "224.0.0.0",       "224.0.0.251",     "239.255.255.255", "240.0.0.0",
        "255.255.255.254", "255.255.255.255",
    };
    static const char *const global[] = {
        "1.0.0.0",         "1.1.1.1",         "8.8.8.8",         "9.255.255.255",  "11.0.0.0",
        "100.63.255.255",  "100.128.0.0",     "126.255.255.255", "128.0.0.0",      "168.63.129.15",
        "168.63.129.17",   "169.253.255.255", "169.255.0.0",     "172.15.255.255", "172.32.0.0",
        "191.255.255.255", "192.0.1.0",       "192.0.1.255",     "192.0.3.0",      "192.31.195.255",
        "192.31.197.0",    "192.52.192.255",  "192.52.194.0",    "192.88.98.255",  "192.88.100.0",
        "192.167.255.255", "192.169.0.0",     "192.175.47.255",  "192.175.49.0",   "198.17.255.255",
        "198.20.0.0",      "198.51.99.255",   "198.51.101.0",    "203.0.112.255",  "203.0.114.0",
        "223.255.255.255",
    };
    expect_special(special, COUNT(special));
    expect_global(global, COUNT(global));
}

static void ipv6(void **state) {
    static const char *const special[] = {
        "::",
        "::1",
        "::2",
        "64:ff9b:1::",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "100::",
        "100::ffff:ffff:ffff:ffff",
        "100:0:0:1::",
        "100:0:0:1:ffff:ffff:ffff:ffff",
        "2001::",
        "2001::1",
        "2001:1::1",
        "2001:1::2",
        "2001:1::3",
        "2001:2::",
        "2001:2:0:ffff::",
        "2001:3::",
        "2001:3:ffff::",
        "2001:4:112::",
        "2001:4:112:ffff::",
        "2001:10::",
        "2001:1f:ffff::",
        "2001:20::",
        "2001:2f:ffff::",
        "2001:30::",
        "2001:3f:ffff::",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002::",
        "2002:ffff:ffff::",
        "2620:4f:8000::",
        "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
        "3ffe::1",
        "3fff::",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "5f00::",
        "5f00:ffff::",
        "fc00::",
        "fd00::1",
        "fd00:ec2::254",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fe80::",
        "fe80::1",
        "febf:ffff::",
        "fec0::1",
        "feff::1",
        "ff00::",
        "ff02::1",
        "ff0e::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        /* never allocated as global unicast */
        "200::1",
        "400::1",
        "1000::1",
        "1fff:ffff::",
        "4000::",
        "8000::1",
        "fe00::1",
        "fe7f::1",
    };
    static const char *const global[] = {
        "2000::1",        "2001:200::", "2001:4860:4860::8888", "2001:db7:ffff::",
        "2001:db9::",     "2003::1",    "2606:4700:4700::1111", "2620:4f:7fff:ffff::",
        "2620:4f:8001::", "2a00::1",    "3fff:1000::",          "3ffd::1",
    };
    expect_special(special, COUNT(special));
    expect_global(global, COUNT(global));
}

static void ipv4_inside_ipv6(void **state) {
    static const char *const special[] = {
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:168.63.129.16",
        "::ffff:0.0.0.0",
        "::ffff:255.255.255.255",
        "::10.0.0.1",
        "::8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b::192.168.1.1",
        "64:ff9b::168.63.129.16",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:ffff::10.0.0.1",
        "2002:a00:1::1",
        "2002:7f00:1::",
        "2002:808:808::1",
        "2001:0:a00:1::",
        "2001::f5ff:fffe",
        "::ffff:0:8.8.8.8",
        "64:ff9b:0:0:0:1:808:808",
    };
    static const char *const global[] = {"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "64:ff9b::1.1.1.1"};
    expect_special(special, COUNT(special));
    expect_global(global, COUNT(global));
}

static void names_say_what_it_is(void **state) {
    struct fb_addr none = {0};
    assert_string_equal(fb_addr_special(&none), "no address");
    assert_string_equal(class_of("169.254.169.254"), "cloud metadata");
    assert_string_equal(class_of("169.254.1.1"), "link local (RFC 3927)");
    assert_string_equal(class_of("192.0.0.1"), "IPv4 service continuity (RFC 7335)");
    assert_string_equal(class_of("255.255.255.255"), "limited broadcast (RFC 919)");
    assert_string_equal(class_of("255.255.255.254"), "reserved (RFC 1112)");
    assert_string_equal(class_of("2001:0:1::"), "Teredo (RFC 4380)");
    assert_string_equal(class_of("2001:5::"), "IETF protocol assignments (RFC 2928)");
    assert_string_equal(class_of("::ffff:10.0.0.1"), "private use (RFC 1918)");
    assert_string_equal(class_of("4000::"), "not global unicast");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ipv4),
        cmocka_unit_test(ipv6),
        cmocka_unit_test(ipv4_inside_ipv6),
        cmocka_unit_test(names_say_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
