#include "core/match.h"

#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "core/met.h"

/*
 * Idle volunteers wait in groups of one country, NAT and kind, because most rules decide on those:
 * a request looks at the groups (some hundreds at most), and within one usually at its first
 * volunteer alone. Every list below is in order of time, so heads have the first deadlines.
 */
struct group {
    uint8_t key[FB_COUNTRY_LEN + 2]; /* country, NAT, kind */
    size_t members;
    struct fb_list idle; /* volunteers, the one that has waited longest first */
    struct fb_list link; /* in match->groups while idle is not empty */
};

struct country {
    struct fb_match_country count;
};

struct volunteer {
    uint64_t id;
    void *ctx;
    struct fb_match_end end;
    enum fb_volunteer_kind kind;
    struct group *group;
    struct country *country;
    uint32_t places;
    bool silent;    /* left an offer unanswered: nothing more until it speaks */
    uint64_t since; /* order of becoming idle */
    struct fb_list idle, pairs;
};

struct request {
    uint64_t id;
    void *ctx;
    struct fb_match_request data;
    uint64_t deadline;
    struct pair *pair; /* its offer is out */
    struct fb_list waiting;
    enum fb_match_action_type pending_type; /* 0, NOBODY or AGAIN: over, to be told */
    struct fb_list pending;
};

enum pair_state { OFFERED, LIVE, WITHDRAWN };

struct pair {
    uint64_t id;
    enum pair_state state;
    struct volunteer *volunteer;
    struct request *request; /* while OFFERED */
    struct fb_match_end client;
    uint8_t session_key[FB_HANDLE_LEN + FB_ADDR_PREFIX_LEN];
    bool in_sessions, in_met;
    uint64_t deadline;
    struct fb_list by_volunteer, offers;
    struct fb_list pending; /* OFFER while OFFERED, WITHDRAW while WITHDRAWN */
};

struct failed {
    uint8_t key[2 * FB_ADDR_PREFIX_LEN + 2]; /* prefixes and NATs of client and volunteer */
    uint64_t expiry;
    struct fb_list link;
};

/* What a link in match->pending belongs to is told by a list each. */
struct fb_match {
    const struct fb_mem *mem;
    struct fb_match_config config;
    uint64_t last_id, last_since;
    uint64_t now_ms;                              /* of the last call that had a time */
    struct fb_map *volunteers, *requests, *pairs; /* by id */
    struct fb_map *groups_by_key, *countries, *sessions, *failed_by_key;
    struct fb_met *met;
    struct fb_list groups;  /* with somebody idle */
    struct fb_list waiting; /* requests */
    struct fb_list offers;  /* pairs that are OFFERED */
    struct fb_list failed;
    struct fb_list pending_pairs, pending_requests;
    size_t idle, live;
    uint64_t matched, peer_failed;
};

/* A walk within one group stops after this many that a pair rule excludes. */
#define WALK_MAX 64

static uint32_t or_default(uint32_t value, uint32_t usual) {
    return value == 0 ? usual : value;
}

struct fb_match *fb_match_new(const struct fb_mem *mem, const struct fb_rng *rng,
                              const struct fb_match_config *config) {
    struct fb_match *match = fb_alloc(mem, sizeof *match);
    if (match == NULL)
        return NULL;
    match->mem = mem;
    match->config = *config;
    match->config.request_ms = or_default(config->request_ms, 20000);
    match->config.answer_ms = or_default(config->answer_ms, 10000);
    match->config.failed_ms = or_default(config->failed_ms, 3600000);
    match->config.volunteers_max = or_default(config->volunteers_max, 65536);
    match->config.requests_max = or_default(config->requests_max, 4096);
    match->config.failed_max = or_default(config->failed_max, 65536);
    const struct fb_met_config met = {
        .volunteers_hour = or_default(config->volunteers_hour, 64),
        .failed_ms = match->config.failed_ms,
        .sessions_max = or_default(config->sessions_max, 65536),
    };
    match->met = fb_met_new(mem, rng, &met);
    fb_list_init(&match->groups);
    fb_list_init(&match->waiting);
    fb_list_init(&match->offers);
    fb_list_init(&match->failed);
    fb_list_init(&match->pending_pairs);
    fb_list_init(&match->pending_requests);
    match->volunteers = fb_map_new(mem, rng, sizeof(uint64_t));
    match->requests = fb_map_new(mem, rng, sizeof(uint64_t));
    match->pairs = fb_map_new(mem, rng, sizeof(uint64_t));
    match->groups_by_key = fb_map_new(mem, rng, sizeof((struct group *)0)->key);
    match->countries = fb_map_new(mem, rng, FB_COUNTRY_LEN);
    match->sessions = fb_map_new(mem, rng, FB_HANDLE_LEN + FB_ADDR_PREFIX_LEN);
    match->failed_by_key = fb_map_new(mem, rng, sizeof((struct failed *)0)->key);
    if (match->volunteers != NULL && match->requests != NULL && match->pairs != NULL &&
        match->groups_by_key != NULL && match->countries != NULL && match->sessions != NULL &&
        match->failed_by_key != NULL && match->met != NULL)
        return match;
    fb_match_free(match);
    return NULL;
}

