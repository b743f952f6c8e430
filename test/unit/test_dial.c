/* role/dial and role/quota on loopback: which address is connected to, which never is, and what the
 * client hears. Exceptions of the policy stand in for public addresses. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "dns.h"
#include "net/loop.h"
#include "role/dial.h"

#define SECOND_US UINT64_C(1000000)

static struct dns_record records[] = {
    {.name = "good.test", .first = {"127.0.0.2"}},
    {.name = "both.test", .first = {"::1", "127.0.0.2"}},
    {.name = "rebind.test", .first = {"127.0.0.2"}, .then = {"127.0.0.3"}},
    {.name = "inside.test", .first = {"127.0.0.3"}, .then = {"127.0.0.2"}},
    {.name = "mixed.test", .first = {"127.0.0.3", "127.0.0.2"}},
    {.name = "loopback.test", .first = {"127.0.0.1"}},
    {.name = "metadata.test", .first = {"169.254.169.254"}},
    {.name = "azure.test", .first = {"168.63.129.16"}},
    {.name = "loopback6.test", .first = {"::1"}},
    {.name = "mapped.test", .first = {"::ffff:10.0.0.1"}},
    {.name = "zero.test", .first = {"0.0.0.0"}},
    {.name = "shared.test", .first = {"100.64.0.1"}},
    {.name = "local6.test", .first = {"fd00::8"}},
    {.name = "empty.test"},
    {0},
};

struct bench {
    uv_loop_t loop;
    struct dns dns;
    struct fb_resolver *resolver;
    struct fb_exit_policy *policy;
    struct fb_dialer *dialer;
    int fd; /* listens at 127.0.0.2 */
    uint16_t port;
    /* what the last dial gave */
    bool told;
    enum fb_dest_status status;
    uv_tcp_t *tcp;
};

static int listen_at(const char *ip, uint16_t *port, int backlog) {
    struct fb_addr addr;
    assert_int_equal(fb_addr_parse(ip, strlen(ip), &addr), 0);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(*port)};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(*port)};
    memcpy(&in.sin_addr, addr.ip, 4);
    memcpy(&in6.sin6_addr, addr.ip, 16);
    const struct sockaddr *sa = addr.family == 4 ? (const struct sockaddr *)&in
                                                 : (const struct sockaddr *)&in6;
    socklen_t len = addr.family == 4 ? sizeof in : sizeof in6;
    int fd = socket(addr.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, sa, len) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    if (addr.family == 4) {
        assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
        *port = ntohs(in.sin_port);
    }
    return fd;
}

static void except(struct bench *bench, const char *ip, uint16_t port) {
    struct fb_addr addr;
    assert_int_equal(fb_addr_parse(ip, strlen(ip), &addr), 0);
    addr.port = port;
    assert_int_equal(fb_exit_policy_except(bench->policy, &addr), 0);
}

static void set_up_limited(struct bench *bench, struct fb_quota_limits limits, uint64_t timeout) {
    memset(bench, 0, sizeof *bench);
    for (struct dns_record *r = records; r->name != NULL; r++)
        memset(r->queries, 0, sizeof r->queries);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    dns_start(&bench->dns, &bench->loop, records);
    bench->resolver = fb_resolver_new(&bench->loop, bench->dns.server);
    bench->policy = fb_exit_policy_new(fb_mem_default());
    assert_non_null(bench->resolver);
    assert_non_null(bench->policy);
    bench->fd = listen_at("127.0.0.2", &bench->port, 16);
    assert_true(bench->fd >= 0);
    except(bench, "127.0.0.2", bench->port);
    struct fb_dialer_config config = {&bench->loop, bench->resolver, bench->policy, limits,
                                      timeout};
    bench->dialer = fb_dialer_new(&config);
    assert_non_null(bench->dialer);
}

static void set_up(struct bench *bench) {
    set_up_limited(bench, (struct fb_quota_limits){0}, 5 * SECOND_US);
}

static void tear_down(struct bench *bench) {
    close(bench->fd);
    fb_dialer_free(bench->dialer);
    fb_exit_policy_free(bench->policy);
    fb_resolver_free(bench->resolver);
    dns_stop(&bench->dns);
    assert_int_equal(fb_loop_finish(&bench->loop), 0);
}

static void dialed(void *user, enum fb_dest_status status, uv_tcp_t *tcp) {
    struct bench *bench = user;
    assert_false(bench->told);
    bench->told = true;
    bench->status = status;
    bench->tcp = tcp;
}

static struct fb_dial *start(struct bench *bench, const char *host, uint16_t port) {
    struct fb_dest dest;
    assert_int_equal(fb_dest_make(&dest, host, strlen(host), port), 0);
    bench->told = false;
    struct fb_dial *dial = fb_dial_start(bench->dialer, &dest, dialed, bench);
    assert_non_null(dial);
    assert_false(bench->told);
    return dial;
}

