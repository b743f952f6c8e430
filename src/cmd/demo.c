/* footbridge demo: a whole network on this machine, made of the same roles as a real one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/countries.h"
#include "cmd/demosite.h"
#include "cmd/operator.h"
#include "cmd/options.h"
#include "cmd/ports.h"
#include "cmd/tour.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "net/ownaddr.h"
#include "role/client.h"

#define DAY_S UINT64_C(86400)

struct settings {
    bool automatic, once;
    uint64_t wait_s, site_port, broker_port, stun_port, proxy_port;
    const char *browser;
    uint8_t country[FB_COUNTRY_LEN];
    struct fb_texts allow;
};

struct demo {
    struct settings set;
    uv_loop_t loop;
    struct fb_signals *signals;
    struct fb_net *net;
    struct fb_fetcher *fetcher;
    struct fb_rtc *rtc;
    struct fb_exit_policy *policy;
    struct fb_own_watch *own;
    struct fb_server *site_server;
    struct fb_demosite *site;
    struct fb_operator *op;
    struct fb_client *client;
    struct fb_tour *tour;
    struct fb_log broker_log, egress_log, client_log;
    struct fb_addr site_addr, broker_addr, stun_addr, proxy_addr;
    bool loopback; /* this machine has no other interface */
    struct fb_document document;
    struct fb_join join;
    uint8_t bytes[FB_DOCUMENT_MAX]; /* the document as signed */
    size_t len;
    uint64_t start_us;
    char last_step[256];
    bool stopping, ready;
    int status;
};

static int complain(const char *what, const char *why) {
    fflush(stdout);
    fprintf(stderr, "footbridge demo: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
    return 1;
}

static void stop(struct demo *demo) {
    demo->stopping = true;
    uv_stop(&demo->loop);
}

static void on_signal(void *user, int signum) {
    struct demo *demo = user;
    if (demo->stopping)
        _Exit(1);
    stop(demo);
}

static void origin_of(const struct fb_addr *addr, char out[static 64]) {
    char text[FB_ADDR_STR_MAX];
    snprintf(out, 64, "http://%s", fb_addr_format_port(addr, text));
}

/* ---- ports ---- */

static int choose_ports(struct demo *demo) {
    const struct fb_addr here = {.family = 4, .ip = {127, 0, 0, 1}};
    const struct {
        struct fb_addr *addr;
        struct fb_addr at;
        struct fb_port port;
    } wanted[] = {
        {&demo->site_addr, here, {"site", demo->set.site_port, 8000, false}},
        {&demo->broker_addr, here, {"broker", demo->set.broker_port, 8080, false}},
        /* STUN answers have to cross an interface that WebRTC uses. */
        {&demo->stun_addr,
         fb_own_address(&demo->loopback),
         {"stun", demo->set.stun_port, 3478, true}},
        {&demo->proxy_addr, here, {"proxy", demo->set.proxy_port, 1080, false}},
    };
    char err[FB_PORTS_ERR_MAX];
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        *wanted[i].addr = wanted[i].at;
        if (fb_port_choose(&wanted[i].port, wanted[i].addr, err) != 0)
            return complain(err, "");
    }
    return 0;
}

/* ---- the network: fresh keys, which nobody keeps ---- */

