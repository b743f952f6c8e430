/* net/server's HTTP side against net/fetch, and against bytes that no library would send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/fetch.h"
#include "net/loop.h"
#include "net/server.h"
#include "net/sockaddr.h"
#include "pem.h"
#include "wait.h"

#define LIMIT_MS 10000

struct world {
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_fetcher *fetcher;
    struct fb_addr addr;
    struct pem pem;
    bool tls;
    struct fb_http_req *held;
    unsigned gone, asked;
    /* last result */
    unsigned done;
    int err, status;
    size_t len;
    char body[200000], why[256];
};

static void echo(void *user, struct fb_http_req *req) {
    size_t len;
    const uint8_t *body = fb_http_body(req, &len);
    static const char *const headers[] = {"x-extra", "yes", NULL};
    struct world *w = user;
    w->asked++;
    assert_int_equal(fb_http_from(req)->ip[0], 127);
    fb_http_reply(req, 200, "application/octet-stream", headers, body, len);
}

static void query(void *user, struct fb_http_req *req) {
    const char *text = fb_http_query(req);
    fb_http_reply(req, 200, "text/plain", NULL, text, strlen(text));
}

static void busy(void *user, struct fb_http_req *req) {
    fb_http_reply(req, 429, "text/plain", NULL, "later\n", 6);
}

static void on_gone(void *user) {
    struct world *w = user;
    w->gone++;
    w->held = NULL;
}

static void hold(void *user, struct fb_http_req *req) {
    struct world *w = user;
    w->asked++;
    w->held = req;
    fb_http_hold(req, on_gone, w);
}

static uint8_t big[150000];
static const char *const asset_headers[] = {"cache-control", "no-cache", NULL};

static struct world *world_new(bool tls, const char *name, size_t max_per_address) {
    struct world *w = calloc(1, sizeof *w);
    char err[FB_NET_ERR_MAX];
    uv_loop_init(&w->loop);
    pem_make(&w->pem, name);
    w->tls = tls;
    struct fb_net_config config = {.loop = &w->loop, .max_per_address = max_per_address};
    w->net = fb_net_new(&config, err);
    w->server = fb_server_new(w->net, tls ? w->pem.cert : NULL, tls ? w->pem.key : NULL, err);
    w->fetcher = fb_fetcher_new(&w->loop, w->pem.cert);
    memset(big, 'b', sizeof big);
    const struct fb_http_route routes[] = {{"POST", "/echo", 100000, echo, w},
                                           {"GET", "/query", 0, query, w},
                                           {"GET", "/busy", 0, busy, w},
                                           {"POST", "/hold", 100, hold, w}};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fb_server_add_http(w->server, &routes[i]), 0);
    const struct fb_asset asset = {"/big.js",  "text/javascript",     "\"v1\"", asset_headers, big,
                                   sizeof big, (const uint8_t *)"GZ", 2};
    assert_int_equal(fb_server_add_asset(w->server, &asset), 0);
    w->addr = (struct fb_addr){.family = 4, .ip = {127, 0, 0, 1}};
    assert_int_equal(fb_server_listen(w->server, &w->addr, err), 0);
    return w;
}

static void world_free(struct world *w) {
    fb_fetcher_free(w->fetcher);
    fb_server_free(w->server);
    fb_net_free(w->net);
    assert_int_equal(fb_loop_finish(&w->loop), 0);
    pem_remove(&w->pem);
    free(w);
}

static void fetched(void *user, const struct fb_fetched *result) {
    struct world *w = user;
    w->done++;
    w->err = result->err;
    w->status = result->status;
    w->len = result->len;
    if (result->len > 0)
        memcpy(w->body, result->body, result->len);
    snprintf(w->why, sizeof w->why, "%s", result->why);
}

static bool is_done(void *ctx) {
    return ((struct world *)ctx)->done > 0;
}

static bool is_held(void *ctx) {
    return ((struct world *)ctx)->held != NULL;
}