/* ---- Idle volunteers ---- */

static void leave_idle(struct fb_match *match, struct volunteer *vol) {
    if (fb_list_empty(&vol->idle))
        return;
    fb_list_remove(&vol->idle);
    match->idle--;
    if (fb_list_empty(&vol->group->idle))
        fb_list_remove(&vol->group->link);
}

/* To the end of its group where it has a place to give; out of it where it has none. */
static void queue_idle(struct fb_match *match, struct volunteer *vol) {
    leave_idle(match, vol);
    if (vol->places == 0 || vol->silent)
        return;
    if (fb_list_empty(&vol->group->idle))
        fb_list_push(&match->groups, &vol->group->link);
    vol->since = ++match->last_since;
    fb_list_push(&vol->group->idle, &vol->idle);
    match->idle++;
}

static struct group *get_group(struct fb_match *match, const struct fb_match_end *end,
                               enum fb_volunteer_kind kind) {
    uint8_t key[] = {end->country[0], end->country[1], (uint8_t)end->nat, (uint8_t)kind};
    struct group *group = fb_map_get(match->groups_by_key, key);
    if (group != NULL)
        return group;
    group = fb_alloc(match->mem, sizeof *group);
    if (group == NULL)
        return NULL;
    memcpy(group->key, key, sizeof key);
    fb_list_init(&group->idle);
    fb_list_init(&group->link);
    if (fb_map_put(match->groups_by_key, key, group) != 0) {
        fb_free(match->mem, group);
        return NULL;
    }
    return group;
}

static void drop_group(struct fb_match *match, struct group *group) {
    if (group->members > 0)
        return;
    fb_map_take(match->groups_by_key, group->key);
    fb_free(match->mem, group);
}

static struct country *get_country(struct fb_match *match, const uint8_t key[FB_COUNTRY_LEN]) {
    struct country *country = fb_map_get(match->countries, key);
    if (country != NULL)
        return country;
    country = fb_alloc(match->mem, sizeof *country);
    if (country == NULL)
        return NULL;
    memcpy(country->count.country, key, FB_COUNTRY_LEN);
    if (fb_map_put(match->countries, key, country) != 0) {
        fb_free(match->mem, country);
        return NULL;
    }
    return country;
}

static void drop_country(struct fb_match *match, struct country *country) {
    if (country->count.volunteers > 0)
        return;
    fb_map_take(match->countries, country->count.country);
    fb_free(match->mem, country);
}

int fb_match_join(struct fb_match *match, const struct fb_match_end *end,
                  enum fb_volunteer_kind kind, void *ctx, uint64_t *id) {
    if (fb_map_count(match->volunteers) >= match->config.volunteers_max)
        return FB_ERR_LIMIT;
    struct volunteer *vol = fb_alloc(match->mem, sizeof *vol);
    if (vol == NULL)
        return FB_ERR_NOMEM;
    vol->id = ++match->last_id;
    vol->ctx = ctx;
    vol->end = *end;
    vol->kind = kind;
    fb_list_init(&vol->idle);
    fb_list_init(&vol->pairs);
    vol->group = get_group(match, end, kind);
    vol->country = get_country(match, end->country);
    if (vol->group == NULL || vol->country == NULL ||
        fb_map_put(match->volunteers, &vol->id, vol) != 0) {
        if (vol->group != NULL)
            drop_group(match, vol->group);
        if (vol->country != NULL)
            drop_country(match, vol->country);
        fb_free(match->mem, vol);
        return FB_ERR_NOMEM;
    }
    vol->group->members++;
    vol->country->count.volunteers++;
    *id = vol->id;
    return 0;
}

