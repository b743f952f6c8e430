#include "sim/world.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "env.h"

/* Events at one instant: more than any burst of a network of this size, so a loop in the wiring or
 * in the core that time does not end. */
#define SAME_MAX 2000000

static void *or_die(void *ptr) {
    if (ptr == NULL) {
        fputs("sim: out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void world_init(struct world *world, uint64_t seed, bool trace) {
    *world = (struct world){.seed = seed, .rng = seed, .now = 1000000, .trace = trace};
    world->digest = UINT64_C(0xcbf29ce484222325);
}

struct world_last {
    struct world_last *next;
    void (*fn)(void *ctx);
    void *ctx;
};

void world_finally(struct world *world, void (*fn)(void *ctx), void *ctx) {
    struct world_last *last = world_keep(world, sizeof *last);
    *last = (struct world_last){world->last, fn, ctx};
    world->last = last;
}

void world_clear(struct world *world) {
    for (; world->last != NULL; world->last = world->last->next)
        world->last->fn(world->last->ctx);
    for (size_t i = 0; i < world->count; i++)
        free(world->heap[i].data);
    for (size_t i = 0; i < world->kept_count; i++)
        free(world->kept[i]);
    free(world->heap);
    free(world->kept);
}

void *world_keep(struct world *world, size_t len) {
    if (world->kept_count == world->kept_cap) {
        world->kept_cap = world->kept_cap * 2 + 64;
        world->kept = or_die(realloc(world->kept, world->kept_cap * sizeof *world->kept));
    }
    void *ptr = or_die(calloc(1, len));
    world->kept[world->kept_count++] = ptr;
    return ptr;
}

/* ---- events ---- */

static bool before(const struct world_event *a, const struct world_event *b) {
    return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

void world_give(struct world *world, uint64_t at, world_fn fn, void *ctx, uint64_t arg,
                uint8_t *data, size_t len) {
    if (world->count == world->cap) {
        world->cap = world->cap * 2 + 256;
        world->heap = or_die(realloc(world->heap, world->cap * sizeof *world->heap));
    }
    struct world_event event = {
        at > world->now ? at : world->now, world->seq++, arg, fn, ctx, data, len};
    size_t i = world->count++;
    while (i > 0 && before(&event, &world->heap[(i - 1) / 2])) {
        world->heap[i] = world->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    world->heap[i] = event;
}

void world_at(struct world *world, uint64_t at, world_fn fn, void *ctx, uint64_t arg,
              const uint8_t *data, size_t len) {
    uint8_t *copy = NULL;
    if (len > 0) {
        copy = or_die(malloc(len));
        memcpy(copy, data, len);
    }
    world_give(world, at, fn, ctx, arg, copy, len);
}

static struct world_event pop(struct world *world) {
    struct world_event first = world->heap[0], last = world->heap[--world->count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= world->count)
            break;
        if (child + 1 < world->count && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    world->heap[i] = last;
    return first;
}

bool world_step(struct world *world) {
    if (world->count == 0 || world->failure[0] != '\0')
        return false;
    struct world_event event = pop(world);
    world->same = event.at > world->now ? 0 : world->same + 1;
    world->now = event.at;
    world->events++;
    if (world->same > SAME_MAX)
        world_fail(world, "time stands still");
    event.fn(world, event.ctx, event.arg, event.data, event.len);
    free(event.data);
    return world->failure[0] == '\0';
}

/* ---- dice ---- */

uint64_t world_random(struct world *world) {
    return test_random_u64(&world->rng);
}

uint64_t world_between(struct world *world, uint64_t low, uint64_t high) {
    return low + world_random(world) % (high - low + 1);
}

bool world_chance(struct world *world, unsigned per_thousand) {
    return world_random(world) % 1000 < per_thousand;
}

void world_rng_init(struct world_rng *rng, struct world *world) {
    rng->state = world_random(world);
    rng->rng = test_rng_make(&rng->state);
}

/* ---- what is said ---- */

void world_note(struct world *world, uint64_t value) {
    world->digest = (world->digest ^ value) * UINT64_C(0x100000001b3);
}

void world_fail(struct world *world, const char *fmt, ...) {
    if (world->failure[0] != '\0')
        return;
    int head = snprintf(world->failure, sizeof world->failure,
                        "at %.6f s: ", (double)world->now / (double)SECOND);
    va_list args;
    va_start(args, fmt);
    vsnprintf(world->failure + head, sizeof world->failure - (size_t)head, fmt, args);
    va_end(args);
    if (world->trace)
        printf("FAIL %s\n", world->failure);
}

void world_trace(struct world *world, const char *fmt, ...) {
    char line[256];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    world_note(world, world->now);
    for (int i = 0; i < len && i < (int)sizeof line; i++)
        world_note(world, (uint8_t)line[i]);
    if (world->trace)
        printf("%12.6f %s\n", (double)world->now / (double)SECOND, line);
}

/* ---- memory ---- */

/* Before each block: its length. 16 bytes keep what malloc() aligned as it was. */
union head {
    size_t len;
    max_align_t align;
};

static void *counted(void *ctx, size_t len) {
    struct world_mem *mem = ctx;
    union head *head = or_die(calloc(1, sizeof *head + len));
    head->len = len;
    mem->bytes += len;
    mem->blocks++;
    if (mem->bytes > mem->peak)
        mem->peak = mem->bytes;
    if (mem->ceiling > 0 && mem->bytes > mem->ceiling)
        world_fail(mem->world, "memory: %s holds %zu bytes, its ceiling is %zu", mem->name,
                   mem->bytes, mem->ceiling);
    return head + 1;
}

static void uncounted(void *ctx, void *ptr) {
    struct world_mem *mem = ctx;
    if (ptr == NULL)
        return;
    union head *head = (union head *)ptr - 1;
    if (!mem->leaks)
        mem->bytes -= head->len;
    mem->blocks--;
    free(head);
}

void world_mem_init(struct world_mem *mem, struct world *world, const char *name, size_t ceiling) {
    *mem = (struct world_mem){.world = world, .name = name, .ceiling = ceiling};
    mem->mem = (struct fb_mem){counted, uncounted, mem};
}
