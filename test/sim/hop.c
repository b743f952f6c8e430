#include "sim/hop.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"

#define FIRST_WINDOW ((size_t)10 * HOP_MTU)
#define RTO_MIN SECOND
#define RTO_MAX (16 * SECOND)

/* A message until it is delivered. */
struct message {
    struct fb_list link; /* lane->messages */
    uint64_t number;
    size_t len, sent, arrived;
    size_t again; /* bytes to be sent once more */
    unsigned tries;
    uint8_t data[];
};

struct lane {
    struct hop *hop;
    struct fb_list messages; /* oldest first */
    uint64_t next_number;
    size_t cwnd, ssthresh, in_flight, unsent;
    size_t again;      /* bytes to be sent once more */
    uint64_t recovery; /* losses of what was sent before are one event */
    unsigned backoff;
};

/* Packets that were sent in one go. */
struct burst {
    uint64_t number; /* of the message */
    uint64_t sent_at, arrival;
    size_t good, lost; /* bytes */
    unsigned tries;
};

struct hop {
    struct world *world;
    struct hop_config config;
    const struct hop_handler *handler;
    void *ctx;
    bool dead, high;
    unsigned turn;
    size_t holds;
    struct lane lanes[]; /* config.lanes */
};

void wire_set_rate(struct wire *wire, uint64_t rate, uint64_t now) {
    uint64_t backlog = wire->free_at > now ? (wire->free_at - now) * wire->rate / SECOND : 0;
    wire->rate = rate;
    wire->free_at = now + (rate > 0 ? backlog * SECOND / rate : 0);
}

size_t hop_buffered(const struct hop *hop) {
    size_t bytes = 0;
    for (unsigned i = 0; i < hop->config.lanes; i++)
        bytes += hop->lanes[i].unsent;
    return bytes;
}

size_t hop_holds(const struct hop *hop) {
    return hop->holds;
}

struct hop_config *hop_tune(struct hop *hop) {
    return &hop->config;
}

static void forget(struct hop *hop, struct message *msg) {
    hop->holds -= msg->len;
    fb_list_remove(&msg->link);
    free(msg);
}

void hop_kill(struct hop *hop) {
    if (hop == NULL || hop->dead)
        return;
    hop->dead = true;
    for (unsigned i = 0; i < hop->config.lanes; i++) {
        FB_LIST_EACH (it, &hop->lanes[i].messages)
            forget(hop, FB_CONTAINER(it, struct message, link));
        hop->lanes[i].unsent = 0;
    }
}

static void on_clear(void *hop) {
    hop_kill(hop);
}

struct hop *hop_new(struct world *world, const struct hop_config *config,
                    const struct hop_handler *handler, void *ctx) {
    struct hop *hop = world_keep(world, sizeof *hop + config->lanes * sizeof(struct lane));
    hop->world = world;
    hop->config = *config;
    hop->handler = handler;
    hop->ctx = ctx;
    world_finally(world, on_clear, hop);
    for (unsigned i = 0; i < config->lanes; i++) {
        struct lane *lane = &hop->lanes[i];
        lane->hop = hop;
        lane->cwnd = FIRST_WINDOW;
        lane->ssthresh = SIZE_MAX;
        fb_list_init(&lane->messages);
    }
    return hop;
}

static struct message *find(struct lane *lane, uint64_t number) {
    FB_LIST_EACH (it, &lane->messages) {
        struct message *msg = FB_CONTAINER(it, struct message, link);
        if (msg->number == number)
            return msg;
    }
    return NULL;
}

/* ---- delivery ---- */

static void deliver(struct lane *lane, struct message *msg) {
    struct hop *hop = lane->hop;
    hop->holds -= msg->len;
    fb_list_remove(&msg->link);
    hop->handler->message(hop->ctx, hop, msg->data, msg->len);
    free(msg);
}

static void arrived(struct lane *lane, struct message *msg) {
    struct hop *hop = lane->hop;
    if (!hop->config.ordered) {
        deliver(lane, msg);
        return;
    }
    while (!hop->dead && !fb_list_empty(&lane->messages)) {
        struct message *first = FB_CONTAINER(lane->messages.next, struct message, link);
        if (first->arrived < first->len)
            return;
        deliver(lane, first);
    }
}

