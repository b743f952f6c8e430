/* role/joined: which documents a member takes from brokers that may lie, and what it remembers. */
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
#include "crypto/openssl.h"
#include "net/loop.h"
#include "net/server.h"
#include "role/joined.h"
#include "wait.h"

#define LIMIT_MS 10000
#define VERSION FB_SOFTWARE_VERSION(1, 2, 3)

static const uint8_t seed[FB_KEY_LEN] = {1}, other_seed[FB_KEY_LEN] = {2};

struct world {
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_fetcher *fetcher;
    struct fb_joined *joined;
    struct fb_join join;
    struct fb_document document; /* what the broker signs next */
    uint8_t bytes[FB_DOCUMENT_MAX];
    size_t len;
    unsigned asked, changed, failed;
    bool inside; /* there is another way to ask */
    unsigned asked_inside;
    uint64_t serial; /* of the last `changed` */
    char why[FB_NET_ERR_MAX];
    char dir[64], cache[96];
};

static void serve(void *user, struct fb_http_req *req) {
    struct world *w = user;
    w->asked++;
    fb_http_reply(req, 200, "application/octet-stream", NULL, w->bytes, w->len);
}

static void on_changed(void *user, const struct fb_document *document) {
    struct world *w = user;
    w->changed++;
    w->serial = document->serial;
}

static void on_failed(void *user, const char *why) {
    struct world *w = user;
    w->failed++;
    snprintf(w->why, sizeof w->why, "%s", why);
}

static bool on_ask(void *user, uint64_t serial) {
    struct world *w = user;
    w->asked_inside += serial == w->serial;
    return true;
}

static const struct fb_joined_handler handler = {on_changed, on_failed, NULL};
static const struct fb_joined_handler inside_handler = {on_changed, on_failed, on_ask};

static void sign(struct world *w, const uint8_t key[static FB_KEY_LEN]) {
    assert_int_equal(fb_document_encode(fb_crypto_openssl(), &w->document, key, w->bytes, &w->len),
                     0);
}

static void join(struct world *w) {
    struct fb_joined_config config = {
        .net = w->net,
        .fetcher = w->fetcher,
        .crypto = fb_crypto_openssl(),
        .join = &w->join,
        .cache_file = w->cache,
        .software_version = VERSION,
        .handler = w->inside ? &inside_handler : &handler,
        .user = w,
    };
    w->joined = fb_joined_new(&config);
    assert_non_null(w->joined);
    assert_int_equal(w->changed + w->failed, 0); /* nothing comes from inside */
}

static void leave(struct world *w) {
    fb_joined_free(w->joined);
    w->joined = NULL;
    w->changed = w->failed = 0;
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof *w);
    char err[FB_NET_ERR_MAX];
    uv_loop_init(&w->loop);
    struct fb_net_config config = {.loop = &w->loop};
    w->net = fb_net_new(&config, err);
    w->server = fb_server_new(w->net, NULL, NULL, err);
    w->fetcher = fb_fetcher_new(&w->loop, NULL);
    struct fb_http_route route = {"GET", "/base/v1/network", 0, serve, w};
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    assert_int_equal(fb_server_add_http(w->server, &route), 0);
    assert_int_equal(fb_server_listen(w->server, &addr, err), 0);
    assert_int_equal(fb_ed25519_public(seed, w->join.network), 0);
    w->join.broker_count = 1;
    snprintf(w->join.brokers[0], sizeof w->join.brokers[0], "http://127.0.0.1:%u/base/", addr.port);
    w->document.flags = FB_DOCUMENT_LOCAL; /* there is no TLS here */
    w->document.serial = 5;
    w->document.issued_s = fb_unix_s();
    w->document.expires_s = fb_unix_s() + 1000;
    w->document.broker_count = w->document.egress_count = 1;
    memcpy(w->document.brokers[0].url, w->join.brokers[0], sizeof w->join.brokers[0]);
    strcpy(w->document.egresses[0].url, "ws://127.0.0.1:1/v1/path");
    w->document.stun_count = 1;
    strcpy(w->document.stun[0], "127.0.0.1:3478");
    sign(w, seed);
    strcpy(w->dir, "/tmp/footbridge-joined-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->cache, sizeof w->cache, "%s/document", w->dir);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    struct world *w = *state;
    fb_joined_free(w->joined);
    fb_fetcher_free(w->fetcher);
    fb_server_free(w->server);
    fb_net_free(w->net);
    assert_int_equal(fb_loop_finish(&w->loop), 0);
    unlink(w->cache);
    assert_int_equal(rmdir(w->dir), 0); /* nothing half-written is left */
    free(w);
    return 0;
}

