/* core/slot: a volunteer's life, event by event. */
#include "slot_rig.h"

static void off_until_switched_on(void **state) {
    struct fb_slot *slot = make(0);
    struct fb_slot_action action;
    uint8_t bytes[] = {FB_VOL_READY, 0, 1};
    fb_slot_broker_open(slot, 0);
    fb_slot_broker_message(slot, bytes, sizeof bytes, 0);
    fb_slot_broker_closed(slot, 0, 0);
    fb_slot_set_nat(slot, FB_NAT_HARD);
    fb_slot_tick(slot, 1000000000);
    assert_true(fb_slot_deadline(slot) == FB_SLOT_NEVER);
    assert_false(fb_slot_poll(slot, &action));
    assert_int_equal(view_of(slot).state, FB_SLOT_OFF);
    assert_int_equal(view_of(slot).capacity, FB_SLOT_CAPACITY_DEFAULT);
    done(slot);
}

static void one_reader(void **state) {
    struct fb_slot *slot = make(2);
    fb_slot_switch(slot, true, 1000);
    assert_int_equal(view_of(slot).state, FB_SLOT_CONNECTING);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    assert_true(fb_slot_deadline(slot) == 1000 + FB_SLOT_WELCOME_MS);
    fb_slot_broker_open(slot, 1010);
    struct fb_vol_msg said = expect_said(slot, FB_VOL_HELLO);
    assert_int_equal(said.hello.kind, FB_VOLUNTEER_BROWSER);
    assert_int_equal(said.hello.nat, FB_NAT_EASY);
    assert_int_equal(said.hello.capacity, 2);
    expect_nothing(slot);
    struct fb_vol_msg msg = {.type = FB_VOL_WELCOME, .welcome = {1, "NL"}};
    broker_says(slot, &msg, 1020);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 2);
    assert_int_equal(view_of(slot).state, FB_SLOT_WAITING);
    assert_string_equal(view_of(slot).country, "NL");

    offer(slot, 77, 2000);
    struct fb_slot_action action = expect(slot, FB_SLOT_PEER_CREATE);
    uint32_t m = action.m;
    /* What would knock at a private network has been dropped. */
    assert_int_equal(action.desc->candidate_count, 1);
    assert_int_equal(action.desc->setup, FB_SETUP_ACTPASS);
    assert_true(fb_slot_deadline(slot) == 2000 + FB_SLOT_DESCRIBE_MS);
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    /* Of a browser, no address of its own leaves, however public. */
    desc.candidates[1].addr.ip[0] = 11;
    fb_slot_peer_described(slot, m, &desc, 2100);
    said = expect_said(slot, FB_VOL_ANSWER);
    assert_true(said.match == 77);
    assert_int_equal(said.desc.candidate_count, 1);
    assert_int_equal(said.desc.candidates[0].type, FB_CAND_SRFLX);
    expect_nothing(slot);

    release(slot, 77, 0xe1, 2200);
    action = expect(slot, FB_SLOT_EGRESS_OPEN);
    assert_int_equal(action.m, m);
    assert_int_equal(action.egress, 1);
    fb_slot_egress_open(slot, m, 2300);
    action = expect(slot, FB_SLOT_EGRESS_SEND);
    assert_int_equal(action.len, 1 + FB_TICKET_LEN + FB_FIRST_LEN);
    assert_int_equal(action.bytes[0], FB_KIND_ATTACH);
    assert_int_equal(action.bytes[1], 0x77);
    assert_int_equal(action.bytes[141], 0x77);
    assert_int_equal(action.bytes[142], 0x88);
    assert_int_equal(action.bytes[397], 0x88);
    assert_int_equal(view_of(slot).people_now, 0);
    fb_slot_peer_open(slot, m, 2400);
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_LIMIT).bytes, FB_SLOT_QUEUE_MAX);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LIMIT);
    expect_nothing(slot);
    struct fb_slot_view view = view_of(slot);
    assert_int_equal(view.state, FB_SLOT_CARRYING);
    assert_true(view.people_now == 1 && view.people_total == 1);

    assert_int_equal(relay(slot, m, true, FB_KIND_SESSION, 100, 0, 2500), FB_RELAY_PASS);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 16000, 0, 2500), FB_RELAY_PASS);
    view = view_of(slot);
    assert_true(view.bytes_up == 100 && view.bytes_down == 16000);

    fb_slot_peer_closed(slot, m, 3000);
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                     FB_FAREWELL_PEER);
    assert_int_equal(expect(slot, FB_SLOT_EGRESS_CLOSE).m, m);
    said = expect_said(slot, FB_VOL_DONE);
    assert_true(said.match == 77);
    assert_int_equal(said.outcome, FB_OUTCOME_CARRIED);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 1);
    expect_nothing(slot);
    view = view_of(slot);
    assert_int_equal(view.state, FB_SLOT_WAITING);
    assert_true(view.people_now == 0 && view.people_total == 1);
    assert_int_equal(view.last_close, FB_FAREWELL_PEER);
    /* Late events of a match that is gone. */
    fb_slot_egress_closed(slot, m, 3001);
    fb_slot_peer_open(slot, m, 3001);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 1, 0, 3001), FB_RELAY_DROP);
    expect_nothing(slot);
    done(slot);
}

