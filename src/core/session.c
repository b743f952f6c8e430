#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/session_impl.h"

const char *fb_close_text(enum fb_close_code code) {
    switch (code) {
    case FB_CLOSE_NONE: return "done";
    case FB_CLOSE_INTERNAL: return "internal failure";
    case FB_CLOSE_FLOW_CONTROL: return "more data than allowed";
    case FB_CLOSE_STREAM_LIMIT: return "more streams than allowed";
    case FB_CLOSE_FINAL_SIZE: return "a stream changed its length";
    case FB_CLOSE_FRAME: return "malformed frame";
    case FB_CLOSE_PROTOCOL: return "protocol violation";
    case FB_CLOSE_IDLE: return "nothing heard for too long";
    case FB_CLOSE_LIMIT: return "a limit of the egress";
    case FB_CLOSE_FLOOD: return "a flood of control frames";
    case FB_CLOSE_SHUTDOWN: return "the egress shuts down";
    }
    return "unknown reason";
}

const char *fb_path_reason_text(enum fb_path_reason reason) {
    switch (reason) {
    case FB_PATH_DOWN: return "the connection closed";
    case FB_PATH_SILENT: return "nothing came back";
    case FB_PATH_ALTERED: return "the volunteer altered a message";
    case FB_PATH_LOSSY: return "too many messages were lost";
    case FB_PATH_ABANDONED: return "the other end gave it up";
    case FB_PATH_NO_REPLY: return "the egress did not answer";
    }
    return "unknown reason";
}

void fb_session_config_init(struct fb_session_config *config, bool client) {
    memset(config, 0, sizeof *config);
    config->first_stream_data = client ? 64 << 10 : 32 << 10;
    config->max_stream_data = client ? 8 << 20 : 2 << 20;
    config->max_data = client ? 32 << 20 : 16 << 20;
    config->max_streams = client ? 0 : 256;
    config->send_buffer_stream = client ? 2 << 20 : 8 << 20;
    config->send_buffer = client ? 8 << 20 : 16 << 20;
}

int fb_session_make(struct fb_session **out, const struct fb_session_config *config, bool client,
                    uint64_t now) {
    struct fb_session *s = fb_alloc(config->mem, sizeof *s);
    if (s == NULL)
        return FB_ERR_NOMEM;
    s->config = *config;
    s->mem = config->mem;
    s->client = client;
    s->now = s->heard = now;
    s->no_path_since = s->pace_at = FB_NEVER;
    s->next_path = 1;
    s->in_limit = config->max_data;
    s->streams_limit = config->max_streams;
    fb_list_init(&s->paths);
    fb_list_init(&s->event_streams);
    fb_list_init(&s->control_streams);
    fb_list_init(&s->fresh_streams);
    fb_list_init(&s->bulk_streams);
    fb_list_init(&s->datagrams_out);
    fb_list_init(&s->datagrams_in);
    fb_list_init(&s->posts_in);
    fb_ranges_init(&s->seen, s->mem, 2 * FB_STREAM_GAPS_MAX);
    fb_ranges_init(&s->posts_seen, s->mem, 64);
    memcpy(s->process_id, config->process_id, sizeof s->process_id);
    s->streams = fb_map_new(s->mem, config->rng, sizeof(uint64_t));
    if (s->streams == NULL) {
        fb_session_free(s);
        return FB_ERR_NOMEM;
    }
    *out = s;
    return 0;
}

int fb_session_new(struct fb_session **out, const struct fb_session_config *config, uint64_t now) {
    return fb_session_make(out, config, true, now);
}

static void free_blobs(struct fb_session *s, struct fb_list *list) {
    FB_LIST_EACH (it, list) {
        fb_list_remove(it);
        fb_free(s->mem, FB_CONTAINER(it, struct fb_blob, link));
    }
}

static void free_streams(struct fb_session *s) {
    size_t cursor = 0;
    struct fb_stream *st;
    while ((st = fb_map_next(s->streams, &cursor)) != NULL) {
        fb_stream_clear(st);
        fb_free(s->mem, st);
    }
    fb_map_free(s->streams);
}

