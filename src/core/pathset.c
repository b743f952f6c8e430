#include "core/pathset.h"

#include <string.h>

#include "base/err.h"

#define SECOND UINT64_C(1000000)
#define HURRY_TIMES 3
#define HURRY_US (SECOND / 5)
#define FAILED_FIRST_US (SECOND / 2)
#define FAILED_MAX_US (30 * SECOND)
#define NOBODY_URGENT_US SECOND
#define NOBODY_URGENT_MAX_US (5 * SECOND)
#define NOBODY_US (5 * SECOND)
#define NOBODY_MAX_US (120 * SECOND)
#define DENIED_US (300 * SECOND)

/* A path is judged once it has had time to show what it can do. */
#define JUDGED_AFTER_US (10 * SECOND)
#define BAD_MAX (FB_PATHSET_BAD_SAMPLES + 10)
#define BAD_RATE 6
#define BAD_RTT 3
#define BAD_RTT_MORE_US (SECOND * 3 / 10)

enum state { FREE = 0, ASKING, ANSWERED, ACTIVE, SPARE };

struct entry {
    uint32_t id;
    enum state state;
    uint64_t began, since;  /* since: of ASKING, ANSWERED, or open */
    uint64_t suspect_since; /* FB_PATHSET_NEVER: it is not */
    uint64_t suspected;     /* when it last was; 0: never */
    struct fb_pathset_measure measure;
    unsigned bad; /* samples in which it was much worse than the others */
    bool proven;  /* it lived for FB_PATHSET_PROVEN_US */
    bool marked;  /* to be replaced */
};

struct fb_pathset {
    const struct fb_mem *mem;
    const struct fb_rng *rng;
    struct fb_pathset_config config;
    struct entry entries[FB_PATHSET_PATHS_MAX];
    uint64_t now, deadline;
    bool ready, tokens;
    size_t streams;
    bool has_bytes;
    uint64_t busy_at; /* traffic, or a stream more or less */
    uint64_t bytes, bytes_at;

    unsigned failures, nobodies; /* rounds in a row */
    bool hurry;                  /* the last failure came with a wish for a fresh offer at once */
    bool at_once;                /* it was the first, and of a path that had opened */
    uint64_t paced;              /* when the last round failed; 0: none */
    uint8_t chance;              /* that round's own */
    uint64_t offered;            /* when the last offer was made */
    uint64_t later;              /* the broker wants nothing before */
    uint64_t credit;             /* microseconds' worth of offers */
    uint64_t credited;

    uint64_t sampled;
    uint64_t replace_after, replace_gap, replaced_at;
    struct fb_pathset_counts counts;
};

static uint64_t smaller(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static unsigned burst(const struct fb_pathset *set) {
    return 2 * (set->config.target + set->config.spare) + 4;
}

uint64_t fb_pathset_offers_max(const struct fb_pathset *set, uint64_t span_us) {
    return burst(set) + span_us / FB_PATHSET_OFFER_US + 1;
}

struct fb_pathset *fb_pathset_new(const struct fb_mem *mem, const struct fb_rng *rng,
                                  const struct fb_pathset_config *config, uint64_t now) {
    struct fb_pathset *set = fb_alloc(mem, sizeof *set);
    if (set == NULL)
        return NULL;
    set->mem = mem;
    set->rng = rng;
    set->config = *config;
    if (set->config.target < 1)
        set->config.target = 1;
    if (set->config.target > FB_PATHSET_TARGET_MAX)
        set->config.target = FB_PATHSET_TARGET_MAX;
    if (set->config.spare > 1)
        set->config.spare = 1;
    set->tokens = true;
    set->now = set->busy_at = set->credited = set->sampled = now;
    set->deadline = now;
    set->credit = burst(set) * FB_PATHSET_OFFER_US;
    set->replace_gap = FB_PATHSET_REPLACE_US;
    set->replace_after = now;
    return set;
}

void fb_pathset_free(struct fb_pathset *set) {
    if (set != NULL)
        fb_free(set->mem, set);
}

/* A clock that goes back stands still. */
static void advance(struct fb_pathset *set, uint64_t now) {
    if (now > set->now)
        set->now = now;
    set->credit += set->now - set->credited;
    set->credited = set->now;
    set->credit = smaller(set->credit, burst(set) * FB_PATHSET_OFFER_US);
}

static struct entry *find(struct fb_pathset *set, uint32_t id) {
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++)
        if (set->entries[i].state != FREE && set->entries[i].id == id)
            return &set->entries[i];
    return NULL;
}

