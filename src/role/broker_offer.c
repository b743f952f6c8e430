/* Offers: from their bytes to an answer. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "role/broker_impl.h"

#define BINARY "application/octet-stream"
/* What a client is told to wait when there are too many offers. */
#define LIMIT_RETRY_S 10
/* A handle is 8 random bytes and as much of what only this broker derives from them: whoever
 * could make one up would meet any number of volunteers in its name. A session has got its own
 * with the direct offer that it began by; after a change of the broker's key a few come without, of
 * each egress process so many at once and one a minute. */
#define HANDLE_RANDOM 8
#define NEWCOMERS_AT_ONCE 16
#define NEWCOMER_US UINT64_C(60000000)

static const char *const no_store[] = {"cache-control", "no-store", NULL};

void broker_request_free(struct request *request) {
    if (request->process != NULL)
        request->process->under_way--;
    fb_list_remove(&request->link);
    fb_rendezvous_free(request->rv);
    free(request->sealed);
    free(request);
}

/* Sends sealed bytes, or for len 0 the news that the offer did not open, and frees. */
static void send_sealed(struct request *request, const uint8_t *sealed, size_t len) {
    if (request->http != NULL && len > 0)
        fb_http_reply(request->http, 200, BINARY, no_store, sealed, len);
    else if (request->http != NULL)
        fb_http_reply(request->http, 400, "text/plain", no_store, "not an offer to this broker\n",
                      28);
    else if (request->process != NULL)
        request->process->answered(request->process->user, request->number, sealed, len);
    broker_request_free(request);
}

static void send_answer(struct request *request, struct fb_answer *answer) {
    uint8_t sealed[FB_SEALED_ANSWER_LEN];
    answer->document = request->broker->document.serial;
    memcpy(answer->handle, request->offer.handle, FB_HANDLE_LEN);
    int err = fb_rendezvous_reply(request->rv, answer, sealed);
    send_sealed(request, sealed, err == 0 ? sizeof sealed : 0);
}

void broker_refuse(struct request *request, enum fb_answer_status status, uint16_t retry_after) {
    struct fb_answer answer = {.status = status, .retry_after = retry_after};
    send_answer(request, &answer);
}

/* False: seen before. Only offers that opened come here, so nobody can fill it with rubbish. */
static bool is_fresh(struct fb_broker *broker, const uint8_t *ephemeral) {
    uint8_t *slot = broker->seen_keys[broker->seen_next];
    if (fb_map_get(broker->seen, ephemeral) != NULL)
        return false;
    fb_map_take(broker->seen, slot);
    memcpy(slot, ephemeral, SEEN_LEN);
    broker->seen_next = (broker->seen_next + 1) % SEEN_MAX;
    return fb_map_put(broker->seen, slot, slot) == 0;
}

/* Where the client is: the address that asks, or, inside a session, what its candidates claim. */
static void locate(struct request *request, const struct fb_addr *from, struct fb_match_end *out) {
    const struct fb_desc *desc = &request->offer.desc;
    struct fb_addr addr = {0};
    if (from != NULL)
        addr = *from;
    for (size_t i = 0; from == NULL && i < desc->candidate_count; i++)
        if (addr.family == 0 || desc->candidates[i].type == FB_CAND_SRFLX)
            addr = desc->candidates[i].addr;
    out->nat = request->offer.nat;
    if (addr.family == 0)
        return;
    broker_place(request->broker, &addr, out->country, out->prefix);
}

static void gone(void *user) {
    struct request *request = user;
    struct fb_broker *broker = request->broker;
    fb_match_cancel(broker->match, request->id, now_ms());
    broker_request_free(request);
    broker_pump(broker);
}

static void complete_handle(const struct fb_broker *broker, uint8_t handle[FB_HANDLE_LEN]) {
    uint8_t derived[FB_HASH_LEN];
    broker->crypto->derive(broker->crypto->ctx, broker->sealing_key, "footbridge handle", handle,
                           HANDLE_RANDOM, derived);
    memcpy(handle + HANDLE_RANDOM, derived, FB_HANDLE_LEN - HANDLE_RANDOM);
}

