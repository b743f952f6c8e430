#include "role/egress_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "core/linkseal.h"
#include "core/url.h"
#include "net/loop.h"
#include "net/ws.h"

#define RETRY_MIN_US UINT64_C(1000000)
#define RETRY_MAX_US UINT64_C(30000000)
#define DIAL_US UINT64_C(15000000)
#define SEND_MAX 4194304

struct fb_egress_link {
    struct fb_egress_link_config config;
    char url[FB_URL_MAX + 16];
    struct fb_ws *ws;
    struct fb_linkseal *seal;
    struct fb_timer *retry;
    uint64_t wait_us;
    bool up;
    uint8_t hello[FB_LINKSEAL_HELLO_LEN];
};

/* 0, FB_ERR_LIMIT (the broker does not keep up), FB_ERR_NOMEM, FB_ERR_STATE. */
static int say(struct fb_egress_link *link, const struct fb_link_msg *msg) {
    uint8_t plain[FB_LINK_MAX], out[FB_LINK_MAX + FB_TAG_LEN];
    int len = fb_link_encode(msg, plain, sizeof plain);
    if (len < 0 || link->ws == NULL)
        return FB_ERR_STATE;
    /* Asked before sealing: the other end counts the messages. */
    if (fb_ws_buffered(link->ws) > SEND_MAX - sizeof out)
        return FB_ERR_LIMIT;
    int err = fb_linkseal_seal(link->seal, plain, (size_t)len, out);
    return err != 0 ? err : fb_ws_send(link->ws, out, (size_t)len + FB_TAG_LEN);
}

static void say_load(void *ctx, const struct fb_link_load *load) {
    const struct fb_link_msg msg = {.type = FB_LINK_LOAD, .load = *load};
    (void)say(ctx, &msg); /* the next one follows */
}

static void say_report(void *ctx, const struct fb_link_report *report) {
    const struct fb_link_msg msg = {.type = FB_LINK_REPORT, .report = *report};
    (void)say(ctx, &msg); /* reports inform, nothing waits for them */
}

static int say_offer(void *ctx, uint64_t request, const uint8_t *sealed, size_t len) {
    if (len > FB_LINK_SEALED_MAX)
        return FB_ERR_LIMIT;
    const struct fb_link_msg msg = {.type = FB_LINK_OFFER, .sealed = {request, sealed, len}};
    int err = say(ctx, &msg);
    return err == 0 || err == FB_ERR_NOMEM ? err : FB_ERR_LIMIT;
}

static void say_cancel(void *ctx, uint64_t request) {
    const struct fb_link_msg msg = {.type = FB_LINK_CANCEL, .sealed = {.request = request}};
    (void)say(ctx, &msg); /* otherwise a volunteer waits in vain for its client */
}

/* The socket is gone already. */
static void broken(struct fb_egress_link *link, const char *why) {
    bool was_up = link->up;
    link->ws = NULL;
    link->up = false;
    fb_linkseal_free(link->seal);
    link->seal = NULL;
    fb_log(link->config.log, FB_LOG_WARN, "no link to the broker: %s; next try in %u s", why,
           (unsigned)(link->wait_us / 1000000));
    fb_timer_set(link->retry, fb_now_us() + link->wait_us);
    link->wait_us = link->wait_us * 2 < RETRY_MAX_US ? link->wait_us * 2 : RETRY_MAX_US;
    if (was_up)
        link->config.changed(link->config.user, NULL);
}

static int come_up(struct fb_egress_link *link, const uint8_t *reply, size_t len) {
    struct fb_link_msg msg = {.type = FB_LINK_HELLO, .hello = {.version = FB_SIGNAL_VERSION}};
    memcpy(msg.hello.egress, link->config.egress, FB_EGRESS_ID_LEN);
    memcpy(msg.hello.process, link->config.process, FB_PROCESS_ID_LEN);
    int err = fb_linkseal_finish(link->seal, reply, len);
    if (err == 0)
        err = say(link, &msg);
    if (err != 0)
        return err;
    const struct fb_broker_link offered = {link, say_load, say_report, say_offer, say_cancel};
    link->up = true;
    link->wait_us = RETRY_MIN_US;
    fb_log(link->config.log, FB_LOG_INFO, "linked to the broker");
    link->config.changed(link->config.user, &offered);
    return 0;
}

