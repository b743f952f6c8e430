/* core/lanes: which lane takes a message, which has stalled, and how many there should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/lanes.h"

#define START 100000 /* clocks do not begin at zero */

static void least_held_takes_it(void **state) {
    struct fb_lanes lanes = {0};
    uint32_t held[FB_LANES_MAX] = {0};
    assert_int_equal(fb_lanes_pick(&lanes, held, 100, START), -1);
    assert_int_equal(fb_lanes_least(&lanes), -1);
    fb_lanes_open(&lanes, 2, START);
    fb_lanes_open(&lanes, 5, START);
    fb_lanes_open(&lanes, 15, START);
    held[0] = 0; /* not open, so not looked at */
    held[2] = 300;
    held[5] = 100;
    held[15] = 200;
    assert_int_equal(fb_lanes_pick(&lanes, held, 1000, START), 5);
    assert_int_equal(fb_lanes_held(&lanes, held), 600);
    /* As far as is known, the message counts at once. */
    assert_int_equal(fb_lanes_least(&lanes), 15);
    held[5] = 1100;
    assert_int_equal(fb_lanes_pick(&lanes, held, 1000, START), 15);
    fb_lanes_shut(&lanes, 15);
    assert_int_equal(fb_lanes_pick(&lanes, held, 1000, START), 2);
    fb_lanes_shut(&lanes, 2);
    fb_lanes_shut(&lanes, 5);
    assert_int_equal(fb_lanes_pick(&lanes, held, 1000, START), -1);
}

static void ties_take_turns(void **state) {
    struct fb_lanes lanes = {0};
    uint32_t held[FB_LANES_MAX] = {0};
    unsigned taken[FB_LANES_MAX] = {0};
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        fb_lanes_open(&lanes, i, START);
    for (unsigned i = 0; i < 160; i++)
        taken[fb_lanes_pick(&lanes, held, 100, START)]++;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        assert_int_equal(taken[i], 10);
}

/* Fluid model: each lane drains `rate` bytes a millisecond. */
static void drain(uint32_t held[FB_LANES_MAX], uint32_t rate, unsigned dead) {
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        if (i != dead)
            held[i] -= held[i] < rate ? held[i] : rate;
}

static void dead_lane_is_found(void **state) {
    struct fb_lanes lanes = {0};
    uint32_t held[FB_LANES_MAX] = {0};
    uint64_t found = 0;
    unsigned on_dead = 0;
    for (size_t i = 0; i < 4; i++)
        fb_lanes_open(&lanes, i, START);
    for (uint64_t t = 0; t < 20000 && found == 0; t++) {
        drain(held, 100, t < 2000 ? FB_LANES_MAX : 3);
        int i = fb_lanes_pick(&lanes, held, 250, START + t);
        held[i] += 250;
        on_dead += t >= 2000 && i == 3;
        if (fb_lanes_stalled(&lanes, START + t) >= 0) {
            assert_int_equal(fb_lanes_stalled(&lanes, START + t), 3);
            found = t;
        }
    }
    assert_in_range(found, 2000 + FB_LANE_STALL_MS - 100, 2000 + FB_LANE_STALL_MS + 100);
    /* It was no longer chosen once the others were emptier. */
    assert_true(on_dead < 20);
}

/* When nothing moves, the line is to blame and not a lane. */
static void all_dead_is_no_stall(void **state) {
    struct fb_lanes lanes = {0};
    uint32_t held[FB_LANES_MAX] = {0};
    fb_lanes_open(&lanes, 0, START);
    fb_lanes_open(&lanes, 1, START);
    for (uint64_t t = 0; t < 20000; t += 100) {
        held[fb_lanes_pick(&lanes, held, 100, START + t)] += 100;
        if (t > 1000)
            assert_int_equal(fb_lanes_stalled(&lanes, START + t), -1);
    }
}

/* ---- how many ---- */

/* A path whose lanes carry lane_rate each up to line_rate, with an end that is full as long as it
 * wants more than that. Bytes a second. */
struct line {
    struct fb_lane_plan plan;
    uint64_t lane_rate, line_rate, wanted;
    uint64_t now, delivered;
    size_t open, opening, room, offered, most;
    uint64_t opens_at;
};

static uint64_t carried(const struct line *line) {
    uint64_t rate = line->lane_rate * line->open;
    return rate < line->line_rate ? rate : line->line_rate;
}

static void run(struct line *line, uint64_t ms) {
    for (uint64_t end = line->now + ms; line->now < end; line->now += FB_LANES_LOOK_MS) {
        uint64_t can = carried(line), rate = line->wanted < can ? line->wanted : can;
        line->delivered += rate * FB_LANES_LOOK_MS / 1000;
        if (line->wanted > can)
            fb_lane_plan_full(&line->plan, line->now);
        if (line->opening > 0 && line->now >= line->opens_at) {
            line->open += line->opening;
            line->opening = 0;
        }
        struct fb_lane_state state = {.open = line->open,
                                      .pending = line->opening,
                                      .room = line->room - line->open - line->opening,
                                      .delivered = line->delivered,
                                      .rtt_ms = 100};
        int change = fb_lane_plan_poll(&line->plan, &state, line->now);
        if (change > 0) {
            assert_int_equal(line->opening, 0);
            line->opening = (size_t)change;
            line->offered += (size_t)change;
            line->opens_at = line->now + 600; /* offer, ICE, DTLS, SCTP at 100 ms */
        } else {
            assert_true((size_t)-change < line->open);
            line->open -= (size_t)-change;
        }
        line->most = line->open > line->most ? line->open : line->most;
        assert_true(line->open + line->opening <= line->room);
    }
}

