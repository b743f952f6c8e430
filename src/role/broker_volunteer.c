/* Volunteers: one WebSocket each, messages FB_VOL_* of core/signal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "role/broker_impl.h"

#define SEND_MAX 65536
/* Each offer is good for its ANSWER, DONE and READY and one more; beside those a volunteer has
 * little to say, and a READY makes the broker look through all who wait: a message a second, some
 * at once. */
#define TALK_US UINT64_C(1000000)
#define TALK_BURST 1024
#define TALK_PER_OFFER 4

/* Takes it out of everything but the socket. */
static void volunteer_free(struct volunteer *volunteer) {
    struct fb_broker *broker = volunteer->broker;
    fb_list_remove(&volunteer->link);
    if (volunteer->id != 0)
        fb_match_leave(broker->match, volunteer->id, now_ms());
    free(volunteer);
}

void broker_volunteer_close(struct volunteer *volunteer, int code, const char *reason) {
    fb_ws_close(volunteer->ws, code, reason);
    volunteer_free(volunteer);
}

/* False: it says too much. */
static bool may_talk(struct volunteer *volunteer) {
    uint64_t now = fb_now_us();
    if (volunteer->talked_until_us < now)
        volunteer->talked_until_us = now;
    volunteer->talked_until_us += TALK_US;
    return volunteer->talked_until_us - now <= TALK_BURST * TALK_US;
}

bool broker_tell(struct volunteer *volunteer, const struct fb_vol_msg *msg) {
    uint8_t bytes[FB_VOL_MAX];
    int len = fb_vol_encode(msg, bytes, sizeof bytes);
    if (msg->type == FB_VOL_OFFER && volunteer->talked_until_us > TALK_PER_OFFER * TALK_US)
        volunteer->talked_until_us -= TALK_PER_OFFER * TALK_US;
    if (len > 0 && fb_ws_send(volunteer->ws, bytes, (size_t)len) == 0)
        return true;
    broker_volunteer_close(volunteer, FB_WS_TRY_LATER, "too slow");
    return false;
}

/* False: the volunteer is gone. */
static bool hello(struct volunteer *volunteer, const struct fb_vol_hello *said) {
    struct fb_broker *broker = volunteer->broker;
    struct fb_match_end end = {.nat = said->nat};
    memcpy(end.country, volunteer->country, FB_COUNTRY_LEN);
    memcpy(end.prefix, volunteer->prefix, FB_ADDR_PREFIX_LEN);
    if (fb_match_join(broker->match, &end, said->kind, volunteer, &volunteer->id) != 0) {
        broker_volunteer_close(volunteer, FB_WS_TRY_LATER, "enough volunteers");
        return false;
    }
    struct fb_vol_msg welcome = {.type = FB_VOL_WELCOME, .welcome = {.version = FB_SIGNAL_VERSION}};
    memcpy(welcome.welcome.country, volunteer->country, FB_COUNTRY_LEN);
    return broker_tell(volunteer, &welcome);
}

static void answered(struct volunteer *volunteer, const struct fb_vol_msg *msg) {
    void *request = NULL;
    int err = fb_match_answered(volunteer->broker->match, volunteer->id, msg->match, &request,
                                now_ms());
    if (err == 0)
        broker_answer(request, volunteer, msg->match, &msg->desc);
}

/* Messages for matches that are over are late, which is normal; the matcher says NOT_FOUND. */
static bool take(struct volunteer *volunteer, const struct fb_vol_msg *msg) {
    struct fb_match *match = volunteer->broker->match;
    if ((volunteer->id == 0) != (msg->type == FB_VOL_HELLO))
        return false;
    switch (msg->type) {
    case FB_VOL_HELLO: hello(volunteer, &msg->hello); return true;
    case FB_VOL_READY: fb_match_ready(match, volunteer->id, msg->free, now_ms()); return true;
    case FB_VOL_ANSWER: answered(volunteer, msg); return true;
    case FB_VOL_DECLINE:
        fb_match_declined(match, volunteer->id, msg->match, msg->decline, now_ms());
        return true;
    case FB_VOL_DONE:
        fb_match_done(match, volunteer->id, msg->match, msg->outcome, now_ms());
        return true;
    case FB_VOL_STATUS: return true;
    default: return false; /* what only brokers say */
    }
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct volunteer *volunteer = user;
    struct fb_broker *broker = volunteer->broker;
    struct fb_vol_msg msg;
    int err = fb_vol_decode(&msg, data, len);
    if (err == FB_ERR_VERSION)
        broker_volunteer_close(volunteer, 4001, "this version is not spoken here");
    else if (err != 0 || !may_talk(volunteer) || !take(volunteer, &msg))
        broker_volunteer_close(volunteer, 4002, "not allowed by the protocol");
    broker_pump(broker);
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct volunteer *volunteer = user;
    struct fb_broker *broker = volunteer->broker;
    fb_log(broker->log, FB_LOG_DEBUG, "a volunteer has left: code %d", code);
    volunteer_free(volunteer);
    broker_pump(broker);
}

static bool on_accept(void *ctx, struct fb_ws *ws, void **user) {
    struct fb_broker *broker = ctx;
    struct volunteer *volunteer = broker->stopped ? NULL : calloc(1, sizeof *volunteer);
    if (volunteer == NULL)
        return false;
    const struct fb_addr *from = fb_ws_remote(ws);
    volunteer->broker = broker;
    volunteer->ws = ws;
    volunteer->born_us = fb_now_us();
    broker_place(broker, from, volunteer->country, volunteer->prefix);
    fb_list_init(&volunteer->link);
    fb_list_push(&broker->volunteers, &volunteer->link);
    *user = volunteer;
    return true;
}

int broker_add_volunteer_route(struct fb_broker *broker, struct fb_server *server) {
    static const struct fb_ws_handler handler = {.message = on_message, .closed = on_closed};
    const struct fb_ws_route route = {
        .path = "/v1/volunteer",
        .limits = {.message_max = FB_VOL_MAX, .send_max = SEND_MAX},
        .handler = &handler,
        .accept = on_accept,
        .ctx = broker,
    };
    return fb_server_add_ws(server, &route);
}
