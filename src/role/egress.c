#include "role/egress.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/document.h"
#include "crypto/openssl.h"
#include "role/egress_impl.h"

#define SECOND_US UINT64_C(1000000)
/* Ids of used tickets that are remembered: a minute and a half of 1,000 paths a second. */
#define REPLAY_MAX 100000
#define TOKENS_PER_SESSION 32
/* The window of 256 KiB and its reserve, and the largest message on top. */
#define WS_SEND_MAX ((size_t)512 * 1024)

/* What waits for one client, in all its streams: 16 that it does not read leave room for others. */
#define SESSION_SEND_MAX ((uint64_t)16 << 20)

void fb_egress_config_init(struct fb_egress_config *config) {
    memset(config, 0, sizeof *config);
    config->limits = (struct fb_egress_limits){
        .sessions = 4096,
        .paths = 16384,
        .buffered = (size_t)512 << 20,
        .session = {.at_once = 256, .per_second = 50, .burst = 256},
        .address = {.at_once = 1024, .per_second = 200, .burst = 1024},
        .total = {.at_once = 20000, .per_second = 2000, .burst = 8000},
        .head_timeout_us = FB_DEST_WAIT_US,
        .dial_timeout_us = 20 * SECOND_US,
    };
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

void fb_egress_arm(struct fb_egress *egress) {
    uint64_t due = egress->has_broker ? egress->load_due_us : FB_NEVER;
    if (!fb_list_empty(&egress->waiting))
        due = earlier(due, FB_CONTAINER(egress->waiting.next, struct egress_path, link)->since_us +
                               FB_EGRESS_ATTACH_WAIT_US);
    if (!fb_list_empty(&egress->heads))
        due = earlier(due,
                      FB_CONTAINER(egress->heads.next, struct egress_stream, head_link)->since_us +
                          egress->config.limits.head_timeout_us);
    if (egress->ends.count > 0)
        due = earlier(due, fb_pipe_oldest_end(&egress->ends) + FB_EGRESS_LINGER_US + 1);
    fb_timer_set(egress->tick, due);
}

static void send_load(struct fb_egress *egress, uint64_t now) {
    struct fb_link_load load = {
        .sessions = (uint32_t)egress->counts.sessions,
        .paths = (uint32_t)egress->counts.paths,
        .bytes = egress->counts.bytes_up + egress->counts.bytes_down,
    };
    egress->load_due_us = now + FB_LINK_LOAD_S * SECOND_US;
    egress->broker.load(egress->broker.ctx, &load);
}

static void tick(void *user) {
    struct fb_egress *egress = user;
    uint64_t now = fb_now_us();
    FB_LIST_EACH (it, &egress->waiting) {
        struct egress_path *path = FB_CONTAINER(it, struct egress_path, link);
        if (now - path->since_us < FB_EGRESS_ATTACH_WAIT_US)
            break; /* those behind it came later */
        fb_egress_path_close(path, FB_FAREWELL_TIMEOUT, "no ticket came");
    }
    fb_egress_reset_late(egress, now);
    fb_pipe_cut_ends(&egress->ends, now - FB_EGRESS_LINGER_US);
    if (egress->has_broker && egress->load_due_us <= now)
        send_load(egress, now);
    fb_egress_arm(egress);
}

static void init_session_config(struct fb_egress *egress) {
    struct fb_session_config *config = &egress->session_config;
    fb_session_config_init(config, false);
    config->mem = fb_mem_default();
    config->rng = fb_rng_default();
    config->crypto = egress->config.crypto;
    config->tokens = egress->tokens;
    memcpy(config->network_id, egress->config.network_id, sizeof config->network_id);
    memcpy(config->egress_key, egress->config.key, sizeof config->egress_key);
    memcpy(config->process_id, egress->process_id, sizeof config->process_id);
    config->send_buffer = SESSION_SEND_MAX;
    if (egress->config.limits.session.at_once != 0)
        config->max_streams = egress->config.limits.session.at_once;
}

static int add_route(struct fb_egress *egress) {
    const struct fb_ws_route route = {
        .path = FB_EGRESS_ROUTE,
        .limits = {.message_max = FB_MESSAGE_MAX, .send_max = WS_SEND_MAX, .bulk = true},
        .handler = &fb_egress_path_handler,
        .accept = fb_egress_path_accept,
        .ctx = egress,
    };
    return fb_server_add_ws(egress->config.server, &route);
}

static int build(struct fb_egress *egress) {
    const struct fb_egress_config *config = &egress->config;
    uv_loop_t *loop = fb_net_loop(config->net);
    const struct fb_dialer_config dialer = {
        .loop = loop,
        .resolver = fb_net_resolver(config->net),
        .policy = config->policy,
        .per_address = config->limits.address,
        .timeout_us = config->limits.dial_timeout_us,
    };
    egress->tokens = fb_tokens_new(fb_mem_default(), fb_rng_default(),
                                   config->limits.sessions * TOKENS_PER_SESSION);
    egress->replay = fb_replay_new(fb_mem_default(), fb_rng_default(), REPLAY_MAX);
    egress->dialer = fb_dialer_new(&dialer);
    egress->tick = fb_timer_new(loop, tick, egress);
    if (egress->tokens == NULL || egress->replay == NULL || egress->dialer == NULL ||
        egress->tick == NULL)
        return FB_ERR_NOMEM;
    init_session_config(egress);
    int err = fb_x25519_public(config->key, egress->session_config.egress_id);
    return err != 0 ? err : add_route(egress);
}

int fb_egress_new(struct fb_egress **out, const struct fb_egress_config *config) {
    *out = NULL;
    if (config->ticket_key_count > FB_EGRESS_TICKET_KEYS_MAX)
        return FB_ERR_LIMIT;
    struct fb_egress *egress = calloc(1, sizeof *egress);
    if (egress == NULL)
        return FB_ERR_NOMEM;
    egress->config = *config;
    if (config->ticket_key_count > 0)
        memcpy(egress->ticket_keys, config->ticket_keys,
               config->ticket_key_count * sizeof egress->ticket_keys[0]);
    fb_random(fb_rng_default(), egress->process_id, sizeof egress->process_id);
    fb_list_init(&egress->sessions);
    fb_list_init(&egress->waiting);
    fb_list_init(&egress->offers);
    fb_list_init(&egress->paused);
    fb_list_init(&egress->heads);
    fb_pipe_ends_init(&egress->ends, FB_EGRESS_ENDS_MAX);
    int err = build(egress);
    fb_wipe(egress->config.key, sizeof egress->config.key);
    if (err != 0) {
        fb_egress_free(egress);
        return err;
    }
    *out = egress;
    return 0;
}

int fb_egress_set_document(struct fb_egress *egress, const uint8_t *bytes, size_t len) {
    struct fb_document document;
    int err = fb_document_parse(bytes, len, &document);
    if (err != 0)
        return err;
    egress->document = bytes;
    egress->document_len = len;
    egress->document_serial = document.serial;
    return 0;
}

void fb_egress_stop(struct fb_egress *egress) {
    egress->stopped = true;
    FB_LIST_EACH (it, &egress->waiting)
        fb_egress_path_close(FB_CONTAINER(it, struct egress_path, link), FB_FAREWELL_DONE,
                             "the egress shuts down");
    FB_LIST_EACH (it, &egress->sessions) {
        struct egress_session *session = FB_CONTAINER(it, struct egress_session, link);
        fb_session_close(session->s, FB_CLOSE_SHUTDOWN);
        fb_egress_pump(session);
    }
    FB_LIST_EACH (it, &egress->sessions) /* those that lacked the memory for a farewell */
        fb_egress_session_end(FB_CONTAINER(it, struct egress_session, link), FB_CLOSE_SHUTDOWN,
                              false);
    fb_pipe_cut_ends(&egress->ends, FB_NEVER);
    fb_timer_set(egress->tick, FB_NEVER);
    egress->has_broker = false;
}

void fb_egress_free(struct fb_egress *egress) {
    if (egress == NULL)
        return;
    fb_timer_free(egress->tick);
    fb_dialer_free(egress->dialer);
    fb_replay_free(egress->replay);
    fb_tokens_free(egress->tokens);
    fb_wipe(egress, sizeof *egress);
    free(egress);
}

const uint8_t *fb_egress_id(const struct fb_egress *egress) {
    return egress->session_config.egress_id;
}

const uint8_t *fb_egress_process_id(const struct fb_egress *egress) {
    return egress->process_id;
}

void fb_egress_set_broker(struct fb_egress *egress, const struct fb_broker_link *broker) {
    egress->has_broker = broker != NULL && !egress->stopped;
    if (egress->has_broker) {
        egress->broker = *broker;
        send_load(egress, fb_now_us());
        fb_egress_arm(egress);
        return;
    }
    /* What was with the broker is lost; its clients hear at once and offer elsewhere. */
    while (!fb_list_empty(&egress->offers))
        fb_egress_answered(
            egress, FB_CONTAINER(egress->offers.next, struct egress_offer, link)->request, NULL, 0);
}

void fb_egress_count(const struct fb_egress *egress, struct fb_egress_counts *counts) {
    *counts = egress->counts;
}
