#include "role/client.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "role/client_impl.h"

#define PATHS_USUAL 4
#define SERIAL_LEN 8 /* of a network document, alone: none is newer */
/* A session could not be made, for want of memory. */
#define BEGIN_AGAIN_US FB_CLIENT_SECOND_US
/* A path whose round trip is that much longer than at its best has a queue: it is loaded. */
#define LOADED_RTT_MORE_US (FB_CLIENT_SECOND_US / 50)

/* What all streams together may hold here: enough for 16 whose apps have stopped reading, so that
 * paused videos do not stop the rest. */
#define SESSION_DATA_MAX ((uint64_t)32 << 20)

/* The steps to each further volunteer, and offers in vain, matter to nobody while others carry. */
static bool is_detail(const struct fb_client *client, enum fb_client_stage stage) {
    return stage >= FB_CLIENT_WAITING && stage <= FB_CLIENT_CHANNEL && client->set != NULL &&
           fb_pathset_in_session(client->set, fb_now_us());
}

void fb_client_say(struct fb_client *client, enum fb_client_stage stage, const char *fmt, ...) {
    char text[256];
    va_list args;
    if (is_detail(client, stage))
        return;
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
    client->look = true; /* a path may be suspect now */
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
    client->drop_why = NULL;
    client->counts.sessions_all++;
    fb_pathset_session(client->set, false, fb_now_us());
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

void fb_client_drop_session(struct fb_client *client, const char *why) {
    client->drop_why = why;
    fb_session_close(client->s, FB_CLOSE_NONE);
}

/* ---- paths ---- */

void fb_client_over(struct fb_client *client, uint32_t id, enum fb_pathset_why why,
                    uint64_t wait_us) {
    fb_pathset_over(client->set, id, why, wait_us, fb_now_us());
    client->look = true;
}

/* What there is to judge open paths by. What a path brings is limited by what was asked for, and
 * only the egress knows of its window; a round trip that grows shows the queue of one that is
 * full. */
static void measure(struct fb_client *client, uint64_t now) {
    struct fb_path_stats stats;
    FB_LIST_EACH (it, &client->paths) {
        const struct client_path *path = FB_CONTAINER(it, struct client_path, link);
        if (path->state != PATH_OPEN ||
            fb_session_path_stats(client->s, path->id, now, &stats) != 0)
            continue;
        bool queue = stats.smoothed_rtt_us > stats.min_rtt_us / 4 * 5 + LOADED_RTT_MORE_US;
        const struct fb_pathset_measure measure = {
            .suspect = stats.suspect || stats.silent,
            .loaded = queue || stats.in_flight > stats.window / 2,
            .rate = stats.send_rate > stats.receive_rate ? stats.send_rate : stats.receive_rate,
            .rtt_us = stats.smoothed_rtt_us,
        };
        fb_pathset_measured(client->set, path->id, &measure, now);
    }
}

static bool any_silent(const struct fb_client *client) {
    struct fb_path_stats stats;
    FB_LIST_EACH (it, &client->paths) {
        const struct client_path *path = FB_CONTAINER(it, struct client_path, link);
        if (fb_session_path_stats(client->s, path->id, fb_now_us(), &stats) == 0 && stats.silent)
            return true;
    }
    return false;
}

static void begin_path(struct fb_client *client) {
    bool first = fb_list_empty(&client->paths);
    int err = fb_client_path_begin(client);
    if (err == FB_ERR_AGAIN) {
        fb_pathset_tokens(client->set, false);
        return;
    }
    if (err != 0) {
        fb_pathset_unable(client->set, fb_now_us());
        return;
    }
    const struct client_path *path = FB_CONTAINER(client->paths.prev, struct client_path, link);
    (void)fb_pathset_began(client->set, path->id, fb_now_us()); /* it asks for no more than fit */
    if (first)
        fb_client_say(client, FB_CLIENT_RENDEZVOUS, "asking the broker for a volunteer");
    else if (any_silent(client))
        fb_client_say(client, FB_CLIENT_LOST, "a volunteer says nothing; asking for another");
}

static void drop_path(struct fb_client *client, const struct fb_pathset_action *action) {
    struct client_path *path = fb_client_path_find(client, action->path);
    if (path == NULL)
        return;
    fb_client_path_end(path, true);
    if (action->drop == FB_PATHSET_SILENT)
        fb_client_say(client, FB_CLIENT_LOST, "the volunteer that said nothing has been replaced");
    else if (action->drop == FB_PATHSET_REPLACED)
        fb_client_say(client, FB_CLIENT_LOST, "a slow volunteer has been replaced");
}

static void act(struct fb_client *client, const struct fb_pathset_action *action) {
    switch (action->act) {
    case FB_PATHSET_OFFER: begin_path(client); break;
    case FB_PATHSET_ACTIVE: (void)fb_session_path_standby(client->s, action->path, false); break;
    case FB_PATHSET_STANDBY: (void)fb_session_path_standby(client->s, action->path, true); break;
    case FB_PATHSET_DROP: drop_path(client, action); break;
    case FB_PATHSET_NEW_SESSION:
        fb_client_drop_session(client, "no path is left, and no token for another");
        break;
    }
}

static void keep_paths(struct fb_client *client) {
    struct fb_pathset_action action;
    uint64_t now = fb_now_us();
    uint64_t bytes = client->counts.bytes_up + client->counts.bytes_down;
    if (client->counts.connections != client->streams_told ||
        bytes - client->bytes_told >= FB_PATHSET_BUSY_BYTES) {
        client->streams_told = client->counts.connections;
        client->bytes_told = bytes;
        fb_pathset_streams(client->set, client->streams_told, now);
        client->look = true;
    }
    if (!client->look || client->stopped || fb_session_closed(client->s))
        return;
    client->look = false;
    if (fb_session_open_paths(client->s) == 0)
        fb_client_path_posts_lost(client);
    fb_pathset_bytes(client->set, bytes, now);
    measure(client, now);
    while (!fb_session_closed(client->s) && fb_pathset_next(client->set, now, &action))
        act(client, &action);
    client->look = false;
    fb_timer_set(client->decide, fb_pathset_deadline(client->set));
}

static void decide(void *user) {
    struct fb_client *client = user;
    if (client->s == NULL && fb_joined_document(client->joined) != NULL && !client->stopped &&
        begin_session(client) != 0) {
        fb_timer_set(client->decide, fb_now_us() + BEGIN_AGAIN_US);
        return;
    }
    client->look = true;
    fb_client_pump(client);
}

/* ---- the pump ---- */

static void path_opened(struct fb_client *client, uint32_t id) {
    struct client_path *path = fb_client_path_find(client, id);
    if (path == NULL || path->state == PATH_OPEN)
        return;
    path->state = PATH_OPEN;
    client->counts.paths++;
    client->counts.paths_all++;
    fb_pathset_opened(client->set, id, fb_now_us());
    client->look = true;
    if (client->counts.paths == 1)
        fb_client_say(client, FB_CLIENT_READY, "ready");
    else
        fb_client_say(client, FB_CLIENT_READY, "another volunteer: %" PRIu64 " now",
                      client->counts.paths);
}

static void path_closed(struct fb_client *client, const struct fb_event *event) {
    struct client_path *path = fb_client_path_find(client, event->path);
    if (path == NULL)
        return;
    bool carried = path->state == PATH_OPEN;
    fb_client_say(client, carried ? FB_CLIENT_LOST : FB_CLIENT_WAITING, "the path is lost: %s",
                  fb_path_reason_text(event->path_reason));
    fb_client_path_end(path, false);
    fb_client_over(client, event->path, FB_PATHSET_FAILED, 0);
}

/* NETWORK_DOCUMENT: a newer one, or the serial of the egress's own. */
static void take_document(struct fb_client *client, const uint8_t *post, size_t len) {
    struct fb_rd rd = fb_rd_make(post, len);
    if (len == SERIAL_LEN)
        fb_joined_current(client->joined, fb_rd_u64(&rd));
    else
        (void)fb_joined_offer(client->joined, post, len);
}

static void on_event(struct fb_client *client, const struct fb_event *event) {
    switch (event->type) {
    case FB_EVENT_READY:
        fb_client_say(client, FB_CLIENT_ATTACHED, "egress attached");
        fb_pathset_session(client->set, true, fb_now_us());
        client->look = true;
        break;
    case FB_EVENT_TOKENS:
        fb_pathset_tokens(client->set, true);
        client->look = true;
        break;
    case FB_EVENT_PATH_OPEN: path_opened(client, event->path); break;
    case FB_EVENT_PATH_CLOSED: path_closed(client, event); break;
    case FB_EVENT_STREAM: fb_client_proxy_stream(client, event->stream, false); break;
    case FB_EVENT_STREAM_GONE: fb_client_proxy_stream(client, event->stream, true); break;
    case FB_EVENT_POST:
        if (event->post == FB_POST_BROKER)
            fb_client_path_post(client, event->data, event->len);
        else
            take_document(client, event->data, event->len);
        break;
    default: break; /* no datagrams yet */
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
    bool dropped = event->code == FB_CLOSE_NONE && !event->remote;
    const char *why = dropped ? client->drop_why : fb_close_text(event->code);
    if (why != NULL)
        fb_client_say(client, FB_CLIENT_LOST,
                      "the session has ended: %s; its connections are cut, another session begins",
                      why);
    end_session(client);
    if (!client->stopped)
        fb_timer_set(client->decide, fb_now_us());
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
    if (pump_session(client))
        fb_timer_set(client->timer, fb_session_deadline(client->s));
    client->pumping = false;
}

/* ---- the network ---- */

static bool is_listed(const struct fb_document *document, const uint8_t *egress) {
    for (size_t i = 0; i < document->egress_count; i++)
        if (memcmp(document->egresses[i].id, egress, FB_EGRESS_ID_LEN) == 0)
            return true;
    return false;
}

/* The network no longer vouches for the egress of the session, if there is one. */
static void leave_egress(struct fb_client *client, const char *why) {
    if (client->s == NULL || fb_session_closed(client->s))
        return;
    fb_client_drop_session(client, fb_session_ready(client->s) ? why : NULL);
    fb_client_pump(client);
}

static void document_changed(void *user, const struct fb_document *document) {
    struct fb_client *client = user;
    client->document = document;
    if (client->s == NULL)
        fb_timer_set(client->decide, fb_now_us());
    else if (!is_listed(document, client->egress))
        leave_egress(client, "the network no longer has its egress");
}

static void document_failed(void *user, const char *why) {
    struct fb_client *client = user;
    if (fb_joined_document(client->joined) != NULL)
        return;
    leave_egress(client, "the network document has expired");
    fb_client_say(client, FB_CLIENT_JOINING, "the network cannot be joined: %s", why);
}

/* Through the session, where one lives: the broker hears nothing from this network. */
static bool ask_inside(void *user, uint64_t serial) {
    struct fb_client *client = user;
    uint8_t post[SERIAL_LEN];
    struct fb_wr wr = fb_wr_make(post, sizeof post);
    fb_wr_u64(&wr, serial);
    if (client->s == NULL || !fb_pathset_in_session(client->set, fb_now_us()) ||
        fb_session_post(client->s, FB_POST_DOCUMENT, post, wr.len) != 0)
        return false;
    fb_client_pump(client);
    return true;
}

static const struct fb_joined_handler joined_handler = {
    .ask = ask_inside,
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
    client->decide = fb_timer_new(loop, decide, client);
    const struct fb_pathset_config paths = {
        .target = config->paths > 0 ? (unsigned)config->paths : PATHS_USUAL,
        .spare = config->paths == 1 ? 0 : 1,
    };
    client->set = fb_pathset_new(fb_mem_default(), fb_rng_default(), &paths, fb_now_us());
    client->joined = fb_joined_new(&joined);
    if (client->timer != NULL && client->decide != NULL && client->set != NULL &&
        client->joined != NULL)
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
    fb_pipe_ends_init(&client->ends, FB_CLIENT_ENDS_MAX);
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
    fb_timer_free(client->decide);
    fb_pathset_free(client->set);
    client->joined = NULL;
    client->timer = client->decide = NULL;
    client->set = NULL;
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
