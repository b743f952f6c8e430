#include "sim/pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

enum item_kind { ITEM_MESSAGE, ITEM_FIRST, ITEM_UP, ITEM_DOWN };

struct item {
    struct fb_list link;
    uint64_t at;
    enum item_kind kind;
    int to;
    uint32_t path;
    size_t len;
    uint8_t data[];
};

static uint64_t random_u64(struct pair *pair) {
    uint64_t x;
    fb_random(&pair->rng, (uint8_t *)&x, sizeof x);
    return x;
}

static bool chance(struct pair *pair, unsigned per_thousand) {
    return per_thousand > 0 && random_u64(pair) % 1000 < per_thousand;
}

static void fill(void *ctx, uint8_t *out, size_t len) {
    uint64_t *seed = ctx;
    for (size_t i = 0; i < len; i++) {
        uint64_t z = (*seed += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        out[i] = (uint8_t)(z ^ z >> 31);
    }
}

bool pair_init(struct pair *pair, const struct fb_mem *mem, const struct fb_crypto *crypto,
               const uint8_t egress_public[32], const uint8_t egress_private[32], uint64_t seed) {
    memset(pair, 0, sizeof *pair);
    pair->mem = *mem;
    pair->seed = seed;
    pair->rng = (struct fb_rng){fill, &pair->seed};
    pair->crypto = crypto;
    pair->now = 1000000;
    fb_list_init(&pair->wire);
    for (int i = 0; i < 2; i++) {
        struct fb_session_config *config = &pair->config[i];
        fb_session_config_init(config, i == 0);
        config->mem = &pair->mem;
        config->rng = &pair->rng;
        config->crypto = crypto;
        memset(config->network_id, 7, sizeof config->network_id);
        memcpy(config->egress_id, egress_public, sizeof config->egress_id);
    }
    memcpy(pair->config[1].egress_key, egress_private, 32);
    pair->tokens = fb_tokens_new(&pair->mem, &pair->rng, 1000);
    pair->config[1].tokens = pair->tokens;
    return pair->tokens != NULL && fb_session_new(&pair->end[0], &pair->config[0], pair->now) == 0;
}

void pair_clear(struct pair *pair) {
    FB_LIST_EACH (it, &pair->wire) {
        fb_list_remove(it);
        free(FB_CONTAINER(it, struct item, link));
    }
    fb_session_free(pair->end[0]);
    fb_session_free(pair->end[1]);
    fb_tokens_free(pair->tokens);
}

static void schedule(struct pair *pair, uint64_t at, enum item_kind kind, int to, uint32_t path,
                     const uint8_t *data, size_t len) {
    struct item *item = calloc(1, sizeof *item + len);
    item->at = at;
    item->kind = kind;
    item->to = to;
    item->path = path;
    item->len = len;
    if (len > 0)
        memcpy(item->data, data, len);
    struct fb_list *before = &pair->wire;
    while (before->prev != &pair->wire && FB_CONTAINER(before->prev, struct item, link)->at > at)
        before = before->prev;
    fb_list_push(before, &item->link);
}

static void transmit(struct pair *pair, int from, uint32_t path, const uint8_t *msg, size_t len) {
    struct pair_link *link = &pair->link[path];
    int to = 1 - from;
    if (pair->watch != NULL)
        pair->watch(pair, from, path, msg, len);
    link->sent[from] += len;
    if (!link->up || link->silent || chance(pair, link->drop))
        return;
    uint64_t at = pair->now;
    if (link->rate > 0) {
        at = (link->free_at[from] > at ? link->free_at[from] : at) + len * 1000000 / link->rate;
        link->free_at[from] = at;
        uint64_t queue = (at - pair->now) * link->rate / 1000000;
        if (queue > link->longest_queue[from])
            link->longest_queue[from] = queue;
    }
    for (int copies = 1 + chance(pair, link->duplicate); copies > 0; copies--) {
        uint64_t jitter = link->jitter > 0 ? random_u64(pair) % link->jitter : 0;
        schedule(pair, at + link->delay + jitter, ITEM_MESSAGE, to, path, msg, len);
    }
}

bool pair_open(struct pair *pair, uint64_t delay, uint32_t *path) {
    uint8_t first[FB_FIRST_LEN];
    if (fb_session_first(pair->end[0], path, first, pair->now) != 0 || *path >= PAIR_PATHS)
        return false;
    pair->link[*path] = (struct pair_link){.delay = delay, .up = true};
    uint64_t at = pair->now + 500000;
    schedule(pair, at, ITEM_FIRST, 1, *path, first, sizeof first);
    schedule(pair, at + 2 * delay, ITEM_UP, 0, *path, NULL, 0);
    return true;
}

void pair_close(struct pair *pair, uint32_t path) {
    struct pair_link *link = &pair->link[path];
    link->up = false;
    schedule(pair, pair->now + link->delay, ITEM_DOWN, 0, path, NULL, 0);
    schedule(pair, pair->now + link->delay, ITEM_DOWN, 1, path, NULL, 0);
}

/* ---- what the ends do with streams ---- */

static uint8_t pattern(uint64_t stream, int from, uint64_t offset) {
    return (uint8_t)((offset * 167 + (offset >> 8) * 13 + stream * 31 + (uint64_t)from * 97) >> 1);
}

static void fail(const char *what, uint64_t stream, uint64_t offset) {
    fprintf(stderr, "pair: %s, stream %llu offset %llu\n", what, (unsigned long long)stream,
            (unsigned long long)offset);
    abort();
}

/* Writes what end `from` still has to send; the client's data begins with the 8 bytes of `down`. */
static void write_some(struct pair *pair, int from, uint64_t id) {
    struct pair_stream *ps = &pair->stream[id];
    uint64_t *done = from == 0 ? &ps->up_done : &ps->down_done;
    uint64_t all = from == 0 ? ps->up + 8 : ps->down;
    uint8_t chunk[8192], head[8];
    struct fb_wr wr = fb_wr_make(head, sizeof head);
    fb_wr_u64(&wr, ps->down);
    while (*done < all) {
        size_t n = all - *done < sizeof chunk ? (size_t)(all - *done) : sizeof chunk;
        size_t room = fb_stream_room(pair->end[from], id);
        if (room == 0)
            return;
        n = n < room ? n : room;
        for (size_t i = 0; i < n; i++)
            chunk[i] = from == 0 && *done + i < 8 ? head[*done + i] : pattern(id, from, *done + i);
        size_t took = fb_stream_write(pair->end[from], id, chunk, n);
        *done += took;
        if (took < n)
            return;
    }
    fb_stream_finish(pair->end[from], id);
}

static void check(int from, uint64_t id, uint64_t at, const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++)
        if ((from == 1 || at + i >= 8) && data[i] != pattern(id, from, at + i))
            fail("wrong byte", id, at + i);
}

