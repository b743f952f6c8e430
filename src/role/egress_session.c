#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "role/egress_impl.h"

/* Offers of one session that are with the broker, and how often it may make one. */
static const struct fb_quota_limits offer_limits = {.at_once = 4, .per_second = 1, .burst = 8};

/* Questions for the network document; an answer has up to 8 KiB. */
static const struct fb_quota_limits document_limits = {.at_once = 0, .per_second = 1, .burst = 4};

#define SERIAL_LEN 8
#define NUMBER_LEN 4 /* before each offer and answer: the client's number for it */

static void timer_fired(void *user) {
    struct egress_session *session = user;
    fb_session_tick(session->s, fb_now_us());
    fb_egress_pump(session);
}

struct egress_session *fb_egress_session_new(struct fb_egress *egress, struct fb_session *s) {
    struct egress_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->timer = fb_timer_new(fb_net_loop(egress->config.net), timer_fired, session);
    if (session->timer == NULL) {
        free(session);
        return NULL;
    }
    session->egress = egress;
    session->s = s;
    fb_list_init(&session->link);
    fb_list_init(&session->paths);
    fb_list_init(&session->streams);
    fb_list_push(&egress->sessions, &session->link);
    fb_session_set_user(s, session);
    egress->counts.sessions++;
    egress->counts.sessions_all++;
    return session;
}

struct egress_path *fb_egress_session_path(struct egress_session *session, uint32_t id) {
    FB_LIST_EACH (it, &session->paths) {
        struct egress_path *path = FB_CONTAINER(it, struct egress_path, link);
        if (path->id == id)
            return path;
    }
    return NULL;
}

static void withdraw(struct egress_session *session, const uint32_t *number);

void fb_egress_session_end(struct egress_session *session, enum fb_close_code code, bool remote) {
    struct fb_egress *egress = session->egress;
    fb_log(egress->config.log, FB_LOG_DEBUG, "a session has ended: %s%s", fb_close_text(code),
           remote ? ", says the client" : "");
    FB_LIST_EACH (it, &session->streams)
        fb_egress_stream_free(FB_CONTAINER(it, struct egress_stream, link), false);
    FB_LIST_EACH (it, &session->paths)
        fb_egress_path_close(FB_CONTAINER(it, struct egress_path, link), FB_FAREWELL_DONE,
                             "the session has ended");
    withdraw(session, NULL);
    egress->counts.sessions--;
    egress->counts.buffered -= session->buffered;
    fb_session_free(session->s);
    fb_timer_free(session->timer);
    fb_list_remove(&session->link);
    free(session);
}

/* ---- offers ---- */

static void answer_offer(struct egress_session *session, uint32_t number, const uint8_t *sealed,
                         size_t len) {
    uint8_t post[NUMBER_LEN + FB_LINK_SEALED_MAX];
    struct fb_wr wr = fb_wr_make(post, sizeof post);
    fb_wr_u32(&wr, number);
    fb_wr_bytes(&wr, sealed, len);
    /* An answer that finds no place is like one that never came: the client offers afresh. */
    if (wr.ok)
        (void)fb_session_post(session->s, FB_POST_BROKER, post, wr.len);
}

/* Offers that nobody waits for: that with the client's number, or all of the session. */
static void withdraw(struct egress_session *session, const uint32_t *number) {
    struct fb_egress *egress = session->egress;
    FB_LIST_EACH (it, &egress->offers) {
        struct egress_offer *offer = FB_CONTAINER(it, struct egress_offer, link);
        if (offer->session != session || (number != NULL && offer->number != *number))
            continue;
        if (egress->has_broker)
            egress->broker.cancel(egress->broker.ctx, offer->request);
        fb_quota_give(&session->offers_quota);
        fb_list_remove(&offer->link);
        free(offer);
    }
}

static void take_offer(struct egress_session *session, const uint8_t *post, size_t len) {
    struct fb_egress *egress = session->egress;
    struct fb_rd rd = fb_rd_make(post, len);
    uint64_t now = fb_now_us();
    uint32_t number = fb_rd_u32(&rd);
    if (!rd.ok || rd.len > FB_LINK_SEALED_MAX)
        return;
    if (rd.len == 0) {
        withdraw(session, &number);
        return;
    }
    struct egress_offer *offer = NULL;
    if (egress->has_broker && fb_quota_fits(&session->offers_quota, &offer_limits, now))
        offer = calloc(1, sizeof *offer);
    if (offer == NULL) {
        answer_offer(session, number, NULL, 0);
        return;
    }
    *offer = (struct egress_offer){
        .session = session, .request = egress->next_request++, .number = number};
    fb_list_init(&offer->link);
    if (egress->broker.offer(egress->broker.ctx, offer->request, rd.ptr, rd.len) != 0) {
        free(offer);
        answer_offer(session, number, NULL, 0);
        return;
    }
    fb_quota_take(&session->offers_quota, &offer_limits, now);
    fb_list_push(&egress->offers, &offer->link);
}

void fb_egress_answered(void *user, uint64_t request, const uint8_t *sealed, size_t len) {
    struct fb_egress *egress = user;
    FB_LIST_EACH (it, &egress->offers) {
        struct egress_offer *offer = FB_CONTAINER(it, struct egress_offer, link);
        if (offer->request != request)
            continue;
        struct egress_session *session = offer->session;
        uint32_t number = offer->number;
        fb_list_remove(&offer->link);
        free(offer);
        fb_quota_give(&session->offers_quota);
        answer_offer(session, number, sealed, len);
        fb_egress_pump(session);
        return;
    }
}

