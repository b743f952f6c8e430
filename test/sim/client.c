#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "sim/net.h"

#define GATHER_US (60 * MS)       /* until the own addresses are known */
#define ANSWER_WAIT (40 * SECOND) /* the broker holds an offer 20 s, a volunteer has 10 s */
#define ICE_WAIT (15 * SECOND)
#define RETRY_FIRST (500 * MS)
#define RETRY_MAX (15 * SECOND)

static void set_timer(struct client *client);

/* ---- the end of a path ---- */

static void let_go(struct path *path) {
    fb_rendezvous_free(path->rv);
    path->rv = NULL;
    path->stage = GONE;
    fb_list_remove(&path->by_client);
}

static void say_farewell(struct path *path) {
    uint8_t hop[FB_HOP_MAX];
    struct fb_hop_msg msg = {.type = FB_HOP_FAREWELL, .farewell = FB_FAREWELL_DONE};
    int len = fb_hop_encode(&msg, hop, sizeof hop);
    if (path->cv != NULL && len > 0)
        hop_send(path->cv, hop, (size_t)len);
}

void client_end_path(struct path *path, bool tell) {
    struct client *client = path->client;
    struct world *world = &path->net->world;
    if (path->stage == GONE)
        return;
    if (tell && client->s != NULL)
        fb_session_path_down(client->s, path->id, world->now);
    if (path->stage >= UP)
        say_farewell(path);
    if (path->volunteer != NULL)
        world_at(world, world->now + client->delay + path->volunteer->delay + 20 * MS,
                 volunteer_hop_closed, path, 0, NULL, 0);
    hop_kill(path->vc);
    path->net->totals.paths_lost += path->stage == OPEN;
    world_trace(world, "client %u: path %u is over", client->index, path->serial);
    let_go(path);
}

static void failed(struct client *client, bool soon) {
    struct world *world = &client->net->world;
    uint64_t delay = RETRY_FIRST << (client->failures < 6 ? client->failures : 6);
    if (delay > RETRY_MAX)
        delay = RETRY_MAX;
    if (soon && client->failures < 3)
        delay = 200 * MS;
    client->failures++;
    delay = delay / 4 * 3 + world_random(world) % (delay / 2);
    if (client->retry_at < world->now + delay)
        client->retry_at = world->now + delay;
}

static void give_up(struct path *path, bool soon) {
    struct client *client = path->client;
    client_end_path(path, true);
    failed(client, soon);
    client_pump(client);
}

/* ---- an offer ---- */

static void answer_late(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    if (path->stage == ASKING)
        give_up(path, false);
}

static void make_desc(struct path *path, struct fb_desc *desc) {
    struct world *world = &path->net->world;
    *desc = (struct fb_desc){.setup = FB_SETUP_ACTPASS, .sctp_port = 5000, .candidate_count = 1};
    snprintf(desc->ufrag, sizeof desc->ufrag, "c%07u", path->serial);
    snprintf(desc->pwd, sizeof desc->pwd, "%022u", path->serial);
    for (size_t i = 0; i < sizeof desc->fingerprint; i++)
        desc->fingerprint[i] = (uint8_t)world_random(world);
    desc->candidates[0].type = FB_CAND_SRFLX;
    desc->candidates[0].addr = (struct fb_addr){.family = 4, .port = 4000};
    memcpy(desc->candidates[0].addr.ip, path->client->prefix + 1, 3);
    desc->candidates[0].addr.ip[3] = 9;
    (void)fb_map_put(path->net->paths, desc->ufrag, path);
}

static int fill_offer(struct path *path, struct fb_offer *offer) {
    struct client *client = path->client;
    const struct egress *egress = &client->net->egresses[client->egress];
    *offer = (struct fb_offer){.nat = client->nat};
    make_desc(path, &offer->desc);
    memcpy(offer->egress, egress->public_key, sizeof offer->egress);
    memcpy(offer->handle, client->handle, sizeof offer->handle);
    memcpy(offer->first, path->first, sizeof offer->first);
    if (fb_session_ready(client->s))
        memcpy(offer->process, fb_session_process_id(client->s), sizeof offer->process);
    return 0;
}

