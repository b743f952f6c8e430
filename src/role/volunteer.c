#include "role/volunteer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"
#include "net/ws.h"
#include "rtc/peer.h"

#define CONNECT_US UINT64_C(15000000)
#define BROKER_SEND_MAX (64 * 1024)
/* Above this the other hop is not read until it has drained: unlike a browser we can, so the
 * slot's ceiling is met by those alone who ignore it. */
#define PAUSE_AT (FB_SLOT_QUEUE_MAX / 2)
/* The slot closes a match at FB_SLOT_QUEUE_MAX; its own farewell must still fit. */
#define HOP_SEND_MAX (FB_SLOT_QUEUE_MAX + 4 * FB_MESSAGE_MAX)
#define STUN_MAX 8
#define CLOCK_US UINT64_C(60000000)

/* A message that waits for its turn. */
struct held {
    struct fb_list link;
    size_t len;
    uint8_t data[];
};

/* A peer of a match, its lane by index. */
struct lane {
    struct match *match;
    struct fb_peer *peer; /* NULL: not made, or gone */
    uint32_t number;      /* what the slot calls the peer by */
};

/* One match of the slot: gone when both hops are. */
struct match {
    struct fb_list link;
    struct fb_volunteer *volunteer;
    uint32_t m;
    struct lane lanes[FB_LANES_MAX];
    struct fb_ws *egress;              /* NULL: not made, or gone */
    struct fb_list to_peer, to_egress; /* struct held: what waits */
    bool peer_paused, egress_paused;
};

struct fb_volunteer {
    struct fb_volunteer_config config;
    struct fb_joined *joined;
    struct fb_document document; /* what the slot was made by */
    bool have_document, renew;   /* renew: joined has another one */
    struct fb_slot *slot;        /* NULL before the first document */
    struct fb_timer *timer;
    struct fb_ws *broker;
    size_t broker_index;
    bool stopped;
    struct fb_list matches;
    struct fb_slot_view shown;             /* what was logged last */
    uint64_t people, bytes_up, bytes_down; /* of slots before this one */
    uint64_t clock_us;                     /* when the slot was last told what the clock shows */
};

static void poll_slot(struct fb_volunteer *vol);
static void run(struct fb_volunteer *vol);

static uint64_t now_ms(void) {
    return fb_now_us() / 1000;
}

/* ---- matches ---- */

static struct match *find(struct fb_volunteer *vol, uint32_t m) {
    FB_LIST_EACH (it, &vol->matches) {
        struct match *match = FB_CONTAINER(it, struct match, link);
        if (match->m == m)
            return match;
    }
    return NULL;
}

static void drop_held(struct fb_list *list) {
    FB_LIST_EACH (it, list) {
        fb_list_remove(it);
        free(FB_CONTAINER(it, struct held, link));
    }
}

static void free_match(struct match *match) {
    drop_held(&match->to_peer);
    drop_held(&match->to_egress);
    fb_list_remove(&match->link);
    free(match);
}

#define EACH_LANE(match, it)                                                                       \
    for (struct lane *it = (match)->lanes; it < (match)->lanes + FB_LANES_MAX; it++)               \
        if (it->peer != NULL)

static bool has_peer(struct match *match) {
    EACH_LANE(match, lane) {
        return true;
    }
    return false;
}

static void free_dead_matches(struct fb_volunteer *vol) {
    FB_LIST_EACH (it, &vol->matches) {
        struct match *match = FB_CONTAINER(it, struct match, link);
        if (!has_peer(match) && match->egress == NULL)
            free_match(match);
    }
}

/* What the lanes hold, by index; all together. */
static size_t lanes_held(struct match *match, uint32_t held[FB_LANES_MAX]) {
    size_t sum = 0;
    for (size_t i = 0; i < FB_LANES_MAX; i++) {
        struct fb_peer *peer = match->lanes[i].peer;
        held[i] = peer != NULL ? (uint32_t)fb_peer_buffered(peer) : 0;
        sum += held[i];
    }
    return sum;
}

/* A loss here is the session's to repair, as any on a path. */
static void hold(struct fb_list *list, const uint8_t *data, size_t len) {
    struct held *held = malloc(sizeof *held + len);
    if (held == NULL)
        return;
    held->len = len;
    memcpy(held->data, data, len);
    fb_list_push(list, &held->link);
}

/* ---- the hop to the client ---- */