/* Sees to it that the offer has a handle of ours. 0, or how many seconds it has to wait. */
static uint16_t give_handle(struct request *request) {
    struct fb_broker *broker = request->broker;
    struct process *process = request->process;
    uint8_t *handle = request->offer.handle, ours[FB_HANDLE_LEN];
    uint64_t now = fb_now_us();
    memcpy(ours, handle, FB_HANDLE_LEN);
    complete_handle(broker, ours);
    if (fb_equal(ours, handle, FB_HANDLE_LEN))
        return 0;
    if (process != NULL) {
        if (process->newcomers_us < now)
            process->newcomers_us = now;
        if (process->newcomers_us - now > (NEWCOMERS_AT_ONCE - 1) * NEWCOMER_US)
            return NEWCOMER_US / 1000000;
        process->newcomers_us += NEWCOMER_US;
    }
    fb_random(broker->rng, handle, HANDLE_RANDOM);
    complete_handle(broker, handle);
    return 0;
}

/* Seconds until the session may meet another volunteer; 0: now. */
static uint16_t seconds_to_wait(const struct request *request) {
    uint64_t wait = fb_match_wait(request->broker->match, request->offer.handle, now_ms());
    wait = (wait + 999) / 1000;
    return (uint16_t)(wait < UINT16_MAX ? wait : UINT16_MAX);
}

static void enter_matching(struct request *request, const struct fb_addr *from) {
    struct fb_broker *broker = request->broker;
    struct fb_offer *offer = &request->offer;
    uint16_t wait = give_handle(request);
    if (wait == 0)
        wait = seconds_to_wait(request);
    if (wait > 0) {
        broker->counts.limited++;
        broker_refuse(request, FB_ANSWER_LIMIT, wait);
        return;
    }
    struct fb_match_request ask = {
        .browsers_only = (offer->flags & FB_OFFER_BROWSERS_ONLY) != 0,
    };
    memcpy(ask.session, offer->handle, FB_HANDLE_LEN);
    fb_desc_filter(&offer->desc, broker->local);
    locate(request, from, &ask.end);
    memcpy(request->country, ask.end.country, FB_COUNTRY_LEN);
    fb_list_push(&broker->requests, &request->link);
    if (request->http != NULL)
        fb_http_hold(request->http, gone, request);
    if (fb_match_request(broker->match, &ask, request, now_ms(), &request->id) != 0)
        broker_refuse(request, FB_ANSWER_LIMIT, LIMIT_RETRY_S);
    broker_pump(broker);
}

/* An offer has arrived whole. from: NULL inside a session. */
static void take(struct request *request, const struct fb_addr *from, const uint8_t *sealed,
                 size_t len) {
    struct fb_broker *broker = request->broker;
    int err = fb_rendezvous_open(&request->rv, broker->mem, broker->rng, broker->crypto,
                                 broker->sealing_key, broker->network_id, sealed, len,
                                 &request->offer);
    broker->counts.offers++;
    if (request->rv == NULL) {
        broker->counts.unopened++;
        send_sealed(request, NULL, 0);
        return;
    }
    if (!is_fresh(broker, sealed)) {
        broker->counts.replays++;
        send_sealed(request, NULL, 0);
        return;
    }
    enum fb_answer_status status = FB_ANSWER_OK;
    if (err != 0)
        status = err == FB_ERR_VERSION ? FB_ANSWER_VERSION : FB_ANSWER_MALFORMED;
    else
        broker_find_process(broker, request->offer.egress, request->offer.process, &status);
    if (status != FB_ANSWER_OK)
        broker_refuse(request, status, 0);
    else
        enter_matching(request, from);
}

static struct request *request_new(struct fb_broker *broker) {
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    fb_list_init(&request->link);
    request->broker = broker;
    return request;
}

static void reply_plain(struct fb_http_req *http, int status, const char *text) {
    static const char *const headers[] = {"cache-control", "no-store", "retry-after", "10", NULL};
    fb_http_reply(http, status, "text/plain", headers, text, strlen(text));
}

void broker_take_http_offer(void *user, struct fb_http_req *http) {
    struct fb_broker *broker = user;
    const struct fb_addr *from = fb_http_from(http);
    size_t len;
    const uint8_t *body = fb_http_body(http, &len);
    if (broker->stopped) {
        reply_plain(http, 503, "stopping\n");
        return;
    }
    if (broker->rates != NULL && !fb_buckets_take(broker->rates, from, fb_now_us())) {
        broker->counts.limited++;
        reply_plain(http, 429, "too many offers\n");
        return;
    }
    struct request *request = request_new(broker);
    if (request == NULL) {
        reply_plain(http, 503, "out of memory\n");
        return;
    }
    request->http = http;
    take(request, from, body, len);
}

