#include "core/slot.h"

#include <string.h>

#include "base/err.h"
#include "base/secret.h"

enum stage {
    FREE = 0,
    DESCRIBING, /* the offer is here, this side's description is awaited */
    ANSWERED,   /* RELEASE is awaited */
    OPENING,    /* hops are opening */
    CARRYING,   /* both hops are open */
    ENDING,     /* actions are left to be polled, then free */
};

/* Actions that a match still owes, in the order in which fb_slot_poll() gives them. */
enum todo {
    PEER_CREATE = 1 << 0,
    SAY_ANSWER = 1 << 1, /* to the broker */
    EGRESS_OPEN = 1 << 2,
    EGRESS_ATTACH = 1 << 3,
    EGRESS_LIMIT = 1 << 4,
    PEER_LIMIT = 1 << 5,
    EGRESS_QUEUE = 1 << 6, /* report to the egress: what is queued towards the client */
    PEER_QUEUE = 1 << 7,
    EGRESS_BYE = 1 << 8,
    PEER_BYE = 1 << 9,
    EGRESS_CLOSE = 1 << 10,
    PEER_CLOSE = 1 << 11,
    SAY_DECLINE = 1 << 12,
    SAY_DONE = 1 << 13,
};
#define SAYS (SAY_ANSWER | SAY_DECLINE | SAY_DONE)

enum hop { EGRESS, PEER };

struct match {
    enum stage stage;
    unsigned todo;
    uint32_t m;
    bool at_broker; /* the broker's current socket knows it as broker_id */
    uint64_t broker_id;
    uint64_t deadline;
    bool made[2]; /* by enum hop: glue has been told to make it, and not that it is gone */
    bool open[2];
    size_t held[2];    /* towards that hop */
    bool reported[2];  /* its queue has been reported as long */
    uint32_t queue[2]; /* what to report */
    bool carried;
    uint32_t egress;
    enum fb_outcome outcome;
    enum fb_farewell bye[2];
    struct fb_desc desc; /* the offer, then the answer */
    struct fb_vol_release release;
};

enum broker { DOWN, CONNECTING, GREETING, WELCOME };

/* Actions that the slot itself owes. */
enum own_todo {
    BROKER_CLOSE = 1 << 0,
    BROKER_CONNECT = 1 << 1,
    SAY_HELLO = 1 << 2,
    SAY_READY = 1 << 3,
    SAY_STATUS = 1 << 4,
    TELL_CHANGED = 1 << 5,
};

#define REFUSED_MAX 16

struct fb_slot {
    const struct fb_mem *mem;
    const struct fb_rng *rng;
    struct fb_slot_config config;
    bool on;
    enum broker broker;
    uint64_t broker_deadline; /* DOWN: next try; CONNECTING, GREETING: give up; WELCOME: STATUS */
    uint64_t welcome_ms;      /* since when */
    unsigned failures;        /* tries of the broker in a row */
    unsigned promised;        /* READY said, not yet used up by an OFFER */
    uint32_t todo, last_m;
    uint64_t refused[REFUSED_MAX]; /* offers to be declined as too many */
    size_t refused_count;
    unsigned tries;      /* peer connections that may be begun now */
    uint64_t tries_ms;   /* when that was last topped up */
    bool short_of_tries; /* more is promised to the broker when that is */
    struct fb_slot_view view;
    uint8_t out[FB_VOL_MAX];
    struct match matches[FB_SLOT_CAPACITY_MAX];
};

#define EACH_MATCH(slot, it)                                                                       \
    for (struct match *it = (slot)->matches; it < (slot)->matches + FB_SLOT_CAPACITY_MAX; it++)

static uint16_t wanted_capacity(uint16_t asked) {
    uint16_t capacity = asked == 0 ? FB_SLOT_CAPACITY_DEFAULT : asked;
    return capacity < FB_SLOT_CAPACITY_MAX ? capacity : FB_SLOT_CAPACITY_MAX;
}