static void on_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct lane *lane = user;
    struct fb_volunteer *vol = lane->match->volunteer;
    if (fb_peer_nat(peer) != FB_NAT_UNKNOWN)
        fb_slot_set_nat(vol->slot, fb_peer_nat(peer));
    fb_slot_peer_described(vol->slot, lane->number, local, now_ms());
    run(vol);
}

static void on_peer_open(void *user, struct fb_peer *peer) {
    struct lane *lane = user;
    struct match *match = lane->match;
    struct fb_volunteer *vol = match->volunteer;
    fb_peer_pause(peer, match->peer_paused);
    fb_slot_peer_open(vol->slot, lane->number, now_ms());
    run(vol);
}

static void pause_lanes(struct match *match, bool pause) {
    match->peer_paused = pause;
    EACH_LANE(match, lane) {
        fb_peer_pause(lane->peer, pause);
    }
}

static void to_egress(struct match *match, const uint8_t *data, size_t len) {
    if (match->egress == NULL)
        return;
    fb_ws_send(match->egress, data, len);
    if (!match->peer_paused && fb_ws_buffered(match->egress) > PAUSE_AT)
        pause_lanes(match, true);
}

static uint32_t egress_held(const struct match *match) {
    return match->egress != NULL ? (uint32_t)fb_ws_buffered(match->egress) : 0;
}

static void on_peer_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct lane *from = user;
    struct match *match = from->match;
    struct fb_volunteer *vol = match->volunteer;
    uint64_t now = now_ms();
    uint32_t queued = egress_held(match), lane;
    uint8_t first = len > 0 ? data[0] : 0;
    switch (fb_slot_relay(vol->slot, match->m, true, first, len, &queued, &lane, now)) {
    case FB_RELAY_PASS: to_egress(match, data, len); break;
    case FB_RELAY_WAIT: hold(&match->to_egress, data, len); break;
    case FB_RELAY_HOP: fb_slot_hop(vol->slot, match->m, true, data, len, now); break;
    case FB_RELAY_DROP: break;
    }
    run(vol);
}

/* Less waits for the client than before: a lane has sent it, or took it along when it died. */
static void lanes_drained(struct match *match) {
    uint32_t held[FB_LANES_MAX];
    if (lanes_held(match, held) <= PAUSE_AT / 2 && match->egress_paused) {
        match->egress_paused = false;
        if (match->egress != NULL)
            fb_ws_resume(match->egress);
    }
    fb_slot_drained(match->volunteer->slot, match->m, true, held, now_ms());
}

static void on_peer_writable(void *user, struct fb_peer *peer) {
    struct lane *lane = user;
    lanes_drained(lane->match);
    run(lane->match->volunteer);
}

static void on_peer_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct lane *lane = user;
    struct fb_volunteer *vol = lane->match->volunteer;
    fb_log(vol->config.log, FB_LOG_DEBUG, "connection to a reader: %s",
           fb_peer_reason_text(reason));
    lane->peer = NULL;
    fb_slot_peer_closed(vol->slot, lane->number, now_ms());
    lanes_drained(lane->match);
    run(vol);
}

static const struct fb_peer_handler peer_handler = {
    .described = on_described,
    .open = on_peer_open,
    .message = on_peer_message,
    .writable = on_peer_writable,
    .closed = on_peer_closed,
};

static struct match *new_match(struct fb_volunteer *vol, uint32_t m) {
    struct match *match = calloc(1, sizeof *match);
    if (match == NULL)
        return NULL;
    match->volunteer = vol;
    match->m = m;
    fb_list_init(&match->to_peer);
    fb_list_init(&match->to_egress);
    fb_list_push(&vol->matches, &match->link);
    return match;
}

static int start_peer(struct fb_volunteer *vol, struct lane *lane, const struct fb_desc *offer) {
    struct fb_addr stun[STUN_MAX];
    struct fb_peer_config config = {
        .local = (vol->document.flags & FB_DOCUMENT_LOCAL) != 0,
        .stun = stun,
        .stun_count = fb_joined_stun(vol->joined, stun, STUN_MAX),
        .send_max = HOP_SEND_MAX,
        .send_low = FB_SLOT_LANE_LOW,
        .handler = &peer_handler,
        .user = lane,
    };
    int err = fb_peer_new(&lane->peer, vol->config.rtc, &config);
    return err != 0 ? err : fb_peer_set_remote(lane->peer, offer);
}

static void close_peer(struct lane *lane) {
    if (lane->peer != NULL)
        fb_peer_close(lane->peer);
    lane->peer = NULL;
}