static bool is_open(const struct entry *entry) {
    return entry->state == ACTIVE || entry->state == SPARE;
}

static bool suspect_for(const struct fb_pathset *set, const struct entry *entry, uint64_t us) {
    return entry->suspect_since != FB_PATHSET_NEVER && set->now - entry->suspect_since >= us;
}

/* It counts towards what is wanted: until `us` of being suspect, and unless it is to go. */
static bool counts_for(const struct fb_pathset *set, const struct entry *entry, uint64_t us) {
    return is_open(entry) && !entry->marked && !suspect_for(set, entry, us);
}

static unsigned count_state(const struct fb_pathset *set, enum state state, uint64_t us) {
    unsigned n = 0;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++)
        n += set->entries[i].state == state && counts_for(set, &set->entries[i], us);
    return n;
}

static unsigned count_attempts(const struct fb_pathset *set) {
    unsigned n = 0;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++)
        n += set->entries[i].state == ASKING || set->entries[i].state == ANSWERED;
    return n;
}

/* One that is to be replaced carries offers, too. */
static bool lives_at(const struct fb_pathset *set, uint64_t now) {
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        const struct entry *entry = &set->entries[i];
        uint64_t since = entry->suspect_since;
        if (is_open(entry) &&
            (since == FB_PATHSET_NEVER || now < since || now - since < FB_PATHSET_SEEK_US))
            return true;
    }
    return false;
}

static bool alive(const struct fb_pathset *set) {
    return lives_at(set, set->now);
}

bool fb_pathset_in_session(const struct fb_pathset *set, uint64_t now) {
    return set->ready && lives_at(set, now);
}

static bool may_be_idle(const struct fb_pathset *set) {
    return set->streams == 0 || set->has_bytes;
}

static bool is_idle(const struct fb_pathset *set) {
    return may_be_idle(set) && set->now - set->busy_at >= FB_PATHSET_IDLE_US;
}

static unsigned wanted(const struct fb_pathset *set) {
    return is_idle(set) || !set->ready ? 1 : set->config.target;
}

static unsigned wanted_spare(const struct fb_pathset *set) {
    return set->ready ? set->config.spare : 0;
}

/* ---- facts ---- */

/* Attempts made in parallel fail together, and count once. */
static void pace(struct fb_pathset *set, uint64_t began, enum fb_pathset_why why) {
    if (set->paced != 0 && began < set->paced)
        return;
    set->paced = set->now;
    fb_random(set->rng, &set->chance, 1);
    set->hurry = why == FB_PATHSET_AGAIN;
    set->at_once = false;
    if (why == FB_PATHSET_NOBODY)
        set->nobodies++;
    else
        set->failures++;
}

static bool is_proven(const struct fb_pathset *set, const struct entry *entry) {
    return entry->proven || set->now - entry->since >= FB_PATHSET_PROVEN_US;
}

/* A volunteer who goes soon after coming: once is no reason to let the reader wait. */
static void pace_opened(struct fb_pathset *set, const struct entry *entry) {
    bool first = set->failures == 0;
    pace(set, entry->since, FB_PATHSET_FAILED);
    set->at_once = first && set->failures == 1;
}

