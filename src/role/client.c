#include "role/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "role/client_impl.h"

#define RETRY_FIRST_US (FB_CLIENT_SECOND_US / 2)
#define RETRY_MAX_US (30 * FB_CLIENT_SECOND_US)
/* An attempt that was asked for, or whose path had carried for a while, is repeated at once; in
 * quick succession only so often. */
#define HURRY_AFTER_US (5 * FB_CLIENT_SECOND_US)
#define HURRY_TIMES 3
#define HURRY_DELAY_US (FB_CLIENT_SECOND_US / 5)

/* What all streams together may hold here: enough for 16 whose apps have stopped reading, so that
 * paused videos do not stop the rest. */
#define SESSION_DATA_MAX ((uint64_t)32 << 20)

void fb_client_say(struct fb_client *client, enum fb_client_stage stage, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    const struct fb_client_handler *handler = client->config.handler;
    if (handler != NULL && handler->progress != NULL && !client->stopped)
        handler->progress(client->config.user, stage, text);
}

bool fb_client_is_local(const struct fb_client *client) {
    return client->document != NULL && (client->document->flags & FB_DOCUMENT_LOCAL) != 0;
}

/* ---- the session ---- */

static void session_timer(void *user) {
    struct fb_client *client = user;
    if (client->s == NULL)
        return;
    fb_session_tick(client->s, fb_now_us());
    fb_client_pump(client);
}

static int begin_session(struct fb_client *client) {
    const struct fb_document *document = client->document;
    const struct fb_document_egress *egress =
        &document->egresses[client->egress_turn % document->egress_count];
    struct fb_session_config config;
    fb_session_config_init(&config, true);
    config.max_data = SESSION_DATA_MAX;
    config.mem = fb_mem_default();
    config.rng = fb_rng_default();
    config.crypto = client->config.crypto;
    memcpy(config.network_id, client->join.network, sizeof config.network_id);
    memcpy(config.egress_id, egress->id, sizeof config.egress_id);
    memcpy(client->egress, egress->id, sizeof client->egress);
    memset(client->handle, 0, sizeof client->handle);
    client->counts.sessions_all++;
    return fb_session_new(&client->s, &config, fb_now_us());
}

static void end_session(struct fb_client *client) {
    FB_LIST_EACH (it, &client->paths)
        fb_client_path_end(FB_CONTAINER(it, struct client_path, link), false);
    fb_client_proxy_session_lost(client);
    fb_session_free(client->s);
    client->s = NULL;
    fb_timer_set(client->timer, FB_NEVER);
}

void fb_client_drop_session(struct fb_client *client) {
    fb_session_close(client->s, FB_CLOSE_NONE);
}

/* ---- paths ---- */

void fb_client_want_path(struct fb_client *client, uint64_t delay_us) {
    uint64_t at = fb_now_us() + delay_us;
    if (client->retry_at_us < at)
        client->retry_at_us = at;
    fb_timer_set(client->retry, client->retry_at_us);
}

/* From three quarters to five quarters of it, so that readers do not come in step. */
static uint64_t spread(uint64_t us) {
    uint8_t byte;
    fb_random(fb_rng_default(), &byte, 1);
    return us / 4 * 3 + us / 2 / 256 * byte;
}

void fb_client_failed(struct fb_client *client, bool soon) {
    uint64_t delay = RETRY_FIRST_US << (client->failures < 7 ? client->failures : 7);
    if (soon && fb_now_us() - client->tried_us >= HURRY_AFTER_US) {
        fb_client_want_path(client, 0);
        return;
    }
    if (soon && client->failures < HURRY_TIMES)
        delay = HURRY_DELAY_US;
    client->failures++;
    fb_client_want_path(client, spread(delay < RETRY_MAX_US ? delay : RETRY_MAX_US));
}

/* How many attempts may run beside what is open and not quiet: before the handshake only one. */
static size_t missing(const struct fb_client *client) {
    size_t have = 0, wanted = client->config.paths > 0 ? client->config.paths : 1;
    FB_LIST_EACH (it, &client->paths)
        have += !fb_client_path_is_quiet(FB_CONTAINER(it, struct client_path, link));
    if (!fb_session_ready(client->s))
        wanted = 1;
    return have < wanted ? wanted - have : 0;
}

static bool any_quiet(const struct fb_client *client) {
    FB_LIST_EACH (it, &client->paths)
        if (fb_client_path_is_quiet(FB_CONTAINER(it, struct client_path, link)))
            return true;
    return false;
}

