/* role/client's port when memory is out: apps are turned away, and served again later. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench_client.h"
#include "role/client_impl.h"

#define WAIT_MS 20000
#define APPS 3

static struct net_bench bench;
static unsigned refusals; /* of memory for so many connections to come */

/* The linker puts it between the program and calloc(). */
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
    if (size != sizeof(struct client_conn) || refusals == 0)
        return __real_calloc(count, size);
    refusals--;
    return NULL;
}

static bool has_ended(void *ctx) {
    return ((const struct app *)ctx)->ended;
}

static void apps_are_turned_away(void **state) {
    static const char say[] = "GET / HTTP/1.1\r\n\r\n"; /* no form that a proxy serves */
    static struct app apps[APPS];
    char err[FB_NET_ERR_MAX];
    net_start(&bench);
    assert_int_equal(net_client(&bench, 1, 0, err), 0);
    refusals = APPS;
    for (size_t i = 0; i < APPS; i++)
        app_start(&apps[i], &bench, say, sizeof say - 1, sizeof apps[i].head);
    for (size_t i = 0; i < APPS; i++) {
        assert_true(wait_for(&bench.e.loop, has_ended, &apps[i], WAIT_MS));
        assert_int_equal(apps[i].head_len, 0);
        app_end(&apps[i], &bench.e.loop);
    }
    assert_int_equal(refusals, 0);
    app_start(&apps[0], &bench, say, sizeof say - 1, sizeof apps[0].head);
    assert_true(wait_for(&bench.e.loop, has_ended, &apps[0], WAIT_MS));
    assert_memory_equal(apps[0].head, "HTTP/1.1 400 ", 13);
    app_end(&apps[0], &bench.e.loop);
    /* The end comes while one is being turned away. */
    refusals = 1;
    app_start(&apps[0], &bench, say, sizeof say - 1, sizeof apps[0].head);
    while (refusals > 0)
        uv_run(&bench.e.loop, UV_RUN_ONCE);
    fb_client_stop(bench.client);
    app_end(&apps[0], &bench.e.loop);
    assert_true(net_end(&bench));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(apps_are_turned_away)};
    signal(SIGPIPE, SIG_IGN); /* apps write to connections that are closed already */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
