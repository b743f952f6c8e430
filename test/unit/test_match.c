/* core/match: who gets which offer, what happens when nobody answers, and what is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/match.h"
#include "env.h"

static struct test_mem counted;
static struct fb_mem mem;
static uint64_t seed;
static struct fb_rng rng;

static struct fb_match *make(struct fb_match_config config) {
    counted = (struct test_mem){0};
    seed = 1;
    mem = test_mem_make(&counted);
    rng = test_rng_make(&seed);
    struct fb_match *match = fb_match_new(&mem, &rng, &config);
    assert_non_null(match);
    return match;
}

static void done(struct fb_match *match) {
    fb_match_free(match);
    assert_true(counted.live == 0);
}

/* "DE", the third octet of its /24 (0: unknown prefix). */
static struct fb_match_end end_of(const char *country, uint8_t octet, enum fb_nat nat) {
    struct fb_match_end end = {.nat = nat};
    struct fb_addr addr = {.family = 4, .ip = {8, 8, octet, 1}};
    memcpy(end.country, country, strlen(country));
    if (octet != 0)
        fb_addr_prefix(&addr, end.prefix);
    return end;
}

static uint64_t join(struct fb_match *match, const char *country, uint8_t octet, enum fb_nat nat,
                     uint16_t places) {
    struct fb_match_end end = end_of(country, octet, nat);
    uint64_t id = 0;
    assert_int_equal(fb_match_join(match, &end, FB_VOLUNTEER_BROWSER, &counted, &id), 0);
    assert_int_equal(fb_match_ready(match, id, places, 0), 0);
    return id;
}

static uint64_t ask(struct fb_match *match, const char *country, uint8_t octet, enum fb_nat nat,
                    uint64_t now_ms) {
    struct fb_match_request request = {.end = end_of(country, octet, nat)};
    uint64_t id = 0;
    assert_int_equal(fb_match_request(match, &request, &rng, now_ms, &id), 0);
    return id;
}

/* The next action is an offer to that volunteer; gives the match's number. */
static uint64_t expect_offer(struct fb_match *match, uint64_t volunteer, uint64_t request) {
    struct fb_match_action action;
    assert_true(fb_match_poll(match, &action));
    assert_int_equal(action.type, FB_MATCH_OFFER);
    assert_true(action.volunteer == volunteer && action.request == request);
    assert_ptr_equal(action.volunteer_ctx, &counted);
    assert_ptr_equal(action.request_ctx, &rng);
    return action.id;
}

static void expect_told(struct fb_match *match, enum fb_match_action_type type, uint64_t request) {
    struct fb_match_action action;
    assert_true(fb_match_poll(match, &action));
    assert_int_equal(action.type, type);
    assert_true(action.request == request);
    assert_ptr_equal(action.request_ctx, &rng);
}

static void expect_withdraw(struct fb_match *match, uint64_t volunteer, uint64_t id) {
    struct fb_match_action action;
    assert_true(fb_match_poll(match, &action));
    assert_int_equal(action.type, FB_MATCH_WITHDRAW);
    assert_true(action.volunteer == volunteer && action.id == id);
}

static void expect_nothing(struct fb_match *match) {
    struct fb_match_action action;
    assert_false(fb_match_poll(match, &action));
}

