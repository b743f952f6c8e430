#include "cmd/volunteer_metrics.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/server.h"

#define TYPE "text/plain; version=0.0.4; charset=utf-8"
#define TEXT_MAX 8192
#define NAME "footbridge_volunteer_"

struct fb_volunteer_metrics {
    struct fb_server *server;
    const struct fb_slot_limits *limits;
    const struct fb_volunteer *volunteer;
};

struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

/* All there is fits TEXT_MAX. */
static __attribute__((format(printf, 2, 3))) void put(struct text *text, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text->bytes + text->len, TEXT_MAX - text->len, fmt, args);
    va_end(args);
    if (n > 0)
        text->len += (size_t)n < TEXT_MAX - text->len ? (size_t)n : TEXT_MAX - text->len - 1;
}

static void head(struct text *text, const char *name, const char *type, const char *help) {
    put(text, "# HELP " NAME "%s %s\n# TYPE " NAME "%s %s\n", name, help, name, type);
}

static void number(struct text *text, const char *name, const char *type, const char *help,
                   uint64_t value) {
    head(text, name, type, help);
    put(text, NAME "%s %" PRIu64 "\n", name, value);
}

static void states(struct text *text, const struct fb_slot_view *view) {
    static const char *const names[] = {"off", "connecting", "waiting", "carrying", "paused"};
    static const char *const reasons[] = {"budget", "hours"};
    head(text, "state", "gauge", "1 for the present state.");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        put(text, NAME "state{state=\"%s\"} %d\n", names[i], (size_t)view->state == i);
    head(text, "paused", "gauge", "1 for each reason why it is paused.");
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        put(text, NAME "paused{reason=\"%s\"} %u\n", reasons[i], view->paused >> i & 1);
}

static void serve(void *user, struct fb_http_req *http) {
    static const char *const headers[] = {"cache-control", "no-store", NULL};
    const struct fb_volunteer_metrics *metrics = user;
    const struct fb_slot_limits *limits = metrics->limits;
    struct fb_slot_view view = {.used = limits->used};
    struct text text = {.len = 0};
    if (metrics->volunteer != NULL)
        fb_volunteer_view(metrics->volunteer, &view);
    head(&text, "info", "gauge", "The program's version.");
    put(&text, NAME "info{version=\"" FB_VERSION "\"} 1\n");
    states(&text, &view);
    number(&text, "people", "gauge", "Readers being helped now.", view.people_now);
    number(&text, "people_limit", "gauge", "Readers at once, at most.", view.capacity);
    number(&text, "people_total", "counter", "Readers helped since the start.", view.people_total);
    head(&text, "relayed_bytes_total", "counter", "Bytes relayed since the start, counted once.");
    put(&text, NAME "relayed_bytes_total{direction=\"up\"} %" PRIu64 "\n", view.bytes_up);
    put(&text, NAME "relayed_bytes_total{direction=\"down\"} %" PRIu64 "\n", view.bytes_down);
    number(&text, "rate_limit_bytes_per_second", "gauge", "The speed limit; 0: none.",
           limits->rate);
    number(&text, "month_used_bytes", "gauge", "Used this month, both hops.", view.used);
    number(&text, "month_budget_bytes", "gauge", "The month's budget; 0: none.", limits->budget);
    fb_http_reply(http, 200, TYPE, headers, text.bytes, text.len);
}

struct fb_volunteer_metrics *fb_volunteer_metrics_new(struct fb_net *net, struct fb_addr *addr,
                                                      const struct fb_slot_limits *limits,
                                                      char err[static FB_NET_ERR_MAX]) {
    struct fb_volunteer_metrics *metrics = calloc(1, sizeof *metrics);
    snprintf(err, FB_NET_ERR_MAX, "out of memory");
    if (metrics == NULL)
        return NULL;
    const struct fb_http_route route = {"GET", "/metrics", 0, serve, metrics};
    metrics->limits = limits;
    metrics->server = fb_server_new(net, NULL, NULL, err);
    if (metrics->server != NULL && fb_server_add_http(metrics->server, &route) == 0 &&
        fb_server_listen(metrics->server, addr, err) == 0)
        return metrics;
    fb_volunteer_metrics_free(metrics);
    return NULL;
}

void fb_volunteer_metrics_free(struct fb_volunteer_metrics *metrics) {
    if (metrics == NULL)
        return;
    fb_server_free(metrics->server);
    free(metrics);
}

void fb_volunteer_metrics_of(struct fb_volunteer_metrics *metrics,
                             const struct fb_volunteer *volunteer) {
    if (metrics != NULL)
        metrics->volunteer = volunteer;
}