static bool is_gone(void *ctx) {
    return ((struct world *)ctx)->gone > 0;
}

static struct fb_fetch *start(struct world *w, const char *path, const void *body, size_t len,
                              uint32_t timeout_ms) {
    char url[128];
    snprintf(url, sizeof url, "%s://localhost:%u%s", w->tls ? "https" : "http", w->addr.port, path);
    struct fb_fetch_request request = {
        .url = url,
        .body = body,
        .len = len,
        .type = "application/octet-stream",
        .reply_max = 160000,
        .timeout_ms = timeout_ms,
        .connect_host = "127.0.0.1",
    };
    w->done = 0;
    struct fb_fetch *fetch = fb_fetch_start(w->fetcher, &request, fetched, w);
    assert_non_null(fetch);
    return fetch;
}

static void get(struct world *w, const char *path, const void *body, size_t len) {
    start(w, path, body, len, 5000);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
}

static void requests(bool tls) {
    struct world *w = world_new(tls, "localhost", 0);
    get(w, "/query?a=1&b=2", NULL, 0);
    assert_int_equal(w->err, 0);
    assert_string_equal(w->why, "");
    assert_int_equal(w->len, 7);
    assert_memory_equal(w->body, "a=1&b=2", 7);
    for (size_t len = 0; len <= 100000; len += 25000) {
        memset(big, 'e', len);
        get(w, "/echo", big, len);
        assert_int_equal(w->err, 0);
        assert_int_equal(w->len, len);
        if (len > 0)
            assert_memory_equal(w->body, big, len);
    }
    memset(big, 'b', sizeof big);
    get(w, "/big.js", NULL, 0);
    assert_int_equal(w->status, 200);
    assert_int_equal(w->len, sizeof big);
    assert_memory_equal(w->body, big, sizeof big);
    get(w, "/nothing", NULL, 0);
    assert_int_equal(w->err, FB_ERR_DENIED);
    assert_int_equal(w->status, 404);
    assert_string_equal(w->why, "localhost answered with HTTP status 404");
    get(w, "/echo", NULL, 0);
    assert_int_equal(w->status, 405);
    get(w, "/big.js", "x", 1);
    assert_int_equal(w->status, 405);
    unsigned asked = w->asked;
    get(w, "/echo", big, 100001);
    assert_int_equal(w->status, 413);
    assert_int_equal(w->asked, asked);
    world_free(w);
}

static void requests_plain(void **state) {
    requests(false);
}

static void requests_tls(void **state) {
    requests(true);
}

/* Connected and asked meanwhile (here: before anything else, and once it waits), or given up. */
static void a_body_that_comes_later(void **state) {
    struct world *w = world_new(true, "localhost", 0);
    for (int wait_ms = 0; wait_ms <= 100; wait_ms += 100) {
        struct fb_fetch *fetch = start(w, "/echo", NULL, 5, 5000);
        wait_for(&w->loop, wait_never, NULL, wait_ms);
        assert_int_equal(w->done, 0);
        assert_int_equal(fb_fetch_body(fetch, "later"), 0);
        assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
        assert_int_equal(w->err, 0);
        assert_int_equal(w->len, 5);
        assert_memory_equal(w->body, "later", 5);
    }
    fb_fetch_cancel(start(w, "/echo", NULL, 5, 5000));
    start(w, "/echo", NULL, 5, 200);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
    assert_int_equal(w->err, FB_ERR_TIMEOUT);
    world_free(w);
}

