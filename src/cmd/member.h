/*
 * What the members of a network, client and headless volunteer, start with: loop, signals, sockets,
 * the rtc thread, the join link, and where the network document is kept between runs.
 */
#ifndef FB_CMD_MEMBER_H
#define FB_CMD_MEMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "core/join.h"
#include "net/fetch.h"
#include "net/log.h"
#include "net/loop.h"
#include "net/net.h"
#include "rtc/rtc.h"

#define FB_MEMBER_PATH_MAX 4096

struct fb_member_config {
    const char *join;  /* the link's text */
    const char *ca;    /* PEM file; NULL: the system's authorities */
    const char *cache; /* directory; NULL: $XDG_CACHE_HOME/footbridge or ~/.cache/footbridge */
    bool keeps_state;
    const char *state; /* directory; NULL: $XDG_STATE_HOME/... or ~/.local/state/footbridge */
    /* SIGINT, SIGTERM or SIGHUP came for the first time: stop the role. At the second the process
     * ends at once. */
    void (*stop)(void *user);
    void *user;
};

struct fb_member {
    struct fb_member_config config;
    uv_loop_t loop;
    struct fb_signals *signals;
    struct fb_net *net;
    struct fb_fetcher *fetcher;
    struct fb_rtc *rtc;
    const struct fb_crypto *crypto;
    struct fb_join join;
    /* Of this network; "" when there is no directory for it. */
    char cache_file[FB_MEMBER_PATH_MAX], state_file[FB_MEMBER_PATH_MAX];
    uint32_t software_version;
    const struct fb_log *log;
    struct fb_timer *patience;
    bool joined; /* there has been a network document */
    bool stopping;
};

/* Prints what is wrong as one line, "footbridge ROLE: ...", and returns the exit status; 0: go
 * on. */
int fb_member_start(struct fb_member *member, const char *role,
                    const struct fb_member_config *config);
/* The role has begun to ask for the network document. A start that fails says one line, so nothing
 * is said now, but after 2 s: where the brokers are slow, a person sees what is waited for. log
 * outlives the member. FB_ERR_NOMEM. */
int fb_member_asks(struct fb_member *member, const struct fb_log *log);
/* There is a document. True the first time. */
bool fb_member_joined(struct fb_member *member);
/* Stops the role if that was not done and runs the loop until the rtc thread has ended, which takes
 * what was said last to the other side. The role is freed after this, and then: */
void fb_member_stop(struct fb_member *member);
/* Everything else. Also after a start that failed. */
void fb_member_end(struct fb_member *member);

#endif