static int make_network(struct demo *demo, struct fb_operator_config *config) {
    struct fb_document *doc = &demo->document;
    const struct fb_rng *rng = fb_rng_default();
    char text[FB_ADDR_STR_MAX];
    uint8_t seed[FB_KEY_LEN];
    fb_random(rng, seed, sizeof seed);
    fb_random(rng, config->sealing_key, FB_KEY_LEN);
    fb_random(rng, config->ticket_seed, FB_KEY_LEN);
    fb_random(rng, config->egress_key, FB_KEY_LEN);
    doc->flags = FB_DOCUMENT_LOCAL;
    doc->serial = 1;
    doc->issued_s = fb_unix_s();
    doc->expires_s = doc->issued_s + 30 * DAY_S;
    doc->broker_count = doc->egress_count = doc->stun_count = 1;
    origin_of(&demo->broker_addr, doc->brokers[0].url);
    snprintf(doc->egresses[0].url, sizeof doc->egresses[0].url, "ws://%s" FB_EGRESS_ROUTE,
             fb_addr_format_port(&demo->broker_addr, text));
    snprintf(doc->stun[0], sizeof doc->stun[0], "%s", fb_addr_format_port(&demo->stun_addr, text));
    demo->join.broker_count = 1;
    memcpy(demo->join.brokers[0], doc->brokers[0].url, sizeof demo->join.brokers[0]);
    int err = fb_ed25519_public(seed, demo->join.network);
    if (err == 0)
        err = fb_x25519_public(config->sealing_key, doc->brokers[0].sealing_key);
    if (err == 0)
        err = fb_ed25519_public(config->ticket_seed, doc->brokers[0].ticket_key);
    if (err == 0)
        err = fb_x25519_public(config->egress_key, doc->egresses[0].id);
    if (err == 0)
        err = fb_document_encode(config->crypto, doc, seed, demo->bytes, &demo->len);
    fb_wipe(seed, sizeof seed);
    memcpy(config->network_id, demo->join.network, sizeof config->network_id);
    config->document = demo->bytes;
    config->document_len = demo->len;
    return err == 0 ? 0 : complain("the demo's network cannot be made", fb_strerror(err));
}

/* The exit policy keeps readers from this machine; the demo's origins are the exceptions. */
static int make_policy(struct demo *demo) {
    struct fb_addr addr;
    demo->policy = fb_exit_policy_new(fb_mem_default());
    if (demo->policy == NULL || fb_own_addresses(demo->policy) != 0 ||
        fb_exit_policy_except(demo->policy, &demo->site_addr) != 0)
        return complain(fb_strerror(FB_ERR_NOMEM), "");
    for (size_t i = 0; i < demo->set.allow.len; i++) {
        const char *text = demo->set.allow.at[i];
        if (fb_addr_parse_port(text, strlen(text), &addr) != 0)
            return complain(text, "not ADDRESS:PORT for --allow");
        if (fb_exit_policy_except(demo->policy, &addr) != 0)
            return complain(text, "too many --allow");
    }
    demo->own = fb_own_watch_new(&demo->loop, demo->policy, FB_OWN_PERIOD_US, &demo->egress_log);
    return demo->own != NULL ? 0 : complain(fb_strerror(FB_ERR_NOMEM), "");
}

static int start_operator(struct demo *demo) {
    char err[FB_OPERATOR_ERR_MAX] = "";
    struct fb_operator_config config = {
        .net = demo->net,
        .crypto = fb_crypto_openssl(),
        .broker_log = &demo->broker_log,
        .egress_log = &demo->egress_log,
        .policy = demo->policy,
    };
    memcpy(config.country, demo->set.country, FB_COUNTRY_LEN);
    int status = make_network(demo, &config);
    if (status == 0 && (demo->op = fb_operator_new(&config, err)) == NULL)
        status = complain(err, "");
    fb_wipe(&config, sizeof config);
    if (status == 0 && (fb_operator_listen(demo->op, &demo->broker_addr, err) != 0 ||
                        fb_operator_stun(demo->op, &demo->stun_addr, err) != 0))
        status = complain(err, "");
    return status;
}

/* ---- the site ---- */

static void on_visited(void *user) {
    struct demo *demo = user;
    if (demo->tour != NULL)
        fb_tour_visited(demo->tour);
}

static int start_site(struct demo *demo) {
    char err[FB_NET_ERR_MAX] = "", origin[64];
    origin_of(&demo->broker_addr, origin);
    demo->site_server = fb_server_new(demo->net, NULL, NULL, err);
    if (demo->site_server == NULL)
        return complain(err, "");
    demo->site = fb_demosite_new(demo->site_server, origin, on_visited, demo);
    if (demo->site == NULL)
        return complain(fb_strerror(FB_ERR_NOMEM), "");
    return fb_server_listen(demo->site_server, &demo->site_addr, err) == 0 ? 0 : complain(err, "");
}

/* ---- the client, and what it tells ---- */

