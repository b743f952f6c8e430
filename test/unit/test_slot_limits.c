/* The visitor's limits: speed, amount, hours, place; and what is told of trouble. */
#include "slot_rig.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define DAY_MIN 1440
#define MIB (1024 * 1024)
/* Minutes from 1970 to the local midnight that begins 2026-11-30, a Monday. */
#define NOV_30 (20787u * DAY_MIN)

static void limit(struct fb_slot *slot, struct fb_slot_limits limits, uint64_t now) {
    fb_slot_set_limits(slot, &limits, now);
}

/* ---- speed ---- */

/* Glue with queues that never run dry: passes what may go, and counts it by match and direction. */
struct load {
    struct fb_slot *slot;
    uint32_t m[4];
    uint64_t passed[4][2];
    size_t len[4][2]; /* of the messages; 0: none */
    unsigned waiting[4][2];
};

static void took(struct load *load, size_t i, bool up, enum fb_relay what) {
    assert_true(what == FB_RELAY_PASS || what == FB_RELAY_WAIT);
    if (what == FB_RELAY_PASS)
        load->passed[i][up] += load->len[i][up];
    else
        load->waiting[i][up]++;
}

static void fill_up(struct load *load, uint64_t now) {
    for (size_t i = 0; i < 4; i++)
        for (unsigned up = 0; up < 2; up++)
            while (load->len[i][up] > 0 && load->waiting[i][up] < 3)
                took(load, i, up,
                     relay(load->slot, load->m[i], up, FB_KIND_SESSION, load->len[i][up], 0, now));
}

static void next_ones(struct load *load, uint64_t now) {
    struct fb_slot_action action;
    while (fb_slot_poll(load->slot, &action)) {
        uint32_t held[FB_LANES_MAX] = {0}, lane;
        size_t i = 0;
        if (action.type != FB_SLOT_NEXT)
            continue;
        while (load->m[i] != action.m)
            i++;
        assert_true(load->waiting[i][action.from_client] > 0);
        load->waiting[i][action.from_client]--;
        took(load, i, action.from_client,
             fb_slot_next(load->slot, action.m, action.from_client,
                          load->len[i][action.from_client], held, &lane, now));
        fill_up(load, now);
    }
}

/* Timers that are late by so much. */
static void run_load(struct load *load, uint64_t *now, uint64_t until, uint64_t late) {
    while (*now < until) {
        fill_up(load, *now);
        next_ones(load, *now);
        fill_up(load, *now);
        uint64_t due = fb_slot_deadline(load->slot);
        *now = (due > *now ? due : *now) + late;
        fb_slot_tick(load->slot, *now);
        next_ones(load, *now);
    }
}

static uint64_t sum_of(const struct load *load, size_t i) {
    return load->passed[i][0] + load->passed[i][1];
}

/* 2 Mbit/s for two, one of them with many times the messages and both directions: each has half. */
static void speed_is_shared(void **state) {
    for (uint64_t late = 0; late <= 30; late += 15) {
        struct load load = {.slot = make_ready(4), .len = {{16000, 16000}, {1100, 0}, {0}, {0}}};
        uint64_t now = 1000;
        load.m[0] = carry(load.slot, 1, now);
        load.m[1] = carry(load.slot, 2, now);
        limit(load.slot, (struct fb_slot_limits){.rate = 250000}, now);
        next_ones(&load, now);
        run_load(&load, &now, now + 10 * SECOND, late);
        uint64_t one = sum_of(&load, 0), two = sum_of(&load, 1);
        assert_in_range(one + two, 2450000, 2560000);
        assert_in_range(one, two - 20000, two + 40000);
        assert_in_range(load.passed[0][0], load.passed[0][1] - 16000, load.passed[0][1] + 16000);
        struct fb_slot_view view = view_of(load.slot);
        assert_true(view.bytes_up + view.bytes_down == one + two);
        fb_slot_free(load.slot);
    }
}