struct fb_slot *fb_slot_new(const struct fb_mem *mem, const struct fb_rng *rng,
                            const struct fb_slot_config *config) {
    if (config->egress_count > FB_SLOT_EGRESS_MAX)
        return NULL;
    struct fb_slot *slot = fb_alloc(mem, sizeof *slot);
    if (slot == NULL)
        return NULL;
    slot->mem = mem;
    slot->rng = rng;
    slot->config = *config;
    slot->tries = FB_SLOT_TRIES;
    slot->view.capacity = wanted_capacity(config->capacity);
    slot->view.retry_ms = FB_SLOT_NEVER;
    slot->broker_deadline = FB_SLOT_NEVER;
    return slot;
}

void fb_slot_free(struct fb_slot *slot) {
    if (slot == NULL)
        return;
    const struct fb_mem *mem = slot->mem;
    fb_wipe(slot, sizeof *slot);
    fb_free(mem, slot);
}

static bool live(const struct match *match) {
    return match->stage != FREE && match->stage != ENDING;
}

static struct match *find(struct fb_slot *slot, uint32_t m) {
    EACH_MATCH(slot, match) {
        if (live(match) && match->m == m)
            return match;
    }
    return NULL;
}

static struct match *find_broker_id(struct fb_slot *slot, uint64_t id) {
    EACH_MATCH(slot, match) {
        if (live(match) && match->at_broker && match->broker_id == id)
            return match;
    }
    return NULL;
}

static size_t busy(struct fb_slot *slot) {
    size_t count = 0;
    EACH_MATCH(slot, match) {
        count += match->stage != FREE;
    }
    return count;
}

/* ---- The end of a match ---- */

/* An ended match whose last action has been given away. */
static void reap(struct fb_slot *slot, struct match *match) {
    if (match->stage == ENDING && match->todo == 0) {
        fb_wipe(match, sizeof *match); /* nothing of it for the next one */
        slot->todo |= SAY_READY;
    }
}

/* bye: what both hops are told; outcome: what the broker is told unless it was carried. */
static void end(struct fb_slot *slot, struct match *match, enum fb_farewell bye,
                enum fb_outcome outcome) {
    unsigned say = match->stage == DESCRIBING ? SAY_DECLINE : SAY_DONE;
    if (match->stage == CARRYING) {
        slot->view.people_now--;
        slot->view.last_close = bye;
    }
    if (match->carried && slot->tries < FB_SLOT_TRIES)
        slot->tries++;
    match->todo = match->at_broker ? say : 0;
    if (match->made[PEER])
        match->todo |= PEER_CLOSE | (match->open[PEER] ? PEER_BYE : 0);
    if (match->made[EGRESS])
        match->todo |= EGRESS_CLOSE | (match->open[EGRESS] ? EGRESS_BYE : 0);
    match->bye[PEER] = match->bye[EGRESS] = bye;
    match->outcome = match->carried ? FB_OUTCOME_CARRIED : outcome;
    match->stage = ENDING;
    match->deadline = FB_SLOT_NEVER;
    slot->todo |= TELL_CHANGED;
    reap(slot, match);
}

/* ---- The broker ---- */

static void retry_later(struct fb_slot *slot, uint64_t now_ms) {
    uint64_t wait = FB_SLOT_RETRY_MS;
    uint8_t chance[4];
    for (unsigned i = 0; i < slot->failures && wait < FB_SLOT_RETRY_CAP_MS; i++)
        wait *= 2;
    if (wait > FB_SLOT_RETRY_CAP_MS)
        wait = FB_SLOT_RETRY_CAP_MS;
    slot->failures += slot->failures < 32;
    fb_random(slot->rng, chance, sizeof chance);
    unsigned share = (unsigned)chance[0] << 8 | chance[1],
             more = (unsigned)chance[2] << 8 | chance[3];
    wait += (wait / 2 * share >> 16) + ((uint64_t)2000 * more >> 16);
    slot->view.retry_ms = slot->broker_deadline = now_ms + wait;
}

