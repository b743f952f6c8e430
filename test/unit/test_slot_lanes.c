/* core/slot: the lanes of a match, as clients ask for them, well behaved and not. */
#include "slot_rig.h"

static const struct fb_addr reader = {.family = 4, .ip = {8, 8, 4, 4}, .port = 50001};
static const struct fb_addr stranger = {.family = 4, .ip = {9, 9, 9, 9}, .port = 50001};

static void client_says(struct fb_slot *slot, uint32_t m, const struct fb_hop_msg *msg,
                        uint64_t now_ms) {
    uint8_t bytes[FB_HOP_MAX];
    int len = fb_hop_encode(msg, bytes, sizeof bytes);
    assert_true(len > 0);
    fb_slot_hop(slot, m, true, bytes, (size_t)len, now_ms);
}

static void offer_lane(struct fb_slot *slot, uint32_t m, uint16_t number, uint64_t now_ms) {
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_OFFER, .lane = number};
    msg.desc = desc_of(FB_SETUP_ACTPASS);
    msg.desc.candidates[0].addr = reader;
    msg.desc.candidates[1].addr = stranger;
    client_says(slot, m, &msg, now_ms);
}

static void close_lane(struct fb_slot *slot, uint32_t m, uint16_t number, uint64_t now_ms) {
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_CLOSE, .lane = number};
    client_says(slot, m, &msg, now_ms);
}

/* From offer to open; gives the action that made it. */
static struct fb_slot_action add_lane(struct fb_slot *slot, uint32_t m, uint16_t number,
                                      uint64_t now_ms) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    offer_lane(slot, m, number, now_ms);
    struct fb_slot_action made = expect(slot, FB_SLOT_PEER_CREATE);
    fb_slot_peer_described(slot, made.peer, &desc, now_ms);
    assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_ANSWER).lane, number);
    fb_slot_peer_open(slot, made.peer, now_ms);
    expect_nothing(slot);
    return made;
}

static void expect_breach(struct fb_slot *slot, unsigned peers) {
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                     FB_FAREWELL_PROTOCOL);
    assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FAREWELL).farewell,
                     FB_FAREWELL_PROTOCOL);
    expect(slot, FB_SLOT_EGRESS_CLOSE);
    while (peers-- > 0)
        expect(slot, FB_SLOT_PEER_CLOSE);
    expect_said(slot, FB_VOL_DONE);
}

static uint32_t send_down(struct fb_slot *slot, uint32_t m, const uint32_t *held, uint64_t now_ms) {
    uint32_t lane = 99;
    assert_int_equal(fb_slot_relay(slot, m, false, FB_KIND_SESSION, 1000, held, &lane, now_ms),
                     FB_RELAY_PASS);
    return lane;
}

static void one_more_lane(void **state) {
    struct fb_slot *slot = make_ready(2);
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    uint32_t m = carry(slot, 5, 0), held[FB_LANES_MAX] = {0};
    offer_lane(slot, m, 2, 10);
    struct fb_slot_action made = expect(slot, FB_SLOT_PEER_CREATE);
    assert_int_equal(made.m, m);
    assert_int_equal(made.lane, 1);
    assert_int_not_equal(made.peer, m);
    /* Only where the first lane's offer allowed to look. */
    assert_int_equal(made.desc->candidate_count, 1);
    assert_true(fb_addr_equal(&made.desc->candidates[0].addr, &reader));
    expect_nothing(slot);
    assert_int_equal(fb_slot_deadline(slot), 10 + FB_SLOT_LANE_MS);

    fb_slot_peer_described(slot, made.peer, &desc, 20);
    struct fb_hop_msg answer = expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_ANSWER);
    assert_int_equal(answer.lane, 2);
    assert_int_equal(answer.desc.candidate_count, 1); /* the private one is not told */
    assert_int_equal(send_down(slot, m, held, 30), 0);
    fb_slot_peer_open(slot, made.peer, 40);
    expect_nothing(slot);
    held[0] = 10;
    assert_int_equal(send_down(slot, m, held, 50), 1);
    held[1] = 1000;
    assert_int_equal(send_down(slot, m, held, 50), 0);
    assert_true(fb_slot_deadline(slot) > 10 + FB_SLOT_LANE_MS);
    assert_int_equal(view_of(slot).people_now, 1);
    /* Both count against the queue's ceiling. */
    held[0] = held[1] = FB_SLOT_QUEUE_MAX / 2;
    uint32_t lane;
    assert_int_equal(fb_slot_relay(slot, m, false, FB_KIND_SESSION, 1, held, &lane, 60),
                     FB_RELAY_DROP);
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FAREWELL);
    expect(slot, FB_SLOT_EGRESS_CLOSE);
    assert_int_equal(expect(slot, FB_SLOT_PEER_CLOSE).peer, m);
    assert_int_equal(expect(slot, FB_SLOT_PEER_CLOSE).peer, made.peer);
    done(slot);
}

