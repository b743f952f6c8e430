/*
 * One direction of an emulated link, in any time that the caller likes: what is put in comes out
 * later, or never.
 *
 *     put -> queue (bytes, tail drop) -> rate -> loss -> delay + jitter -> take
 *
 * A packet leaves the queue when its last bit has been sent at the link's rate, counted from the
 * end of the packet before, not from when somebody looked: so a caller that comes late delays
 * packets and never lowers the rate. A lost packet has used the link all the same. Jitter does not
 * reorder. The same seed and the same packets give the same losses, whatever the clock.
 *
 * Losses by chance are independent (`loss`), and in bursts by Gilbert's model: before each packet
 * the link turns bad with probability burst_start, or good again with burst_end; while bad it loses
 * packets with probability burst_loss. Their mean length is 1 / burst_end packets.
 */
#ifndef FB_NET_WIRE_H
#define FB_NET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_PACKET_MAX 2048
#define WIRE_NEVER UINT64_MAX

struct wire_packet {
    struct wire_packet *next;
    uint64_t due_ns;
    size_t len;
    uint8_t data[WIRE_PACKET_MAX];
};

/* Packets of all wires: a stock that is filled on demand, up to a ceiling. */
struct wire_stock {
    struct wire_packet *free;
    size_t made, max;
};

/* NULL: the ceiling is reached, or memory is out. */
struct wire_packet *wire_stock_get(struct wire_stock *stock);
void wire_stock_put(struct wire_stock *stock, struct wire_packet *packet);
void wire_stock_clear(struct wire_stock *stock);

struct wire_settings {
    uint64_t delay_ns, jitter_ns; /* one way; jitter is added, evenly from 0 to this */
    double loss;
    double burst_start, burst_end, burst_loss;
    uint64_t rate; /* bits a second of whole IP packets; 0: no limit, and then no queue */
    size_t queue;  /* bytes that wait or are being sent; 0: no limit */
};

struct wire_counts {
    uint64_t packets, bytes; /* put */
    uint64_t passed, passed_bytes;
    uint64_t dropped_queue, dropped_loss;
    size_t queued, queued_max; /* bytes: now, and at most since wire_count() */
};

struct wire_list {
    struct wire_packet *head, **tail;
};

struct wire {
    struct wire_settings set;
    struct wire_counts counts;
    struct wire_stock *stock;
    struct wire_list queue, line;
    uint64_t sent_ns; /* when the queue's head will have been sent */
    uint64_t last_ns; /* when the last packet on the line is due */
    uint64_t random;
    bool bad;
};

/* A link without any hindrance. */
void wire_init(struct wire *wire, struct wire_stock *stock, uint64_t seed);
/* Gives back what is under way. */
void wire_clear(struct wire *wire);

/* From now on; what has been sent already arrives as it would have. */
void wire_set(struct wire *wire, const struct wire_settings *set, uint64_t now_ns);

/* Takes the packet (from the wire's stock) over. */
void wire_put(struct wire *wire, struct wire_packet *packet, uint64_t now_ns);

/* The next packet that is due, the caller's again; or NULL. */
struct wire_packet *wire_take(struct wire *wire, uint64_t now_ns);

/* When to take next, at the earliest; WIRE_NEVER: nothing is under way. */
uint64_t wire_due(const struct wire *wire);

/* What has happened so far; queued_max begins anew. */
struct wire_counts wire_count(struct wire *wire, uint64_t now_ns);

#endif
