/* core/proxyhead: SOCKS5 and HTTP heads, whole and byte by byte, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/proxyhead.h"
#include "env.h"

struct run {
    struct test_mem tm;
    struct fb_mem mem;
    struct fb_proxyhead *ph;
    enum fb_proxy_state state;
    size_t used;
    uint8_t out[2048];
    size_t out_len;
};

/* Feeds in pieces of `step` bytes until something is decided. */
static void feed(struct run *run, const void *bytes, size_t len, size_t step) {
    const uint8_t *in = bytes;
    *run = (struct run){0};
    run->mem = test_mem_make(&run->tm);
    run->ph = fb_proxyhead_new(&run->mem);
    assert_non_null(run->ph);
    while (run->state == FB_PROXY_MORE && run->used < len) {
        size_t piece = len - run->used < step ? len - run->used : step, used, out;
        run->state = fb_proxyhead_feed(run->ph, in + run->used, piece, &used);
        assert_true(used <= piece && (used > 0 || run->state == FB_PROXY_REFUSED));
        run->used += used;
        const uint8_t *said = fb_proxyhead_output(run->ph, &out);
        assert_true(run->out_len + out <= sizeof run->out);
        memcpy(run->out + run->out_len, said, out);
        run->out_len += out;
    }
}

static void end(struct run *run) {
    fb_proxyhead_free(run->ph);
    assert_int_equal(run->tm.live, 0);
}

static void assert_said(const struct run *run, const void *bytes, size_t len) {
    assert_int_equal(run->out_len, len);
    assert_memory_equal(run->out, bytes, len);
}

static void assert_reply(const struct run *run, uint8_t status, const char *start) {
    uint8_t out[FB_PROXYHEAD_REPLY_MAX + 1];
    size_t len = fb_proxyhead_reply(run->ph, status, out);
    out[len] = 0;
    if (strncmp((char *)out, start, strlen(start)) != 0)
        fail_msg("status %d: %s", status, (char *)out);
}

#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static void socks_addresses(void **state) {
    static const uint8_t v4[] = {5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 7, 0x1f, 0x90, 'G'};
    static const uint8_t v6[] = {5, 2, 2, 0, 5, 1, 0, 4, 0x20, 1, 0xd, 0xb8, 0,  0,
                                 0, 0, 0, 0, 0, 0, 0, 0, 0,    9, 0,   80,   'G'};
    static const uint8_t name[] = {5,   1,   0,   5,   1,   0,   3, 7,  'E',
                                   'x', '.', 'o', 'r', 'g', '.', 0, 80, 'G'};
    static const uint8_t literal[] = {5,   1,   0,   5,   1,   0,   3, 7,  '1',
                                      '.', '2', '.', '3', '.', '4', 0, 80, 'G'};
    static const struct {
        const uint8_t *bytes;
        size_t len;
        const char *host;
        uint16_t port;
    } cases[] = {{v4, sizeof v4, "192.0.2.7", 8080},
                 {v6, sizeof v6, "2001:db8::9", 80},
                 {name, sizeof name, "ex.org", 80},
                 {literal, sizeof literal, "1.2.3.4", 80}};
    for (size_t i = 0; i < 4; i++) {
        for (size_t step = 1; step <= cases[i].len; step++) {
            struct run run;
            struct fb_dest want;
            assert_int_equal(
                fb_dest_make(&want, cases[i].host, strlen(cases[i].host), cases[i].port), 0);
            feed(&run, cases[i].bytes, cases[i].len, step);
            assert_int_equal(run.state, FB_PROXY_READY);
            assert_int_equal(run.used, cases[i].len - 1); /* 'G' is the origin's */
            assert_memory_equal(fb_proxyhead_dest(run.ph), &want, sizeof want);
            assert_said(&run, BYTES(5, 0));
            assert_true(fb_proxyhead_body(run.ph) == UINT64_MAX);
            size_t first;
            fb_proxyhead_first(run.ph, &first);
            assert_int_equal(first, 0);
            end(&run);
        }
    }
}

static void socks_password(void **state) {
    static const uint8_t in[] = {5, 1, 2, 1, 3, 'b', 'o', 'b', 2, 'p', 'w',
                                 5, 1, 0, 1, 1, 2,   3,   4,   0, 80};
    for (size_t step = 1; step <= sizeof in; step++) {
        struct run run;
        feed(&run, in, sizeof in, step);
        assert_int_equal(run.state, FB_PROXY_READY);
        assert_said(&run, BYTES(5, 2, 1, 0));
        end(&run);
    }
    struct run run;
    feed(&run, BYTES(5, 1, 2, 1, 0, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 80), 99);
    assert_int_equal(run.state, FB_PROXY_READY); /* empty ones */
    end(&run);
    feed(&run, BYTES(5, 1, 2, 5, 0, 0), 99);
    assert_int_equal(run.state, FB_PROXY_REFUSED);
    assert_said(&run, BYTES(5, 2, 1, 1));
    end(&run);
}

