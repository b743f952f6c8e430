/* From a seed: how large a network is, who takes part in it, and what befalls them. */
#include <string.h>

#include "sim/net.h"

static const char countries[][3] = {"DE", "US", "BR", "JP", "IN", "ZA", "IR", "CN"};

void plan_from_seed(struct plan *plan, uint64_t seed, bool large) {
    struct world dice;
    world_init(&dice, seed ^ UINT64_C(0x5eed), false);
    *plan = (struct plan){.seed = seed};
    plan->clients = (unsigned)(large ? world_between(&dice, 60, 100) : world_between(&dice, 1, 3));
    plan->volunteers = (unsigned)(large ? world_between(&dice, 2000, 4000)
                                        : world_between(&dice, 6, 30));
    plan->egresses = (unsigned)world_between(&dice, 1, large ? 4 : 2);
    plan->transfers = (unsigned)(large ? world_between(&dice, 4, 8) : world_between(&dice, 5, 30));
    plan->paths = (unsigned)world_between(&dice, 1, 5);
    plan->lanes = (unsigned)(world_chance(&dice, 300) ? world_between(&dice, 2, 8) : 1);
    plan->faults = (unsigned)(world_chance(&dice, 250) ? 0 : world_between(&dice, 50, 500));
    plan->loss = (unsigned)(world_chance(&dice, 250) ? 0 : world_between(&dice, 100, 3000));
    plan->bytes = world_between(&dice, 20000, large ? 400000 : 1000000);
    plan->calm = world_between(&dice, 20, 80) * SECOND;
    plan->life = world_between(&dice, 5, 40) * SECOND;
    plan->real_crypto = !large;
    plan->restarts = world_chance(&dice, 150);
    plan->max_stream_data = UINT64_C(1) << world_between(&dice, 15, 17);
    plan->max_data = 16 * plan->max_stream_data;
    plan->first_stream_data = plan->max_data / 64;
}

static uint64_t rate(struct world *world) {
    static const uint64_t rates[] = {100000, 250000, 600000, 1250000, 2500000, 6000000};
    return rates[world_between(world, 0, sizeof rates / sizeof *rates - 1)];
}

static struct wire make_wire(uint64_t rate) {
    size_t half_a_second = (size_t)(rate / 2);
    return (struct wire){.rate = rate, .queue = half_a_second > 64000 ? half_a_second : 64000};
}

/* A household of its own for everybody. */
static void place(struct world *world, unsigned number, uint8_t country[FB_COUNTRY_LEN],
                  uint8_t prefix[FB_ADDR_PREFIX_LEN], bool reader) {
    struct fb_addr addr = {
        .family = 4,
        .ip = {(uint8_t)(20 + number / 65536), (uint8_t)(number >> 8), (uint8_t)number, 1}};
    fb_addr_prefix(&addr, prefix);
    memcpy(country, countries[world_between(world, reader ? 6 : 0, reader ? 7 : 6)],
           FB_COUNTRY_LEN);
}

static void make_volunteer(struct net *net, unsigned index) {
    struct world *world = &net->world;
    struct volunteer *vol = &net->volunteers[index];
    vol->net = net;
    vol->index = index;
    world_mem_init(&vol->mem, world, "a volunteer", 256 << 10);
    world_rng_init(&vol->rng, world);
    fb_list_init(&vol->paths);
    if (world_chance(world, net->plan.faults)) {
        vol->kind = (enum volunteer_kind)world_between(world, CORRUPTER, VOLUNTEER_KINDS - 1);
        vol->rate_of_evil = (unsigned)world_between(world, 1, 200);
    }
    vol->delay = world_between(world, 3 * MS, 120 * MS);
    vol->jitter = world_between(world, 0, 30 * MS);
    vol->loss = (unsigned)world_between(world, 0, net->plan.loss);
    vol->rate_up = rate(world);
    vol->rate_down = rate(world) * 2;
    vol->up = make_wire(vol->rate_up);
    vol->down = make_wire(vol->rate_down);
    if (world_chance(world, 250))
        vol->limit = (uint32_t)world_between(world, 32000, 500000);
    vol->nat = world_chance(world, 250) ? FB_NAT_HARD : FB_NAT_EASY;
    place(world, index, vol->country, vol->prefix, false);
}

