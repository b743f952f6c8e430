#include "core/lanes.h"

#define STALL_OTHERS_MS 1000 /* how lately another lane must have moved */

#define MARK_MS 500
#define SETTLE_MS 300
#define SETTLE_MAX_MS 600
#define SETTLE_RTTS 3
#define JUDGE_MS 500
/* The session's windows are small in front of a slow path, and learn by and by that it is not. */
#define PATIENCE_MS 4000
/* Between two lanes that are taken back. */
#define BACK_MS 1000
#define BACK_RTTS 4
/* A step takes as long whatever it adds, and two lanes are never many. */
#define FIRST_STEP 4
/* From here on a step takes seconds and a lane carries little: twice as many. */
#define LONG_WAY_MS 200
#define FREE_GROWTH 8 /* up to so many lanes without looking at what they bring */

/* ---- Choosing ---- */

void fb_lanes_open(struct fb_lanes *lanes, size_t i, uint64_t now) {
    lanes->open |= (uint16_t)(1u << i);
    lanes->held[i] = 0;
    lanes->moved[i] = now;
}

void fb_lanes_shut(struct fb_lanes *lanes, size_t i) {
    lanes->open &= (uint16_t) ~(1u << i);
}

static bool is_open(const struct fb_lanes *lanes, size_t i) {
    return (lanes->open >> i & 1) != 0;
}

size_t fb_lanes_held(const struct fb_lanes *lanes, const uint32_t held[FB_LANES_MAX]) {
    size_t sum = 0;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        sum += is_open(lanes, i) ? held[i] : 0;
    return sum;
}

static void look(struct fb_lanes *lanes, const uint32_t held[FB_LANES_MAX], uint64_t now) {
    for (size_t i = 0; i < FB_LANES_MAX; i++) {
        if (!is_open(lanes, i))
            continue;
        if (held[i] < lanes->held[i] || held[i] == 0)
            lanes->moved[i] = now;
        lanes->held[i] = held[i];
    }
}

int fb_lanes_least(const struct fb_lanes *lanes) {
    int best = -1;
    for (size_t n = 1; n <= FB_LANES_MAX; n++) {
        size_t i = (lanes->turn + n) % FB_LANES_MAX;
        if (is_open(lanes, i) && (best < 0 || lanes->held[i] < lanes->held[best]))
            best = (int)i;
    }
    return best;
}

int fb_lanes_pick(struct fb_lanes *lanes, const uint32_t held[FB_LANES_MAX], size_t len,
                  uint64_t now) {
    look(lanes, held, now);
    int best = fb_lanes_least(lanes);
    if (best < 0)
        return -1;
    lanes->held[best] += (uint32_t)len;
    lanes->turn = (uint8_t)best;
    return best;
}

int fb_lanes_stalled(const struct fb_lanes *lanes, uint64_t now) {
    bool others = false;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        others |= is_open(lanes, i) && now - lanes->moved[i] < STALL_OTHERS_MS;
    for (size_t i = 0; others && i < FB_LANES_MAX; i++)
        if (is_open(lanes, i) && lanes->held[i] > 0 && now - lanes->moved[i] >= FB_LANE_STALL_MS)
            return (int)i;
    return -1;
}

/* ---- How many ---- */

void fb_lane_plan_full(struct fb_lane_plan *plan, uint64_t now) {
    plan->full_at = now;
}

static void hold(struct fb_lane_plan *plan, uint64_t now) {
    plan->hold = plan->hold == 0 ? FB_LANES_HOLD_MS : plan->hold * 2;
    if (plan->hold > FB_LANES_HOLD_MAX_MS)
        plan->hold = FB_LANES_HOLD_MAX_MS;
    plan->hold_until = now + plan->hold;
}

void fb_lane_plan_failed(struct fb_lane_plan *plan, uint64_t now) {
    if (now >= plan->hold_until) /* those of one doubling count once */
        hold(plan, now);
}

static bool is_full(const struct fb_lane_plan *plan, uint64_t now) {
    return plan->full_at != 0 && now - plan->full_at < FB_LANES_FULL_FOR_MS;
}

/* Rates are measured from the older of two marks, so over MARK_MS to twice that. */
static void mark(struct fb_lane_plan *plan, uint64_t delivered, uint64_t now) {
    if (plan->marked && now - plan->mark[1] < MARK_MS)
        return;
    plan->mark[0] = plan->marked ? plan->mark[1] : now;
    plan->bytes[0] = plan->marked ? plan->bytes[1] : delivered;
    plan->mark[1] = now;
    plan->bytes[1] = delivered;
    plan->marked = true;
}

static uint64_t rate(const struct fb_lane_plan *plan, uint64_t delivered, uint64_t now) {
    uint64_t elapsed = now - plan->mark[0];
    /* Less may have been delivered than was thought: what dead lanes held. */
    return elapsed == 0 || delivered < plan->bytes[0]
               ? 0
               : (delivered - plan->bytes[0]) * 1000 / elapsed;
}