static void socks_refusals(void **state) {
    static const struct {
        size_t len;
        uint8_t in[20];
        size_t out_len;
        uint8_t out[12];
    } cases[] = {
        {3, {5, 1, 1}, 2, {5, 0xff}}, /* GSSAPI alone */
        {2, {5, 0}, 2, {5, 0xff}},    /* no method at all */
        {13, {5, 1, 0, 5, 2, 0, 1, 1, 2, 3, 4, 0, 80}, 12, {5, 0, 5, 7, 0, 1}}, /* BIND */
        {13, {5, 1, 0, 5, 3, 0, 1, 1, 2, 3, 4, 0, 80}, 12, {5, 0, 5, 7, 0, 1}}, /* UDP */
        {13, {5, 1, 0, 5, 1, 0, 2, 1, 2, 3, 4, 0, 80}, 12, {5, 0, 5, 8, 0, 1}},
        {13, {5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 0}, 12, {5, 0, 5, 4, 0, 1}}, /* port 0 */
        {10, {5, 1, 0, 5, 1, 0, 3, 0, 0, 80}, 12, {5, 0, 5, 4, 0, 1}},         /* no name */
        {14, {5, 1, 0, 5, 1, 0, 3, 4, '0', 'x', '7', 'f', 0, 80}, 12, {5, 0, 5, 4, 0, 1}},
        {13, {5, 1, 0, 4, 1, 0, 1, 1, 2, 3, 4, 0, 80}, 2, {5, 0}}, /* version */
        {9, {4, 1, 0, 80, 1, 2, 3, 4, 0}, 8, {0, 91}},             /* SOCKS4 */
        {5, {22, 3, 1, 2, 0}, 7, {21, 3, 1, 0, 2, 2, 70}},         /* TLS */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t step = 1; step <= cases[i].len; step++) {
            struct run run;
            feed(&run, cases[i].in, cases[i].len, step);
            assert_int_equal(run.state, FB_PROXY_REFUSED);
            assert_said(&run, cases[i].out, cases[i].out_len);
            assert_true(strlen(fb_proxyhead_why(run.ph)) > 5);
            end(&run);
        }
    }
}

static void socks_replies(void **state) {
    static const uint8_t codes[FB_DEST_STATUS_COUNT] = {[FB_DEST_OK] = 0,
                                                        [FB_DEST_INTERNAL] = 1,
                                                        [FB_DEST_DENIED] = 2,
                                                        [FB_DEST_NET_UNREACHABLE] = 3,
                                                        [FB_DEST_HOST_UNREACHABLE] = 4,
                                                        [FB_DEST_REFUSED] = 5,
                                                        [FB_DEST_TIMED_OUT] = 6,
                                                        [FB_DEST_NO_NAME] = 4,
                                                        [FB_DEST_LIMIT] = 1};
    struct run run;
    feed(&run, BYTES(5, 1, 0, 5, 1, 0, 1, 1, 2, 3, 4, 0, 80), 99);
    for (int status = 0; status < 256; status++) {
        uint8_t out[FB_PROXYHEAD_REPLY_MAX];
        uint8_t want[10] = {5, status < FB_DEST_STATUS_COUNT ? codes[status] : 1, 0, 1};
        assert_int_equal(fb_proxyhead_reply(run.ph, (uint8_t)status, out), 10);
        assert_memory_equal(out, want, 10);
    }
    end(&run);
}

