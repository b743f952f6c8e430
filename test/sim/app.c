/*
 * What apps and origins do with streams. A transfer begins with its serial number in 8 bytes, by
 * which the origin's end finds it; then either side sends as much as was planned. Every byte is a
 * function of transfer, direction and offset, so one that is missing, repeated, or out of place is
 * seen at once.
 */
#include <string.h>

#include "base/buf.h"
#include "sim/net.h"

#define CHUNK 16384
#define HEAD 8

enum { APP, ORIGIN };

static uint64_t mix(uint64_t z) {
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* The bytes that end `from` sends of t, from offset on. */
static void pattern(const struct transfer *t, int from, uint64_t offset, uint8_t *out, size_t len) {
    uint64_t key = ((uint64_t)t->serial << 1 | (uint64_t)from) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t done = 0; done < len;) {
        uint64_t word = mix(key + (offset + done) / 8);
        size_t skip = (offset + done) % 8, n = 8 - skip < len - done ? 8 - skip : len - done;
        memcpy(out + done, (const uint8_t *)&word + skip, n);
        done += n;
    }
}

static struct fb_session *session_of(const struct transfer *t, int end) {
    if (end == APP)
        return t->client->s;
    return t->origin != NULL ? t->origin->s : NULL;
}

static void over(struct transfer *t) {
    struct client *client = t->client;
    struct totals *totals = &client->net->totals;
    if (t->over)
        return;
    t->over = true;
    client->open_transfers--;
    totals->lost += t->lost && !t->probe;
    totals->reset += !t->lost && t->was_reset && !t->probe;
    totals->finished += !t->lost && !t->was_reset;
    if (!t->probe)
        totals->end = client->net->world.now;
    check_progress(client);
    world_trace(&client->net->world, "client %u: transfer %u is over%s", client->index, t->serial,
                t->lost        ? ", lost with its session"
                : t->was_reset ? ", given up"
                               : "");
}

/* Both ends know that nothing more will come. */
static void look_whether_over(struct transfer *t) {
    struct world *world = &t->client->net->world;
    if (!t->gone[APP] || (!t->gone[ORIGIN] && t->origin != NULL))
        return;
    if (!t->lost && !t->was_reset &&
        (!t->up_end || !t->down_end || t->up_read != t->up || t->down_read != t->down))
        world_fail(world, "data: transfer %u ended with %llu of %llu bytes up, %llu of %llu down",
                   t->serial, (unsigned long long)t->up_read, (unsigned long long)t->up,
                   (unsigned long long)t->down_read, (unsigned long long)t->down);
    over(t);
}

static void give_up(struct transfer *t, int end) {
    struct fb_session *s = session_of(t, end);
    world_trace(&t->client->net->world, "transfer %u: end %d gives up", t->serial, end);
    t->was_reset = true;
    t->gone[end] = true;
    fb_stream_reset(s, t->stream, 7);
    look_whether_over(t);
}

/* ---- writing ---- */

static bool say_head(struct transfer *t) {
    uint8_t head[HEAD];
    struct fb_wr wr = fb_wr_make(head, sizeof head);
    fb_wr_u64(&wr, t->serial);
    if (!t->headed && fb_stream_room(t->client->s, t->stream) >= HEAD)
        t->headed = fb_stream_write(t->client->s, t->stream, head, HEAD) == HEAD;
    return t->headed;
}

static void write_some(struct transfer *t, int from) {
    struct fb_session *s = session_of(t, from);
    uint64_t *done = from == APP ? &t->up_done : &t->down_done;
    uint64_t all = from == APP ? t->up : t->down;
    uint8_t chunk[CHUNK];
    if (s == NULL || t->gone[from] || t->finished[from] || (from == APP && !say_head(t)))
        return;
    while (*done < all) {
        size_t room = fb_stream_room(s, t->stream), n = room < sizeof chunk ? room : sizeof chunk;
        if (n == 0)
            return;
        if (n > all - *done)
            n = (size_t)(all - *done);
        pattern(t, from, *done, chunk, n);
        size_t took = fb_stream_write(s, t->stream, chunk, n);
        *done += took;
        if (took < n)
            return;
    }
    fb_stream_finish(s, t->stream);
    t->finished[from] = true;
}

/* ---- reading ---- */

static void resume(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len);

/* False: this end stops here, for a while or for good. */
static bool goes_on(struct transfer *t, int end, uint64_t read) {
    struct world *world = &t->client->net->world;
    if (read >= t->reset_at[end]) {
        give_up(t, end);
        return false;
    }
    if (read >= t->pause_at[end] && t->pause_us[end] > 0) {
        t->paused[end] = true;
        world_at(world, world->now + t->pause_us[end], resume, t, (uint64_t)end, NULL, 0);
        t->pause_us[end] = 0;
    }
    return !t->paused[end];
}

