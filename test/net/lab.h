/*
 * The laboratory's own process (lab.mjs drives it): it makes network namespaces that have no name
 * and live as long as it and what runs in them, joins them by emulated links between TUN devices
 * (wire.h), and runs the links.
 *
 *     lab check               0, or 1 with one line that says what is missing here
 *     lab run SEED            takes commands, a line each, until its input ends or its parent dies
 *     lab exec PARENT LAB FD FILE [ARG...]
 *                             becomes FILE in the namespace FD of process LAB; dies with PARENT
 *
 * Needs root, or else a user namespace of its own in which it is root, and /dev/net/tun.
 *
 * Commands, and the line that answers each: "ok", with what is said below, or "error" and why.
 *
 *     host NAME                            ok FD: a new namespace; "core" is there from the start
 *     link NAME HOST DEVICE HOST DEVICE    a link between two hosts; up is from the first to the
 *                                          second. Its leg "-" takes every packet, unless there is
 *     leg LINK NAME ADDRESS/LENGTH         another for that IPv4 address at the second host's side
 *     set LINK LEG up|down|both (KEY VALUE)...
 *                                          keys: delay jitter (us) loss burst-start burst-end
 *                                          burst-loss (0 to 1) rate (bit/s) queue (bytes)
 *     count LINK LEG                       ok JSON
 */
#ifndef FB_NET_LAB_H
#define FB_NET_LAB_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

#define LAB_NAME_MAX 32
#define LAB_HOSTS_MAX 128
#define LAB_LINKS_MAX 64
#define LAB_LEGS_MAX 8

/* ---- spaces.c: namespaces and devices ---- */

/*
 * The process becomes root of a user namespace where it is not root, and enters a new network
 * namespace. 0; -1 with one line in why.
 */
int spaces_begin(char why[static 256]);
/* Another network namespace: its descriptor; -1 with one line in why. */
int spaces_new(char why[static 256]);
/* A TUN device with that name in the namespace: its descriptor, not blocking; -1 and why. */
int spaces_tun(int space, const char *name, char why[static 256]);
/* `lab exec`: returns only where it fails, the exit status. */
int spaces_exec(int argc, char **argv);
/* The process is killed when its parent dies, which may have happened. */
void spaces_die_with(int parent);

/* ---- links.c ---- */

enum lab_direction { LAB_UP, LAB_DOWN };

struct lab_leg {
    char name[LAB_NAME_MAX];
    uint32_t prefix, mask; /* host byte order */
    struct wire wires[2];
};

struct lab_link {
    char name[LAB_NAME_MAX];
    int ends[2]; /* ends[LAB_UP] reads what goes up */
    struct lab_leg legs[LAB_LEGS_MAX];
    size_t leg_count;
};

struct lab_host {
    char name[LAB_NAME_MAX];
    int space;
};

struct lab {
    struct wire_stock stock;
    uint64_t seed;
    int epoll;
    struct lab_host hosts[LAB_HOSTS_MAX];
    size_t host_count;
    struct lab_link links[LAB_LINKS_MAX];
    size_t link_count;
    uint64_t refused; /* packets that a device did not take, or that found no memory */
};

uint64_t lab_now_ns(void);

/* Adds its leg "-". */
struct lab_link *lab_add_link(struct lab *lab, const char *name, int up, int down);
struct lab_leg *lab_add_leg(struct lab *lab, struct lab_link *link, const char *name,
                            uint32_t prefix, uint32_t mask);

/* What the device has, some of it, into the link's wires. */
void lab_read(struct lab *lab, struct lab_link *link, enum lab_direction direction);
/* Delivers all that is due: how many packets. There may be more at next_ns. */
uint64_t lab_deliver(struct lab *lab, uint64_t *next_ns);

/* ---- commands.c ---- */

/* Carries out one line and prints the answer. */
void lab_command(struct lab *lab, char *line);

#endif