static void deaths(void **state) {
    struct fb_slot *slot = make_ready(2);
    uint32_t m = carry(slot, 5, 0), held[FB_LANES_MAX] = {0};
    uint32_t second = add_lane(slot, m, 2, 0).peer, third = add_lane(slot, m, 3, 0).peer;
    /* The first one may go like any other; nothing ends, nothing is told. */
    fb_slot_peer_closed(slot, m, 10);
    expect_nothing(slot);
    assert_int_not_equal(send_down(slot, m, held, 20), 0);
    fb_slot_peer_closed(slot, third, 30);
    fb_slot_peer_closed(slot, third, 30);
    expect_nothing(slot);
    assert_int_equal(send_down(slot, m, held, 40), 1);
    /* Its index is used again, its number for glue is not. */
    struct fb_slot_action made = add_lane(slot, m, 4, 50);
    assert_int_equal(made.lane, 0);
    assert_true(made.peer > third);
    fb_slot_peer_closed(slot, made.peer, 60);
    /* The last one's death is the path's. */
    fb_slot_peer_closed(slot, second, 70);
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                     FB_FAREWELL_PEER);
    expect(slot, FB_SLOT_EGRESS_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_CARRIED);
    done(slot);
}

static void lanes_that_fail(void **state) {
    struct fb_slot *slot = make_ready(2);
    struct fb_desc desc = desc_of(FB_SETUP_PASSIVE);
    uint32_t m = carry(slot, 5, 0);
    /* Not described; described badly; not open in time: each is told, and the path lives on. */
    offer_lane(slot, m, 2, 0);
    fb_slot_peer_closed(slot, expect(slot, FB_SLOT_PEER_CREATE).peer, 10);
    assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_CLOSE).lane, 2);
    offer_lane(slot, m, 3, 0);
    fb_slot_peer_described(slot, expect(slot, FB_SLOT_PEER_CREATE).peer, &desc, 10);
    assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_CLOSE).lane, 3);
    expect(slot, FB_SLOT_PEER_CLOSE);
    offer_lane(slot, m, 4, 0);
    uint32_t peer = expect(slot, FB_SLOT_PEER_CREATE).peer;
    fb_slot_tick(slot, FB_SLOT_LANE_MS - 1);
    expect_nothing(slot);
    fb_slot_tick(slot, FB_SLOT_LANE_MS);
    assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_CLOSE).lane, 4);
    assert_int_equal(expect(slot, FB_SLOT_PEER_CLOSE).peer, peer);
    fb_slot_peer_open(slot, peer, FB_SLOT_LANE_MS);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).people_now, 1);
    done(slot);
}

static void closed_by_the_client(void **state) {
    struct fb_slot *slot = make_ready(2);
    uint32_t m = carry(slot, 5, 0), held[FB_LANES_MAX] = {50};
    uint32_t second = add_lane(slot, m, 2, 0).peer, third = add_lane(slot, m, 3, 0).peer;
    close_lane(slot, m, 2, 10);
    expect_nothing(slot);
    for (int i = 0; i < 4; i++)
        assert_int_equal(send_down(slot, m, held, 20), 2); /* no longer the second */
    fb_slot_peer_closed(slot, second, 30);
    expect_nothing(slot);
    close_lane(slot, m, 2, 40); /* of one that has gone: may cross with its end */
    expect_nothing(slot);
    /* A client that says so and does not do it. */
    close_lane(slot, m, 3, 50);
    fb_slot_tick(slot, 50 + FB_SLOT_LANE_MS);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_CLOSE);
    assert_int_equal(expect(slot, FB_SLOT_PEER_CLOSE).peer, third);
    expect_nothing(slot);
    done(slot);
}

