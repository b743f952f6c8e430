/* The smaller parts of src/net: timers, resolver, STUN responder, tables of countries, the
 * machine's own addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "core/stun.h"
#include "dns.h"
#include "net/geoip.h"
#include "net/loop.h"
#include "net/ownaddr.h"
#include "net/resolver.h"
#include "net/sockaddr.h"
#include "net/stun.h"
#include "wait.h"

#define LIMIT_MS 10000

/* ---- loop ---- */

struct ticks {
    unsigned count;
    uint64_t at_us;
};

static void ticked(void *user) {
    struct ticks *ticks = user;
    ticks->count++;
    ticks->at_us = fb_now_us();
}

static bool has_ticked(void *ctx) {
    return ((struct ticks *)ctx)->count > 0;
}

static void timers(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct ticks early = {0}, late = {0}, never = {0};
    struct fb_timer *a = fb_timer_new(&loop, ticked, &early);
    struct fb_timer *b = fb_timer_new(&loop, ticked, &late);
    struct fb_timer *c = fb_timer_new(&loop, ticked, &never);
    uint64_t start = fb_now_us();
    fb_timer_set(a, 1); /* long past */
    assert_int_equal(early.count, 0);
    fb_timer_set(b, start + 30000);
    fb_timer_set(c, start + 10000);
    fb_timer_set(c, FB_NEVER);
    assert_true(wait_for(&loop, has_ticked, &late, LIMIT_MS));
    assert_int_equal(early.count, 1);
    assert_int_equal(late.count, 1);
    assert_int_equal(never.count, 0);
    assert_true(late.at_us >= start + 30000);
    fb_timer_set(b, fb_now_us() + 1000000000);
    fb_timer_set(b, fb_now_us()); /* brought forward */
    late.count = 0;
    assert_true(wait_for(&loop, has_ticked, &late, LIMIT_MS));
    fb_timer_free(a);
    fb_timer_free(b);
    fb_timer_free(c);
    fb_timer_free(NULL);
    assert_int_equal(fb_loop_finish(&loop), 0);
}

static void randomness(void **state) {
    uint8_t a[600] = {0}, zero[64] = {0};
    fb_random(fb_rng_default(), a, sizeof a);
    for (size_t i = 0; i + sizeof zero <= sizeof a; i++)
        assert_memory_not_equal(a + i, zero, sizeof zero);
}

/* ---- resolver ---- */

struct found {
    unsigned calls;
    int err;
    size_t count;
    struct fb_addr addrs[FB_RESOLVE_MAX];
};

static void on_found(void *user, int err, const struct fb_addr *addrs, size_t count) {
    struct found *found = user;
    found->calls++;
    found->err = err;
    found->count = count;
    memcpy(found->addrs, addrs, count * sizeof *addrs);
}

static bool is_found(void *ctx) {
    return ((struct found *)ctx)->calls > 0;
}

static struct found ask(uv_loop_t *loop, struct fb_resolver *resolver, const char *name,
                        int family) {
    struct found found = {0};
    assert_non_null(fb_resolve(resolver, name, 99, family, 5000000, on_found, &found));
    assert_int_equal(found.calls, 0);
    assert_true(wait_for(loop, is_found, &found, LIMIT_MS));
    assert_int_equal(found.calls, 1);
    return found;
}