static void on_progress(void *user, enum fb_client_stage stage, const char *text) {
    struct demo *demo = user;
    if (demo->stopping)
        return; /* that the tab goes now is no news */
    if (strcmp(text, demo->last_step) != 0)
        printf("  %5.1f s  %s\n", (double)(fb_now_us() - demo->start_us) / 1e6, text);
    snprintf(demo->last_step, sizeof demo->last_step, "%s", text);
    fflush(stdout);
    if (stage != FB_CLIENT_READY)
        return;
    demo->ready = true;
    if (demo->tour != NULL)
        fb_tour_ready(demo->tour);
}

static int start_client(struct demo *demo) {
    static const struct fb_client_handler handler = {on_progress};
    char err[FB_NET_ERR_MAX] = "";
    struct fb_client_config config = {
        .net = demo->net,
        .fetcher = demo->fetcher,
        .rtc = demo->rtc,
        .crypto = fb_crypto_openssl(),
        .log = &demo->client_log,
        .join = &demo->join,
        .listen = demo->proxy_addr,
        .handler = &handler,
        .user = demo,
    };
    int code = fb_client_new(&demo->client, &config, err);
    return code == 0 ? 0 : complain(err[0] != '\0' ? err : fb_strerror(code), "");
}

/* ---- the tour ---- */

static void on_tour_done(void *user, bool ok) {
    struct demo *demo = user;
    if (demo->set.once) {
        demo->status = ok ? 0 : 1;
        stop(demo);
        return;
    }
    printf(ok ? "\nEverything stays up until Ctrl-C.\n"
              : "\nEverything else is up; open the site yourself, or stop with Ctrl-C.\n");
    fflush(stdout);
}

/* Somebody at a screen may want to flip the switch; a script or a bare server does not. */
static bool has_display(void) {
    const char *x = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");
    return (x != NULL && *x != '\0') || (wayland != NULL && *wayland != '\0');
}

static int start_tour(struct demo *demo) {
    char site[64], proxy[FB_ADDR_STR_MAX];
    if (!demo->set.automatic && !demo->set.once)
        return 0;
    origin_of(&demo->site_addr, site);
    struct fb_tour_config config = {
        .loop = &demo->loop,
        .site = site,
        .proxy = fb_addr_format_port(&demo->proxy_addr, proxy),
        .sha256 = fb_demosite_sha256(demo->site),
        .browser = demo->set.browser,
        .loopback = demo->loopback,
        .start_us = demo->start_us,
        .wait_s = has_display() ? demo->set.wait_s : 0,
        .progress = isatty(STDOUT_FILENO) != 0,
        .done = on_tour_done,
        .user = demo,
    };
    demo->tour = fb_tour_new(&config);
    return demo->tour != NULL ? 0 : complain(fb_strerror(FB_ERR_NOMEM), "");
}

static int print_welcome(const struct demo *demo) {
    char site[64], broker[64], proxy[FB_ADDR_STR_MAX], link[FB_JOIN_MAX + 1];
    origin_of(&demo->site_addr, site);
    origin_of(&demo->broker_addr, broker);
    fb_addr_format_port(&demo->proxy_addr, proxy);
    if (fb_join_format(fb_crypto_openssl(), &demo->join, link) != 0)
        return complain("the join link cannot be written", "");
    printf("A whole Footbridge network, on this machine alone:\n\n"
           "site:   %s/\n"
           "proxy:  %s\n"
           "broker: %s/\n"
           "join:   %s\n\n"
           "Open the site in a browser, flip the switch beside the article, and then, through\n"
           "that tab:\n\n"
           "  curl -x socks5h://%s %s/\n\n"
           "How the switch can look on a page: %s/preview.html\n\n",
           site, proxy, broker, link, proxy, site, broker);
    if (demo->loopback)
        puts("This machine has no network interface but loopback, where an ordinary browser\n"
             "offers WebRTC no address; --auto starts one that does.\n");
    return fflush(stdout) == 0 ? 0 : 1;
}

/* ---- all of it ---- */