static void keep_paths(struct fb_client *client) {
    if (client->s == NULL || fb_session_closed(client->s) || client->stopped)
        return;
    if (missing(client) > 0 && fb_now_us() < client->retry_at_us) {
        fb_timer_set(client->retry, client->retry_at_us);
        return;
    }
    while (missing(client) > 0) {
        bool first = fb_list_empty(&client->paths);
        client->tried_us = fb_now_us();
        int err = fb_client_path_begin(client);
        if (err == FB_ERR_AGAIN) {
            /* No token: a living path will bring one; without any the session cannot resume. */
            if (first)
                fb_client_drop_session(client);
            return;
        }
        if (err != 0) {
            fb_client_failed(client, false);
            return;
        }
        if (first)
            fb_client_say(client, FB_CLIENT_RENDEZVOUS, "asking the broker for a volunteer");
        else if (any_quiet(client))
            fb_client_say(client, FB_CLIENT_LOST, "a volunteer says nothing; asking for another");
    }
}

static void retry(void *user) {
    struct fb_client *client = user;
    if (client->s == NULL && client->document != NULL && !client->stopped &&
        begin_session(client) != 0) {
        fb_client_failed(client, false);
        return;
    }
    fb_client_pump(client);
}

/* ---- the pump ---- */

static void path_opened(struct fb_client *client, uint32_t id) {
    struct client_path *path = fb_client_path_find(client, id);
    if (path == NULL || path->state == PATH_OPEN)
        return;
    FB_LIST_EACH (it, &client->paths) { /* it was sought in their stead */
        struct client_path *other = FB_CONTAINER(it, struct client_path, link);
        if (fb_client_path_is_quiet(other))
            fb_client_path_end(other, true);
    }
    path->state = PATH_OPEN;
    client->failures = 0;
    client->counts.paths++;
    client->counts.paths_all++;
    fb_client_say(client, FB_CLIENT_READY, "ready");
}

static void path_closed(struct fb_client *client, const struct fb_event *event) {
    struct client_path *path = fb_client_path_find(client, event->path);
    if (path == NULL)
        return;
    bool carried = path->state == PATH_OPEN;
    fb_client_say(client, carried ? FB_CLIENT_LOST : FB_CLIENT_WAITING, "the path is lost: %s",
                  fb_path_reason_text(event->path_reason));
    fb_client_path_end(path, false);
    fb_client_failed(client, carried);
}

static void on_event(struct fb_client *client, const struct fb_event *event) {
    switch (event->type) {
    case FB_EVENT_READY: fb_client_say(client, FB_CLIENT_ATTACHED, "egress attached"); break;
    case FB_EVENT_PATH_OPEN: path_opened(client, event->path); break;
    case FB_EVENT_PATH_CLOSED: path_closed(client, event); break;
    case FB_EVENT_STREAM: fb_client_proxy_stream(client, event->stream, false); break;
    case FB_EVENT_STREAM_GONE: fb_client_proxy_stream(client, event->stream, true); break;
    case FB_EVENT_POST:
        if (event->post == FB_POST_BROKER)
            fb_client_path_post(client, event->data, event->len);
        else
            (void)fb_joined_offer(client->joined, event->data, event->len);
        break;
    default: break; /* TOKENS: keep_paths() looks; no datagrams yet */
    }
}

static bool send_one(struct fb_client *client, uint64_t now) {
    uint32_t id;
    size_t len = fb_session_send(client->s, &id, client->message, now);
    if (len == 0)
        return false;
    struct client_path *path = fb_client_path_find(client, id);
    /* What the peer does not take is lost, and sent again as lost. */
    if (path != NULL && fb_client_lane_send(path, client->message, len) == 0) {
        client->counts.bytes_up += len;
        fb_session_path_queued(client->s, id, fb_client_lane_buffered(path) + path->queued);
    }
    return true;
}

/* The session's end: its connections end with it, and another session begins. */
static void session_closed(struct fb_client *client, const struct fb_event *event) {
    fb_client_say(client, FB_CLIENT_LOST, "the session has ended: %s", fb_close_text(event->code));
    end_session(client);
    if (client->stopped)
        return;
    if (event->code == FB_CLOSE_NONE && !event->remote) /* dropped: what failed has set the pace */
        fb_client_want_path(client, 0);
    else
        fb_client_failed(client, true);
}

