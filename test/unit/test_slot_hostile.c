/* core/slot against brokers, readers and egresses that misbehave, and against chance. */
#include "slot_rig.h"

/* Whatever comes that is not allowed at that moment: the socket is closed, once, and not at once
 * opened again. */
static void broker_that_breaks_the_rules(void **state) {
    for (int i = 0; i < 9; i++) {
        struct fb_slot *slot = make_ready(2);
        struct fb_vol_msg msg = {.type = FB_VOL_WELCOME, .welcome = {1, "NL"}};
        uint8_t garbage[FB_VOL_MAX + 1] = {0xff, 0xff};
        offer(slot, 1, 0);
        expect(slot, FB_SLOT_PEER_CREATE);
        switch (i) {
        case 0: broker_says(slot, &msg, 0); break; /* a second WELCOME */
        case 1: offer(slot, 1, 0); break;          /* the same number twice */
        case 2: release(slot, 1, 0xe0, 0); break;  /* before the answer */
        case 3: fb_slot_broker_message(slot, garbage, 0, 0); break;
        case 4: fb_slot_broker_message(slot, garbage, sizeof garbage, 0); break;
        case 5:
            msg = (struct fb_vol_msg){.type = FB_VOL_OFFER, .match = 2};
            msg.desc = desc_of(FB_SETUP_ACTIVE); /* no offer */
            broker_says(slot, &msg, 0);
            break;
        default: /* what only volunteers say */
            msg = (struct fb_vol_msg){.type = i == 6   ? FB_VOL_DONE
                                              : i == 7 ? FB_VOL_STATUS
                                                       : FB_VOL_READY};
            broker_says(slot, &msg, 0);
        }
        expect(slot, FB_SLOT_PEER_CLOSE);
        expect(slot, FB_SLOT_BROKER_CLOSE);
        expect_nothing(slot);
        assert_true(fb_slot_deadline(slot) >= FB_SLOT_RETRY_MS);
        /* Nothing more is heard from that socket. */
        offer(slot, 9, 1);
        expect_nothing(slot);
        done(slot);
    }
    /* An offer before WELCOME. */
    struct fb_slot *slot = make(1);
    fb_slot_switch(slot, true, 0);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    fb_slot_broker_open(slot, 0);
    expect_said(slot, FB_VOL_HELLO);
    offer(slot, 1, 0);
    expect(slot, FB_SLOT_BROKER_CLOSE);
    done(slot);
}

/* A broker that wants to use volunteers to knock at addresses: offers, cancels, offers, ... */
static void thousand_offers_a_second(void **state) {
    struct fb_slot *slot = make_ready(FB_SLOT_CAPACITY_MAX);
    struct fb_slot_action action;
    unsigned made = 0, declined = 0;
    for (uint64_t i = 0; i < 60000; i++) {
        struct fb_vol_msg cancel = {.type = FB_VOL_CANCEL, .match = i};
        uint64_t now = i;
        fb_slot_tick(slot, now);
        offer(slot, i, now);
        while (fb_slot_poll(slot, &action)) {
            struct fb_vol_msg msg;
            made += action.type == FB_SLOT_PEER_CREATE;
            if (action.type == FB_SLOT_BROKER_SEND) {
                assert_int_equal(fb_vol_decode(&msg, action.bytes, action.len), 0);
                declined += msg.type == FB_VOL_DECLINE;
            }
        }
        broker_says(slot, &cancel, now);
    }
    assert_in_range(made, FB_SLOT_TRIES, FB_SLOT_TRIES + 60);
    assert_int_equal(made + declined, 60000);
    /* Unpolled declines do not pile up either. */
    for (uint64_t i = 0; i < 100; i++)
        offer(slot, 100000 + i, 60000);
    while (fb_slot_poll(slot, &action))
        declined++;
    assert_true(declined < 60000 + 40);
    done(slot);
}

