/* The broker over real sockets on loopback: clients by HTTP and through egresses, volunteers and
 * egresses by WebSocket. */
#include "broker_rig.h"

#include "core/linkseal.h"
#include "role/egress_link.h"

static void a_match(void **state) {
    struct world *w = world_new(true, NULL);
    vol_join(w, &w->vol, 1);
    client_start(w, &w->client);
    answer_offer(w, &w->vol);
    check_release(w, &w->vol, &w->client);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.err, 0);
    assert_int_equal(w->client.answer.status, FB_ANSWER_OK);
    assert_int_equal(w->client.answer.document, 7);
    assert_int_equal(w->client.answer.desc.setup, FB_SETUP_ACTIVE);
    assert_int_equal(w->client.answer.desc.candidate_count, 5); /* local: all of them */
    static const uint8_t none[FB_HANDLE_LEN];
    assert_memory_not_equal(w->client.answer.handle, none, FB_HANDLE_LEN);
    struct fb_broker_counts counts;
    fb_broker_count(w->broker, &counts);
    assert_int_equal(counts.match.live, 1);
    assert_int_equal(counts.tickets, 1);
    /* DESIGN section 3.5. */
    w->logged[w->logged_len] = '\0';
    assert_null(strstr(w->logged, "127.0.0.1"));
    assert_null(strstr(w->logged, "8.8.8.8"));
    world_free(w);
}

static void offer_is_held_until_somebody_is_free(void **state) {
    struct world *w = world_new(true, NULL);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, is_waiting, w, LIMIT_MS));
    vol_join(w, &w->vol, 1);
    answer_offer(w, &w->vol);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_OK);
    fb_rendezvous_free(w->client.rv);
    /* The place is used up: the next waits. */
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, is_waiting, w, LIMIT_MS));
    assert_int_equal(w->vol.seen[FB_VOL_OFFER], 1);
    world_free(w);
}

static void candidates_are_filtered(void **state) {
    struct world *w = world_new(false, NULL);
    vol_join(w, &w->vol, 1);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.last.type, FB_VOL_OFFER);
    assert_int_equal(w->vol.last.desc.candidate_count, 2);
    assert_int_equal(w->vol.last.desc.candidates[0].addr.ip[0], 8);
    assert_int_equal(w->vol.last.desc.candidates[1].addr.ip[0], 9);
    answer_offer(w, &w->vol);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.desc.candidate_count, 2);
    world_free(w);
}

static void censored_lists(void **state) {
    struct fb_censored list;
    assert_true(fb_censored_parse(&list, FB_CENSORED_USUAL));
    assert_true(fb_censored_has(&list, (const uint8_t *)"CN"));
    assert_true(fb_censored_has(&list, (const uint8_t *)"VN"));
    assert_false(fb_censored_has(&list, (const uint8_t *)"NC"));
    assert_false(fb_censored_has(&list, (const uint8_t *)"\0\0"));
    assert_false(fb_censored_has(&list, (const uint8_t *)"??"));
    assert_true(fb_censored_parse(&list, "zz,,Aa "));
    assert_true(fb_censored_has(&list, (const uint8_t *)"ZZ"));
    assert_true(fb_censored_has(&list, (const uint8_t *)"AA"));
    assert_false(fb_censored_has(&list, (const uint8_t *)"CN"));
    assert_true(fb_censored_parse(&list, "none"));
    assert_false(fb_censored_has(&list, (const uint8_t *)"AA"));
    static const char *const bad[] = {"", ",", "CHN", "C", "C1", "CN;IR", "none IR", "\xc3\x85"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(fb_censored_parse(&list, bad[i]));
}

static void short_times(struct fb_broker_config *config) {
    config->limits.hold_ms = 150;
    config->limits.answer_ms = 150;
    config->limits.status_us = 100000;
}

static void nobody_and_again(void **state) {
    struct world *w = world_new(true, short_times);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_NOBODY);
    fb_rendezvous_free(w->client.rv);
    vol_join(w, &w->vol, 1);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_AGAIN);
    assert_int_equal(w->vol.seen[FB_VOL_OFFER], 1);
    assert_int_equal(w->vol.seen[FB_VOL_RELEASE], 0);
    fb_rendezvous_free(w->client.rv);
    /* A volunteer that leaves instead of answering: at once. */
    vol_say(&w->vol, (struct fb_vol_msg){.type = FB_VOL_READY, .free = 1});
    client_start(w, &w->client);
    w->vol.got = 0;
    while (w->vol.seen[FB_VOL_OFFER] < 2)
        assert_true((w->vol.got = 0, wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS)));
    fb_ws_close(w->vol.ws, 1000, NULL);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_AGAIN);
    world_free(w);
}

