#include "role/broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/addrclass.h"
#include "crypto/openssl.h"
#include "role/broker_impl.h"

#define SLOW_US UINT64_C(2000000)
#define RATE_ADDRESSES_MAX 65536
#define OFFER_BODY_MAX FB_SEALED_OFFER_LEN

void fb_broker_config_init(struct fb_broker_config *config) {
    *config = (struct fb_broker_config){
        .limits =
            {
                .offers_per_minute = 60,
                .offers_under_way = 1024,
                .hold_ms = 20000,
                .answer_ms = 10000,
                .failed_ms = 3600000,
                .volunteers_hour = 100,
                .volunteers = 65536,
                .requests = 4096,
                .status_us = UINT64_C(60000000),
            },
    };
    fb_censored_parse(&config->censored, FB_CENSORED_USUAL);
}

static void slow_tick(void *user) {
    struct fb_broker *broker = user;
    uint64_t now = fb_now_us();
    FB_LIST_EACH (link, &broker->volunteers) {
        struct volunteer *volunteer = FB_CONTAINER(link, struct volunteer, link);
        if (volunteer->id == 0 && now - volunteer->born_us > HELLO_US)
            broker_volunteer_close(volunteer, 4008, "no hello");
    }
    broker_sweep_links(broker, now);
    fb_timer_set(broker->slow, now + SLOW_US);
}

static void matcher_due(void *user) {
    struct fb_broker *broker = user;
    fb_match_tick(broker->match, now_ms());
    broker_pump(broker);
}

static void act(struct fb_broker *broker, const struct fb_match_action *action) {
    struct volunteer *volunteer = action->volunteer_ctx;
    struct request *request = action->request_ctx;
    struct fb_vol_msg msg = {.type = FB_VOL_OFFER, .match = action->id};
    switch (action->type) {
    case FB_MATCH_OFFER:
        msg.desc = request->offer.desc;
        memcpy(msg.country, request->country, FB_COUNTRY_LEN);
        broker_tell(volunteer, &msg);
        break;
    case FB_MATCH_WITHDRAW:
        msg.type = FB_VOL_CANCEL;
        broker_tell(volunteer, &msg);
        break;
    case FB_MATCH_NOBODY: broker_refuse(request, FB_ANSWER_NOBODY, 0); break;
    case FB_MATCH_AGAIN: broker_refuse(request, FB_ANSWER_AGAIN, 0); break;
    }
}

void broker_pump(struct fb_broker *broker) {
    struct fb_match_action action;
    while (fb_match_poll(broker->match, &action))
        act(broker, &action);
    uint64_t deadline = fb_match_deadline(broker->match);
    fb_timer_set(broker->timer, deadline == FB_MATCH_NEVER ? FB_NEVER : deadline * 1000);
}

void broker_place(const struct fb_broker *broker, const struct fb_addr *addr,
                  uint8_t country[FB_COUNTRY_LEN], uint8_t prefix[FB_ADDR_PREFIX_LEN]) {
    fb_geoip_country(broker->geoip, addr, country);
    if (country[0] == 0)
        memcpy(country, broker->country, FB_COUNTRY_LEN);
    memset(prefix, 0, FB_ADDR_PREFIX_LEN);
    if (!fb_addr_is_special(addr))
        fb_addr_prefix(addr, prefix);
}

/* Our own entry in the document, by both public keys: clients seal to the one and egresses check
 * tickets by the other. */
static int find_self(struct fb_broker *broker, char *err) {
    uint8_t sealing[FB_KEY_LEN], ticket[FB_KEY_LEN];
    if (fb_x25519_public(broker->sealing_key, sealing) != 0 ||
        fb_ed25519_public(broker->ticket_seed, ticket) != 0) {
        snprintf(err, FB_BROKER_ERR_MAX, "the broker's keys are unusable");
        return FB_ERR_AUTH;
    }
    fb_ticket_key_init(&broker->ticket_key, broker->crypto, ticket);
    for (size_t i = 0; i < broker->document.broker_count; i++) {
        const struct fb_document_broker *each = &broker->document.brokers[i];
        if (memcmp(each->sealing_key, sealing, FB_KEY_LEN) == 0 &&
            memcmp(each->ticket_key, ticket, FB_KEY_LEN) == 0) {
            broker->self = each;
            return 0;
        }
    }
    snprintf(err, FB_BROKER_ERR_MAX, "the network document lists no broker with these keys");
    return FB_ERR_NOT_FOUND;
}

static int take_document(struct fb_broker *broker, const struct fb_broker_config *config,
                         char *err) {
    int code = fb_document_verify(config->crypto, config->network_id, config->document,
                                  config->document_len, fb_unix_s(), 0, &broker->document);
    if (code != 0) {
        snprintf(err, FB_BROKER_ERR_MAX, "network document: %s", fb_document_strerror(code));
        return code;
    }
    memcpy(broker->document_bytes, config->document, config->document_len);
    broker->document_len = config->document_len;
    broker->local = (broker->document.flags & FB_DOCUMENT_LOCAL) != 0;
    return find_self(broker, err);
}

