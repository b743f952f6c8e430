/* core/pathset: which paths a client has, in a small world of volunteers in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/pathset.h"
#include "env.h"

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)
#define NEVER FB_PATHSET_NEVER
#define PEERS_MAX 64
#define OFFERS_MAX 20000

/* An attempt and what becomes of it. */
struct peer {
    uint32_t id; /* 0: none */
    uint64_t answer_at, open_at, end_at;
    enum fb_pathset_why why;
    uint64_t wait;
    bool open, spare, in_session;
    struct fb_pathset_measure measure;
};

struct world {
    struct fb_pathset *set;
    uint64_t now, seed;
    uint32_t last_id;
    bool ready;
    struct peer peers[PEERS_MAX];
    void (*plan)(struct world *world, struct peer *peer); /* the fate of an attempt */
    uint64_t offers[OFFERS_MAX];
    size_t offer_count, direct_count, sessions, drops[4];
    uint32_t dropped; /* the last */
    unsigned tokens;
};

static struct test_mem counted;
static struct fb_mem mem;
static struct fb_rng rng;

/* Answers after 100 ms, open after 500 ms, for good. */
static void healthy(struct world *world, struct peer *peer) {
    peer->answer_at = world->now + 100 * MS;
    peer->open_at = world->now + 500 * MS;
}

static void nobody_at_once(struct world *world, struct peer *peer) {
    peer->end_at = world->now + MS;
    peer->why = FB_PATHSET_NOBODY;
}

static void again_at_once(struct world *world, struct peer *peer) {
    peer->end_at = world->now + MS;
    peer->why = FB_PATHSET_AGAIN;
}

static void opens_and_dies(struct world *world, struct peer *peer) {
    peer->answer_at = world->now + 50 * MS;
    peer->open_at = world->now + 100 * MS;
    peer->end_at = world->now + 1100 * MS;
}

static struct world make(unsigned target, unsigned spare, uint64_t seed) {
    struct world world = {.now = 5000 * S, .seed = seed, .plan = healthy, .tokens = 1000};
    const struct fb_pathset_config config = {.target = target, .spare = spare};
    counted = (struct test_mem){0};
    mem = test_mem_make(&counted);
    world.set = fb_pathset_new(&mem, &rng, &config, world.now);
    assert_non_null(world.set);
    return world;
}

static void done(struct world *world) {
    fb_pathset_free(world->set);
    assert_int_equal(counted.live, 0);
    assert_int_equal(counted.count, 1); /* nothing after birth */
}

static struct peer *peer_of(struct world *world, uint32_t id) {
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world->peers[i].id == id)
            return &world->peers[i];
    return NULL;
}

static void begin_offer(struct world *world, bool in_session) {
    struct peer *peer = peer_of(world, 0);
    assert_non_null(peer);
    assert_int_equal(in_session, fb_pathset_in_session(world->set, world->now));
    assert_true(world->offer_count < OFFERS_MAX);
    world->offers[world->offer_count++] = world->now;
    world->direct_count += !in_session;
    if (world->tokens == 0) {
        fb_pathset_tokens(world->set, false);
        return;
    }
    world->tokens--;
    *peer = (struct peer){.id = ++world->last_id,
                          .answer_at = NEVER,
                          .open_at = NEVER,
                          .end_at = NEVER,
                          .in_session = in_session};
    world->plan(world, peer);
    assert_int_equal(fb_pathset_began(world->set, peer->id, world->now), 0);
}

static void act(struct world *world, const struct fb_pathset_action *action) {
    struct peer *peer = action->path != 0 ? peer_of(world, action->path) : NULL;
    switch (action->act) {
    case FB_PATHSET_OFFER: begin_offer(world, action->in_session); break;
    case FB_PATHSET_ACTIVE:
        assert_true(peer != NULL && peer->open && peer->spare);
        peer->spare = false;
        break;
    case FB_PATHSET_STANDBY:
        assert_true(peer != NULL && peer->open && !peer->spare);
        peer->spare = true;
        break;
    case FB_PATHSET_DROP:
        assert_non_null(peer);
        world->drops[action->drop]++;
        world->dropped = peer->id;
        peer->id = 0;
        break;
    case FB_PATHSET_NEW_SESSION:
        world->sessions++;
        world->ready = false;
        world->tokens = 1000;
        memset(world->peers, 0, sizeof world->peers);
        fb_pathset_session(world->set, false, world->now);
        break;
    }
}