/* The dial's result; its socket stays open. The dialer's own timeout bounds the wait. */
static enum fb_dest_status dial(struct bench *bench, const char *host, uint16_t port) {
    start(bench, host, port);
    while (!bench->told)
        assert_true(uv_run(&bench->loop, UV_RUN_ONCE));
    assert_int_equal(bench->tcp != NULL, bench->status == FB_DEST_OK);
    return bench->status;
}

static void hang_up(struct bench *bench) {
    fb_dial_close(bench->tcp, true);
    bench->tcp = NULL;
}

/* True when somebody has connected to the listener since the last call. */
static bool was_reached(int fd) {
    int got = accept(fd, NULL, NULL);
    if (got < 0)
        return false;
    close(got);
    return true;
}

static void connects(void **state) {
    struct bench bench;
    set_up(&bench);
    static const char *const hosts[] = {"127.0.0.2", "good.test", "::ffff:127.0.0.2"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dial(&bench, hosts[i], bench.port), FB_DEST_OK);
        assert_true(was_reached(bench.fd));
        hang_up(&bench);
    }
    tear_down(&bench);
}

/* None of these is ever connected to: the listener at the wildcard would see it. */
static void special_purpose_is_denied(void **state) {
    static const char *const hosts[] = {
        "loopback.test", "metadata.test", "azure.test",      "loopback6.test", "zero.test",
        "shared.test",   "local6.test",   "mapped.test",     "127.0.0.1",      "169.254.169.254",
        "168.63.129.16", "::1",           "::ffff:10.0.0.1", "0.0.0.0",        "100.64.0.1",
        "fd00::8",       "10.1.2.3",      "127.0.0.3",
    };
    struct bench bench;
    set_up(&bench);
    uint16_t port = 0;
    int all = listen_at("0.0.0.0", &port, 16);
    assert_true(all >= 0);
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (dial(&bench, hosts[i], port) != FB_DEST_DENIED)
            fail_msg("%s: %s", hosts[i], fb_dest_status_text((uint8_t)bench.status));
    assert_false(was_reached(all));
    close(all);
    tear_down(&bench);
}

/* The name is looked up once, and that answer alone is judged and connected to. */
static void changing_answers(void **state) {
    struct bench bench;
    set_up(&bench);
    int inside = listen_at("127.0.0.3", &bench.port, 16);
    assert_true(inside >= 0);
    assert_int_equal(dial(&bench, "rebind.test", bench.port), FB_DEST_OK);
    assert_true(was_reached(bench.fd));
    hang_up(&bench);
    assert_int_equal(dial(&bench, "inside.test", bench.port), FB_DEST_DENIED);
    assert_int_equal(dial(&bench, "mixed.test", bench.port), FB_DEST_OK);
    assert_true(was_reached(bench.fd));
    hang_up(&bench);
    assert_false(was_reached(inside));
    for (struct dns_record *r = records; r->name != NULL; r++)
        assert_true(r->queries[0] <= 1 && r->queries[1] <= 1);
    /* A second dial asks again, and gets the second answer. */
    assert_int_equal(dial(&bench, "rebind.test", bench.port), FB_DEST_DENIED);
    assert_false(was_reached(inside));
    close(inside);
    tear_down(&bench);
}

/* The machine's own search list is for its own people. */
static void names_are_whole(void **state) {
    struct bench bench;
    assert_int_equal(setenv("LOCALDOMAIN", "test", 1), 0);
    set_up(&bench);
    assert_int_equal(dial(&bench, "good", bench.port), FB_DEST_NO_NAME);
    assert_int_equal(dial(&bench, "good.test", bench.port), FB_DEST_OK);
    hang_up(&bench);
    assert_true(was_reached(bench.fd));
    tear_down(&bench);
    unsetenv("LOCALDOMAIN");
}

static void failures(void **state) {
    struct bench bench;
    set_up(&bench);
    assert_int_equal(dial(&bench, "missing.test", 80), FB_DEST_NO_NAME);
    assert_int_equal(dial(&bench, "empty.test", 80), FB_DEST_NO_NAME);
    close(bench.fd);
    assert_int_equal(dial(&bench, "good.test", bench.port), FB_DEST_REFUSED);
    /* IPv6 has nobody or does not exist, IPv4 refuses: the latter says more. */
    except(&bench, "::1", bench.port);
    assert_int_equal(dial(&bench, "both.test", bench.port), FB_DEST_REFUSED);
    bench.fd = -1;
    tear_down(&bench);
    assert_int_equal(fb_dial_status(UV_ENETUNREACH), FB_DEST_NET_UNREACHABLE);
    assert_int_equal(fb_dial_status(UV_EHOSTUNREACH), FB_DEST_HOST_UNREACHABLE);
    assert_int_equal(fb_dial_status(UV_ETIMEDOUT), FB_DEST_TIMED_OUT);
    assert_int_equal(fb_dial_status(UV_EMFILE), FB_DEST_LIMIT);
    assert_int_equal(fb_dial_status(UV_EINVAL), FB_DEST_INTERNAL);
}