/* ---- Rules ---- */

static bool is_zero(const uint8_t *bytes, size_t len) {
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return any == 0;
}

/* Endpoint-independent mapping on one side lets the other side's checks find it. Most NATs that
 * nobody knows have it, and a pair that fails is not tried again. */
static bool nats_fit(enum fb_nat a, enum fb_nat b) {
    return a != FB_NAT_HARD || b != FB_NAT_HARD;
}

static bool nats_may_fail(enum fb_nat a, enum fb_nat b) {
    return (a == FB_NAT_HARD && b != FB_NAT_EASY) || (b == FB_NAT_HARD && a != FB_NAT_EASY);
}

static bool group_fits(const struct fb_match *match, const struct group *group,
                       const struct fb_match_request *request) {
    bool same_country = !is_zero(group->key, FB_COUNTRY_LEN) &&
                        memcmp(group->key, request->end.country, FB_COUNTRY_LEN) == 0;
    return (match->config.local || !same_country) &&
           nats_fit((enum fb_nat)group->key[FB_COUNTRY_LEN], request->end.nat) &&
           !(request->browsers_only && group->key[FB_COUNTRY_LEN + 1] == FB_VOLUNTEER_HEADLESS);
}

static bool has_handle(const struct fb_match_request *request) {
    return !is_zero(request->session, FB_HANDLE_LEN);
}

/* False where a rule about pairs has nothing to go by. */
static bool session_key(const struct fb_match *match, const struct volunteer *vol,
                        const struct fb_match_request *request, uint8_t *key) {
    memcpy(key, request->session, FB_HANDLE_LEN);
    memcpy(key + FB_HANDLE_LEN, vol->end.prefix, FB_ADDR_PREFIX_LEN);
    return !match->config.local && has_handle(request) &&
           !is_zero(vol->end.prefix, FB_ADDR_PREFIX_LEN);
}

static bool failed_key(const struct fb_match *match, const struct fb_match_end *client,
                       const struct fb_match_end *vol, uint8_t *key) {
    memcpy(key, client->prefix, FB_ADDR_PREFIX_LEN);
    memcpy(key + FB_ADDR_PREFIX_LEN, vol->prefix, FB_ADDR_PREFIX_LEN);
    key[2 * FB_ADDR_PREFIX_LEN] = (uint8_t)client->nat;
    key[2 * FB_ADDR_PREFIX_LEN + 1] = (uint8_t)vol->nat;
    return !match->config.local && !is_zero(client->prefix, FB_ADDR_PREFIX_LEN) &&
           !is_zero(vol->prefix, FB_ADDR_PREFIX_LEN);
}

static bool volunteer_fits(const struct fb_match *match, const struct volunteer *vol,
                           const struct fb_match_request *request) {
    uint8_t session[FB_HANDLE_LEN + FB_ADDR_PREFIX_LEN];
    uint8_t failed[sizeof((struct failed *)0)->key];
    if (has_handle(request) && !(fb_met_may(match->met, request->session, vol->id, match->now_ms) &&
                                 fb_met_wait(match->met, request->session, match->now_ms) == 0))
        return false;
    return !(session_key(match, vol, request, session) &&
             fb_map_get(match->sessions, session) != NULL) &&
           !(failed_key(match, &request->end, &vol->end, failed) &&
             fb_map_get(match->failed_by_key, failed) != NULL);
}

static struct volunteer *choose_in(const struct fb_match *match, const struct group *group,
                                   const struct fb_match_request *request) {
    unsigned steps = 0;
    FB_LIST_EACH (link, &group->idle) {
        struct volunteer *vol = FB_CONTAINER(link, struct volunteer, idle);
        if (volunteer_fits(match, vol, request))
            return vol;
        if (++steps == WALK_MAX)
            break;
    }
    return NULL;
}