static void settle(struct world *world) {
    struct fb_pathset_action action;
    for (unsigned i = 0; fb_pathset_next(world->set, world->now, &action); i++) {
        assert_true(i < 100);
        act(world, &action);
    }
    assert_true(fb_pathset_deadline(world->set) > world->now);
}

static uint64_t next_event(const struct world *world) {
    uint64_t at = fb_pathset_deadline(world->set);
    for (size_t i = 0; i < PEERS_MAX; i++) {
        const struct peer *peer = &world->peers[i];
        uint64_t times[] = {peer->answer_at, peer->open_at, peer->end_at};
        for (size_t k = 0; k < 3 && peer->id != 0; k++)
            at = times[k] < at ? times[k] : at;
    }
    return at;
}

static void happen(struct world *world, struct peer *peer) {
    if (peer->answer_at <= world->now) {
        peer->answer_at = NEVER;
        fb_pathset_answered(world->set, peer->id, world->now);
    }
    if (peer->open_at <= world->now) {
        peer->open_at = NEVER;
        peer->open = true;
        if (!world->ready)
            fb_pathset_session(world->set, true, world->now);
        world->ready = true;
        fb_pathset_opened(world->set, peer->id, world->now);
    }
    if (peer->open)
        fb_pathset_measured(world->set, peer->id, &peer->measure, world->now);
    if (peer->end_at <= world->now) {
        fb_pathset_over(world->set, peer->id, peer->why, peer->wait, world->now);
        peer->id = 0;
    }
}

static void turn(struct world *world) {
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world->peers[i].id != 0)
            happen(world, &world->peers[i]);
    settle(world);
}

static void run(struct world *world, uint64_t us) {
    uint64_t end = world->now + us;
    for (turn(world); next_event(world) <= end; turn(world))
        world->now = next_event(world) > world->now ? next_event(world) : world->now + 1;
    world->now = end;
    turn(world);
}

static unsigned carrying(const struct world *world) {
    unsigned n = 0;
    for (size_t i = 0; i < PEERS_MAX; i++)
        n += world->peers[i].id != 0 && world->peers[i].open && !world->peers[i].spare;
    return n;
}

static unsigned standing_by(const struct world *world) {
    unsigned n = 0;
    for (size_t i = 0; i < PEERS_MAX; i++)
        n += world->peers[i].id != 0 && world->peers[i].open && world->peers[i].spare;
    return n;
}

static unsigned attempts(const struct world *world) {
    unsigned n = 0;
    for (size_t i = 0; i < PEERS_MAX; i++)
        n += world->peers[i].id != 0 && !world->peers[i].open;
    return n;
}

static struct peer *any(struct world *world, bool spare) {
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world->peers[i].id != 0 && world->peers[i].open && world->peers[i].spare == spare)
            return &world->peers[i];
    fail_msg("no such path");
    return NULL;
}

static void kill_peer(struct world *world, struct peer *peer) {
    peer->end_at = world->now;
    turn(world);
}

/* A client at work, with all that it wants. */
static struct world full(unsigned target, unsigned spare) {
    struct world world = make(target, spare, 1);
    fb_pathset_streams(world.set, 3, world.now);
    run(&world, 20 * S);
    assert_int_equal(carrying(&world), target);
    assert_int_equal(standing_by(&world), spare);
    return world;
}

/* The most offers in any window of that length. */
static size_t densest(const struct world *world, uint64_t span) {
    size_t most = 0;
    for (size_t i = 0, from = 0; i < world->offer_count; i++) {
        while (world->offers[i] - world->offers[from] > span)
            from++;
        most = i - from + 1 > most ? i - from + 1 : most;
    }
    return most;
}

static void check_ceiling(const struct world *world) {
    for (uint64_t span = S; span <= 3600 * S; span *= 4)
        assert_true(densest(world, span) <= fb_pathset_offers_max(world->set, span));
}

/* ---- */

