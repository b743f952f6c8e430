/* The slot's glue, as src/role/volunteer.c has it for sockets; and mischief. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/net.h"

#define CONSENT_WAIT (10 * SECOND) /* until ICE notices that its peer has vanished */
#define CLOSE_TRIES 40             /* of 50 ms, for what was sent to leave before a hop closes */

#define CRAWL_RATE 6000 /* bytes a second */

enum { TO_CLIENT, TO_EGRESS };

/* A message that waits for its turn. */
struct held {
    struct fb_list link;
    size_t len;
    uint8_t data[];
};

static void run(struct volunteer *vol);

/* While the tab is frozen nothing happens in it; what comes, comes when it thaws. */
static bool frozen(struct volunteer *vol, world_fn fn, void *ctx, uint64_t arg, const uint8_t *data,
                   size_t len) {
    struct world *world = &vol->net->world;
    if (world->now >= vol->frozen_until)
        return false;
    world_at(world, vol->frozen_until, fn, ctx, arg, data, len);
    return true;
}

static bool alive(const struct path *path) {
    return path->volunteer != NULL && path->volunteer->slot != NULL &&
           !fb_list_empty(&path->by_volunteer);
}

static void drop_held(struct fb_list *list) {
    FB_LIST_EACH (it, list) {
        fb_list_remove(it);
        free(FB_CONTAINER(it, struct held, link));
    }
}

static void hold(struct fb_list *list, const uint8_t *data, size_t len) {
    struct held *held = malloc(sizeof *held + len);
    if (held == NULL)
        abort();
    held->len = len;
    memcpy(held->data, data, len);
    fb_list_push(list, &held->link);
}

static size_t bytes_held(struct fb_list *list) {
    size_t bytes = 0;
    FB_LIST_EACH (it, list)
        bytes += FB_CONTAINER(it, struct held, link)->len;
    return bytes;
}

static void forget_path(struct path *path) {
    drop_held(&path->held[0]);
    drop_held(&path->held[1]);
    fb_list_remove(&path->by_volunteer);
}

static void forget_dead_paths(struct volunteer *vol) {
    FB_LIST_EACH (it, &vol->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_volunteer);
        if (!path->peer && !path->ws)
            forget_path(path);
    }
}

static struct path *find(struct volunteer *vol, uint32_t m) {
    FB_LIST_EACH (it, &vol->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_volunteer);
        if (path->m == m)
            return path;
    }
    return NULL;
}

/* ---- closing a hop, after what was sent has left ---- */

static void finish_close(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    int to = (int)(arg & 1);
    uint64_t tries = arg >> 1;
    struct hop *out = to == TO_CLIENT ? path->vc : path->ve;
    if (out != NULL && hop_holds(out) > 0 && tries < CLOSE_TRIES) {
        world_at(world, world->now + 50 * MS, finish_close, path, (tries + 1) << 1 | (uint64_t)to,
                 NULL, 0);
        return;
    }
    hop_kill(to == TO_CLIENT ? path->cv : path->ev);
    hop_kill(out);
    if (to == TO_CLIENT)
        client_hop_closed(world, path, 0, NULL, 0);
    else
        egress_hop_closed(world, path, 0, NULL, 0);
}

static void close_hop(struct path *path, int to) {
    struct world *world = &path->net->world;
    uint64_t delay = path->volunteer->delay + (to == TO_CLIENT ? path->client->delay : 0);
    if (to == TO_CLIENT)
        path->peer = path->peer_open = false;
    else
        path->ws = path->ws_open = false;
    world_at(world, world->now + delay + 5 * MS, finish_close, path, (uint64_t)to, NULL, 0);
}

/* ---- mischief ---- */

static void send_late(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    hop_send(ctx, data, len);
}

/* What a volunteer that is not honest does with a message that it should pass on. True: it has
 * done all there is to do. */
static bool misbehave(struct path *path, struct hop *hop, uint8_t *msg, size_t len) {
    struct volunteer *vol = path->volunteer;
    struct net *net = path->net;
    struct world *world = &net->world;
    if (vol->kind == HONEST || !world_chance(world, vol->rate_of_evil))
        return false;
    switch (vol->kind) {
    case CORRUPTER:
        msg[1 + world_random(world) % (len - 1)] ^= (uint8_t)(1u << world_random(world) % 8);
        net->totals.corrupted++;
        return false;
    case DOUBLER:
        world_at(world, world->now + world_between(world, 0, 3 * SECOND), send_late, hop, 0, msg,
                 len);
        net->totals.doubled++;
        return false;
    case DROPPER: net->totals.dropped++; return true;
    default: return false;
    }
}