static void one_match(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 1);
    uint64_t request = ask(match, "IR", 2, FB_NAT_HARD, 100);
    uint64_t id = expect_offer(match, vol, request);
    expect_nothing(match);
    assert_true(fb_match_deadline(match) == 10100);
    void *ctx = NULL;
    assert_int_equal(fb_match_answered(match, vol, id, &ctx, 200), 0);
    assert_ptr_equal(ctx, &rng);
    assert_true(fb_match_deadline(match) == FB_MATCH_NEVER);
    struct fb_match_counts counts;
    fb_match_count(match, &counts);
    assert_true(counts.volunteers == 1 && counts.idle == 0 && counts.waiting == 0);
    assert_true(counts.offered == 0 && counts.live == 1 && counts.matched == 1);
    struct fb_match_country country;
    assert_int_equal(fb_match_countries(match, &country, 1), 1);
    assert_memory_equal(country.country, "DE", 2);
    assert_true(country.volunteers == 1 && country.live == 1);
    /* Twice, or by somebody else, is not found. */
    assert_int_equal(fb_match_answered(match, vol, id, &ctx, 200), FB_ERR_NOT_FOUND);
    assert_int_equal(fb_match_done(match, vol + 100, id, FB_OUTCOME_CARRIED, 300),
                     FB_ERR_NOT_FOUND);
    assert_int_equal(fb_match_done(match, vol, id, FB_OUTCOME_CARRIED, 300), 0);
    assert_int_equal(fb_match_done(match, vol, id, FB_OUTCOME_CARRIED, 300), FB_ERR_NOT_FOUND);
    fb_match_count(match, &counts);
    assert_true(counts.live == 0 && counts.failed == 0);
    fb_match_leave(match, vol, 400);
    assert_int_equal(fb_match_countries(match, &country, 1), 0);
    assert_int_equal(fb_match_ready(match, vol, 1, 400), FB_ERR_NOT_FOUND);
    done(match);
}

static void nobody_in_time(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t early = ask(match, "IR", 1, FB_NAT_EASY, 1000);
    uint64_t late = ask(match, "IR", 2, FB_NAT_EASY, 5000);
    expect_nothing(match);
    assert_true(fb_match_deadline(match) == 21000);
    fb_match_tick(match, 20999);
    expect_nothing(match);
    fb_match_tick(match, 21000);
    expect_told(match, FB_MATCH_NOBODY, early);
    expect_nothing(match);
    /* Somebody comes while the other still waits. */
    uint64_t vol = join(match, "NL", 3, FB_NAT_EASY, 1);
    expect_offer(match, vol, late);
    expect_nothing(match);
    done(match);
}

static void waiting_requests_go_first_come_first_served(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t first = ask(match, "IR", 1, FB_NAT_EASY, 0);
    uint64_t own = ask(match, "DE", 2, FB_NAT_EASY, 0);
    uint64_t third = ask(match, "RU", 3, FB_NAT_EASY, 0);
    uint64_t vol = join(match, "DE", 4, FB_NAT_EASY, 2);
    expect_offer(match, vol, first);
    expect_offer(match, vol, third);
    expect_nothing(match);
    fb_match_cancel(match, own, 1);
    fb_match_tick(match, 9000);
    expect_nothing(match);
    done(match);
}

static void longest_idle_goes_first(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t a = join(match, "DE", 1, FB_NAT_EASY, 2);
    uint64_t b = join(match, "NL", 2, FB_NAT_EASY, 1);
    uint64_t c = join(match, "DE", 3, FB_NAT_UNKNOWN, 1);
    expect_offer(match, a, ask(match, "IR", 9, FB_NAT_EASY, 0));
    expect_offer(match, b, ask(match, "IR", 9, FB_NAT_EASY, 0));
    expect_offer(match, c, ask(match, "IR", 9, FB_NAT_EASY, 0));
    expect_offer(match, a, ask(match, "IR", 9, FB_NAT_EASY, 0));
    ask(match, "IR", 9, FB_NAT_EASY, 0);
    expect_nothing(match);
    done(match);
}

static void silent_volunteer(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 3);
    uint64_t request = ask(match, "IR", 2, FB_NAT_EASY, 0);
    uint64_t id = expect_offer(match, vol, request);
    fb_match_tick(match, 9999);
    expect_nothing(match);
    fb_match_tick(match, 10000);
    expect_withdraw(match, vol, id);
    expect_told(match, FB_MATCH_AGAIN, request);
    expect_nothing(match);
    void *ctx;
    assert_int_equal(fb_match_answered(match, vol, id, &ctx, 10001), FB_ERR_NOT_FOUND);
    /* It gets nothing more until it speaks. */
    uint64_t again = ask(match, "IR", 2, FB_NAT_EASY, 10002);
    expect_nothing(match);
    assert_int_equal(fb_match_ready(match, vol, 1, 10003), 0);
    expect_offer(match, vol, again);
    done(match);
}