/* Whoever has waited longest, of those whose NAT fits for sure or else of the others; saving easy
 * volunteers for hard clients would rank groups here. */
static struct volunteer *choose(const struct fb_match *match,
                                const struct fb_match_request *request) {
    struct volunteer *best = NULL;
    bool best_may_fail = true;
    FB_LIST_EACH (link, &match->groups) {
        const struct group *group = FB_CONTAINER(link, struct group, link);
        bool may_fail = nats_may_fail((enum fb_nat)group->key[FB_COUNTRY_LEN], request->end.nat);
        if (!group_fits(match, group, request) || (may_fail && !best_may_fail))
            continue;
        struct volunteer *vol = choose_in(match, group, request);
        if (vol == NULL || (best != NULL && may_fail == best_may_fail && vol->since >= best->since))
            continue;
        best = vol;
        best_may_fail = may_fail;
    }
    return best;
}

/* ---- Failed pairs ---- */

static void forget_failed(struct fb_match *match, struct failed *failed) {
    fb_map_take(match->failed_by_key, failed->key);
    fb_list_remove(&failed->link);
    fb_free(match->mem, failed);
}

/* Best effort: without memory the pair may be tried again, which does no harm. */
static void remember_failed(struct fb_match *match, const struct pair *pair, uint64_t now_ms) {
    uint8_t key[sizeof((struct failed *)0)->key];
    if (!failed_key(match, &pair->client, &pair->volunteer->end, key))
        return;
    struct failed *failed = fb_map_get(match->failed_by_key, key);
    if (failed == NULL) {
        if (fb_map_count(match->failed_by_key) >= match->config.failed_max)
            forget_failed(match, FB_CONTAINER(match->failed.next, struct failed, link));
        failed = fb_alloc(match->mem, sizeof *failed);
        if (failed == NULL)
            return;
        memcpy(failed->key, key, sizeof key);
        fb_list_init(&failed->link);
        if (fb_map_put(match->failed_by_key, key, failed) != 0) {
            fb_free(match->mem, failed);
            return;
        }
    }
    failed->expiry = now_ms + match->config.failed_ms;
    fb_list_remove(&failed->link);
    fb_list_push(&match->failed, &failed->link);
}

/* ---- Pairs ---- */

/* The session may have this volunteer, and others near it, again. */
static void part(struct fb_match *match, struct pair *pair, bool failed) {
    if (pair->in_sessions)
        fb_map_take(match->sessions, pair->session_key);
    if (pair->in_met)
        fb_met_over(match->met, pair->session_key, pair->volunteer->id, failed, match->now_ms);
    pair->in_sessions = pair->in_met = false;
}

static void free_pair(struct fb_match *match, struct pair *pair) {
    fb_map_take(match->pairs, &pair->id);
    part(match, pair, false);
    if (pair->state == LIVE) {
        match->live--;
        pair->volunteer->country->count.live--;
    }
    fb_list_remove(&pair->by_volunteer);
    fb_list_remove(&pair->offers);
    fb_list_remove(&pair->pending);
    fb_free(match->mem, pair);
}

static void free_request(struct fb_match *match, struct request *request) {
    fb_map_take(match->requests, &request->id);
    fb_list_remove(&request->waiting);
    fb_list_remove(&request->pending);
    fb_free(match->mem, request);
}

/* The request is over; fb_match_poll() says so and frees it. */
static void end_request(struct fb_match *match, struct request *request,
                        enum fb_match_action_type how) {
    request->pair = NULL;
    request->pending_type = how;
    fb_list_remove(&request->waiting);
    fb_list_push(&match->pending_requests, &request->pending);
}

/* Takes the offer back. Where the volunteer has not been shown it, it has its place again. */
static void withdraw(struct fb_match *match, struct pair *pair) {
    struct volunteer *vol = pair->volunteer;
    if (!fb_list_empty(&pair->pending)) {
        free_pair(match, pair);
        vol->places++;
        queue_idle(match, vol);
        return;
    }
    fb_map_take(match->pairs, &pair->id);
    part(match, pair, false);
    pair->state = WITHDRAWN;
    pair->request = NULL;
    fb_list_remove(&pair->offers);
    fb_list_push(&match->pending_pairs, &pair->pending);
}