static void http_connect(void **state) {
    static const struct {
        const char *head, *host;
        uint16_t port;
    } cases[] = {
        {"CONNECT example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n", "example.org", 443},
        {"CONNECT example.org:443 HTTP/1.0\n\n", "example.org", 443},
        {"CONNECT [2001:db8::1]:22 HTTP/1.1\r\n\r\n", "2001:db8::1", 22},
        {"CONNECT 192.0.2.1:65535 HTTP/1.1\r\nProxy-Authorization: Basic eA==\r\n\r\n", "192.0.2.1",
         65535},
    };
    for (size_t i = 0; i < 4; i++) {
        char in[200];
        size_t len = strlen(cases[i].head);
        memcpy(in, cases[i].head, len);
        memcpy(in + len, "\x16\x03", 2);
        for (size_t step = 1; step <= len + 2; step++) {
            struct run run;
            struct fb_dest want;
            size_t first;
            fb_dest_make(&want, cases[i].host, strlen(cases[i].host), cases[i].port);
            feed(&run, in, len + 2, step);
            assert_int_equal(run.state, FB_PROXY_READY);
            assert_int_equal(run.used, len);
            assert_int_equal(run.out_len, 0);
            assert_memory_equal(fb_proxyhead_dest(run.ph), &want, sizeof want);
            assert_true(fb_proxyhead_body(run.ph) == UINT64_MAX);
            fb_proxyhead_first(run.ph, &first);
            assert_int_equal(first, 0);
            assert_reply(&run, FB_DEST_OK, "HTTP/1.1 200 Connection established\r\n\r\n");
            assert_reply(&run, FB_DEST_REFUSED, "HTTP/1.1 502 Bad Gateway\r\n");
            assert_reply(&run, FB_DEST_NO_NAME, "HTTP/1.1 502 Bad Gateway\r\n");
            assert_reply(&run, FB_DEST_DENIED, "HTTP/1.1 403 Forbidden\r\n");
            assert_reply(&run, FB_DEST_TIMED_OUT, "HTTP/1.1 504 Gateway Timeout\r\n");
            assert_reply(&run, FB_DEST_LIMIT, "HTTP/1.1 503 Service Unavailable\r\n");
            assert_reply(&run, FB_PROXY_NO_PATH, "HTTP/1.1 503 Service Unavailable\r\n");
            end(&run);
        }
    }
}

static void http_absolute(void **state) {
    static const struct {
        const char *head, *first, *host;
        uint16_t port;
        uint64_t body;
    } cases[] = {
        {"GET http://example.org/a/b?c=d HTTP/1.1\r\nHost: other\r\nAccept: */*\r\n"
         "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n\r\n",
         "GET /a/b?c=d HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nConnection: close\r\n\r\n",
         "example.org", 80, 0},
        {"POST http://[2001:db8::1]:8080 HTTP/1.1\nContent-Length: 12\nConnection: x-a, Keep-Alive,"
         "content-length\nX-A: 1\nKeep-Alive: 3\nTE: trailers\nUpgrade: h2c\nX-B:2 \n\n",
         "POST / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nContent-Length: 12\r\nX-B: 2\r\n"
         "Connection: close\r\n\r\n",
         "2001:db8::1", 8080, 12},
        {"PUT HTTP://Example.ORG:81?q HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         "PUT /?q HTTP/1.0\r\nHost: Example.ORG:81\r\nTransfer-Encoding: chunked\r\n"
         "Connection: close\r\n\r\n",
         "example.org", 81, UINT64_MAX},
        {"OPTIONS http://example.org: HTTP/1.1\r\n\r\n",
         "OPTIONS * HTTP/1.1\r\nHost: example.org:\r\nConnection: close\r\n\r\n", "example.org", 80,
         0},
    };
    for (size_t i = 0; i < 4; i++) {
        size_t len = strlen(cases[i].head);
        for (size_t step = 1; step <= len; step += 7) {
            struct run run;
            struct fb_dest want;
            size_t first_len;
            fb_dest_make(&want, cases[i].host, strlen(cases[i].host), cases[i].port);
            feed(&run, cases[i].head, len, step);
            assert_int_equal(run.state, FB_PROXY_READY);
            assert_int_equal(run.used, len);
            assert_memory_equal(fb_proxyhead_dest(run.ph), &want, sizeof want);
            const uint8_t *first = fb_proxyhead_first(run.ph, &first_len);
            assert_int_equal(first_len, strlen(cases[i].first));
            assert_memory_equal(first, cases[i].first, first_len);
            assert_true(fb_proxyhead_body(run.ph) == cases[i].body);
            uint8_t out[FB_PROXYHEAD_REPLY_MAX];
            assert_int_equal(fb_proxyhead_reply(run.ph, FB_DEST_OK, out), 0);
            assert_reply(&run, FB_DEST_HOST_UNREACHABLE, "HTTP/1.1 502 ");
            end(&run);
        }
    }
}

