#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "core/lanes.h"
#include "role/egress_impl.h"

#define ATTACH_LEN (1 + FB_TICKET_LEN + FB_FIRST_LEN)
#define SECOND_US UINT64_C(1000000)

/* RFC 6455 section 7.4.1. */
enum { WS_NORMAL = 1000, WS_GOING_AWAY = 1001, WS_POLICY = 1008 };

bool fb_egress_path_accept(void *user, struct fb_ws *ws, void **path_out) {
    struct fb_egress *egress = user;
    if (egress->stopped || egress->counts.paths >= egress->config.limits.paths)
        return false;
    struct egress_path *path = calloc(1, sizeof *path);
    if (path == NULL)
        return false;
    path->egress = egress;
    path->ws = ws;
    path->since_us = fb_now_us();
    fb_list_init(&path->link);
    fb_list_push(&egress->waiting, &path->link);
    egress->counts.paths++;
    fb_egress_arm(egress);
    *path_out = path;
    return true;
}

static void report(struct egress_path *path, enum fb_link_event event) {
    struct fb_egress *egress = path->egress;
    struct fb_link_report report = {.event = event};
    if (!egress->has_broker)
        return;
    memcpy(report.ticket, path->ticket, sizeof report.ticket);
    if (event == FB_LINK_CLOSED) {
        report.bytes = path->bytes;
        report.seconds = (uint32_t)((fb_now_us() - path->since_us) / SECOND_US);
    }
    egress->broker.report(egress->broker.ctx, &report);
}

void fb_egress_path_opened(struct egress_path *path) {
    path->open = true;
    report(path, FB_LINK_ATTACHED);
}

/* The socket is gone or about to be. */
static void free_path(struct egress_path *path) {
    if (path->session != NULL)
        report(path, path->open ? FB_LINK_CLOSED : FB_LINK_SILENT);
    path->egress->counts.paths--;
    fb_list_remove(&path->link);
    free(path);
}

static void say(struct egress_path *path, const struct fb_hop_msg *msg) {
    uint8_t hop[FB_HOP_MAX];
    int len = fb_hop_encode(msg, hop, sizeof hop);
    if (len > 0)
        (void)fb_ws_send(path->ws, hop, (size_t)len);
}

/* The volunteer has its client add lanes, if it wants to; what they bring is for both to see. */
static void say_full(struct egress_path *path) {
    const struct fb_hop_msg msg = {.type = FB_HOP_FULL};
    struct fb_path_stats stats;
    uint64_t now = fb_now_us();
    if (now - path->full_us < FB_LANES_FULL_EVERY_MS * UINT64_C(1000) ||
        fb_session_path_stats(path->session->s, path->id, now, &stats) != 0 || !stats.full)
        return;
    path->full_us = now;
    say(path, &msg);
}

void fb_egress_path_sent(struct egress_path *path, size_t len) {
    path->bytes += len;
    fb_session_path_queued(path->session->s, path->id, fb_ws_buffered(path->ws) + path->queued);
    if (path->open)
        say_full(path);
}

void fb_egress_path_close(struct egress_path *path, enum fb_farewell farewell, const char *why) {
    const struct fb_hop_msg msg = {.type = FB_HOP_FAREWELL, .farewell = farewell};
    say(path, &msg);
    fb_ws_close(path->ws,
                path->egress->stopped            ? WS_GOING_AWAY
                : farewell == FB_FAREWELL_DENIED ? WS_POLICY
                                                 : WS_NORMAL,
                why);
    free_path(path);
}

/* ---- the first message ---- */

static void deny(struct egress_path *path, const char *why) {
    fb_log(path->egress->config.log, FB_LOG_DEBUG, "a path was refused: %s", why);
    fb_egress_path_close(path, FB_FAREWELL_DENIED, why);
}

/* A new session for a first message whose ticket was good; NULL: *why says why not. */
static struct egress_session *begin_session(struct fb_egress *egress, const uint8_t *first,
                                            const char **why) {
    struct fb_session *s;
    if (egress->counts.sessions >= egress->config.limits.sessions) {
        egress->counts.over_limit++;
        *why = "the egress is full";
        return NULL;
    }
    int err = fb_session_accept(&s, &egress->session_config, first, fb_now_us());
    if (err != 0) {
        *why = err == FB_ERR_NOMEM ? "out of memory" : "handshake failed";
        return NULL;
    }
    struct egress_session *session = fb_egress_session_new(egress, s);
    if (session == NULL) {
        fb_session_free(s);
        *why = "out of memory";
    }
    return session;
}