static bool vol_cancelled(void *ctx) {
    return ((struct vol *)ctx)->seen[FB_VOL_CANCEL] > 0;
}

static void client_that_goes_away(void **state) {
    struct world *w = world_new(true, NULL);
    vol_join(w, &w->vol, 1);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS));
    fb_fetch_cancel(w->client.fetch);
    assert_true(wait_for(&w->loop, vol_cancelled, &w->vol, LIMIT_MS));
    /* Too late an answer changes nothing. */
    vol_say(&w->vol, (struct fb_vol_msg){.type = FB_VOL_ANSWER,
                                         .match = w->vol.last.match,
                                         .desc = a_desc(FB_SETUP_ACTIVE)});
    wait_for(&w->loop, wait_never, NULL, 50);
    assert_int_equal(w->vol.seen[FB_VOL_RELEASE], 0);
    assert_false(w->vol.closed);
    world_free(w);
}

static void ten_a_minute(struct fb_broker_config *config) {
    config->limits.offers_per_minute = 10;
    config->limits.hold_ms = 10;
}

static void bad_offers(void **state) {
    struct world *w = world_new(true, ten_a_minute);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_NOBODY);
    fb_rendezvous_free(w->client.rv);
    w->client.rv = NULL;
    client_post(w, &w->client, sizeof w->client.sealed); /* played again */
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.status, 400);
    w->client.sealed[500] ^= 1;
    client_post(w, &w->client, sizeof w->client.sealed);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.status, 400);
    client_post(w, &w->client, 0);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.status, 400);
    struct fb_broker_counts counts;
    fb_broker_count(w->broker, &counts);
    assert_int_equal(counts.replays, 1);
    assert_int_equal(counts.unopened, 2);
    for (int i = 0; i < 6; i++) {
        client_post(w, &w->client, 1);
        assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
        assert_int_equal(w->client.status, 400);
    }
    client_post(w, &w->client, 1);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.status, 429);
    world_free(w);
}

static void egress_must_be_there(void **state) {
    struct world *w = world_new(true, short_times);
    client_prepare(w, &w->client);
    w->client.offer.process[0] = 0x77;
    client_seal(w, &w->client);
    client_post(w, &w->client, sizeof w->client.sealed);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_PROCESS_GONE);
    fb_rendezvous_free(w->client.rv);
    client_prepare(w, &w->client);
    w->client.offer.egress[0] ^= 1;
    client_seal(w, &w->client);
    client_post(w, &w->client, sizeof w->client.sealed);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_NO_EGRESS);
    fb_rendezvous_free(w->client.rv);
    /* It goes while the volunteer makes its answer: no ticket leaves. */
    vol_join(w, &w->vol, 1);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS));
    fb_broker_detach(w->broker, &w->link);
    vol_say(&w->vol, (struct fb_vol_msg){.type = FB_VOL_ANSWER,
                                         .match = w->vol.last.match,
                                         .desc = a_desc(FB_SETUP_ACTIVE)});
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_NO_EGRESS);
    assert_true(wait_for(&w->loop, vol_cancelled, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.seen[FB_VOL_RELEASE], 0);
    world_free(w);
}