/* ---- congestion control ---- */

static void pump(struct lane *lane);

static void slow_down(struct lane *lane, uint64_t sent_at) {
    if (sent_at < lane->recovery || lane->hop->config.blind)
        return;
    size_t half = lane->cwnd / 2;
    lane->cwnd = lane->ssthresh = half > 4 * HOP_MTU ? half : 4 * HOP_MTU;
    lane->recovery = lane->hop->world->now;
}

static void speed_up(struct lane *lane, size_t bytes) {
    if (lane->cwnd >= lane->hop->config.window || bytes == 0)
        return;
    if (lane->cwnd < lane->ssthresh)
        lane->cwnd += bytes;
    else
        lane->cwnd += (size_t)HOP_MTU * bytes / lane->cwnd + 1;
}

static void send_again(struct lane *lane, const struct burst *burst) {
    struct message *msg = find(lane, burst->number);
    lane->in_flight -= burst->lost;
    if (msg != NULL) {
        msg->again += burst->lost;
        lane->again += burst->lost;
        msg->tries = burst->tries + 1;
    }
}

static void on_timeout(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct lane *lane = ctx;
    const struct burst *burst = (const void *)data;
    if (lane->hop->dead)
        return;
    lane->ssthresh = lane->cwnd / 2 > 4 * HOP_MTU ? lane->cwnd / 2 : 4 * HOP_MTU;
    if (!lane->hop->config.blind)
        lane->cwnd = HOP_MTU;
    lane->recovery = world->now;
    lane->backoff += lane->backoff < 4;
    send_again(lane, burst);
    pump(lane);
    (void)arg;
    (void)len;
}

static void on_ack(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct lane *lane = ctx;
    const struct burst *burst = (const void *)data;
    if (lane->hop->dead)
        return;
    lane->in_flight -= burst->good;
    if (burst->good > 0)
        lane->backoff = 0;
    if (burst->lost == 0) {
        speed_up(lane, burst->good);
    } else if (burst->tries == 0 && (burst->good > 0 || lane->in_flight > burst->lost)) {
        slow_down(lane, burst->sent_at);
        send_again(lane, burst); /* told by what arrived behind it */
    } else {
        uint64_t rtt = world->now - burst->sent_at, rto = 2 * rtt > RTO_MIN ? 2 * rtt : RTO_MIN;
        rto <<= lane->backoff;
        world_at(world, burst->sent_at + (rto < RTO_MAX ? rto : RTO_MAX), on_timeout, lane, 0, data,
                 len);
    }
    pump(lane);
    (void)arg;
}

static void on_arrival(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct lane *lane = ctx;
    struct hop *hop = lane->hop;
    const struct burst *burst = (const void *)data;
    if (hop->dead)
        return;
    world_at(world, world->now + hop->config.delay, on_ack, lane, 0, data, len);
    struct message *msg = burst->good > 0 ? find(lane, burst->number) : NULL;
    if (msg == NULL)
        return;
    msg->arrived += burst->good;
    if (msg->arrived >= msg->len)
        arrived(lane, msg);
    (void)arg;
}

/* How many of `packets` get through the wires, and when the last of them leaves. The second wire is
 * taken up as if they came to it at once: what waits before a slow one must not hold up the others
 * behind it. */
static size_t cross(struct hop *hop, size_t packets, size_t bytes, uint64_t *at) {
    uint64_t now = hop->world->now;
    size_t through = packets;
    for (int i = 0; i < HOP_WIRES; i++) {
        struct wire *wire = hop->config.wires[i];
        if (wire == NULL || wire->rate == 0)
            continue;
        uint64_t start = wire->free_at > now ? wire->free_at : now;
        uint64_t backlog = (start - now) * wire->rate / SECOND;
        uint64_t room = backlog < wire->queue ? wire->queue - backlog : 0;
        size_t fit = (size_t)(room / HOP_MTU);
        if (fit < through)
            through = fit;
        wire->free_at = start + bytes * through / packets * SECOND / wire->rate;
        *at = wire->free_at > *at ? wire->free_at : *at;
    }
    return through;
}