static bool has_open_path(const struct client *client) {
    FB_LIST_EACH (it, &client->paths)
        if (FB_CONTAINER(it, struct path, by_client)->stage == OPEN)
            return true;
    return false;
}

static int post_offer(struct path *path, const uint8_t *sealed) {
    struct client *client = path->client;
    uint8_t post[4 + FB_SEALED_OFFER_LEN];
    struct fb_wr wr = fb_wr_make(post, sizeof post);
    path->number = ++client->next_number;
    fb_wr_u32(&wr, path->number);
    fb_wr_bytes(&wr, sealed, FB_SEALED_OFFER_LEN);
    return fb_session_post(client->s, FB_POST_BROKER, post, wr.len);
}

static void send_offer(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct client *client = path->client;
    struct net *net = path->net;
    struct fb_offer offer;
    uint8_t sealed[FB_SEALED_OFFER_LEN];
    if (path->stage != ASKING)
        return;
    fill_offer(path, &offer);
    int err = fb_rendezvous_offer(&path->rv, &client->mem.mem, &client->rng.rng, net->crypto,
                                  net->broker.sealing_public, net->network_id, &offer, sealed);
    net->totals.offers++;
    if (err == 0 && has_open_path(client))
        err = post_offer(path, sealed);
    else if (err == 0)
        world_at(world, world->now + 2 * (client->delay + net->broker.delay), broker_direct_offer,
                 path, 0, sealed, sizeof sealed);
    if (err != 0) {
        give_up(path, false);
        return;
    }
    world_trace(world, "client %u: offer of path %u (id %u) %s", client->index, path->serial,
                path->id, path->number > 0 ? "in the session" : "directly");
    world_at(world, world->now + ANSWER_WAIT, answer_late, path, 0, NULL, 0);
    client_pump(client);
}

/* 0, or what fb_session_first() says. */
static int begin_path(struct client *client) {
    struct net *net = client->net;
    struct world *world = &net->world;
    uint8_t first[FB_FIRST_LEN];
    uint32_t id;
    int err = fb_session_first(client->s, &id, first, world->now);
    if (err != 0)
        return err;
    struct path *path = world_keep(world, sizeof *path);
    path->net = net;
    path->serial = net->path_count++;
    path->client = client;
    path->id = id;
    path->since = world->now;
    path->good_since = NEVER;
    memcpy(path->first, first, sizeof path->first);
    fb_list_init(&path->by_client);
    fb_list_init(&path->by_volunteer);
    fb_list_init(&path->by_session);
    fb_list_init(&path->held[0]);
    fb_list_init(&path->held[1]);
    fb_list_push(&client->paths, &path->by_client);
    world_at(world, world->now + GATHER_US, send_offer, path, 0, NULL, 0);
    return 0;
}

/* ---- its answer ---- */

static void cannot_connect(struct world *world, void *ctx, uint64_t arg, uint8_t *data,
                           size_t len) {
    struct path *path = ctx;
    if (path->stage == CONNECTING)
        give_up(path, true);
}

static void channel_open(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct client *client = path->client;
    if (path->stage != CONNECTING)
        return;
    path->stage = UP;
    world_trace(world, "client %u: channel of path %u is open", client->index, path->serial);
    if (fb_session_path_up(client->s, path->id, world->now) != 0) {
        give_up(path, true);
        return;
    }
    client_pump(client);
}