/* An offer of a network with one egress, answered; gives m. The egress is opened beside. */
static uint32_t answered_early(struct fb_slot *slot, uint64_t match) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    offer(slot, match, 0);
    uint32_t m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    assert_int_equal(expect(slot, FB_SLOT_EGRESS_OPEN).egress, 0);
    return m;
}

static void expect_attached(struct fb_slot *slot) {
    assert_int_equal(expect(slot, FB_SLOT_EGRESS_SEND).bytes[0], FB_KIND_ATTACH);
    expect_nothing(slot);
}

/* Where it can be no other, the egress is opened before RELEASE; nothing goes there until then. */
static void the_only_egress_is_opened_early(void **state) {
    struct fb_slot *slot = ready(make_for(4, 1));
    uint32_t m = answered_early(slot, 1);
    fb_slot_egress_open(slot, m, 0);
    expect_nothing(slot);
    release(slot, 1, 0xe0, 0);
    expect_attached(slot);

    m = answered_early(slot, 2); /* RELEASE comes first */
    release(slot, 2, 0xe0, 0);
    expect_nothing(slot);
    fb_slot_egress_open(slot, m, 0);
    expect_attached(slot);

    m = answered_early(slot, 3); /* it fails; after RELEASE it gets a second chance, and no third */
    fb_slot_egress_closed(slot, m, 0);
    expect_nothing(slot);
    release(slot, 3, 0xe0, 0);
    expect(slot, FB_SLOT_EGRESS_OPEN);
    fb_slot_egress_closed(slot, m, 0);
    assert_int_equal(expect(slot, FB_SLOT_PEER_CLOSE).m, m);
    assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_EGRESS_FAILED);

    m = answered_early(slot, 4); /* never released: it hears nothing, not even a farewell */
    fb_slot_egress_open(slot, m, 0);
    const struct fb_vol_msg cancel = {.type = FB_VOL_CANCEL, .match = 4};
    broker_says(slot, &cancel, 0);
    assert_int_equal(expect(slot, FB_SLOT_EGRESS_CLOSE).m, m);
    expect(slot, FB_SLOT_PEER_CLOSE);
    expect_said(slot, FB_VOL_READY);
    expect_nothing(slot);
    done(slot);
}

static void peer_opens_first(void **state) {
    struct fb_slot *slot = make_ready(1);
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    offer(slot, 1, 0);
    uint32_t m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    /* The client has the answer and ICE is done before RELEASE is here. */
    fb_slot_peer_open(slot, m, 1);
    release(slot, 1, 0xe0, 2);
    assert_int_equal(expect(slot, FB_SLOT_EGRESS_OPEN).egress, 0);
    fb_slot_egress_open(slot, m, 3);
    struct fb_slot_action action = expect(slot, FB_SLOT_EGRESS_SEND);
    assert_int_equal(action.bytes[0], FB_KIND_ATTACH); /* the first, before LIMIT */
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_LIMIT);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_LIMIT);
    assert_int_equal(view_of(slot).people_now, 1);
    done(slot);
}