/* A second WebSocket to the egress, with what opened the first. */
static void attach_again(struct world *world, void *ctx, uint64_t arg, uint8_t *msg, size_t len) {
    struct path *path = ctx;
    struct net *net = path->net;
    struct path *copy = world_keep(world, sizeof *copy);
    struct hop_config config = {
        .delay = path->volunteer->delay, .window = 65536, .lanes = 1, .ordered = true};
    *copy = (struct path){.net = net, .client = path->client, .stage = GONE};
    copy->serial = path->serial;
    copy->egress = path->egress;
    copy->volunteer = path->volunteer;
    fb_list_init(&copy->by_client);
    fb_list_init(&copy->by_volunteer);
    fb_list_init(&copy->by_session);
    copy->ve = hop_new(world, &config, &volunteer_to_egress, copy);
    copy->ev = hop_new(world, &config, &egress_to_volunteer, copy);
    copy->attach_replay = 1;
    egress_accept(copy);
    /* Every other time with a ticket of its own, as a broker that colludes would make. */
    if (world_chance(world, 500))
        (void)broker_ticket(&net->broker, copy->egress, msg + 1 + FB_TICKET_LEN, msg + 1);
    hop_send(copy->ve, msg, len);
}

/* ---- what happens at the hops ---- */

static void from_client_later(struct world *world, void *ctx, uint64_t arg, uint8_t *data,
                              size_t len) {
    struct path *path = ctx;
    volunteer_from_client(path, path->cv, data, len);
}

static void from_egress_later(struct world *world, void *ctx, uint64_t arg, uint8_t *data,
                              size_t len) {
    struct path *path = ctx;
    volunteer_from_egress(path, path->ev, data, len);
}

static void relay(struct path *path, bool from_client, uint8_t *msg, size_t len) {
    struct volunteer *vol = path->volunteer;
    int to = from_client ? TO_EGRESS : TO_CLIENT;
    bool open = from_client ? path->ws_open : path->peer_open;
    struct hop *hop = from_client ? path->ve : path->vc;
    uint32_t queued[FB_LANES_MAX] = {open ? (uint32_t)hop_buffered(hop) : 0}, lane;
    bool glutton = path->net->plan.meddling == MEDDLE_GLUTTON;
    if (vol->kind == HOARDER || glutton) /* it hides what it holds */
        queued[0] = 0;
    uint64_t now = now_ms(path->net);
    switch (fb_slot_relay(vol->slot, path->m, from_client, msg[0], len, queued, &lane, now)) {
    case FB_RELAY_PASS:
        if (open && !misbehave(path, hop, msg, len))
            hop_send(hop, msg, len);
        for (int more = 0; open && glutton && more < 7; more++)
            hop_send(hop, msg, len);
        break;
    case FB_RELAY_WAIT: hold(&path->held[to], msg, len); break;
    case FB_RELAY_HOP: fb_slot_hop(vol->slot, path->m, from_client, msg, len, now); break;
    case FB_RELAY_DROP: break;
    }
    run(vol);
    check_queue(path, (open ? hop_buffered(hop) : 0) + bytes_held(&path->held[to]));
}

void volunteer_from_client(void *ctx, struct hop *hop, uint8_t *msg, size_t len) {
    struct path *path = ctx;
    if (alive(path) && path->peer && !frozen(path->volunteer, from_client_later, path, 0, msg, len))
        relay(path, true, msg, len);
}

void volunteer_from_egress(void *ctx, struct hop *hop, uint8_t *msg, size_t len) {
    struct path *path = ctx;
    if (alive(path) && path->ws && !frozen(path->volunteer, from_egress_later, path, 0, msg, len))
        relay(path, false, msg, len);
}

static void drained_later(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    volunteer_drained(path, arg == TO_CLIENT ? path->vc : path->ve);
}

void volunteer_drained(void *ctx, struct hop *hop) {
    struct path *path = ctx;
    struct volunteer *vol = path->volunteer;
    bool to_client = hop == path->vc;
    if (!alive(path) || vol->kind == HOARDER ||
        frozen(vol, drained_later, path, to_client ? TO_CLIENT : TO_EGRESS, NULL, 0))
        return;
    uint32_t queued[FB_LANES_MAX] = {(uint32_t)hop_buffered(hop)};
    fb_slot_drained(vol->slot, path->m, to_client, queued, now_ms(path->net));
    run(vol);
}