static struct line line_of(uint64_t lane_rate, uint64_t line_rate) {
    return (struct line){.lane_rate = lane_rate,
                         .line_rate = line_rate,
                         .wanted = UINT32_MAX,
                         .now = START,
                         .open = 1,
                         .room = FB_LANES_MAX};
}

static void sixteen_on_a_lossy_line(void **state) {
    struct line line = line_of(125000, 12500000);
    run(&line, 5000);
    assert_int_equal(line.open, 16);
    run(&line, 60000);
    assert_int_equal(line.open, 16);
    assert_int_equal(line.offered, 15);
}

static void as_many_as_pay(void **state) {
    /* 50 Mbit/s, 10 a lane: the eighth lane is needed, the ninth would bring nothing. */
    struct line line = line_of(1250000, 6250000);
    run(&line, 12000);
    assert_int_equal(line.most, 16);
    assert_in_range(line.open, 9, 15); /* taken back one by one: the others learn to carry more */
    run(&line, 5000);
    assert_int_equal(line.open, 8);
    /* Lanes die while others are taken back: no more go than were to. */
    line = line_of(1250000, 6250000);
    run(&line, 9000);
    assert_in_range(line.open, 9, 15);
    line.open = 6;
    line.room = 6;
    run(&line, 20000);
    assert_int_equal(line.open, 6);
    /* A line that one lane fills: eight are tried, and given back, ever more rarely. */
    line = line_of(2500000, 2500000);
    run(&line, 60000);
    assert_int_equal(line.most, 8);
    assert_int_equal(line.open, 1);
    assert_in_range(line.offered, 14, 35);
    assert_true(line.plan.hold > FB_LANES_HOLD_MS);
}

static void none_without_need(void **state) {
    struct line line = line_of(12500000, 12500000); /* a local network: the ends are the limit */
    run(&line, 30000);
    assert_int_equal(line.offered, 0);
    line = line_of(125000, 12500000);
    line.wanted = 100000;
    run(&line, 30000);
    assert_int_equal(line.offered, 0);
    /* Twice what one lane carries. */
    line.wanted = 240000;
    run(&line, 30000);
    assert_in_range(line.open, 4, 8);
}

static void never_more_than_there_is_room_for(void **state) {
    struct line line = line_of(125000, 12500000);
    line.room = 5;
    run(&line, 30000);
    assert_int_equal(line.open, 5);
    line = line_of(125000, 12500000);
    line.room = 1;
    run(&line, 30000);
    assert_int_equal(line.offered, 0);
}

static void closed_when_idle(void **state) {
    struct line line = line_of(125000, 12500000);
    run(&line, 8000);
    assert_int_equal(line.open, 16);
    line.wanted = 0;
    run(&line, FB_LANES_IDLE_MS / 2);
    assert_int_equal(line.open, 16);
    run(&line, FB_LANES_IDLE_MS);
    assert_int_equal(line.open, 1);
    /* What two lanes carry keeps few; full load brings all back. */
    line.wanted = UINT32_MAX;
    run(&line, 8000);
    assert_int_equal(line.open, 16);
    line.wanted = 200000;
    run(&line, 30000);
    assert_in_range(line.open, 2, 8);
}

static void one_that_dies_is_replaced(void **state) {
    struct line line = line_of(125000, 12500000);
    run(&line, 8000);
    line.open = 15;
    run(&line, 4000);
    assert_int_equal(line.open, 16);
}

/* A volunteer that takes no lane, or whose lanes never open, is not asked again and again. */
static void refusals_are_respected(void **state) {
    struct fb_lane_plan plan = {0};
    struct fb_lane_state now = {.open = 1, .room = 15, .rtt_ms = 100};
    unsigned asked = 0;
    for (uint64_t t = 0; t < 120000; t += FB_LANES_LOOK_MS) {
        now.delivered = t * 125;
        fb_lane_plan_full(&plan, START + t);
        if (fb_lane_plan_poll(&plan, &now, START + t) > 0) {
            asked++;
            fb_lane_plan_failed(&plan, START + t);
        }
    }
    assert_in_range(asked, 3, 6);
}

/* Whatever happens, offers stay far below what a volunteer takes for a flood (FB_SLOT_LANE_...). */
static void offers_are_bounded(void **state) {
    struct line line = line_of(125000, 12500000);
    for (int i = 0; i < 600; i++) {
        run(&line, 500);
        if (line.opening == 0)
            line.open = 1; /* they die as soon as they are there */
    }
    assert_in_range(line.offered, 10, FB_LANE_OFFERS + 300000 / FB_LANE_OFFER_MS + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(least_held_takes_it),
        cmocka_unit_test(ties_take_turns),
        cmocka_unit_test(dead_lane_is_found),
        cmocka_unit_test(all_dead_is_no_stall),
        cmocka_unit_test(sixteen_on_a_lossy_line),
        cmocka_unit_test(as_many_as_pay),
        cmocka_unit_test(none_without_need),
        cmocka_unit_test(never_more_than_there_is_room_for),
        cmocka_unit_test(closed_when_idle),
        cmocka_unit_test(one_that_dies_is_replaced),
        cmocka_unit_test(refusals_are_respected),
        cmocka_unit_test(offers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