static void cold_start(void **state) {
    struct world world = make(4, 1, 1);
    fb_pathset_streams(world.set, 1, world.now);
    run(&world, 499 * MS);
    assert_int_equal(world.offer_count, 1); /* the handshake first */
    assert_int_equal(world.direct_count, 1);
    run(&world, MS);
    assert_int_equal(carrying(&world), 1);
    assert_int_equal(attempts(&world), 4); /* all the rest at once */
    run(&world, 500 * MS);
    assert_int_equal(carrying(&world), 4);
    assert_int_equal(standing_by(&world), 1);
    run(&world, 3600 * S);
    assert_int_equal(world.offer_count, 5); /* enough is enough */
    assert_int_equal(world.direct_count, 1);
    struct fb_pathset_counts counts;
    fb_pathset_count(world.set, &counts);
    assert_true(counts.active == 4 && counts.spare == 1 && counts.attempts == 0 &&
                counts.wanted == 4 && counts.offers == 5);
    done(&world);
}

static void one_path_and_no_spare(void **state) {
    struct world world = full(1, 0);
    assert_int_equal(world.offer_count, 1);
    kill_peer(&world, any(&world, false));
    assert_int_equal(world.offer_count, 2); /* at once, and directly: nothing lives */
    assert_int_equal(world.direct_count, 2);
    done(&world);
}

/* One that leaves as soon as it has come is replaced at once; the second such is waited for. */
static void first_short_life_costs_no_wait(void **state) {
    struct world world = make(1, 0, 1);
    world.plan = opens_and_dies;
    fb_pathset_streams(world.set, 1, world.now);
    run(&world, 1099 * MS);
    assert_int_equal(world.offer_count, 1);
    run(&world, 2 * MS);
    assert_int_equal(world.offer_count, 2);
    run(&world, 1100 * MS);
    assert_int_equal(world.offer_count, 2);
    run(&world, 2 * S);
    assert_int_equal(world.offer_count, 3);
    done(&world);
}

static void spare_takes_over(void **state) {
    struct world world = full(4, 1);
    uint32_t spare = any(&world, true)->id;
    kill_peer(&world, any(&world, false));
    assert_int_equal(carrying(&world), 4); /* no time has passed */
    assert_false(peer_of(&world, spare)->spare);
    assert_int_equal(attempts(&world), 1);
    assert_int_equal(world.direct_count, 1); /* that of the start */
    run(&world, 10 * S);
    assert_int_equal(standing_by(&world), 1);
    done(&world);
}

static void all_die_at_once(void **state) {
    struct world world = full(4, 1);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world.peers[i].id != 0)
            world.peers[i].end_at = world.now;
    turn(&world);
    assert_int_equal(attempts(&world), 1); /* one direct contact, not five */
    assert_int_equal(world.direct_count, 2);
    run(&world, 1500 * MS);
    assert_int_equal(carrying(&world), 4);
    assert_int_equal(world.direct_count, 2);
    assert_int_equal(world.sessions, 0);
    done(&world);
}

static void no_tokens(void **state) {
    struct world world = full(2, 1);
    world.tokens = 0;
    kill_peer(&world, any(&world, false));
    run(&world, 60 * S);
    assert_int_equal(world.offer_count, 4); /* one in vain; a living path will bring a token */
    fb_pathset_tokens(world.set, true);
    world.tokens = 1;
    run(&world, 60 * S);
    assert_int_equal(world.offer_count, 5);
    assert_int_equal(world.sessions, 0);
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world.peers[i].id != 0)
            world.peers[i].end_at = world.now;
    turn(&world);
    assert_int_equal(world.sessions, 1);
    run(&world, 10 * S);
    assert_int_equal(carrying(&world), 2);
    done(&world);
}

static void volunteer_that_opens_and_dies(void **state) {
    struct world world = make(4, 1, 1);
    world.plan = opens_and_dies;
    fb_pathset_streams(world.set, 1, world.now);
    run(&world, 1800 * S);
    check_ceiling(&world);
    assert_true(world.offer_count < 100); /* half an hour, at last one in 30 s */
    world.plan = healthy;
    run(&world, 120 * S);
    assert_int_equal(carrying(&world), 4);
    done(&world);
}