static void held_requests(void **state) {
    struct world *w = world_new(true, "localhost", 0);
    start(w, "/hold", "hi", 2, 5000);
    assert_true(wait_for(&w->loop, is_held, w, LIMIT_MS));
    assert_int_equal(w->done, 0);
    fb_http_reply(w->held, 503, "text/plain", NULL, "later", 5);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
    assert_int_equal(w->status, 503);
    assert_memory_equal(w->body, "later", 5);
    assert_int_equal(w->gone, 0);
    w->held = NULL;
    struct fb_fetch *fetch = start(w, "/hold", "hi", 2, 5000);
    assert_true(wait_for(&w->loop, is_held, w, LIMIT_MS));
    fb_fetch_cancel(fetch);
    assert_true(wait_for(&w->loop, is_gone, w, LIMIT_MS));
    /* Held while everything ends: nobody is told. */
    start(w, "/hold", "hi", 2, 5000);
    assert_true(wait_for(&w->loop, is_held, w, LIMIT_MS));
    world_free(w);
}

static void fetch_errors(void **state) {
    struct world *w = world_new(true, "other.example", 0);
    get(w, "/query", NULL, 0);
    assert_int_equal(w->err, FB_ERR_AUTH);
    assert_string_equal(w->why, "certificate of localhost does not match its name");
    world_free(w);

    w = world_new(true, "localhost", 0);
    fb_fetcher_free(w->fetcher);
    w->fetcher = fb_fetcher_new(&w->loop, NULL);
    get(w, "/query", NULL, 0);
    assert_int_equal(w->err, FB_ERR_AUTH);
    assert_string_equal(w->why, "certificate of localhost is not signed by a trusted authority");
    world_free(w);

    w = world_new(false, "localhost", 0);
    start(w, "/hold", "x", 1, 200);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
    assert_int_equal(w->err, FB_ERR_TIMEOUT);
    struct fb_fetch_request request = {.url = "ftp://localhost/", .reply_max = 10, .timeout_ms = 1};
    w->done = 0;
    fb_fetch_start(w->fetcher, &request, fetched, w);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
    assert_int_equal(w->err, FB_ERR_MALFORMED);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/big.js", w->addr.port);
    request = (struct fb_fetch_request){.url = url, .reply_max = 1000, .timeout_ms = 5000};
    w->done = 0;
    fb_fetch_start(w->fetcher, &request, fetched, w);
    assert_true(wait_for(&w->loop, is_done, w, LIMIT_MS));
    assert_int_equal(w->err, FB_ERR_TOO_BIG);
    fb_server_free(w->server);
    w->server = NULL;
    wait_for(&w->loop, wait_never, NULL, 20);
    get(w, "/query", NULL, 0);
    assert_int_equal(w->err, FB_ERR_CLOSED);
    assert_string_equal(w->why, "connection refused by localhost");
    world_free(w);
}

/* A raw connection: sends text, collects until the other side closes or `until` appears. */
struct raw {
    int fd;
    const char *until;
    size_t len;
    char got[8192];
    bool closed;
};

static bool raw_done(void *ctx) {
    struct raw *raw = ctx;
    ssize_t n = recv(raw->fd, raw->got + raw->len, sizeof raw->got - 1 - raw->len, MSG_DONTWAIT);
    if (n > 0)
        raw->len += (size_t)n;
    raw->got[raw->len] = '\0';
    raw->closed = n == 0 || (n < 0 && errno != EAGAIN);
    return raw->closed || (raw->until != NULL && strstr(raw->got, raw->until) != NULL);
}

