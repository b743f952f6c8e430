/* The lanes of a match: what the client may have, and what becomes of each. */
#include <string.h>

#include "core/slot_impl.h"

#define FIRST_NUMBER 1

void fb_slot_lane_first(struct match *match) {
    match->lanes_deadline = FB_SLOT_NEVER;
    match->working = 0;
    match->lanes_failed = 0;
    match->lanes[0] = (struct lane){
        .stage = LANE_OPENING, .number = FIRST_NUMBER, .peer = match->m, .deadline = FB_SLOT_NEVER};
}

struct match *fb_slot_lane_find(struct fb_slot *slot, uint32_t peer, size_t *index) {
    EACH_MATCH(slot, match) {
        for (size_t i = 0; match->stage != FREE && match->stage != ENDING && i < FB_LANES_MAX;
             i++) {
            if (match->lanes[i].made && match->lanes[i].peer == peer) {
                *index = i;
                return match;
            }
        }
    }
    return NULL;
}

static void set_deadline(struct match *match, size_t i, uint64_t deadline) {
    match->lanes[i].deadline = deadline;
    match->lanes_deadline = FB_SLOT_NEVER;
    for (size_t n = 0; n < FB_LANES_MAX; n++)
        if (match->lanes[n].stage != LANE_FREE && match->lanes[n].deadline < match->lanes_deadline)
            match->lanes_deadline = match->lanes[n].deadline;
}

static bool any_open(const struct match *match) {
    return match->sending.open != 0;
}

void fb_slot_lane_opened(struct match *match, size_t i, uint64_t now_ms) {
    if (match->lanes[i].stage != LANE_OPENING)
        return;
    match->lanes[i].stage = LANE_OPEN;
    set_deadline(match, i, FB_SLOT_NEVER);
    fb_lanes_open(&match->sending, i, now_ms);
}

static void tell(struct match *match, size_t i) {
    match->bye_lanes |= (uint16_t)(1u << i);
    match->todo |= LANE_BYE;
}

static void forget(struct match *match, size_t i) {
    fb_lanes_shut(&match->sending, i);
    set_deadline(match, i, FB_SLOT_NEVER);
    match->close_lanes &= (uint16_t) ~(1u << i);
    match->bye_lanes &= (uint16_t) ~(1u << i);
    match->lanes[i] = (struct lane){0};
}

/* Before its stage changes. True: the lane, now at its end, has never been open. */
static bool count_failed(struct match *match, size_t i) {
    uint8_t stage = match->lanes[i].stage;
    bool failed = stage == LANE_DESCRIBING || stage == LANE_OPENING;
    match->lanes_failed += failed;
    return failed;
}

bool fb_slot_lane_closed(struct match *match, size_t i) {
    uint16_t number = match->lanes[i].number;
    bool failed = count_failed(match, i);
    forget(match, i);
    if (!any_open(match))
        return false;
    if (failed && (match->todo & LANE_REFUSE) == 0) {
        match->refused = number;
        match->todo |= LANE_REFUSE;
    }
    return true;
}

bool fb_slot_lane_drop(struct match *match, size_t i) {
    fb_lanes_shut(&match->sending, i);
    (void)count_failed(match, i);
    match->lanes[i].stage = LANE_CLOSING;
    set_deadline(match, i, FB_SLOT_NEVER);
    match->close_lanes |= (uint16_t)(1u << i);
    match->todo |= PEER_CLOSE;
    tell(match, i);
    return any_open(match);
}

void fb_slot_own_desc(const struct fb_slot *slot, struct match *match, const struct fb_desc *desc) {
    match->work = *desc;
    if (slot->config.kind != FB_VOLUNTEER_HEADLESS)
        fb_desc_hide(&match->work); /* first: they would displace others */
    fb_desc_filter(&match->work, slot->config.local);
}

void fb_slot_lane_described(const struct fb_slot *slot, struct match *match, size_t i,
                            const struct fb_desc *desc, uint64_t now_ms) {
    if (match->lanes[i].stage != LANE_DESCRIBING)
        return;
    if (!fb_desc_valid(desc) || desc->setup != FB_SETUP_ACTIVE ||
        (match->todo & (PEER_CREATE | LANE_ANSWER)) != 0) {
        fb_slot_lane_drop(match, i);
        return;
    }
    match->lanes[i].stage = LANE_OPENING;
    fb_slot_own_desc(slot, match, desc);
    match->working = (uint8_t)i;
    match->todo |= LANE_ANSWER;
}