/* Both descriptions are known: ICE, DTLS and SCTP take their round trips, if both are there. */
static void connect_peers(struct path *path) {
    struct world *world = &path->net->world;
    struct client *client = path->client;
    struct volunteer *vol = path->volunteer;
    path->stage = CONNECTING;
    world_at(world, world->now + ICE_WAIT, cannot_connect, path, 0, NULL, 0);
    if (vol == NULL || vol->slot == NULL || !path->peer || world_chance(world, 30))
        return;
    uint64_t one_way = client->delay + vol->delay;
    struct hop_config config = {.delay = one_way,
                                .jitter = vol->jitter,
                                .loss = vol->loss,
                                .window = 128 * 1024,
                                .lanes = path->net->plan.lanes,
                                .wires = {&client->up, &vol->down}};
    path->cv = hop_new(world, &config, &client_to_volunteer, path);
    config.wires[0] = &vol->up;
    config.wires[1] = &client->down;
    path->vc = hop_new(world, &config, &volunteer_to_client, path);
    world_at(world, world->now + 8 * one_way, volunteer_peer_open, path, 0, NULL, 0);
    world_at(world, world->now + 9 * one_way, channel_open, path, 0, NULL, 0);
}

static void drop_session(struct client *client) {
    fb_session_close(client->s, FB_CLOSE_NONE);
}

static void take_answer(struct path *path, const struct fb_answer *answer) {
    static const uint8_t none[FB_HANDLE_LEN];
    struct client *client = path->client;
    struct net *net = path->net;
    if (memcmp(answer->handle, none, sizeof none) != 0)
        memcpy(client->handle, answer->handle, sizeof client->handle);
    if (answer->status == FB_ANSWER_OK) {
        world_trace(&net->world, "client %u: path %u got volunteer %u", client->index, path->serial,
                    path->volunteer == NULL ? 0 : path->volunteer->index);
        connect_peers(path);
        return;
    }
    world_trace(&net->world, "client %u: path %u refused: %s", client->index, path->serial,
                fb_answer_status_text(answer->status));
    net->totals.nobody += answer->status == FB_ANSWER_NOBODY;
    if (answer->status == FB_ANSWER_PROCESS_GONE)
        drop_session(client);
    bool soon = answer->status == FB_ANSWER_AGAIN || answer->status == FB_ANSWER_NOBODY ||
                answer->status == FB_ANSWER_PROCESS_GONE;
    give_up(path, soon);
}

void client_answered(struct world *world, void *ctx, uint64_t arg, uint8_t *sealed, size_t len) {
    struct path *path = ctx;
    struct fb_answer answer;
    if (path->stage != ASKING || path->rv == NULL)
        return;
    int err = fb_rendezvous_answer(path->rv, sealed, len, &answer);
    fb_rendezvous_free(path->rv);
    path->rv = NULL;
    if (err != 0)
        give_up(path, false);
    else
        take_answer(path, &answer);
    client_pump(path->client);
}

static void take_post(struct client *client, const uint8_t *post, size_t len) {
    struct fb_rd rd = fb_rd_make(post, len);
    uint32_t number = fb_rd_u32(&rd);
    FB_LIST_EACH (it, &client->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_client);
        if (number == 0 || path->number != number || path->stage != ASKING)
            continue;
        uint8_t sealed[FB_SESSION_POST_MAX];
        size_t n = rd.len;
        memcpy(sealed, rd.ptr, n);
        client_answered(&client->net->world, path, 0, sealed, n);
        return;
    }
}

/* ---- messages ---- */

static void take_hop(struct path *path, const uint8_t *data, size_t len) {
    struct client *client = path->client;
    struct fb_hop_msg msg;
    if (fb_hop_decode(&msg, data, len) != 0)
        return;
    if (msg.type == FB_HOP_QUEUE) {
        path->told_client = msg.bytes;
        fb_session_path_queued(client->s, path->id, hop_buffered(path->cv) + path->told_client);
    } else if (msg.type == FB_HOP_FAREWELL) {
        bool carried = path->stage == OPEN;
        world_trace(&path->net->world, "client %u: volunteer of path %u leaves: %s", client->index,
                    path->serial, fb_farewell_text(msg.farewell));
        client_end_path(path, true);
        failed(client, carried);
    }
}

