/* core/dest: what is a destination and what is not, and its one form on the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/dest.h"

static int make(struct fb_dest *dest, const char *host) {
    return fb_dest_make(dest, host, strlen(host), 443);
}

static void names(void **state) {
    struct fb_dest dest;
    static const char *const good[][2] = {
        {"example.org", "example.org"},
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"localhost", "localhost"},
        {"_dmarc.example", "_dmarc.example"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"1.2.3.4.example", "1.2.3.4.example"},
        {"0x7f.1.com", "0x7f.1.com"},
        {"a-b.3com", "a-b.3com"},
        {"0xfg", "0xfg"},
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(make(&dest, good[i][0]), 0);
        assert_int_equal(dest.addr.family, 0);
        assert_string_equal(dest.name, good[i][1]);
        assert_int_equal(dest.port, 443);
    }
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "a..b",
        ".a",
        "a b",
        "a/b",
        "a:b",
        "a\tb",
        "-a.org",
        "a-.org",
        "a.org-",
        "b\303\274cher.example",
        "a@b",
        "a%2eb",
        "user@host",
        "example.org..",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(make(&dest, bad[i]), FB_ERR_MALFORMED);
    assert_int_equal(fb_dest_make(&dest, "a\0b", 3, 80), FB_ERR_MALFORMED);
    assert_int_equal(fb_dest_make(&dest, "a.org", 5, 0), FB_ERR_MALFORMED);
}

static void lengths(void **state) {
    struct fb_dest dest;
    char label[65], name[256];
    memset(label, 'a', sizeof label);
    assert_int_equal(fb_dest_make(&dest, label, 63, 1), 0);
    assert_int_equal(fb_dest_make(&dest, label, 64, 1), FB_ERR_MALFORMED);
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = i % 50 == 49 ? '.' : 'a';
    assert_int_equal(fb_dest_make(&dest, name, 253, 1), 0);
    assert_int_equal(strlen(dest.name), 253);
    assert_int_equal(fb_dest_make(&dest, name, 254, 1), FB_ERR_MALFORMED);
    name[253] = '.';
    assert_int_equal(fb_dest_make(&dest, name, 254, 1), 0);
}

/* Every spelling of an address that the C library would take, and this must not. */
static void numbers_are_literals_or_nothing(void **state) {
    struct fb_dest dest;
    static const char *const bad[] = {
        "2130706433",  "0x7f000001", "0x7F.1",     "0177.0.0.1",  "017700000001", "127.1",
        "127.0.1",     "127.0.0.01", "127.0.0.1.", "127.0.0.0x1", "127.0.0.256",  "1.2.3.4.5",
        "0",           "0x",         "00",         "example.1",   "example.0x1f", "0xa9.254.43518",
        "[127.0.0.1]", "[::1",       "::1]",       "::g",         "fe80::1%eth0", "[]",
        "1.2.3",       "0127.0.0.1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(make(&dest, bad[i]), FB_ERR_MALFORMED);
    static const struct {
        const char *text;
        uint8_t family, last;
    } good[] = {{"127.0.0.1", 4, 0},
                {"::1", 6, 1},
                {"[::1]", 6, 1},
                {"::ffff:10.0.0.1", 6, 1},
                {"[2001:DB8::7]", 6, 7}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(make(&dest, good[i].text), 0);
        assert_int_equal(dest.addr.family, good[i].family);
        assert_int_equal(dest.addr.port, 443);
        assert_int_equal(dest.addr.ip[15], good[i].last);
        assert_string_equal(dest.name, "");
    }
}

static void round_trip(void **state) {
    static const char *const hosts[] = {"192.0.2.1", "2001:db8::1", "example.org"};
    static const uint8_t v4[] = {1, 192, 0, 2, 1, 0x01, 0xbb};
    for (size_t i = 0; i < 3; i++) {
        struct fb_dest dest, back;
        uint8_t wire[FB_DEST_MAX + 1];
        size_t used;
        assert_int_equal(make(&dest, hosts[i]), 0);
        size_t len = fb_dest_write(&dest, wire);
        if (i == 0) {
            assert_int_equal(len, sizeof v4);
            assert_memory_equal(wire, v4, sizeof v4);
        }
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(fb_dest_read(&back, wire, cut, &used), FB_ERR_AGAIN);
        assert_int_equal(fb_dest_read(&back, wire, len + 1, &used), 0);
        assert_int_equal(used, len);
        assert_memory_equal(&back, &dest, sizeof dest);
    }
}

static void wire_has_one_form(void **state) {
    static const struct {
        size_t len;
        uint8_t bytes[16];
    } bad[] = {
        {1, {0}},
        {1, {2}},
        {1, {5}},
        {2, {3, 0}},
        {2, {3, 254}},
        {7, {1, 1, 2, 3, 4, 0, 0}},        /* port 0 */
        {7, {3, 3, 'A', '.', 'b', 0, 80}}, /* upper case */
        {7, {3, 3, 'a', 'b', '.', 0, 80}}, /* final dot */
        {7, {3, 3, 'a', ' ', 'b', 0, 80}},
        {7, {3, 3, '1', '2', '7', 0, 80}},                      /* a number */
        {11, {3, 7, '1', '.', '2', '.', '3', '.', '4', 0, 80}}, /* a literal as a name */
        {7, {3, 3, ':', ':', '1', 0, 80}},
        {7, {3, 3, 'a', 0, 'b', 0, 80}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct fb_dest dest;
        size_t used;
        assert_int_equal(fb_dest_read(&dest, bad[i].bytes, bad[i].len, &used), FB_ERR_MALFORMED);
    }
}

static void status_texts(void **state) {
    for (int status = 0; status < 256; status++)
        assert_true(strlen(fb_dest_status_text((uint8_t)status)) > 3);
    assert_string_not_equal(fb_dest_status_text(FB_DEST_DENIED),
                            fb_dest_status_text(FB_DEST_REFUSED));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(lengths),
        cmocka_unit_test(numbers_are_literals_or_nothing),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(wire_has_one_form),
        cmocka_unit_test(status_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
