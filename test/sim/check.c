/* The invariants. Those of data are in app.c, where bytes are read; those of memory in world.c,
 * where it is taken. */
#include <string.h>

#include "base/err.h"
#include "core/blocks.h"
#include "sim/net.h"

/* Without a byte for so long although a path was good all the while: a deadlock. It covers the
 * worst that is no deadlock: a full window on the slowest good path, lost, and sent again. */
#define STALL_MAX (20 * SECOND)
/* What a volunteer that lies about its queue can be made to hold for one direction of a path: the
 * session's windows alone bound it. */
#define HOARD_MAX ((size_t)4 << 20)
/* After a crawl its channel still waits for a retransmission timer that has doubled a few times. */
#define RECOVERY (16 * SECOND)
#define CONNECT_MAX (200 * SECOND) /* without an open path, to the end of a session */
#define END_MAX (60 * SECOND)      /* without a change, in one of the last tests */
#define QUIET_WAIT (10 * SECOND)
#define ROUNDS_MAX 8

/* Send buffers and receive windows; the last, half full block of each stream, both ways; what is
 * noted of packets, streams and paths. */
size_t session_ceiling(const struct plan *plan) {
    return (size_t)(4 * plan->max_data) + (PROBES + APP_AT_ONCE) * (size_t)(2 * FB_BLOCK_LEN) +
           plan->paths * ((size_t)256 << 10);
}

void check_progress(struct client *client) {
    client->progress_at = client->net->world.now;
}

void check_queue(const struct path *path, size_t queued) {
    struct net *net = path->net;
    size_t most = path->volunteer->kind == HOARDER ? HOARD_MAX : FB_SLOT_QUEUE_MAX;
    if (queued > net->totals.volunteer_peak)
        net->totals.volunteer_peak = queued;
    if (queued > most)
        world_fail(&net->world, "memory: volunteer %u queues %zu bytes, its ceiling is %zu",
                   path->volunteer->index, queued, most);
}

void check_session_end(struct client *client, const struct fb_event *event) {
    world_trace(&client->net->world, "a session of client %u has ended: %s", client->index,
                fb_close_text(event->code));
    if (event->code != FB_CLOSE_NONE && event->code != FB_CLOSE_IDLE)
        world_fail(&client->net->world, "session: client %u: ended by %s: %s", client->index,
                   event->remote ? "its peer" : "itself", fb_close_text(event->code));
}

void check_single_use(struct egress *egress, const char *what, const uint8_t id[16]) {
    if (fb_map_put(egress->used, id, egress) != 0)
        world_fail(&egress->net->world, "%ss: egress %u: one was good a second time", what,
                   egress->index);
}

/* ---- progress ---- */

static bool is_good(const struct path *path) {
    const struct volunteer *vol = path->volunteer;
    uint64_t now = path->net->world.now;
    return path->stage == OPEN && path->egress_open && path->peer_open && path->ws_open &&
           vol->kind == HONEST && vol->slot != NULL && vol->frozen_until <= now &&
           (vol->crawls_until == 0 || vol->crawls_until + RECOVERY <= now) && vol->loss <= 1000 &&
           vol->delay + path->client->delay <= 150 * MS;
}

/* Since when one path has been good without a break; NEVER: none is. */
static uint64_t good_since(struct client *client) {
    uint64_t since = NEVER;
    FB_LIST_EACH (it, &client->paths) {
        struct path *path = FB_CONTAINER(it, struct path, by_client);
        if (!is_good(path))
            path->good_since = NEVER;
        else if (path->good_since == NEVER)
            path->good_since = client->net->world.now;
        if (path->good_since < since)
            since = path->good_since;
    }
    return since;
}

/* Something that nobody holds back on purpose waits to be carried. */
static bool wants(const struct client *client) {
    FB_LIST_EACH (it, &client->transfers) {
        const struct transfer *t = FB_CONTAINER(it, struct transfer, link);
        if (t->begun && !t->over && !t->paused[0] && !t->paused[1])
            return true;
    }
    return false;
}

static void check_client(struct client *client) {
    struct world *world = &client->net->world;
    uint64_t good = good_since(client), since;
    if (!wants(client))
        client->progress_at = world->now;
    since = good != NEVER && good > client->progress_at ? good : client->progress_at;
    if (good != NEVER && world->now - since > client->longest_stall)
        client->longest_stall = world->now - since;
    if (good != NEVER && world->now - since > STALL_MAX)
        world_fail(world, "deadlock: client %u: nothing for %u s, with a good path", client->index,
                   (unsigned)((world->now - since) / SECOND));
    bool open = client->s != NULL && fb_session_open_paths(client->s) > 0;
    if (open || client->s == NULL || !fb_session_ready(client->s))
        client->no_path_since = NEVER;
    else if (client->no_path_since == NEVER)
        client->no_path_since = world->now;
    else if (world->now - client->no_path_since > CONNECT_MAX)
        world_fail(world, "deadlock: client %u: no path, and no end of the session", client->index);
}