static bool make_parts(struct fb_broker *broker) {
    const struct fb_broker_limits *limits = &broker->limits;
    struct fb_match_config match = {
        .local = broker->local,
        .request_ms = limits->hold_ms,
        .answer_ms = limits->answer_ms,
        .failed_ms = limits->failed_ms,
        .volunteers_hour = limits->volunteers_hour,
        .volunteers_max = limits->volunteers,
        .requests_max = limits->requests,
    };
    uv_loop_t *loop = fb_net_loop(broker->net);
    broker->match = fb_match_new(broker->mem, broker->rng, &match);
    broker->timer = fb_timer_new(loop, matcher_due, broker);
    broker->arriving = fb_timer_new(loop, broker_take_arrived, broker);
    broker->slow = fb_timer_new(loop, slow_tick, broker);
    broker->status_timer = fb_timer_new(loop, broker_status_tick, broker);
    broker->seen = fb_map_new(broker->mem, broker->rng, SEEN_LEN);
    broker->seen_keys = calloc(SEEN_MAX, SEEN_LEN);
    if (limits->offers_per_minute > 0) {
        broker->rates = fb_buckets_new(broker->mem, broker->rng, limits->offers_per_minute,
                                       UINT64_C(60000000) / limits->offers_per_minute,
                                       RATE_ADDRESSES_MAX);
        if (broker->rates == NULL)
            return false;
    }
    return broker->match != NULL && broker->timer != NULL && broker->arriving != NULL &&
           broker->slow != NULL && broker->status_timer != NULL && broker->seen != NULL &&
           broker->seen_keys != NULL;
}

static int add_routes(struct fb_broker *broker, struct fb_server *server) {
    const struct fb_http_route offer = {"POST", "/v1/offer", OFFER_BODY_MAX, broker_take_http_offer,
                                        broker};
    int err = fb_server_add_http(server, &offer);
    if (err == 0)
        err = broker_add_volunteer_route(broker, server);
    if (err == 0 && broker->has_link)
        err = broker_add_link_route(broker, server);
    if (err == 0)
        err = broker_add_pages(broker, server);
    return err;
}

struct fb_broker *fb_broker_new(const struct fb_broker_config *config,
                                char err[static FB_BROKER_ERR_MAX]) {
    snprintf(err, FB_BROKER_ERR_MAX, "out of memory");
    struct fb_broker *broker = calloc(1, sizeof *broker);
    if (broker == NULL)
        return NULL;
    broker->net = config->net;
    broker->crypto = config->crypto;
    broker->log = config->log;
    broker->geoip = config->geoip;
    broker->mem = fb_mem_default();
    broker->rng = fb_rng_default();
    broker->limits = config->limits;
    broker->censored = config->censored;
    memcpy(broker->country, config->country, FB_COUNTRY_LEN);
    memcpy(broker->network_id, config->network_id, FB_NETWORK_ID_LEN);
    memcpy(broker->sealing_key, config->sealing_key, FB_KEY_LEN);
    memcpy(broker->ticket_seed, config->ticket_seed, FB_KEY_LEN);
    broker->has_link = config->link_secret != NULL;
    if (broker->has_link)
        memcpy(broker->link_secret, config->link_secret, FB_KEY_LEN);
    fb_list_init(&broker->requests);
    fb_list_init(&broker->arrived);
    fb_list_init(&broker->volunteers);
    fb_list_init(&broker->processes);
    fb_list_init(&broker->links);
    if (take_document(broker, config, err) != 0) {
        fb_broker_free(broker);
        return NULL;
    }
    if (!make_parts(broker) || add_routes(broker, config->server) != 0) {
        snprintf(err, FB_BROKER_ERR_MAX, "out of memory");
        fb_broker_free(broker);
        return NULL;
    }
    fb_timer_set(broker->slow, fb_now_us() + SLOW_US);
    fb_timer_set(broker->status_timer, fb_now_us() + broker->limits.status_us);
    err[0] = '\0';
    return broker;
}

void fb_broker_stop(struct fb_broker *broker) {
    if (broker->stopped)
        return;
    broker->stopped = true;
    FB_LIST_EACH (link, &broker->arrived)
        broker_request_free(FB_CONTAINER(link, struct request, link));
    FB_LIST_EACH (link, &broker->requests) {
        struct request *request = FB_CONTAINER(link, struct request, link);
        fb_match_cancel(broker->match, request->id, now_ms());
        broker_refuse(request, FB_ANSWER_AGAIN, 5);
    }
    FB_LIST_EACH (link, &broker->volunteers)
        broker_volunteer_close(FB_CONTAINER(link, struct volunteer, link), FB_WS_TRY_LATER,
                               "the broker stops");
    broker_close_links(broker, "the broker stops");
    broker_pump(broker);
}

void fb_broker_free(struct fb_broker *broker) {
    if (broker == NULL)
        return;
    if (broker->match != NULL)
        fb_broker_stop(broker);
    FB_LIST_EACH (link, &broker->processes)
        free(FB_CONTAINER(link, struct process, link));
    fb_match_free(broker->match);
    fb_timer_free(broker->timer);
    fb_timer_free(broker->arriving);
    fb_timer_free(broker->slow);
    fb_timer_free(broker->status_timer);
    fb_map_free(broker->seen);
    free(broker->seen_keys);
    fb_buckets_free(broker->rates);
    fb_pages_free(broker->pages);
    free(broker->widget_json);
    fb_wipe(broker, sizeof *broker);
    free(broker);
}

void fb_broker_count(const struct fb_broker *broker, struct fb_broker_counts *out) {
    *out = broker->counts;
    fb_match_count(broker->match, &out->match);
    for (const struct fb_list *at = broker->processes.next; at != &broker->processes; at = at->next)
        out->egresses++;
}