/* 0, or FB_ERR_NOMEM: then nothing has changed and the request goes on waiting. */
static int offer(struct fb_match *match, struct volunteer *vol, struct request *request,
                 uint64_t now_ms) {
    struct pair *pair = fb_alloc(match->mem, sizeof *pair);
    if (pair == NULL)
        return FB_ERR_NOMEM;
    pair->id = ++match->last_id;
    pair->volunteer = vol;
    pair->client = request->data.end;
    pair->deadline = now_ms + match->config.answer_ms;
    fb_list_init(&pair->by_volunteer);
    fb_list_init(&pair->offers);
    fb_list_init(&pair->pending);
    bool keyed = session_key(match, vol, &request->data, pair->session_key);
    pair->in_sessions = keyed && fb_map_put(match->sessions, pair->session_key, pair) == 0;
    pair->in_met = has_handle(&request->data) &&
                   fb_met_offered(match->met, request->data.session, vol->id, now_ms) == 0;
    if ((keyed && !pair->in_sessions) || (has_handle(&request->data) && !pair->in_met) ||
        fb_map_put(match->pairs, &pair->id, pair) != 0) {
        free_pair(match, pair);
        return FB_ERR_NOMEM;
    }
    pair->request = request;
    request->pair = pair;
    fb_list_remove(&request->waiting);
    fb_list_push(&vol->pairs, &pair->by_volunteer);
    fb_list_push(&match->offers, &pair->offers);
    fb_list_push(&match->pending_pairs, &pair->pending);
    vol->places--;
    queue_idle(match, vol);
    return 0;
}

/* Somebody became idle: whoever waits longest and fits goes first. */
static void serve_waiting(struct fb_match *match, struct volunteer *vol, uint64_t now_ms) {
    FB_LIST_EACH (link, &match->waiting) {
        struct request *request = FB_CONTAINER(link, struct request, waiting);
        if (vol->places == 0 || vol->silent)
            return;
        if (group_fits(match, vol->group, &request->data) &&
            volunteer_fits(match, vol, &request->data) && offer(match, vol, request, now_ms) != 0)
            return;
    }
}

int fb_match_ready(struct fb_match *match, uint64_t volunteer, uint16_t places, uint64_t now_ms) {
    struct volunteer *vol = fb_map_get(match->volunteers, &volunteer);
    match->now_ms = now_ms;
    if (vol == NULL)
        return FB_ERR_NOT_FOUND;
    vol->silent = false;
    vol->places += places;
    if (vol->places > FB_MATCH_PLACES_MAX)
        vol->places = FB_MATCH_PLACES_MAX;
    queue_idle(match, vol);
    serve_waiting(match, vol, now_ms);
    return 0;
}

void fb_match_leave(struct fb_match *match, uint64_t volunteer, uint64_t now_ms) {
    struct volunteer *vol = fb_map_take(match->volunteers, &volunteer);
    match->now_ms = now_ms;
    if (vol == NULL)
        return;
    FB_LIST_EACH (link, &vol->pairs) {
        struct pair *pair = FB_CONTAINER(link, struct pair, by_volunteer);
        if (pair->state == OFFERED)
            end_request(match, pair->request, FB_MATCH_AGAIN);
        free_pair(match, pair);
    }
    leave_idle(match, vol);
    vol->group->members--;
    drop_group(match, vol->group);
    vol->country->count.volunteers--;
    drop_country(match, vol->country);
    fb_free(match->mem, vol);
}

/* The pair, when it is this volunteer's and in that state. */
static struct pair *find_pair(const struct fb_match *match, uint64_t volunteer, uint64_t id,
                              enum pair_state state) {
    struct pair *pair = fb_map_get(match->pairs, &id);
    return pair != NULL && pair->volunteer->id == volunteer && pair->state == state ? pair : NULL;
}

