#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

/* At most so many packets are read from one device before others have their turn. */
#define READ_AT_ONCE 128
#define IPV4_HEADER 20

uint64_t lab_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

struct lab_link *lab_add_link(struct lab *lab, const char *name, int up, int down) {
    struct lab_link *link = &lab->links[lab->link_count++];
    *link = (struct lab_link){.ends = {[LAB_UP] = up, [LAB_DOWN] = down}};
    snprintf(link->name, sizeof link->name, "%s", name);
    lab_add_leg(lab, link, "-", 0, 0);
    return link;
}

struct lab_leg *lab_add_leg(struct lab *lab, struct lab_link *link, const char *name,
                            uint32_t prefix, uint32_t mask) {
    size_t place = (size_t)(link - lab->links) * LAB_LEGS_MAX + link->leg_count;
    struct lab_leg *leg = &link->legs[link->leg_count++];
    snprintf(leg->name, sizeof leg->name, "%s", name);
    leg->prefix = prefix & mask;
    leg->mask = mask;
    for (size_t i = 0; i < 2; i++)
        wire_init(&leg->wires[i], &lab->stock, (lab->seed << 16) + place * 2 + i);
    return leg;
}

/* By the address at the far side: the destination of what goes up, the source of what comes down
 * (RFC 791 section 3.1). Leg 0 takes the rest. */
static struct lab_leg *leg_of(struct lab_link *link, enum lab_direction direction,
                              const struct wire_packet *packet) {
    if (link->leg_count > 1 && packet->len >= IPV4_HEADER && packet->data[0] >> 4 == 4) {
        const uint8_t *at = packet->data + (direction == LAB_UP ? 16 : 12);
        uint32_t far = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        for (size_t i = 1; i < link->leg_count; i++)
            if ((far & link->legs[i].mask) == link->legs[i].prefix)
                return &link->legs[i];
    }
    return &link->legs[0];
}

void lab_read(struct lab *lab, struct lab_link *link, enum lab_direction direction) {
    for (int i = 0; i < READ_AT_ONCE; i++) {
        struct wire_packet *packet = wire_stock_get(&lab->stock);
        uint8_t nowhere[WIRE_PACKET_MAX];
        ssize_t n = read(link->ends[direction], packet != NULL ? packet->data : nowhere,
                         sizeof nowhere);
        if (n > 0 && packet == NULL) {
            lab->refused++;
        } else if (n > 0) {
            packet->len = (size_t)n;
            wire_put(&leg_of(link, direction, packet)->wires[direction], packet, lab_now_ns());
        } else {
            if (packet != NULL)
                wire_stock_put(&lab->stock, packet);
            break;
        }
    }
}

static uint64_t deliver_wire(struct lab *lab, struct wire *wire, int to) {
    struct wire_packet *packet;
    uint64_t count = 0;
    for (; (packet = wire_take(wire, lab_now_ns())) != NULL; count++) {
        if (write(to, packet->data, packet->len) != (ssize_t)packet->len)
            lab->refused++;
        wire_stock_put(&lab->stock, packet);
    }
    return count;
}

uint64_t lab_deliver(struct lab *lab, uint64_t *next_ns) {
    uint64_t count = 0;
    *next_ns = WIRE_NEVER;
    for (size_t i = 0; i < lab->link_count; i++) {
        struct lab_link *link = &lab->links[i];
        for (size_t leg = 0; leg < link->leg_count; leg++)
            for (int direction = 0; direction < 2; direction++) {
                struct wire *wire = &link->legs[leg].wires[direction];
                if (wire_due(wire) == WIRE_NEVER)
                    continue;
                count += deliver_wire(lab, wire, link->ends[!direction]);
                if (wire_due(wire) < *next_ns)
                    *next_ns = wire_due(wire);
            }
    }
    return count;
}
