/* An egress, as src/role/egress_*.c has it for WebSockets and origins. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "sim/net.h"

#define ATTACH_LEN (1 + FB_TICKET_LEN + FB_FIRST_LEN)
#define ATTACH_WAIT (10 * SECOND)

static void set_timer(struct esession *es);

/* ---- paths ---- */

static void gone(struct path *path) {
    path->accepted = path->egress_open = false;
    path->session = NULL;
    fb_list_remove(&path->by_session);
}

static void close_path(struct path *path, enum fb_farewell why) {
    struct world *world = &path->net->world;
    uint8_t hop[FB_HOP_MAX];
    struct fb_hop_msg msg = {.type = FB_HOP_FAREWELL, .farewell = why};
    int len = fb_hop_encode(&msg, hop, sizeof hop);
    if (!path->accepted)
        return;
    if (len > 0)
        hop_send(path->ev, hop, (size_t)len);
    gone(path);
    world_at(world, world->now + path->volunteer->delay + path->egress->delay + 20 * MS,
             volunteer_hop_closed, path, 1, NULL, 0);
}

static void attach_late(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    if (path->accepted && path->session == NULL)
        close_path(path, FB_FAREWELL_TIMEOUT);
}

void egress_accept(struct path *path) {
    struct world *world = &path->net->world;
    if (path->egress->tokens == NULL)
        return;
    path->accepted = true;
    fb_list_push(&path->egress->arriving, &path->by_session);
    world_at(world, world->now + ATTACH_WAIT, attach_late, path, 0, NULL, 0);
}

void egress_hop_closed(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct path *path = ctx;
    struct esession *es = path->session;
    uint32_t id = path->egress_id;
    if (!path->accepted)
        return;
    gone(path);
    if (es == NULL)
        return;
    fb_session_path_down(es->s, id, world->now);
    egress_pump(es);
}

/* ---- the first message ---- */

static void deny(struct path *path, const char *why) {
    world_trace(&path->net->world, "egress %u: path %u is refused: %s", path->egress->index,
                path->serial, why);
    path->net->totals.replays_refused += path->attach_replay;
    close_path(path, FB_FAREWELL_DENIED);
}

static struct esession *begin_session(struct path *path, const uint8_t *first) {
    struct egress *egress = path->egress;
    struct net *net = path->net;
    struct esession *es = world_keep(&net->world, sizeof *es);
    struct fb_session_config config;
    world_mem_init(&es->mem, &net->world, "a session of an egress", session_ceiling(&net->plan));
    es->mem.leaks = net->plan.meddling == MEDDLE_LEAK;
    fb_session_config_init(&config, false);
    config.mem = &es->mem.mem;
    config.rng = &egress->rng.rng;
    config.crypto = net->crypto;
    config.tokens = egress->tokens;
    config.max_data = net->plan.max_data;
    config.max_stream_data = config.send_buffer_stream = net->plan.max_stream_data;
    config.first_stream_data = net->plan.first_stream_data;
    config.send_buffer = 3 * net->plan.max_data;
    memcpy(config.network_id, net->network_id, sizeof config.network_id);
    memcpy(config.egress_id, egress->public_key, sizeof config.egress_id);
    memcpy(config.egress_key, egress->private_key, sizeof config.egress_key);
    memcpy(config.process_id, egress->process_id, sizeof config.process_id);
    es->egress = egress;
    es->client = path->client;
    es->timer = es->no_path_since = NEVER;
    fb_list_init(&es->link);
    fb_list_init(&es->paths);
    if (fb_session_accept(&es->s, &config, first, net->world.now) != 0)
        return NULL;
    fb_session_set_user(es->s, es);
    fb_list_push(&egress->sessions, &es->link);
    return es;
}

static void attach(struct path *path, const uint8_t *msg, size_t len) {
    struct egress *egress = path->egress;
    struct net *net = path->net;
    struct world *world = &net->world;
    const uint8_t *ticket = msg + 1, *first = ticket + FB_TICKET_LEN;
    uint64_t now_s = EPOCH_S + now_ms(net) / 1000;
    struct fb_ticket fields;
    struct esession *es = NULL;
    if (len != ATTACH_LEN || msg[0] != FB_KIND_ATTACH) {
        deny(path, "malformed first message");
        return;
    }
    int err = fb_ticket_check(net->crypto, ticket, FB_TICKET_LEN, &net->broker.ticket_key, 1,
                              egress->process_id, first, FB_FIRST_LEN, now_s, &fields);
    if (err == 0)
        err = fb_replay_use(egress->replay, &fields, now_s);
    if (err == 0)
        check_single_use(egress, "ticket", fields.id);
    if (err != 0) {
        deny(path, fb_ticket_strerror(err));
        return;
    }
    if (first[1] == FB_FIRST_TOKEN) {
        struct fb_session *s;
        err = fb_session_attach(egress->tokens, first, world->now, &s, &path->egress_id);
        if (err == 0) {
            es = fb_session_user(s);
            check_single_use(egress, "token", first + 2);
        }
    } else {
        es = begin_session(path, first);
        path->egress_id = 0;
    }
    if (es == NULL) {
        deny(path, fb_strerror(err));
        return;
    }
    fb_list_remove(&path->by_session);
    fb_list_push(&es->paths, &path->by_session);
    es->no_path_since = NEVER; /* it may be gone before the next check */
    path->session = es;
    world_trace(world, "egress %u: path %u attached", egress->index, path->serial);
    egress_pump(es);
}

