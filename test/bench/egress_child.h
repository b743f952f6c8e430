/*
 * What egress_load.c measures: a process with one egress and, beside it, a route for bare
 * WebSockets of the same kind. A bare one answers its first message with one of a reply's size; a
 * message of BARE_FLOOD_LEN bytes, the number of bytes u32, makes it send messages of that size for
 * ever, as fast as they leave.
 */
#ifndef FB_BENCH_EGRESS_CHILD_H
#define FB_BENCH_EGRESS_CHILD_H

#include "base/addr.h"
#include "core/message.h"
#include "core/ticket.h"

#define BARE_ROUTE "/bare"
#define BARE_FLOOD_LEN 4

/* What both processes know: the keys from before the fork, the rest by pipe. */
struct shared {
    uint8_t network_id[FB_NETWORK_ID_LEN], egress_key[FB_KEY_LEN], ticket_seed[FB_KEY_LEN];
    struct fb_ticket_key ticket_key;
    uint8_t egress_id[FB_EGRESS_ID_LEN];
    struct fb_addr origin; /* that the egress may connect to */
    struct {
        uint8_t process_id[FB_PROCESS_ID_LEN];
        uint16_t port;
    } said;
};

/* Serves until it is killed; writes shared->said to tell once it listens. */
void serve(struct shared *shared, int tell);

#endif