static struct egress_session *join_session(struct fb_egress *egress, const uint8_t *first,
                                           uint32_t *id, const char **why) {
    struct fb_session *s;
    int err = fb_session_attach(egress->tokens, first, fb_now_us(), &s, id);
    if (err == 0)
        return fb_session_user(s);
    *why = err == FB_ERR_NOT_FOUND ? "no session for this token"
           : err == FB_ERR_LIMIT   ? "too many paths in this session"
                                   : "first message failed authentication";
    return NULL;
}

/* Before anything else for this socket: the ticket. */
static bool check_ticket(struct egress_path *path, const uint8_t *ticket, const uint8_t *first) {
    struct fb_egress *egress = path->egress;
    struct fb_ticket fields;
    uint64_t now = fb_unix_s();
    int err = fb_ticket_check(egress->config.crypto, ticket, FB_TICKET_LEN, egress->ticket_keys,
                              egress->config.ticket_key_count, egress->process_id, first,
                              FB_FIRST_LEN, now, &fields);
    if (err == 0)
        err = fb_replay_use(egress->replay, &fields, now);
    if (err == 0) {
        memcpy(path->ticket, fields.id, sizeof path->ticket);
        return true;
    }
    egress->counts.tickets_refused++;
    deny(path, fb_ticket_strerror(err));
    return false;
}

static void attach(struct egress_path *path, const uint8_t *msg, size_t len) {
    struct fb_egress *egress = path->egress;
    const uint8_t *ticket = msg + 1, *first = ticket + FB_TICKET_LEN;
    const char *why = "malformed first message";
    if (len != ATTACH_LEN || msg[0] != FB_KIND_ATTACH) {
        deny(path, why);
        return;
    }
    if (!check_ticket(path, ticket, first))
        return;
    struct egress_session *session = first[1] == FB_FIRST_TOKEN
                                         ? join_session(egress, first, &path->id, &why)
                                         : begin_session(egress, first, &why);
    if (session == NULL) {
        deny(path, why);
        return;
    }
    fb_list_remove(&path->link);
    fb_list_push(&session->paths, &path->link);
    path->session = session;
    path->since_us = fb_now_us();
    egress->counts.paths_all++;
    fb_egress_pump(session);
}

/* ---- later messages ---- */

static void take_hop(struct egress_path *path, const uint8_t *data, size_t len) {
    struct egress_session *session = path->session;
    struct fb_hop_msg msg;
    if (fb_hop_decode(&msg, data, len) != 0)
        return;
    if (msg.type == FB_HOP_QUEUE) {
        path->queued = msg.bytes;
        fb_session_path_queued(session->s, path->id, fb_ws_buffered(path->ws) + path->queued);
    } else if (msg.type == FB_HOP_FAREWELL) {
        fb_log(path->egress->config.log, FB_LOG_DEBUG, "a volunteer leaves: %s",
               fb_farewell_text(msg.farewell));
        fb_session_path_down(session->s, path->id, fb_now_us());
        fb_egress_path_close(path, FB_FAREWELL_DONE, NULL);
    }
}

static void take_session(struct egress_path *path, const uint8_t *data, size_t len) {
    struct fb_egress *egress = path->egress;
    path->bytes += len;
    egress->counts.bytes_up += len;
    /* Copied, because it is opened in place. A message that fails closes its path by an event. */
    memcpy(egress->message, data, len);
    (void)fb_session_recv(path->session->s, path->id, egress->message, len, fb_now_us());
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct egress_path *path = user;
    struct egress_session *session = path->session;
    if (session == NULL) {
        attach(path, data, len);
        return;
    }
    switch (data[0]) {
    case FB_KIND_SESSION: take_session(path, data, len); break;
    case FB_KIND_HOP: take_hop(path, data, len); break;
    case FB_KIND_COVER: return;
    default:
        fb_session_path_down(session->s, path->id, fb_now_us());
        fb_egress_path_close(path, FB_FAREWELL_PROTOCOL, "message of an unknown kind");
        break;
    }
    fb_egress_pump(session);
}

static void on_drained(void *user, struct fb_ws *ws) {
    struct egress_path *path = user;
    if (path->session == NULL)
        return;
    fb_session_path_queued(path->session->s, path->id, path->queued);
    fb_egress_pump(path->session);
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct egress_path *path = user;
    struct egress_session *session = path->session;
    uint32_t id = path->id;
    free_path(path);
    if (session == NULL)
        return;
    fb_session_path_down(session->s, id, fb_now_us());
    fb_egress_pump(session);
}

const struct fb_ws_handler fb_egress_path_handler = {
    .message = on_message,
    .drained = on_drained,
    .closed = on_closed,
};