static void make_client(struct net *net, unsigned index) {
    struct world *world = &net->world;
    struct client *client = &net->clients[index];
    client->net = net;
    client->index = index;
    world_mem_init(&client->mem, world, "a client", session_ceiling(&net->plan));
    client->mem.leaks = net->plan.meddling == MEDDLE_LEAK;
    world_rng_init(&client->rng, world);
    client->delay = world_between(world, 5 * MS, 60 * MS);
    client->up = make_wire(rate(world) * 2);
    client->down = make_wire(rate(world) * 4);
    client->nat = world_chance(world, 250) ? FB_NAT_HARD : FB_NAT_EASY;
    place(world, 60000 + index, client->country, client->prefix, true);
}

void scenario_people(struct net *net) {
    for (unsigned i = 0; i < net->plan.volunteers; i++)
        make_volunteer(net, i);
    for (unsigned i = 0; i < net->plan.clients; i++)
        make_client(net, i);
}

/* ---- mishaps ---- */

static void open_tab(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct volunteer *vol = ctx;
    vol->net->totals.returned += arg;
    volunteer_open_tab(vol);
}

static void mishap(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len);

static void plan_mishap(struct volunteer *vol) {
    struct net *net = vol->net;
    struct world *world = &net->world;
    uint64_t at = world->now + world_between(world, SECOND, 2 * net->plan.life);
    if (at < net->plan.calm)
        world_at(world, at, mishap, vol, 0, NULL, 0);
}

static void leave(struct volunteer *vol, bool farewell) {
    struct world *world = &vol->net->world;
    volunteer_close_tab(vol, farewell);
    world_at(world, world->now + world_between(world, SECOND, 30 * SECOND), open_tab, vol, 1, NULL,
             0);
}

static void mishap(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct volunteer *vol = ctx;
    struct totals *totals = &vol->net->totals;
    if (vol->slot != NULL) {
        switch (world_between(world, 0, 3)) {
        case 0:
            totals->closed++;
            leave(vol, true);
            break;
        case 1:
            totals->vanished++;
            leave(vol, false);
            break;
        case 2:
            totals->frozen++;
            volunteer_freeze(vol, world_between(world, 200 * MS, 8 * SECOND));
            break;
        default: totals->crawled++; volunteer_crawl(vol, world_between(world, SECOND, 15 * SECOND));
        }
    }
    plan_mishap(vol);
}

static void restart(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct egress *egress = ctx;
    world_trace(world, "egress %u restarts", egress->index);
    egress->net->totals.restarts++;
    egress_stop(egress);
    egress_start(egress);
}

/* Good weather: who is hostile goes, and comes back honest. */
static void calm_down(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct net *net = ctx;
    world_trace(world, "calm weather");
    for (unsigned i = 0; i < net->plan.volunteers; i++) {
        struct volunteer *vol = &net->volunteers[i];
        if (vol->kind == HONEST)
            continue;
        volunteer_close_tab(vol, true);
        vol->kind = HONEST;
        world_at(world, world->now + SECOND, open_tab, vol, 0, NULL, 0);
    }
}

void scenario_mishaps(struct net *net) {
    struct world *world = &net->world;
    for (unsigned i = 0; i < net->plan.volunteers; i++) {
        struct volunteer *vol = &net->volunteers[i];
        uint64_t first = i < net->plan.volunteers / 2 ? 2 * SECOND : net->plan.calm / 2;
        world_at(world, world->now + world_random(world) % first, open_tab, vol, 0, NULL, 0);
        plan_mishap(vol);
    }
    if (net->plan.restarts)
        world_at(world, world_between(world, 5 * SECOND, net->plan.calm), restart,
                 &net->egresses[0], 0, NULL, 0);
    world_at(world, net->plan.calm, calm_down, net, 0, NULL, 0);
}