/* Who comes later has not saved anything up, and neither has the time when nobody came. */
static void nothing_is_saved_up(void **state) {
    struct load load = {.slot = make_ready(4), .len = {{1100, 0}, {0}, {0}, {0}}};
    uint64_t now = 1000;
    load.m[0] = carry(load.slot, 1, now);
    load.m[1] = carry(load.slot, 2, now);
    limit(load.slot, (struct fb_slot_limits){.rate = 250000}, now);
    next_ones(&load, now);
    now += 60 * SECOND;
    run_load(&load, &now, now + 1 * SECOND, 0);
    assert_in_range(sum_of(&load, 0), 250000, 250000 + 250 * FB_SLOT_RATE_BURST_MS + 2200);
    run_load(&load, &now, now + 9 * SECOND, 0);
    uint64_t before = sum_of(&load, 0);
    load.len[1][1] = 1100;
    run_load(&load, &now, now + 4 * SECOND, 0);
    assert_in_range(sum_of(&load, 0) - before, 490000, 510000);
    assert_in_range(sum_of(&load, 1), 490000, 510000);
    /* No limit any more: what waits goes at once. */
    load.len[0][0] = load.len[1][1] = 0;
    limit(load.slot, (struct fb_slot_limits){0}, now);
    memset(load.len, 0, sizeof load.len);
    next_ones(&load, now);
    assert_int_equal(load.waiting[0][0] + load.waiting[1][1], 0);
    fb_slot_free(load.slot);
}

static enum fb_relay next(struct fb_slot *slot, size_t len, uint64_t now) {
    uint32_t held[FB_LANES_MAX] = {0}, lane;
    struct fb_slot_action action = expect(slot, FB_SLOT_NEXT);
    return fb_slot_next(slot, action.m, action.from_client, len, held, &lane, now);
}

/* In order, and hop control overtakes; what waits is reported, and bounded as any queue. */
static void waiting(void **state) {
    struct fb_slot *slot = make_ready(1);
    uint64_t now = 1000;
    uint32_t m = carry(slot, 1, now);
    limit(slot, (struct fb_slot_limits){.rate = 16000}, now);
    expect_nothing(slot);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 16000, 0, now), FB_RELAY_PASS);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 100, 0, now), FB_RELAY_WAIT);
    assert_int_equal(relay(slot, m, false, FB_KIND_HOP, 6, 0, now), FB_RELAY_HOP);
    assert_int_equal(relay(slot, m, false, FB_KIND_COVER, 60, 0, now), FB_RELAY_DROP);
    for (unsigned i = 0; i < 16; i++)
        assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 16000, 0, now), FB_RELAY_WAIT);
    expect_nothing(slot);
    assert_int_equal(relay(slot, m, false, FB_KIND_SESSION, 16000, 0, now), FB_RELAY_WAIT);
    assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_QUEUE).bytes, 17 * 16000 + 100);
    assert_true(fb_slot_deadline(slot) == now + 950); /* 50 of silence were made up for */
    now += 950;
    fb_slot_tick(slot, now);
    assert_int_equal(next(slot, 100, now), FB_RELAY_PASS);
    expect_nothing(slot);
    for (unsigned i = 0; i < 13; i++) {
        now = fb_slot_deadline(slot);
        fb_slot_tick(slot, now);
        assert_int_equal(next(slot, 16000, now), FB_RELAY_PASS);
    }
    assert_in_range(now, 13957, 13960);
    for (;;) {
        now = fb_slot_deadline(slot);
        fb_slot_tick(slot, now);
        struct fb_slot_action action;
        uint32_t held[FB_LANES_MAX] = {0}, lane;
        assert_true(fb_slot_poll(slot, &action));
        if (action.type != FB_SLOT_NEXT)
            break;
        fb_slot_next(slot, m, false, 16000, held, &lane, now);
        if (fb_slot_poll(slot, &action))
            break; /* that it has become short */
    }
    unsigned n = 0;
    while (relay(slot, m, false, FB_KIND_SESSION, 16000, 0, now) == FB_RELAY_WAIT)
        n++;
    assert_in_range(n, 60, 65);
    expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL);
    assert_int_equal(view_of(slot).last_close, FB_FAREWELL_QUEUE);
    fb_slot_free(slot);
}