static void volunteers_that_break_rules(void **state) {
    struct world *w = world_new(true, NULL);
    vol_connect(w, &w->vol);
    vol_say(&w->vol, (struct fb_vol_msg){.type = FB_VOL_READY, .free = 1}); /* before HELLO */
    assert_true(wait_for(&w->loop, vol_is_closed, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.code, 4002);
    vol_join(w, &w->vol, 0);
    assert_int_equal(fb_ws_send(w->vol.ws, "\xff\xff", 2), 0);
    assert_true(wait_for(&w->loop, vol_is_closed, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.code, 4002);
    vol_connect(w, &w->vol);
    uint8_t big[FB_VOL_MAX + 1] = {1};
    assert_int_equal(fb_ws_send(w->vol.ws, big, sizeof big), 0);
    assert_true(wait_for(&w->loop, vol_is_closed, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.code, 1009);
    world_free(w);
}

/* A few bytes from a volunteer make the broker look through everybody who waits. */
static void volunteer_that_floods(void **state) {
    struct world *w = world_new(true, NULL);
    vol_join(w, &w->vol, 0);
    const uint8_t ready[] = {FB_VOL_READY, 0, 1};
    for (int i = 0; i < 2000; i++)
        assert_int_equal(fb_ws_send(w->vol.ws, ready, sizeof ready), 0);
    assert_true(wait_for(&w->loop, vol_is_closed, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.code, 4002);
    world_free(w);
}

static void fetched_page(void *user, const struct fb_fetched *result) {
    struct world *w = user;
    w->body_done = true;
    w->body_status = result->status;
    w->body_len = result->len < sizeof w->body - 1 ? result->len : sizeof w->body - 1;
    memcpy(w->body, result->body, w->body_len);
    w->body[w->body_len] = '\0';
}

static bool page_is_done(void *ctx) {
    return ((struct world *)ctx)->body_done;
}

static void get(struct world *w, const char *path) {
    char url[100];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", w->addr.port, path);
    struct fb_fetch_request request = {.url = url, .reply_max = 100000, .timeout_ms = 5000};
    w->body_done = false;
    fb_fetch_start(w->fetcher, &request, fetched_page, w);
    assert_true(wait_for(&w->loop, page_is_done, w, LIMIT_MS));
}

static bool status_shows(void *ctx) {
    struct world *w = ctx;
    get(w, "/v1/status");
    return strstr(w->body, "\"volunteers\":8") != NULL;
}

static void pages(void **state) {
    struct world *w = world_new(true, short_times);
    vol_join(w, &w->vol, 1);
    get(w, "/v1/status");
    assert_string_equal(w->body, "{\"version\":1,\"volunteers\":0,\"matches\":0,\"countries\":{}}");
    uint64_t began = fb_now_us();
    while (!status_shows(w))
        assert_true(fb_now_us() - began < UINT64_C(1000) * LIMIT_MS);
    assert_true(fb_now_us() - began >= 90000); /* a period old at least */
    assert_string_equal(w->body, "{\"version\":1,\"volunteers\":8,\"matches\":0,"
                                 "\"countries\":{\"??\":8}}");
    get(w, "/v1/network");
    struct fb_document document;
    assert_int_equal(fb_document_verify(fb_crypto_openssl(), w->network_id, w->body, w->body_len,
                                        fb_unix_s(), 0, &document),
                     0);
    get(w, "/v1/widget");
    char expected[100];
    snprintf(expected, sizeof expected, "\"broker\":\"ws://127.0.0.1:%u/v1/volunteer\"",
             w->addr.port);
    assert_non_null(strstr(w->body, expected));
    assert_non_null(strstr(w->body, "\"stun\":[\"stun:stun.example:3478\"]"));
    assert_non_null(strstr(w->body, "\"url\":\"wss://egress.example/v1/path\""));
    assert_non_null(strstr(w->body, ",\"country\":\"\",\"censored\":false}"));
    get(w, "/healthz");
    assert_string_equal(w->body, "ok\n");
    world_free(w);
}

/* ---- an egress on another machine ---- */

/* Stands for the egress: what its end of the link says. */
struct far {
    struct fb_broker_link link;
    unsigned ups, downs, answers;
    bool up;
    uint64_t number;
    size_t len;
    uint8_t sealed[FB_LINK_SEALED_MAX];
};

static void far_changed(void *user, const struct fb_broker_link *link) {
    struct far *far = user;
    far->up = link != NULL;
    far->ups += far->up;
    far->downs += !far->up;
    if (far->up)
        far->link = *link;
}

static void far_answered(void *user, uint64_t request, const uint8_t *sealed, size_t len) {
    struct far *far = user;
    far->answers++;
    far->number = request;
    far->len = len;
    if (len > 0)
        memcpy(far->sealed, sealed, len);
}

static bool far_is_answered(void *ctx) {
    return ((struct far *)ctx)->answers > 0;
}

static bool far_is_down(void *ctx) {
    return ((struct far *)ctx)->downs > 0;
}

static struct fb_egress_link *far_link(struct world *w, struct far *far, const uint8_t *secret,
                                       const uint8_t *egress) {
    char url[80];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", w->addr.port);
    struct fb_egress_link_config config = {
        .net = w->net,
        .crypto = fb_crypto_openssl(),
        .log = &w->log,
        .broker_url = url,
        .changed = far_changed,
        .answered = far_answered,
        .user = far,
    };
    memcpy(config.broker_key, w->sealing_public, FB_KEY_LEN);
    memcpy(config.link_secret, secret, FB_KEY_LEN);
    memcpy(config.egress, egress, FB_EGRESS_ID_LEN);
    memset(config.process, 9, FB_PROCESS_ID_LEN);
    struct fb_egress_link *link = fb_egress_link_new(&config);
    assert_non_null(link);
    return link;
}

static bool two_egresses(void *ctx) {
    struct fb_broker_counts counts;
    fb_broker_count(((struct world *)ctx)->broker, &counts);
    return counts.egresses == 2;
}

static bool one_egress(void *ctx) {
    return !two_egresses(ctx);
}

static bool link_was_refused(void *ctx) {
    struct world *w = ctx;
    w->logged[w->logged_len] = '\0';
    return strstr(w->logged, "not an egress of this network") != NULL;
}

static void egress_over_a_link(void **state) {
    struct world *w = world_new(true, NULL);
    struct far far = {.up = false};
    struct fb_egress_link *link = far_link(w, &far, link_secret, egress_id);
    assert_true(wait_for(&w->loop, two_egresses, w, LIMIT_MS));
    assert_int_equal(far.ups, 1);
    far.link.load(far.link.ctx, &(struct fb_link_load){1, 1, 1000});
    far.link.report(far.link.ctx, &(struct fb_link_report){.event = FB_LINK_ATTACHED});

    /* An offer from one of its sessions, answered through it. */
    vol_join(w, &w->vol, 1);
    client_prepare(w, &w->client);
    memset(w->client.offer.process, 9, FB_PROCESS_ID_LEN);
    client_seal(w, &w->client);
    assert_int_equal(far.link.offer(far.link.ctx, 42, w->client.sealed, FB_SEALED_OFFER_LEN), 0);
    answer_offer(w, &w->vol);
    assert_true(wait_for(&w->loop, far_is_answered, &far, LIMIT_MS));
    assert_int_equal(far.number, 42);
    assert_int_equal(fb_rendezvous_answer(w->client.rv, far.sealed, far.len, &w->client.answer), 0);
    assert_int_equal(w->client.answer.status, FB_ANSWER_OK);
    far.answers = 0;
    assert_int_equal(far.link.offer(far.link.ctx, 43, w->client.sealed, FB_SEALED_OFFER_LEN), 0);
    assert_true(wait_for(&w->loop, far_is_answered, &far, LIMIT_MS));
    assert_int_equal(far.number, 43);
    assert_int_equal(far.len, 0); /* played again */
    struct fb_broker_counts counts;
    fb_broker_count(w->broker, &counts);
    assert_int_equal(counts.attached, 1);
    fb_egress_link_free(link);
    assert_true(wait_for(&w->loop, one_egress, w, LIMIT_MS));
    assert_int_equal(far.downs, 0); /* who frees it knows */
    link = far_link(w, &far, link_secret, egress_id);
    assert_true(wait_for(&w->loop, two_egresses, w, LIMIT_MS));
    fb_broker_stop(w->broker);
    assert_true(wait_for(&w->loop, far_is_down, &far, LIMIT_MS));
    fb_egress_link_free(link);
    world_free(w);
}

static void egresses_that_prove_nothing(void **state) {
    uint8_t wrong[FB_KEY_LEN] = {1};
    for (int i = 0; i < 2; i++) {
        struct world *w = world_new(true, NULL);
        struct far far = {.up = false};
        /* Another secret; the right secret, but an egress that the document does not list. */
        struct fb_egress_link *link = far_link(w, &far, i == 0 ? wrong : link_secret,
                                               i == 0 ? egress_id : wrong);
        assert_true(wait_for(&w->loop, link_was_refused, w, LIMIT_MS));
        assert_true(one_egress(w));
        assert_int_equal(far.ups, 0);
        fb_egress_link_free(link);
        world_free(w);
    }
}

struct replay {
    bool replied;
};

static void replay_open(void *user, struct fb_ws *ws) {
}

static void replay_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    ((struct replay *)user)->replied = true;
}

static void replay_closed(void *user, struct fb_ws *ws, int code, const char *why) {
}

static bool is_replied(void *ctx) {
    return ((struct replay *)ctx)->replied;
}

/* A hello that is played again is answered, and makes nobody an egress. */
static void hello_alone_is_no_egress(void **state) {
    static const struct fb_ws_handler handler = {replay_open, replay_message, NULL, replay_closed};
    static const struct fb_ws_limits limits = {.message_max = 4096, .send_max = 10000};
    struct world *w = world_new(true, NULL);
    struct fb_linkseal *seal = NULL;
    uint8_t hello[FB_LINKSEAL_HELLO_LEN];
    struct replay replay = {.replied = false};
    char url[80], err[FB_NET_ERR_MAX];
    assert_int_equal(fb_linkseal_egress(&seal, fb_mem_default(), fb_rng_default(),
                                        fb_crypto_openssl(), w->sealing_public, link_secret,
                                        egress_id, hello),
                     0);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/v1/link", w->addr.port);
    struct fb_ws *ws = fb_ws_connect(w->net, url, &limits, 5000000, &handler, &replay, err);
    while (fb_ws_send(ws, hello, sizeof hello) == FB_ERR_STATE)
        uv_run(&w->loop, UV_RUN_ONCE);
    assert_true(wait_for(&w->loop, is_replied, &replay, LIMIT_MS));
    assert_true(one_egress(w));
    fb_linkseal_free(seal);
    world_free(w);
}

struct strangers {
    unsigned open, closed;
};

static void stranger_open(void *user, struct fb_ws *ws) {
    static const uint8_t rubbish[FB_LINKSEAL_HELLO_LEN];
    ((struct strangers *)user)->open++;
    assert_int_equal(fb_ws_send(ws, rubbish, sizeof rubbish), 0);
}

static void stranger_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    ((struct strangers *)user)->closed++;
}

static bool ten_are_closed(void *ctx) {
    return ((struct strangers *)ctx)->closed == 10;
}

/* Whoever knocks ten times fills one line of the log, and no more before a minute is over. */
static void strangers_fill_no_log(void **state) {
    static const struct fb_ws_handler handler = {stranger_open, replay_message, NULL,
                                                 stranger_closed};
    static const struct fb_ws_limits limits = {.message_max = 4096, .send_max = 10000};
    struct world *w = world_new(true, NULL);
    struct strangers strangers = {0};
    char url[80], err[FB_NET_ERR_MAX];
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/v1/link", w->addr.port);
    for (int i = 0; i < 10; i++)
        assert_non_null(fb_ws_connect(w->net, url, &limits, 5000000, &handler, &strangers, err));
    assert_true(wait_for(&w->loop, ten_are_closed, &strangers, LIMIT_MS));
    assert_int_equal(strangers.open, 10);
    w->logged[w->logged_len] = '\0';
    const char *line = strstr(w->logged, "link is closed");
    assert_non_null(line);
    assert_null(strstr(line + 1, "link"));
    world_free(w);
}

static bool was_answered(void *ctx) {
    return ((struct world *)ctx)->answers > 0;
}

static void offers_of_an_egress_here(void **state) {
    struct world *w = world_new(true, NULL);
    vol_join(w, &w->vol, 2);
    client_prepare(w, &w->client);
    client_seal(w, &w->client);
    assert_int_equal(w->link.offer(w->link.ctx, 5, w->client.sealed, FB_SEALED_OFFER_LEN), 0);
    assert_int_equal(w->answers, 0);
    answer_offer(w, &w->vol);
    assert_true(wait_for(&w->loop, was_answered, w, LIMIT_MS));
    assert_int_equal(w->number, 5);
    assert_int_equal(
        fb_rendezvous_answer(w->client.rv, w->sealed, w->sealed_len, &w->client.answer), 0);
    assert_int_equal(w->client.answer.status, FB_ANSWER_OK);
    fb_rendezvous_free(w->client.rv);
    /* It is detached with an offer under way: the volunteer hears, nobody else. */
    client_prepare(w, &w->client);
    client_seal(w, &w->client);
    w->vol.got = 0;
    assert_int_equal(w->link.offer(w->link.ctx, 6, w->client.sealed, FB_SEALED_OFFER_LEN), 0);
    assert_true(wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS));
    fb_broker_detach(w->broker, &w->link);
    assert_true(wait_for(&w->loop, vol_cancelled, &w->vol, LIMIT_MS));
    assert_int_equal(w->answers, 1);
    world_free(w);
}

/* Nobody waits for the answer any more: the volunteer is told, and free for that very session. */
static void offers_taken_back(void **state) {
    struct world *w = world_new(true, NULL);
    vol_join(w, &w->vol, 2);
    client_prepare(w, &w->client);
    client_seal(w, &w->client);
    assert_int_equal(w->link.offer(w->link.ctx, 5, w->client.sealed, FB_SEALED_OFFER_LEN), 0);
    assert_true(wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS));
    w->link.cancel(w->link.ctx, 4); /* nobody knows it */
    w->link.cancel(w->link.ctx, 5);
    assert_true(wait_for(&w->loop, vol_cancelled, &w->vol, LIMIT_MS));
    fb_rendezvous_free(w->client.rv);
    client_prepare(w, &w->client);
    client_seal(w, &w->client);
    w->vol.got = 0;
    assert_int_equal(w->link.offer(w->link.ctx, 6, w->client.sealed, FB_SEALED_OFFER_LEN), 0);
    answer_offer(w, &w->vol);
    assert_true(wait_for(&w->loop, was_answered, w, LIMIT_MS));
    assert_int_equal(w->number, 6);
    assert_int_equal(w->answers, 1);
    world_free(w);
}