/* The socket is gone or given up. Matches that no longer need the broker stay. */
static void broker_lost(struct fb_slot *slot, uint64_t now_ms) {
    if (slot->broker == WELCOME && now_ms - slot->welcome_ms >= FB_SLOT_RETRY_GOOD_MS)
        slot->failures = 0;
    slot->broker = DOWN;
    slot->broker_deadline = FB_SLOT_NEVER;
    slot->view.broker = false;
    slot->promised = 0;
    slot->refused_count = 0;
    slot->short_of_tries = false;
    slot->todo &= ~(unsigned)(SAY_HELLO | SAY_READY | SAY_STATUS | BROKER_CONNECT);
    slot->todo |= TELL_CHANGED;
    EACH_MATCH(slot, match) {
        match->at_broker = false;
        match->todo &= ~(unsigned)SAYS;
        if (match->stage == DESCRIBING || match->stage == ANSWERED)
            end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_STOPPED);
        reap(slot, match);
    }
    if (slot->on)
        retry_later(slot, now_ms);
}

static void broker_connect(struct fb_slot *slot, uint64_t now_ms) {
    slot->broker = CONNECTING;
    slot->broker_deadline = now_ms + FB_SLOT_WELCOME_MS;
    slot->view.retry_ms = FB_SLOT_NEVER;
    slot->todo |= BROKER_CONNECT | TELL_CHANGED;
}

/* This side gives the socket up: it broke the rules or said nothing. */
static void broker_drop(struct fb_slot *slot, uint64_t now_ms) {
    broker_lost(slot, now_ms);
    slot->todo |= BROKER_CLOSE;
}

void fb_slot_switch(struct fb_slot *slot, bool on, uint64_t now_ms) {
    if (slot->on == on)
        return;
    slot->on = on;
    slot->failures = 0;
    slot->todo |= TELL_CHANGED;
    if (on) {
        broker_connect(slot, now_ms);
        return;
    }
    EACH_MATCH(slot, match) {
        if (live(match))
            end(slot, match, FB_FAREWELL_OFF, FB_OUTCOME_STOPPED);
    }
    bool was_up = slot->broker != DOWN;
    broker_lost(slot, now_ms);
    slot->view.retry_ms = FB_SLOT_NEVER;
    if (was_up)
        slot->todo |= BROKER_CLOSE;
}

void fb_slot_set_capacity(struct fb_slot *slot, uint16_t capacity, uint64_t now_ms) {
    slot->view.capacity = wanted_capacity(capacity);
    slot->todo |= SAY_READY | TELL_CHANGED;
}

void fb_slot_set_nat(struct fb_slot *slot, enum fb_nat nat) {
    if ((unsigned)nat < FB_NAT_COUNT)
        slot->config.nat = nat;
}

void fb_slot_broker_open(struct fb_slot *slot, uint64_t now_ms) {
    if (slot->broker != CONNECTING)
        return;
    slot->broker = GREETING;
    slot->todo |= SAY_HELLO;
}

void fb_slot_broker_closed(struct fb_slot *slot, uint64_t now_ms) {
    if (slot->broker != DOWN)
        broker_lost(slot, now_ms);
}

static void got_welcome(struct fb_slot *slot, const struct fb_vol_welcome *welcome,
                        uint64_t now_ms) {
    slot->broker = WELCOME;
    slot->welcome_ms = now_ms;
    slot->broker_deadline = now_ms + FB_SLOT_STATUS_MS;
    slot->view.broker = true;
    memcpy(slot->view.country, welcome->country, sizeof slot->view.country);
    slot->todo |= SAY_READY | TELL_CHANGED;
}