static void declined(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 1);
    uint64_t other = join(match, "NL", 3, FB_NAT_EASY, 1);
    uint64_t request = ask(match, "IR", 2, FB_NAT_EASY, 0);
    uint64_t id = expect_offer(match, vol, request);
    assert_int_equal(fb_match_declined(match, other, id, FB_DECLINE_BUSY, 1), FB_ERR_NOT_FOUND);
    assert_int_equal(fb_match_declined(match, vol, id, FB_DECLINE_BUSY, 1), 0);
    assert_int_equal(fb_match_declined(match, vol, id, FB_DECLINE_BUSY, 1), FB_ERR_NOT_FOUND);
    /* One volunteer per offer: the other one is not shown this offer. */
    expect_told(match, FB_MATCH_AGAIN, request);
    expect_nothing(match);
    done(match);
}

static void client_goes_away(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 1);
    uint64_t request = ask(match, "IR", 2, FB_NAT_EASY, 0);
    uint64_t id = expect_offer(match, vol, request);
    fb_match_cancel(match, request, 5);
    fb_match_cancel(match, request, 5);
    expect_withdraw(match, vol, id);
    expect_nothing(match);
    /* Before the offer was polled: nothing to tell, and the place is free again. */
    assert_int_equal(fb_match_ready(match, vol, 1, 6), 0);
    fb_match_cancel(match, ask(match, "IR", 2, FB_NAT_EASY, 7), 7);
    expect_nothing(match);
    expect_offer(match, vol, ask(match, "IR", 2, FB_NAT_EASY, 8));
    /* After it was told that nobody came. */
    request = ask(match, "IR", 2, FB_NAT_EASY, 9);
    fb_match_tick(match, 20009);
    fb_match_cancel(match, request, 20010);
    struct fb_match_action action;
    while (fb_match_poll(match, &action))
        assert_true(action.request != request);
    done(match);
}

static void volunteer_leaves(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 4);
    void *ctx;
    uint64_t live = expect_offer(match, vol, ask(match, "IR", 2, FB_NAT_EASY, 0));
    assert_int_equal(fb_match_answered(match, vol, live, &ctx, 1), 0);
    uint64_t shown = ask(match, "IR", 2, FB_NAT_EASY, 0);
    expect_offer(match, vol, shown);
    uint64_t unshown = ask(match, "IR", 2, FB_NAT_EASY, 0);
    fb_match_leave(match, vol, 2);
    fb_match_leave(match, vol, 2);
    expect_told(match, FB_MATCH_AGAIN, shown);
    expect_told(match, FB_MATCH_AGAIN, unshown);
    expect_nothing(match);
    assert_int_equal(fb_match_done(match, vol, live, FB_OUTCOME_CARRIED, 3), FB_ERR_NOT_FOUND);
    struct fb_match_counts counts;
    fb_match_count(match, &counts);
    assert_true(counts.volunteers == 0 && counts.idle == 0 && counts.live == 0);
    done(match);
}

/* Whether a client and a volunteer of these countries and NATs are brought together. */
static bool meet(bool local, const char *vol_country, enum fb_nat vol_nat, const char *country,
                 enum fb_nat nat) {
    struct fb_match *match = make((struct fb_match_config){.local = local});
    struct fb_match_action action;
    join(match, vol_country, 1, vol_nat, 1);
    ask(match, country, 1, nat, 0);
    bool met = fb_match_poll(match, &action);
    done(match);
    return met;
}

static void country_rule(void **state) {
    assert_true(meet(false, "DE", FB_NAT_EASY, "IR", FB_NAT_EASY));
    assert_false(meet(false, "IR", FB_NAT_EASY, "IR", FB_NAT_EASY));
    assert_true(meet(true, "IR", FB_NAT_EASY, "IR", FB_NAT_EASY));
    /* Unknown countries never equal each other. */
    assert_true(meet(false, "", FB_NAT_EASY, "", FB_NAT_EASY));
    assert_true(meet(false, "", FB_NAT_EASY, "IR", FB_NAT_EASY));
    assert_true(meet(false, "DE", FB_NAT_EASY, "", FB_NAT_EASY));
}