static void relay_rules(void **state) {
    for (int from_client = 0; from_client < 2; from_client++) {
        for (unsigned first = 0; first < 256; first++) {
            enum fb_relay want = first == FB_KIND_SESSION ? FB_RELAY_PASS
                                 : first == FB_KIND_HOP   ? FB_RELAY_HOP
                                                          : FB_RELAY_DROP;
            assert_int_equal(fb_relay_kind((uint8_t)first, from_client), want);
        }
    }
    struct fb_slot *slot = make_ready(1);
    uint32_t m = carry(slot, 1, 0);
    assert_int_equal(relay(slot, m, true, FB_KIND_ATTACH, 398, 0, 0), FB_RELAY_DROP);
    assert_int_equal(relay(slot, m, false, FB_KIND_COVER, 500, 0, 0), FB_RELAY_DROP);
    assert_int_equal(relay(slot, m, true, FB_KIND_HOP, 3, 0, 0), FB_RELAY_HOP);
    assert_int_equal(relay(slot, m + 1, true, FB_KIND_SESSION, 3, 0, 0), FB_RELAY_DROP);
    assert_true(view_of(slot).bytes_up + view_of(slot).bytes_down == 0);
    assert_int_equal(relay(slot, m, true, FB_KIND_SESSION, FB_MESSAGE_MAX + 1, 0, 0),
                     FB_RELAY_DROP);
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                     FB_FAREWELL_PROTOCOL);
    done(slot);
}

static void full_queue_closes(void **state) {
    for (int from_client = 0; from_client < 2; from_client++) {
        struct fb_slot *slot = make_ready(1);
        uint32_t m = carry(slot, 1, 0);
        assert_int_equal(
            relay(slot, m, from_client, FB_KIND_SESSION, 1000, FB_SLOT_QUEUE_MAX - 1000, 0),
            FB_RELAY_PASS);
        expect_hop(slot, from_client ? FB_SLOT_PEER_SEND : FB_SLOT_EGRESS_SEND, FB_HOP_QUEUE);
        assert_int_equal(
            relay(slot, m, from_client, FB_KIND_SESSION, 1000, FB_SLOT_QUEUE_MAX - 999, 0),
            FB_RELAY_DROP);
        assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                         FB_FAREWELL_QUEUE);
        assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FAREWELL).farewell,
                         FB_FAREWELL_QUEUE);
        expect(slot, FB_SLOT_EGRESS_CLOSE);
        expect(slot, FB_SLOT_PEER_CLOSE);
        assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_CARRIED);
        assert_int_equal(view_of(slot).last_close, FB_FAREWELL_QUEUE);
        done(slot);
    }
}

static void queue_reports(void **state) {
    struct fb_slot *slot = make_ready(1);
    uint32_t m = carry(slot, 1, 0);
    size_t high = FB_SLOT_QUEUE_REPORT;
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 100, high - 100, 0), FB_RELAY_PASS);
    expect_nothing(slot);
    relay(slot, m, false, FB_KIND_SESSION, 100, high, 0);
    /* Towards the client it grows, so the egress hears of it; once. */
    assert_true(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_QUEUE).bytes == high + 100);
    relay(slot, m, false, FB_KIND_SESSION, 100, high + 100, 0);
    drained(slot, m, true, high / 4, 0);
    expect_nothing(slot);
    drained(slot, m, true, high / 4 - 1, 0);
    assert_true(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_QUEUE).bytes == high / 4 - 1);
    drained(slot, m, true, 0, 0);
    drained(slot, m, false, 0, 0);
    expect_nothing(slot);
    done(slot);
}

static void holding_until_open(void **state) {
    struct fb_slot *slot = make_ready(1);
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    offer(slot, 1, 0);
    uint32_t m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    release(slot, 1, 0xe0, 0);
    expect(slot, FB_SLOT_EGRESS_OPEN);
    fb_slot_egress_open(slot, m, 0);
    expect(slot, FB_SLOT_EGRESS_SEND);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 512, 0, 0), FB_RELAY_WAIT);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 16000, 0, 0), FB_RELAY_WAIT);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 15000, 0, 0), FB_RELAY_WAIT);
    size_t rest = FB_SLOT_HOLD_MAX - 512 - 16000 - 15000 - 1;
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, rest, 0, 0), FB_RELAY_WAIT);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 1, 0, 0), FB_RELAY_WAIT);
    expect_nothing(slot);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 1, 0, 0), FB_RELAY_DROP);
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL);
    expect(slot, FB_SLOT_EGRESS_CLOSE);
    expect(slot, FB_SLOT_PEER_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_STOPPED);
    done(slot);
}