void client_from_volunteer(void *ctx, struct hop *hop, uint8_t *msg, size_t len) {
    struct path *path = ctx;
    struct client *client = path->client;
    if (path->stage < UP || path->stage == GONE || client->s == NULL)
        return;
    if (msg[0] == FB_KIND_SESSION)
        (void)fb_session_recv(client->s, path->id, msg, len, client->net->world.now);
    else if (msg[0] == FB_KIND_HOP)
        take_hop(path, msg, len);
    client_pump(client);
}

void client_drained(void *ctx, struct hop *hop) {
    struct path *path = ctx;
    struct client *client = path->client;
    if (path->stage < UP || path->stage == GONE || client->s == NULL)
        return;
    fb_session_path_queued(client->s, path->id, hop_buffered(hop) + path->told_client);
    client_pump(client);
}

void client_hop_closed(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    if (path->stage != GONE)
        give_up(path, path->stage == OPEN);
}

/* ---- the session ---- */

static int begin_session(struct client *client) {
    struct net *net = client->net;
    const struct egress *egress = &net->egresses[client->egress];
    struct fb_session_config config;
    fb_session_config_init(&config, true);
    config.mem = &client->mem.mem;
    config.rng = &client->rng.rng;
    config.crypto = net->crypto;
    config.max_data = net->plan.max_data;
    config.max_stream_data = config.send_buffer_stream = net->plan.max_stream_data;
    config.first_stream_data = net->plan.first_stream_data;
    config.send_buffer = 3 * net->plan.max_data;
    memcpy(config.network_id, net->network_id, sizeof config.network_id);
    memcpy(config.egress_id, egress->public_key, sizeof config.egress_id);
    memset(client->handle, 0, sizeof client->handle);
    client->sessions++;
    net->totals.sessions++;
    return fb_session_new(&client->s, &config, net->world.now);
}

static void session_over(struct client *client) {
    struct net *net = client->net;
    FB_LIST_EACH (it, &client->paths)
        client_end_path(FB_CONTAINER(it, struct path, by_client), false);
    app_session_lost(client);
    fb_session_free(client->s);
    client->s = NULL;
    client->no_path_since = NEVER;
    if (client->mem.blocks > 0)
        world_fail(&net->world, "memory: client %u: %zu blocks are left of an ended session",
                   client->index, client->mem.blocks);
    if (client->stopped)
        return;
    client->egress = (unsigned)world_between(&net->world, 0, net->plan.egresses - 1);
    if (begin_session(client) != 0)
        world_fail(&net->world, "client %u: no session can be made", client->index);
}

static void keep_paths(struct client *client) {
    struct net *net = client->net;
    unsigned have = 0, wanted = fb_session_ready(client->s) ? net->plan.paths : 1;
    FB_LIST_EACH (it, &client->paths)
        have++;
    while (have < wanted && net->world.now >= client->retry_at && !client->stopped) {
        int err = begin_path(client);
        if (err == FB_ERR_AGAIN) { /* without a token and a path a session cannot resume */
            if (have == 0)
                drop_session(client);
            return;
        }
        if (err != 0) {
            failed(client, false);
            return;
        }
        have++;
    }
}

static void path_opened(struct client *client, uint32_t id) {
    FB_LIST_EACH (it, &client->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_client);
        if (path->id != id)
            continue;
        path->stage = OPEN;
        client->failures = 0;
        client->net->totals.paths++;
        world_trace(&client->net->world, "client %u: path %u is open", client->index, path->serial);
    }
}