int fb_match_answered(struct fb_match *match, uint64_t volunteer, uint64_t id, void **request_ctx,
                      uint64_t now_ms) {
    struct pair *pair = find_pair(match, volunteer, id, OFFERED);
    match->now_ms = now_ms;
    if (pair == NULL || !fb_list_empty(&pair->pending)) /* it has not been shown yet */
        return FB_ERR_NOT_FOUND;
    *request_ctx = pair->request->ctx;
    free_request(match, pair->request);
    pair->request = NULL;
    pair->state = LIVE;
    if (pair->in_met)
        fb_met_answered(match->met, pair->session_key, pair->volunteer->id, now_ms);
    fb_list_remove(&pair->offers);
    match->live++;
    match->matched++;
    pair->volunteer->country->count.live++;
    return 0;
}

int fb_match_declined(struct fb_match *match, uint64_t volunteer, uint64_t id, enum fb_decline why,
                      uint64_t now_ms) {
    struct pair *pair = find_pair(match, volunteer, id, OFFERED);
    match->now_ms = now_ms;
    if (pair == NULL || !fb_list_empty(&pair->pending))
        return FB_ERR_NOT_FOUND;
    end_request(match, pair->request, FB_MATCH_AGAIN);
    free_pair(match, pair);
    return 0;
}

int fb_match_done(struct fb_match *match, uint64_t volunteer, uint64_t id, enum fb_outcome outcome,
                  uint64_t now_ms) {
    struct pair *pair = find_pair(match, volunteer, id, LIVE);
    match->now_ms = now_ms;
    if (pair == NULL)
        return FB_ERR_NOT_FOUND;
    if (outcome == FB_OUTCOME_PEER_FAILED) {
        match->peer_failed++;
        remember_failed(match, pair, now_ms);
        part(match, pair, true);
    }
    free_pair(match, pair);
    return 0;
}

/* ---- Requests ---- */

uint64_t fb_match_wait(const struct fb_match *match, const uint8_t session[static FB_HANDLE_LEN],
                       uint64_t now_ms) {
    return is_zero(session, FB_HANDLE_LEN) ? 0 : fb_met_wait(match->met, session, now_ms);
}

int fb_match_request(struct fb_match *match, const struct fb_match_request *data, void *ctx,
                     uint64_t now_ms, uint64_t *id) {
    match->now_ms = now_ms;
    if (fb_map_count(match->requests) >= match->config.requests_max ||
        fb_match_wait(match, data->session, now_ms) > 0)
        return FB_ERR_LIMIT;
    struct request *request = fb_alloc(match->mem, sizeof *request);
    if (request == NULL)
        return FB_ERR_NOMEM;
    request->id = ++match->last_id;
    request->ctx = ctx;
    request->data = *data;
    request->deadline = now_ms + match->config.request_ms;
    fb_list_init(&request->waiting);
    fb_list_init(&request->pending);
    if (fb_map_put(match->requests, &request->id, request) != 0) {
        fb_free(match->mem, request);
        return FB_ERR_NOMEM;
    }
    fb_list_push(&match->waiting, &request->waiting);
    struct volunteer *vol = choose(match, data);
    if (vol != NULL && offer(match, vol, request, now_ms) != 0) {
        free_request(match, request);
        return FB_ERR_NOMEM;
    }
    *id = request->id;
    return 0;
}

void fb_match_cancel(struct fb_match *match, uint64_t id, uint64_t now_ms) {
    struct request *request = fb_map_get(match->requests, &id);
    match->now_ms = now_ms;
    if (request == NULL)
        return;
    if (request->pair != NULL)
        withdraw(match, request->pair);
    free_request(match, request);
}

/* ---- Time and actions ---- */

void fb_match_tick(struct fb_match *match, uint64_t now_ms) {
    match->now_ms = now_ms;
    FB_LIST_EACH (link, &match->offers) {
        struct pair *pair = FB_CONTAINER(link, struct pair, offers);
        if (pair->deadline > now_ms)
            break;
        pair->volunteer->silent = true;
        queue_idle(match, pair->volunteer);
        end_request(match, pair->request, FB_MATCH_AGAIN);
        withdraw(match, pair);
    }
    FB_LIST_EACH (link, &match->waiting) {
        struct request *request = FB_CONTAINER(link, struct request, waiting);
        if (request->deadline > now_ms)
            break;
        end_request(match, request, FB_MATCH_NOBODY);
    }
    FB_LIST_EACH (link, &match->failed) {
        struct failed *failed = FB_CONTAINER(link, struct failed, link);
        if (failed->expiry > now_ms)
            break;
        forget_failed(match, failed);
    }
}