/* ---- What the client asks for ---- */

/* A client that offers and closes without end would have this volunteer knock at an address that
 * its first offer named, and make certificates for nothing. */
static bool may_try(struct match *match, uint64_t now_ms) {
    uint64_t more = (now_ms - match->lane_tries_ms) / FB_SLOT_LANE_TRY_MS;
    match->lane_tries_ms += more * FB_SLOT_LANE_TRY_MS;
    match->lane_tries -= (uint32_t)(more < match->lane_tries ? more : match->lane_tries);
    return match->lane_tries++ < FB_SLOT_LANE_TRIES;
}

static struct lane *by_number(struct match *match, uint16_t number) {
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        if (match->lanes[i].stage != LANE_FREE && match->lanes[i].number == number)
            return &match->lanes[i];
    return NULL;
}

/* Those beyond the first of each match. */
static size_t lanes_in_all(struct fb_slot *slot) {
    size_t count = 0;
    EACH_MATCH(slot, match) {
        for (size_t i = 1; i < FB_LANES_MAX; i++)
            count += match->lanes[i].stage != LANE_FREE;
    }
    return count;
}

/* What never opens may knock at a third party: a client that forwards an address of its own choice
 * as its second candidate could otherwise name port after port there, for as long as the match
 * lives. Refused, and no breach: an honest client's network may let no further lane through. */
static bool may_have(struct fb_slot *slot, const struct match *match, uint64_t now_ms) {
    fb_slot_top_up_tries(slot, now_ms);
    return match->stage == CARRYING && (match->todo & (PEER_CREATE | LANE_ANSWER)) == 0 &&
           match->lanes_failed < FB_SLOT_LANES_FAILED_MAX && slot->tries > FB_SLOT_TRIES_KEPT &&
           lanes_in_all(slot) < FB_SLOT_LANES_MAX;
}

static void begin(struct fb_slot *slot, struct match *match, size_t i, const struct fb_hop_msg *msg,
                  uint64_t now_ms) {
    slot->tries--;
    match->lanes[i] = (struct lane){
        .stage = LANE_DESCRIBING, .number = msg->lane, .peer = ++slot->last_m};
    set_deadline(match, i, now_ms + FB_SLOT_LANE_MS);
    match->work = msg->desc;
    fb_desc_filter(&match->work, slot->config.local);
    fb_desc_confine(&match->work, &match->offer);
    match->working = (uint8_t)i;
    match->todo |= PEER_CREATE;
}

static bool offered(struct fb_slot *slot, struct match *match, const struct fb_hop_msg *msg,
                    uint64_t now_ms) {
    size_t i = 0;
    if (by_number(match, msg->lane) != NULL)
        return false;
    while (i < FB_LANES_MAX && match->lanes[i].stage != LANE_FREE)
        i++;
    if (i < FB_LANES_MAX && may_have(slot, match, now_ms)) {
        begin(slot, match, i, msg, now_ms);
    } else {
        match->refused = msg->lane;
        match->todo |= LANE_REFUSE;
    }
    return true;
}

/* The client closes its end when what it has sent has arrived; until then nothing more is sent on
 * the lane from here. False: it has said so before. */
static bool closed_by_client(struct match *match, uint16_t number, uint64_t now_ms) {
    struct lane *lane = by_number(match, number);
    if (lane == NULL)
        return true; /* closed from both sides at once */
    size_t i = (size_t)(lane - match->lanes);
    if (lane->stage == LANE_CLOSING)
        return (match->close_lanes >> i & 1) != 0;
    fb_lanes_shut(&match->sending, i);
    (void)count_failed(match, i);
    lane->stage = LANE_CLOSING;
    set_deadline(match, i, now_ms + FB_SLOT_LANE_MS);
    return any_open(match);
}

bool fb_slot_lane_hop(struct fb_slot *slot, struct match *match, const struct fb_hop_msg *msg,
                      uint64_t now_ms) {
    if (!may_try(match, now_ms))
        return false;
    return msg->type == FB_HOP_LANE_OFFER ? offered(slot, match, msg, now_ms)
                                          : closed_by_client(match, msg->lane, now_ms);
}

void fb_slot_lane_tick(struct match *match, uint64_t now_ms) {
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        if (match->lanes[i].stage != LANE_FREE && match->lanes[i].deadline <= now_ms)
            fb_slot_lane_drop(match, i);
}
