/*
 * Virtual time: one queue of events, ordered by time and then by the order in which they were
 * made; randomness from one seed; memory that is counted for each node; a trace; and the one way
 * to say that an invariant does not hold. Nothing here knows of networks.
 *
 * What is taken by world_keep() lives as long as the world, so an event never meets memory that is
 * gone: objects that end are marked, not freed.
 */
#ifndef FB_SIM_WORLD_H
#define FB_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

#define MS UINT64_C(1000) /* in us */
#define SECOND UINT64_C(1000000)
#define NEVER UINT64_MAX

struct world;

/* ctx and arg are the event's own; data of len bytes is freed when the function returns. */
typedef void (*world_fn)(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len);

struct world_event {
    uint64_t at, seq, arg;
    world_fn fn;
    void *ctx;
    uint8_t *data;
    size_t len;
};

struct world {
    uint64_t seed, now; /* us */
    uint64_t rng;       /* state of the simulation's own dice */
    struct world_event *heap;
    size_t count, cap;
    uint64_t seq, events;
    uint64_t same; /* events since time last moved */
    uint64_t digest;
    bool trace;
    void **kept;
    size_t kept_count, kept_cap;
    struct world_last *last;
    char failure[320]; /* the first invariant that did not hold; "": none */
};

void world_init(struct world *world, uint64_t seed, bool trace);
void world_clear(struct world *world);

/* Zeroed memory that lives as long as the world. */
void *world_keep(struct world *world, size_t len);

/* Called when the world is cleared, before its memory goes. */
void world_finally(struct world *world, void (*fn)(void *ctx), void *ctx);

/* data is copied (NULL, 0: none). */
void world_at(struct world *world, uint64_t at, world_fn fn, void *ctx, uint64_t arg,
              const uint8_t *data, size_t len);
/* The same, but the event takes data, which malloc() gave. */
void world_give(struct world *world, uint64_t at, world_fn fn, void *ctx, uint64_t arg,
                uint8_t *data, size_t len);
/* One event. False: there is none, or an invariant has failed. */
bool world_step(struct world *world);

uint64_t world_random(struct world *world);
/* low to high, both included. */
uint64_t world_between(struct world *world, uint64_t low, uint64_t high);
bool world_chance(struct world *world, unsigned per_thousand);

/* Says that an invariant does not hold; the first one counts, and the run ends. */
void world_fail(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A line of the trace, when there is one. Every call goes into the digest, printed or not. */
void world_trace(struct world *world, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Into the digest, which tells two runs apart. */
void world_note(struct world *world, uint64_t value);

/* ---- the memory of one node ---- */

struct world_mem {
    struct fb_mem mem; /* hand this to the core */
    struct world *world;
    const char *name;
    size_t bytes, peak, ceiling; /* ceiling 0: none */
    size_t blocks;
    bool leaks; /* a self-test: what is freed stays counted */
};

void world_mem_init(struct world_mem *mem, struct world *world, const char *name, size_t ceiling);

/* A random source of its own for the core of one node. */
struct world_rng {
    struct fb_rng rng;
    uint64_t state;
};

void world_rng_init(struct world_rng *rng, struct world *world);

#endif