/* The first lane makes the match. */
static void create_peer(struct fb_volunteer *vol, const struct fb_slot_action *action) {
    struct match *match = find(vol, action->m);
    if (match == NULL && (match = new_match(vol, action->m)) == NULL) {
        fb_slot_peer_closed(vol->slot, action->peer, now_ms());
        return;
    }
    struct lane *lane = &match->lanes[action->lane];
    lane->match = match;
    lane->number = action->peer;
    if (start_peer(vol, lane, action->desc) == 0)
        return;
    close_peer(lane);
    fb_slot_peer_closed(vol->slot, action->peer, now_ms());
}

/* ---- the hop to the egress ---- */

static void on_egress_open(void *user, struct fb_ws *ws) {
    struct match *match = user;
    struct fb_volunteer *vol = match->volunteer;
    fb_slot_egress_open(vol->slot, match->m, now_ms());
    run(vol);
}

static void to_peer(struct match *match, uint32_t lane, size_t held, const uint8_t *data,
                    size_t len) {
    if (match->lanes[lane].peer != NULL)
        fb_peer_send(match->lanes[lane].peer, data, len);
    if (!match->egress_paused && held > PAUSE_AT && match->egress != NULL) {
        match->egress_paused = true;
        fb_ws_pause(match->egress);
    }
}

static void on_egress_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct match *match = user;
    struct fb_volunteer *vol = match->volunteer;
    uint64_t now = now_ms();
    uint32_t held[FB_LANES_MAX], lane;
    size_t sum = lanes_held(match, held);
    uint8_t first = len > 0 ? data[0] : 0;
    switch (fb_slot_relay(vol->slot, match->m, false, first, len, held, &lane, now)) {
    case FB_RELAY_PASS: to_peer(match, lane, sum + len, data, len); break;
    case FB_RELAY_WAIT: hold(&match->to_peer, data, len); break;
    case FB_RELAY_HOP: fb_slot_hop(vol->slot, match->m, false, data, len, now); break;
    case FB_RELAY_DROP: break;
    }
    run(vol);
}

/* The first that waits, which is on its way from now on or forgotten. */
static void next(struct match *match, bool from_client) {
    struct fb_list *list = from_client ? &match->to_egress : &match->to_peer;
    if (fb_list_empty(list)) /* there was no memory for it */
        return;
    struct held *held = FB_CONTAINER(list->next, struct held, link);
    uint32_t queued[FB_LANES_MAX] = {egress_held(match)}, lane;
    size_t sum = from_client ? 0 : lanes_held(match, queued);
    enum fb_relay what = fb_slot_next(match->volunteer->slot, match->m, from_client, held->len,
                                      queued, &lane, now_ms());
    fb_list_remove(&held->link);
    if (what == FB_RELAY_PASS && from_client)
        to_egress(match, held->data, held->len);
    else if (what == FB_RELAY_PASS)
        to_peer(match, lane, sum + held->len, held->data, held->len);
    free(held);
}

static void on_egress_drained(void *user, struct fb_ws *ws) {
    struct match *match = user;
    struct fb_volunteer *vol = match->volunteer;
    uint32_t queued = (uint32_t)fb_ws_buffered(ws);
    if (match->peer_paused)
        pause_lanes(match, false);
    fb_slot_drained(vol->slot, match->m, false, &queued, now_ms());
    run(vol);
}

static void on_egress_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct match *match = user;
    struct fb_volunteer *vol = match->volunteer;
    fb_log(vol->config.log, FB_LOG_DEBUG, "connection to the egress: %s", why);
    match->egress = NULL;
    fb_slot_egress_closed(vol->slot, match->m, now_ms());
    run(vol);
}

static const struct fb_ws_handler egress_handler = {on_egress_open, on_egress_message,
                                                    on_egress_drained, on_egress_closed};

static void open_egress(struct fb_volunteer *vol, uint32_t m, uint32_t index) {
    static const struct fb_ws_limits limits = {
        .message_max = FB_MESSAGE_MAX, .send_max = HOP_SEND_MAX, .bulk = true};
    char err[FB_NET_ERR_MAX] = "";
    struct match *match = find(vol, m);
    if (match != NULL && index < vol->document.egress_count)
        match->egress = fb_ws_connect(vol->config.net, vol->document.egresses[index].url, &limits,
                                      CONNECT_US, &egress_handler, match, err);
    if (match != NULL && match->egress != NULL)
        return;
    fb_log(vol->config.log, FB_LOG_WARN, "connection to the egress: %s", err);
    fb_slot_egress_closed(vol->slot, m, now_ms());
}