static void two_an_hour(struct fb_broker_config *config) {
    config->limits.volunteers_hour = 2;
}

/* Asks as that session, and gives what came of it. */
static enum fb_answer_status meet(struct world *w, struct client *client,
                                  uint8_t handle[FB_HANDLE_LEN]) {
    client_prepare(w, client);
    memcpy(client->offer.handle, handle, FB_HANDLE_LEN);
    client_seal(w, client);
    w->answers = 0;
    assert_int_equal(w->link.offer(w->link.ctx, 1, client->sealed, FB_SEALED_OFFER_LEN), 0);
    assert_true(wait_for(&w->loop, was_answered, w, LIMIT_MS));
    assert_int_equal(fb_rendezvous_answer(client->rv, w->sealed, w->sealed_len, &client->answer),
                     0);
    fb_rendezvous_free(client->rv);
    client->rv = NULL;
    memcpy(handle, client->answer.handle, FB_HANDLE_LEN);
    return client->answer.status;
}

static void vol_answers(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct vol *vol = user;
    vol_message(user, ws, data, len);
    uint64_t match = vol->last.match;
    if (vol->last.type == FB_VOL_OFFER)
        vol_say(vol, (struct fb_vol_msg){
                         .type = FB_VOL_ANSWER, .match = match, .desc = a_desc(FB_SETUP_ACTIVE)});
}

