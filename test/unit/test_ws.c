/* net/ws, net/server: both sides of a WebSocket on loopback, plain and TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <string.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/server.h"
#include "pem.h"
#include "wait.h"

#define LIMIT_MS 10000
#define SECOND_US UINT64_C(1000000)

/* One side of one socket, as a test sees it. */
struct side {
    struct fb_ws *ws;
    unsigned opened, messages, drained, closed;
    size_t bytes, last_len;
    uint8_t last[70000];
    bool echo, refuse;
    int code;
    char why[256];
};

static void on_open(void *user, struct fb_ws *ws) {
    struct side *side = user;
    side->opened++;
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct side *side = user;
    side->messages++;
    side->bytes += len;
    side->last_len = len;
    memcpy(side->last, data, len);
    if (side->echo)
        assert_int_equal(fb_ws_send(ws, data, len), 0);
}

static void on_drained(void *user, struct fb_ws *ws) {
    struct side *side = user;
    side->drained++;
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct side *side = user;
    side->closed++;
    side->code = code;
    side->ws = NULL;
    snprintf(side->why, sizeof side->why, "%s", why);
}

static const struct fb_ws_handler handler = {on_open, on_message, on_drained, on_closed};
static const struct fb_ws_limits limits = {.message_max = 65000, .send_max = 200000};

struct world {
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_addr addr;
    struct side here, there; /* client, server */
    struct pem pem;
};

static bool accept_side(void *ctx, struct fb_ws *ws, void **user) {
    struct world *w = ctx;
    if (w->there.refuse)
        return false;
    w->there.ws = ws;
    w->there.opened++;
    *user = &w->there;
    return true;
}

static struct world *world_new(bool tls, const char *name, struct fb_net_config config) {
    struct world *w = calloc(1, sizeof *w);
    char err[FB_NET_ERR_MAX];
    assert_int_equal(uv_loop_init(&w->loop), 0);
    pem_make(&w->pem, name);
    config.loop = &w->loop;
    config.ca_file = config.ca_file != NULL ? config.ca_file : w->pem.cert;
    w->net = fb_net_new(&config, err);
    assert_non_null(w->net);
    w->server = fb_server_new(w->net, tls ? w->pem.cert : NULL, tls ? w->pem.key : NULL, err);
    assert_non_null(w->server);
    struct fb_ws_route route = {"/v1/path", limits, &handler, accept_side, w};
    assert_int_equal(fb_server_add_ws(w->server, &route), 0);
    w->addr = (struct fb_addr){.family = 4, .ip = {127, 0, 0, 1}};
    assert_int_equal(fb_server_listen(w->server, &w->addr, err), 0);
    assert_int_not_equal(w->addr.port, 0);
    return w;
}

static void world_free(struct world *w) {
    fb_server_free(w->server);
    fb_net_free(w->net);
    assert_int_equal(fb_loop_finish(&w->loop), 0);
    pem_remove(&w->pem);
    free(w);
}

static struct fb_ws *connect_to(struct world *w, const char *scheme, const char *host,
                                const char *path, const struct fb_ws_limits *with,
                                struct side *side) {
    char url[200], err[FB_NET_ERR_MAX];
    snprintf(url, sizeof url, "%s://%s:%u%s", scheme, host, w->addr.port, path);
    side->ws = fb_ws_connect(w->net, url, with, 5 * SECOND_US, &handler, side, err);
    assert_non_null(side->ws);
    return side->ws;
}

static bool both_open(void *ctx) {
    struct world *w = ctx;
    return w->here.opened && w->there.opened;
}

static bool here_closed(void *ctx) {
    return ((struct world *)ctx)->here.closed > 0;
}

static bool there_closed(void *ctx) {
    return ((struct world *)ctx)->there.closed > 0;
}

static bool both_got(void *ctx) {
    struct world *w = ctx;
    return w->here.messages > 0 && w->there.messages > 0;
}