void volunteer_peer_open(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct volunteer *vol = path->volunteer;
    if (!alive(path) || !path->peer || frozen(vol, volunteer_peer_open, path, arg, data, len))
        return;
    path->peer_open = true;
    fb_slot_peer_open(vol->slot, path->peer_id, now_ms(path->net));
    run(vol);
}

void volunteer_hop_closed(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct volunteer *vol = path->volunteer;
    if (!alive(path) || frozen(vol, volunteer_hop_closed, path, arg, data, len))
        return;
    if (arg == TO_CLIENT) {
        path->peer = path->peer_open = false;
        hop_kill(path->cv);
        hop_kill(path->vc);
        fb_slot_peer_closed(vol->slot, path->peer_id, now_ms(path->net));
    } else {
        path->ws = path->ws_open = false;
        hop_kill(path->ve);
        hop_kill(path->ev);
        fb_slot_egress_closed(vol->slot, path->m, now_ms(path->net));
    }
    run(vol);
}

/* ---- what the slot wants ---- */

static void described(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct volunteer *vol = path->volunteer;
    struct fb_desc desc = {.setup = FB_SETUP_ACTIVE, .sctp_port = 5000, .candidate_count = 1};
    if (!alive(path) || frozen(vol, described, path, arg, data, len))
        return;
    snprintf(desc.ufrag, sizeof desc.ufrag, "v%07u", path->serial);
    snprintf(desc.pwd, sizeof desc.pwd, "%022u", path->serial);
    for (size_t i = 0; i < sizeof desc.fingerprint; i++)
        desc.fingerprint[i] = (uint8_t)world_random(world);
    desc.candidates[0].type = FB_CAND_SRFLX;
    desc.candidates[0].addr = (struct fb_addr){.family = 4, .port = 5000};
    memcpy(desc.candidates[0].addr.ip, vol->prefix + 1, 3);
    desc.candidates[0].addr.ip[3] = 7;
    fb_slot_peer_described(vol->slot, path->peer_id, &desc, now_ms(path->net));
    run(vol);
}

static void create_peer(struct volunteer *vol, const struct fb_slot_action *action) {
    struct net *net = vol->net;
    struct path *path = fb_map_get(net->paths, action->desc->ufrag);
    if (path == NULL || path->volunteer != NULL) {
        fb_slot_peer_closed(vol->slot, action->peer, now_ms(net));
        return;
    }
    path->volunteer = vol;
    path->m = action->m;
    path->peer_id = action->peer;
    path->peer = true;
    fb_list_push(&vol->paths, &path->by_volunteer);
    world_at(&net->world, net->world.now + world_between(&net->world, 10 * MS, 300 * MS), described,
             path, 0, NULL, 0);
}

static void ws_open(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct volunteer *vol = path->volunteer;
    if (!alive(path) || !path->ws || frozen(vol, ws_open, path, arg, data, len))
        return;
    path->ws_open = true;
    egress_accept(path);
    fb_slot_egress_open(vol->slot, path->m, now_ms(path->net));
    run(vol);
}

static void open_egress(struct volunteer *vol, uint32_t m, uint32_t index) {
    struct net *net = vol->net;
    struct path *path = find(vol, m);
    if (path == NULL)
        return;
    path->egress = &net->egresses[index];
    uint64_t delay = vol->delay + path->egress->delay;
    struct hop_config config = {.delay = delay,
                                .jitter = vol->jitter,
                                .loss = vol->loss / 20,
                                .window = 4 << 20,
                                .lanes = 1,
                                .ordered = true,
                                .wires = {&vol->up}};
    path->ve = hop_new(&net->world, &config, &volunteer_to_egress, path);
    config.wires[0] = &vol->down;
    config.blind = true;
    config.window = 1 << 20;
    path->ev = hop_new(&net->world, &config, &egress_to_volunteer, path);
    path->ws = true;
    world_at(&net->world, net->world.now + 4 * delay, ws_open, path, 0, NULL, 0);
}

static void to_broker(struct volunteer *vol, const uint8_t *msg, size_t len) {
    struct net *net = vol->net;
    if (vol->socket != NULL)
        world_at(&net->world, net->world.now + vol->delay + net->broker.delay,
                 broker_from_volunteer, vol->socket, 0, msg, len);
}

static void broker_open(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct bsocket *socket = ctx;
    struct volunteer *vol = socket->volunteer;
    if (vol->socket != socket || vol->slot == NULL || frozen(vol, broker_open, ctx, 0, NULL, 0))
        return;
    fb_slot_broker_open(vol->slot, now_ms(vol->net));
    run(vol);
}