static void raw_ask(struct world *w, struct raw *raw, const char *text, const char *until) {
    struct sockaddr_storage at;
    socklen_t len = fb_addr_to_sockaddr(&w->addr, &at);
    *raw = (struct raw){.fd = socket(AF_INET, SOCK_STREAM, 0), .until = until};
    assert_int_equal(connect(raw->fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(send(raw->fd, text, strlen(text), 0), strlen(text));
    /* recv is polled: what the loop does meanwhile is the server's work, every 10 ms at least. */
    uv_timer_t tick;
    uv_timer_init(&w->loop, &tick);
    uv_timer_start(&tick, (uv_timer_cb)(void (*)(void))uv_now, 10, 10);
    bool ok = wait_for(&w->loop, raw_done, raw, LIMIT_MS);
    if (!ok)
        print_message("asked %s\ngot %s\n", text, raw->got);
    assert_true(ok);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    close(raw->fd);
}

static void raw_requests(void **state) {
    struct world *w = world_new(false, "localhost", 0);
    struct raw raw;
    raw_ask(w, &raw, "GET /busy HTTP/1.1\r\nHost: x\r\n\r\n", "later\n");
    assert_non_null(strstr(raw.got, "HTTP/1.1 429 Too Many Requests\r\n"));
    assert_non_null(strstr(raw.got, "content-length: 6\r\n"));
    raw_ask(w, &raw, "HEAD /big.js HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n");
    assert_non_null(strstr(raw.got, "200"));
    assert_non_null(strcasestr(raw.got, "content-length: 150000"));
    assert_null(strstr(raw.got, "bbbb"));
    assert_null(strcasestr(raw.got, "server:"));
    assert_non_null(strcasestr(raw.got, "cache-control: no-cache"));
    raw_ask(w, &raw, "GET /big.js HTTP/1.1\r\nHost: x\r\nAccept-Encoding: br, gzip\r\n\r\n", "GZ");
    assert_non_null(strcasestr(raw.got, "content-encoding: gzip"));
    assert_non_null(strcasestr(raw.got, "vary: accept-encoding"));
    raw_ask(w, &raw, "HEAD /big.js HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip;q=0\r\n\r\n",
            "\r\n\r\n");
    assert_null(strcasestr(raw.got, "content-encoding"));
    raw_ask(w, &raw, "GET /big.js HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"v0\", \"v1\"\r\n\r\n",
            "\r\n\r\n");
    assert_non_null(strstr(raw.got, "304"));
    assert_null(strstr(raw.got, "bbbb"));
    raw_ask(w, &raw, "POST /echo HTTP/1.1\r\nHost: x\r\n\r\n", NULL);
    assert_non_null(strstr(raw.got, "411"));
    raw_ask(w, &raw, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", NULL);
    assert_non_null(strstr(raw.got, "411"));
    raw_ask(w, &raw, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", NULL);
    assert_non_null(strstr(raw.got, "413"));
    raw_ask(w, &raw, "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", "\r\n\r\n");
    assert_non_null(strstr(raw.got, "405"));
    assert_non_null(strcasestr(raw.got, "allow: POST"));
    raw_ask(w, &raw, "GARBAGE\r\n\r\n", NULL);
    assert_true(raw.closed);
    /* Two at once on one connection: refused or served (versions of the library differ), never
     * answered wrongly, never for ever. */
    raw_ask(w, &raw,
            "GET /query?one HTTP/1.1\r\nHost: x\r\n\r\nGET /query?two HTTP/1.1\r\nHost: x\r\n\r\n",
            "two");
    assert_true(raw.closed || strstr(raw.got, "one") != NULL);
    raw_ask(w, &raw,
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
            "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo",
            NULL);
    assert_true(raw.closed);
    /* A WebSocket where there is none. */
    raw_ask(w, &raw,
            "GET /query HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            NULL);
    assert_true(raw.closed);
    assert_null(strstr(raw.got, "101"));
    world_free(w);
}

static void bytes_behind_a_held_request(void **state) {
    struct world *w = world_new(false, "localhost", 0);
    struct raw raw;
    raw_ask(w, &raw,
            "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n\r\n",
            NULL);
    assert_true(raw.closed);
    assert_int_equal(w->gone, w->asked); /* 4.3 refuses it before anybody is asked */
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_plain),
        cmocka_unit_test(requests_tls),
        cmocka_unit_test(held_requests),
        cmocka_unit_test(a_body_that_comes_later),
        cmocka_unit_test(fetch_errors),
        cmocka_unit_test(raw_requests),
        cmocka_unit_test(bytes_behind_a_held_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