/* A handle that the broker has not issued counts for nothing; inside sessions there are few
 * without. */
static void handles_are_the_brokers_own(void **state) {
    static const struct fb_ws_handler answering = {vol_open, vol_answers, NULL, vol_closed};
    struct world *w = world_new(true, two_an_hour);
    static struct vol vols[20];
    uint8_t made_up[FB_HANDLE_LEN] = "by myself", handle[FB_HANDLE_LEN], same[FB_HANDLE_LEN];
    for (size_t i = 0; i < 20; i++)
        vol_join_handled(w, &vols[i], 20, &answering);
    memcpy(handle, made_up, sizeof handle);
    assert_int_equal(meet(w, &w->client, handle), FB_ANSWER_OK);
    assert_memory_not_equal(handle, made_up, sizeof handle);
    memcpy(same, handle, sizeof same);
    assert_int_equal(meet(w, &w->client, same), FB_ANSWER_OK);
    assert_memory_equal(same, handle, sizeof handle);
    assert_int_equal(meet(w, &w->client, same), FB_ANSWER_LIMIT);
    assert_true(w->client.answer.retry_after > 3500 && w->client.answer.retry_after <= 3600);
    for (unsigned i = 1; i < 16; i++) {
        memcpy(handle, made_up, sizeof handle);
        assert_int_equal(meet(w, &w->client, handle), FB_ANSWER_OK);
    }
    memcpy(handle, made_up, sizeof handle);
    assert_int_equal(meet(w, &w->client, handle), FB_ANSWER_LIMIT);
    assert_int_equal(w->client.answer.retry_after, 60);
    world_free(w);
}