static void names(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct dns_record table[] = {{.name = "both.test", .first = {"9.9.9.9", "2001:db8::1"}},
                                 {.name = "six.test", .first = {"2001:db8::2"}},
                                 {.name = NULL}};
    struct dns dns;
    dns_start(&dns, &loop, table);
    struct fb_resolver *resolver = fb_resolver_new(&loop, dns.server);
    struct found found = ask(&loop, resolver, "both.test", 0);
    assert_int_equal(found.err, 0);
    assert_int_equal(found.count, 2);
    assert_int_equal(found.addrs[0].port, 99);
    found = ask(&loop, resolver, "both.test", 4);
    assert_int_equal(found.count, 1);
    assert_int_equal(found.addrs[0].ip[0], 9);
    found = ask(&loop, resolver, "six.test", 4);
    assert_int_equal(found.err, FB_ERR_NOT_FOUND);
    found = ask(&loop, resolver, "absent.test", 0);
    assert_int_equal(found.err, FB_ERR_NOT_FOUND);
    found = ask(&loop, resolver, "::1", 0);
    assert_int_equal(found.err, 0);
    assert_int_equal(found.addrs[0].family, 6);
    found = ask(&loop, resolver, "::1", 4);
    assert_int_equal(found.err, FB_ERR_NOT_FOUND);
    static const char *const bad[] = {"",         ".",          "a..b",         "127.1",
                                      "0x7f.1",   "2130706433", "017700000001", "0x7f000001",
                                      "1.2.3.4.", "a b",        "host_name.0x", "[::1]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(ask(&loop, resolver, bad[i], 0).err, FB_ERR_MALFORMED);
    fb_resolver_free(resolver);
    dns_stop(&dns);
    assert_int_equal(fb_loop_finish(&loop), 0);
}

static void lookups_end(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    /* A server that never answers. */
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    uv_udp_t silent;
    struct sockaddr_storage at;
    fb_addr_to_sockaddr(&addr, &at);
    uv_udp_init(&loop, &silent);
    assert_int_equal(uv_udp_bind(&silent, (struct sockaddr *)&at, 0), 0);
    int len = sizeof at;
    uv_udp_getsockname(&silent, (struct sockaddr *)&at, &len);
    char server[32];
    snprintf(server, sizeof server, "127.0.0.1:%u", fb_addr_of_sockaddr(&at).port);
    struct fb_resolver *resolver = fb_resolver_new(&loop, server);
    struct found slow = {0}, dropped = {0}, left = {0};
    fb_resolve(resolver, "slow.test", 1, 0, 50000, on_found, &slow);
    fb_resolve_cancel(fb_resolve(resolver, "dropped.test", 1, 0, 50000, on_found, &dropped));
    assert_true(wait_for(&loop, is_found, &slow, LIMIT_MS));
    assert_int_equal(slow.err, FB_ERR_TIMEOUT);
    fb_resolve(resolver, "left.test", 1, 0, 5000000, on_found, &left);
    fb_resolver_free(resolver);
    uv_close((uv_handle_t *)&silent, NULL);
    assert_int_equal(fb_loop_finish(&loop), 0);
    assert_int_equal(dropped.calls + left.calls, 0);
}

/* ---- STUN ---- */

struct asker {
    uv_udp_t udp;
    unsigned answers;
    uint8_t in[200];
    size_t len;
};

static void asker_buffer(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct asker *asker = handle->data;
    *buf = uv_buf_init((char *)asker->in, sizeof asker->in);
}

static void asker_got(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf, const struct sockaddr *from,
                      unsigned flags) {
    struct asker *asker = udp->data;
    if (from == NULL)
        return;
    asker->answers++;
    asker->len = (size_t)len;
}

static bool is_answered(void *ctx) {
    return ((struct asker *)ctx)->answers > 0;
}

static void stun_over_udp(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    char err[FB_NET_ERR_MAX], port[16];
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}}, again;
    struct fb_stun *stun = fb_stun_new(&loop, &addr, err);
    assert_non_null(stun);
    again = addr;
    assert_null(fb_stun_new(&loop, &again, err));
    snprintf(port, sizeof port, "port %u ", addr.port);
    assert_non_null(strstr(err, port));
    struct asker asker = {.answers = 0};
    uv_udp_init(&loop, &asker.udp);
    asker.udp.data = &asker;
    struct sockaddr_storage to;
    fb_addr_to_sockaddr(&addr, &to);
    uv_udp_recv_start(&asker.udp, asker_buffer, asker_got);
    uint8_t request[20] = {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4};
    uv_buf_t buf = uv_buf_init((char *)request, sizeof request);
    uv_udp_try_send(&asker.udp, &buf, 1, (struct sockaddr *)&to);
    assert_true(wait_for(&loop, is_answered, &asker, LIMIT_MS));
    assert_int_equal(asker.len, 32);
    struct sockaddr_storage own;
    int len = sizeof own;
    uv_udp_getsockname(&asker.udp, (struct sockaddr *)&own, &len);
    assert_int_equal((asker.in[26] << 8 | asker.in[27]) ^ 0x2112, fb_addr_of_sockaddr(&own).port);
    /* A flood from one address: the burst is answered, the rest is not. */
    for (int i = 0; i < 100; i++)
        uv_udp_try_send(&asker.udp, &buf, 1, (struct sockaddr *)&to);
    wait_for(&loop, wait_never, NULL, 100);
    assert_in_range(asker.answers, 15, 40);
    uv_close((uv_handle_t *)&asker.udp, NULL);
    fb_stun_free(stun);
    assert_int_equal(fb_loop_finish(&loop), 0);
}

/* ---- countries ---- */

static void check_country(const struct fb_geoip *geoip, const char *ip, const char *country) {
    struct fb_addr addr;
    uint8_t got[3] = {0};
    assert_int_equal(fb_addr_parse(ip, strlen(ip), &addr), 0);
    fb_geoip_country(geoip, &addr, got);
    assert_string_equal((char *)got, country);
}