static bool has_changed(void *ctx) {
    return ((struct world *)ctx)->changed > 0;
}

static bool has_failed(void *ctx) {
    return ((struct world *)ctx)->failed > 0;
}

static bool has_stun(void *ctx) {
    struct fb_addr addr;
    return fb_joined_stun(((struct world *)ctx)->joined, &addr, 1) == 1;
}

static void takes_what_holds(void **state) {
    struct world *w = *state;
    join(w);
    assert_null(fb_joined_document(w->joined));
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
    assert_true(w->serial == 5);
    assert_non_null(fb_joined_document(w->joined));
    assert_true(wait_for(&w->loop, has_stun, w, LIMIT_MS));
    struct fb_addr addr[4];
    assert_int_equal(fb_joined_stun(w->joined, addr, 4), 1);
    assert_int_equal(addr[0].port, 3478);
}

static void refuses_anothers(void **state) {
    struct world *w = *state;
    sign(w, other_seed);
    join(w);
    assert_true(wait_for(&w->loop, has_failed, w, LIMIT_MS));
    assert_string_equal(w->why, fb_document_strerror(FB_ERR_AUTH));
    assert_null(fb_joined_document(w->joined));
    assert_int_equal(w->changed, 0);
    /* ... and goes on by itself once there is a good one. */
    sign(w, seed);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
}

static void refuses_what_wants_newer_software(void **state) {
    struct world *w = *state;
    w->document.min_version = FB_SOFTWARE_VERSION(1, 2, 4);
    sign(w, seed);
    join(w);
    assert_true(wait_for(&w->loop, has_failed, w, LIMIT_MS));
    assert_string_equal(w->why, "this network needs footbridge 1.2.4 or later");
}

/* Its signature does not hide who asks. */
static void refuses_addresses_without_tls(void **state) {
    struct world *w = *state;
    w->document.flags = 0;
    sign(w, seed);
    join(w);
    assert_true(wait_for(&w->loop, has_failed, w, LIMIT_MS));
    assert_non_null(strstr(w->why, w->join.brokers[0]));
    assert_int_equal(w->changed, 0);
    assert_null(fb_joined_document(w->joined));
    strcpy(w->document.brokers[0].url, "https://broker.example");
    sign(w, seed);
    assert_int_equal(fb_joined_offer(w->joined, w->bytes, w->len), FB_ERR_DENIED);
    strcpy(w->document.egresses[0].url, "wss://egress.example/v1/path");
    sign(w, seed);
    assert_int_equal(fb_joined_offer(w->joined, w->bytes, w->len), 0);
}

static void refuses_them_in_the_cache_too(void **state) {
    struct world *w = *state;
    w->document.flags = 0;
    sign(w, seed);
    FILE *file = fopen(w->cache, "w");
    assert_non_null(file);
    fwrite(w->bytes, 1, w->len, file);
    fclose(file);
    join(w);
    assert_null(fb_joined_document(w->joined));
    assert_true(wait_for(&w->loop, has_failed, w, LIMIT_MS));
    assert_int_equal(w->changed, 0);
}

/* Whoever holds back the newest document cannot bring back an older one, even after a restart. */
static void refuses_older_after_restart(void **state) {
    struct world *w = *state;
    join(w);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
    leave(w);
    w->document.serial = 4;
    sign(w, seed);
    join(w);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS)); /* from the cache */
    assert_true(w->serial == 5);
    assert_true(wait_for(&w->loop, has_failed, w, LIMIT_MS));
    assert_string_equal(w->why, fb_document_strerror(FB_ERR_USED));
    assert_true(fb_joined_document(w->joined)->serial == 5);
}

static bool has_newer(void *ctx) {
    return ((struct world *)ctx)->serial == 6;
}