static void check_egress(struct egress *egress) {
    struct world *world = &egress->net->world;
    FB_LIST_EACH (it, &egress->sessions) {
        struct esession *es = FB_CONTAINER(it, struct esession, link);
        if (!fb_list_empty(&es->paths))
            es->no_path_since = NEVER;
        else if (es->no_path_since == NEVER)
            es->no_path_since = world->now;
        else if (world->now - es->no_path_since > FB_SESSION_NO_PATH_US + SECOND)
            world_fail(world, "deadlock: egress %u: a session without a path does not end",
                       egress->index);
    }
}

void check_time(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct net *net = ctx;
    for (unsigned i = 0; i < net->plan.clients; i++)
        check_client(&net->clients[i]);
    for (unsigned i = 0; i < net->plan.egresses; i++)
        check_egress(&net->egresses[i]);
    world_at(world, world->now + 250 * MS, check_time, net, 0, NULL, 0);
}

/* ---- the end: what must have come back ---- */

/*
 * The windows are measured from outside, to the byte: probes fill the session's window, are read to
 * the last byte at once, and fill it again; then as much as was promised has come in, or some of it
 * has been lost on the way. (A window is told anew when half of it has been used, and data may be
 * late, so it takes some rounds.) Both directions; each ends with resets, which must give back what
 * nobody read.
 */
enum { QUIET, FILL, REFILL, RESET, STAGES_OF_A_DIRECTION };

#define STAGES (2 * STAGES_OF_A_DIRECTION)

static struct esession *far_end(const struct client *client) {
    FB_LIST_EACH (it, &client->paths) {
        const struct path *path = FB_CONTAINER(it, struct path, by_client);
        if (path->stage == OPEN && path->session != NULL)
            return path->session;
    }
    return NULL;
}

static uint64_t held(const struct fb_session *s) {
    struct fb_session_stats stats;
    fb_session_stats(s, &stats);
    return stats.buffered_bytes;
}

static void next_stage(struct client *client) {
    client->end_rounds = 0;
    client->end_stage++;
    client->end_since = client->net->world.now;
}

static void each_probe(struct client *client, void (*act)(struct transfer *t, int end), int end) {
    FB_LIST_EACH (it, &client->transfers) {
        struct transfer *t = FB_CONTAINER(it, struct transfer, link);
        if (t->probe && t->begun && !t->over)
            act(t, end);
    }
}

static void give_up(struct transfer *t, int end) {
    app_give_up(t);
}

static void fill(struct client *client, bool up) {
    const struct plan *plan = &client->net->plan;
    uint64_t bytes = plan->max_data / 4;
    for (int i = 0; i < PROBES; i++)
        app_request(client, up ? bytes : 0, up ? 0 : bytes, true);
    client_pump(client);
}

static void one_stage(struct client *client, struct esession *es) {
    const struct plan *plan = &client->net->plan;
    bool up = client->end_stage < STAGES_OF_A_DIRECTION;
    struct fb_session *receiver = up ? es->s : client->s, *sender = up ? client->s : es->s;
    uint64_t unread = held(receiver), waited = client->net->world.now - client->end_since;
    if (unread != client->end_held)
        client->end_since = client->net->world.now;
    client->end_held = unread;
    switch (client->end_stage % STAGES_OF_A_DIRECTION) {
    case QUIET:
        if (unread == 0 && held(sender) == 0)
            next_stage(client);
        break;
    case FILL:
        fill(client, up);
        next_stage(client);
        break;
    case REFILL:
        if (unread == plan->max_data) {
            next_stage(client);
        } else if (waited > QUIET_WAIT && client->end_rounds < ROUNDS_MAX) {
            client->end_rounds++;
            client->end_since = client->net->world.now;
            each_probe(client, app_drain, up ? 1 : 0);
            client_pump(client);
            egress_pump(es);
        }
        break;
    case RESET:
        each_probe(client, give_up, 0);
        client_pump(client);
        next_stage(client);
        break;
    }
}

static void too_late(struct client *client, const struct esession *es) {
    struct world *world = &client->net->world;
    static const char *const stages[] = {"is not given back", "cannot be filled",
                                         "was not given back in full",
                                         "is not given back after resets"};
    bool up = client->end_stage < STAGES_OF_A_DIRECTION;
    if (es == NULL)
        world_fail(world, "deadlock: client %u finds no path in calm weather", client->index);
    else
        world_fail(world,
                   "window: client %u, %s: it %s; %llu bytes at the client, %llu at the "
                   "egress, of %llu",
                   client->index, up ? "up" : "down",
                   stages[client->end_stage % STAGES_OF_A_DIRECTION],
                   (unsigned long long)held(client->s), (unsigned long long)held(es->s),
                   (unsigned long long)client->net->plan.max_data);
}

bool check_end(struct client *client) {
    struct world *world = &client->net->world;
    struct esession *es = client->s != NULL ? far_end(client) : NULL;
    if (client->end_since == 0)
        client->end_since = world->now;
    if (client->end_stage == STAGES)
        return es == NULL || (held(client->s) == 0 && held(es->s) == 0);
    if (es != NULL)
        one_stage(client, es);
    if (world->now - client->end_since > (es != NULL ? END_MAX : CONNECT_MAX))
        too_late(client, es);
    return false;
}
