/* The broker, as src/role/broker_*.c has it for HTTP and WebSockets. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "sim/net.h"

/* An offer at the broker. */
struct request {
    struct fb_list link;
    struct broker *broker;
    uint64_t id;
    struct path *direct;      /* the answer goes to this path's client ... */
    struct esession *session; /* ... or into this session, under number */
    uint64_t number;
    struct fb_rendezvous *rv;
    struct fb_offer offer;
    uint8_t country[FB_COUNTRY_LEN];
};

static void pump(struct broker *broker);

static void request_free(struct request *request) {
    fb_list_remove(&request->link);
    fb_rendezvous_free(request->rv);
    free(request);
}

static void send_sealed(struct request *request, const uint8_t *sealed, size_t len) {
    struct broker *broker = request->broker;
    struct world *world = &broker->net->world;
    if (request->direct != NULL)
        world_at(world, world->now + request->direct->client->delay + broker->delay,
                 client_answered, request->direct, 0, sealed, len);
    else
        world_at(world, world->now + broker->delay, egress_answered, request->session,
                 request->number, sealed, len);
    request_free(request);
}

static void send_answer(struct request *request, struct fb_answer *answer) {
    uint8_t sealed[FB_SEALED_ANSWER_LEN];
    memcpy(answer->handle, request->offer.handle, FB_HANDLE_LEN);
    int err = fb_rendezvous_reply(request->rv, answer, sealed);
    send_sealed(request, sealed, err == 0 ? sizeof sealed : 0);
}

static void refuse(struct request *request, enum fb_answer_status status) {
    struct fb_answer answer = {.status = status};
    send_answer(request, &answer);
}

static const struct egress *find_process(const struct broker *broker, const struct fb_offer *offer,
                                         enum fb_answer_status *status) {
    static const uint8_t any[FB_PROCESS_ID_LEN];
    const struct net *net = broker->net;
    *status = FB_ANSWER_NO_EGRESS;
    for (unsigned i = 0; i < net->plan.egresses; i++) {
        const struct egress *egress = &net->egresses[i];
        if (memcmp(egress->public_key, offer->egress, FB_EGRESS_ID_LEN) != 0)
            continue;
        if (memcmp(offer->process, any, sizeof any) == 0 ||
            memcmp(offer->process, egress->process_id, sizeof any) == 0)
            return egress;
        *status = FB_ANSWER_PROCESS_GONE;
    }
    return NULL;
}

int broker_ticket(struct broker *broker, const struct egress *egress, const uint8_t *first,
                  uint8_t ticket[static FB_TICKET_LEN]) {
    struct net *net = broker->net;
    return fb_ticket_make(net->crypto, &broker->rng.rng, broker->ticket_seed, &broker->ticket_key,
                          egress->process_id, first, FB_FIRST_LEN, EPOCH_S + now_ms(net) / 1000,
                          ticket);
}

/* ---- offers ---- */

static void enter_matching(struct request *request, const struct client *client) {
    static const uint8_t none[FB_HANDLE_LEN];
    struct broker *broker = request->broker;
    struct fb_match_request ask = {.end = {.nat = request->offer.nat}};
    if (memcmp(request->offer.handle, none, FB_HANDLE_LEN) == 0)
        fb_random(&broker->rng.rng, request->offer.handle, FB_HANDLE_LEN);
    memcpy(ask.session, request->offer.handle, FB_HANDLE_LEN);
    memcpy(ask.end.country, client->country, FB_COUNTRY_LEN);
    memcpy(request->country, client->country, FB_COUNTRY_LEN);
    memcpy(ask.end.prefix, client->prefix, FB_ADDR_PREFIX_LEN);
    if (fb_match_request(broker->match, &ask, request, now_ms(broker->net), &request->id) != 0)
        refuse(request, FB_ANSWER_LIMIT);
    pump(broker);
}