static void echoes(bool tls) {
    struct world *w = world_new(tls, "localhost", (struct fb_net_config){0});
    w->there.echo = true;
    connect_to(w, tls ? "wss" : "ws", "localhost", "/v1/path", &limits, &w->here);
    assert_int_equal(fb_ws_send(w->here.ws, "x", 1), FB_ERR_STATE);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    assert_int_equal(fb_ws_remote(w->there.ws)->family, 4);
    assert_int_equal(fb_ws_remote(w->there.ws)->ip[0], 127);
    static const size_t sizes[] = {1, 125, 126, 4095, 4096, 4097, 16000, 65000};
    uint8_t *data = malloc(65000);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        memset(data, (int)i + 1, sizes[i]);
        data[sizes[i] - 1] = 0x5a;
        w->here.messages = w->there.messages = 0;
        assert_int_equal(fb_ws_send2(w->here.ws, data, 1, data + 1, sizes[i] - 1), 0);
        assert_int_equal(fb_ws_buffered(w->here.ws), 0); /* the kernel had room: it is gone */
        assert_true(wait_for(&w->loop, both_got, w, LIMIT_MS));
        assert_int_equal(w->here.last_len, sizes[i]);
        assert_memory_equal(w->here.last, data, sizes[i]);
        assert_int_equal(w->here.messages, 1);
    }
    free(data);
    fb_ws_close(w->here.ws, 1000, "bye");
    assert_true(wait_for(&w->loop, there_closed, w, LIMIT_MS));
    assert_int_equal(w->there.code, 1000);
    assert_string_equal(w->there.why, "closed by the other side: bye");
    assert_int_equal(w->here.closed, 0); /* who closes hears no more */
    world_free(w);
}

static void echoes_plain(void **state) {
    echoes(false);
}

static void echoes_tls(void **state) {
    echoes(true);
}

static void server_closes_after_flushing(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){0});
    connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    uint8_t data[16000] = {7};
    for (int i = 0; i < 10; i++)
        assert_int_equal(fb_ws_send(w->there.ws, data, sizeof data), 0);
    fb_ws_close(w->there.ws, 4001, "ticket\nexpired");
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_int_equal(w->here.messages, 10);
    assert_int_equal(w->here.code, 4001);
    assert_string_equal(w->here.why, "closed by the other side: ticket?expired");
    assert_int_equal(w->there.closed, 0);
    world_free(w);
}

static void too_long_and_text(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){0});
    struct fb_ws_limits with = limits;
    with.send_max = 80000;
    connect_to(w, "ws", "localhost", "/v1/path", &with, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    static uint8_t data[80001];
    assert_int_equal(fb_ws_send(w->here.ws, data, sizeof data), FB_ERR_AGAIN);
    assert_int_equal(fb_ws_send(w->here.ws, data, 65001), 0);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_int_equal(w->here.code, 1009);
    assert_true(wait_for(&w->loop, there_closed, w, LIMIT_MS));
    assert_int_equal(w->there.messages, 0);
    world_free(w);
}

static bool stalled(void *ctx) {
    struct world *w = ctx;
    while (w->here.ws != NULL) {
        static uint8_t data[16000];
        int err = fb_ws_send(w->here.ws, data, sizeof data);
        if (err == 0)
            continue;
        assert_int_equal(err, FB_ERR_AGAIN);
        break;
    }
    return false;
}

static bool all_there(void *ctx) {
    struct world *w = ctx;
    return fb_ws_buffered(w->here.ws) == 0 && w->there.bytes > 0 &&
           w->there.bytes == w->there.messages * (size_t)16000 && w->here.drained > 0;
}

static void paused_reader_holds_the_sender(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){0});
    connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    fb_ws_pause(w->there.ws);
    /* Fill for half a second: kernel buffers take some megabytes, ours its ceiling. */
    wait_for(&w->loop, stalled, w, 500);
    size_t stuck = fb_ws_buffered(w->here.ws);
    assert_true(stuck > 0 && stuck <= limits.send_max);
    assert_int_equal(w->there.messages, 0);
    w->here.drained = 0;
    fb_ws_resume(w->there.ws);
    assert_true(wait_for(&w->loop, all_there, w, LIMIT_MS));
    world_free(w);
}