static void nat_rule(void **state) {
    static const bool fits[FB_NAT_COUNT][FB_NAT_COUNT] = {
        [FB_NAT_UNKNOWN] = {true, true, true},
        [FB_NAT_EASY] = {true, true, true},
        [FB_NAT_HARD] = {true, true, false},
    };
    for (int a = 0; a < FB_NAT_COUNT; a++)
        for (int b = 0; b < FB_NAT_COUNT; b++)
            assert_int_equal(meet(false, "DE", (enum fb_nat)a, "IR", (enum fb_nat)b), fits[a][b]);
}

static void easy_before_unknown(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t unknown = join(match, "DE", 1, FB_NAT_UNKNOWN, 2);
    uint64_t easy = join(match, "NL", 2, FB_NAT_EASY, 1);
    expect_offer(match, easy, ask(match, "IR", 3, FB_NAT_HARD, 0));
    expect_offer(match, unknown, ask(match, "IR", 4, FB_NAT_HARD, 0));
    join(match, "FR", 5, FB_NAT_EASY, 1);
    /* Who can meet anybody takes whoever has waited longest. */
    expect_offer(match, unknown, ask(match, "IR", 6, FB_NAT_EASY, 0));
    done(match);
}

static void browsers_only(void **state) {
    struct fb_match *match = make((struct fb_match_config){.local = true});
    struct fb_match_end end = end_of("DE", 1, FB_NAT_EASY);
    struct fb_match_request request = {.end = end_of("IR", 2, FB_NAT_EASY), .browsers_only = true};
    uint64_t headless, extension, id;
    assert_int_equal(fb_match_join(match, &end, FB_VOLUNTEER_HEADLESS, &counted, &headless), 0);
    assert_int_equal(fb_match_ready(match, headless, 1, 0), 0);
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &id), 0);
    expect_nothing(match);
    assert_int_equal(fb_match_join(match, &end, FB_VOLUNTEER_EXTENSION, &counted, &extension), 0);
    assert_int_equal(fb_match_ready(match, extension, 1, 0), 0);
    expect_offer(match, extension, id);
    request.browsers_only = false;
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &id), 0);
    expect_offer(match, headless, id);
    done(match);
}

static void failed_pairs(void **state) {
    struct fb_match *match = make((struct fb_match_config){.failed_ms = 60000});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 100);
    void *ctx;
    uint64_t id = expect_offer(match, vol, ask(match, "IR", 2, FB_NAT_UNKNOWN, 0));
    assert_int_equal(fb_match_answered(match, vol, id, &ctx, 0), 0);
    assert_int_equal(fb_match_done(match, vol, id, FB_OUTCOME_PEER_FAILED, 1000), 0);
    struct fb_match_counts counts;
    fb_match_count(match, &counts);
    assert_true(counts.failed == 1);
    /* Not the same pair; another client prefix, NAT or volunteer prefix is another pair. */
    uint64_t same = ask(match, "IR", 2, FB_NAT_UNKNOWN, 1000);
    expect_nothing(match);
    expect_offer(match, vol, ask(match, "IR", 3, FB_NAT_UNKNOWN, 1000));
    expect_offer(match, vol, ask(match, "IR", 2, FB_NAT_EASY, 1000));
    uint64_t neighbour = join(match, "DE", 1, FB_NAT_EASY, 1);
    expect_nothing(match);
    uint64_t other = join(match, "DE", 4, FB_NAT_EASY, 1);
    expect_offer(match, other, same);
    fb_match_leave(match, neighbour, 1000);
    /* In time it is forgotten. */
    fb_match_tick(match, 60999);
    struct fb_match_action action;
    while (fb_match_poll(match, &action))
        continue;
    assert_int_equal(fb_match_ready(match, vol, 1, 60999), 0);
    ask(match, "IR", 2, FB_NAT_UNKNOWN, 60999);
    expect_nothing(match);
    assert_true(fb_match_deadline(match) == 61000);
    fb_match_tick(match, 61000);
    expect_offer(match, vol, ask(match, "IR", 2, FB_NAT_UNKNOWN, 61000));
    done(match);
}