void fb_pathset_session(struct fb_pathset *set, bool ready, uint64_t now) {
    advance(set, now);
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX && !ready; i++)
        if (is_open(&set->entries[i]) && !is_proven(set, &set->entries[i]))
            pace(set, set->entries[i].since, FB_PATHSET_FAILED);
    if (!ready) {
        memset(set->entries, 0, sizeof set->entries);
        set->tokens = true;
    }
    set->ready = ready;
}

void fb_pathset_streams(struct fb_pathset *set, size_t streams, uint64_t now) {
    advance(set, now);
    if (set->streams != streams)
        set->busy_at = set->now;
    set->streams = streams;
}

void fb_pathset_bytes(struct fb_pathset *set, uint64_t bytes, uint64_t now) {
    advance(set, now);
    bool much = set->has_bytes && bytes - set->bytes >= FB_PATHSET_BUSY_BYTES;
    if (much)
        set->busy_at = set->now;
    if (much || !set->has_bytes || set->now - set->bytes_at >= FB_PATHSET_BUSY_US) {
        set->bytes = bytes;
        set->bytes_at = set->now;
    }
    set->has_bytes = true;
}

void fb_pathset_tokens(struct fb_pathset *set, bool in_hand) {
    set->tokens = in_hand;
}

int fb_pathset_began(struct fb_pathset *set, uint32_t id, uint64_t now) {
    advance(set, now);
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (entry->state != FREE)
            continue;
        *entry = (struct entry){.id = id,
                                .state = ASKING,
                                .began = set->now,
                                .since = set->now,
                                .suspect_since = FB_PATHSET_NEVER};
        return 0;
    }
    return FB_ERR_LIMIT;
}

void fb_pathset_answered(struct fb_pathset *set, uint32_t id, uint64_t now) {
    struct entry *entry = find(set, id);
    advance(set, now);
    if (entry == NULL || entry->state != ASKING)
        return;
    entry->state = ANSWERED;
    entry->since = set->now;
    set->nobodies = 0;
}

void fb_pathset_opened(struct fb_pathset *set, uint32_t id, uint64_t now) {
    struct entry *entry = find(set, id);
    advance(set, now);
    if (entry == NULL || is_open(entry))
        return;
    entry->state = ACTIVE;
    entry->since = set->now;
    set->nobodies = 0;
}

void fb_pathset_measured(struct fb_pathset *set, uint32_t id,
                         const struct fb_pathset_measure *measure, uint64_t now) {
    struct entry *entry = find(set, id);
    advance(set, now);
    if (entry == NULL || !is_open(entry))
        return;
    entry->measure = *measure;
    if (measure->suspect)
        entry->suspected = set->now;
    if (!measure->suspect)
        entry->suspect_since = FB_PATHSET_NEVER;
    else if (entry->suspect_since == FB_PATHSET_NEVER)
        entry->suspect_since = set->now;
}

void fb_pathset_unable(struct fb_pathset *set, uint64_t now) {
    advance(set, now);
    pace(set, set->now, FB_PATHSET_FAILED);
}

static void unmark(struct fb_pathset *set) {
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++)
        set->entries[i].marked = false;
}

void fb_pathset_over(struct fb_pathset *set, uint32_t id, enum fb_pathset_why why, uint64_t wait_us,
                     uint64_t now) {
    struct entry *entry = find(set, id);
    advance(set, now);
    if (entry == NULL)
        return;
    if (why == FB_PATHSET_DENIED && wait_us < DENIED_US)
        wait_us = DENIED_US;
    if (why == FB_PATHSET_LATER && wait_us < SECOND)
        wait_us = SECOND;
    if (wait_us > 0)
        set->later = set->now + smaller(wait_us, FB_PATHSET_LATER_MAX_US);
    if (!is_open(entry) && why != FB_PATHSET_STRAY)
        pace(set, entry->began, why);
    else if (is_open(entry) && !is_proven(set, entry))
        pace_opened(set, entry);
    else if (is_open(entry) && set->nobodies > 1)
        set->nobodies = 1; /* what nobody had is needed more now, and may be there meanwhile */
    *entry = (struct entry){0};
    unmark(set); /* what there is is better than what can be had */
}