static void top_up_tries(struct fb_slot *slot, uint64_t now_ms) {
    uint64_t more = (now_ms - slot->tries_ms) / FB_SLOT_TRY_MS, room = FB_SLOT_TRIES - slot->tries;
    if (room == 0) {
        slot->tries_ms = now_ms;
    } else {
        slot->tries_ms += more * FB_SLOT_TRY_MS;
        slot->tries += (unsigned)(more < room ? more : room);
    }
}

/* False when the broker broke the rules. */
static bool got_offer(struct fb_slot *slot, const struct fb_vol_msg *msg, uint64_t now_ms) {
    struct match *free_one = NULL;
    if (find_broker_id(slot, msg->match) != NULL || msg->desc.setup != FB_SETUP_ACTPASS)
        return false;
    slot->promised -= slot->promised > 0;
    top_up_tries(slot, now_ms);
    EACH_MATCH(slot, match) {
        if (match->stage == FREE)
            free_one = match;
    }
    if (free_one == NULL || busy(slot) >= slot->view.capacity || slot->tries == 0) {
        if (slot->refused_count == REFUSED_MAX)
            return false;
        slot->refused[slot->refused_count++] = msg->match;
        return true;
    }
    slot->tries--;
    free_one->stage = DESCRIBING;
    free_one->m = ++slot->last_m;
    free_one->at_broker = true;
    free_one->broker_id = msg->match;
    free_one->deadline = now_ms + FB_SLOT_DESCRIBE_MS;
    free_one->desc = msg->desc;
    fb_desc_filter(&free_one->desc, slot->config.local);
    free_one->todo = PEER_CREATE;
    return true;
}

static bool got_release(struct fb_slot *slot, const struct fb_vol_msg *msg, uint64_t now_ms) {
    struct match *match = find_broker_id(slot, msg->match);
    if (match == NULL)
        return true; /* it ended meanwhile */
    if (match->stage != ANSWERED)
        return false;
    for (size_t i = 0; i < slot->config.egress_count; i++) {
        if (memcmp(slot->config.egress[i], msg->release.egress, FB_EGRESS_ID_LEN) == 0) {
            match->stage = OPENING;
            match->deadline = now_ms + FB_SLOT_OPEN_MS;
            match->release = msg->release;
            match->egress = (uint32_t)i;
            match->todo |= EGRESS_OPEN;
            return true;
        }
    }
    end(slot, match, FB_FAREWELL_EGRESS, FB_OUTCOME_EGRESS_FAILED);
    return true;
}

static void got_cancel(struct fb_slot *slot, uint64_t id) {
    struct match *match = find_broker_id(slot, id);
    if (match == NULL || match->stage >= OPENING)
        return; /* once released, a path is the client's and the egress's business */
    match->at_broker = false;
    end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_STOPPED);
}

static bool got_message(struct fb_slot *slot, const struct fb_vol_msg *msg, uint64_t now_ms) {
    if (msg->type == FB_VOL_WELCOME && slot->broker == GREETING) {
        got_welcome(slot, &msg->welcome, now_ms);
        return true;
    }
    if (slot->broker != WELCOME)
        return false;
    switch (msg->type) {
    case FB_VOL_OFFER: return got_offer(slot, msg, now_ms);
    case FB_VOL_RELEASE: return got_release(slot, msg, now_ms);
    case FB_VOL_CANCEL: got_cancel(slot, msg->match); return true;
    default: return false;
    }
}

void fb_slot_broker_message(struct fb_slot *slot, const uint8_t *bytes, size_t len,
                            uint64_t now_ms) {
    struct fb_vol_msg msg;
    if (slot->broker != GREETING && slot->broker != WELCOME)
        return;
    if (fb_vol_decode(&msg, bytes, len) != 0 || !got_message(slot, &msg, now_ms))
        broker_drop(slot, now_ms);
    fb_wipe(&msg, sizeof msg); /* tickets */
}

/* ---- Hops ---- */