static void failed_pairs_are_bounded(void **state) {
    struct fb_match *match = make((struct fb_match_config){.failed_max = 2});
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 100);
    for (uint8_t octet = 10; octet < 13; octet++) {
        void *ctx;
        uint64_t id = expect_offer(match, vol, ask(match, "IR", octet, FB_NAT_EASY, 0));
        assert_int_equal(fb_match_answered(match, vol, id, &ctx, 0), 0);
        assert_int_equal(fb_match_done(match, vol, id, FB_OUTCOME_PEER_FAILED, octet), 0);
    }
    ask(match, "IR", 12, FB_NAT_EASY, 0);
    ask(match, "IR", 11, FB_NAT_EASY, 0);
    expect_nothing(match);
    expect_offer(match, vol, ask(match, "IR", 10, FB_NAT_EASY, 0));
    done(match);
}

static void session_rule(void **state) {
    struct fb_match *match = make((struct fb_match_config){0});
    uint64_t a = join(match, "DE", 1, FB_NAT_EASY, 9), b = join(match, "NL", 1, FB_NAT_EASY, 9);
    struct fb_match_request request = {.end = end_of("IR", 2, FB_NAT_EASY), .session = {7}};
    uint64_t first, second, third;
    void *ctx;
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &first), 0);
    uint64_t id = expect_offer(match, a, first);
    assert_int_equal(fb_match_answered(match, a, id, &ctx, 0), 0);
    /* Both volunteers are in one /24: a second path of that session needs somebody else. */
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &second), 0);
    expect_nothing(match);
    request.session[0] = 8;
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &third), 0);
    expect_offer(match, b, third);
    uint64_t c = join(match, "NL", 5, FB_NAT_EASY, 1);
    uint64_t second_id = expect_offer(match, c, second);
    assert_int_equal(fb_match_declined(match, c, second_id, FB_DECLINE_FAILED, 0), 0);
    expect_told(match, FB_MATCH_AGAIN, second);
    /* When the match is over, the same prefix will do again. */
    assert_int_equal(fb_match_done(match, a, id, FB_OUTCOME_CARRIED, 0), 0);
    request.session[0] = 7;
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &first), 0);
    struct fb_match_action action;
    assert_true(fb_match_poll(match, &action));
    assert_int_equal(action.type, FB_MATCH_OFFER);
    done(match);
}

/* On one machine, and behind a proxy, nobody has a prefix: a volunteer is still one volunteer. */
static void never_the_same_volunteer_twice(void **state) {
    struct fb_match *match = make((struct fb_match_config){.local = true});
    uint64_t a = join(match, "", 0, FB_NAT_EASY, 9);
    struct fb_match_request request = {.end = end_of("", 0, FB_NAT_EASY), .session = {7}};
    uint64_t first, second, third;
    void *ctx;
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &first), 0);
    uint64_t id = expect_offer(match, a, first);
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &second), 0);
    expect_nothing(match); /* while the offer is out */
    assert_int_equal(fb_match_answered(match, a, id, &ctx, 0), 0);
    assert_int_equal(fb_match_ready(match, a, 1, 0), 0);
    expect_nothing(match); /* while the path lives */
    uint64_t b = join(match, "", 0, FB_NAT_EASY, 9);
    uint64_t second_id = expect_offer(match, b, second);
    /* The pair whose channel did not open stays apart, the other meets again. */
    assert_int_equal(fb_match_done(match, a, id, FB_OUTCOME_PEER_FAILED, 0), 0);
    assert_int_equal(fb_match_answered(match, b, second_id, &ctx, 0), 0);
    assert_int_equal(fb_match_done(match, b, second_id, FB_OUTCOME_CARRIED, 0), 0);
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &third), 0);
    expect_offer(match, b, third);
    assert_int_equal(fb_match_request(match, &request, &rng, 0, &third), 0);
    expect_nothing(match);
    done(match);
}