/* ---- the broker ---- */

static void on_broker_open(void *user, struct fb_ws *ws) {
    struct fb_volunteer *vol = user;
    fb_slot_broker_open(vol->slot, now_ms());
    run(vol);
}

static void on_broker_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct fb_volunteer *vol = user;
    fb_slot_broker_message(vol->slot, data, len, now_ms());
    run(vol);
}

static void on_broker_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct fb_volunteer *vol = user;
    fb_log(vol->config.log, FB_LOG_INFO, "broker: %s; trying again by itself", why);
    vol->broker = NULL;
    vol->broker_index++;
    fb_slot_broker_closed(vol->slot, code > 0 ? (unsigned)code : 0, now_ms());
    run(vol);
}

static const struct fb_ws_handler broker_handler = {on_broker_open, on_broker_message, NULL,
                                                    on_broker_closed};

/* http://host/base becomes ws://host/base/v1/volunteer, https:// becomes wss://. */
static bool broker_socket_url(const char *base, char *out, size_t cap) {
    size_t len = strlen(base);
    if (strncmp(base, "http", 4) != 0)
        return false;
    while (len > 0 && base[len - 1] == '/')
        len--;
    int written = snprintf(out, cap, "ws%.*s/v1/volunteer", (int)len - 4, base + 4);
    return written > 0 && (size_t)written < cap;
}

static void connect_broker(struct fb_volunteer *vol) {
    static const struct fb_ws_limits limits = {.message_max = FB_VOL_MAX,
                                               .send_max = BROKER_SEND_MAX};
    char url[FB_URL_MAX + 32], err[FB_NET_ERR_MAX] = "its address is not http";
    const struct fb_document_broker *broker =
        &vol->document.brokers[vol->broker_index % vol->document.broker_count];
    if (broker_socket_url(broker->url, url, sizeof url))
        vol->broker = fb_ws_connect(vol->config.net, url, &limits, CONNECT_US, &broker_handler, vol,
                                    err);
    if (vol->broker != NULL)
        return;
    fb_log(vol->config.log, FB_LOG_WARN, "broker: %s", err);
    vol->broker_index++;
    fb_slot_broker_closed(vol->slot, 0, now_ms());
}

/* ---- what the slot says ---- */

static const char *const troubles[] = {
    [FB_TROUBLE_NONE] = "",
    [FB_TROUBLE_UNREACHABLE] = "the broker cannot be reached",
    [FB_TROUBLE_GARBAGE] = "the broker sent what makes no sense",
    [FB_TROUBLE_VERSION] = "the broker speaks another version; look for a newer program",
    [FB_TROUBLE_EGRESS] = "the broker named an egress that the network does not have",
    [FB_TROUBLE_FLOOD] = "the broker sent more readers than it was asked for",
    [FB_TROUBLE_SILENT] = "the broker fell silent",
    [FB_TROUBLE_OVERSIZED] = "a message was longer than any may be",
};

static void tell(struct fb_volunteer *vol) {
    struct fb_slot_view view;
    fb_volunteer_view(vol, &view);
    const struct fb_slot_view *old = &vol->shown;
    bool same = view.state == old->state && view.broker == old->broker &&
                view.people_now == old->people_now && view.people_total == old->people_total &&
                view.paused == old->paused;
    if (view.trouble != old->trouble)
        fb_log(vol->config.log, FB_LOG_WARN, "%s", troubles[view.trouble]);
    vol->shown = view;
    if (!same && view.state == FB_SLOT_CONNECTING)
        fb_log(vol->config.log, FB_LOG_INFO, "connecting to the broker");
    else if (!same && view.state == FB_SLOT_CARRYING)
        fb_log(vol->config.log, FB_LOG_INFO, "carrying for %u; %" PRIu64 " so far, %.1f MB",
               view.people_now, view.people_total, (double)(view.bytes_up + view.bytes_down) / 1e6);
    else if (!same && view.state == FB_SLOT_WAITING && view.broker)
        fb_log(vol->config.log, FB_LOG_INFO, "waiting for a reader; %" PRIu64 " so far, %.1f MB",
               view.people_total, (double)(view.bytes_up + view.bytes_down) / 1e6);
    else if (!same && view.state == FB_SLOT_PAUSED)
        fb_log(vol->config.log, FB_LOG_INFO, "paused: %s; it goes on by itself",
               (view.paused & FB_PAUSE_BUDGET) != 0 ? "this month's data is used up"
                                                    : "these are not its hours");
    if (vol->config.changed != NULL && !vol->stopped)
        vol->config.changed(vol->config.user, &view);
}