/* ---- messages ---- */

static void take_hop(struct path *path, const uint8_t *data, size_t len) {
    struct esession *es = path->session;
    struct fb_hop_msg msg;
    if (fb_hop_decode(&msg, data, len) != 0)
        return;
    if (msg.type == FB_HOP_QUEUE) {
        path->told_egress = msg.bytes;
        fb_session_path_queued(es->s, path->egress_id, hop_buffered(path->ev) + path->told_egress);
    } else if (msg.type == FB_HOP_FAREWELL) {
        fb_session_path_down(es->s, path->egress_id, path->net->world.now);
        close_path(path, FB_FAREWELL_DONE);
    }
}

void egress_from_volunteer(void *ctx, struct hop *hop, uint8_t *msg, size_t len) {
    struct path *path = ctx;
    struct esession *es = path->session;
    struct world *world = &path->net->world;
    if (!path->accepted)
        return;
    if (es == NULL) {
        attach(path, msg, len);
        return;
    }
    if (msg[0] == FB_KIND_SESSION) {
        (void)fb_session_recv(es->s, path->egress_id, msg, len, world->now);
    } else if (msg[0] == FB_KIND_HOP) {
        take_hop(path, msg, len);
    } else if (msg[0] != FB_KIND_COVER) {
        fb_session_path_down(es->s, path->egress_id, world->now);
        close_path(path, FB_FAREWELL_PROTOCOL);
    }
    egress_pump(es);
}

void egress_drained(void *ctx, struct hop *hop) {
    struct path *path = ctx;
    if (path->session == NULL)
        return;
    fb_session_path_queued(path->session->s, path->egress_id,
                           hop_buffered(hop) + path->told_egress);
    egress_pump(path->session);
}

/* ---- offers in a session ---- */

static void take_offer(struct esession *es, const uint8_t *post, size_t len) {
    struct net *net = es->egress->net;
    struct fb_rd rd = fb_rd_make(post, len);
    uint32_t number = fb_rd_u32(&rd);
    if (rd.ok)
        world_at(&net->world, net->world.now + net->broker.delay + es->egress->delay,
                 broker_session_offer, es, number, rd.ptr, rd.len);
}

void egress_answered(struct world *world, void *ctx, uint64_t number, uint8_t *sealed, size_t len) {
    struct esession *es = ctx;
    uint8_t post[4 + FB_LINK_SEALED_MAX];
    struct fb_wr wr = fb_wr_make(post, sizeof post);
    if (es->dead)
        return;
    fb_wr_u32(&wr, (uint32_t)number);
    fb_wr_bytes(&wr, sealed, len);
    if (wr.ok)
        (void)fb_session_post(es->s, FB_POST_BROKER, post, wr.len);
    egress_pump(es);
}

/* ---- the pump ---- */

static void session_over(struct esession *es) {
    struct net *net = es->egress->net;
    es->dead = true;
    app_origin_lost(es);
    FB_LIST_EACH (it, &es->paths)
        close_path(FB_CONTAINER(it, struct path, by_session), FB_FAREWELL_DONE);
    fb_session_free(es->s);
    es->s = NULL;
    fb_list_remove(&es->link);
    if (es->mem.peak > net->totals.egress_peak)
        net->totals.egress_peak = es->mem.peak;
    if (es->mem.blocks > 0)
        world_fail(&net->world, "memory: egress %u: %zu blocks are left of an ended session",
                   es->egress->index, es->mem.blocks);
}

static struct path *find(struct esession *es, uint32_t id) {
    FB_LIST_EACH (it, &es->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_session);
        if (path->egress_id == id)
            return path;
    }
    return NULL;
}