void fb_slot_peer_described(struct fb_slot *slot, uint32_t m, const struct fb_desc *desc,
                            uint64_t now_ms) {
    struct match *match = find(slot, m);
    if (match == NULL || match->stage != DESCRIBING)
        return;
    /* The reader's DTLS stack waits for a browser's ClientHello (DESIGN section 2). */
    if (!fb_desc_valid(desc) || desc->setup != FB_SETUP_ACTIVE) {
        end(slot, match, FB_FAREWELL_PEER, FB_OUTCOME_PEER_FAILED);
        return;
    }
    match->stage = ANSWERED;
    match->deadline = now_ms + FB_SLOT_RELEASE_MS;
    match->desc = *desc;
    fb_desc_filter(&match->desc, slot->config.local);
    match->todo |= SAY_ANSWER;
}

static void hop_opened(struct fb_slot *slot, struct match *match) {
    if (match->stage != OPENING || !match->open[PEER] || !match->open[EGRESS])
        return;
    match->stage = CARRYING;
    match->carried = true;
    match->deadline = FB_SLOT_NEVER;
    match->todo |= PEER_LIMIT | EGRESS_LIMIT;
    slot->view.people_now++;
    slot->view.people_total++;
    slot->todo |= TELL_CHANGED;
}

void fb_slot_peer_open(struct fb_slot *slot, uint32_t m, uint64_t now_ms) {
    struct match *match = find(slot, m);
    if (match == NULL || match->stage == DESCRIBING)
        return;
    match->open[PEER] = true;
    hop_opened(slot, match);
}

void fb_slot_egress_open(struct fb_slot *slot, uint32_t m, uint64_t now_ms) {
    struct match *match = find(slot, m);
    if (match == NULL || !match->made[EGRESS] || match->open[EGRESS])
        return;
    match->open[EGRESS] = true;
    match->todo |= EGRESS_ATTACH;
    hop_opened(slot, match);
}

static void hop_closed(struct fb_slot *slot, uint32_t m, enum hop hop) {
    struct match *match = find(slot, m);
    if (match == NULL)
        return;
    match->made[hop] = match->open[hop] = false;
    end(slot, match, hop == PEER ? FB_FAREWELL_PEER : FB_FAREWELL_EGRESS,
        hop == PEER ? FB_OUTCOME_PEER_FAILED : FB_OUTCOME_EGRESS_FAILED);
}

void fb_slot_peer_closed(struct fb_slot *slot, uint32_t m, uint64_t now_ms) {
    hop_closed(slot, m, PEER);
}

void fb_slot_egress_closed(struct fb_slot *slot, uint32_t m, uint64_t now_ms) {
    hop_closed(slot, m, EGRESS);
}

/* ---- Relaying ---- */

enum fb_relay fb_relay_kind(uint8_t first_byte, bool from_client) {
    switch (first_byte) {
    case FB_KIND_SESSION: return FB_RELAY_PASS;
    case FB_KIND_HOP: return FB_RELAY_HOP;
    default: return FB_RELAY_DROP; /* ATTACH is this side's alone to send */
    }
}

static enum fb_relay too_much(struct fb_slot *slot, struct match *match, enum fb_farewell bye) {
    end(slot, match, bye, FB_OUTCOME_STOPPED);
    return FB_RELAY_DROP;
}

static void report_queue(struct match *match, enum hop to, size_t queued) {
    bool high = queued > FB_SLOT_QUEUE_REPORT, low = queued < FB_SLOT_QUEUE_REPORT / 4;
    if (match->stage != CARRYING || (match->reported[to] ? !low : !high))
        return;
    match->reported[to] = high;
    match->queue[to] = (uint32_t)queued;
    /* The one who fills it hears of it. */
    match->todo |= to == PEER ? EGRESS_QUEUE : PEER_QUEUE;
}