void fb_session_free(struct fb_session *s) {
    if (s == NULL)
        return;
    const struct fb_mem *mem = s->mem;
    uint32_t path;
    FB_LIST_EACH (it, &s->paths)
        fb_path_remove(s, FB_CONTAINER(it, struct fb_path, link));
    if (s->streams != NULL)
        free_streams(s);
    for (size_t i = 0; i < FB_TOKENS_IN_HAND && !s->client; i++)
        if (s->tokens[i].used)
            fb_tokens_take(s->config.tokens, s->tokens[i].token, &path);
    for (size_t i = 0; i < FB_POSTS_MAX; i++)
        fb_free(mem, s->posts[i].data);
    free_blobs(s, &s->datagrams_out);
    free_blobs(s, &s->datagrams_in);
    free_blobs(s, &s->posts_in);
    fb_free(mem, s->given);
    fb_ranges_clear(&s->seen);
    fb_ranges_clear(&s->posts_seen);
    s->config.crypto->noise_free(s->noise);
    fb_wipe(s, sizeof *s);
    fb_free(mem, s);
}

void fb_session_close(struct fb_session *s, enum fb_close_code code) {
    if (s->closing || s->closed)
        return;
    s->closing = true;
    s->code = code;
    FB_LIST_EACH (it, &s->paths)
        FB_CONTAINER(it, struct fb_path, link)->send_close = true;
}

bool fb_session_ready(const struct fb_session *s) {
    return s->ready && !s->closing && !s->closed;
}

bool fb_session_closed(const struct fb_session *s) {
    return s->closing || s->closed;
}

const uint8_t *fb_session_process_id(const struct fb_session *s) {
    return s->process_id;
}

void fb_session_set_user(struct fb_session *s, void *user) {
    s->user = user;
}

void *fb_session_user(const struct fb_session *s) {
    return s->user;
}

/* ---- time ---- */

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

uint64_t fb_session_deadline(const struct fb_session *s) {
    uint64_t deadline = FB_NEVER;
    if (s->closed)
        return s->event_closed ? s->now : FB_NEVER;
    if (s->closing)
        return s->now;
    if (s->retry_at > s->now)
        deadline = s->retry_at;
    deadline = earlier(deadline, s->pace_at);
    if (s->ready) {
        deadline = earlier(deadline, s->heard + FB_SESSION_IDLE_US);
        if (s->no_path_since != FB_NEVER)
            deadline = earlier(deadline, s->no_path_since + FB_SESSION_NO_PATH_US);
    }
    FB_LIST_EACH (it, &s->paths) {
        const struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        deadline = earlier(deadline, fb_path_deadline(s, p));
        /* A due ACK that is still there waits for a path, not for time. */
        if (p->ack_due > s->now)
            deadline = earlier(deadline, p->ack_due);
    }
    return deadline;
}

void fb_session_tick(struct fb_session *s, uint64_t now) {
    s->now = now;
    if (s->closed || s->closing)
        return;
    FB_LIST_EACH (it, &s->paths)
        fb_path_tick(s, FB_CONTAINER(it, struct fb_path, link), now);
    if (!s->ready)
        return;
    bool no_path = s->no_path_since != FB_NEVER && now - s->no_path_since >= FB_SESSION_NO_PATH_US;
    if (no_path || now - s->heard >= FB_SESSION_IDLE_US)
        fb_session_close(s, FB_CLOSE_IDLE);
}

/* ---- events ---- */

static bool next_path_event(struct fb_session *s, struct fb_event *event) {
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (!p->event_open && !p->event_closed)
            continue;
        event->type = p->event_open ? FB_EVENT_PATH_OPEN : FB_EVENT_PATH_CLOSED;
        event->path = p->id;
        event->path_reason = p->reason;
        p->event_open = p->event_closed = false;
        return true;
    }
    return false;
}