/* Fills a listener's queue, after which connects to it get no answer. */
static void fill_queue(const char *ip, uint16_t port, int fds[static 4]) {
    struct fb_addr addr;
    fb_addr_parse(ip, strlen(ip), &addr);
    for (int i = 0; i < 4; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, addr.ip, 4);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fds[i], (const struct sockaddr *)&in, sizeof in);
    }
}

static void silent_addresses(void **state) {
    static struct dns_record slow[] = {{.name = "slow.test", .first = {"127.0.0.4", "127.0.0.2"}},
                                       {.name = "dead.test", .first = {"127.0.0.4"}},
                                       {0}};
    struct bench bench;
    int fds[4];
    set_up_limited(&bench, (struct fb_quota_limits){0}, 700000);
    bench.dns.table = slow;
    int silent = listen_at("127.0.0.4", &bench.port, 0);
    assert_true(silent >= 0);
    except(&bench, "127.0.0.4", bench.port);
    fill_queue("127.0.0.4", bench.port, fds);
    uint64_t begun = fb_now_us();
    /* Whatever order the look-up gives, the one that answers is connected to. */
    assert_int_equal(dial(&bench, "slow.test", bench.port), FB_DEST_OK);
    assert_true(was_reached(bench.fd));
    assert_true(fb_now_us() - begun < 650000);
    hang_up(&bench);
    begun = fb_now_us();
    assert_int_equal(dial(&bench, "dead.test", bench.port), FB_DEST_TIMED_OUT);
    assert_true(fb_now_us() - begun >= 700000);
    /* Cancelled in each of its stages, a dial says nothing. */
    struct fb_dial *looking = start(&bench, "dead.test", bench.port);
    fb_dial_cancel(looking);
    struct fb_dial *connecting = start(&bench, "127.0.0.4", bench.port);
    uv_run(&bench.loop, UV_RUN_ONCE);
    fb_dial_cancel(connecting);
    fb_dial_cancel(NULL);
    assert_false(bench.told);
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(silent);
    tear_down(&bench);
}

static void limits_per_address(void **state) {
    struct bench bench;
    set_up_limited(&bench, (struct fb_quota_limits){.at_once = 2}, 5 * SECOND_US);
    uv_tcp_t *held[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dial(&bench, "good.test", bench.port), FB_DEST_OK);
        held[i] = bench.tcp;
    }
    assert_int_equal(dial(&bench, "127.0.0.2", bench.port), FB_DEST_LIMIT);
    fb_dial_close(held[0], true);
    assert_int_equal(dial(&bench, "127.0.0.2", bench.port), FB_DEST_OK);
    hang_up(&bench);
    fb_dial_close(held[1], false);
    tear_down(&bench);
}

static void quotas(void **state) {
    const struct fb_quota_limits limits = {.at_once = 5, .per_second = 10, .burst = 3};
    struct fb_quota quota = {0};
    uint64_t now = 77 * SECOND_US;
    for (int i = 0; i < 3; i++) {
        assert_true(fb_quota_fits(&quota, &limits, now));
        fb_quota_take(&quota, &limits, now);
    }
    assert_false(fb_quota_fits(&quota, &limits, now));
    assert_false(fb_quota_fits(&quota, &limits, now + 99999));
    for (int i = 1; i <= 2; i++) {
        now += 100000;
        assert_true(fb_quota_fits(&quota, &limits, now));
        fb_quota_take(&quota, &limits, now);
        assert_false(fb_quota_fits(&quota, &limits, now));
    }
    now += 10 * SECOND_US;
    assert_false(fb_quota_fits(&quota, &limits, now)); /* five at once */
    fb_quota_give(&quota);
    assert_true(fb_quota_fits(&quota, &limits, now));
    assert_false(fb_quota_is_fresh(&quota, now));
    for (int i = 0; i < 4; i++)
        fb_quota_give(&quota);
    assert_true(fb_quota_is_fresh(&quota, now));
    fb_quota_take(&quota, &limits, now);
    fb_quota_give(&quota);
    assert_false(fb_quota_is_fresh(&quota, now)); /* its rate is still spent */
    const struct fb_quota_limits none = {0};
    for (int i = 0; i < 1000; i++) {
        assert_true(fb_quota_fits(&quota, &none, now));
        fb_quota_take(&quota, &none, now);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects),           cmocka_unit_test(special_purpose_is_denied),
        cmocka_unit_test(changing_answers),   cmocka_unit_test(names_are_whole),
        cmocka_unit_test(failures),           cmocka_unit_test(silent_addresses),
        cmocka_unit_test(limits_per_address), cmocka_unit_test(quotas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