static void transmit(struct lane *lane, struct message *msg, size_t bytes) {
    struct hop *hop = lane->hop;
    struct world *world = hop->world;
    size_t packets = (bytes + HOP_MTU - 1) / HOP_MTU;
    uint64_t at = world->now;
    size_t good = cross(hop, packets, bytes, &at);
    for (size_t i = good; i > 0 && hop->config.loss > 0; i--)
        good -= world_random(world) % 100000 < hop->config.loss;
    struct burst burst = {.number = msg->number,
                          .sent_at = world->now,
                          .good = good == packets ? bytes : good * HOP_MTU,
                          .tries = msg->tries};
    burst.lost = bytes - burst.good;
    lane->in_flight += bytes;
    uint64_t jitter = hop->config.jitter > 0 ? world_random(world) % hop->config.jitter : 0;
    world_at(world, at + hop->config.delay + jitter, on_arrival, lane, 0, (const void *)&burst,
             sizeof burst);
}

static struct message *to_send(struct lane *lane, bool *again) {
    struct message *fresh = NULL;
    FB_LIST_EACH (it, &lane->messages) {
        struct message *msg = FB_CONTAINER(it, struct message, link);
        *again = msg->again > 0;
        if (*again)
            return msg;
        if (fresh == NULL && msg->sent < msg->len)
            fresh = msg;
        if (fresh != NULL && lane->again == 0)
            break;
    }
    *again = false;
    return fresh;
}

static void tell_drained(struct hop *hop) {
    if (hop->handler->drained == NULL)
        return;
    size_t buffered = hop_buffered(hop);
    bool low = buffered <= hop->handler->low, was_high = hop->high;
    hop->high = !low && (hop->high || buffered > hop->handler->low);
    if (low && was_high)
        hop->handler->drained(hop->ctx, hop);
}

static void pump(struct lane *lane) {
    struct hop *hop = lane->hop;
    bool again;
    struct message *msg;
    while (!hop->dead && (msg = to_send(lane, &again)) != NULL) {
        size_t limit = lane->cwnd < hop->config.window ? lane->cwnd : hop->config.window;
        size_t room = limit > lane->in_flight ? limit - lane->in_flight : 0;
        if (room < HOP_MTU && lane->in_flight > 0)
            break;
        size_t left = again ? msg->again : msg->len - msg->sent;
        size_t bytes = room / HOP_MTU * HOP_MTU;
        if (bytes == 0)
            bytes = HOP_MTU;
        if (bytes > left)
            bytes = left;
        if (again) {
            msg->again -= bytes;
            lane->again -= bytes;
        } else {
            msg->sent += bytes;
            lane->unsent -= bytes;
        }
        transmit(lane, msg, bytes);
    }
    if (!hop->dead)
        tell_drained(hop);
}

/* The lane with the least buffered; ties rotate. */
static struct lane *choose(struct hop *hop) {
    struct lane *best = NULL;
    for (unsigned i = 0; i < hop->config.lanes; i++) {
        struct lane *lane = &hop->lanes[(hop->turn + i) % hop->config.lanes];
        if (best == NULL || lane->unsent + lane->in_flight < best->unsent + best->in_flight)
            best = lane;
    }
    hop->turn++;
    return best;
}

bool hop_send(struct hop *hop, const uint8_t *data, size_t len) {
    if (hop == NULL || hop->dead || len == 0)
        return false;
    struct lane *lane = choose(hop);
    struct message *msg = malloc(sizeof *msg + len);
    if (msg == NULL)
        abort();
    *msg = (struct message){.number = lane->next_number++, .len = len};
    memcpy(msg->data, data, len);
    fb_list_init(&msg->link);
    fb_list_push(&lane->messages, &msg->link);
    lane->unsent += len;
    hop->holds += len;
    pump(lane);
    return true;
}