/* A low speed is for few; and with what waits by this side's choice more lanes would not help. */
static void few_at_low_speed(void **state) {
    struct fb_slot *slot = make_ready(4);
    static const struct {
        uint32_t rate;
        uint16_t people, capacity;
    } cases[] = {{1, 4, 1},
                 {31999, 4, 1},
                 {64000, 4, 2},
                 {250000, 4, 4},
                 {250000, 16, 7},
                 {0, 16, 16},
                 {0, 0, FB_SLOT_CAPACITY_DEFAULT},
                 {0, 999, FB_SLOT_CAPACITY_MAX}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        limit(slot, (struct fb_slot_limits){.rate = cases[i].rate, .people = cases[i].people}, 0);
        assert_int_equal(view_of(slot).capacity, cases[i].capacity);
    }
    struct fb_slot_action action;
    while (fb_slot_poll(slot, &action))
        continue;
    uint32_t m = carry(slot, 1, 0);
    static const uint8_t full[] = {FB_KIND_HOP, FB_HOP_FULL};
    fb_slot_hop(slot, m, false, full, sizeof full, 0);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FULL);
    limit(slot, (struct fb_slot_limits){.rate = 16000}, 0);
    relay(slot, m, false, FB_KIND_SESSION, 16000, 0, 100);
    relay(slot, m, false, FB_KIND_SESSION, 16000, 0, 100);
    fb_slot_hop(slot, m, false, full, sizeof full, 100);
    expect_nothing(slot);
    /* When nothing has had to wait for a while, it is the line that is full. */
    fb_slot_hop(slot, m, false, full, sizeof full, 1101);
    expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FULL);
    fb_slot_free(slot);
}

/* ---- amount ---- */

static void expect_paused(struct fb_slot *slot, unsigned matches, unsigned why) {
    for (unsigned i = 0; i < matches; i++) {
        assert_int_equal(expect_hop(slot, FB_SLOT_EGRESS_SEND, FB_HOP_FAREWELL).farewell,
                         FB_FAREWELL_OFF);
        assert_int_equal(expect_hop(slot, FB_SLOT_PEER_SEND, FB_HOP_FAREWELL).farewell,
                         FB_FAREWELL_OFF);
        expect(slot, FB_SLOT_EGRESS_CLOSE);
        expect(slot, FB_SLOT_PEER_CLOSE);
    }
    expect(slot, FB_SLOT_BROKER_CLOSE);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).state, FB_SLOT_PAUSED);
    assert_int_equal(view_of(slot).paused, why);
}

static void expect_resumed(struct fb_slot *slot, uint64_t now) {
    expect(slot, FB_SLOT_BROKER_CONNECT);
    welcome(slot, now);
    expect_said(slot, FB_VOL_READY);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).state, FB_SLOT_WAITING);
    assert_int_equal(view_of(slot).paused, 0);
}

/* Both hops of all that passes, up to a window before the end, never a message more. */
static void budget(void **state) {
    struct fb_slot *slot = make_ready(2);
    uint64_t budget = 5 * MIB, used = view_of(slot).used;
    assert_int_equal(used, 6 + 4 + 3); /* HELLO, WELCOME, READY */
    uint32_t m = carry(slot, 1, 0), other = carry(slot, 2, 0);
    limit(slot, (struct fb_slot_limits){.budget = budget, .month = 202611}, 0);
    assert_int_equal(expect_said(slot, FB_VOL_READY).free, 2);
    used = view_of(slot).used;
    assert_int_equal(relay(slot, m, true, FB_KIND_SESSION, 1000, 0, 1), FB_RELAY_PASS);
    assert_true(view_of(slot).used == used + 2000);
    assert_int_equal(relay(slot, m, true, FB_KIND_COVER, 500, 0, 1), FB_RELAY_DROP);
    assert_true(view_of(slot).used == used + 2500);
    assert_int_equal(relay(slot, m, true, FB_KIND_HOP, 6, 0, 1), FB_RELAY_HOP);
    assert_true(view_of(slot).used == used + 2506);
    uint64_t passed = 0;
    while (relay(slot, passed % 3 ? m : other, passed % 2, FB_KIND_SESSION, 15000, 0, 1) ==
           FB_RELAY_PASS)
        passed += 15000;
    expect_paused(slot, 2, FB_PAUSE_BUDGET);
    used = view_of(slot).used;
    assert_true(used >= budget - FB_SLOT_BUDGET_RESERVE);
    assert_true(used < budget - FB_SLOT_BUDGET_RESERVE + 2 * 15000 + 100);
    assert_true(used > 2 * passed && used < 2 * passed + 20000);
    /* What was under way counts, and starts nothing. */
    assert_int_equal(relay(slot, m, true, FB_KIND_SESSION, 1000, 0, 1), FB_RELAY_DROP);
    assert_true(view_of(slot).used == used + 1000);
    expect_nothing(slot);
    assert_true(fb_slot_deadline(slot) == FB_SLOT_NEVER);
    /* A larger one: on it goes, at once. */
    limit(slot, (struct fb_slot_limits){.budget = 6 * MIB, .month = 202611}, 2);
    expect_resumed(slot, 2);
    fb_slot_free(slot);
}