enum fb_relay fb_slot_relay(struct fb_slot *slot, uint32_t m, bool from_client, uint8_t first_byte,
                            size_t len, size_t queued, uint64_t now_ms) {
    enum hop to = from_client ? EGRESS : PEER;
    struct match *match = find(slot, m);
    if (match == NULL)
        return FB_RELAY_DROP;
    if (len == 0 || len > FB_MESSAGE_MAX)
        return too_much(slot, match, FB_FAREWELL_PROTOCOL);
    enum fb_relay relay = fb_relay_kind(first_byte, from_client);
    if (relay != FB_RELAY_PASS)
        return relay;
    if (!match->open[to]) {
        match->held[to] += len;
        if (match->held[to] > FB_SLOT_HOLD_MAX)
            return too_much(slot, match, FB_FAREWELL_QUEUE);
        relay = FB_RELAY_HOLD;
    } else {
        if (queued > FB_SLOT_QUEUE_MAX - len)
            return too_much(slot, match, FB_FAREWELL_QUEUE);
        report_queue(match, to, queued + len);
    }
    if (from_client)
        slot->view.bytes_up += len;
    else
        slot->view.bytes_down += len;
    return relay;
}

void fb_slot_drained(struct fb_slot *slot, uint32_t m, bool to_client, size_t queued,
                     uint64_t now_ms) {
    struct match *match = find(slot, m);
    if (match != NULL)
        report_queue(match, to_client ? PEER : EGRESS, queued);
}

void fb_slot_hop(struct fb_slot *slot, uint32_t m, bool from_client, const uint8_t *bytes,
                 size_t len, uint64_t now_ms) {
    struct match *match = find(slot, m);
    struct fb_hop_msg msg;
    if (match == NULL)
        return;
    if (fb_hop_decode(&msg, bytes, len) != 0) {
        end(slot, match, FB_FAREWELL_PROTOCOL, FB_OUTCOME_STOPPED);
    } else if (msg.type == FB_HOP_FAREWELL) {
        enum fb_farewell why = from_client ? FB_FAREWELL_PEER : FB_FAREWELL_EGRESS;
        if (!from_client && msg.farewell == FB_FAREWELL_DENIED)
            why = FB_FAREWELL_DENIED; /* the client can do something about that */
        end(slot, match, why, from_client ? FB_OUTCOME_STOPPED : FB_OUTCOME_EGRESS_FAILED);
        match->todo &= ~(unsigned)(from_client ? PEER_BYE : EGRESS_BYE);
    }
}

/* ---- Time ---- */

static void overdue(struct fb_slot *slot, struct match *match) {
    switch (match->stage) {
    case DESCRIBING: end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_PEER_FAILED); break;
    case ANSWERED: end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_STOPPED); break;
    default: /* OPENING */
        end(slot, match, FB_FAREWELL_TIMEOUT,
            match->open[PEER] ? FB_OUTCOME_EGRESS_FAILED : FB_OUTCOME_PEER_FAILED);
    }
}

void fb_slot_tick(struct fb_slot *slot, uint64_t now_ms) {
    EACH_MATCH(slot, match) {
        if (live(match) && match->deadline <= now_ms)
            overdue(slot, match);
    }
    if (slot->short_of_tries && slot->tries_ms + FB_SLOT_TRY_MS <= now_ms) {
        top_up_tries(slot, now_ms);
        slot->todo |= SAY_READY;
    }
    if (slot->broker_deadline > now_ms)
        return;
    switch (slot->broker) {
    case DOWN: broker_connect(slot, now_ms); break;
    case WELCOME:
        slot->broker_deadline = now_ms + FB_SLOT_STATUS_MS;
        slot->todo |= SAY_STATUS;
        break;
    default: broker_drop(slot, now_ms);
    }
}

uint64_t fb_slot_deadline(const struct fb_slot *slot) {
    uint64_t first = slot->broker_deadline;
    for (size_t i = 0; i < FB_SLOT_CAPACITY_MAX; i++)
        if (slot->matches[i].stage != FREE && slot->matches[i].deadline < first)
            first = slot->matches[i].deadline;
    if (slot->short_of_tries && slot->tries_ms + FB_SLOT_TRY_MS < first)
        first = slot->tries_ms + FB_SLOT_TRY_MS;
    return first;
}