static void volunteers_of_an_hour(void **state) {
    struct fb_match *match = make((struct fb_match_config){.volunteers_hour = 2});
    struct fb_match_request request = {.end = end_of("IR", 2, FB_NAT_EASY), .session = {7}};
    uint64_t id, pair;
    void *ctx;
    for (uint8_t i = 1; i <= 2; i++) {
        uint64_t vol = join(match, "DE", i, FB_NAT_EASY, 1);
        assert_int_equal(fb_match_request(match, &request, &rng, i, &id), 0);
        pair = expect_offer(match, vol, id);
        assert_int_equal(fb_match_answered(match, vol, pair, &ctx, i), 0);
        assert_int_equal(fb_match_done(match, vol, pair, FB_OUTCOME_CARRIED, i), 0);
    }
    join(match, "DE", 3, FB_NAT_EASY, 9);
    assert_int_equal(fb_match_wait(match, request.session, 10), 3600000 + 1 - 10);
    assert_int_equal(fb_match_request(match, &request, &rng, 10, &id), FB_ERR_LIMIT);
    struct fb_match_request another = {.end = end_of("IR", 2, FB_NAT_EASY), .session = {8}};
    assert_int_equal(fb_match_request(match, &another, &rng, 10, &id), 0);
    assert_int_equal(fb_match_request(match, &request, &rng, 3600001, &id), 0);
    done(match);
}

static void ceilings(void **state) {
    struct fb_match *match = make((struct fb_match_config){.volunteers_max = 1, .requests_max = 1});
    struct fb_match_end end = end_of("DE", 1, FB_NAT_EASY);
    struct fb_match_request request = {.end = end_of("IR", 2, FB_NAT_EASY)};
    uint64_t id;
    uint64_t vol = join(match, "DE", 1, FB_NAT_EASY, 0);
    assert_int_equal(fb_match_join(match, &end, FB_VOLUNTEER_BROWSER, NULL, &id), FB_ERR_LIMIT);
    ask(match, "IR", 2, FB_NAT_EASY, 0);
    assert_int_equal(fb_match_request(match, &request, NULL, 0, &id), FB_ERR_LIMIT);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fb_match_ready(match, vol, UINT16_MAX, 0), 0);
    done(match);
}

/* Thousands of volunteers and requests in a random order keep every promise. */
static void crowd(void **state) {
    enum { VOLUNTEERS = 2000, ROUNDS = 20000 };
    static const char *const countries[] = {"DE", "NL", "IR", "RU", ""};
    struct fb_match *match = make((struct fb_match_config){0});
    static uint64_t vols[VOLUNTEERS];
    uint64_t dice = 5, answered = 0, told = 0, asked = 0, now = 0;
    for (size_t i = 0; i < VOLUNTEERS; i++)
        vols[i] = join(match, countries[i % 5], (uint8_t)(1 + i % 200), (enum fb_nat)(i % 3), 1);
    for (int round = 0; round < ROUNDS; round++, now += 3) {
        uint64_t roll = test_random_u64(&dice);
        size_t who = roll % VOLUNTEERS;
        ask(match, countries[roll % 5], (uint8_t)(1 + roll % 200), (enum fb_nat)(roll % 3), now);
        asked++;
        if (roll % 50 == 0) {
            fb_match_leave(match, vols[who], now);
            vols[who] = join(match, countries[who % 5], (uint8_t)(1 + who % 200), FB_NAT_EASY, 1);
        }
        fb_match_tick(match, now);
        struct fb_match_action action;
        while (fb_match_poll(match, &action)) {
            told += action.type == FB_MATCH_NOBODY || action.type == FB_MATCH_AGAIN;
            if (action.type != FB_MATCH_OFFER || roll % 7 == 0)
                continue;
            void *ctx;
            assert_int_equal(fb_match_answered(match, action.volunteer, action.id, &ctx, now), 0);
            answered++;
            if (roll % 3 != 0)
                assert_int_equal(fb_match_done(match, action.volunteer, action.id,
                                               (enum fb_outcome)(roll % FB_OUTCOME_COUNT), now),
                                 0);
            assert_int_equal(fb_match_ready(match, action.volunteer, 1, now), 0);
        }
    }
    now += 60000;
    fb_match_tick(match, now);
    struct fb_match_action action;
    while (fb_match_poll(match, &action))
        told += action.type == FB_MATCH_NOBODY || action.type == FB_MATCH_AGAIN;
    assert_true(answered > ROUNDS / 2);
    assert_true(answered + told == asked);
    struct fb_match_counts counts;
    fb_match_count(match, &counts);
    assert_true(counts.waiting == 0 && counts.offered == 0 && counts.matched == answered);
    struct fb_match_country out[8];
    size_t n = fb_match_countries(match, out, 8);
    uint64_t volunteers = 0, live = 0;
    for (size_t i = 0; i < n; i++) {
        volunteers += out[i].volunteers;
        live += out[i].live;
    }
    assert_true(n == 5 && volunteers == VOLUNTEERS && live == counts.live);
    done(match);
}