/* ---- pace ---- */

static uint64_t doubled(uint64_t first, unsigned times, uint64_t most) {
    return times >= 10 ? most : smaller(first << times, most);
}

/* From when on the next offer may be made; it depends on whether something lives meanwhile. */
static uint64_t may_offer_at(const struct fb_pathset *set) {
    bool living = alive(set);
    uint64_t wait = 0, later = set->later, from = set->paced;
    /* In distress an attempt that has not failed yet does not call for the next one. */
    if (set->failures >= HURRY_TIMES && set->offered > from)
        from = set->offered;
    if (set->failures > 0 && set->hurry && set->failures <= HURRY_TIMES)
        wait = HURRY_US;
    else if (set->failures > 0 && !set->at_once)
        wait = doubled(FAILED_FIRST_US, set->failures - 1, FAILED_MAX_US);
    if (set->nobodies > 0) {
        uint64_t nobody = living
                              ? doubled(NOBODY_US, set->nobodies - 1, NOBODY_MAX_US)
                              : doubled(NOBODY_URGENT_US, set->nobodies - 1, NOBODY_URGENT_MAX_US);
        wait = nobody > wait ? nobody : wait;
    }
    wait = wait / 4 * 3 + wait / 2 / 256 * set->chance;
    if (!living)
        later = smaller(later, set->paced + FB_PATHSET_LATER_URGENT_US);
    return from + wait > later ? from + wait : later;
}

/* ---- the worst ---- */

/* Whether a is the one to part with rather than b. */
static bool is_worse(const struct entry *a, const struct entry *b) {
    if (a->marked != b->marked)
        return a->marked;
    if (a->suspect_since != b->suspect_since)
        return a->suspect_since < b->suspect_since;
    if (a->suspected != b->suspected)
        return a->suspected > b->suspected;
    if (a->bad / 4 != b->bad / 4)
        return a->bad > b->bad;
    if (a->measure.rate != b->measure.rate)
        return a->measure.rate < b->measure.rate;
    if (a->measure.rtt_us != b->measure.rtt_us)
        return a->measure.rtt_us > b->measure.rtt_us;
    return a->since > b->since;
}

static struct entry *worst(struct fb_pathset *set, enum state state) {
    struct entry *found = NULL;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (entry->state == state && (found == NULL || is_worse(entry, found)))
            found = entry;
    }
    return found;
}

static struct entry *best_spare(struct fb_pathset *set) {
    struct entry *found = NULL;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (entry->state == SPARE && counts_for(set, entry, 0) &&
            (found == NULL || is_worse(found, entry)))
            found = entry;
    }
    return found;
}

/* The median of what the other carrying paths show; 0: nothing is known. */
static uint64_t median(const struct fb_pathset *set, const struct entry *but, bool rate) {
    uint64_t values[FB_PATHSET_PATHS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        const struct entry *entry = &set->entries[i];
        uint64_t value = rate ? entry->measure.rate : entry->measure.rtt_us;
        if (entry == but || entry->state != ACTIVE || value == 0 || entry->measure.suspect)
            continue;
        size_t at = n++;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    return n > 0 ? values[n / 2] : 0;
}

static bool is_bad(const struct fb_pathset *set, const struct entry *entry) {
    const struct fb_pathset_measure *m = &entry->measure;
    uint64_t rtt = median(set, entry, false), rate = median(set, entry, true);
    if (rtt == 0 && rate == 0)
        return false; /* nothing to compare it with */
    if (m->suspect || (rtt > 0 && m->rtt_us > BAD_RTT * rtt && m->rtt_us - rtt > BAD_RTT_MORE_US))
        return true;
    return m->loaded && m->rate > 0 && m->rate < rate / BAD_RATE;
}

static void mark_worst(struct fb_pathset *set) {
    struct entry *found = NULL;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (entry->marked)
            return;
        if (entry->state == ACTIVE && entry->bad >= FB_PATHSET_BAD_SAMPLES &&
            (found == NULL || is_worse(entry, found)))
            found = entry;
    }
    if (found == NULL || set->now < set->replace_after)
        return;
    /* One after the other: then it is not the volunteers, and replacing them helps little. */
    if (set->replaced_at == 0 || set->now - set->replaced_at > 2 * set->replace_gap)
        set->replace_gap = FB_PATHSET_REPLACE_US;
    else
        set->replace_gap = smaller(2 * set->replace_gap, FB_PATHSET_REPLACE_MAX_US);
    set->replaced_at = set->now;
    set->replace_after = set->now + set->replace_gap;
    found->bad = 0;
    found->marked = true;
}