static void http_refusals(void **state) {
    static const struct {
        const char *head, *start;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http:///a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://user@example.org/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://2130706433/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://[::1/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://[127.0.0.1]/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://a:b/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://a:0/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://a:65536/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://a/#b HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET http://a/ b HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET https://a/ HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"GET ftp://a/ HTTP/1.1\r\n\r\n", "HTTP/1.1 501 "},
        {"CONNECT a HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"CONNECT a: HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"CONNECT a:80 HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
        {"PRI * HTTP/2.0\r\n\r\n", "HTTP/1.1 505 "},
        {"HELO mail\r\n\r\n", "HTTP/1.1 400 "},
        {"SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 400 "},
        {"CONNECT a:80 HTTP/1.1\r\nno colon\r\n\r\n", "HTTP/1.1 400 "},
        {"CONNECT a:80 HTTP/1.1\r\nA : b\r\n\r\n", "HTTP/1.1 400 "},
        {"CONNECT a:80 HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", "HTTP/1.1 400 "},
        {"CONNECT a:80 HTTP/1.1\r\nA: b\rc\r\n\r\n", "HTTP/1.1 400 "},
        {"PUT http://a/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
         "HTTP/1.1 400 "},
        {"PUT http://a/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n", "HTTP/1.1 400 "},
        {"PUT http://a/ HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n", "HTTP/1.1 400 "},
        {"PUT http://a/ HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 1\r\n\r\n",
         "HTTP/1.1 400 "},
        {"\x01\x02", "HTTP/1.1 400 "},
        {" GET", "HTTP/1.1 400 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t step = 1; step < 100; step += 33) {
            struct run run;
            feed(&run, cases[i].head, strlen(cases[i].head), step);
            assert_int_equal(run.state, FB_PROXY_REFUSED);
            if (strncmp((char *)run.out, cases[i].start, strlen(cases[i].start)) != 0)
                fail_msg("%s: %s", cases[i].head, (char *)run.out);
            /* The body is one line that a person can read, as long as announced. */
            const char *body = strstr((char *)run.out, "\r\n\r\nfootbridge: ");
            assert_non_null(body);
            assert_int_equal(run.out[run.out_len - 1], '\n');
            assert_true(strlen(fb_proxyhead_why(run.ph)) > 5);
            end(&run);
        }
    }
}

static void http_ceilings(void **state) {
    static char in[FB_PROXYHEAD_MAX * 2];
    struct run run;
    memset(in, 'a', sizeof in);
    feed(&run, in, sizeof in, 4096); /* no line end at all */
    assert_int_equal(run.state, FB_PROXY_REFUSED);
    assert_memory_equal(run.out, "HTTP/1.1 431 ", 13);
    assert_true(run.used <= FB_PROXYHEAD_MAX);
    end(&run);
    memcpy(in, "GET http://a/ HTTP/1.1\r\n", 24);
    for (size_t at = 64; at < sizeof in - 7; at += 1000)
        memcpy(in + at, "\nname: ", 7);
    feed(&run, in, sizeof in, 4096);
    assert_int_equal(run.state, FB_PROXY_REFUSED);
    assert_memory_equal(run.out, "HTTP/1.1 431 ", 13);
    assert_true(run.used <= FB_PROXYHEAD_MAX + 1);
    end(&run);
    for (size_t at = 24; at < sizeof in - 4; at += 4)
        memcpy(in + at, "a:b\n", 4);
    feed(&run, in, sizeof in, 4096);
    assert_int_equal(run.state, FB_PROXY_REFUSED);
    assert_memory_equal(run.out, "HTTP/1.1 431 ", 13);
    end(&run);
}

static void failing_memory(void **state) {
    static const char head[] = "GET http://a/ HTTP/1.1\r\nA: b\r\n\r\n";
    for (uint64_t fail = 1; fail <= 3; fail++) {
        struct test_mem tm = {.fail_at = fail};
        struct fb_mem mem = test_mem_make(&tm);
        struct fb_proxyhead *ph = fb_proxyhead_new(&mem);
        size_t used;
        assert_int_equal(ph == NULL, fail == 1);
        if (ph != NULL)
            assert_int_equal(fb_proxyhead_feed(ph, (const uint8_t *)head, sizeof head - 1, &used),
                             FB_PROXY_REFUSED);
        fb_proxyhead_free(ph);
        assert_int_equal(tm.live, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(socks_addresses), cmocka_unit_test(socks_password),
        cmocka_unit_test(socks_refusals),  cmocka_unit_test(socks_replies),
        cmocka_unit_test(http_connect),    cmocka_unit_test(http_absolute),
        cmocka_unit_test(http_refusals),   cmocka_unit_test(http_ceilings),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
