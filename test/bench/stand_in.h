/*
 * Volunteers that a broker cannot tell from real ones, without WebRTC: each holds a WebSocket, says
 * HELLO and READY, and answers every offer at once with the same description. For load on brokers.
 */
#ifndef FB_BENCH_STAND_IN_H
#define FB_BENCH_STAND_IN_H

#include "core/document.h"
#include "core/signal.h"
#include "net/net.h"

struct stand_ins {
    struct fb_net *net;
    uint16_t capacity;          /* offers that each takes at once */
    size_t count, begun, ready; /* wanted; connecting; welcomed */
    uint64_t released;          /* matches that the broker completed */
    void (*all_ready)(void *user);
    void *user;
    char url[FB_URL_MAX + 16];
    struct fb_desc desc;
};

/* Connects count of them, some at a time, to the first broker of the document. Ends the process
 * with a message when one fails. */
void stand_ins_begin(struct stand_ins *all, const struct fb_document *document);

/* A description with one candidate on loopback. */
void stand_in_describe(struct fb_desc *desc, enum fb_setup setup);

/* One line on standard error, and the end. */
_Noreturn void bench_die(const char *why);

#endif