static void path_closed(struct client *client, const struct fb_event *event) {
    FB_LIST_EACH (it, &client->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_client);
        if (path->id != event->path)
            continue;
        client->net->totals.altered += event->path_reason == FB_PATH_ALTERED;
        world_trace(&client->net->world, "client %u: path %u is lost: %s", client->index,
                    path->serial, fb_path_reason_text(event->path_reason));
        bool carried = path->stage == OPEN;
        client_end_path(path, false);
        failed(client, carried);
    }
}

static void on_event(struct client *client, const struct fb_event *event) {
    switch (event->type) {
    case FB_EVENT_READY: break;
    case FB_EVENT_PATH_OPEN: path_opened(client, event->path); break;
    case FB_EVENT_PATH_CLOSED: path_closed(client, event); break;
    case FB_EVENT_STREAM: app_client_event(client, event->stream, false); break;
    case FB_EVENT_STREAM_GONE: app_client_event(client, event->stream, true); break;
    case FB_EVENT_POST: take_post(client, event->data, event->len); break;
    default: break;
    }
}

static bool send_one(struct client *client) {
    struct world *world = &client->net->world;
    uint8_t msg[FB_MESSAGE_MAX];
    uint32_t id;
    size_t len = fb_session_send(client->s, &id, msg, world->now);
    if (len == 0)
        return false;
    meddle_packet(client->net, true, msg, len);
    FB_LIST_EACH (it, &client->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_client);
        if (path->id == id && path->stage >= UP && hop_send(path->cv, msg, len))
            fb_session_path_queued(client->s, id, hop_buffered(path->cv) + path->told_client);
    }
    return true;
}

/* False: the session is over. */
static bool pump_once(struct client *client, bool *moved) {
    struct fb_event event;
    *moved = false;
    while (send_one(client))
        *moved = true;
    while (fb_session_next(client->s, &event)) {
        *moved = true;
        if (event.type == FB_EVENT_CLOSED) {
            check_session_end(client, &event);
            return false;
        }
        on_event(client, &event);
    }
    if (!*moved && !fb_session_closed(client->s)) {
        app_begin_more(client);
        keep_paths(client);
        while (send_one(client))
            *moved = true;
    }
    return true;
}

void client_pump(struct client *client) {
    bool moved = true;
    if (client->pumping || client->s == NULL)
        return;
    client->pumping = true;
    while (client->s != NULL && moved && client->net->world.failure[0] == '\0')
        if (!pump_once(client, &moved))
            session_over(client);
    client->pumping = false;
    set_timer(client);
}

static void on_timer(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct client *client = ctx;
    if (client->timer != arg || client->s == NULL)
        return;
    client->timer = NEVER;
    fb_session_tick(client->s, world->now);
    client_pump(client);
}

static void set_timer(struct client *client) {
    struct world *world = &client->net->world;
    if (client->s == NULL)
        return;
    uint64_t at = fb_session_deadline(client->s);
    if (client->retry_at > world->now && client->retry_at < at)
        at = client->retry_at;
    if (at >= client->timer) /* one that comes early does no harm */
        return;
    client->timer = at;
    world_at(world, at, on_timer, client, at, NULL, 0);
}

void client_start(struct client *client) {
    struct net *net = client->net;
    fb_list_init(&client->paths);
    client->timer = NEVER;
    client->good_since = client->no_path_since = NEVER;
    client->progress_at = net->world.now;
    client->egress = (unsigned)world_between(&net->world, 0, net->plan.egresses - 1);
    app_plan(client);
    if (begin_session(client) != 0)
        world_fail(&net->world, "client %u: no session can be made", client->index);
    client_pump(client);
}

void client_stop(struct client *client) {
    client->stopped = true;
    if (client->s != NULL)
        fb_session_close(client->s, FB_CLOSE_NONE);
    client_pump(client);
}

void client_free(struct client *client) {
    if (client->paths.next == NULL)
        return;
    FB_LIST_EACH (it, &client->paths)
        let_go(FB_CONTAINER(it, struct path, by_client));
    fb_session_free(client->s);
    client->s = NULL;
}
