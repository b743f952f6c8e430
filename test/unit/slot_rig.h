/* What the tests of core/slot share: a slot with its surroundings, and what they say and expect. */
#ifndef FB_TEST_SLOT_RIG_H
#define FB_TEST_SLOT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/slot.h"
#include "env.h"

static struct test_mem counted;
static struct fb_mem mem;
static uint64_t seed;
static struct fb_rng rng;
static const uint8_t egress_ids[2][FB_EGRESS_ID_LEN] = {{0xe0}, {0xe1}};

/* In a network of so many egresses, of egress_ids. */
static inline struct fb_slot *make_for(uint16_t capacity, size_t egresses) {
    struct fb_slot_config config = {.kind = FB_VOLUNTEER_BROWSER,
                                    .nat = FB_NAT_EASY,
                                    .capacity = capacity,
                                    .egress_count = egresses};
    memcpy(config.egress, egress_ids, sizeof egress_ids);
    counted = (struct test_mem){0};
    seed = 7;
    mem = test_mem_make(&counted);
    rng = test_rng_make(&seed);
    struct fb_slot *slot = fb_slot_new(&mem, &rng, &config);
    assert_non_null(slot);
    return slot;
}

static inline struct fb_slot *make(uint16_t capacity) {
    return make_for(capacity, 2);
}

static inline void done(struct fb_slot *slot) {
    fb_slot_free(slot);
    assert_true(counted.live == 0);
}

static inline struct fb_desc desc_of(enum fb_setup setup) {
    struct fb_desc desc = {.ufrag = "aJXQ",
                           .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0",
                           .setup = setup,
                           .sctp_port = 5000,
                           .max_message_size = 262144,
                           .candidate_count = 2};
    desc.candidates[0].type = FB_CAND_SRFLX;
    desc.candidates[0].addr = (struct fb_addr){.family = 4, .ip = {8, 8, 4, 4}, .port = 40000};
    desc.candidates[1].addr = (struct fb_addr){.family = 4, .ip = {10, 0, 0, 1}, .port = 40000};
    return desc;
}

/* The next action, CHANGED aside, is of that type. */
static inline struct fb_slot_action expect(struct fb_slot *slot, enum fb_slot_action_type type) {
    struct fb_slot_action action;
    do
        assert_true(fb_slot_poll(slot, &action));
    while (action.type == FB_SLOT_CHANGED);
    assert_int_equal(action.type, type);
    return action;
}

static inline void expect_nothing(struct fb_slot *slot) {
    struct fb_slot_action action;
    while (fb_slot_poll(slot, &action))
        assert_int_equal(action.type, FB_SLOT_CHANGED);
}

/* The next action sends the broker a message of that type. */
static inline struct fb_vol_msg expect_said(struct fb_slot *slot, enum fb_vol_type type) {
    struct fb_slot_action action = expect(slot, FB_SLOT_BROKER_SEND);
    struct fb_vol_msg msg;
    assert_int_equal(fb_vol_decode(&msg, action.bytes, action.len), 0);
    assert_int_equal(msg.type, type);
    return msg;
}

static inline struct fb_hop_msg expect_hop(struct fb_slot *slot, enum fb_slot_action_type type,
                                           enum fb_hop_type hop) {
    struct fb_slot_action action = expect(slot, type);
    struct fb_hop_msg msg;
    assert_int_equal(fb_hop_decode(&msg, action.bytes, action.len), 0);
    assert_int_equal(msg.type, hop);
    return msg;
}

static inline void broker_says(struct fb_slot *slot, const struct fb_vol_msg *msg,
                               uint64_t now_ms) {
    uint8_t bytes[FB_VOL_MAX];
    int len = fb_vol_encode(msg, bytes, sizeof bytes);
    assert_true(len > 0);
    fb_slot_broker_message(slot, bytes, (size_t)len, now_ms);
}

static inline void offer(struct fb_slot *slot, uint64_t match, uint64_t now_ms) {
    struct fb_vol_msg msg = {.type = FB_VOL_OFFER, .match = match, .country = "IR"};
    msg.desc = desc_of(FB_SETUP_ACTPASS);
    broker_says(slot, &msg, now_ms);
}

static inline void release(struct fb_slot *slot, uint64_t match, uint8_t egress, uint64_t now_ms) {
    struct fb_vol_msg msg = {.type = FB_VOL_RELEASE, .match = match};
    msg.release.egress[0] = egress;
    memset(msg.release.ticket, 0x77, FB_TICKET_LEN);
    memset(msg.release.first, 0x88, FB_FIRST_LEN);
    broker_says(slot, &msg, now_ms);
}

static inline void welcome(struct fb_slot *slot, uint64_t now_ms) {
    struct fb_vol_msg msg = {.type = FB_VOL_WELCOME, .welcome = {1, "NL"}};
    fb_slot_broker_open(slot, now_ms);
    expect_said(slot, FB_VOL_HELLO);
    broker_says(slot, &msg, now_ms);
}

/* On, welcomed, READY said. */
static inline struct fb_slot *ready(struct fb_slot *slot) {
    fb_slot_switch(slot, true, 0);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    welcome(slot, 0);
    expect_said(slot, FB_VOL_READY);
    expect_nothing(slot);
    return slot;
}

static inline struct fb_slot *make_ready(uint16_t capacity) {
    return ready(make(capacity));
}

/* queued: in the WebSocket's send buffer, or in that of the first lane. */
static inline enum fb_relay relay(struct fb_slot *slot, uint32_t m, bool from_client, uint8_t first,
                                  size_t len, size_t queued, uint64_t now_ms) {
    uint32_t held[FB_LANES_MAX] = {(uint32_t)queued}, lane;
    return fb_slot_relay(slot, m, from_client, first, len, held, &lane, now_ms);
}

static inline void drained(struct fb_slot *slot, uint32_t m, bool to_client, size_t queued,
                           uint64_t now_ms) {
    uint32_t held[FB_LANES_MAX] = {(uint32_t)queued};
    fb_slot_drained(slot, m, to_client, held, now_ms);
}

/* From offer to both hops being open at now_ms; gives m. */
static inline uint32_t carry(struct fb_slot *slot, uint64_t match, uint64_t now_ms) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    offer(slot, match, now_ms);
    uint32_t m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, now_ms);
    expect_said(slot, FB_VOL_ANSWER);
    release(slot, match, 0xe1, now_ms);
    expect(slot, FB_SLOT_EGRESS_OPEN);
    fb_slot_egress_open(slot, m, now_ms);
    expect(slot, FB_SLOT_EGRESS_SEND);
    fb_slot_peer_open(slot, m, now_ms);
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_LIMIT);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LIMIT);
    expect_nothing(slot);
    return m;
}

static inline struct fb_slot_view view_of(const struct fb_slot *slot) {
    struct fb_slot_view view;
    fb_slot_view(slot, &view);
    return view;
}

#endif