static void stalled_lane_is_closed(void **state) {
    struct fb_slot *slot = make_ready(2);
    uint32_t m = carry(slot, 5, 0), held[FB_LANES_MAX] = {0};
    uint32_t second = add_lane(slot, m, 2, 0).peer;
    struct fb_slot_action action;
    uint64_t closed = 0;
    held[1] = 5000;
    for (uint64_t now = 0; now < 20000 && closed == 0; now += 10) {
        held[0] = now % 100 == 0 ? 4000 : 3000;
        assert_int_equal(send_down(slot, m, held, now), 0);
        while (fb_slot_poll(slot, &action))
            if (action.type == FB_SLOT_PEER_CLOSE) {
                assert_int_equal(action.peer, second);
                closed = now;
            }
    }
    assert_in_range(closed, FB_LANE_STALL_MS, FB_LANE_STALL_MS + 200);
    done(slot);
}

static void full_is_passed_on(void **state) {
    struct fb_slot *slot = make_ready(2);
    uint32_t m = carry(slot, 5, 0);
    fb_slot_hop(slot, m, false, (const uint8_t *)"\x02\x13", 2, 0);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FULL);
    expect_nothing(slot);
    done(slot);
}

static unsigned offer_many(struct fb_slot *slot, uint32_t m, uint16_t count, uint64_t now_ms) {
    struct fb_slot_action action;
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    unsigned made = 0;
    for (uint16_t i = 0; i < count; i++) {
        offer_lane(slot, m, (uint16_t)(2 + i), now_ms);
        while (fb_slot_poll(slot, &action)) {
            if (action.type != FB_SLOT_PEER_CREATE)
                continue;
            made++;
            fb_slot_peer_described(slot, action.peer, &desc, now_ms);
        }
    }
    return made;
}

static void limits(void **state) {
    struct fb_slot *slot = make_ready(FB_SLOT_CAPACITY_MAX);
    unsigned made = 0;
    /* Sixteen in a match. */
    assert_int_equal(offer_many(slot, carry(slot, 1, 0), 20, 0), FB_LANES_MAX - 1);
    done(slot);
    slot = make_ready(FB_SLOT_CAPACITY_MAX);
    /* New readers find tries left. */
    for (uint64_t match = 1; match <= 8; match++)
        made += offer_many(slot, carry(slot, match, 0), 15, 0);
    assert_int_equal(made, FB_SLOT_TRIES - FB_SLOT_TRIES_KEPT - 3);
    done(slot);
}

static void all_matches_together(void **state) {
    struct fb_slot *slot = make_ready(FB_SLOT_CAPACITY_MAX);
    uint64_t now = 0;
    unsigned all = 0;
    for (uint64_t match = 1; match <= 8; match++, now += 60000) {
        uint32_t m = carry(slot, match, now);
        for (uint16_t i = 2; i <= FB_LANES_MAX; i++) {
            struct fb_slot_action action;
            offer_lane(slot, m, i, now);
            while (fb_slot_poll(slot, &action)) {
                struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
                if (action.type != FB_SLOT_PEER_CREATE)
                    continue;
                fb_slot_peer_described(slot, action.peer, &desc, now);
                fb_slot_peer_open(slot, action.peer, now);
                all++;
            }
        }
    }
    assert_int_equal(all, FB_SLOT_LANES_MAX);
    done(slot);
}

/* Whatever is said to the broker meanwhile. */
static bool next_but_broker(struct fb_slot *slot, struct fb_slot_action *action) {
    while (fb_slot_poll(slot, action))
        if (action->type != FB_SLOT_CHANGED && action->type != FB_SLOT_BROKER_SEND)
            return true;
    return false;
}

static void expect_refusal(struct fb_slot *slot, uint16_t number) {
    struct fb_slot_action action;
    struct fb_hop_msg msg;
    assert_true(next_but_broker(slot, &action));
    assert_int_equal(action.type, FB_SLOT_PEER_SEND);
    assert_int_equal(fb_hop_decode(&msg, action.bytes, action.len), 0);
    assert_int_equal(msg.type, FB_HOP_LANE_CLOSE);
    assert_int_equal(msg.lane, number);
}

/* Offered, and never open: closed by the client; gone; overdue; never described. */
static void fail_lane(struct fb_slot *slot, uint32_t m, uint16_t number, unsigned how,
                      uint64_t now_ms) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    struct fb_slot_action action;
    offer_lane(slot, m, number, now_ms);
    uint32_t peer = expect(slot, FB_SLOT_PEER_CREATE).peer;
    if (how < 3) {
        fb_slot_peer_described(slot, peer, &desc, now_ms);
        expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LANE_ANSWER);
    }
    if (how == 0)
        close_lane(slot, m, number, now_ms);
    if (how == 2)
        fb_slot_tick(slot, now_ms + FB_SLOT_LANE_MS);
    else
        fb_slot_peer_closed(slot, peer, now_ms);
    if (how > 0)
        expect_refusal(slot, number);
    while (next_but_broker(slot, &action))
        assert_int_equal(action.type, FB_SLOT_PEER_CLOSE);
}