static struct fb_geoip *geoip;

static void here_is_iran(struct fb_broker_config *config) {
    config->geoip = geoip;
}

static void here_is_nowhere(struct fb_broker_config *config) {
    memcpy(config->country, "NZ", FB_COUNTRY_LEN);
    assert_true(fb_censored_parse(&config->censored, "cn, NZ"));
}

/* The volunteer learns where its reader is, a visitor where he is himself. */
static void countries_are_told(void **state) {
    static const char table[] = "2130706433,2130706433,IR\n";
    geoip = fb_geoip_new();
    assert_int_equal(fb_geoip_add(geoip, 4, table, sizeof table - 1), 1);
    for (unsigned i = 0; i < 2; i++) {
        struct world *w = world_new(true, i == 0 ? here_is_iran : here_is_nowhere);
        const char *here = i == 0 ? "IR" : "NZ";
        char expected[50];
        vol_join(w, &w->vol, 1);
        client_start(w, &w->client);
        assert_true(wait_for(&w->loop, vol_got, &w->vol, LIMIT_MS));
        assert_int_equal(w->vol.last.type, FB_VOL_OFFER);
        assert_string_equal(w->vol.last.country, here);
        get(w, "/v1/widget");
        snprintf(expected, sizeof expected, ",\"country\":\"%s\",\"censored\":true}", here);
        assert_non_null(strstr(w->body, expected));
        world_free(w);
    }
    fb_geoip_free(geoip);
}