static void connect_broker(struct volunteer *vol) {
    struct net *net = vol->net;
    vol->socket = world_keep(&net->world, sizeof *vol->socket);
    vol->socket->volunteer = vol;
    world_at(&net->world, net->world.now + 4 * (vol->delay + net->broker.delay), broker_open,
             vol->socket, 0, NULL, 0);
}

static void close_broker(struct volunteer *vol) {
    struct net *net = vol->net;
    if (vol->socket != NULL)
        world_at(&net->world, net->world.now + vol->delay + net->broker.delay,
                 broker_from_volunteer, vol->socket, 0, NULL, 0);
    vol->socket = NULL;
}

void volunteer_from_broker(struct world *world, void *ctx, uint64_t arg, uint8_t *msg, size_t len) {
    struct bsocket *socket = ctx;
    struct volunteer *vol = socket->volunteer;
    if (vol->socket != socket || vol->slot == NULL ||
        frozen(vol, volunteer_from_broker, ctx, arg, msg, len))
        return;
    if (len > 0) {
        fb_slot_broker_message(vol->slot, msg, len, now_ms(vol->net));
    } else {
        vol->socket = NULL;
        fb_slot_broker_closed(vol->slot, 0, now_ms(vol->net));
    }
    run(vol);
}

static void send_egress(struct path *path, const struct fb_slot_action *action) {
    struct world *world = &path->net->world;
    if (path->volunteer->kind == REPLAYER && action->bytes[0] == FB_KIND_ATTACH)
        world_at(world, world->now + world_between(world, 0, 20 * SECOND), attach_again, path, 0,
                 action->bytes, action->len);
    hop_send(path->ve, action->bytes, action->len); /* last: it may come back for the drained */
}

static void next(struct path *path, bool from_client) {
    struct volunteer *vol = path->volunteer;
    int to = from_client ? TO_EGRESS : TO_CLIENT;
    bool open = from_client ? path->ws_open : path->peer_open;
    struct hop *hop = from_client ? path->ve : path->vc;
    struct held *held = FB_CONTAINER(path->held[to].next, struct held, link);
    uint32_t queued[FB_LANES_MAX] = {open ? (uint32_t)hop_buffered(hop) : 0}, lane;
    enum fb_relay what = fb_slot_next(vol->slot, path->m, from_client, held->len, queued, &lane,
                                      now_ms(path->net));
    fb_list_remove(&held->link);
    if (what == FB_RELAY_PASS && open && !misbehave(path, hop, held->data, held->len))
        hop_send(hop, held->data, held->len);
    free(held);
}

static void act(struct volunteer *vol, const struct fb_slot_action *action) {
    struct path *path = find(vol, action->m);
    switch (action->type) {
    case FB_SLOT_BROKER_CONNECT: connect_broker(vol); break;
    case FB_SLOT_BROKER_SEND: to_broker(vol, action->bytes, action->len); break;
    case FB_SLOT_BROKER_CLOSE: close_broker(vol); break;
    case FB_SLOT_PEER_CREATE: create_peer(vol, action); break;
    case FB_SLOT_EGRESS_OPEN: open_egress(vol, action->m, action->egress); break;
    case FB_SLOT_PEER_SEND:
        if (path != NULL && path->peer_open)
            hop_send(path->vc, action->bytes, action->len);
        break;
    case FB_SLOT_EGRESS_SEND:
        if (path != NULL && path->ws_open)
            send_egress(path, action);
        break;
    case FB_SLOT_PEER_CLOSE:
        if (path != NULL && path->peer)
            close_hop(path, TO_CLIENT);
        break;
    case FB_SLOT_EGRESS_CLOSE:
        if (path != NULL && path->ws)
            close_hop(path, TO_EGRESS);
        break;
    case FB_SLOT_CHANGED: break;
    case FB_SLOT_NEXT:
        if (path != NULL)
            next(path, action->from_client);
        break;
    }
}

static void on_timer(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct volunteer *vol = ctx;
    if (vol->timer != arg || vol->slot == NULL || frozen(vol, on_timer, ctx, arg, data, len))
        return;
    vol->timer = NEVER;
    fb_slot_tick(vol->slot, now_ms(vol->net));
    run(vol);
}

