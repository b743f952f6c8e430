#include "stand_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/loop.h"
#include "net/ws.h"

#define AT_ONCE 32
#define CONNECT_US UINT64_C(30000000)

_Noreturn void bench_die(const char *why) {
    fprintf(stderr, "bench: %s\n", why);
    exit(1);
}

void stand_in_describe(struct fb_desc *desc, enum fb_setup setup) {
    *desc = (struct fb_desc){
        .setup = setup, .sctp_port = 5000, .max_message_size = 262144, .candidate_count = 1};
    snprintf(desc->ufrag, sizeof desc->ufrag, "abcd");
    snprintf(desc->pwd, sizeof desc->pwd, "abcdefghijklmnopqrstuvwx");
    desc->candidates[0] = (struct fb_candidate){
        .type = FB_CAND_HOST,
        .addr = {.family = 4, .ip = {127, 0, 0, 1}, .port = 9},
        .priority = 2130706431};
}

static void say(struct fb_ws *ws, const struct fb_vol_msg *msg) {
    uint8_t bytes[FB_VOL_MAX];
    int len = fb_vol_encode(msg, bytes, sizeof bytes);
    if (len < 0 || fb_ws_send(ws, bytes, (size_t)len) != 0)
        bench_die("a stand-in volunteer cannot speak");
}

static void say_ready(struct fb_ws *ws, uint16_t places) {
    const struct fb_vol_msg msg = {.type = FB_VOL_READY, .free = places};
    say(ws, &msg);
}

static void connect_one(struct stand_ins *all);

static void on_open(void *user, struct fb_ws *ws) {
    const struct stand_ins *all = user;
    const struct fb_vol_msg msg = {.type = FB_VOL_HELLO,
                                   .hello = {.version = FB_SIGNAL_VERSION,
                                             .kind = FB_VOLUNTEER_BROWSER,
                                             .nat = FB_NAT_EASY,
                                             .capacity = all->capacity}};
    say(ws, &msg);
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct stand_ins *all = user;
    struct fb_vol_msg msg;
    if (fb_vol_decode(&msg, data, len) != 0)
        bench_die("the broker sent what no volunteer understands");
    struct fb_vol_msg reply = {.match = msg.match};
    switch (msg.type) {
    case FB_VOL_WELCOME:
        say_ready(ws, all->capacity);
        all->ready++;
        if (all->begun < all->count)
            connect_one(all);
        else if (all->ready == all->count)
            all->all_ready(all->user);
        break;
    case FB_VOL_OFFER:
        reply.type = FB_VOL_ANSWER;
        reply.desc = all->desc;
        say(ws, &reply);
        break;
    case FB_VOL_RELEASE:
        all->released++;
        reply.type = FB_VOL_DONE;
        reply.outcome = FB_OUTCOME_CARRIED;
        say(ws, &reply);
        say_ready(ws, 1);
        break;
    default: break;
    }
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    bench_die(why);
}

static void connect_one(struct stand_ins *all) {
    static const struct fb_ws_handler handler = {
        .open = on_open, .message = on_message, .closed = on_closed};
    static const struct fb_ws_limits limits = {.message_max = FB_VOL_MAX,
                                               .send_max = 4 * FB_VOL_MAX};
    char err[FB_NET_ERR_MAX];
    all->begun++;
    if (fb_ws_connect(all->net, all->url, &limits, CONNECT_US, &handler, all, err) == NULL)
        bench_die(err);
}

void stand_ins_begin(struct stand_ins *all, const struct fb_document *document) {
    /* http becomes ws, https wss. */
    snprintf(all->url, sizeof all->url, "ws%s/v1/volunteer", document->brokers[0].url + 4);
    stand_in_describe(&all->desc, FB_SETUP_ACTIVE);
    for (size_t i = 0; i < AT_ONCE && all->begun < all->count; i++)
        connect_one(all);
}
