/* What passes between a match's two hops, and what waits. */
#include "core/slot_impl.h"

/* So long after something had to wait, the speed limit is what bounds the paths. */
#define LIMITED_MS 1000

enum fb_relay fb_relay_kind(uint8_t first_byte, bool from_client) {
    switch (first_byte) {
    case FB_KIND_SESSION: return FB_RELAY_PASS;
    case FB_KIND_HOP: return FB_RELAY_HOP;
    default: return FB_RELAY_DROP; /* ATTACH is this side's alone to send */
    }
}

static enum fb_relay give_up(struct fb_slot *slot, struct match *match, enum fb_farewell bye) {
    fb_slot_end(slot, match, bye, FB_OUTCOME_STOPPED);
    return FB_RELAY_DROP;
}

/* ---- Queues ---- */

/* In the send buffers of a hop, and before them. */
static size_t queue_of(const struct match *match, enum hop to, const uint32_t *queued) {
    size_t sum = to == EGRESS ? queued[0] : fb_lanes_held(&match->sending, queued);
    return sum + match->wait[to].bytes;
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

void fb_slot_drained(struct fb_slot *slot, uint32_t m, bool to_client, const uint32_t *queued,
                     uint64_t now_ms) {
    struct match *match = fb_slot_find(slot, m);
    enum hop to = to_client ? PEER : EGRESS;
    if (match != NULL)
        report_queue(match, to, queue_of(match, to, queued));
}

/* ---- Turns: start-time fair queueing (Goyal, Vin, Cheng 1996), of readers, and of the two
 *      directions of each ---- */

/* The index of the one whose turn it is; FB_SLOT_CAPACITY_MAX: nothing waits that could go but for
 * the speed limit. */
static size_t next_match(const struct fb_slot *slot) {
    size_t next = FB_SLOT_CAPACITY_MAX;
    for (size_t i = 0; i < FB_SLOT_CAPACITY_MAX; i++) {
        const struct match *match = &slot->matches[i];
        if (match->stage == CARRYING && match->wait[EGRESS].count + match->wait[PEER].count > 0 &&
            (next == FB_SLOT_CAPACITY_MAX || match->tag < slot->matches[next].tag))
            next = i;
    }
    return next;
}

static bool some_wait(const struct fb_slot *slot) {
    return next_match(slot) < FB_SLOT_CAPACITY_MAX;
}

/* Who has nothing waiting has not saved up turns. */
static void line_up(struct fb_slot *slot, struct match *match, enum hop to) {
    struct wait *wait = &match->wait[to];
    if (wait->count > 0)
        return;
    if (match->wait[1 - to].count == 0 && match->tag < slot->turn)
        match->tag = slot->turn;
    if (wait->tag < match->turn)
        wait->tag = match->turn;
}

bool fb_slot_poll_next(struct fb_slot *slot, struct fb_slot_action *out) {
    if (!fb_slot_rate_allows(slot) || !some_wait(slot))
        return false;
    struct match *match = &slot->matches[next_match(slot)];
    const struct wait *up = &match->wait[EGRESS], *down = &match->wait[PEER];
    enum hop to = up->count == 0 || (down->count > 0 && down->tag < up->tag) ? PEER : EGRESS;
    match->wait[to].count--;
    *out = (struct fb_slot_action){
        .type = FB_SLOT_NEXT, .m = match->m, .from_client = to == EGRESS};
    return true;
}

uint64_t fb_slot_next_deadline(const struct fb_slot *slot) {
    return some_wait(slot) ? (slot->paid_us + 999) / 1000 : FB_SLOT_NEVER;
}

/* ---- Messages ---- */

/* Towards the client: the lane; and one that has stalled is given up. */
static void choose_lane(struct fb_slot *slot, struct match *match, size_t len,
                        const uint32_t *queued, uint32_t *lane, uint64_t now_ms) {
    *lane = (uint32_t)fb_lanes_pick(&match->sending, queued, len, now_ms);
    int stalled = fb_lanes_stalled(&match->sending, now_ms);
    if (stalled >= 0 && stalled != (int)*lane)
        fb_slot_lane_drop(match, (size_t)stalled);
}

static enum fb_relay pass(struct fb_slot *slot, struct match *match, enum hop to, size_t len,
                          const uint32_t *queued, uint32_t *lane, uint64_t now_ms) {
    struct wait *wait = &match->wait[to];
    slot->turn = match->tag;
    match->turn = wait->tag;
    match->tag += len;
    wait->tag += len;
    fb_slot_rate_charge(slot, len);
    slot->view.used += len;
    if (to == PEER) {
        choose_lane(slot, match, len, queued, lane, now_ms);
        slot->view.bytes_down += len;
    } else {
        slot->view.bytes_up += len;
    }
    return FB_RELAY_PASS;
}

/* A message for the session's other end. */
static enum fb_relay take(struct fb_slot *slot, struct match *match, enum hop to, size_t len,
                          const uint32_t *queued, uint32_t *lane, uint64_t now_ms) {
    size_t sum = queue_of(match, to, queued) + len;
    bool carrying = match->stage == CARRYING;
    if (sum > (carrying ? FB_SLOT_QUEUE_MAX : FB_SLOT_HOLD_MAX))
        return give_up(slot, match, FB_FAREWELL_QUEUE);
    report_queue(match, to, sum);
    line_up(slot, match, to);
    if (carrying && fb_slot_rate_allows(slot) && !some_wait(slot))
        return pass(slot, match, to, len, queued, lane, now_ms);
    match->wait[to].count++;
    match->wait[to].bytes += len;
    slot->waited_ms = now_ms;
    return FB_RELAY_WAIT;
}

enum fb_relay fb_slot_relay(struct fb_slot *slot, uint32_t m, bool from_client, uint8_t first_byte,
                            size_t len, const uint32_t *queued, uint32_t *lane, uint64_t now_ms) {
    *lane = 0;
    slot->now_ms = now_ms;
    slot->view.used += len;
    if (fb_slot_used_up(slot))
        fb_slot_reconsider(slot, now_ms);
    struct match *match = fb_slot_find(slot, m);
    if (match == NULL)
        return FB_RELAY_DROP;
    if (len > FB_MESSAGE_MAX)
        fb_slot_trouble(slot, FB_TROUBLE_OVERSIZED);
    if (len == 0 || len > FB_MESSAGE_MAX)
        return give_up(slot, match, FB_FAREWELL_PROTOCOL);
    enum fb_relay relay = fb_relay_kind(first_byte, from_client);
    return relay != FB_RELAY_PASS
               ? relay
               : take(slot, match, from_client ? EGRESS : PEER, len, queued, lane, now_ms);
}

enum fb_relay fb_slot_next(struct fb_slot *slot, uint32_t m, bool from_client, size_t len,
                           const uint32_t *queued, uint32_t *lane, uint64_t now_ms) {
    enum hop to = from_client ? EGRESS : PEER;
    struct match *match = fb_slot_find(slot, m);
    *lane = 0;
    slot->now_ms = now_ms;
    if (match == NULL)
        return FB_RELAY_DROP;
    match->wait[to].bytes -= len < match->wait[to].bytes ? len : match->wait[to].bytes;
    report_queue(match, to, queue_of(match, to, queued) + len);
    return pass(slot, match, to, len, queued, lane, now_ms);
}

/* ---- Hop control ---- */

static void take_farewell(struct fb_slot *slot, struct match *match, bool from_client,
                          enum fb_farewell said) {
    enum fb_farewell why = from_client ? FB_FAREWELL_PEER : FB_FAREWELL_EGRESS;
    if (!from_client && said == FB_FAREWELL_DENIED)
        why = FB_FAREWELL_DENIED; /* the client can do something about that */
    fb_slot_end(slot, match, why, from_client ? FB_OUTCOME_STOPPED : FB_OUTCOME_EGRESS_FAILED);
    match->todo &= ~(unsigned)(from_client ? PEER_BYE : EGRESS_BYE);
}

/* False: this neighbour must not say that. */
static bool take_hop(struct fb_slot *slot, struct match *match, bool from_client,
                     const struct fb_hop_msg *msg, uint64_t now_ms) {
    switch (msg->type) {
    case FB_HOP_FAREWELL: take_farewell(slot, match, from_client, msg->farewell); return true;
    case FB_HOP_FULL:
        /* What is full by this side's own choice, more lanes do not help. */
        if (match->stage == CARRYING &&
            (slot->limits.rate == 0 || now_ms - slot->waited_ms > LIMITED_MS))
            match->todo |= SAY_FULL;
        return !from_client;
    case FB_HOP_LANE_OFFER:
    case FB_HOP_LANE_CLOSE: return from_client && fb_slot_lane_hop(slot, match, msg, now_ms);
    case FB_HOP_LANE_ANSWER: return false;
    default: return true;
    }
}

void fb_slot_hop(struct fb_slot *slot, uint32_t m, bool from_client, const uint8_t *bytes,
                 size_t len, uint64_t now_ms) {
    struct match *match = fb_slot_find(slot, m);
    struct fb_hop_msg msg;
    if (match == NULL)
        return;
    if (fb_hop_decode(&msg, bytes, len) != 0 || !take_hop(slot, match, from_client, &msg, now_ms))
        fb_slot_end(slot, match, FB_FAREWELL_PROTOCOL, FB_OUTCOME_STOPPED);
}