/* ---- decisions ---- */

static void await(struct fb_pathset *set, uint64_t at) {
    if (at > set->now)
        set->deadline = smaller(set->deadline, at);
}

static void note_proven(struct fb_pathset *set) {
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (!is_open(entry) || entry->proven)
            continue;
        entry->proven = is_proven(set, entry);
        if (entry->proven)
            set->failures = 0;
        await(set, entry->since + FB_PATHSET_PROVEN_US);
    }
}

/* A sample a second while there is traffic, however often this is called. */
static void judge(struct fb_pathset *set) {
    if (set->streams == 0)
        return;
    if (set->now - set->sampled >= FB_PATHSET_SAMPLE_US) {
        set->sampled = set->now;
        for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
            struct entry *entry = &set->entries[i];
            if (entry->state != ACTIVE || set->now - entry->since < JUDGED_AFTER_US)
                continue;
            if (is_bad(set, entry))
                entry->bad += entry->bad < BAD_MAX;
            else
                entry->bad -= entry->bad < 2 ? entry->bad : 2;
        }
        mark_worst(set);
    }
    if (alive(set))
        await(set, set->sampled + FB_PATHSET_SAMPLE_US);
}

static bool drop(struct fb_pathset *set, struct entry *entry, enum fb_pathset_drop why,
                 struct fb_pathset_action *action) {
    *action = (struct fb_pathset_action){.act = FB_PATHSET_DROP, .path = entry->id, .drop = why};
    set->counts.dropped++;
    set->counts.replaced += why == FB_PATHSET_REPLACED;
    *entry = (struct entry){0};
    return true;
}

static bool drop_late(struct fb_pathset *set, struct fb_pathset_action *action) {
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (entry->state != ASKING && entry->state != ANSWERED)
            continue;
        if (set->now - entry->began >= FB_PATHSET_ATTEMPT_US) {
            pace(set, entry->began, FB_PATHSET_FAILED);
            return drop(set, entry, FB_PATHSET_LATE, action);
        }
        await(set, entry->began + FB_PATHSET_ATTEMPT_US);
    }
    return false;
}

static bool change_role(struct entry *entry, enum state state, struct fb_pathset_action *action) {
    entry->state = state;
    *action = (struct fb_pathset_action){
        .act = state == ACTIVE ? FB_PATHSET_ACTIVE : FB_PATHSET_STANDBY, .path = entry->id};
    return true;
}

/* Open paths find their roles; what is silent or replaced goes once the others suffice. */
static bool arrange(struct fb_pathset *set, struct fb_pathset_action *action) {
    unsigned want = wanted(set), want_spare = wanted_spare(set);
    unsigned active = count_state(set, ACTIVE, FB_PATHSET_SUSPECT_US);
    unsigned spare = count_state(set, SPARE, FB_PATHSET_SUSPECT_US);
    if (active < want) {
        struct entry *entry = best_spare(set);
        return entry != NULL && change_role(entry, ACTIVE, action);
    }
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        struct entry *entry = &set->entries[i];
        if (!is_open(entry))
            continue;
        if (entry->marked)
            return drop(set, entry, FB_PATHSET_REPLACED, action);
        if (suspect_for(set, entry, FB_PATHSET_GIVE_UP_US))
            return drop(set, entry, FB_PATHSET_SILENT, action);
    }
    if (active > want) {
        struct entry *entry = worst(set, ACTIVE);
        if (suspect_for(set, entry, FB_PATHSET_SUSPECT_US))
            return false; /* it is not what there is too much of; its time comes */
        return spare < want_spare ? change_role(entry, SPARE, action)
                                  : drop(set, entry, FB_PATHSET_SURPLUS, action);
    }
    return spare > want_spare && drop(set, worst(set, SPARE), FB_PATHSET_SURPLUS, action);
}