static void farewells(void **state) {
    static const struct {
        bool from_client;
        enum fb_farewell said, passed_on;
    } cases[] = {
        {true, FB_FAREWELL_DONE, FB_FAREWELL_PEER},
        {false, FB_FAREWELL_DENIED, FB_FAREWELL_DENIED},
        {false, FB_FAREWELL_DONE, FB_FAREWELL_EGRESS},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fb_slot *slot = make_ready(1);
        uint32_t m = carry(slot, 1, 0);
        uint8_t bye[] = {FB_KIND_HOP, FB_HOP_FAREWELL, (uint8_t)cases[i].said};
        uint8_t other[] = {FB_KIND_HOP, 0x1f, 1, 2, 3};
        uint8_t queue[] = {FB_KIND_HOP, FB_HOP_QUEUE, 0, 0, 0, 1};
        fb_slot_hop(slot, m, cases[i].from_client, other, sizeof other, 0);
        fb_slot_hop(slot, m, cases[i].from_client, queue, sizeof queue, 0);
        expect_nothing(slot);
        fb_slot_hop(slot, m, cases[i].from_client, bye, sizeof bye, 0);
        /* Passed on to the other side alone. */
        enum fb_slot_action_type to = cases[i].from_client ? FB_SLOT_EGRESS_SEND
                                                           : FB_SLOT_PEER_SEND;
        assert_int_equal(expect_hop(slot, to, FB_HOP_FAREWELL).farewell, cases[i].passed_on);
        expect(slot, FB_SLOT_EGRESS_CLOSE);
        expect(slot, FB_SLOT_PEER_CLOSE);
        expect_said(slot, FB_VOL_DONE);
        done(slot);
    }
    struct fb_slot *slot = make_ready(1);
    uint32_t m = carry(slot, 1, 0);
    fb_slot_hop(slot, m, true, (const uint8_t *)"\x02\x03", 2, 0);
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                     FB_FAREWELL_PROTOCOL);
    done(slot);
}

static void switched_off(void **state) {
    struct fb_slot *slot = make_ready(3);
    uint32_t m = carry(slot, 1, 0);
    offer(slot, 2, 0);
    uint32_t fresh = expect(slot, FB_SLOT_PEER_CREATE).m;
    offer(slot, 3, 0); /* not even polled */
    fb_slot_switch(slot, false, 10);
    fb_slot_switch(slot, false, 10);
    struct fb_slot_action action;
    unsigned byes = 0, peers = 0, egresses = 0, brokers = 0;
    while (fb_slot_poll(slot, &action)) {
        byes += action.type == FB_SLOT_PEER_SEND || action.type == FB_SLOT_EGRESS_SEND;
        peers += action.type == FB_SLOT_PEER_CLOSE && (action.m == m || action.m == fresh);
        egresses += action.type == FB_SLOT_EGRESS_CLOSE && action.m == m;
        brokers += action.type == FB_SLOT_BROKER_CLOSE;
        assert_int_not_equal(action.type, FB_SLOT_BROKER_SEND);
        assert_int_not_equal(action.type, FB_SLOT_PEER_CREATE);
    }
    assert_true(byes == 2 && peers == 2 && egresses == 1 && brokers == 1);
    assert_int_equal(view_of(slot).state, FB_SLOT_OFF);
    assert_int_equal(view_of(slot).people_now, 0);
    assert_int_equal(view_of(slot).last_close, FB_FAREWELL_OFF);
    /* Nothing reconnects. */
    assert_true(fb_slot_deadline(slot) == FB_SLOT_NEVER);
    fb_slot_tick(slot, 100000000);
    offer(slot, 4, 100000000);
    expect_nothing(slot);
    /* On again works, with fresh numbers. */
    fb_slot_switch(slot, true, 100000001);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    welcome(slot, 100000002);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 3);
    assert_true(carry(slot, 1, 100000003) > fresh);
    done(slot);
}

