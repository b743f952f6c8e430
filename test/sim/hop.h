/*
 * One direction of one hop of a path: a message transport with the behaviour that was measured for
 * data channels (SCTP) over loss, and, as `ordered`, for WebSockets (TCP).
 *
 * Each lane is a connection with congestion control of its own: slow start from ten packets, one
 * packet more each round trip afterwards, half after a loss, back to one packet after a
 * retransmission timeout of a second and more. So rate follows from loss and round trip as for
 * real channels (about 1 Mbit/s at 1 % and 100 ms), lanes add up, a window limits it (128 KiB at
 * 100 ms is 10 Mbit/s), a queue that is too short makes it overshoot, and a retransmission that is
 * lost too makes it stall. Messages arrive in any order unless the hop is ordered.
 *
 * Wires are what several hops share: the access line of a volunteer or a client.
 */
#ifndef FB_SIM_HOP_H
#define FB_SIM_HOP_H

#include "sim/world.h"

#define HOP_MTU 1191
#define HOP_WIRES 2

/* A rate limit with a queue before it; what does not fit is lost. */
struct wire {
    uint64_t rate; /* bytes a second; 0: no limit */
    size_t queue;  /* bytes */
    uint64_t free_at;
};

/* What waits in its queue leaves at the new rate. */
void wire_set_rate(struct wire *wire, uint64_t rate, uint64_t now);

struct hop_config {
    uint64_t delay, jitter; /* us, one way */
    unsigned loss;          /* packets in 100,000 */
    size_t window;          /* receive window of each lane, bytes */
    unsigned lanes;
    bool ordered;
    bool blind; /* loss does not slow it down (TCP BBR) */
    struct wire *wires[HOP_WIRES];
};

struct hop;

struct hop_handler {
    /* One message, which the callee may change. */
    void (*message)(void *ctx, struct hop *hop, uint8_t *msg, size_t len);
    /* The queue had passed `low` and no longer does. NULL: nobody wants to know. */
    void (*drained)(void *ctx, struct hop *hop);
    size_t low;
};

struct hop *hop_new(struct world *world, const struct hop_config *config,
                    const struct hop_handler *handler, void *ctx);
/* Copies; false when the hop is gone. */
bool hop_send(struct hop *hop, const uint8_t *msg, size_t len);
/* Bytes that have not been put on the wire yet. */
size_t hop_buffered(const struct hop *hop);
/* Bytes that it holds in all, with those under way. */
size_t hop_holds(const struct hop *hop);
/* Nothing moves any more; what was under way is lost. NULL-safe. */
void hop_kill(struct hop *hop);
/* To be changed while it runs (window, lanes, ordered: not). */
struct hop_config *hop_tune(struct hop *hop);

#endif