static void budgets_month(void **state) {
    struct fb_slot *slot = make_ready(1);
    struct fb_slot_limits limits = {.budget = 5 * MIB, .used = 5 * MIB, .month = 202611};
    limit(slot, limits, 0);
    expect_paused(slot, 0, FB_PAUSE_BUDGET);
    assert_true(view_of(slot).used == 5 * MIB);
    fb_slot_set_clock(slot, NOV_30 + DAY_MIN - 2, 10);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).month, 202611);
    assert_true(fb_slot_deadline(slot) == 10 + 2 * MINUTE);
    fb_slot_tick(slot, 10 + 2 * MINUTE - 1);
    expect_nothing(slot);
    fb_slot_tick(slot, 10 + 2 * MINUTE);
    expect_resumed(slot, 10 + 2 * MINUTE);
    assert_int_equal(view_of(slot).month, 202612);
    assert_in_range(view_of(slot).used, 1, 20);
    /* What glue remembers of the month before is over, and less than was counted is old news. */
    limit(slot, limits, 10 + 2 * MINUTE);
    assert_in_range(view_of(slot).used, 1, 20);
    limits.month = 202612;
    limits.used = 0;
    limit(slot, limits, 10 + 2 * MINUTE);
    assert_in_range(view_of(slot).used, 1, 20);
    limits.used = 1000;
    limit(slot, limits, 10 + 2 * MINUTE);
    assert_int_equal(view_of(slot).used, 1000);
    fb_slot_free(slot);
}

static void calendar(void **state) {
    static const struct {
        uint32_t day, month;
    } cases[] = {{0, 197001},     {30, 197001},    {31, 197002},    {58, 197002},
                 {59, 197003},    {364, 197012},   {365, 197101},   {789, 197202},
                 {790, 197203},   {11016, 200002}, {11017, 200003}, {20787, 202611},
                 {20788, 202612}, {20818, 202612}, {20819, 202701}, {47540, 210002},
                 {47541, 210003}};
    struct fb_slot *slot = make(1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fb_slot_set_clock(slot, cases[i].day * DAY_MIN + DAY_MIN - 1, i);
        assert_int_equal(view_of(slot).month, cases[i].month);
    }
    fb_slot_set_clock(slot, UINT32_MAX, 99);
    done(slot);
}

/* ---- hours and place ---- */

static void hours(void **state) {
    struct fb_slot *slot = make_ready(1);
    carry(slot, 1, 0);
    limit(slot, (struct fb_slot_limits){.people = 1, .from_min = 8 * 60, .to_min = 17 * 60}, 0);
    expect_nothing(slot); /* no clock yet */
    fb_slot_set_clock(slot, NOV_30 + 16 * 60 + 59, 0);
    expect_nothing(slot);
    assert_true(fb_slot_deadline(slot) <= 1 * MINUTE);
    fb_slot_tick(slot, MINUTE);
    expect_paused(slot, 1, FB_PAUSE_HOURS);
    assert_true(fb_slot_deadline(slot) == (24 - 17) * 60 * MINUTE + MINUTE); /* midnight */
    fb_slot_tick(slot, fb_slot_deadline(slot));
    expect_nothing(slot);
    uint64_t eight = (24 - 17 + 8) * 60 * MINUTE + MINUTE;
    assert_true(fb_slot_deadline(slot) == eight);
    fb_slot_tick(slot, eight);
    expect_resumed(slot, eight);
    /* Over midnight: off from 8 to 22. */
    limit(slot, (struct fb_slot_limits){.people = 1, .from_min = 22 * 60, .to_min = 8 * 60}, eight);
    expect_paused(slot, 0, FB_PAUSE_HOURS);
    assert_true(fb_slot_deadline(slot) == eight + 14 * 60 * MINUTE);
    /* The clock is set: it decides. */
    fb_slot_set_clock(slot, NOV_30 + 3 * DAY_MIN + 7 * 60, eight);
    expect_resumed(slot, eight);
    fb_slot_free(slot);
}