uint64_t fb_match_deadline(const struct fb_match *match) {
    uint64_t first = FB_MATCH_NEVER;
    if (!fb_list_empty(&match->offers))
        first = FB_CONTAINER(match->offers.next, struct pair, offers)->deadline;
    if (!fb_list_empty(&match->waiting)) {
        const struct request *request = FB_CONTAINER(match->waiting.next, struct request, waiting);
        first = request->deadline < first ? request->deadline : first;
    }
    if (!fb_list_empty(&match->failed)) {
        const struct failed *failed = FB_CONTAINER(match->failed.next, struct failed, link);
        first = failed->expiry < first ? failed->expiry : first;
    }
    return first;
}

bool fb_match_poll(struct fb_match *match, struct fb_match_action *out) {
    memset(out, 0, sizeof *out);
    if (!fb_list_empty(&match->pending_pairs)) {
        struct pair *pair = FB_CONTAINER(match->pending_pairs.next, struct pair, pending);
        fb_list_remove(&pair->pending);
        out->volunteer_ctx = pair->volunteer->ctx;
        out->volunteer = pair->volunteer->id;
        out->id = pair->id;
        out->type = FB_MATCH_WITHDRAW;
        if (pair->state == WITHDRAWN) {
            free_pair(match, pair);
            return true;
        }
        out->type = FB_MATCH_OFFER;
        out->request_ctx = pair->request->ctx;
        out->request = pair->request->id;
        return true;
    }
    if (!fb_list_empty(&match->pending_requests)) {
        struct request *request = FB_CONTAINER(match->pending_requests.next, struct request,
                                               pending);
        out->type = request->pending_type;
        out->request_ctx = request->ctx;
        out->request = request->id;
        free_request(match, request);
        return true;
    }
    return false;
}

void fb_match_count(const struct fb_match *match, struct fb_match_counts *out) {
    memset(out, 0, sizeof *out);
    out->volunteers = fb_map_count(match->volunteers);
    out->idle = match->idle;
    for (const struct fb_list *link = match->waiting.next; link != &match->waiting;
         link = link->next)
        out->waiting++;
    for (const struct fb_list *link = match->offers.next; link != &match->offers; link = link->next)
        out->offered++;
    out->live = match->live;
    out->matched = match->matched;
    out->failed = match->peer_failed;
}

size_t fb_match_countries(const struct fb_match *match, struct fb_match_country *out, size_t cap) {
    const struct country *country;
    size_t cursor = 0, count = 0;
    while (count < cap && (country = fb_map_next(match->countries, &cursor)) != NULL)
        out[count++] = country->count;
    return count;
}

void fb_match_free(struct fb_match *match) {
    if (match == NULL)
        return;
    void *it;
    size_t cursor = 0;
    FB_LIST_EACH (link, &match->failed)
        fb_free(match->mem, FB_CONTAINER(link, struct failed, link));
    while (match->volunteers != NULL && (it = fb_map_next(match->volunteers, &cursor)) != NULL) {
        struct volunteer *vol = it;
        FB_LIST_EACH (link, &vol->pairs)
            fb_free(match->mem, FB_CONTAINER(link, struct pair, by_volunteer));
        fb_free(match->mem, vol);
    }
    struct fb_map *plain[] = {match->requests, match->groups_by_key, match->countries};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        cursor = 0;
        while (plain[i] != NULL && (it = fb_map_next(plain[i], &cursor)) != NULL)
            fb_free(match->mem, it);
        fb_map_free(plain[i]);
    }
    fb_map_free(match->volunteers);
    fb_map_free(match->pairs);
    fb_map_free(match->sessions);
    fb_map_free(match->failed_by_key);
    fb_met_free(match->met);
    fb_free(match->mem, match);
}