static void stop_tells_everybody(void **state) {
    struct world *w = world_new(true, NULL);
    vol_join(w, &w->vol, 0);
    client_start(w, &w->client);
    assert_true(wait_for(&w->loop, is_waiting, w, LIMIT_MS));
    fb_broker_stop(w->broker);
    assert_true(wait_for(&w->loop, client_is_done, &w->client, LIMIT_MS));
    assert_int_equal(w->client.answer.status, FB_ANSWER_AGAIN);
    assert_true(wait_for(&w->loop, vol_is_closed, &w->vol, LIMIT_MS));
    assert_int_equal(w->vol.code, FB_WS_TRY_LATER);
    get(w, "/healthz");
    assert_int_equal(w->body_status, 503);
    world_free(w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match),
        cmocka_unit_test(offer_is_held_until_somebody_is_free),
        cmocka_unit_test(candidates_are_filtered),
        cmocka_unit_test(countries_are_told),
        cmocka_unit_test(censored_lists),
        cmocka_unit_test(nobody_and_again),
        cmocka_unit_test(client_that_goes_away),
        cmocka_unit_test(bad_offers),
        cmocka_unit_test(egress_must_be_there),
        cmocka_unit_test(volunteers_that_break_rules),
        cmocka_unit_test(volunteer_that_floods),
        cmocka_unit_test(pages),
        cmocka_unit_test(egress_over_a_link),
        cmocka_unit_test(egresses_that_prove_nothing),
        cmocka_unit_test(hello_alone_is_no_egress),
        cmocka_unit_test(strangers_fill_no_log),
        cmocka_unit_test(offers_of_an_egress_here),
        cmocka_unit_test(handles_are_the_brokers_own),
        cmocka_unit_test(offers_taken_back),
        cmocka_unit_test(stop_tells_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