/* However it fails, a lane counts; the client that names another port each time is told no. */
static void lanes_that_never_open(void **state) {
    struct fb_slot *slot = make_ready(2);
    struct fb_slot_action action;
    uint32_t m = carry(slot, 5, 0);
    uint16_t number = 2;
    uint64_t now = 0;
    for (unsigned i = 0; i < FB_SLOT_LANES_FAILED_MAX; i++, now += 60000) {
        /* What opens does not count, and makes up for nothing. */
        uint32_t peer = add_lane(slot, m, number, now).peer;
        close_lane(slot, m, number++, now);
        fb_slot_peer_closed(slot, peer, now);
        fail_lane(slot, m, number++, i % 4, now);
    }
    for (unsigned i = 0; i < 3; i++, now += 3600000) {
        offer_lane(slot, m, number, now);
        expect_refusal(slot, number);
        assert_false(next_but_broker(slot, &action));
    }
    assert_int_equal(view_of(slot).people_now, 1);
    /* Another reader's match has a count of its own. */
    fb_slot_peer_closed(slot, m, now);
    while (fb_slot_poll(slot, &action))
        ;
    m = carry(slot, 6, now);
    add_lane(slot, m, 2, now);
    done(slot);
}

/* What a client must not do: each closes its path, with the reason. */
static void breaches(void **state) {
    for (int i = 0; i < 7; i++) {
        struct fb_slot *slot = make_ready(2);
        uint32_t m = carry(slot, 5, 0);
        struct fb_hop_msg msg = {.type = FB_HOP_LANE_ANSWER, .lane = 2};
        uint8_t bytes[FB_HOP_MAX + 100] = {FB_KIND_HOP, FB_HOP_LANE_OFFER, 0, 2};
        unsigned peers = 1;
        struct fb_slot_action action;
        msg.desc = desc_of(FB_SETUP_ACTIVE);
        switch (i) {
        case 0: client_says(slot, m, &msg, 0); break; /* an answer to nothing */
        case 1:
            msg = (struct fb_hop_msg){.type = FB_HOP_FULL};
            client_says(slot, m, &msg, 0);
            break;
        case 2: /* the same number twice */
            add_lane(slot, m, 2, 0);
            offer_lane(slot, m, 2, 0);
            peers = 2;
            break;
        case 3: /* closed twice */
            add_lane(slot, m, 2, 0);
            close_lane(slot, m, 2, 0);
            close_lane(slot, m, 2, 0);
            peers = 2;
            break;
        case 4: fb_slot_hop(slot, m, true, bytes, sizeof bytes, 0); break; /* junk, and too long */
        case 5:
            close_lane(slot, m, 1, 0); /* the only one: that is what farewells are for */
            assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                             FB_FAREWELL_PROTOCOL);
            done(slot);
            continue;
        default: /* a flood */
            for (uint16_t n = 2; n < 2 + FB_SLOT_LANE_TRIES; n++) {
                offer_lane(slot, m, n, 0);
                while (fb_slot_poll(slot, &action))
                    if (action.type == FB_SLOT_PEER_CREATE)
                        fb_slot_peer_closed(slot, action.peer, 0);
            }
            assert_int_equal(view_of(slot).people_now, 1);
            offer_lane(slot, m, 1000, 0);
        }
        expect_breach(slot, peers);
        assert_int_equal(view_of(slot).people_now, 0);
        assert_int_equal(view_of(slot).last_close, FB_FAREWELL_PROTOCOL);
        done(slot);
    }
    /* Egresses know of no lanes. */
    struct fb_slot *slot = make_ready(2);
    uint32_t m = carry(slot, 5, 0);
    fb_slot_hop(slot, m, false, (const uint8_t *)"\x02\x12\x00\x01", 4, 0);
    expect_breach(slot, 1);
    done(slot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_more_lane),
        cmocka_unit_test(deaths),
        cmocka_unit_test(lanes_that_fail),
        cmocka_unit_test(closed_by_the_client),
        cmocka_unit_test(stalled_lane_is_closed),
        cmocka_unit_test(full_is_passed_on),
        cmocka_unit_test(limits),
        cmocka_unit_test(all_matches_together),
        cmocka_unit_test(lanes_that_never_open),
        cmocka_unit_test(breaches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