static void back_off(void **state) {
    struct fb_slot *slot = make(1);
    uint64_t now = 0, last = 0, waits[40];
    fb_slot_switch(slot, true, now);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    for (int i = 0; i < 40; i++) {
        fb_slot_broker_closed(slot, 0, now);
        expect_nothing(slot);
        assert_true(view_of(slot).retry_ms == fb_slot_deadline(slot));
        last = now;
        now = fb_slot_deadline(slot);
        fb_slot_tick(slot, now - 1);
        expect_nothing(slot);
        fb_slot_tick(slot, now);
        expect(slot, FB_SLOT_BROKER_CONNECT);
        waits[i] = now - last;
        /* After ten minutes at most one try a minute. */
        if (last > 600000)
            assert_true(waits[i] >= 60000);
        assert_in_range(waits[i], FB_SLOT_RETRY_MS, FB_SLOT_RETRY_CAP_MS * 3 / 2 + 2000);
    }
    assert_in_range(waits[0], 1000, 3500);
    assert_true(waits[38] != waits[39]); /* jitter */
    /* One that welcomes and closes at once is no better. */
    fb_slot_broker_open(slot, now);
    expect_said(slot, FB_VOL_HELLO);
    struct fb_vol_msg msg = {.type = FB_VOL_WELCOME, .welcome = {1, ""}};
    broker_says(slot, &msg, now);
    fb_slot_broker_closed(slot, 0, now + 1000);
    assert_true(fb_slot_deadline(slot) - now > FB_SLOT_RETRY_CAP_MS);
    now = fb_slot_deadline(slot);
    fb_slot_tick(slot, now);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    welcome(slot, now);
    now += FB_SLOT_RETRY_GOOD_MS;
    fb_slot_broker_closed(slot, 0, now);
    assert_in_range(fb_slot_deadline(slot) - now, 1000, 3500);
    /* Off while waiting stops that too. */
    fb_slot_switch(slot, false, now);
    fb_slot_tick(slot, now + 1000000);
    expect_nothing(slot);
    done(slot);
}

static void broker_that_says_nothing(void **state) {
    struct fb_slot *slot = make(1);
    fb_slot_switch(slot, true, 0);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    fb_slot_tick(slot, FB_SLOT_WELCOME_MS);
    expect(slot, FB_SLOT_BROKER_CLOSE);
    uint64_t now = fb_slot_deadline(slot);
    fb_slot_tick(slot, now);
    expect(slot, FB_SLOT_BROKER_CONNECT);
    fb_slot_broker_open(slot, now);
    expect_said(slot, FB_VOL_HELLO);
    fb_slot_tick(slot, now + FB_SLOT_WELCOME_MS);
    expect(slot, FB_SLOT_BROKER_CLOSE);
    done(slot);
}

static void status_keeps_the_socket_alive(void **state) {
    struct fb_slot *slot = make_ready(2);
    carry(slot, 1, 0);
    for (uint64_t now = FB_SLOT_STATUS_MS; now < 10 * FB_SLOT_STATUS_MS; now += FB_SLOT_STATUS_MS) {
        assert_true(fb_slot_deadline(slot) == now);
        fb_slot_tick(slot, now);
        assert_int_equal(expect_said(slot, FB_VOL_STATUS).carrying, 1);
        expect_nothing(slot);
    }
    done(slot);
}