static void close_egress(struct match *match) {
    if (match == NULL || match->egress == NULL)
        return;
    fb_ws_close(match->egress, 1000, NULL);
    match->egress = NULL;
}

static void close_broker(struct fb_volunteer *vol) {
    if (vol->broker != NULL)
        fb_ws_close(vol->broker, 1000, NULL);
    vol->broker = NULL;
}

static void act(struct fb_volunteer *vol, const struct fb_slot_action *action) {
    struct match *match = find(vol, action->m);
    switch (action->type) {
    case FB_SLOT_BROKER_CONNECT: connect_broker(vol); break;
    case FB_SLOT_BROKER_SEND:
        if (vol->broker != NULL)
            fb_ws_send(vol->broker, action->bytes, action->len);
        break;
    case FB_SLOT_BROKER_CLOSE: close_broker(vol); break;
    case FB_SLOT_PEER_CREATE: create_peer(vol, action); break;
    case FB_SLOT_PEER_SEND:
        if (match != NULL && match->lanes[action->lane].peer != NULL)
            fb_peer_send(match->lanes[action->lane].peer, action->bytes, action->len);
        break;
    case FB_SLOT_PEER_CLOSE:
        if (match == NULL)
            break;
        close_peer(&match->lanes[action->lane]);
        lanes_drained(match);
        break;
    case FB_SLOT_EGRESS_OPEN: open_egress(vol, action->m, action->egress); break;
    case FB_SLOT_EGRESS_SEND:
        if (match != NULL && match->egress != NULL)
            fb_ws_send(match->egress, action->bytes, action->len);
        break;
    case FB_SLOT_EGRESS_CLOSE: close_egress(match); break;
    case FB_SLOT_CHANGED: tell(vol); break;
    case FB_SLOT_NEXT:
        if (match != NULL)
            next(match, action->from_client);
        break;
    }
}

static void poll_slot(struct fb_volunteer *vol) {
    struct fb_slot_action action;
    while (fb_slot_poll(vol->slot, &action))
        act(vol, &action);
}

/* ---- the network ---- */

static bool same_network(const struct fb_document *a, const struct fb_document *b) {
    bool same = a->flags == b->flags && a->broker_count == b->broker_count &&
                a->egress_count == b->egress_count;
    for (size_t i = 0; same && i < a->broker_count; i++)
        same = strcmp(a->brokers[i].url, b->brokers[i].url) == 0;
    for (size_t i = 0; same && i < a->egress_count; i++)
        same = strcmp(a->egresses[i].url, b->egresses[i].url) == 0 &&
               memcmp(a->egresses[i].id, b->egresses[i].id, FB_EGRESS_ID_LEN) == 0;
    return same;
}

static struct fb_slot *make_slot(const struct fb_volunteer *vol) {
    struct fb_slot_config config = {.kind = FB_VOLUNTEER_HEADLESS,
                                    .local = (vol->document.flags & FB_DOCUMENT_LOCAL) != 0,
                                    .egress_count = vol->document.egress_count};
    for (size_t i = 0; i < config.egress_count; i++)
        memcpy(config.egress[i], vol->document.egresses[i].id, FB_EGRESS_ID_LEN);
    return fb_slot_new(fb_mem_default(), fb_rng_default(), &config);
}

/* Again and again: in summer the clock is put forward, and laptops sleep. */
static void tell_clock(struct fb_volunteer *vol) {
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    vol->clock_us = fb_now_us();
    fb_slot_set_clock(vol->slot, (uint32_t)((now + local.tm_gmtoff) / 60), now_ms());
}