static int take(struct fb_egress_link *link, const uint8_t *data, size_t len) {
    uint8_t plain[FB_LINK_MAX];
    struct fb_link_msg msg;
    if (len < FB_TAG_LEN || len > sizeof plain + FB_TAG_LEN)
        return FB_ERR_MALFORMED;
    int err = fb_linkseal_open(link->seal, data, len, plain);
    if (err == 0)
        err = fb_link_decode(&msg, plain, len - FB_TAG_LEN);
    if (err == 0 && msg.type != FB_LINK_ANSWER)
        err = FB_ERR_MALFORMED;
    if (err == 0)
        link->config.answered(link->config.user, msg.sealed.request, msg.sealed.bytes,
                              msg.sealed.len);
    return err;
}

static void on_open(void *user, struct fb_ws *ws) {
    struct fb_egress_link *link = user;
    if (fb_ws_send(ws, link->hello, sizeof link->hello) != 0) {
        fb_ws_close(ws, 1000, NULL);
        broken(link, "out of memory");
    }
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct fb_egress_link *link = user;
    int err = link->up ? take(link, data, len) : come_up(link, data, len);
    if (err == 0)
        return;
    fb_ws_close(ws, 4002, "not allowed by the protocol");
    broken(link, err == FB_ERR_AUTH ? "it does not have the broker's key" : fb_strerror(err));
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    broken(user, why);
}

static void dial(void *user) {
    static const struct fb_ws_handler handler = {on_open, on_message, NULL, on_closed};
    static const struct fb_ws_limits limits = {.message_max = FB_LINK_MAX + FB_TAG_LEN,
                                               .send_max = SEND_MAX};
    struct fb_egress_link *link = user;
    const struct fb_egress_link_config *config = &link->config;
    char err[FB_NET_ERR_MAX] = "out of memory";
    if (fb_linkseal_egress(&link->seal, fb_mem_default(), fb_rng_default(), config->crypto,
                           config->broker_key, config->link_secret, config->egress,
                           link->hello) == 0)
        link->ws = fb_ws_connect(config->net, link->url, &limits, DIAL_US, &handler, link, err);
    if (link->ws == NULL)
        broken(link, err);
}

struct fb_egress_link *fb_egress_link_new(const struct fb_egress_link_config *config) {
    struct fb_url url;
    struct fb_egress_link *link = calloc(1, sizeof *link);
    if (link == NULL)
        return NULL;
    link->config = *config;
    link->wait_us = RETRY_MIN_US;
    link->retry = fb_timer_new(fb_net_loop(config->net), dial, link);
    if (link->retry == NULL || fb_url_parse(config->broker_url, FB_URL_HTTP, &url) != 0) {
        fb_egress_link_free(link);
        return NULL;
    }
    /* http becomes ws, https wss. */
    size_t len = strlen(config->broker_url);
    while (len > 0 && config->broker_url[len - 1] == '/')
        len--;
    snprintf(link->url, sizeof link->url, "ws%.*s/v1/link", (int)len - 4, config->broker_url + 4);
    link->config.broker_url = NULL;
    fb_timer_set(link->retry, fb_now_us());
    return link;
}

void fb_egress_link_free(struct fb_egress_link *link) {
    if (link == NULL)
        return;
    if (link->ws != NULL)
        fb_ws_close(link->ws, 1000, NULL);
    fb_linkseal_free(link->seal);
    fb_timer_free(link->retry);
    fb_wipe(link, sizeof *link);
    free(link);
}