/* One run of everything with the n-th allocation failing; true when none failed. */
static bool failing_run(uint64_t fail_at) {
    counted = (struct test_mem){.fail_at = fail_at};
    seed = 1;
    mem = test_mem_make(&counted);
    rng = test_rng_make(&seed);
    struct fb_match_config config = {0};
    struct fb_match *match = fb_match_new(&mem, &rng, &config);
    if (match == NULL)
        return false;
    struct fb_match_end end = end_of("DE", 1, FB_NAT_EASY);
    struct fb_match_request request = {.end = end_of("IR", 2, FB_NAT_EASY), .session = {1}};
    uint64_t vol = 0, id = 0;
    fb_match_request(match, &request, &rng, 0, &id);
    fb_match_join(match, &end, FB_VOLUNTEER_BROWSER, &counted, &vol);
    fb_match_ready(match, vol, 2, 0);
    request.session[0] = 2;
    fb_match_request(match, &request, &rng, 0, &id);
    struct fb_match_action action;
    unsigned over = 0;
    while (fb_match_poll(match, &action)) {
        void *ctx;
        if (action.type == FB_MATCH_OFFER &&
            fb_match_answered(match, action.volunteer, action.id, &ctx, 1) == 0) {
            fb_match_done(match, action.volunteer, action.id, FB_OUTCOME_PEER_FAILED, 2);
            over++;
        }
    }
    fb_match_tick(match, 30000);
    while (fb_match_poll(match, &action))
        over += action.type == FB_MATCH_NOBODY;
    struct fb_match_counts counts;
    fb_match_count(match, &counts);
    assert_true(counts.waiting == 0 && counts.offered == 0 && counts.live == 0);
    assert_true(counted.count < fail_at ? over == 2 : over <= 2);
    fb_match_free(match);
    assert_true(counted.live == 0);
    return counted.count < fail_at;
}

static void allocation_failures(void **state) {
    uint64_t fail_at = 1;
    while (!failing_run(fail_at)) {
        assert_true(counted.live == 0);
        fail_at++;
    }
    assert_true(fail_at > 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_match),
        cmocka_unit_test(nobody_in_time),
        cmocka_unit_test(waiting_requests_go_first_come_first_served),
        cmocka_unit_test(longest_idle_goes_first),
        cmocka_unit_test(silent_volunteer),
        cmocka_unit_test(declined),
        cmocka_unit_test(client_goes_away),
        cmocka_unit_test(volunteer_leaves),
        cmocka_unit_test(country_rule),
        cmocka_unit_test(nat_rule),
        cmocka_unit_test(easy_before_unknown),
        cmocka_unit_test(browsers_only),
        cmocka_unit_test(failed_pairs),
        cmocka_unit_test(failed_pairs_are_bounded),
        cmocka_unit_test(session_rule),
        cmocka_unit_test(never_the_same_volunteer_twice),
        cmocka_unit_test(volunteers_of_an_hour),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(crowd),
        cmocka_unit_test(allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