static void run(struct volunteer *vol) {
    struct world *world = &vol->net->world;
    struct fb_slot_action action;
    while (vol->slot != NULL && fb_slot_poll(vol->slot, &action))
        act(vol, &action);
    if (vol->slot == NULL)
        return;
    forget_dead_paths(vol);
    uint64_t due = fb_slot_deadline(vol->slot);
    if (due == FB_SLOT_NEVER || due * MS >= vol->timer)
        return;
    vol->timer = due * MS;
    world_at(world, vol->timer, on_timer, vol, vol->timer, NULL, 0);
}

/* ---- tabs ---- */

void volunteer_open_tab(struct volunteer *vol) {
    struct net *net = vol->net;
    struct fb_slot_config config = {.kind = FB_VOLUNTEER_BROWSER,
                                    .nat = vol->nat,
                                    .capacity = 4,
                                    .egress_count = net->plan.egresses};
    if (vol->slot != NULL)
        return;
    for (unsigned i = 0; i < net->plan.egresses; i++)
        memcpy(config.egress[i], net->egresses[i].public_key, FB_EGRESS_ID_LEN);
    fb_list_init(&vol->paths);
    vol->frozen_until = vol->crawls_until = 0;
    vol->timer = NEVER;
    vol->slot = fb_slot_new(&vol->mem.mem, &vol->rng.rng, &config);
    if (vol->slot == NULL)
        world_fail(&net->world, "volunteer %u: no slot can be made", vol->index);
    struct fb_slot_limits limits = {.rate = vol->limit};
    if (vol->slot != NULL) {
        fb_slot_set_limits(vol->slot, &limits, now_ms(net));
        fb_slot_switch(vol->slot, true, now_ms(net));
    }
    world_trace(&net->world, "volunteer %u opens", vol->index);
    run(vol);
}

/* The machine is gone: the client's ICE notices, the egress's kernel much later. */
static void vanish(struct path *path) {
    struct world *world = &path->net->world;
    hop_kill(path->cv);
    hop_kill(path->vc);
    hop_kill(path->ve);
    hop_kill(path->ev);
    world_at(world, world->now + CONSENT_WAIT, client_hop_closed, path, 0, NULL, 0);
    world_at(world, world->now + 60 * SECOND, egress_hop_closed, path, 0, NULL, 0);
    path->peer = path->peer_open = path->ws = path->ws_open = false;
    forget_path(path);
}

void volunteer_close_tab(struct volunteer *vol, bool farewell) {
    struct net *net = vol->net;
    if (vol->slot == NULL)
        return;
    world_trace(&net->world, "volunteer %u %s", vol->index, farewell ? "closes" : "vanishes");
    if (farewell) {
        fb_slot_switch(vol->slot, false, now_ms(net));
        run(vol);
        FB_LIST_EACH (it, &vol->paths)
            forget_path(FB_CONTAINER(it, struct path, by_volunteer));
    } else {
        FB_LIST_EACH (it, &vol->paths)
            vanish(FB_CONTAINER(it, struct path, by_volunteer));
        if (vol->socket != NULL) /* the broker hears of it when its pings stay unanswered */
            world_at(&net->world, net->world.now + 40 * SECOND, broker_from_volunteer, vol->socket,
                     0, NULL, 0);
        vol->socket = NULL;
    }
    fb_slot_free(vol->slot);
    vol->slot = NULL;
    if (vol->mem.blocks > 0)
        world_fail(&net->world, "memory: volunteer %u: %zu blocks are left of a closed tab",
                   vol->index, vol->mem.blocks);
}

void volunteer_freeze(struct volunteer *vol, uint64_t us) {
    struct world *world = &vol->net->world;
    world_trace(world, "volunteer %u freezes for %u ms", vol->index, (unsigned)(us / MS));
    vol->frozen_until = world->now + us;
}

static void stop_crawling(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct volunteer *vol = ctx;
    wire_set_rate(&vol->up, vol->rate_up, world->now);
    wire_set_rate(&vol->down, vol->rate_down, world->now);
}

void volunteer_crawl(struct volunteer *vol, uint64_t us) {
    struct world *world = &vol->net->world;
    world_trace(world, "volunteer %u crawls for %u ms", vol->index, (unsigned)(us / MS));
    vol->crawls_until = world->now + us;
    wire_set_rate(&vol->up, CRAWL_RATE, world->now);
    wire_set_rate(&vol->down, CRAWL_RATE, world->now);
    world_at(world, vol->crawls_until, stop_crawling, vol, 0, NULL, 0);
}

void volunteer_free(struct volunteer *vol) {
    FB_LIST_EACH (it, &vol->paths)
        forget_path(FB_CONTAINER(it, struct path, by_volunteer));
    fb_slot_free(vol->slot);
    vol->slot = NULL;
}