/* Until nothing moves any more. False: the session is gone. */
static bool pump_session(struct fb_client *client) {
    uint64_t now = fb_now_us();
    struct fb_event event;
    bool more = true;
    while (more) {
        more = false;
        while (send_one(client, now))
            more = true;
        while (fb_session_next(client->s, &event)) {
            if (event.type == FB_EVENT_CLOSED) {
                session_closed(client, &event);
                return false;
            }
            on_event(client, &event);
            more = true;
        }
        if (!more) {
            fb_client_proxy_open_waiting(client);
            keep_paths(client);
            while (send_one(client, now))
                more = true;
        }
    }
    return true;
}

void fb_client_pump(struct fb_client *client) {
    if (client->pumping || client->s == NULL)
        return;
    client->pumping = true;
    if (pump_session(client)) {
        if (fb_session_open_paths(client->s) == 0)
            fb_client_path_posts_lost(client);
        fb_timer_set(client->timer, fb_session_deadline(client->s));
    }
    client->pumping = false;
}

/* ---- the network ---- */

static void document_changed(void *user, const struct fb_document *document) {
    struct fb_client *client = user;
    client->document = document;
    if (client->s == NULL)
        fb_client_want_path(client, 0);
}

static void document_failed(void *user, const char *why) {
    struct fb_client *client = user;
    if (client->document == NULL)
        fb_client_say(client, FB_CLIENT_JOINING, "the network cannot be joined: %s", why);
}

static const struct fb_joined_handler joined_handler = {
    .changed = document_changed,
    .failed = document_failed,
};

/* ---- birth and death ---- */

static int build(struct fb_client *client, char err[static FB_NET_ERR_MAX]) {
    const struct fb_client_config *config = &client->config;
    uv_loop_t *loop = fb_net_loop(config->net);
    int code = fb_client_proxy_start(client, err);
    if (code != 0)
        return code;
    const struct fb_joined_config joined = {
        .net = config->net,
        .fetcher = config->fetcher,
        .crypto = config->crypto,
        .log = config->log,
        .join = &client->join,
        .cache_file = config->cache_file,
        .software_version = config->software_version,
        .handler = &joined_handler,
        .user = client,
    };
    client->timer = fb_timer_new(loop, session_timer, client);
    client->retry = fb_timer_new(loop, retry, client);
    client->joined = fb_joined_new(&joined);
    if (client->timer != NULL && client->retry != NULL && client->joined != NULL)
        return 0;
    snprintf(err, FB_NET_ERR_MAX, "%s", fb_strerror(FB_ERR_NOMEM));
    return FB_ERR_NOMEM;
}

int fb_client_new(struct fb_client **out, const struct fb_client_config *config,
                  char err[static FB_NET_ERR_MAX]) {
    struct fb_client *client = calloc(1, sizeof *client);
    *out = NULL;
    if (client == NULL) {
        snprintf(err, FB_NET_ERR_MAX, "%s", fb_strerror(FB_ERR_NOMEM));
        return FB_ERR_NOMEM;
    }
    client->config = *config;
    client->join = *config->join;
    client->listen = config->listen;
    fb_list_init(&client->paths);
    fb_list_init(&client->conns);
    fb_list_init(&client->waiting);
    fb_list_init(&client->ends);
    int code = build(client, err);
    if (code != 0) {
        fb_client_free(client);
        return code;
    }
    *out = client;
    return 0;
}

void fb_client_stop(struct fb_client *client) {
    if (client->stopped)
        return;
    client->stopped = true;
    if (client->s != NULL) {
        fb_session_close(client->s, FB_CLOSE_NONE);
        fb_client_pump(client);
    }
    if (client->s != NULL) /* it lacked the memory for a farewell */
        end_session(client);
    fb_client_proxy_stop(client);
    fb_joined_free(client->joined);
    fb_timer_free(client->timer);
    fb_timer_free(client->retry);
    client->joined = NULL;
    client->timer = client->retry = NULL;
}

void fb_client_free(struct fb_client *client) {
    if (client == NULL)
        return;
    fb_client_stop(client);
    free(client);
}

const struct fb_addr *fb_client_proxy(const struct fb_client *client) {
    return &client->listen;
}

void fb_client_count(const struct fb_client *client, struct fb_client_counts *counts) {
    *counts = client->counts;
    if (client->s != NULL) {
        struct fb_session_stats stats;
        fb_session_stats(client->s, &stats);
        counts->rtt_us = stats.smoothed_rtt_us;
    }
}