/* With a broker that keeps to what it was promised, tries that have run out delay, nothing more. */
static void tries_come_back(void **state) {
    struct fb_slot *slot = make_ready(2);
    struct fb_slot_action action;
    uint64_t now = 0, match = 0, promised = 2;
    unsigned made = 0;
    while (now < 200000) {
        while (promised > 0) {
            promised--;
            offer(slot, ++match, now);
            while (fb_slot_poll(slot, &action)) {
                struct fb_vol_msg msg = {0};
                if (action.type == FB_SLOT_PEER_CREATE) {
                    made++;
                    fb_slot_peer_closed(slot, action.m, now);
                } else if (action.type == FB_SLOT_BROKER_SEND &&
                           fb_vol_decode(&msg, action.bytes, action.len) == 0) {
                    assert_false(msg.type == FB_VOL_DECLINE && msg.decline == FB_DECLINE_BUSY);
                    promised += msg.type == FB_VOL_READY ? msg.free : 0;
                }
            }
        }
        assert_true(fb_slot_deadline(slot) > now);
        now = fb_slot_deadline(slot);
        fb_slot_tick(slot, now);
        while (fb_slot_poll(slot, &action)) {
            struct fb_vol_msg msg = {0};
            if (action.type == FB_SLOT_BROKER_SEND &&
                fb_vol_decode(&msg, action.bytes, action.len) == 0)
                promised += msg.type == FB_VOL_READY ? msg.free : 0;
        }
    }
    assert_in_range(made, FB_SLOT_TRIES + 190, FB_SLOT_TRIES + 201);
    done(slot);
}

/* Any events in any order, with time jumping: no crash, bounded, and off is off in the end. */
static void random_events(void **state) {
    struct fb_slot *slot = make(5);
    uint64_t dice = 99, now = 0, match = 0;
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    struct fb_slot_limits limits = {0};
    uint32_t last = 0;
    for (int i = 0; i < 200000; i++) {
        uint64_t roll = test_random_u64(&dice);
        uint32_t m = last - (uint32_t)(roll >> 32) % 3;
        uint8_t junk[4] = {(uint8_t)(roll >> 40), (uint8_t)(roll >> 48), (uint8_t)(roll >> 56), 0};
        now += roll >> 20 & 127;
        switch (roll % 16) {
        case 0: fb_slot_switch(slot, (roll >> 8) % 32 != 0, now); break;
        case 1: fb_slot_broker_open(slot, now); break;
        case 2:
            if ((roll >> 8) % 32 == 0)
                fb_slot_broker_closed(slot, 0, now);
            break;
        case 3: {
            struct fb_vol_msg msg = {.type = FB_VOL_WELCOME, .welcome = {1, "NL"}};
            if (!view_of(slot).broker)
                broker_says(slot, &msg, now);
            break;
        }
        case 4:
        case 5: offer(slot, ++match, now); break;
        case 6:
        case 7: fb_slot_peer_described(slot, m, &desc, now); break;
        case 8:
            if ((roll >> 8) % 4 == 0)
                release(slot, match - (roll >> 10) % 4, (uint8_t)(0xe0 + (roll >> 12) % 2), now);
            break;
        case 9: fb_slot_egress_open(slot, m, now); break;
        case 10: fb_slot_peer_open(slot, m, now); break;
        case 11: fb_slot_egress_open(slot, m, now); break;
        case 12:
            if ((roll >> 8) % 16 == 0)
                fb_slot_peer_closed(slot, m, now);
            else if ((roll >> 8) % 16 == 1)
                fb_slot_egress_closed(slot, m, now);
            break;
        case 13:
            relay(slot, m, roll >> 8 & 1, (uint8_t)(roll >> 9 & 3), roll >> 16 & 0x7fff,
                  roll >> 24 & 0x1fffff, now);
            break;
        case 14:
            if ((roll >> 16) % 8 == 0)
                fb_slot_hop(slot, m, roll >> 8 & 1, junk, roll >> 9 & 3, now);
            limits.people = roll >> 12 & 7;
            limits.rate = (roll >> 24 & 1) * 50000;
            fb_slot_set_limits(slot, &limits, now);
            break;
        default: fb_slot_tick(slot, now);
        }
        struct fb_slot_action action;
        unsigned count = 0;
        while ((roll >> 60 != 0) && fb_slot_poll(slot, &action)) {
            uint32_t held[FB_LANES_MAX] = {0}, lane;
            if (action.type == FB_SLOT_NEXT)
                fb_slot_next(slot, action.m, action.from_client, 1000, held, &lane, now);
            last = action.m > last ? action.m : last;
            assert_true(++count < 20 * FB_SLOT_CAPACITY_MAX);
        }
        assert_true(view_of(slot).people_now <= FB_SLOT_CAPACITY_MAX);
    }
    assert_true(view_of(slot).people_total > 10);
    fb_slot_switch(slot, false, now);
    struct fb_slot_action action;
    while (fb_slot_poll(slot, &action))
        continue;
    assert_true(view_of(slot).people_now == 0);
    assert_true(fb_slot_deadline(slot) == FB_SLOT_NEVER);
    done(slot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broker_that_breaks_the_rules),
        cmocka_unit_test(thousand_offers_a_second),
        cmocka_unit_test(tries_come_back),
        cmocka_unit_test(random_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