static void broker_lost_in_every_stage(void **state) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    struct fb_slot *slot = make_ready(4);
    uint32_t carrying = carry(slot, 1, 0);
    offer(slot, 2, 0);
    uint32_t describing = expect(slot, FB_SLOT_PEER_CREATE).m;
    offer(slot, 3, 0);
    uint32_t answered = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, answered, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    offer(slot, 4, 0);
    uint32_t opening = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, opening, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    release(slot, 4, 0xe0, 0);
    expect(slot, FB_SLOT_EGRESS_OPEN);
    fb_slot_broker_closed(slot, 0, 5);
    /* Those that still needed the broker go; the others do not notice. */
    uint32_t closed = 0;
    struct fb_slot_action action;
    while (fb_slot_poll(slot, &action)) {
        if (action.type == FB_SLOT_PEER_CLOSE)
            closed += action.m;
        assert_int_not_equal(action.type, FB_SLOT_BROKER_SEND);
    }
    assert_int_equal(closed, describing + answered);
    fb_slot_egress_open(slot, opening, 6);
    expect(slot, FB_SLOT_EGRESS_SEND);
    fb_slot_peer_open(slot, opening, 6);
    assert_int_equal(view_of(slot).people_now, 2);
    assert_int_equal(relay(slot, carrying, true, FB_KIND_SESSION, 9, 0, 7), FB_RELAY_PASS);
    /* The new socket's numbers mean other matches. */
    uint64_t now = fb_slot_deadline(slot);
    fb_slot_tick(slot, now);
    while (fb_slot_poll(slot, &action))
        continue;
    welcome(slot, now);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 2);
    release(slot, 1, 0xe0, now);
    struct fb_vol_msg cancel = {.type = FB_VOL_CANCEL, .match = 4};
    broker_says(slot, &cancel, now);
    expect_nothing(slot);
    fb_slot_peer_closed(slot, carrying, now);
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL);
    expect(slot, FB_SLOT_EGRESS_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 1); /* and no DONE */
    done(slot);
}

static void time_limits(void **state) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    struct fb_slot *slot = make_ready(1);
    /* Never described. */
    offer(slot, 1, 0);
    expect(slot, FB_SLOT_PEER_CREATE);
    fb_slot_tick(slot, FB_SLOT_DESCRIBE_MS);
    expect(slot, FB_SLOT_PEER_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_DECLINE).decline, FB_DECLINE_FAILED);
    expect_said(slot, FB_VOL_READY);
    /* Never released. */
    offer(slot, 2, 0);
    uint32_t m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    fb_slot_tick(slot, FB_SLOT_RELEASE_MS);
    expect(slot, FB_SLOT_PEER_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_STOPPED);
    expect_said(slot, FB_VOL_READY);
    /* The data channel, or the egress, never opens. */
    for (int peer = 0; peer < 2; peer++) {
        offer(slot, 3, 0);
        m = expect(slot, FB_SLOT_PEER_CREATE).m;
        fb_slot_peer_described(slot, m, &desc, 0);
        expect_said(slot, FB_VOL_ANSWER);
        release(slot, 3, 0xe0, 0);
        expect(slot, FB_SLOT_EGRESS_OPEN);
        if (peer)
            fb_slot_peer_open(slot, m, 0);
        expect_nothing(slot);
        assert_true(fb_slot_deadline(slot) == FB_SLOT_OPEN_MS);
        fb_slot_tick(slot, FB_SLOT_OPEN_MS);
        if (peer)
            expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FAREWELL);
        expect(slot, FB_SLOT_EGRESS_CLOSE);
        expect(slot, FB_SLOT_PEER_CLOSE);
        assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome,
                         peer ? FB_OUTCOME_EGRESS_FAILED : FB_OUTCOME_PEER_FAILED);
        expect_said(slot, FB_VOL_READY);
    }
    expect_nothing(slot);
    done(slot);
}