static void broker_that_has_nobody(void **state) {
    struct world world = make(4, 1, 1);
    world.plan = nobody_at_once;
    fb_pathset_streams(world.set, 1, world.now);
    run(&world, 600 * S);
    assert_true(world.offer_count > 600 / 10 && world.offer_count < 600 / 3);
    world.plan = healthy;
    run(&world, 10 * S);
    assert_int_equal(carrying(&world), 4);
    done(&world);

    world = full(4, 1);
    world.plan = nobody_at_once;
    kill_peer(&world, any(&world, false));
    run(&world, 3600 * S); /* it works without: no hurry */
    assert_true(world.offer_count > 5 + 3600 / 160 && world.offer_count < 5 + 3600 / 60);
    assert_int_equal(world.direct_count, 1);
    /* With nothing left, what was known an hour long counts for little. */
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world.peers[i].id != 0)
            world.peers[i].end_at = world.now;
    world.plan = healthy;
    run(&world, 8 * S);
    assert_int_equal(carrying(&world), 4);
    done(&world);
}

static void broker_that_says_again(void **state) {
    struct world world = make(4, 1, 1);
    world.plan = again_at_once;
    fb_pathset_streams(world.set, 1, world.now);
    run(&world, S);
    assert_true(world.offer_count >= 3); /* as asked, at once */
    run(&world, 1800 * S);
    assert_true(world.offer_count < 100);
    check_ceiling(&world);
    done(&world);
}

static void later_for(struct world *world, struct peer *peer) {
    peer->end_at = world->now + MS;
    peer->why = FB_PATHSET_LATER;
    peer->wait = 300 * S;
}

static void broker_that_says_later(void **state) {
    struct world world = full(4, 1);
    world.plan = later_for;
    kill_peer(&world, any(&world, false));
    assert_int_equal(world.offer_count, 6);
    run(&world, 299 * S);
    assert_int_equal(world.offer_count, 6);
    run(&world, 10 * S);
    assert_int_equal(world.offer_count, 7);
    /* With nothing left it asks once a minute. */
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world.peers[i].id != 0)
            world.peers[i].end_at = world.now;
    run(&world, 300 * S);
    assert_true(world.offer_count >= 10 && world.offer_count <= 13);
    done(&world);
}

static void denied_for_good(struct world *world, struct peer *peer) {
    peer->end_at = world->now + MS;
    peer->why = FB_PATHSET_DENIED;
}

static void broker_that_denies(void **state) {
    struct world world = make(4, 1, 1);
    world.plan = denied_for_good;
    run(&world, 3600 * S);
    assert_true(world.offer_count > 10 && world.offer_count <= 61);
    done(&world);
}

static void clock_that_jumps(void **state) {
    struct world world = make(4, 1, 1);
    world.plan = opens_and_dies;
    fb_pathset_streams(world.set, 1, world.now);
    for (unsigned i = 0; i < 50; i++) {
        struct fb_pathset_action action;
        uint64_t back = world.now - 1000 * S;
        run(&world, 3 * S);
        while (fb_pathset_next(world.set, back, &action)) /* as if no time had passed */
            act(&world, &action);
        world.now += i % 5 == 0 ? 36000 * S : 0; /* a laptop slept */
    }
    check_ceiling(&world);
    world.plan = healthy;
    run(&world, 120 * S);
    assert_int_equal(carrying(&world), 4);
    world.now += 36000 * S;
    turn(&world);
    run(&world, 10 * S);
    assert_int_equal(carrying(&world), 4);
    done(&world);
}

static void idle_client_lets_go(void **state) {
    struct world world = full(4, 1);
    fb_pathset_streams(world.set, 0, world.now);
    run(&world, 59 * S);
    assert_int_equal(carrying(&world), 4);
    run(&world, 2 * S);
    assert_int_equal(carrying(&world), 1);
    assert_int_equal(standing_by(&world), 1);
    assert_int_equal(world.drops[FB_PATHSET_SURPLUS], 3);
    run(&world, 3600 * S);
    assert_int_equal(world.offer_count, 5);
    kill_peer(&world, any(&world, false)); /* even now one is replaced */
    assert_int_equal(carrying(&world), 1);
    run(&world, S);
    assert_int_equal(standing_by(&world), 1);

    fb_pathset_streams(world.set, 1, world.now);
    turn(&world);
    assert_int_equal(carrying(&world), 2);
    assert_int_equal(attempts(&world), 3);
    run(&world, S);
    assert_int_equal(carrying(&world), 4);
    assert_int_equal(standing_by(&world), 1);
    assert_int_equal(world.direct_count, 1);
    done(&world);
}

