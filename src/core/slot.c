#include "core/slot.h"

#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/slot_impl.h"

uint16_t fb_slot_capacity(uint16_t asked) {
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
    slot->view.capacity = fb_slot_capacity(config->capacity);
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

struct match *fb_slot_find(struct fb_slot *slot, uint32_t m) {
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

static void close_all_lanes(struct match *match) {
    match->close_lanes = match->bye_lanes = 0;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        match->close_lanes |= (uint16_t)((unsigned)match->lanes[i].made << i);
    if (match->close_lanes != 0)
        match->todo |= PEER_CLOSE | (match->open[PEER] ? PEER_BYE : 0);
}

void fb_slot_end(struct fb_slot *slot, struct match *match, enum fb_farewell bye,
                 enum fb_outcome outcome) {
    unsigned say = match->stage == DESCRIBING ? SAY_DECLINE : SAY_DONE;
    if (match->stage == CARRYING) {
        slot->view.people_now--;
        slot->view.last_close = bye;
    }
    if (match->carried && slot->tries < FB_SLOT_TRIES)
        slot->tries++;
    match->todo = match->at_broker ? say : 0;
    close_all_lanes(match);
    if (match->made_egress)
        match->todo |= EGRESS_CLOSE |
                       (match->open[EGRESS] && match->stage >= OPENING ? EGRESS_BYE : 0);
    match->bye[PEER] = match->bye[EGRESS] = bye;
    match->outcome = match->carried ? FB_OUTCOME_CARRIED : outcome;
    match->stage = ENDING;
    match->deadline = match->lanes_deadline = FB_SLOT_NEVER;
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
            fb_slot_end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_STOPPED);
        reap(slot, match);
    }
    if (slot->active)
        retry_later(slot, now_ms);
}

static void broker_connect(struct fb_slot *slot, uint64_t now_ms) {
    slot->broker = CONNECTING;
    slot->broker_deadline = now_ms + FB_SLOT_WELCOME_MS;
    slot->view.retry_ms = FB_SLOT_NEVER;
    slot->todo |= BROKER_CONNECT | TELL_CHANGED;
}

/* This side gives the socket up: it broke the rules or said nothing. */
static void broker_drop(struct fb_slot *slot, enum fb_slot_trouble trouble, uint64_t now_ms) {
    fb_slot_trouble(slot, trouble);
    broker_lost(slot, now_ms);
    slot->todo |= BROKER_CLOSE;
}

void fb_slot_trouble(struct fb_slot *slot, enum fb_slot_trouble trouble) {
    if (slot->view.trouble != trouble)
        slot->todo |= TELL_CHANGED;
    slot->view.trouble = trouble;
}

static void stop(struct fb_slot *slot, uint64_t now_ms) {
    EACH_MATCH(slot, match) {
        if (live(match))
            fb_slot_end(slot, match, FB_FAREWELL_OFF, FB_OUTCOME_STOPPED);
    }
    bool was_up = slot->broker != DOWN;
    broker_lost(slot, now_ms);
    slot->view.retry_ms = FB_SLOT_NEVER;
    if (was_up)
        slot->todo |= BROKER_CLOSE;
}

void fb_slot_reconsider(struct fb_slot *slot, uint64_t now_ms) {
    unsigned paused = fb_slot_paused(slot, now_ms);
    bool active = slot->on && paused == 0;
    if (paused != slot->view.paused)
        slot->todo |= TELL_CHANGED;
    slot->view.paused = paused;
    if (active == slot->active)
        return;
    slot->active = active;
    slot->todo |= TELL_CHANGED;
    if (active)
        broker_connect(slot, now_ms);
    else
        stop(slot, now_ms);
}