/* ---- the network document ---- */

/* The client names the serial of the one that it has: it gets a newer one, or the word that there
 * is none here. */
static void take_question(struct egress_session *session, const uint8_t *post, size_t len) {
    const struct fb_egress *egress = session->egress;
    uint8_t serial[SERIAL_LEN];
    uint64_t now = fb_now_us();
    struct fb_rd rd = fb_rd_make(post, len);
    uint64_t known = fb_rd_u64(&rd);
    if (!rd.ok || rd.len != 0 || egress->document == NULL ||
        !fb_quota_fits(&session->documents_quota, &document_limits, now))
        return;
    fb_quota_take(&session->documents_quota, &document_limits, now);
    fb_quota_give(&session->documents_quota);
    struct fb_wr wr = fb_wr_make(serial, sizeof serial);
    fb_wr_u64(&wr, egress->document_serial);
    if (egress->document_serial > known)
        (void)fb_session_post(session->s, FB_POST_DOCUMENT, egress->document, egress->document_len);
    else
        (void)fb_session_post(session->s, FB_POST_DOCUMENT, serial, wr.len);
}

/* ---- the pump ---- */

static void on_event(struct egress_session *session, const struct fb_event *event) {
    struct egress_path *path;
    struct egress_stream *st;
    switch (event->type) {
    case FB_EVENT_PATH_OPEN:
        path = fb_egress_session_path(session, event->path);
        if (path != NULL)
            fb_egress_path_opened(path);
        break;
    case FB_EVENT_PATH_CLOSED:
        path = fb_egress_session_path(session, event->path);
        if (path != NULL)
            fb_egress_path_close(path, FB_FAREWELL_DONE, fb_path_reason_text(event->path_reason));
        break;
    case FB_EVENT_STREAM_NEW: fb_egress_stream_new(session, event->stream); break;
    case FB_EVENT_STREAM:
        st = fb_egress_stream_find(session, event->stream);
        if (st != NULL)
            fb_egress_stream_event(st);
        break;
    case FB_EVENT_STREAM_GONE:
        st = fb_egress_stream_find(session, event->stream);
        if (st != NULL)
            fb_egress_stream_free(st, true);
        break;
    case FB_EVENT_POST:
        if (event->post == FB_POST_BROKER)
            take_offer(session, event->data, event->len);
        else
            take_question(session, event->data, event->len);
        break;
    default: break; /* READY comes with accept; TOKENS is the client's; no datagrams yet */
    }
}

static bool send_one(struct egress_session *session, uint64_t now) {
    struct fb_egress *egress = session->egress;
    uint32_t id;
    size_t len = fb_session_send(session->s, &id, egress->message, now);
    if (len == 0)
        return false;
    struct egress_path *path = fb_egress_session_path(session, id);
    /* What the socket does not take (memory is out) is lost, and sent again as lost. */
    if (path != NULL && fb_ws_send(path->ws, egress->message, len) == 0) {
        egress->counts.bytes_down += len;
        fb_egress_path_sent(path, len);
    }
    return true;
}

size_t fb_egress_share(const struct fb_egress *egress) {
    return egress->config.limits.buffered / (egress->counts.sessions + 1);
}

/* Uploads do not pause like reading from origins: their windows are given away. At the ceiling the
 * session that holds most has to go; that one always has more than its share. It goes by its
 * timer, since another is being worked on, and counts no more. */
static void close_largest(struct fb_egress *egress, struct egress_session *any) {
    struct egress_session *largest = any;
    FB_LIST_EACH (it, &egress->sessions) {
        struct egress_session *session = FB_CONTAINER(it, struct egress_session, link);
        if (session->buffered > largest->buffered)
            largest = session;
    }
    egress->counts.over_limit++;
    egress->counts.buffered -= largest->buffered;
    largest->buffered = 0;
    fb_session_close(largest->s, FB_CLOSE_LIMIT);
    fb_timer_set(largest->timer, fb_session_deadline(largest->s));
}

static void recount(struct egress_session *session) {
    struct fb_egress *egress = session->egress;
    struct fb_session_stats stats;
    if (fb_session_closed(session->s))
        return; /* its farewell waits for memory */
    fb_session_stats(session->s, &stats);
    size_t buffered = (size_t)stats.buffered_bytes + session->writing;
    egress->counts.buffered += buffered - session->buffered;
    session->buffered = buffered;
    while (egress->counts.buffered > 2 * (uint64_t)egress->config.limits.buffered)
        close_largest(egress, session);
    if (fb_list_empty(&egress->paused))
        return;
    if (egress->counts.buffered < egress->config.limits.buffered / 4 * 3)
        fb_egress_resume_paused(egress, NULL);
    else if (buffered < fb_egress_share(egress) / 4 * 3)
        fb_egress_resume_paused(egress, session);
}

void fb_egress_pump(struct egress_session *session) {
    uint64_t now = fb_now_us();
    bool more = true;
    while (more) {
        struct fb_event event;
        more = false;
        while (send_one(session, now))
            more = true;
        while (fb_session_next(session->s, &event)) {
            if (event.type == FB_EVENT_CLOSED) {
                fb_egress_session_end(session, event.code, event.remote);
                return;
            }
            on_event(session, &event);
            more = true;
        }
    }
    if (fb_list_empty(&session->paths))
        withdraw(session, NULL); /* the client offers afresh, directly */
    recount(session);
    fb_timer_set(session->timer, fb_session_deadline(session->s));
}