static void places(void **state) {
    struct fb_slot *slot = make_ready(1);
    carry(slot, 1, 0);
    fb_slot_set_place(slot, true, true, 1);
    expect_paused(slot, 1, FB_PAUSE_METERED | FB_PAUSE_BATTERY);
    fb_slot_set_place(slot, true, false, 1);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).paused, FB_PAUSE_METERED);
    limit(slot, (struct fb_slot_limits){.people = 1, .metered = true}, 2);
    expect_resumed(slot, 2);
    fb_slot_set_place(slot, true, true, 3);
    expect_paused(slot, 0, FB_PAUSE_BATTERY);
    /* Off is off, and on again in such a place is paused. */
    fb_slot_switch(slot, false, 4);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).state, FB_SLOT_OFF);
    assert_int_equal(view_of(slot).paused, 0);
    fb_slot_switch(slot, true, 5);
    expect_nothing(slot);
    assert_int_equal(view_of(slot).state, FB_SLOT_PAUSED);
    fb_slot_switch(slot, false, 6);
    fb_slot_set_place(slot, false, false, 7);
    expect_nothing(slot);
    assert_true(fb_slot_deadline(slot) == FB_SLOT_NEVER);
    fb_slot_switch(slot, true, 8);
    expect_resumed(slot, 8);
    fb_slot_free(slot);
}

/* ---- who, and what went wrong ---- */

static void people(void **state) {
    struct fb_slot *slot = make_ready(4);
    struct fb_slot_person who[FB_SLOT_CAPACITY_MAX];
    assert_int_equal(fb_slot_people(slot, who), 0);
    uint32_t one = carry(slot, 1, 0), two = carry(slot, 2, 0);
    offer(slot, 3, 0); /* not there yet */
    assert_int_equal(fb_slot_people(slot, who), 2);
    assert_true(who[0].id + who[1].id == one + two && who[0].id != who[1].id);
    assert_string_equal(who[0].country, "IR");
    fb_slot_peer_closed(slot, one, 0);
    assert_int_equal(fb_slot_people(slot, who), 1);
    assert_int_equal(who[0].id, two);
    fb_slot_free(slot);
}

static struct fb_slot *greeting(void) {
    struct fb_slot *slot = make(1);
    fb_slot_switch(slot, true, 0);
    fb_slot_broker_open(slot, 0);
    return slot;
}

static void expect_trouble(struct fb_slot *slot, enum fb_slot_trouble trouble, uint64_t now) {
    struct fb_slot_action action;
    while (fb_slot_poll(slot, &action))
        continue;
    assert_int_equal(view_of(slot).trouble, trouble);
    /* It goes on working, and what was is still told. */
    for (unsigned i = 0; i < 100 && view_of(slot).people_now == 0; i++) {
        struct fb_vol_msg hello = {.type = FB_VOL_WELCOME, .welcome = {1, "NL"}};
        now = fb_slot_deadline(slot) > now ? fb_slot_deadline(slot) : now;
        fb_slot_tick(slot, now);
        while (fb_slot_poll(slot, &action))
            continue;
        fb_slot_broker_open(slot, now);
        while (fb_slot_poll(slot, &action))
            continue;
        if (!view_of(slot).broker)
            broker_says(slot, &hello, now);
        while (fb_slot_poll(slot, &action))
            continue;
        if (view_of(slot).broker)
            carry(slot, 1000 + i, now);
    }
    assert_int_equal(view_of(slot).people_now, 1);
    assert_int_equal(view_of(slot).trouble, trouble);
    done(slot);
}