static void take_offer(struct request *request, const struct client *client, const uint8_t *sealed,
                       size_t len) {
    struct broker *broker = request->broker;
    struct net *net = broker->net;
    enum fb_answer_status status;
    int err = fb_rendezvous_open(&request->rv, &broker->mem.mem, &broker->rng.rng, net->crypto,
                                 broker->sealing_private, net->network_id, sealed, len,
                                 &request->offer);
    if (err != 0)
        world_fail(&net->world, "broker: an offer does not open: %s", fb_strerror(err));
    if (request->rv == NULL)
        send_sealed(request, NULL, 0);
    else if (find_process(broker, &request->offer, &status) == NULL)
        refuse(request, status);
    else
        enter_matching(request, client);
}

static struct request *request_new(struct broker *broker) {
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        abort();
    request->broker = broker;
    fb_list_init(&request->link);
    fb_list_push(&broker->requests, &request->link);
    return request;
}

void broker_direct_offer(struct world *world, void *ctx, uint64_t arg, uint8_t *sealed,
                         size_t len) {
    struct path *path = ctx;
    struct request *request = request_new(&path->net->broker);
    request->direct = path;
    take_offer(request, path->client, sealed, len);
}

void broker_session_offer(struct world *world, void *ctx, uint64_t number, uint8_t *sealed,
                          size_t len) {
    struct esession *es = ctx;
    struct request *request = request_new(&es->egress->net->broker);
    request->session = es;
    request->number = number;
    take_offer(request, es->client, sealed, len);
}

/* ---- volunteers ---- */

static bool tell(struct bsocket *socket, const struct fb_vol_msg *msg) {
    struct volunteer *vol = socket->volunteer;
    struct net *net = vol->net;
    uint8_t bytes[FB_VOL_MAX];
    int len = fb_vol_encode(msg, bytes, sizeof bytes);
    if (len <= 0 || socket->dead)
        return false;
    world_at(&net->world, net->world.now + vol->delay + net->broker.delay, volunteer_from_broker,
             socket, 0, bytes, (size_t)len);
    return true;
}

static void join(struct bsocket *socket, const struct fb_vol_hello *hello) {
    struct volunteer *vol = socket->volunteer;
    struct broker *broker = &vol->net->broker;
    struct fb_match_end end = {.nat = hello->nat};
    struct fb_vol_msg welcome = {.type = FB_VOL_WELCOME, .welcome = {.version = FB_SIGNAL_VERSION}};
    memcpy(end.country, vol->country, FB_COUNTRY_LEN);
    memcpy(end.prefix, vol->prefix, FB_ADDR_PREFIX_LEN);
    memcpy(welcome.welcome.country, vol->country, FB_COUNTRY_LEN);
    if (fb_match_join(broker->match, &end, hello->kind, socket, &socket->id) != 0)
        world_fail(&vol->net->world, "broker: volunteer %u cannot join", vol->index);
    else
        tell(socket, &welcome);
}

static void answered(struct bsocket *socket, const struct fb_vol_msg *msg) {
    struct broker *broker = &socket->volunteer->net->broker;
    void *ctx = NULL;
    if (fb_match_answered(broker->match, socket->id, msg->match, &ctx, now_ms(broker->net)) != 0)
        return;
    struct request *request = ctx;
    enum fb_answer_status status = FB_ANSWER_AGAIN;
    const struct egress *egress = find_process(broker, &request->offer, &status);
    if (egress == NULL) {
        struct fb_vol_msg cancel = {.type = FB_VOL_CANCEL, .match = msg->match};
        tell(socket, &cancel);
        fb_match_done(broker->match, socket->id, msg->match, FB_OUTCOME_STOPPED,
                      now_ms(broker->net));
        refuse(request, status);
        return;
    }
    struct fb_vol_msg out = {.type = FB_VOL_RELEASE, .match = msg->match};
    struct fb_answer answer = {.status = FB_ANSWER_OK, .desc = msg->desc};
    memcpy(out.release.egress, request->offer.egress, FB_EGRESS_ID_LEN);
    memcpy(out.release.first, request->offer.first, FB_FIRST_LEN);
    if (broker_ticket(broker, egress, request->offer.first, out.release.ticket) != 0) {
        refuse(request, FB_ANSWER_AGAIN);
        return;
    }
    tell(socket, &out);
    memcpy(answer.country, socket->volunteer->country, FB_COUNTRY_LEN);
    fb_desc_filter(&answer.desc, true);
    send_answer(request, &answer);
}