static void follows_a_hint(void **state) {
    struct world *w = *state;
    join(w);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
    fb_joined_hint(w->joined, 5); /* known: nobody is asked */
    w->document.serial = 6;
    sign(w, seed);
    fb_joined_hint(w->joined, 6);
    assert_true(wait_for(&w->loop, has_newer, w, LIMIT_MS));
    assert_int_equal(w->asked, 2);
    assert_int_equal(w->changed, 2);
    uint8_t copy[FB_DOCUMENT_MAX];
    size_t len;
    w->document.serial = 7;
    sign(w, seed);
    memcpy(copy, w->bytes, len = w->len);
    assert_int_equal(fb_joined_offer(w->joined, copy, len), 0);
    assert_true(w->serial == 7);
    copy[len - 1] ^= 1;
    assert_int_equal(fb_joined_offer(w->joined, copy, len), FB_ERR_AUTH);
    assert_true(fb_joined_document(w->joined)->serial == 7);
}

/* Whoever is asked inside a session speaks all the time, unasked. */
static void babble(struct world *w) {
    uint8_t copy[FB_DOCUMENT_MAX];
    fb_joined_current(w->joined, w->serial);
    memcpy(copy, w->bytes, w->len);
    if (w->document.serial == w->serial)
        assert_int_equal(fb_joined_offer(w->joined, copy, w->len), 0);
}

static bool is_asked_inside(void *ctx) {
    struct world *w = ctx;
    if (w->asked_inside == 0)
        babble(w);
    return w->asked_inside > 0;
}

static bool has_seventh(void *ctx) {
    return ((struct world *)ctx)->serial == 7;
}

/* What was named is fetched from the brokers if asking elsewhere does not bring it. */
static void goes_on_after_an_answer_in_vain(void **state) {
    struct world *w = *state;
    w->inside = true;
    join(w);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
    uint64_t start_us = fb_now_us();
    fb_joined_hint(w->joined, 6);
    assert_true(wait_for(&w->loop, is_asked_inside, w, LIMIT_MS));
    assert_true(fb_now_us() - start_us > 3000000); /* words unasked moved nothing */
    assert_int_equal(w->asked, 1);
    w->document.serial = 6;
    sign(w, seed);
    fb_joined_current(w->joined, 5); /* true of one that was not started anew */
    assert_true(wait_for(&w->loop, has_newer, w, LIMIT_MS));
    assert_int_equal(w->asked, 2);
    w->asked_inside = 0;
    fb_joined_hint(w->joined, 7);
    assert_true(wait_for(&w->loop, is_asked_inside, w, LIMIT_MS));
    assert_int_equal(w->asked, 2);
    w->document.serial = 7;
    sign(w, seed);
    assert_int_not_equal(fb_joined_offer(w->joined, "junk", 4), 0);
    assert_true(wait_for(&w->loop, has_seventh, w, LIMIT_MS));
    assert_int_equal(w->asked, 3);
}

static bool has_expired(void *ctx) {
    struct world *w = ctx;
    if (fb_joined_document(w->joined) != NULL)
        babble(w);
    return w->failed > 0;
}

/* No word of others keeps the brokers from being asked when a document expires. */
static void expires_in_time(void **state) {
    struct world *w = *state;
    w->inside = true;
    w->document.expires_s = fb_unix_s() + 3;
    sign(w, seed);
    join(w);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
    assert_true(wait_for(&w->loop, has_expired, w, LIMIT_MS));
    assert_string_equal(w->why, fb_document_strerror(FB_ERR_EXPIRED));
    assert_null(fb_joined_document(w->joined));
    w->document.serial = 6;
    w->document.expires_s = fb_unix_s() + 1000;
    sign(w, seed);
    assert_true(wait_for(&w->loop, has_newer, w, LIMIT_MS));
    assert_non_null(fb_joined_document(w->joined));
}

static void damaged_cache_is_nothing(void **state) {
    struct world *w = *state;
    FILE *file = fopen(w->cache, "w");
    assert_non_null(file);
    w->bytes[20] ^= 1;
    fwrite(w->bytes, 1, w->len, file);
    fclose(file);
    w->bytes[20] ^= 1;
    join(w);
    assert_true(wait_for(&w->loop, has_changed, w, LIMIT_MS));
    assert_int_equal(w->asked, 1);
}

#define JOINED_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        JOINED_TEST(takes_what_holds),
        JOINED_TEST(refuses_anothers),
        JOINED_TEST(refuses_what_wants_newer_software),
        JOINED_TEST(refuses_addresses_without_tls),
        JOINED_TEST(refuses_them_in_the_cache_too),
        JOINED_TEST(refuses_older_after_restart),
        JOINED_TEST(follows_a_hint),
        JOINED_TEST(goes_on_after_an_answer_in_vain),
        JOINED_TEST(expires_in_time),
        JOINED_TEST(damaged_cache_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