static void on_event(struct esession *es, const struct fb_event *event) {
    struct path *path = find(es, event->path);
    switch (event->type) {
    case FB_EVENT_PATH_OPEN:
        if (path != NULL)
            path->egress_open = true;
        break;
    case FB_EVENT_PATH_CLOSED:
        es->egress->net->totals.altered += event->path_reason == FB_PATH_ALTERED;
        world_trace(&es->egress->net->world, "egress %u: path %u is lost: %s", es->egress->index,
                    path == NULL ? 0 : path->serial, fb_path_reason_text(event->path_reason));
        if (path != NULL)
            close_path(path, FB_FAREWELL_DONE);
        break;
    case FB_EVENT_STREAM_NEW:
    case FB_EVENT_STREAM: app_origin_event(es, event->stream, false); break;
    case FB_EVENT_STREAM_GONE: app_origin_event(es, event->stream, true); break;
    case FB_EVENT_POST: take_offer(es, event->data, event->len); break;
    default: break;
    }
}

static bool send_one(struct esession *es) {
    struct net *net = es->egress->net;
    uint8_t msg[FB_MESSAGE_MAX];
    uint32_t id;
    size_t len = fb_session_send(es->s, &id, msg, net->world.now);
    if (len == 0)
        return false;
    meddle_packet(net, false, msg, len);
    struct path *path = find(es, id);
    if (path != NULL && hop_send(path->ev, msg, len))
        fb_session_path_queued(es->s, id, hop_buffered(path->ev) + path->told_egress);
    return true;
}

void egress_pump(struct esession *es) {
    struct fb_event event;
    bool moved = true;
    if (es->pumping || es->dead)
        return;
    es->pumping = true;
    while (moved && !es->dead && es->egress->net->world.failure[0] == '\0') {
        moved = false;
        while (send_one(es))
            moved = true;
        while (!es->dead && fb_session_next(es->s, &event)) {
            moved = true;
            if (event.type == FB_EVENT_CLOSED) {
                check_session_end(es->client, &event);
                session_over(es);
            } else {
                on_event(es, &event);
            }
        }
    }
    es->pumping = false;
    if (!es->dead)
        set_timer(es);
}

static void on_timer(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct esession *es = ctx;
    if (es->timer != arg || es->dead)
        return;
    es->timer = NEVER;
    fb_session_tick(es->s, world->now);
    egress_pump(es);
}

static void set_timer(struct esession *es) {
    uint64_t at = fb_session_deadline(es->s);
    if (at >= es->timer)
        return;
    es->timer = at;
    world_at(&es->egress->net->world, at, on_timer, es, at, NULL, 0);
}

/* ---- the process ---- */

/* MEDDLE_TOKENS: a random source that begins anew soon after a client has its first tokens. */
static void stuck_fill(void *ctx, uint8_t *out, size_t len) {
    struct egress *egress = ctx;
    uint64_t turn = egress->stuck++ % 20;
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(turn * 7 + i);
}

void egress_start(struct egress *egress) {
    struct net *net = egress->net;
    fb_list_init(&egress->sessions);
    fb_list_init(&egress->arriving);
    fb_random(&egress->rng.rng, egress->process_id, sizeof egress->process_id);
    egress->token_rng = net->plan.meddling == MEDDLE_TOKENS ? (struct fb_rng){stuck_fill, egress}
                                                            : egress->rng.rng;
    egress->tokens = fb_tokens_new(&egress->mem.mem, &egress->token_rng, 100000);
    egress->replay = fb_replay_new(&egress->mem.mem, &egress->rng.rng, 100000);
    egress->used = fb_map_new(&net->mem.mem, &net->rng.rng, FB_TOKEN_LEN);
    if (egress->tokens == NULL || egress->replay == NULL || egress->used == NULL)
        world_fail(&net->world, "egress %u: cannot start", egress->index);
}

void egress_stop(struct egress *egress) {
    struct net *net = egress->net;
    FB_LIST_EACH (it, &egress->sessions)
        session_over(FB_CONTAINER(it, struct esession, link));
    FB_LIST_EACH (it, &egress->arriving)
        close_path(FB_CONTAINER(it, struct path, by_session), FB_FAREWELL_OFF);
    size_t left = fb_tokens_count(egress->tokens);
    fb_tokens_free(egress->tokens);
    fb_replay_free(egress->replay);
    fb_map_free(egress->used);
    egress->tokens = NULL;
    egress->replay = NULL;
    egress->used = NULL;
    if (left > 0)
        world_fail(&net->world, "tokens: egress %u: %zu are left of ended sessions", egress->index,
                   left);
    if (egress->mem.blocks > 0)
        world_fail(&net->world, "memory: egress %u: %zu blocks are left of a process",
                   egress->index, egress->mem.blocks);
}
