#include "core/met.h"

#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"

#define HOUR_MS UINT64_C(3600000)
#define FIRST_CAP 4

struct meeting {
    uint64_t volunteer;
    uint64_t answered_ms; /* 0: not */
    uint64_t apart_ms;    /* until then not again */
    bool live;
};

struct session {
    uint8_t handle[FB_HANDLE_LEN];
    struct fb_list link; /* in met->sessions, the longest unused first */
    uint64_t used_ms;
    struct meeting *meetings;
    size_t count, cap;
};

struct fb_met {
    const struct fb_mem *mem;
    struct fb_met_config config;
    struct fb_map *by_handle;
    struct fb_list sessions;
};

struct fb_met *fb_met_new(const struct fb_mem *mem, const struct fb_rng *rng,
                          const struct fb_met_config *config) {
    struct fb_met *met = fb_alloc(mem, sizeof *met);
    if (met == NULL)
        return NULL;
    met->mem = mem;
    met->config = *config;
    fb_list_init(&met->sessions);
    met->by_handle = fb_map_new(mem, rng, FB_HANDLE_LEN);
    if (met->by_handle != NULL)
        return met;
    fb_free(mem, met);
    return NULL;
}

static void forget(struct fb_met *met, struct session *session) {
    fb_map_take(met->by_handle, session->handle);
    fb_list_remove(&session->link);
    fb_free(met->mem, session->meetings);
    fb_free(met->mem, session);
}

void fb_met_free(struct fb_met *met) {
    if (met == NULL)
        return;
    FB_LIST_EACH (link, &met->sessions)
        forget(met, FB_CONTAINER(link, struct session, link));
    fb_map_free(met->by_handle);
    fb_free(met->mem, met);
}

static bool has_live(const struct session *session) {
    for (size_t i = 0; i < session->count; i++)
        if (session->meetings[i].live)
            return true;
    return false;
}

static bool counts_at(const struct meeting *meeting, uint64_t now_ms) {
    return meeting->live || (meeting->answered_ms != 0 && now_ms - meeting->answered_ms < HOUR_MS);
}

/* Lets go of what counts for nothing any more. */
static void tidy(struct session *session, uint64_t now_ms) {
    size_t kept = 0;
    for (size_t i = 0; i < session->count; i++) {
        const struct meeting *meeting = &session->meetings[i];
        if (counts_at(meeting, now_ms) || meeting->apart_ms > now_ms)
            session->meetings[kept++] = *meeting;
    }
    session->count = kept;
}

static struct meeting *find(const struct session *session, uint64_t volunteer) {
    for (size_t i = 0; session != NULL && i < session->count; i++)
        if (session->meetings[i].volunteer == volunteer)
            return &session->meetings[i];
    return NULL;
}

bool fb_met_may(const struct fb_met *met, const uint8_t session[static FB_HANDLE_LEN],
                uint64_t volunteer, uint64_t now_ms) {
    const struct meeting *meeting = find(fb_map_get(met->by_handle, session), volunteer);
    return meeting == NULL || (!meeting->live && meeting->apart_ms <= now_ms);
}

uint64_t fb_met_wait(const struct fb_met *met, const uint8_t handle[static FB_HANDLE_LEN],
                     uint64_t now_ms) {
    const struct session *session = fb_map_get(met->by_handle, handle);
    uint64_t counted = 0, wait = HOUR_MS;
    for (size_t i = 0; session != NULL && i < session->count; i++) {
        const struct meeting *meeting = &session->meetings[i];
        if (!counts_at(meeting, now_ms))
            continue;
        counted++;
        if (!meeting->live && meeting->answered_ms + HOUR_MS - now_ms < wait)
            wait = meeting->answered_ms + HOUR_MS - now_ms;
    }
    return counted < met->config.volunteers_hour ? 0 : wait;
}

/* Room for one session more: what is an hour old goes, and beyond the ceiling the longest unused
 * that has nothing alive. */
static int make_room(struct fb_met *met, uint64_t now_ms) {
    bool full = fb_map_count(met->by_handle) >= met->config.sessions_max;
    FB_LIST_EACH (link, &met->sessions) {
        struct session *session = FB_CONTAINER(link, struct session, link);
        if (now_ms - session->used_ms < HOUR_MS && !full)
            break;
        if (has_live(session))
            continue;
        forget(met, session);
        full = false;
    }
    return full ? FB_ERR_LIMIT : 0;
}

static int get_session(struct fb_met *met, const uint8_t *handle, uint64_t now_ms,
                       struct session **out) {
    *out = fb_map_get(met->by_handle, handle);
    if (*out != NULL)
        return 0;
    int err = make_room(met, now_ms);
    if (err != 0)
        return err;
    struct session *session = fb_alloc(met->mem, sizeof *session);
    if (session == NULL)
        return FB_ERR_NOMEM;
    memcpy(session->handle, handle, FB_HANDLE_LEN);
    fb_list_init(&session->link);
    if (fb_map_put(met->by_handle, handle, session) != 0) {
        fb_free(met->mem, session);
        return FB_ERR_NOMEM;
    }
    fb_list_push(&met->sessions, &session->link);
    *out = session;
    return 0;
}

static int grow(struct fb_met *met, struct session *session) {
    size_t cap = session->cap == 0 ? FIRST_CAP : 2 * session->cap;
    struct meeting *more = fb_alloc(met->mem, cap * sizeof *more);
    if (more == NULL)
        return FB_ERR_NOMEM;
    if (session->count > 0)
        memcpy(more, session->meetings, session->count * sizeof *more);
    fb_free(met->mem, session->meetings);
    session->meetings = more;
    session->cap = cap;
    return 0;
}

static void use(struct fb_met *met, struct session *session, uint64_t now_ms) {
    session->used_ms = now_ms;
    fb_list_remove(&session->link);
    fb_list_push(&met->sessions, &session->link);
}

int fb_met_offered(struct fb_met *met, const uint8_t handle[static FB_HANDLE_LEN],
                   uint64_t volunteer, uint64_t now_ms) {
    struct session *session;
    if (fb_met_wait(met, handle, now_ms) > 0)
        return FB_ERR_LIMIT;
    int err = get_session(met, handle, now_ms, &session);
    if (err != 0)
        return err;
    use(met, session, now_ms);
    struct meeting *meeting = find(session, volunteer);
    if (meeting != NULL) {
        meeting->live = true;
        return 0;
    }
    tidy(session, now_ms);
    if (session->count == session->cap)
        err = grow(met, session);
    if (err == 0)
        session->meetings[session->count++] = (struct meeting){.volunteer = volunteer,
                                                               .live = true};
    return err;
}

void fb_met_answered(struct fb_met *met, const uint8_t handle[static FB_HANDLE_LEN],
                     uint64_t volunteer, uint64_t now_ms) {
    struct meeting *meeting = find(fb_map_get(met->by_handle, handle), volunteer);
    if (meeting != NULL)
        meeting->answered_ms = now_ms > 0 ? now_ms : 1;
}

void fb_met_over(struct fb_met *met, const uint8_t handle[static FB_HANDLE_LEN], uint64_t volunteer,
                 bool failed, uint64_t now_ms) {
    struct session *session = fb_map_get(met->by_handle, handle);
    struct meeting *meeting = find(session, volunteer);
    if (meeting == NULL)
        return;
    meeting->live = false;
    if (failed)
        meeting->apart_ms = now_ms + met->config.failed_ms;
    tidy(session, now_ms);
}

size_t fb_met_count(const struct fb_met *met) {
    return fb_map_count(met->by_handle);
}
