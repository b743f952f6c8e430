/*
 * Messages for the person who runs a role: one line each, "role: text", to standard error or to a
 * sink. A role gets its struct fb_log from whoever starts it; there is no global.
 *
 * Privacy (DESIGN section 3.5, doc/threat-model.md): no message, at any level, holds a reader's
 * address, a destination (name, address or port that a reader asked for), or an identifier that
 * links two sessions or paths. Say what happened and how often, not to whom. Addresses of the
 * network's own servers, of listening sockets and of STUN servers are fine.
 */
#ifndef FB_NET_LOG_H
#define FB_NET_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum fb_log_level {
    FB_LOG_ERROR, /* the role cannot do its work */
    FB_LOG_WARN,  /* it goes on, but somebody should look */
    FB_LOG_INFO,  /* what a person who watches wants to know; the default */
    FB_LOG_DEBUG, /* for whoever looks for a fault (--verbose) */
};

/* Longest line, without its end; longer ones are cut. */
#define FB_LOG_LINE_MAX 512

struct fb_log {
    const char *role;        /* "client", "broker", ... */
    enum fb_log_level level; /* messages above it are dropped */
    /* Takes a finished line without newline; NULL: standard error. May be called by any thread that
     * logs, one line at a time each. */
    void (*sink)(void *ctx, enum fb_log_level level, const char *line);
    void *ctx;
};

/*
 * For what strangers can cause as often as they like: counted, and spoken of at most once a minute.
 * Starts as zero. Notes `more` of them (0: just asks) and returns how many there were since the
 * last line, when it is time for one; else 0.
 */
#define FB_SELDOM_US UINT64_C(60000000)
struct fb_seldom {
    uint64_t next_us;
    unsigned count;
};
unsigned fb_seldom(struct fb_seldom *seldom, unsigned more, uint64_t now_us);

/* Control characters (the text may quote a peer) are shown as '?'. log may be NULL: dropped. */
void fb_log(const struct fb_log *log, enum fb_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
