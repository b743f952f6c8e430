#include "net/loop.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#include "base/err.h"

uint64_t fb_now_us(void) {
    return uv_hrtime() / 1000 + 1;
}

uint64_t fb_unix_s(void) {
    return (uint64_t)time(NULL);
}

static void *heap_alloc(void *ctx, size_t len) {
    return calloc(1, len == 0 ? 1 : len);
}

static void heap_free(void *ctx, void *ptr) {
    free(ptr);
}

const struct fb_mem *fb_mem_default(void) {
    static const struct fb_mem mem = {heap_alloc, heap_free, NULL};
    return &mem;
}

static void kernel_fill(void *ctx, uint8_t *out, size_t len) {
    while (len > 0) {
        /* At most 256 bytes come whole, whatever signal arrives (getrandom(2)). */
        ssize_t got = getrandom(out, len < 256 ? len : 256, 0);
        if (got <= 0)
            abort();
        out += got;
        len -= (size_t)got;
    }
}

const struct fb_rng *fb_rng_default(void) {
    static const struct fb_rng rng = {kernel_fill, NULL};
    return &rng;
}

struct fb_timer {
    uv_timer_t handle;
    void (*fire)(void *user);
    void *user;
    uint64_t deadline_us;
};

static void timer_due(uv_timer_t *handle) {
    struct fb_timer *timer = handle->data;
    /* libuv counts whole milliseconds of a clock it read earlier: it may be early. */
    if (fb_now_us() < timer->deadline_us) {
        fb_timer_set(timer, timer->deadline_us);
        return;
    }
    timer->deadline_us = FB_NEVER;
    timer->fire(timer->user);
}

struct fb_timer *fb_timer_new(uv_loop_t *loop, void (*fire)(void *user), void *user) {
    struct fb_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return NULL;
    uv_timer_init(loop, &timer->handle);
    timer->handle.data = timer;
    timer->fire = fire;
    timer->user = user;
    timer->deadline_us = FB_NEVER;
    return timer;
}

void fb_timer_set(struct fb_timer *timer, uint64_t deadline_us) {
    if (deadline_us == timer->deadline_us && uv_is_active((uv_handle_t *)&timer->handle))
        return;
    timer->deadline_us = deadline_us;
    if (deadline_us == FB_NEVER) {
        uv_timer_stop(&timer->handle);
        return;
    }
    uint64_t now = fb_now_us();
    uint64_t wait = deadline_us > now ? deadline_us - now : 0;
    uv_update_time(timer->handle.loop);
    uv_timer_start(&timer->handle, timer_due, (wait + 999) / 1000, 0);
}

static void timer_closed(uv_handle_t *handle) {
    free(handle->data);
}

void fb_timer_free(struct fb_timer *timer) {
    if (timer == NULL)
        return;
    uv_close((uv_handle_t *)&timer->handle, timer_closed);
}

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
#define CAUGHT (sizeof caught / sizeof caught[0])

struct fb_signals {
    uv_signal_t handles[CAUGHT];
    size_t open;
    void (*ask)(void *user, int signum);
    void *user;
};

static void signal_came(uv_signal_t *handle, int signum) {
    struct fb_signals *signals = handle->data;
    signals->ask(signals->user, signum);
}

struct fb_signals *fb_signals_new(uv_loop_t *loop, void (*ask)(void *user, int signum),
                                  void *user) {
    struct fb_signals *signals = calloc(1, sizeof *signals);
    if (signals == NULL)
        return NULL;
    signal(SIGPIPE, SIG_IGN);
    signals->ask = ask;
    signals->user = user;
    for (; signals->open < CAUGHT; signals->open++) {
        uv_signal_t *handle = &signals->handles[signals->open];
        uv_signal_init(loop, handle);
        handle->data = signals;
        uv_signal_start(handle, signal_came, caught[signals->open]);
        /* Waiting for a signal alone is no reason for the loop to run on. */
        uv_unref((uv_handle_t *)handle);
    }
    return signals;
}

static void signal_closed(uv_handle_t *handle) {
    struct fb_signals *signals = handle->data;
    if (--signals->open == 0)
        free(signals);
}

void fb_signals_free(struct fb_signals *signals) {
    if (signals == NULL)
        return;
    for (size_t i = 0; i < CAUGHT; i++)
        uv_close((uv_handle_t *)&signals->handles[i], signal_closed);
}

size_t fb_raise_fd_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    rlim_t want = limit.rlim_max < 65536 ? limit.rlim_max : 65536;
    /* Lowered as well as raised: libwebsockets sizes a table by it. */
    if (limit.rlim_cur != want) {
        rlim_t old = limit.rlim_cur;
        limit.rlim_cur = want;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            want = old;
    }
    return (size_t)want;
}

int fb_loop_finish(uv_loop_t *loop) {
    /* Freed handles close on the loop's next turns; one that nobody closed would keep it running,
     * so it gets a few turns, not for ever. */
    for (int i = 0; i < 100 && uv_loop_alive(loop); i++)
        uv_run(loop, UV_RUN_NOWAIT);
    return uv_loop_close(loop) == 0 ? 0 : FB_ERR_STATE;
}