/* An app keeps a connection open and says next to nothing on it; then it asks for something. */
static void quiet_streams_hold_nobody(void **state) {
    struct world world = full(4, 1);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 30; i++) {
        fb_pathset_bytes(world.set, bytes += 20000, world.now);
        run(&world, 4 * S);
    }
    assert_int_equal(carrying(&world), 4);
    for (unsigned i = 0; i < 70; i++) {
        fb_pathset_bytes(world.set, bytes += 1000, world.now);
        run(&world, S);
    }
    assert_int_equal(carrying(&world), 1);
    assert_int_equal(standing_by(&world), 1);
    fb_pathset_bytes(world.set, bytes += 8192, world.now);
    turn(&world);
    assert_int_equal(carrying(&world), 2);
    assert_int_equal(attempts(&world), 3);
    done(&world);
}

static void load_all(struct world *world, uint64_t rate) {
    for (size_t i = 0; i < PEERS_MAX; i++)
        world->peers[i].measure = (struct fb_pathset_measure){
            .loaded = true, .rate = rate, .rtt_us = 100 * MS};
}

static void worst_is_replaced(void **state) {
    struct world world = full(4, 0);
    load_all(&world, 1000000);
    struct peer *slow = any(&world, false);
    uint32_t slow_id = slow->id;
    slow->measure.rate = 100000;
    run(&world, 19 * S);
    assert_int_equal(world.offer_count, 4); /* it may be a moment */
    run(&world, 3 * S);
    assert_int_equal(world.offer_count, 5);
    assert_int_equal(world.dropped, slow_id);
    assert_int_equal(world.drops[FB_PATHSET_REPLACED], 1);
    assert_int_equal(carrying(&world), 4);
    done(&world);
}

static void make_before_break(void **state) {
    struct world world = full(3, 1);
    load_all(&world, 1000000);
    struct peer *slow = any(&world, false);
    uint32_t slow_id = slow->id;
    slow->measure.rtt_us = 900 * MS;
    for (unsigned i = 0; i < 400 && world.drops[FB_PATHSET_REPLACED] == 0; i++) {
        assert_true(carrying(&world) >= 3);
        run(&world, 100 * MS);
    }
    assert_int_equal(world.dropped, slow_id); /* the spare carries; another is sought */
    assert_true(carrying(&world) == 3 && attempts(&world) == 1);
    done(&world);
}

static void only_what_is_much_worse_and_loaded(void **state) {
    struct world world = full(4, 1);
    const uint64_t rates[] = {2500000, 1250000, 625000, 250000};
    const uint64_t rtts[] = {40 * MS, 300 * MS, 100 * MS, 200 * MS};
    size_t n = 0;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world.peers[i].open && !world.peers[i].spare) {
            world.peers[i].measure = (struct fb_pathset_measure){
                .loaded = true, .rate = rates[n], .rtt_us = rtts[n]};
            n++;
        }
    run(&world, 600 * S); /* paths of 2, 5, 10 and 20 Mbit/s are all worth having */
    assert_int_equal(world.offer_count, 5);
    for (size_t i = 0; i < PEERS_MAX; i++)
        world.peers[i].measure.loaded = world.peers[i].measure.rate > 300000;
    any(&world, false)->measure.rate = 1;
    any(&world, false)->measure.loaded = false; /* there was nothing to send on it */
    run(&world, 600 * S);
    assert_int_equal(world.offer_count, 5);
    done(&world);
}

static void slow_again(struct world *world, struct peer *peer) {
    healthy(world, peer);
    peer->measure = (struct fb_pathset_measure){.loaded = true, .rate = 1000, .rtt_us = 100 * MS};
}

static void replacements_that_do_not_help_slow_down(void **state) {
    struct world world = full(4, 0);
    load_all(&world, 1000000);
    any(&world, false)->measure.rate = 1000;
    world.plan = slow_again;
    run(&world, 3600 * S);
    assert_true(world.drops[FB_PATHSET_REPLACED] >= 6 && world.drops[FB_PATHSET_REPLACED] <= 10);
    assert_true(densest(&world, 59 * S) <= 4 + 1);
    done(&world);
}

static void worst_stays_where_nobody_is_idle(void **state) {
    struct world world = full(4, 0);
    load_all(&world, 1000000);
    any(&world, false)->measure.rate = 1000;
    world.plan = nobody_at_once;
    run(&world, 1800 * S);
    assert_int_equal(carrying(&world), 4);
    assert_true(world.offer_count < 12);
    done(&world);
}