static void await_suspects(struct fb_pathset *set) {
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        const struct entry *entry = &set->entries[i];
        if (!is_open(entry) || entry->suspect_since == FB_PATHSET_NEVER)
            continue;
        await(set, entry->suspect_since + FB_PATHSET_SUSPECT_US);
        await(set, entry->suspect_since + FB_PATHSET_SEEK_US);
        await(set, entry->suspect_since + FB_PATHSET_GIVE_UP_US);
    }
}

/* How many attempts there may be at once now. */
static unsigned attempts_allowed(struct fb_pathset *set) {
    unsigned have = count_state(set, ACTIVE, FB_PATHSET_SEEK_US) +
                    count_state(set, SPARE, FB_PATHSET_SEEK_US);
    unsigned want = wanted(set) + wanted_spare(set);
    if (have >= want)
        return 0;
    if (have > 0 && set->nobodies > 0)
        return 1;
    if (have > 0)
        return want - have < FB_PATHSET_PARALLEL ? want - have : FB_PATHSET_PARALLEL;
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        const struct entry *entry = &set->entries[i];
        if (!set->ready || entry->state != ANSWERED)
            continue;
        if (set->now - entry->since >= FB_PATHSET_HEDGE_US)
            return 2;
        await(set, entry->since + FB_PATHSET_HEDGE_US);
    }
    return 1;
}

static bool offer(struct fb_pathset *set, struct fb_pathset_action *action) {
    unsigned attempts = count_attempts(set);
    if (!set->tokens) {
        if (!set->ready || attempts > 0 || worst(set, ACTIVE) != NULL || worst(set, SPARE) != NULL)
            return false;
        *action = (struct fb_pathset_action){.act = FB_PATHSET_NEW_SESSION};
        fb_pathset_session(set, false, set->now);
        return true;
    }
    if (attempts >= attempts_allowed(set))
        return false;
    uint64_t at = may_offer_at(set);
    if (at > set->now || set->credit < FB_PATHSET_OFFER_US) {
        await(set, at);
        if (set->credit < FB_PATHSET_OFFER_US)
            await(set, set->now + FB_PATHSET_OFFER_US - set->credit);
        return false;
    }
    set->credit -= FB_PATHSET_OFFER_US;
    set->counts.offers++;
    set->offered = set->now;
    *action = (struct fb_pathset_action){.act = FB_PATHSET_OFFER, .in_session = alive(set)};
    return true;
}

bool fb_pathset_next(struct fb_pathset *set, uint64_t now, struct fb_pathset_action *action) {
    advance(set, now);
    set->deadline = FB_PATHSET_NEVER;
    note_proven(set);
    judge(set);
    if (drop_late(set, action) || arrange(set, action) || offer(set, action))
        return true;
    await_suspects(set);
    if (may_be_idle(set))
        await(set, set->busy_at + FB_PATHSET_IDLE_US);
    return false;
}

uint64_t fb_pathset_deadline(const struct fb_pathset *set) {
    return set->deadline;
}

void fb_pathset_count(const struct fb_pathset *set, struct fb_pathset_counts *counts) {
    *counts = set->counts;
    counts->wanted = wanted(set);
    for (size_t i = 0; i < FB_PATHSET_PATHS_MAX; i++) {
        counts->active += set->entries[i].state == ACTIVE;
        counts->spare += set->entries[i].state == SPARE;
    }
    counts->attempts = count_attempts(set);
}