/* Not beyond where it stops. */
static size_t at_most(const struct transfer *t, int end, uint64_t read, size_t len) {
    uint64_t stop = t->pause_us[end] > 0 && t->pause_at[end] < t->reset_at[end] ? t->pause_at[end]
                                                                                : t->reset_at[end];
    return stop - read < len ? (size_t)(stop - read) : len;
}

static void take(struct transfer *t, int end, uint64_t *read, const uint8_t *data, size_t len) {
    struct net *net = t->client->net;
    uint8_t expected[CHUNK];
    for (size_t done = 0; done < len;) {
        size_t n = len - done < sizeof expected ? len - done : sizeof expected;
        pattern(t, 1 - end, *read, expected, n);
        if (memcmp(expected, data + done, n) != 0)
            world_fail(&net->world, "data: transfer %u %s: a wrong byte between %llu and %llu",
                       t->serial, end == APP ? "down" : "up", (unsigned long long)*read,
                       (unsigned long long)(*read + n));
        *read += n;
        done += n;
    }
    if (!t->probe)
        *(end == APP ? &net->totals.bytes_down : &net->totals.bytes_up) += len;
    check_progress(t->client);
}

static void read_some(struct transfer *t, int end) {
    struct fb_session *s = session_of(t, end);
    uint64_t *read = end == APP ? &t->down_read : &t->up_read, code;
    const uint8_t *data;
    size_t len;
    if (s == NULL || t->gone[end])
        return;
    if (fb_stream_peer_reset(s, t->stream, &code)) {
        give_up(t, end);
        return;
    }
    while (goes_on(t, end, *read)) {
        if (fb_stream_peek(s, t->stream, &data, &len))
            *(end == APP ? &t->down_end : &t->up_end) = true;
        if (len == 0)
            return;
        len = at_most(t, end, *read, len);
        take(t, end, read, data, len);
        fb_stream_consume(s, t->stream, len);
    }
}

static void pump_end(struct transfer *t, int end) {
    if (end == APP)
        client_pump(t->client);
    else if (t->origin != NULL)
        egress_pump(t->origin);
}

static void resume(struct world *world, void *ctx, uint64_t end, uint8_t *data, size_t len) {
    struct transfer *t = ctx;
    t->paused[end] = false;
    if (t->over)
        return;
    read_some(t, (int)end);
    pump_end(t, (int)end);
}

void app_drain(struct transfer *t, int end) {
    if (end == ORIGIN && t->head_unread)
        fb_stream_consume(t->origin->s, t->stream, HEAD);
    t->head_unread &= end != ORIGIN;
    t->paused[end] = false;
    read_some(t, end);
    t->paused[end] = true;
}

void app_give_up(struct transfer *t) {
    give_up(t, APP);
}

/* ---- events ---- */

void app_client_event(struct client *client, uint64_t stream, bool gone) {
    FB_LIST_EACH (it, &client->transfers) {
        struct transfer *t = FB_CONTAINER(it, struct transfer, link);
        if (!t->begun || t->over || t->stream != stream)
            continue;
        if (gone) {
            t->gone[APP] = true;
            look_whether_over(t);
        } else {
            read_some(t, APP);
            write_some(t, APP);
        }
        return;
    }
}

/* The first bytes of a stream at the egress; NULL until they are all there. */
static struct transfer *meet(struct esession *es, uint64_t stream) {
    struct net *net = es->egress->net;
    const uint8_t *data;
    size_t len;
    uint64_t code;
    if (fb_stream_peer_reset(es->s, stream, &code)) {
        fb_stream_reset(es->s, stream, code);
        return NULL;
    }
    (void)fb_stream_peek(es->s, stream, &data, &len);
    if (len < HEAD)
        return NULL;
    struct fb_rd rd = fb_rd_make(data, HEAD);
    uint64_t serial = fb_rd_u64(&rd);
    if (serial >= net->transfer_count || net->transfers[serial]->origin != NULL) {
        world_fail(&net->world, "data: a stream begins with what nobody sent, or sent once");
        return NULL;
    }
    struct transfer *t = net->transfers[serial];
    t->origin = es;
    t->head_unread = t->probe; /* it counts against the window, as all that is unread */
    if (!t->probe)
        fb_stream_consume(es->s, stream, HEAD);
    fb_stream_set_user(es->s, stream, t);
    return t;
}

