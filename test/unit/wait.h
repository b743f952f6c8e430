/* Runs a loop until something is true or a deadline passes: tests never sleep for luck. */
#ifndef FB_TEST_WAIT_H
#define FB_TEST_WAIT_H

#include <stdbool.h>
#include <uv.h>

static inline void wait_expired(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

static inline void wait_closed(uv_handle_t *handle) {
    *(bool *)handle->data = true;
}

/* Returns whether done(ctx) became true within the time. */
static inline bool wait_for(uv_loop_t *loop, bool (*done)(void *ctx), void *ctx,
                            unsigned timeout_ms) {
    uv_timer_t timer;
    bool expired = false, closed = false;
    uv_timer_init(loop, &timer);
    timer.data = &expired;
    uv_update_time(loop);
    uv_timer_start(&timer, wait_expired, timeout_ms, 0);
    bool ok = done(ctx);
    while (!ok && !expired) {
        uv_run(loop, UV_RUN_ONCE);
        ok = done(ctx);
    }
    timer.data = &closed;
    uv_close((uv_handle_t *)&timer, wait_closed);
    while (!closed)
        uv_run(loop, UV_RUN_NOWAIT);
    return ok;
}

static inline bool wait_never(void *ctx) {
    return false;
}

#endif
