#include "wire.h"

#include <stdlib.h>

#define SECOND_NS UINT64_C(1000000000)

/* ---- packets ---- */

struct wire_packet *wire_stock_get(struct wire_stock *stock) {
    struct wire_packet *packet = stock->free;
    if (packet != NULL) {
        stock->free = packet->next;
        return packet;
    }
    if (stock->made >= stock->max)
        return NULL;
    packet = malloc(sizeof *packet);
    if (packet != NULL)
        stock->made++;
    return packet;
}

void wire_stock_put(struct wire_stock *stock, struct wire_packet *packet) {
    packet->next = stock->free;
    stock->free = packet;
}

void wire_stock_clear(struct wire_stock *stock) {
    struct wire_packet *packet;
    while ((packet = stock->free) != NULL) {
        stock->free = packet->next;
        free(packet);
        stock->made--;
    }
}

static void append(struct wire_list *list, struct wire_packet *packet) {
    packet->next = NULL;
    *list->tail = packet;
    list->tail = &packet->next;
}

static struct wire_packet *shift(struct wire_list *list) {
    struct wire_packet *packet = list->head;
    list->head = packet->next;
    if (list->head == NULL)
        list->tail = &list->head;
    return packet;
}

static void list_init(struct wire_list *list) {
    list->head = NULL;
    list->tail = &list->head;
}

/* ---- chance ---- */

/* splitmix64 (Steele, Lea, Flood 2014): good enough for losses, and one word of state. */
static uint64_t next_random(struct wire *wire) {
    uint64_t z = (wire->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* From 0 to 1, 1 excluded. */
static double chance(struct wire *wire) {
    return (double)(next_random(wire) >> 11) * 0x1p-53;
}

static bool is_lost(struct wire *wire) {
    double turn = chance(wire), burst = chance(wire), alone = chance(wire);
    if (turn < (wire->bad ? wire->set.burst_end : wire->set.burst_start))
        wire->bad = !wire->bad;
    return alone < wire->set.loss || (wire->bad && burst < wire->set.burst_loss);
}

/* ---- the way of a packet ---- */

static uint64_t sending_ns(const struct wire *wire, size_t len) {
    return (uint64_t)len * 8 * SECOND_NS / wire->set.rate;
}

/* The packet has been sent at that time: now chance and distance act on it. */
static void depart(struct wire *wire, struct wire_packet *packet, uint64_t at_ns) {
    bool lost = is_lost(wire);
    double late = chance(wire) * (double)wire->set.jitter_ns;
    if (lost) {
        wire->counts.dropped_loss++;
        wire_stock_put(wire->stock, packet);
        return;
    }
    packet->due_ns = at_ns + wire->set.delay_ns + (uint64_t)late;
    if (packet->due_ns < wire->last_ns)
        packet->due_ns = wire->last_ns;
    wire->last_ns = packet->due_ns;
    append(&wire->line, packet);
}

static void advance(struct wire *wire, uint64_t now_ns) {
    while (wire->queue.head != NULL && wire->sent_ns <= now_ns) {
        struct wire_packet *packet = shift(&wire->queue);
        uint64_t at = wire->sent_ns;
        wire->counts.queued -= packet->len;
        depart(wire, packet, at);
        if (wire->queue.head != NULL)
            wire->sent_ns = at + sending_ns(wire, wire->queue.head->len);
    }
}

/* ---- interface ---- */

void wire_init(struct wire *wire, struct wire_stock *stock, uint64_t seed) {
    *wire = (struct wire){.stock = stock, .random = seed};
    list_init(&wire->queue);
    list_init(&wire->line);
}

void wire_clear(struct wire *wire) {
    while (wire->queue.head != NULL)
        wire_stock_put(wire->stock, shift(&wire->queue));
    while (wire->line.head != NULL)
        wire_stock_put(wire->stock, shift(&wire->line));
    wire->counts.queued = 0;
}

void wire_set(struct wire *wire, const struct wire_settings *set, uint64_t now_ns) {
    advance(wire, now_ns);
    if (wire->queue.head != NULL && set->rate == 0) {
        while (wire->queue.head != NULL) {
            struct wire_packet *packet = shift(&wire->queue);
            wire->counts.queued -= packet->len;
            depart(wire, packet, now_ns);
        }
    } else if (wire->queue.head != NULL) {
        /* What is left of the packet that is being sent goes at the new rate. */
        double left = (double)(wire->sent_ns - now_ns) * (double)wire->set.rate;
        wire->sent_ns = now_ns + (uint64_t)(left / (double)set->rate);
    }
    wire->set = *set;
}

void wire_put(struct wire *wire, struct wire_packet *packet, uint64_t now_ns) {
    wire->counts.packets++;
    wire->counts.bytes += packet->len;
    advance(wire, now_ns);
    if (wire->set.rate == 0) {
        depart(wire, packet, now_ns);
        return;
    }
    if (wire->set.queue != 0 && wire->counts.queued + packet->len > wire->set.queue) {
        wire->counts.dropped_queue++;
        wire_stock_put(wire->stock, packet);
        return;
    }
    if (wire->queue.head == NULL)
        wire->sent_ns = now_ns + sending_ns(wire, packet->len);
    append(&wire->queue, packet);
    wire->counts.queued += packet->len;
    if (wire->counts.queued > wire->counts.queued_max)
        wire->counts.queued_max = wire->counts.queued;
}

struct wire_packet *wire_take(struct wire *wire, uint64_t now_ns) {
    advance(wire, now_ns);
    if (wire->line.head == NULL || wire->line.head->due_ns > now_ns)
        return NULL;
    struct wire_packet *packet = shift(&wire->line);
    wire->counts.passed++;
    wire->counts.passed_bytes += packet->len;
    return packet;
}

uint64_t wire_due(const struct wire *wire) {
    uint64_t due = WIRE_NEVER;
    if (wire->queue.head != NULL)
        due = wire->sent_ns + wire->set.delay_ns;
    if (wire->line.head != NULL && wire->line.head->due_ns < due)
        due = wire->line.head->due_ns;
    return due;
}

struct wire_counts wire_count(struct wire *wire, uint64_t now_ns) {
    advance(wire, now_ns);
    struct wire_counts counts = wire->counts;
    wire->counts.queued_max = counts.queued;
    return counts;
}