static void read_some(struct pair *pair, int to, uint64_t id) {
    struct pair_stream *ps = &pair->stream[id];
    uint64_t *done = to == 1 ? &ps->up_read : &ps->down_read;
    const uint8_t *data;
    size_t len;
    uint64_t code;
    if (fb_stream_peer_reset(pair->end[to], id, &code)) {
        ps->reset_seen[to] = true;
        ps->reset_code = code;
        fb_stream_reset(pair->end[to], id, code);
        return;
    }
    while (!ps->pause[to]) {
        bool end = fb_stream_peek(pair->end[to], id, &data, &len);
        if (end) {
            bool *flag = to == 1 ? &ps->up_end : &ps->down_end;
            *flag = true;
        }
        if (len == 0)
            break;
        if (!pair->unchecked)
            check(1 - to, id, *done, data, len);
        *done += len;
        fb_stream_consume(pair->end[to], id, len);
        if (to == 0) {
            if (pair->now - pair->last_progress > pair->longest_gap)
                pair->longest_gap = pair->now - pair->last_progress;
            pair->last_progress = pair->now;
        }
    }
    if (to == 0 || *done >= 8)
        write_some(pair, to, id);
}

bool pair_request(struct pair *pair, uint64_t up, uint64_t down, uint64_t *id) {
    if (fb_stream_open(pair->end[0], id) != 0 || *id >= PAIR_STREAMS)
        return false;
    pair->stream[*id].open = true;
    pair->stream[*id].up = up;
    pair->stream[*id].down = down;
    pair->last_progress = pair->now;
    write_some(pair, 0, *id);
    return true;
}

void pair_resume(struct pair *pair, int to, uint64_t id) {
    pair->stream[id].pause[to] = false;
    read_some(pair, to, id);
}

bool pair_done(const struct pair *pair, uint64_t id) {
    const struct pair_stream *ps = &pair->stream[id];
    return ps->up_end && ps->down_end && ps->up_read == ps->up + 8 && ps->down_read == ps->down &&
           ps->gone[0] && ps->gone[1];
}

/* ---- the loop ---- */