void fb_slot_switch(struct fb_slot *slot, bool on, uint64_t now_ms) {
    if (slot->on == on)
        return;
    slot->on = on;
    slot->failures = 0;
    slot->todo |= TELL_CHANGED;
    fb_slot_reconsider(slot, now_ms);
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

void fb_slot_broker_closed(struct fb_slot *slot, unsigned code, uint64_t now_ms) {
    if (slot->broker == DOWN)
        return;
    if (code == FB_SLOT_CODE_VERSION)
        fb_slot_trouble(slot, FB_TROUBLE_VERSION);
    else if (code == FB_SLOT_CODE_TOO_BIG)
        fb_slot_trouble(slot, FB_TROUBLE_OVERSIZED);
    else if (slot->broker != WELCOME) /* a broker that is only restarted is no trouble */
        fb_slot_trouble(slot, FB_TROUBLE_UNREACHABLE);
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

void fb_slot_top_up_tries(struct fb_slot *slot, uint64_t now_ms) {
    uint64_t more = (now_ms - slot->tries_ms) / FB_SLOT_TRY_MS, room = FB_SLOT_TRIES - slot->tries;
    if (room == 0) {
        slot->tries_ms = now_ms;
    } else {
        slot->tries_ms += more * FB_SLOT_TRY_MS;
        slot->tries += (unsigned)(more < room ? more : room);
    }
}

/* This and the next: what the broker did wrong, so that its socket is closed. */
static enum fb_slot_trouble got_offer(struct fb_slot *slot, const struct fb_vol_msg *msg,
                                      uint64_t now_ms) {
    struct match *free_one = NULL;
    if (find_broker_id(slot, msg->match) != NULL || msg->desc.setup != FB_SETUP_ACTPASS)
        return FB_TROUBLE_GARBAGE;
    if (slot->promised == 0)
        fb_slot_trouble(slot, FB_TROUBLE_FLOOD);
    slot->promised -= slot->promised > 0;
    fb_slot_top_up_tries(slot, now_ms);
    EACH_MATCH(slot, match) {
        if (match->stage == FREE)
            free_one = match;
    }
    if (free_one == NULL || busy(slot) >= slot->view.capacity || slot->tries == 0) {
        if (slot->refused_count == REFUSED_MAX)
            return FB_TROUBLE_FLOOD;
        slot->refused[slot->refused_count++] = msg->match;
        return FB_TROUBLE_NONE;
    }
    slot->tries--;
    free_one->stage = DESCRIBING;
    free_one->m = ++slot->last_m;
    free_one->at_broker = true;
    free_one->broker_id = msg->match;
    free_one->deadline = now_ms + FB_SLOT_DESCRIBE_MS;
    free_one->offer = msg->desc;
    fb_desc_filter(&free_one->offer, slot->config.local);
    free_one->work = free_one->offer;
    memcpy(free_one->country, msg->country, sizeof free_one->country);
    fb_slot_lane_first(free_one);
    free_one->todo = PEER_CREATE;
    return FB_TROUBLE_NONE;
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

static void attach_soon(struct fb_slot *slot, struct match *match) {
    match->todo |= EGRESS_ATTACH;
    hop_opened(slot, match);
}

static enum fb_slot_trouble got_release(struct fb_slot *slot, const struct fb_vol_msg *msg,
                                        uint64_t now_ms) {
    struct match *match = find_broker_id(slot, msg->match);
    if (match == NULL)
        return FB_TROUBLE_NONE; /* it ended meanwhile */
    if (match->stage != ANSWERED)
        return FB_TROUBLE_GARBAGE;
    for (size_t i = 0; i < slot->config.egress_count; i++) {
        if (memcmp(slot->config.egress[i], msg->release.egress, FB_EGRESS_ID_LEN) == 0) {
            match->stage = OPENING;
            match->deadline = now_ms + FB_SLOT_OPEN_MS;
            match->release = msg->release;
            match->egress = (uint32_t)i;
            if (!match->open[EGRESS])
                match->todo |= match->made_egress ? 0 : EGRESS_OPEN;
            else
                attach_soon(slot, match);
            return FB_TROUBLE_NONE;
        }
    }
    fb_slot_trouble(slot, FB_TROUBLE_EGRESS);
    fb_slot_end(slot, match, FB_FAREWELL_EGRESS, FB_OUTCOME_EGRESS_FAILED);
    return FB_TROUBLE_NONE;
}

static void got_cancel(struct fb_slot *slot, uint64_t id) {
    struct match *match = find_broker_id(slot, id);
    if (match == NULL || match->stage >= OPENING)
        return; /* once released, a path is the client's and the egress's business */
    match->at_broker = false;
    fb_slot_end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_STOPPED);
}

static enum fb_slot_trouble got_message(struct fb_slot *slot, const struct fb_vol_msg *msg,
                                        uint64_t now_ms) {
    if (msg->type == FB_VOL_WELCOME && slot->broker == GREETING) {
        got_welcome(slot, &msg->welcome, now_ms);
        return FB_TROUBLE_NONE;
    }
    if (slot->broker != WELCOME)
        return FB_TROUBLE_GARBAGE;
    switch (msg->type) {
    case FB_VOL_OFFER: return got_offer(slot, msg, now_ms);
    case FB_VOL_RELEASE: return got_release(slot, msg, now_ms);
    case FB_VOL_CANCEL: got_cancel(slot, msg->match); return FB_TROUBLE_NONE;
    default: return FB_TROUBLE_GARBAGE;
    }
}

void fb_slot_broker_message(struct fb_slot *slot, const uint8_t *bytes, size_t len,
                            uint64_t now_ms) {
    struct fb_vol_msg msg;
    if (slot->broker != GREETING && slot->broker != WELCOME)
        return;
    slot->view.used += len;
    int err = fb_vol_decode(&msg, bytes, len);
    enum fb_slot_trouble trouble = len > FB_VOL_MAX        ? FB_TROUBLE_OVERSIZED
                                   : err == FB_ERR_VERSION ? FB_TROUBLE_VERSION
                                   : err != 0              ? FB_TROUBLE_GARBAGE
                                                           : got_message(slot, &msg, now_ms);
    if (trouble != FB_TROUBLE_NONE)
        broker_drop(slot, trouble, now_ms);
    fb_wipe(&msg, sizeof msg); /* tickets */
}

/* ---- Hops ---- */

static void match_described(struct fb_slot *slot, struct match *match, const struct fb_desc *desc,
                            uint64_t now_ms) {
    /* The reader's DTLS stack waits for a browser's ClientHello (DESIGN section 2). */
    if (!fb_desc_valid(desc) || desc->setup != FB_SETUP_ACTIVE) {
        fb_slot_end(slot, match, FB_FAREWELL_PEER, FB_OUTCOME_PEER_FAILED);
        return;
    }
    match->stage = ANSWERED;
    match->deadline = now_ms + FB_SLOT_RELEASE_MS;
    fb_slot_own_desc(slot, match, desc);
    match->todo |= SAY_ANSWER;
    if (slot->config.egress_count == 1) /* it can be no other: one round trip won */
        match->todo |= EGRESS_OPEN;
}

void fb_slot_peer_described(struct fb_slot *slot, uint32_t peer, const struct fb_desc *desc,
                            uint64_t now_ms) {
    size_t i;
    struct match *match = fb_slot_lane_find(slot, peer, &i);
    if (match == NULL)
        return;
    if (match->stage == DESCRIBING)
        match_described(slot, match, desc, now_ms);
    else
        fb_slot_lane_described(slot, match, i, desc, now_ms);
}

void fb_slot_peer_open(struct fb_slot *slot, uint32_t peer, uint64_t now_ms) {
    size_t i;
    struct match *match = fb_slot_lane_find(slot, peer, &i);
    if (match == NULL || match->stage == DESCRIBING)
        return;
    match->open[PEER] = true;
    fb_slot_lane_opened(match, i, now_ms);
    hop_opened(slot, match);
}

void fb_slot_egress_open(struct fb_slot *slot, uint32_t m, uint64_t now_ms) {
    struct match *match = fb_slot_find(slot, m);
    if (match == NULL || !match->made_egress || match->open[EGRESS])
        return;
    match->open[EGRESS] = true;
    if (match->stage == OPENING)
        attach_soon(slot, match);
}

void fb_slot_peer_closed(struct fb_slot *slot, uint32_t peer, uint64_t now_ms) {
    size_t i;
    struct match *match = fb_slot_lane_find(slot, peer, &i);
    if (match == NULL || fb_slot_lane_closed(match, i))
        return;
    match->open[PEER] = false;
    fb_slot_end(slot, match, FB_FAREWELL_PEER, FB_OUTCOME_PEER_FAILED);
}

void fb_slot_egress_closed(struct fb_slot *slot, uint32_t m, uint64_t now_ms) {
    struct match *match = fb_slot_find(slot, m);
    if (match == NULL)
        return;
    match->made_egress = match->open[EGRESS] = false;
    if (match->stage == ANSWERED)
        return; /* once released, it is opened again */
    fb_slot_end(slot, match, FB_FAREWELL_EGRESS, FB_OUTCOME_EGRESS_FAILED);
}

/* ---- Time ---- */

static void overdue(struct fb_slot *slot, struct match *match) {
    switch (match->stage) {
    case DESCRIBING: fb_slot_end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_PEER_FAILED); break;
    case ANSWERED:
        fb_slot_trouble(slot, FB_TROUBLE_SILENT);
        fb_slot_end(slot, match, FB_FAREWELL_TIMEOUT, FB_OUTCOME_STOPPED);
        break;
    default: /* OPENING */
        fb_slot_end(slot, match, FB_FAREWELL_TIMEOUT,
                    match->open[PEER] ? FB_OUTCOME_EGRESS_FAILED : FB_OUTCOME_PEER_FAILED);
    }
}

void fb_slot_tick(struct fb_slot *slot, uint64_t now_ms) {
    slot->now_ms = now_ms;
    fb_slot_reconsider(slot, now_ms);
    EACH_MATCH(slot, match) {
        if (live(match) && match->lanes_deadline <= now_ms)
            fb_slot_lane_tick(match, now_ms);
        if (live(match) && match->deadline <= now_ms)
            overdue(slot, match);
    }
    if (slot->short_of_tries && slot->tries_ms + FB_SLOT_TRY_MS <= now_ms) {
        fb_slot_top_up_tries(slot, now_ms);
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
    case CONNECTING: broker_drop(slot, FB_TROUBLE_UNREACHABLE, now_ms); break;
    case GREETING: broker_drop(slot, FB_TROUBLE_SILENT, now_ms); break;
    }
}

uint64_t fb_slot_deadline(const struct fb_slot *slot) {
    uint64_t first = slot->broker_deadline,
             others[] = {fb_slot_hours_deadline(slot), fb_slot_next_deadline(slot)};
    for (size_t i = 0; i < 2; i++)
        if (others[i] < first)
            first = others[i];
    for (size_t i = 0; i < FB_SLOT_CAPACITY_MAX; i++) {
        const struct match *match = &slot->matches[i];
        if (match->stage != FREE && match->deadline < first)
            first = match->deadline;
        if (match->stage != FREE && match->lanes_deadline < first)
            first = match->lanes_deadline;
    }
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
    slot->view.used += len > 0 ? (size_t)len : 0;
    return len > 0;
}

static bool say(struct fb_slot *slot, struct fb_slot_action *out, const struct fb_vol_msg *msg) {
    return give_bytes(slot, out, FB_SLOT_BROKER_SEND,
                      fb_vol_encode(msg, slot->out, sizeof slot->out));
}

/* To the client: on any lane, the emptiest as far as is known. */
static bool say_hop(struct fb_slot *slot, const struct match *match, struct fb_slot_action *out,
                    enum hop to, const struct fb_hop_msg *msg) {
    int lane = to == PEER ? fb_lanes_least(&match->sending) : 0;
    if (lane < 0)
        return false;
    out->lane = (uint32_t)lane;
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

static bool make_peer(struct match *match, struct fb_slot_action *out) {
    struct lane *lane = &match->lanes[match->working];
    lane->made = true;
    out->type = FB_SLOT_PEER_CREATE;
    out->peer = lane->peer;
    out->lane = match->working;
    out->desc = &match->work;
    return true;
}

static bool open_egress(struct match *match, struct fb_slot_action *out) {
    match->made_egress = true;
    out->type = FB_SLOT_EGRESS_OPEN;
    out->egress = match->egress;
    return true;
}

/* The lowest lane of the set leaves it; the bit of todo stays while others are left. NULL: none. */
static struct lane *next_lane(struct match *match, uint16_t *set, enum todo bit) {
    size_t i = 0;
    while (i < FB_LANES_MAX && (*set >> i & 1) == 0)
        i++;
    if (i == FB_LANES_MAX) /* closed from the other side meanwhile */
        return NULL;
    *set &= (uint16_t) ~(1u << i);
    if (*set != 0)
        match->todo |= bit;
    return &match->lanes[i];
}

static bool close_peer(struct match *match, struct fb_slot_action *out) {
    struct lane *lane = next_lane(match, &match->close_lanes, PEER_CLOSE);
    if (lane == NULL)
        return false;
    out->type = FB_SLOT_PEER_CLOSE;
    out->peer = lane->peer;
    out->lane = (uint32_t)(lane - match->lanes);
    *lane = (struct lane){0};
    return true;
}

/* What is said to a neighbour by hop control. */
static bool poll_hop(struct fb_slot *slot, struct match *match, enum todo bit,
                     struct fb_slot_action *out) {
    enum hop to = (bit & (EGRESS_LIMIT | EGRESS_QUEUE | EGRESS_BYE)) != 0 ? EGRESS : PEER;
    struct fb_hop_msg msg = {.type = FB_HOP_FAREWELL, .farewell = match->bye[to]};
    const struct lane *lane = &match->lanes[match->working];
    switch (bit) {
    case PEER_LIMIT:
    case EGRESS_LIMIT:
        msg = (struct fb_hop_msg){.type = FB_HOP_LIMIT, .bytes = FB_SLOT_QUEUE_MAX};
        break;
    case PEER_QUEUE:
    case EGRESS_QUEUE:
        msg = (struct fb_hop_msg){.type = FB_HOP_QUEUE,
                                  .bytes = match->queue[to == PEER ? EGRESS : PEER]};
        break;
    case LANE_ANSWER:
        msg = (struct fb_hop_msg){
            .type = FB_HOP_LANE_ANSWER, .lane = lane->number, .desc = match->work};
        break;
    case LANE_REFUSE:
        msg = (struct fb_hop_msg){.type = FB_HOP_LANE_CLOSE, .lane = match->refused};
        break;
    case LANE_BYE:
        lane = next_lane(match, &match->bye_lanes, LANE_BYE);
        if (lane == NULL)
            return false;
        msg = (struct fb_hop_msg){.type = FB_HOP_LANE_CLOSE, .lane = lane->number};
        break;
    case SAY_FULL: msg = (struct fb_hop_msg){.type = FB_HOP_FULL}; break;
    default: break; /* FAREWELL */
    }
    return say_hop(slot, match, out, to, &msg);
}

static bool poll_match(struct fb_slot *slot, struct match *match, struct fb_slot_action *out) {
    unsigned bit = match->todo & (0u - match->todo); /* the lowest */
    struct fb_vol_msg msg = {.match = match->broker_id};
    match->todo &= ~bit;
    *out = (struct fb_slot_action){.m = match->m};
    switch ((enum todo)bit) {
    case PEER_CREATE: return make_peer(match, out);
    case EGRESS_OPEN: return open_egress(match, out);
    case EGRESS_ATTACH: return attach(slot, match, out);
    case PEER_CLOSE: return close_peer(match, out);
    case EGRESS_CLOSE: out->type = FB_SLOT_EGRESS_CLOSE; return true;
    case SAY_ANSWER:
        msg.type = FB_VOL_ANSWER;
        msg.desc = match->work;
        return say(slot, out, &msg);
    case SAY_DECLINE:
        msg.type = FB_VOL_DECLINE;
        msg.decline = FB_DECLINE_FAILED;
        return say(slot, out, &msg);
    case SAY_DONE:
        msg.type = FB_VOL_DONE;
        msg.outcome = match->outcome;
        return say(slot, out, &msg);
    default: return poll_hop(slot, match, (enum todo)bit, out);
    }
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
    return fb_slot_poll_next(slot, out);
}

void fb_slot_view(const struct fb_slot *slot, struct fb_slot_view *out) {
    *out = slot->view;
    if (!slot->on)
        out->state = FB_SLOT_OFF, out->paused = 0;
    else if (out->paused != 0)
        out->state = FB_SLOT_PAUSED;
    else if (out->people_now > 0)
        out->state = FB_SLOT_CARRYING;
    else
        out->state = slot->broker == CONNECTING || slot->broker == GREETING ? FB_SLOT_CONNECTING
                                                                            : FB_SLOT_WAITING;
}

size_t fb_slot_people(const struct fb_slot *slot, struct fb_slot_person out[FB_SLOT_CAPACITY_MAX]) {
    size_t count = 0;
    for (size_t i = 0; i < FB_SLOT_CAPACITY_MAX; i++) {
        const struct match *match = &slot->matches[i];
        if (match->stage != CARRYING)
            continue;
        out[count].id = match->m;
        memcpy(out[count++].country, match->country, sizeof match->country);
    }
    return count;
}