static void take(struct bsocket *socket, const struct fb_vol_msg *msg) {
    struct broker *broker = &socket->volunteer->net->broker;
    struct fb_match *match = broker->match;
    uint64_t now = now_ms(broker->net);
    switch (msg->type) {
    case FB_VOL_HELLO: join(socket, &msg->hello); break;
    case FB_VOL_READY: fb_match_ready(match, socket->id, msg->free, now); break;
    case FB_VOL_ANSWER: answered(socket, msg); break;
    case FB_VOL_DECLINE: fb_match_declined(match, socket->id, msg->match, msg->decline, now); break;
    case FB_VOL_DONE: fb_match_done(match, socket->id, msg->match, msg->outcome, now); break;
    default: break;
    }
}

void broker_from_volunteer(struct world *world, void *ctx, uint64_t arg, uint8_t *bytes,
                           size_t len) {
    struct bsocket *socket = ctx;
    struct broker *broker = &socket->volunteer->net->broker;
    struct fb_vol_msg msg;
    if (socket->dead)
        return;
    if (len == 0) {
        socket->dead = true;
        if (socket->id != 0)
            fb_match_leave(broker->match, socket->id, now_ms(broker->net));
    } else if (fb_vol_decode(&msg, bytes, len) != 0) {
        world_fail(world, "broker: volunteer %u says what does not parse",
                   socket->volunteer->index);
    } else {
        take(socket, &msg);
    }
    pump(broker);
}

/* ---- matching ---- */

static void act(struct broker *broker, const struct fb_match_action *action) {
    struct request *request = action->request_ctx;
    struct fb_vol_msg msg = {.match = action->id};
    switch (action->type) {
    case FB_MATCH_OFFER:
        msg.type = FB_VOL_OFFER;
        msg.desc = request->offer.desc;
        memcpy(msg.country, request->country, FB_COUNTRY_LEN);
        tell(action->volunteer_ctx, &msg);
        break;
    case FB_MATCH_WITHDRAW:
        msg.type = FB_VOL_CANCEL;
        tell(action->volunteer_ctx, &msg);
        break;
    case FB_MATCH_NOBODY: refuse(request, FB_ANSWER_NOBODY); break;
    case FB_MATCH_AGAIN: refuse(request, FB_ANSWER_AGAIN); break;
    }
}

static void on_timer(struct world *world, void *ctx, uint64_t arg, uint8_t *data, size_t len) {
    struct broker *broker = ctx;
    if (broker->timer != arg || broker->match == NULL)
        return;
    broker->timer = NEVER;
    fb_match_tick(broker->match, now_ms(broker->net));
    pump(broker);
}

static void pump(struct broker *broker) {
    struct world *world = &broker->net->world;
    struct fb_match_action action;
    while (fb_match_poll(broker->match, &action))
        act(broker, &action);
    uint64_t due = fb_match_deadline(broker->match);
    if (due == FB_MATCH_NEVER || due * MS >= broker->timer)
        return;
    broker->timer = due * MS;
    world_at(world, broker->timer, on_timer, broker, broker->timer, NULL, 0);
}

void broker_start(struct broker *broker) {
    struct net *net = broker->net;
    struct fb_match_config config = {.failed_ms = 60000, .volunteers_hour = 4096};
    broker->timer = NEVER;
    fb_list_init(&broker->requests);
    broker->match = fb_match_new(&broker->mem.mem, &broker->rng.rng, &config);
    if (broker->match == NULL)
        world_fail(&net->world, "broker: no matcher can be made");
}

void broker_free(struct broker *broker) {
    FB_LIST_EACH (it, &broker->requests)
        request_free(FB_CONTAINER(it, struct request, link));
    fb_match_free(broker->match);
    broker->match = NULL;
}