static struct transfer *of_stream(struct esession *es, uint64_t stream) {
    FB_LIST_EACH (it, &es->client->transfers) {
        struct transfer *t = FB_CONTAINER(it, struct transfer, link);
        if (t->origin == es && t->stream == stream && !t->over)
            return t;
    }
    return NULL;
}

void app_origin_event(struct esession *es, uint64_t stream, bool gone) {
    struct transfer *t = gone ? of_stream(es, stream) : fb_stream_user(es->s, stream);
    if (t == NULL && !gone)
        t = meet(es, stream);
    uint64_t code;
    if (t != NULL && t->over && !gone && fb_stream_peer_reset(es->s, stream, &code))
        fb_stream_reset(es->s, stream, code); /* given up before the origin knew of it */
    if (t == NULL || t->over)
        return;
    if (gone) {
        t->gone[ORIGIN] = true;
        look_whether_over(t);
    } else {
        read_some(t, ORIGIN);
        write_some(t, ORIGIN);
    }
}

static void lose(struct transfer *t) {
    if (t->begun && !t->over) {
        t->lost = true;
        over(t);
    }
}

void app_session_lost(struct client *client) {
    FB_LIST_EACH (it, &client->transfers)
        lose(FB_CONTAINER(it, struct transfer, link));
}

void app_origin_lost(struct esession *es) {
    FB_LIST_EACH (it, &es->client->transfers) {
        struct transfer *t = FB_CONTAINER(it, struct transfer, link);
        if (t->origin == es) {
            lose(t);
            t->origin = NULL;
        }
    }
}

/* ---- beginning ---- */

static bool begin(struct transfer *t) {
    struct client *client = t->client;
    if (fb_stream_open(client->s, &t->stream) != 0)
        return false;
    t->begun = true;
    client->open_transfers++;
    world_trace(&client->net->world, "client %u: transfer %u begins: %llu up, %llu down",
                client->index, t->serial, (unsigned long long)t->up, (unsigned long long)t->down);
    write_some(t, APP);
    return true;
}

struct transfer *app_request(struct client *client, uint64_t up, uint64_t down, bool probe) {
    struct net *net = client->net;
    struct transfer *t = world_keep(&net->world, sizeof *t);
    *t = (struct transfer){.client = client, .serial = net->transfer_count, .up = up, .down = down};
    t->reset_at[APP] = t->reset_at[ORIGIN] = NEVER;
    t->pause_at[APP] = t->pause_at[ORIGIN] = NEVER;
    t->probe = t->paused[APP] = t->paused[ORIGIN] = probe;
    net->transfers[net->transfer_count++] = t;
    fb_list_init(&t->link);
    fb_list_push(&client->transfers, &t->link);
    return t;
}

/* Small ones are many, large ones few. */
static uint64_t size(struct world *world, uint64_t max) {
    switch (world_between(world, 0, 3)) {
    case 0: return world_between(world, 0, 2000);
    case 1: return world_between(world, 0, 60000 < max ? 60000 : max);
    case 2: return world_between(world, 0, max / 8);
    default: return world_between(world, 0, max);
    }
}

static void its_time(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    client_pump(ctx);
}

void app_plan(struct client *client) {
    struct net *net = client->net;
    struct world *world = &net->world;
    fb_list_init(&client->transfers);
    for (unsigned i = 0; i < net->plan.transfers; i++) {
        struct transfer *t = app_request(client, size(world, net->plan.bytes),
                                         size(world, net->plan.bytes), false);
        int end = (int)world_between(world, APP, ORIGIN);
        if (i % 3 > 0) { /* some at once, the others as time goes by */
            t->begin_at = world->now + world_random(world) % net->plan.calm;
            world_at(world, t->begin_at, its_time, client, 0, NULL, 0);
        }
        uint64_t comes = end == APP ? t->down : t->up;
        if (comes > 0 && world_chance(world, 200)) {
            t->pause_at[end] = world_between(world, 0, comes - 1);
            t->pause_us[end] = world_between(world, SECOND, 15 * SECOND);
        } else if (world_chance(world, 60)) {
            t->reset_at[end] = world_between(world, 0, comes);
        }
    }
}

void app_begin_more(struct client *client) {
    if (!fb_session_ready(client->s))
        return;
    FB_LIST_EACH (it, &client->transfers) {
        struct transfer *t = FB_CONTAINER(it, struct transfer, link);
        if (t->begun || t->begin_at > client->net->world.now)
            continue;
        if ((client->open_transfers >= APP_AT_ONCE && !t->probe) || !begin(t))
            return;
    }
}