/* ---- Actions ---- */

static bool give_bytes(struct fb_slot *slot, struct fb_slot_action *out,
                       enum fb_slot_action_type type, int len) {
    out->type = type;
    out->bytes = slot->out;
    out->len = (size_t)len;
    return len > 0;
}

static bool say(struct fb_slot *slot, struct fb_slot_action *out, const struct fb_vol_msg *msg) {
    return give_bytes(slot, out, FB_SLOT_BROKER_SEND,
                      fb_vol_encode(msg, slot->out, sizeof slot->out));
}

static bool say_hop(struct fb_slot *slot, struct fb_slot_action *out, enum hop to,
                    const struct fb_hop_msg *msg) {
    return give_bytes(slot, out, to == PEER ? FB_SLOT_PEER_SEND : FB_SLOT_EGRESS_SEND,
                      fb_hop_encode(msg, slot->out, sizeof slot->out));
}

static bool attach(struct fb_slot *slot, struct match *match, struct fb_slot_action *out) {
    slot->out[0] = FB_KIND_ATTACH;
    memcpy(slot->out + 1, match->release.ticket, FB_TICKET_LEN);
    memcpy(slot->out + 1 + FB_TICKET_LEN, match->release.first, FB_FIRST_LEN);
    fb_wipe(&match->release, sizeof match->release);
    return give_bytes(slot, out, FB_SLOT_EGRESS_SEND, 1 + FB_TICKET_LEN + FB_FIRST_LEN);
}

static bool make(struct match *match, struct fb_slot_action *out, enum hop hop) {
    match->made[hop] = true;
    out->type = hop == PEER ? FB_SLOT_PEER_CREATE : FB_SLOT_EGRESS_OPEN;
    out->desc = hop == PEER ? &match->desc : NULL;
    out->egress = match->egress;
    return true;
}

static bool poll_match(struct fb_slot *slot, struct match *match, struct fb_slot_action *out) {
    unsigned bit = match->todo & (0u - match->todo); /* the lowest */
    struct fb_vol_msg msg = {.match = match->broker_id};
    struct fb_hop_msg hop = {0};
    match->todo &= ~bit;
    *out = (struct fb_slot_action){.m = match->m};
    switch ((enum todo)bit) {
    case PEER_CREATE: return make(match, out, PEER);
    case EGRESS_OPEN: return make(match, out, EGRESS);
    case EGRESS_ATTACH: return attach(slot, match, out);
    case PEER_LIMIT:
    case EGRESS_LIMIT:
        hop = (struct fb_hop_msg){.type = FB_HOP_LIMIT, .bytes = FB_SLOT_QUEUE_MAX};
        return say_hop(slot, out, bit == PEER_LIMIT ? PEER : EGRESS, &hop);
    case PEER_QUEUE:
        hop = (struct fb_hop_msg){.type = FB_HOP_QUEUE, .bytes = match->queue[EGRESS]};
        return say_hop(slot, out, PEER, &hop);
    case EGRESS_QUEUE:
        hop = (struct fb_hop_msg){.type = FB_HOP_QUEUE, .bytes = match->queue[PEER]};
        return say_hop(slot, out, EGRESS, &hop);
    case PEER_BYE:
    case EGRESS_BYE:
        hop = (struct fb_hop_msg){.type = FB_HOP_FAREWELL,
                                  .farewell = match->bye[bit == PEER_BYE ? PEER : EGRESS]};
        return say_hop(slot, out, bit == PEER_BYE ? PEER : EGRESS, &hop);
    case PEER_CLOSE: out->type = FB_SLOT_PEER_CLOSE; return true;
    case EGRESS_CLOSE: out->type = FB_SLOT_EGRESS_CLOSE; return true;
    case SAY_ANSWER:
        msg.type = FB_VOL_ANSWER;
        msg.desc = match->desc;
        return say(slot, out, &msg);
    case SAY_DECLINE:
        msg.type = FB_VOL_DECLINE;
        msg.decline = FB_DECLINE_FAILED;
        return say(slot, out, &msg);
    case SAY_DONE:
        msg.type = FB_VOL_DONE;
        msg.outcome = match->outcome;
        return say(slot, out, &msg);
    }
    return false;
}

