#include "sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/openssl.h"
#include "fuzz/null_crypto.h"

#define STEP (250 * MS)
/* From calm weather on, everything must come to its end within this. */
#define RUN_MAX (900 * SECOND)

const struct hop_handler client_to_volunteer = {volunteer_from_client, client_drained, 65536};
const struct hop_handler volunteer_to_client = {client_from_volunteer, volunteer_drained,
                                                FB_SLOT_LANE_LOW};
const struct hop_handler volunteer_to_egress = {egress_from_volunteer, volunteer_drained,
                                                FB_SLOT_QUEUE_REPORT / 4 - 1};
const struct hop_handler egress_to_volunteer = {volunteer_from_egress, egress_drained, 65536};

uint64_t now_ms(const struct net *net) {
    return net->world.now / MS;
}

/* ---- birth ---- */

static void make_keys(struct net *net, struct world_rng *rng, uint8_t private_key[FB_KEY_LEN],
                      uint8_t public_key[FB_KEY_LEN], bool signing) {
    fb_random(&rng->rng, private_key, FB_KEY_LEN);
    if (!net->plan.real_crypto)
        fb_null_public(private_key, public_key);
    else if ((signing ? fb_ed25519_public : fb_x25519_public)(private_key, public_key) != 0)
        world_fail(&net->world, "a key cannot be made");
}

static void make_broker(struct net *net) {
    struct broker *broker = &net->broker;
    uint8_t public_key[FB_KEY_LEN];
    broker->net = net;
    broker->delay = 10 * MS;
    /* A few hundred bytes for each who is there or asks. */
    world_mem_init(&broker->mem, &net->world, "the broker",
                   (1 << 20) + net->plan.volunteers * 4096 + net->plan.clients * 16384);
    world_rng_init(&broker->rng, &net->world);
    make_keys(net, &broker->rng, broker->sealing_private, broker->sealing_public, false);
    make_keys(net, &broker->rng, broker->ticket_seed, public_key, true);
    fb_ticket_key_init(&broker->ticket_key, net->crypto, public_key);
    broker_start(broker);
}

static void make_egress(struct net *net, unsigned index) {
    struct egress *egress = &net->egresses[index];
    egress->net = net;
    egress->index = index;
    egress->delay = 5 * MS;
    world_mem_init(&egress->mem, &net->world, "an egress's tokens and tickets", 32 << 20);
    world_rng_init(&egress->rng, &net->world);
    make_keys(net, &egress->rng, egress->private_key, egress->public_key, false);
    egress_start(egress);
}

struct net *net_new(const struct plan *plan, bool trace) {
    struct net *net = calloc(1, sizeof *net);
    if (net == NULL)
        return NULL;
    struct world *world = &net->world;
    world_init(world, plan->seed, trace);
    net->plan = *plan;
    if (plan->meddling != MEDDLE_NOTHING)
        net->plan.real_crypto = false;
    net->crypto = net->plan.real_crypto ? fb_crypto_openssl()
                                        : fb_crypto_null(plan->meddling == MEDDLE_NOTHING);
    world_mem_init(&net->mem, world, "the simulation", 0);
    world_rng_init(&net->rng, world);
    fb_random(&net->rng.rng, net->network_id, sizeof net->network_id);
    net->paths = fb_map_new(&net->mem.mem, &net->rng.rng, 8);
    net->clients = world_keep(world, plan->clients * sizeof *net->clients);
    net->volunteers = world_keep(world, plan->volunteers * sizeof *net->volunteers);
    net->egresses = world_keep(world, plan->egresses * sizeof *net->egresses);
    net->transfers = world_keep(world, plan->clients * (plan->transfers + 2 * PROBES) *
                                           sizeof(struct transfer *));
    make_broker(net);
    for (unsigned i = 0; i < plan->egresses; i++)
        make_egress(net, i);
    scenario_people(net);
    return net;
}

/* ---- death ---- */

void net_free(struct net *net) {
    if (net == NULL)
        return;
    struct world *world = &net->world;
    for (unsigned i = 0; i < net->plan.clients; i++)
        client_free(&net->clients[i]);
    for (unsigned i = 0; i < net->plan.volunteers; i++)
        volunteer_free(&net->volunteers[i]);
    for (unsigned i = 0; i < net->plan.egresses; i++)
        if (net->egresses[i].tokens != NULL)
            egress_stop(&net->egresses[i]);
    broker_free(&net->broker);
    fb_map_free(net->paths);
    world_clear(world);
    free(net);
}

/* ---- a run ---- */

static bool transfers_over(const struct net *net) {
    for (unsigned i = 0; i < net->transfer_count; i++)
        if (!net->transfers[i]->over && !net->transfers[i]->probe)
            return false;
    return true;
}

static bool ends_tested(struct net *net) {
    bool all = true;
    for (unsigned i = 0; i < net->plan.clients; i++)
        all &= check_end(&net->clients[i]);
    return all;
}

/* Runs until what() is true; false: an invariant failed, or it did not come in time. */
static bool run_until(struct net *net, bool (*what)(struct net *net), uint64_t until,
                      const char *otherwise) {
    struct world *world = &net->world;
    uint64_t next = world->now;
    while (world_step(world)) {
        if (world->now < next)
            continue;
        if (net->samples != NULL && !net->ending)
            samples_take(net);
        if (what(net))
            return true;
        if (world->now >= until)
            world_fail(world, "%s", otherwise);
        next = world->now + STEP;
    }
    return false;
}

static bool all_over(struct net *net) {
    return net->world.now > net->plan.calm + 5 * SECOND && transfers_over(net);
}

static bool sessions_gone(struct net *net) {
    for (unsigned i = 0; i < net->plan.egresses; i++)
        if (!fb_list_empty(&net->egresses[i].sessions))
            return false;
    return true;
}

static void add_up(struct net *net) {
    struct totals *totals = &net->totals;
    for (unsigned i = 0; i < net->plan.clients; i++) {
        const struct client *client = &net->clients[i];
        if (client->longest_stall > totals->longest_stall)
            totals->longest_stall = client->longest_stall;
        if (client->mem.peak > totals->client_peak)
            totals->client_peak = client->mem.peak;
    }
    totals->broker_peak = net->broker.mem.peak;
}

void net_run(struct net *net) {
    struct world *world = &net->world;
    scenario_mishaps(net);
    for (unsigned i = 0; i < net->plan.clients; i++)
        client_start(&net->clients[i]);
    world_at(world, world->now + STEP, check_time, net, 0, NULL, 0);
    uint64_t until = net->plan.calm + RUN_MAX;
    bool well = run_until(net, all_over, until, "deadlock: transfers do not end");
    net->ending = true;
    well = well && run_until(net, ends_tested, NEVER, "");
    for (unsigned i = 0; well && i < net->plan.clients; i++)
        client_stop(&net->clients[i]);
    if (well)
        run_until(net, sessions_gone, world->now + 4 * FB_SESSION_IDLE_US,
                  "deadlock: sessions of clients that left do not end");
    add_up(net);
}