static void troubles(void **state) {
    static const uint8_t garbage[] = {99, 1, 2}, old[] = {FB_VOL_WELCOME, 2, 'X', 'X'};
    static const uint8_t long_one[FB_VOL_MAX + 1] = {FB_VOL_WELCOME, 1};
    struct fb_desc desc = desc_of(FB_SETUP_ACTIVE);
    struct fb_slot *slot = make(1);
    assert_int_equal(view_of(slot).trouble, FB_TROUBLE_NONE);
    fb_slot_switch(slot, true, 0);
    fb_slot_broker_closed(slot, 1006, 0);
    expect_trouble(slot, FB_TROUBLE_UNREACHABLE, 0);
    slot = make(1);
    fb_slot_switch(slot, true, 0);
    fb_slot_tick(slot, FB_SLOT_WELCOME_MS);
    expect_trouble(slot, FB_TROUBLE_UNREACHABLE, FB_SLOT_WELCOME_MS);
    slot = greeting();
    fb_slot_tick(slot, FB_SLOT_WELCOME_MS);
    expect_trouble(slot, FB_TROUBLE_SILENT, FB_SLOT_WELCOME_MS);
    slot = greeting();
    fb_slot_broker_message(slot, garbage, sizeof garbage, 0);
    expect_trouble(slot, FB_TROUBLE_GARBAGE, 0);
    slot = greeting();
    fb_slot_broker_message(slot, old, sizeof old, 0);
    expect_trouble(slot, FB_TROUBLE_VERSION, 0);
    slot = greeting();
    fb_slot_broker_closed(slot, FB_SLOT_CODE_VERSION, 0);
    expect_trouble(slot, FB_TROUBLE_VERSION, 0);
    slot = greeting();
    fb_slot_broker_message(slot, long_one, sizeof long_one, 0);
    expect_trouble(slot, FB_TROUBLE_OVERSIZED, 0);
    slot = greeting();
    fb_slot_broker_closed(slot, FB_SLOT_CODE_TOO_BIG, 0);
    expect_trouble(slot, FB_TROUBLE_OVERSIZED, 0);
    for (unsigned i = 0; i < 2; i++) { /* a match and then nothing; an egress of its own */
        slot = make_ready(1);
        offer(slot, 1, 0);
        fb_slot_peer_described(slot, expect(slot, FB_SLOT_PEER_CREATE).m, &desc, 0);
        expect_said(slot, FB_VOL_ANSWER);
        if (i == 0)
            fb_slot_tick(slot, FB_SLOT_RELEASE_MS);
        else
            release(slot, 1, 0xee, 0);
        expect_trouble(slot, i == 0 ? FB_TROUBLE_SILENT : FB_TROUBLE_EGRESS, FB_SLOT_RELEASE_MS);
    }
    slot = make_ready(2);
    for (uint64_t i = 0; i < 3; i++)
        offer(slot, i, 0);
    for (uint64_t i = 3; i < 300; i++)
        offer(slot, i, 0);
    expect_trouble(slot, FB_TROUBLE_FLOOD, 0);
    slot = make_ready(2);
    relay(slot, carry(slot, 1, 0), true, FB_KIND_SESSION, FB_MESSAGE_MAX + 1, 0, 0);
    expect_trouble(slot, FB_TROUBLE_OVERSIZED, 0);
}

/* An operator that is down: after ten minutes no more than one attempt a minute. */
static void dead_operator(void **state) {
    struct fb_slot *slot = make(1);
    struct fb_slot_action action;
    uint64_t now = 0, last = 0;
    unsigned attempts = 0;
    fb_slot_switch(slot, true, now);
    while (now < (uint64_t)3600 * SECOND) {
        while (fb_slot_poll(slot, &action)) {
            if (action.type != FB_SLOT_BROKER_CONNECT)
                continue;
            assert_true(now < 10 * MINUTE || now - last >= MINUTE);
            last = now;
            attempts++;
            fb_slot_broker_closed(slot, 1006, now);
        }
        now = fb_slot_deadline(slot);
        fb_slot_tick(slot, now);
    }
    assert_in_range(attempts, 20, 50);
    fb_slot_free(slot);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(speed_is_shared), cmocka_unit_test(nothing_is_saved_up),
        cmocka_unit_test(waiting),         cmocka_unit_test(few_at_low_speed),
        cmocka_unit_test(budget),          cmocka_unit_test(budgets_month),
        cmocka_unit_test(calendar),        cmocka_unit_test(hours),
        cmocka_unit_test(places),          cmocka_unit_test(people),
        cmocka_unit_test(troubles),        cmocka_unit_test(dead_operator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