static bool poll_refused(struct fb_slot *slot, struct fb_slot_action *out) {
    struct fb_vol_msg msg = {.type = FB_VOL_DECLINE, .decline = FB_DECLINE_BUSY};
    if (slot->refused_count == 0)
        return false;
    msg.match = slot->refused[0];
    slot->refused_count--;
    memmove(slot->refused, slot->refused + 1, slot->refused_count * sizeof *slot->refused);
    slot->todo |= SAY_READY; /* the broker has used up what it was promised */
    *out = (struct fb_slot_action){0};
    return say(slot, out, &msg);
}

/* Promises what fits and is not yet promised. */
static bool say_ready(struct fb_slot *slot, struct fb_slot_action *out) {
    size_t taken = busy(slot) + slot->promised;
    size_t room = taken < slot->view.capacity ? slot->view.capacity - taken : 0;
    size_t tries = slot->promised < slot->tries ? slot->tries - slot->promised : 0;
    struct fb_vol_msg msg = {.type = FB_VOL_READY};
    slot->short_of_tries = slot->broker == WELCOME && tries < room;
    msg.free = (uint16_t)(tries < room ? tries : room);
    if (slot->broker != WELCOME || msg.free == 0)
        return false;
    slot->promised += msg.free;
    return say(slot, out, &msg);
}

static bool say_hello(struct fb_slot *slot, struct fb_slot_action *out) {
    struct fb_vol_msg msg = {.type = FB_VOL_HELLO,
                             .hello = {.version = FB_SIGNAL_VERSION,
                                       .kind = slot->config.kind,
                                       .nat = slot->config.nat,
                                       .capacity = slot->view.capacity}};
    return say(slot, out, &msg);
}

static bool poll_own(struct fb_slot *slot, struct fb_slot_action *out) {
    struct fb_vol_msg status = {.type = FB_VOL_STATUS, .carrying = slot->view.people_now};
    unsigned bit = slot->todo & (0u - slot->todo);
    slot->todo &= ~bit;
    *out = (struct fb_slot_action){0};
    switch ((enum own_todo)bit) {
    case BROKER_CLOSE: out->type = FB_SLOT_BROKER_CLOSE; return true;
    case BROKER_CONNECT: out->type = FB_SLOT_BROKER_CONNECT; return true;
    case SAY_HELLO: return say_hello(slot, out);
    case SAY_READY: return say_ready(slot, out);
    case SAY_STATUS: return slot->broker == WELCOME && say(slot, out, &status);
    case TELL_CHANGED: out->type = FB_SLOT_CHANGED; return true;
    }
    return false;
}

bool fb_slot_poll(struct fb_slot *slot, struct fb_slot_action *out) {
    EACH_MATCH(slot, match) {
        while (match->todo != 0) {
            bool given = poll_match(slot, match, out);
            reap(slot, match);
            if (given)
                return true;
        }
    }
    if (poll_refused(slot, out))
        return true;
    while (slot->todo != 0)
        if (poll_own(slot, out))
            return true;
    return false;
}

void fb_slot_view(const struct fb_slot *slot, struct fb_slot_view *out) {
    *out = slot->view;
    if (!slot->on)
        out->state = FB_SLOT_OFF;
    else if (out->people_now > 0)
        out->state = FB_SLOT_CARRYING;
    else
        out->state = slot->broker == CONNECTING || slot->broker == GREETING ? FB_SLOT_CONNECTING
                                                                            : FB_SLOT_WAITING;
}