static void countries(void **state) {
    static const char four[] = "# a comment\n16777216,16777471,AU\n16777472,16778239,CN\r\n"
                               "3232235520,3232235775,DE\n1,2\n5,4,FR\n7,8,??\n99999999999,9,XX\n"
                               "4294967295,4294967295,ZZ";
    static const char six[] = "#\n2001:db8::,2001:db8::ffff,NO\n2001:db8:1::,2001:db8:1::,SE\n"
                              "x,y,SE\n::,1.2.3.4,SE\n";
    struct fb_geoip *geoip = fb_geoip_new();
    check_country(geoip, "1.0.0.0", "");
    check_country(NULL, "1.0.0.0", "");
    /* The line that ends in CR is not one of the table's. */
    assert_int_equal(fb_geoip_add(geoip, 4, four, sizeof four - 1), 3);
    assert_int_equal(fb_geoip_add(geoip, 6, six, sizeof six - 1), 2);
    check_country(geoip, "1.0.0.0", "AU");
    check_country(geoip, "1.0.0.255", "AU");
    check_country(geoip, "1.0.1.0", "");
    check_country(geoip, "0.255.255.255", "");
    check_country(geoip, "192.168.0.9", "DE");
    check_country(geoip, "255.255.255.255", "ZZ");
    check_country(geoip, "2001:db8::1", "NO");
    check_country(geoip, "2001:db8:1::1", "");
    check_country(geoip, "::ffff:1.0.0.1", "AU");
    static const char overlap[] = "1,10,AA\n5,20,BB\n";
    assert_int_equal(fb_geoip_add(geoip, 4, overlap, sizeof overlap - 1), FB_ERR_MALFORMED);
    assert_int_equal(fb_geoip_add(geoip, 4, "", 0), FB_ERR_MALFORMED);
    check_country(geoip, "1.0.0.0", "AU");
    assert_int_equal(fb_geoip_load(geoip, "/nonexistent"), FB_ERR_NOT_FOUND);
    fb_geoip_free(geoip);
}

static void countries_from_files(void **state) {
    char dir[] = "/tmp/fb-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/geoip", dir);
    FILE *out = fopen(path, "w");
    fputs("16777216,16777471,AU\n", out);
    fclose(out);
    struct fb_geoip *geoip = fb_geoip_new();
    assert_int_equal(fb_geoip_load(geoip, dir), FB_ERR_NOT_FOUND); /* no geoip6 */
    check_country(geoip, "1.0.0.7", "AU");
    fb_geoip_free(geoip);
    unlink(path);
    rmdir(dir);
}

/* Debian's own tables, where this machine has them: well-known servers of long standing. */
static void countries_of_debian(void **state) {
    const char *tools = getenv("FB_TOOLS");
    char dir[512];
    snprintf(dir, sizeof dir, "%s%s", tools == NULL ? "" : tools, FB_GEOIP_DIR);
    struct fb_geoip *geoip = fb_geoip_new();
    int err = fb_geoip_load(geoip, dir);
    if (err == FB_ERR_NOT_FOUND) {
        fb_geoip_free(geoip);
        skip();
    }
    assert_int_equal(err, 0);
    check_country(geoip, "8.8.8.8", "US");
    check_country(geoip, "193.0.6.139", "NL");
    check_country(geoip, "2001:4860:4860::8888", "US");
    check_country(geoip, "2001:67c:2e8:22::c100:68b", "NL");
    check_country(geoip, "127.0.0.1", "");
    check_country(geoip, "::1", "");
    fb_geoip_free(geoip);
}

/* ---- own addresses ---- */

static bool is_reachable(void *ctx) {
    struct fb_addr addr = {.family = 4, .ip = {9, 9, 9, 9}, .port = 443};
    return fb_exit_policy_allows(ctx, &addr);
}

/* An address that no interface here has stands for one that has gone: the watch finds out. */
static void own_addresses_are_followed(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    struct fb_exit_policy *policy = fb_exit_policy_new(fb_mem_default());
    struct fb_addr gone = {.family = 4, .ip = {9, 9, 9, 9}};
    assert_false(fb_own_has(&gone));
    assert_int_equal(fb_exit_policy_interfaces(policy, &gone, 1), 0);
    assert_false(is_reachable(policy));
    struct fb_own_watch *watch = fb_own_watch_new(&loop, policy, 1000, NULL);
    assert_non_null(watch);
    assert_true(wait_for(&loop, is_reachable, policy, LIMIT_MS));
    fb_own_watch_free(watch);
    fb_exit_policy_free(policy);
    bool loopback;
    struct fb_addr mine = fb_own_address(&loopback);
    assert_true(fb_own_has(&mine));
    assert_int_equal(fb_loop_finish(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers),
        cmocka_unit_test(randomness),
        cmocka_unit_test(names),
        cmocka_unit_test(lookups_end),
        cmocka_unit_test(stun_over_udp),
        cmocka_unit_test(countries),
        cmocka_unit_test(countries_from_files),
        cmocka_unit_test(countries_of_debian),
        cmocka_unit_test(own_addresses_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