static void suspect_path(void **state) {
    struct world world = full(4, 1);
    struct peer *quiet = any(&world, false);
    quiet->measure.suspect = true;
    run(&world, 290 * MS);
    assert_int_equal(standing_by(&world), 1);
    run(&world, 20 * MS);
    assert_int_equal(carrying(&world), 5); /* the spare carries in its stead */
    assert_int_equal(world.offer_count, 5);
    quiet->measure.suspect = false;
    run(&world, 10 * MS);
    assert_int_equal(carrying(&world), 4);
    assert_int_equal(standing_by(&world), 1);
    assert_int_equal(world.offer_count, 5);

    quiet = any(&world, false);
    uint32_t id = quiet->id;
    quiet->measure.suspect = true;
    run(&world, 2100 * MS);
    assert_int_equal(world.offer_count, 6);
    run(&world, 3 * S);
    assert_int_equal(world.dropped, id);
    assert_int_equal(world.drops[FB_PATHSET_SILENT], 1);
    assert_int_equal(carrying(&world), 4);
    assert_int_equal(standing_by(&world), 1);
    assert_int_equal(world.direct_count, 1);
    done(&world);
}

static void sole_suspect_is_kept(void **state) {
    struct world world = full(1, 0);
    any(&world, false)->measure.suspect = true;
    world.plan = nobody_at_once;
    run(&world, 30 * S);
    assert_int_equal(carrying(&world), 1);
    assert_true(world.direct_count > 1); /* nothing that can be relied on carries offers */
    world.plan = healthy;
    run(&world, 10 * S);
    assert_int_equal(carrying(&world), 1);
    assert_int_equal(world.drops[FB_PATHSET_SILENT], 1);
    done(&world);
}

static void never_opens(struct world *world, struct peer *peer) {
    peer->answer_at = world->now + 100 * MS;
}

static void hedge_and_late(void **state) {
    struct world world = full(2, 0);
    world.plan = never_opens;
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (world.peers[i].id != 0)
            world.peers[i].end_at = world.now;
    turn(&world);
    assert_int_equal(attempts(&world), 1);
    run(&world, 3 * S);
    assert_int_equal(attempts(&world), 1);
    run(&world, 200 * MS);
    assert_int_equal(attempts(&world), 2);
    run(&world, 60 * S);
    assert_int_equal(attempts(&world), 2);
    run(&world, 20 * S);
    assert_int_equal(world.drops[FB_PATHSET_LATE], 2);
    assert_true(attempts(&world) <= 2);
    done(&world);

    world = make(4, 1, 1); /* before the handshake a second would undo the first */
    world.plan = never_opens;
    run(&world, 60 * S);
    assert_int_equal(world.offer_count, 1);
    done(&world);
}

static void whatever(struct world *world, struct peer *peer) {
    uint64_t dice = test_random_u64(&world->seed);
    uint64_t span = (test_random_u64(&world->seed) % 60000) * MS;
    healthy(world, peer);
    peer->why = (enum fb_pathset_why)(dice % 4);
    peer->wait = peer->why == FB_PATHSET_LATER ? span : 0;
    if (dice / 8 % 4 == 0)
        peer->end_at = world->now + span; /* open, for some time */
    else if (dice / 8 % 4 == 1)
        peer->end_at = world->now + dice / 64 % 600 * MS; /* perhaps not open */
    else if (dice / 8 % 4 == 2)
        peer->open_at = NEVER;
    peer->measure = (struct fb_pathset_measure){.suspect = dice / 1024 % 8 == 0,
                                                .loaded = dice / 8192 % 2 == 0,
                                                .rate = dice / 16384 % 3000000,
                                                .rtt_us = span / 100};
}

static void check_sane(const struct world *world, unsigned target) {
    struct fb_pathset_counts counts;
    fb_pathset_count(world->set, &counts);
    assert_int_equal(counts.active, carrying(world));
    assert_int_equal(counts.spare, standing_by(world));
    assert_int_equal(counts.attempts, attempts(world));
    /* Suspect paths are held beside those that replace them, for a while. */
    assert_true(counts.active + counts.spare + counts.attempts <= 3 * (target + 1));
}