static void early_ends(void **state) {
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    struct fb_slot *slot = make_ready(1);
    struct fb_vol_msg cancel = {.type = FB_VOL_CANCEL, .match = 1};
    /* Glue could not make the peer. */
    offer(slot, 1, 0);
    fb_slot_peer_closed(slot, expect(slot, FB_SLOT_PEER_CREATE).m, 0);
    expect_said(slot, FB_VOL_DECLINE);
    expect_said(slot, FB_VOL_READY);
    /* A description that is none, or that would let the reader's side send the ClientHello. */
    for (int i = 0; i < 2; i++) {
        struct fb_desc bad = desc_of(i == 0 ? FB_SETUP_PASSIVE : FB_SETUP_ACTIVE);
        bad.sctp_port = (uint16_t)(i == 0 ? 5000 : 0);
        offer(slot, 1, 0);
        fb_slot_peer_described(slot, expect(slot, FB_SLOT_PEER_CREATE).m, &bad, 0);
        expect(slot, FB_SLOT_PEER_CLOSE);
        expect_said(slot, FB_VOL_DECLINE);
        expect_said(slot, FB_VOL_READY);
    }
    /* The client went away. */
    offer(slot, 1, 0);
    expect(slot, FB_SLOT_PEER_CREATE);
    broker_says(slot, &cancel, 0);
    expect(slot, FB_SLOT_PEER_CLOSE);
    expect_said(slot, FB_VOL_READY);
    /* Even before the peer was made: nothing is left to do. */
    offer(slot, 1, 0);
    broker_says(slot, &cancel, 0);
    expect_said(slot, FB_VOL_READY);
    expect_nothing(slot);
    /* An egress that this volunteer does not know: it connects to no such thing. */
    offer(slot, 1, 0);
    uint32_t m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    release(slot, 1, 0xee, 0);
    expect(slot, FB_SLOT_PEER_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_EGRESS_FAILED);
    expect_said(slot, FB_VOL_READY);
    /* The egress refuses. */
    offer(slot, 1, 0);
    m = expect(slot, FB_SLOT_PEER_CREATE).m;
    fb_slot_peer_described(slot, m, &desc, 0);
    expect_said(slot, FB_VOL_ANSWER);
    release(slot, 1, 0xe0, 0);
    expect(slot, FB_SLOT_EGRESS_OPEN);
    fb_slot_egress_closed(slot, m, 0);
    expect(slot, FB_SLOT_PEER_CLOSE);
    assert_int_equal(expect_said(slot, FB_VOL_DONE).outcome, FB_OUTCOME_EGRESS_FAILED);
    expect_said(slot, FB_VOL_READY);
    expect_nothing(slot);
    done(slot);
}

static void set_people(struct fb_slot *slot, uint16_t people) {
    struct fb_slot_limits limits = {.people = people};
    fb_slot_set_limits(slot, &limits, 0);
}

static void capacity(void **state) {
    struct fb_slot *slot = make_ready(2);
    carry(slot, 1, 0);
    uint32_t second = carry(slot, 2, 0);
    /* More than was asked for is declined. */
    offer(slot, 3, 0);
    struct fb_vol_msg said = expect_said(slot, FB_VOL_DECLINE);
    assert_true(said.match == 3);
    assert_int_equal(said.decline, FB_DECLINE_BUSY);
    expect_nothing(slot);
    set_people(slot, 5);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 3);
    /* Promised is promised, but not kept where the person changed their mind. */
    set_people(slot, 1);
    expect_nothing(slot);
    offer(slot, 4, 0);
    expect_said(slot, FB_VOL_DECLINE);
    fb_slot_peer_closed(slot, second, 0);
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL);
    expect(slot, FB_SLOT_EGRESS_CLOSE);
    expect_said(slot, FB_VOL_DONE);
    expect_nothing(slot);
    set_people(slot, UINT16_MAX);
    assert_int_equal(view_of(slot).capacity, FB_SLOT_CAPACITY_MAX);
    done(slot);
}

static void birth(void **state) {
    struct fb_slot_config config = {.egress_count = FB_SLOT_EGRESS_MAX + 1};
    counted = (struct test_mem){0};
    mem = test_mem_make(&counted);
    rng = test_rng_make(&seed);
    assert_null(fb_slot_new(&mem, &rng, &config));
    config.egress_count = 0;
    counted.fail_at = 1;
    assert_null(fb_slot_new(&mem, &rng, &config));
    fb_slot_free(NULL);
    /* All memory is taken at birth: a whole life allocates nothing more. */
    struct fb_slot *slot = make_ready(1);
    carry(slot, 1, 0);
    assert_true(counted.count == 1);
    done(slot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(off_until_switched_on),
        cmocka_unit_test(one_reader),
        cmocka_unit_test(the_only_egress_is_opened_early),
        cmocka_unit_test(peer_opens_first),
        cmocka_unit_test(relay_rules),
        cmocka_unit_test(full_queue_closes),
        cmocka_unit_test(queue_reports),
        cmocka_unit_test(holding_until_open),
        cmocka_unit_test(farewells),
        cmocka_unit_test(switched_off),
        cmocka_unit_test(back_off),
        cmocka_unit_test(broker_that_says_nothing),
        cmocka_unit_test(status_keeps_the_socket_alive),
        cmocka_unit_test(broker_lost_in_every_stage),
        cmocka_unit_test(time_limits),
        cmocka_unit_test(early_ends),
        cmocka_unit_test(capacity),
        cmocka_unit_test(birth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