int broker_take_link_offer(struct process *process, uint64_t number, const uint8_t *sealed,
                           size_t len) {
    struct fb_broker *broker = process->broker;
    if (broker->stopped || process->under_way >= broker->limits.offers_under_way)
        return FB_ERR_LIMIT;
    struct request *request = request_new(broker);
    if (request == NULL)
        return FB_ERR_NOMEM;
    request->sealed = malloc(len + 1);
    if (request->sealed == NULL) {
        free(request);
        return FB_ERR_NOMEM;
    }
    if (len > 0)
        memcpy(request->sealed, sealed, len);
    request->sealed_len = len;
    request->number = number;
    request->process = process;
    process->under_way++;
    fb_list_push(&broker->arrived, &request->link);
    fb_timer_set(broker->arriving, fb_now_us());
    return 0;
}

/* The volunteer that has it is told from the loop: the egress's call must not come back to it. */
void broker_cancel_link_offer(struct process *process, uint64_t number) {
    struct fb_broker *broker = process->broker;
    struct fb_list *lists[] = {&broker->arrived, &broker->requests};
    for (size_t i = 0; i < 2; i++)
        FB_LIST_EACH (link, lists[i]) {
            struct request *request = FB_CONTAINER(link, struct request, link);
            if (request->process != process || request->number != number)
                continue;
            if (request->id != 0)
                fb_match_cancel(broker->match, request->id, now_ms());
            broker_request_free(request);
            fb_timer_set(broker->arriving, fb_now_us());
            return;
        }
}

void broker_take_arrived(void *user) {
    struct fb_broker *broker = user;
    while (!fb_list_empty(&broker->arrived)) {
        struct request *request = FB_CONTAINER(broker->arrived.next, struct request, link);
        fb_list_remove(&request->link);
        take(request, NULL, request->sealed, request->sealed_len);
    }
    broker_pump(broker); /* what was cancelled */
}

static int release(struct request *request, struct volunteer *volunteer, uint64_t match,
                   const struct process *process) {
    struct fb_broker *broker = request->broker;
    struct fb_vol_msg msg = {.type = FB_VOL_RELEASE, .match = match};
    memcpy(msg.release.egress, request->offer.egress, FB_EGRESS_ID_LEN);
    memcpy(msg.release.first, request->offer.first, FB_FIRST_LEN);
    int err = fb_ticket_make(broker->crypto, broker->rng, broker->ticket_seed, &broker->ticket_key,
                             process->id, request->offer.first, FB_FIRST_LEN, fb_unix_s(),
                             msg.release.ticket);
    if (err != 0)
        return err;
    if (!broker_tell(volunteer, &msg))
        return FB_ERR_CLOSED;
    broker->counts.tickets++;
    return 0;
}

void broker_answer(struct request *request, struct volunteer *volunteer, uint64_t match,
                   const struct fb_desc *desc) {
    struct fb_broker *broker = request->broker;
    struct fb_answer answer = {.status = FB_ANSWER_OK, .desc = *desc};
    memcpy(answer.country, volunteer->country, FB_COUNTRY_LEN);
    fb_desc_filter(&answer.desc, broker->local);
    enum fb_answer_status why = FB_ANSWER_AGAIN;
    struct process *process = broker_find_process(broker, request->offer.egress,
                                                  request->offer.process, &why);
    if (process != NULL && release(request, volunteer, match, process) == 0) {
        send_answer(request, &answer);
        return;
    }
    if (process == NULL) {
        /* The egress went down while the volunteer made its answer. */
        struct fb_vol_msg cancel = {.type = FB_VOL_CANCEL, .match = match};
        uint64_t id = volunteer->id;
        broker_tell(volunteer, &cancel);
        fb_match_done(broker->match, id, match, FB_OUTCOME_STOPPED, now_ms());
    }
    broker_refuse(request, process == NULL ? why : FB_ANSWER_AGAIN, 0);
}