/* A slot knows one list of egresses: another list is another slot, between matches. */
static void renew(struct fb_volunteer *vol) {
    const struct fb_document *document = fb_joined_document(vol->joined);
    vol->renew = false;
    if (document == NULL || (vol->slot != NULL && same_network(document, &vol->document)))
        return;
    if (vol->slot != NULL) {
        struct fb_slot_view view;
        fb_volunteer_view(vol, &view);
        vol->people = view.people_total;
        vol->bytes_up = view.bytes_up;
        vol->bytes_down = view.bytes_down;
        vol->config.limits.used = view.used;
        vol->config.limits.month = view.month;
        fb_slot_switch(vol->slot, false, now_ms());
        poll_slot(vol);
        fb_slot_free(vol->slot);
    }
    vol->document = *document;
    vol->slot = make_slot(vol);
    if (vol->slot == NULL) {
        fb_log(vol->config.log, FB_LOG_ERROR, "%s", fb_strerror(FB_ERR_NOMEM));
        return;
    }
    tell_clock(vol);
    fb_slot_set_limits(vol->slot, &vol->config.limits, now_ms());
    fb_slot_switch(vol->slot, true, now_ms());
    poll_slot(vol);
}

/* Does what the slot wants, until it wants nothing more. */
static void run(struct fb_volunteer *vol) {
    if (vol->slot != NULL)
        poll_slot(vol);
    free_dead_matches(vol);
    if (vol->renew && !vol->stopped && fb_list_empty(&vol->matches))
        renew(vol);
    if (vol->slot == NULL)
        return;
    uint64_t due = fb_slot_deadline(vol->slot), clock = vol->clock_us + CLOCK_US;
    fb_timer_set(vol->timer, due < clock / 1000 ? due * 1000 : clock);
}

static void on_timer(void *user) {
    struct fb_volunteer *vol = user;
    if (vol->slot != NULL && fb_now_us() - vol->clock_us >= CLOCK_US)
        tell_clock(vol);
    if (vol->slot != NULL)
        fb_slot_tick(vol->slot, now_ms());
    run(vol);
}

static void on_document(void *user, const struct fb_document *document) {
    struct fb_volunteer *vol = user;
    vol->renew = true;
    run(vol);
}

static void on_no_document(void *user, const char *why) {
    struct fb_volunteer *vol = user;
    if (vol->slot == NULL && vol->config.failed != NULL)
        vol->config.failed(vol->config.user, why);
    else
        fb_log(vol->config.log, FB_LOG_WARN, "the network's document: %s; trying again by itself",
               why);
}

static const struct fb_joined_handler joined_handler = {.changed = on_document,
                                                        .failed = on_no_document};

struct fb_volunteer *fb_volunteer_new(const struct fb_volunteer_config *config) {
    struct fb_volunteer *vol = calloc(1, sizeof *vol);
    if (vol == NULL)
        return NULL;
    vol->config = *config;
    fb_list_init(&vol->matches);
    struct fb_joined_config joined = {
        .net = config->net,
        .fetcher = config->fetcher,
        .crypto = config->crypto,
        .log = config->log,
        .join = config->join,
        .cache_file = config->cache_file,
        .software_version = config->software_version,
        .handler = &joined_handler,
        .user = vol,
    };
    vol->timer = fb_timer_new(fb_net_loop(config->net), on_timer, vol);
    vol->joined = fb_joined_new(&joined);
    if (vol->timer == NULL || vol->joined == NULL) {
        fb_volunteer_free(vol);
        return NULL;
    }
    return vol;
}

void fb_volunteer_stop(struct fb_volunteer *vol) {
    if (vol->stopped)
        return;
    vol->stopped = true;
    if (vol->slot != NULL) {
        fb_slot_switch(vol->slot, false, now_ms());
        poll_slot(vol);
    }
    close_broker(vol);
    FB_LIST_EACH (it, &vol->matches) {
        struct match *match = FB_CONTAINER(it, struct match, link);
        EACH_LANE(match, lane) {
            close_peer(lane);
        }
        close_egress(match);
        free_match(match);
    }
    fb_joined_free(vol->joined);
    vol->joined = NULL;
    fb_timer_free(vol->timer);
    vol->timer = NULL;
}

void fb_volunteer_free(struct fb_volunteer *vol) {
    if (vol == NULL)
        return;
    fb_volunteer_stop(vol);
    fb_slot_free(vol->slot);
    free(vol);
}

void fb_volunteer_view(const struct fb_volunteer *vol, struct fb_slot_view *out) {
    *out = (struct fb_slot_view){.state = FB_SLOT_OFF,
                                 .retry_ms = FB_SLOT_NEVER,
                                 .used = vol->config.limits.used,
                                 .month = vol->config.limits.month};
    if (vol->slot != NULL)
        fb_slot_view(vol->slot, out);
    out->people_total += vol->people;
    out->bytes_up += vol->bytes_up;
    out->bytes_down += vol->bytes_down;
}