static bool next_blob(struct fb_session *s, struct fb_list *list, size_t *count,
                      enum fb_event_type type, struct fb_event *event) {
    if (fb_list_empty(list))
        return false;
    struct fb_blob *blob = FB_CONTAINER(list->next, struct fb_blob, link);
    fb_list_remove(&blob->link);
    --*count;
    s->given = blob;
    event->type = type;
    event->post = blob->post;
    event->data = blob->data;
    event->len = blob->len;
    return true;
}

static bool next_stream_event(struct fb_session *s, struct fb_event *event) {
    while (!fb_list_empty(&s->event_streams)) {
        struct fb_stream *st = FB_CONTAINER(s->event_streams.next, struct fb_stream, event_link);
        event->stream = st->id;
        if (st->is_new) {
            event->type = FB_EVENT_STREAM_NEW;
            st->is_new = false;
            return true;
        }
        if (st->event) {
            event->type = FB_EVENT_STREAM;
            st->event = false;
            return true;
        }
        fb_list_remove(&st->event_link);
        if (st->dead) {
            event->type = FB_EVENT_STREAM_GONE;
            st->silent = true;
            fb_stream_settle(s, st);
            return true;
        }
    }
    return false;
}

bool fb_session_next(struct fb_session *s, struct fb_event *event) {
    memset(event, 0, sizeof *event);
    fb_free(s->mem, s->given);
    s->given = NULL;
    if (s->event_ready) {
        s->event_ready = false;
        event->type = FB_EVENT_READY;
        return true;
    }
    if (next_path_event(s, event))
        return true;
    if (s->event_tokens) {
        s->event_tokens = false;
        event->type = FB_EVENT_TOKENS;
        return true;
    }
    if (next_blob(s, &s->posts_in, &s->posts_in_count, FB_EVENT_POST, event) ||
        next_blob(s, &s->datagrams_in, &s->datagrams_in_count, FB_EVENT_DATAGRAM, event) ||
        next_stream_event(s, event))
        return true;
    if (!s->event_closed)
        return false;
    s->event_closed = false;
    event->type = FB_EVENT_CLOSED;
    event->code = s->code;
    event->remote = s->closed_remote;
    return true;
}

/* ---- messages beside the streams ---- */

int fb_session_datagram(struct fb_session *s, const uint8_t *data, size_t len) {
    if (!fb_session_ready(s))
        return FB_ERR_STATE;
    if (len > FB_DATAGRAM_MAX)
        return FB_ERR_TOO_BIG;
    if (s->datagrams_out_count >= FB_QUEUE_MAX)
        return FB_ERR_AGAIN;
    struct fb_blob *blob = fb_alloc(s->mem, sizeof *blob + len);
    if (blob == NULL)
        return FB_ERR_NOMEM;
    blob->len = len;
    if (len > 0)
        memcpy(blob->data, data, len);
    fb_list_push(&s->datagrams_out, &blob->link);
    s->datagrams_out_count++;
    return 0;
}

int fb_session_post(struct fb_session *s, enum fb_post post, const uint8_t *data, size_t len) {
    if (!fb_session_ready(s))
        return FB_ERR_STATE;
    if (len > FB_SESSION_POST_MAX || len == 0)
        return FB_ERR_TOO_BIG;
    for (size_t i = 0; i < FB_POSTS_MAX; i++) {
        struct fb_post_out *out = &s->posts[i];
        if (out->data != NULL)
            continue;
        out->data = fb_alloc(s->mem, len);
        if (out->data == NULL)
            return FB_ERR_NOMEM;
        memcpy(out->data, data, len);
        out->len = len;
        out->post = post;
        out->number = s->next_post++;
        out->queue = true;
        return 0;
    }
    return FB_ERR_AGAIN;
}

void fb_session_stats(const struct fb_session *s, struct fb_session_stats *stats) {
    uint64_t best = 0;
    FB_LIST_EACH (it, &s->paths) {
        const struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        uint64_t rtt = p->sent.smoothed_rtt;
        if (p->state == FB_PATH_IS_OPEN && rtt > 0 && (best == 0 || rtt < best))
            best = rtt;
    }
    *stats = s->stats;
    stats->smoothed_rtt_us = best;
    stats->buffered_bytes = s->buffered + (s->in_total - s->in_read);
}