static void refused_by_accept_and_unknown_path(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){0});
    w->there.refuse = true;
    connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_int_equal(w->here.code, FB_WS_TRY_LATER);
    memset(&w->here, 0, sizeof w->here);
    connect_to(w, "ws", "localhost", "/v1/other", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_int_equal(w->here.opened, 0);
    assert_int_equal(w->here.code, 1006);
    world_free(w);
}

static void failures_have_reasons(void **state) {
    struct world *w = world_new(true, "other.example", (struct fb_net_config){0});
    connect_to(w, "wss", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_string_equal(w->here.why, "certificate of localhost does not match its name");
    memset(&w->here, 0, sizeof w->here);
    connect_to(w, "wss", "no-such-name.invalid", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_non_null(strstr(w->here.why, "name no-such-name.invalid: "));
    memset(&w->here, 0, sizeof w->here);
    fb_server_free(w->server);
    w->server = NULL;
    connect_to(w, "wss", "127.0.0.1", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_non_null(strstr(w->here.why, "cannot connect to 127.0.0.1 port "));
    char err[FB_NET_ERR_MAX];
    static const char *const bad[] = {"http://x/", "ws://",      "ws:///p",
                                      "ws://a:0/", "ws://a:b/",  "ws://u@h/",
                                      "ws://h/#f", "ws://[::1/", "ws://h?x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct side side = {0};
        assert_null(fb_ws_connect(w->net, bad[i], &limits, SECOND_US, &handler, &side, err));
        assert_non_null(strstr(err, "not a ws:// or wss:// URL"));
    }
    world_free(w);
}

static void untrusted_certificate(void **state) {
    struct pem other;
    pem_make(&other, "localhost");
    struct world *w = world_new(true, "localhost", (struct fb_net_config){.ca_file = other.cert});
    connect_to(w, "wss", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_string_equal(w->here.why,
                        "certificate of localhost is not signed by a trusted authority");
    pem_remove(&other);
    world_free(w);
}

static void one_at_a_time(struct fb_net_config config) {
    struct world *w = world_new(false, "localhost", config);
    connect_to(w, "ws", "127.0.0.1", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    assert_int_equal(fb_net_connections(w->net), 1);
    struct fb_ws *first = w->here.ws;
    memset(&w->here, 0, sizeof w->here);
    connect_to(w, "ws", "127.0.0.1", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, here_closed, w, LIMIT_MS));
    assert_int_equal(w->here.opened, 0);
    fb_ws_close(first, 1000, NULL);
    assert_true(wait_for(&w->loop, there_closed, w, LIMIT_MS));
    memset(&w->here, 0, sizeof w->here);
    w->there.opened = 0;
    connect_to(w, "ws", "127.0.0.1", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    world_free(w);
}

static void limit_per_address(void **state) {
    one_at_a_time((struct fb_net_config){.max_per_address = 1});
}

static void limit_in_all(void **state) {
    one_at_a_time((struct fb_net_config){.max_connections = 1});
}

static unsigned open_descriptors(void) {
    unsigned count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static bool all_gone(void *ctx) {
    return fb_net_connections(((struct world *)ctx)->net) == 0;
}

/* Either side closes, politely or by being refused: nothing stays open. */
static void hundred_sockets(void **state) {
    struct world *w = world_new(true, "localhost", (struct fb_net_config){0});
    unsigned before = 0;
    for (int i = 0; i < 100; i++) {
        memset(&w->here, 0, sizeof w->here);
        memset(&w->there, 0, sizeof w->there);
        w->there.refuse = i % 4 == 3;
        connect_to(w, "wss", "localhost", "/v1/path", &limits, &w->here);
        assert_true(wait_for(&w->loop, w->there.refuse ? here_closed : both_open, w, LIMIT_MS));
        if (!w->there.refuse) {
            fb_ws_send(w->here.ws, "x", 1);
            fb_ws_close(i % 2 ? w->here.ws : w->there.ws, 1000, NULL);
            assert_true(wait_for(&w->loop, i % 2 ? there_closed : here_closed, w, LIMIT_MS));
        }
        assert_true(wait_for(&w->loop, all_gone, w, LIMIT_MS));
        if (i == 10)
            before = open_descriptors();
    }
    assert_in_range(open_descriptors(), 1, before + 2);
    world_free(w);
}

static void pings(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){.silence_us = 100000});
    connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    /* Silent for long, alive all the time. */
    assert_false(wait_for(&w->loop, there_closed, w, 1000));
    assert_int_equal(w->here.closed, 0);
    /* One that reads nothing answers no ping; it is paused itself and so does not judge others. */
    fb_ws_pause(w->here.ws);
    assert_true(wait_for(&w->loop, there_closed, w, LIMIT_MS));
    assert_int_equal(w->there.code, 1006);
    world_free(w);
}

static void port_in_use_is_named(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){0});
    char err[FB_NET_ERR_MAX], port[16];
    struct fb_addr again = w->addr;
    assert_int_equal(fb_server_listen(w->server, &again, err), FB_ERR_USED);
    snprintf(port, sizeof port, "port %u ", w->addr.port);
    assert_non_null(strstr(err, port));
    assert_non_null(strstr(err, "in use"));
    world_free(w);
}

static void close_before_open(void **state) {
    struct world *w = world_new(false, "localhost", (struct fb_net_config){0});
    fb_ws_close(connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here), 1000, NULL);
    connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here);
    assert_true(wait_for(&w->loop, both_open, w, LIMIT_MS));
    assert_int_equal(w->here.closed, 0);
    assert_int_equal(w->there.opened, 1);
    /* One that is left dialling when everything ends. */
    connect_to(w, "ws", "localhost", "/v1/path", &limits, &w->here);
    world_free(w);
}