static void on_event(struct pair *pair, int i, const struct fb_event *event) {
    switch (event->type) {
    case FB_EVENT_READY: pair->ready[i] = true; break;
    case FB_EVENT_CLOSED:
        pair->closed[i] = true;
        pair->code[i] = event->code;
        break;
    case FB_EVENT_PATH_OPEN: pair->opened[i]++; break;
    case FB_EVENT_PATH_CLOSED:
        pair->path_closed[i]++;
        pair->reason[i] = event->path_reason;
        if (pair->link[event->path].up)
            pair_close(pair, event->path);
        break;
    case FB_EVENT_TOKENS: break;
    case FB_EVENT_STREAM_NEW:
    case FB_EVENT_STREAM:
        if (event->stream < PAIR_STREAMS)
            read_some(pair, i, event->stream);
        break;
    case FB_EVENT_STREAM_GONE:
        if (event->stream < PAIR_STREAMS)
            pair->stream[event->stream].gone[i] = true;
        break;
    case FB_EVENT_DATAGRAM: pair->datagrams[i]++; break;
    case FB_EVENT_POST: pair->posts[i]++; break;
    }
}

void pair_pump(struct pair *pair) {
    uint8_t buf[FB_MESSAGE_MAX];
    struct fb_event event;
    uint32_t path;
    size_t n;
    for (int i = 0; i < 2; i++) {
        struct fb_session *s = pair->end[i];
        if (s == NULL)
            continue;
        for (bool more = true; more;) {
            more = false;
            while (fb_session_next(s, &event)) {
                on_event(pair, i, &event);
                more = true;
            }
            while ((n = fb_session_send(s, &path, buf, pair->now)) > 0) {
                transmit(pair, i, path, buf, n);
                more = true;
            }
        }
    }
}

static void deliver_first(struct pair *pair, const struct item *item) {
    struct fb_session *s;
    uint32_t path;
    if (item->data[1] == FB_FIRST_HANDSHAKE) {
        fb_session_free(pair->end[1]);
        pair->end[1] = NULL;
        if (fb_session_accept(&s, &pair->config[1], item->data, pair->now) == 0)
            pair->end[1] = s;
    } else {
        (void)fb_session_attach(pair->tokens, item->data, pair->now, &s, &path);
    }
}

static void deliver(struct pair *pair, struct item *item) {
    struct fb_session *s = pair->end[item->to];
    struct pair_link *link = &pair->link[item->path];
    switch (item->kind) {
    case ITEM_FIRST: deliver_first(pair, item); break;
    case ITEM_UP:
        if (link->up)
            (void)fb_session_path_up(s, item->path, pair->now);
        break;
    case ITEM_DOWN:
        if (s != NULL)
            fb_session_path_down(s, item->path, pair->now);
        break;
    case ITEM_MESSAGE:
        if (s == NULL || !link->up)
            break;
        if (chance(pair, link->corrupt))
            item->data[random_u64(pair) % item->len] ^= 1;
        if (pair->meddle == NULL ||
            pair->meddle(pair, item->to, item->path, item->data, &item->len))
            (void)fb_session_recv(s, item->path, item->data, item->len, pair->now);
        break;
    }
}

bool pair_run(struct pair *pair, uint64_t us, bool (*pred)(const struct pair *pair)) {
    uint64_t until = pair->now + us;
    unsigned same = 0;
    for (;;) {
        pair_pump(pair);
        if (pred != NULL && pred(pair))
            return true;
        uint64_t next = until;
        for (int i = 0; i < 2; i++) {
            uint64_t due = pair->end[i] == NULL ? FB_NEVER : fb_session_deadline(pair->end[i]);
            next = due < next ? due : next;
        }
        if (!fb_list_empty(&pair->wire)) {
            uint64_t at = FB_CONTAINER(pair->wire.next, struct item, link)->at;
            next = at < next ? at : next;
        }
        if (next > pair->now)
            same = 0;
        else if (++same > 100000)
            fail("time stands still", 0, pair->now);
        pair->now = next > pair->now ? next : pair->now;
        if (pair->now >= until && (pred != NULL || next >= until))
            return pred == NULL || pred(pair);
        while (!fb_list_empty(&pair->wire)) {
            struct item *item = FB_CONTAINER(pair->wire.next, struct item, link);
            if (item->at > pair->now)
                break;
            fb_list_remove(&item->link);
            deliver(pair, item);
            free(item);
            pair_pump(pair);
        }
        for (int i = 0; i < 2; i++)
            if (pair->end[i] != NULL)
                fb_session_tick(pair->end[i], pair->now);
    }
}
