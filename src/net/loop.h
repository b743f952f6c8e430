/*
 * What the roles of one process share on one libuv loop: the clock, timers for sans-IO objects,
 * default memory and randomness, signals, and the descriptor limit. Everything in src/net runs on
 * the thread of its loop; nothing here locks.
 */
#ifndef FB_NET_LOOP_H
#define FB_NET_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/env.h"

/* Monotonic microseconds, what sans-IO code takes as `now`. Never 0. */
uint64_t fb_now_us(void);
/* Seconds since 1970: for expiry of documents and tickets alone. */
uint64_t fb_unix_s(void);

/* calloc and free; the kernel's randomness (getrandom). */
const struct fb_mem *fb_mem_default(void);
const struct fb_rng *fb_rng_default(void);

/*
 * One-shot timer to an absolute deadline, re-armed as often as wanted: for an object whose header
 * says "deadline goes out". A deadline in the past fires from the loop's next turn, never from
 * inside fb_timer_set. FB_NEVER disarms.
 */
#define FB_NEVER UINT64_MAX
struct fb_timer;
/* NULL when out of memory. */
struct fb_timer *fb_timer_new(uv_loop_t *loop, void (*fire)(void *user), void *user);
void fb_timer_set(struct fb_timer *timer, uint64_t deadline_us);
/* Stops at once; its memory goes when the loop has closed the handle. Accepts NULL. */
void fb_timer_free(struct fb_timer *timer);

/* Calls `ask` at each SIGINT, SIGTERM and SIGHUP; SIGPIPE is ignored from here on. */
struct fb_signals;
struct fb_signals *fb_signals_new(uv_loop_t *loop, void (*ask)(void *user, int signum), void *user);
void fb_signals_free(struct fb_signals *signals);

/*
 * Raises RLIMIT_NOFILE to the hard limit, at most 65,536 (libwebsockets makes a table of that
 * size), and returns what it is now. Call before fb_net_new.
 */
size_t fb_raise_fd_limit(void);

/* Runs the loop until every handle that its owner has freed is really closed, then closes it.
 * 0, or FB_ERR_STATE: somebody still owns an open handle (a leak). */
int fb_loop_finish(uv_loop_t *loop);

#endif