static void certificates_are_checked_at_start(void **state) {
    uv_loop_t loop;
    uv_loop_init(&loop);
    char err[FB_NET_ERR_MAX];
    struct fb_net_config config = {.loop = &loop, .ca_file = "/nonexistent"};
    assert_null(fb_net_new(&config, err));
    assert_string_equal(err, "cannot read certificates from /nonexistent");
    config.ca_file = NULL;
    struct fb_net *net = fb_net_new(&config, err);
    assert_null(fb_server_new(net, "/nonexistent", "/nonexistent", err));
    assert_string_equal(err, "cannot read certificate /nonexistent");
    struct pem a, b;
    pem_make(&a, "a");
    pem_make(&b, "b");
    assert_null(fb_server_new(net, a.cert, b.key, err));
    assert_non_null(strstr(err, "cannot use key"));
    assert_null(fb_server_new(net, a.cert, NULL, err));
    pem_remove(&a);
    pem_remove(&b);
    fb_net_free(net);
    assert_int_equal(fb_loop_finish(&loop), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes_plain),
        cmocka_unit_test(echoes_tls),
        cmocka_unit_test(server_closes_after_flushing),
        cmocka_unit_test(too_long_and_text),
        cmocka_unit_test(paused_reader_holds_the_sender),
        cmocka_unit_test(refused_by_accept_and_unknown_path),
        cmocka_unit_test(failures_have_reasons),
        cmocka_unit_test(untrusted_certificate),
        cmocka_unit_test(limit_per_address),
        cmocka_unit_test(limit_in_all),
        cmocka_unit_test(hundred_sockets),
        cmocka_unit_test(pings),
        cmocka_unit_test(port_in_use_is_named),
        cmocka_unit_test(close_before_open),
        cmocka_unit_test(certificates_are_checked_at_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