static void any_world(void **state) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        unsigned target = 1 + (unsigned)(seed % FB_PATHSET_TARGET_MAX);
        struct world world = make(target > 8 ? 8 : target, seed % 2, seed);
        target = target > 8 ? 8 : target;
        world.plan = whatever;
        for (unsigned i = 0; i < 100; i++) {
            uint64_t dice = test_random_u64(&world.seed);
            fb_pathset_streams(world.set, dice % 3 == 0 ? 0 : dice % 7, world.now);
            run(&world, dice / 64 % (dice % 5 == 0 ? 90000 : 5000) * MS);
            check_sane(&world, target);
            if (dice / 512 % 50 == 0)
                world.tokens = world.tokens > 0 ? 0 : 1000;
        }
        check_ceiling(&world);
        /* The trouble is over: all that is wanted comes. */
        world.plan = healthy;
        world.tokens = 1000;
        fb_pathset_tokens(world.set, true);
        for (size_t i = 0; i < PEERS_MAX; i++)
            world.peers[i].measure = (struct fb_pathset_measure){0};
        fb_pathset_streams(world.set, 1, world.now);
        run(&world, 900 * S);
        if (carrying(&world) != target || standing_by(&world) != seed % 2)
            fail_msg("seed %u: %u and %u", (unsigned)seed, carrying(&world), standing_by(&world));
        done(&world);
    }
}

static void limits(void **state) {
    struct world world = make(4, 1, 1);
    for (uint32_t i = 1; i <= FB_PATHSET_PATHS_MAX; i++)
        assert_int_equal(fb_pathset_began(world.set, i, world.now), 0);
    assert_int_equal(fb_pathset_began(world.set, 100, world.now), FB_ERR_LIMIT);
    fb_pathset_opened(world.set, 200, world.now); /* nobody knows it */
    fb_pathset_over(world.set, 200, FB_PATHSET_FAILED, 0, world.now);
    done(&world);

    const struct fb_pathset_config wild = {.target = 1000, .spare = 1000};
    counted = (struct test_mem){.fail_at = 1};
    assert_null(fb_pathset_new(&mem, &rng, &wild, 0));
    struct fb_pathset *set = fb_pathset_new(&mem, &rng, &wild, 0);
    fb_pathset_session(set, true, 0);
    struct fb_pathset_counts counts;
    fb_pathset_count(set, &counts);
    assert_int_equal(counts.wanted, FB_PATHSET_TARGET_MAX);
    fb_pathset_free(set);
    fb_pathset_free(NULL);
}

static void nothing_can_be_begun(void **state) {
    struct world world = make(4, 1, 1);
    struct fb_pathset_action action;
    size_t offers = 0;
    for (unsigned i = 0; i < 600; i++, world.now += S)
        while (fb_pathset_next(world.set, world.now, &action)) {
            assert_int_equal(action.act, FB_PATHSET_OFFER);
            fb_pathset_unable(world.set, world.now);
            offers++;
        }
    assert_true(offers > 10 && offers < 50);
    done(&world);
}

int main(void) {
    static uint64_t seed = 7;
    rng = test_rng_make(&seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cold_start),
        cmocka_unit_test(one_path_and_no_spare),
        cmocka_unit_test(first_short_life_costs_no_wait),
        cmocka_unit_test(spare_takes_over),
        cmocka_unit_test(all_die_at_once),
        cmocka_unit_test(no_tokens),
        cmocka_unit_test(volunteer_that_opens_and_dies),
        cmocka_unit_test(broker_that_has_nobody),
        cmocka_unit_test(broker_that_says_again),
        cmocka_unit_test(broker_that_says_later),
        cmocka_unit_test(broker_that_denies),
        cmocka_unit_test(clock_that_jumps),
        cmocka_unit_test(idle_client_lets_go),
        cmocka_unit_test(quiet_streams_hold_nobody),
        cmocka_unit_test(worst_is_replaced),
        cmocka_unit_test(make_before_break),
        cmocka_unit_test(only_what_is_much_worse_and_loaded),
        cmocka_unit_test(replacements_that_do_not_help_slow_down),
        cmocka_unit_test(worst_stays_where_nobody_is_idle),
        cmocka_unit_test(suspect_path),
        cmocka_unit_test(sole_suspect_is_kept),
        cmocka_unit_test(hedge_and_late),
        cmocka_unit_test(any_world),
        cmocka_unit_test(limits),
        cmocka_unit_test(nothing_can_be_begun),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