static int start(struct demo *demo) {
    char err[FB_NET_ERR_MAX] = "";
    demo->start_us = fb_now_us();
    if (fb_crypto_openssl() == NULL)
        return complain("OpenSSL here lacks an algorithm that is needed", "");
    fb_raise_fd_limit();
    struct fb_net_config net = {.loop = &demo->loop, .local = true};
    demo->net = fb_net_new(&net, err);
    if (demo->net == NULL)
        return complain(err, "");
    demo->fetcher = fb_fetcher_new(&demo->loop, NULL);
    demo->signals = fb_signals_new(&demo->loop, on_signal, demo);
    int code = fb_rtc_new(&demo->rtc, &demo->loop);
    if (code != 0 || demo->fetcher == NULL || demo->signals == NULL)
        return complain(fb_strerror(code != 0 ? code : FB_ERR_NOMEM), "");
    if (choose_ports(demo) != 0 || make_policy(demo) != 0 || start_operator(demo) != 0 ||
        start_site(demo) != 0 || start_client(demo) != 0 || print_welcome(demo) != 0)
        return 1;
    return start_tour(demo);
}

static void on_rtc_gone(void *user) {
    struct demo *demo = user;
    demo->rtc = NULL;
}

/* In the order in which they depend on each other: readers, then operators, then the ground. */
static void end(struct demo *demo) {
    fb_tour_free(demo->tour);
    demo->tour = NULL;
    if (demo->client != NULL)
        fb_client_stop(demo->client);
    if (demo->rtc != NULL)
        fb_rtc_free(demo->rtc, on_rtc_gone, demo);
    while (demo->rtc != NULL)
        uv_run(&demo->loop, UV_RUN_ONCE);
    fb_client_free(demo->client);
    fb_operator_free(demo->op);
    fb_server_free(demo->site_server);
    fb_demosite_free(demo->site);
    fb_signals_free(demo->signals);
    fb_fetcher_free(demo->fetcher);
    fb_net_free(demo->net);
    fb_own_watch_free(demo->own);
    fb_exit_policy_free(demo->policy);
    fb_loop_finish(&demo->loop);
}

int fb_cmd_demo(int argc, char **argv) {
    static struct demo demo;
    struct settings *set = &demo.set;
    const struct fb_option options[] = {
        {"auto", NULL, "open the site in headless Chromium and fetch a file through it",
         .flag = &set->automatic},
        {"wait", "SECONDS", "with --auto: first give a person at this screen so long (0)",
         .number = &set->wait_s, .max = 3600},
        {"once", NULL, "--auto, then end: status 0 when all went well", .flag = &set->once},
        {"browser", "PROGRAM", "the Chromium to start (found on PATH)", .text = &set->browser},
        {"site-port", "PORT", "of the news site (8000, or a free one)", .number = &set->site_port,
         .min = 1, .max = 65535},
        {"broker-port", "PORT", "of broker, egress and widget (8080, or a free one)",
         .number = &set->broker_port, .min = 1, .max = 65535},
        {"stun-port", "PORT", "of the STUN responder (3478, or a free one)",
         .number = &set->stun_port, .min = 1, .max = 65535},
        {"proxy-port", "PORT", "of the client's proxy (1080, or a free one)",
         .number = &set->proxy_port, .min = 1, .max = 65535},
        {"country", "CODE", "what the widget takes for the country of everybody here (unknown)",
         .parse = fb_value_country, .to = set->country, .takes = FB_VALUE_COUNTRY},
        {"allow", "ADDRESS:PORT", "let readers connect there too", .texts = &set->allow},
        {0},
    };
    const struct fb_usage usage = {"demo", "a whole network on this machine", options, NULL, 0, 0};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    /* The steps are printed anyway; the roles' own lines are for those who ask. */
    enum fb_log_level level = args.level == FB_LOG_INFO ? FB_LOG_WARN : args.level;
    demo.broker_log = (struct fb_log){.role = "broker", .level = level};
    demo.egress_log = (struct fb_log){.role = "egress", .level = level};
    demo.client_log = (struct fb_log){.role = "client", .level = level};
    uv_loop_init(&demo.loop);
    status = start(&demo);
    if (status == 0) {
        uv_run(&demo.loop, UV_RUN_DEFAULT);
        status = demo.status;
    }
    demo.stopping = true;
    end(&demo);
    fb_args_free(&args);
    return status;
}