static size_t level(size_t lanes) {
    size_t log = 0;
    while (lanes > 1) {
        lanes /= 2;
        log++;
    }
    return log;
}

static size_t may_offer(struct fb_lane_plan *plan, size_t wanted, uint64_t now) {
    uint64_t more = (now - plan->offers_at) / FB_LANE_OFFER_MS;
    plan->offers_at += more * FB_LANE_OFFER_MS;
    plan->offers -= (uint32_t)(more < plan->offers ? more : plan->offers);
    size_t left = FB_LANE_OFFERS - plan->offers;
    return wanted < left ? wanted : left;
}

static int grow(struct fb_lane_plan *plan, const struct fb_lane_state *state, uint64_t now_rate,
                uint64_t now) {
    size_t first = state->rtt_ms < LONG_WAY_MS ? FIRST_STEP : 2 * FIRST_STEP;
    size_t more = state->open < first ? first - state->open : state->open;
    more = more < state->room ? more : state->room;
    if (now < plan->hold_until || now_rate >= FB_LANE_FAST * state->open)
        return 0;
    more = may_offer(plan, more, now);
    if (more == 0)
        return 0;
    if (!plan->on_trial) {
        plan->before = (uint8_t)state->open;
        plan->rate = now_rate;
    }
    for (size_t i = level(state->open); i < level(state->open + more); i++)
        plan->enough[i] = plan->rate;
    plan->on_trial = true;
    plan->offers += (uint32_t)more;
    return (int)more;
}

/* An eighth more rate for twice as many lanes, a quarter for any number: more lanes than the line
 * needs cost little, fewer cost everything. */
static bool has_paid(const struct fb_lane_plan *plan, const struct fb_lane_state *state,
                     uint64_t now_rate) {
    size_t before = plan->before, added = state->open > before ? state->open - before : 0;
    size_t counted = added < 2 * before ? added : 2 * before;
    return now_rate * 8 * before >= plan->rate * (8 * before + counted);
}

/* Whether the step on trial stays. */
static void judge(struct fb_lane_plan *plan, const struct fb_lane_state *state, uint64_t now_rate,
                  uint64_t now) {
    bool paid = has_paid(plan, state, now_rate);
    if (!paid && now - plan->settled < PATIENCE_MS)
        return;
    plan->on_trial = false;
    if (paid) {
        plan->hold = 0;
        return;
    }
    hold(plan, now);
    plan->keep = plan->before;
    plan->back_at = now;
}

static bool take_back(struct fb_lane_plan *plan, const struct fb_lane_state *state, uint64_t now) {
    uint64_t wait = BACK_RTTS * state->rtt_ms;
    if (plan->keep > 0 && state->open <= plan->keep)
        plan->keep = 0; /* that is done, or some have died */
    if (plan->keep == 0 || now < plan->back_at)
        return false;
    plan->hold_until = now + plan->hold;
    plan->back_at = now + (wait > BACK_MS ? wait : BACK_MS);
    return true;
}

static int shrink(struct fb_lane_plan *plan, const struct fb_lane_state *state, uint64_t now_rate,
                  uint64_t now) {
    size_t keep = state->open;
    while (keep > 1 && now_rate < plan->enough[level(keep) - 1] / 4 * 3)
        keep = (size_t)1 << (level(keep) - 1);
    if (keep == state->open)
        plan->needed = now;
    if (now - plan->needed < FB_LANES_IDLE_MS)
        return 0;
    plan->needed = now;
    plan->on_trial = false;
    return (int)keep - (int)state->open;
}

int fb_lane_plan_poll(struct fb_lane_plan *plan, const struct fb_lane_state *state, uint64_t now) {
    uint64_t settle = SETTLE_RTTS * state->rtt_ms;
    settle = settle < SETTLE_MS ? SETTLE_MS : settle < SETTLE_MAX_MS ? settle : SETTLE_MAX_MS;
    if (state->open != plan->open) {
        plan->open = (uint8_t)state->open;
        plan->settled = now + settle;
        plan->needed = now;
        plan->marked = false;
    }
    if (state->pending > 0 || state->open == 0)
        return 0;
    if (take_back(plan, state, now))
        return -1;
    if (now < plan->settled)
        return 0;
    mark(plan, state->delivered, now);
    uint64_t now_rate = rate(plan, state->delivered, now);
    bool measured = now - plan->mark[0] >= JUDGE_MS;
    if (!is_full(plan, now))
        return measured ? shrink(plan, state, now_rate, now) : 0;
    plan->needed = now;
    if (plan->on_trial && state->open < FREE_GROWTH && state->room > 0)
        return grow(plan, state, now_rate, now);
    if (!measured)
        return 0;
    if (plan->on_trial)
        judge(plan, state, now_rate, now);
    return plan->on_trial || plan->keep > 0 ? 0 : grow(plan, state, now_rate, now);
}
