#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "core/url.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "net/stun.h"
#include "role/broker.h"
#include "role/keys.h"

/* After the stop: time for goodbyes to leave. */
#define GOODBYE_US UINT64_C(500000)

struct settings {
    const char *directory, *cert, *key, *stun, *geoip;
    struct fb_texts listen;
    uint64_t per_address, connections, offers;
};

struct run {
    uv_loop_t loop;
    struct fb_signals *signals;
    struct fb_timer *goodbye;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_geoip *geoip;
    struct fb_broker *broker;
    struct fb_stun *stun;
    struct fb_log log;
    struct fb_network_files files;
    struct fb_broker_config config;
    uint8_t link_secret[FB_KEY_LEN];
    char err[FB_KEYS_ERR_MAX];
};

static void stop_loop(void *user) {
    struct run *run = user;
    uv_stop(&run->loop);
}

static void asked_to_stop(void *user, int signum) {
    struct run *run = user;
    fb_log(&run->log, FB_LOG_INFO, "stopping");
    fb_broker_stop(run->broker);
    fb_timer_set(run->goodbye, fb_now_us() + GOODBYE_US);
}

static int read_key(struct run *run, const char *directory, enum fb_key_kind kind,
                    uint8_t out[static FB_KEY_LEN]) {
    char path[FB_KEYS_PATH_MAX];
    int err = fb_key_path(directory, kind, 0, path, run->err);
    return err != 0 ? err : fb_key_read(path, kind, out, run->err);
}

/* Keys and document. A link key is only needed where egresses are processes of their own. */
static int read_files(struct run *run, const char *directory) {
    struct fb_broker_config *config = &run->config;
    int err = fb_network_files_read(directory, fb_unix_s(), &run->files, run->err);
    if (err == 0)
        err = read_key(run, directory, FB_KEY_SEALING, config->sealing_key);
    if (err == 0)
        err = read_key(run, directory, FB_KEY_TICKET, config->ticket_seed);
    if (err != 0)
        return err;
    memcpy(config->network_id, run->files.join.network, FB_NETWORK_ID_LEN);
    config->document = run->files.bytes;
    config->document_len = run->files.len;
    err = read_key(run, directory, FB_KEY_LINK, run->link_secret);
    if (err == 0)
        config->link_secret = run->link_secret;
    return err == FB_ERR_NOT_FOUND ? 0 : err;
}

static void read_countries(struct run *run, const char *directory) {
    run->geoip = fb_geoip_new();
    if (run->geoip == NULL)
        return;
    int err = fb_geoip_load(run->geoip, directory);
    if (err != 0)
        fb_log(&run->log, FB_LOG_WARN,
               "no complete table of countries in %s (%s): where it has a gap, readers may get "
               "volunteers of their own country; Debian's tor-geoipdb has one",
               directory, fb_strerror(err));
    run->config.geoip = run->geoip;
}

static int listen_one(struct run *run, struct fb_addr *addr) {
    char text[FB_ADDR_STR_MAX];
    int err = fb_server_listen(run->server, addr, run->err);
    if (err == 0)
        fb_log(&run->log, FB_LOG_INFO, "listening on %s%s", fb_addr_format_port(addr, text),
               fb_server_is_tls(run->server) ? " with TLS" : "");
    return err;
}

/* Without --listen: every address, at the port that the document names. */
static int listen_default(struct run *run) {
    struct fb_url url;
    struct fb_addr four = {.family = 4}, six = {.family = 6};
    int err = fb_url_parse(run->files.document.brokers[0].url, FB_URL_HTTP, &url);
    if (err != 0)
        return err;
    four.port = six.port = url.port;
    err = listen_one(run, &four);
    if (err == 0 && listen_one(run, &six) != 0)
        fb_log(&run->log, FB_LOG_INFO, "no IPv6: %s", run->err);
    return err;
}

static int listen_all(struct run *run, const struct settings *settings) {
    int err = settings->listen.len == 0 ? listen_default(run) : 0;
    struct fb_addr addr;
    for (size_t i = 0; err == 0 && i < settings->listen.len; i++) {
        const char *text = settings->listen.at[i];
        err = fb_addr_parse_port(text, strlen(text), &addr);
        if (err != 0)
            snprintf(run->err, sizeof run->err, "not ADDRESS:PORT: %.200s", text);
        else
            err = listen_one(run, &addr);
    }
    if (err != 0 || settings->stun == NULL)
        return err;
    if (fb_addr_parse_port(settings->stun, strlen(settings->stun), &addr) != 0) {
        snprintf(run->err, sizeof run->err, "not ADDRESS:PORT: %.200s", settings->stun);
        return FB_ERR_MALFORMED;
    }
    run->stun = fb_stun_new(&run->loop, &addr, run->err);
    return run->stun == NULL ? FB_ERR_IO : 0;
}

static int start(struct run *run, const struct settings *settings) {
    fb_broker_config_init(&run->config);
    int err = read_files(run, settings->directory);
    if (err != 0)
        return err;
    bool local = (run->files.document.flags & FB_DOCUMENT_LOCAL) != 0;
    if (!local) /* which has no rule about countries */
        read_countries(run, settings->geoip);
    struct fb_net_config net = {
        .loop = &run->loop,
        .max_connections = (size_t)settings->connections,
        .max_per_address = (size_t)settings->per_address,
        .local = local,
    };
    run->net = fb_net_new(&net, run->err);
    if (run->net == NULL)
        return FB_ERR_IO;
    run->server = fb_server_new(run->net, settings->cert, settings->key, run->err);
    if (run->server == NULL)
        return FB_ERR_IO;
    run->config.net = run->net;
    run->config.server = run->server;
    run->config.crypto = fb_crypto_openssl();
    run->config.log = &run->log;
    run->config.limits.offers_per_minute = (uint32_t)settings->offers;
    run->broker = fb_broker_new(&run->config, run->err);
    return run->broker == NULL ? FB_ERR_IO : listen_all(run, settings);
}

static void end(struct run *run) {
    if (run->broker != NULL)
        fb_broker_stop(run->broker);
    fb_stun_free(run->stun);
    fb_server_free(run->server);
    fb_broker_free(run->broker);
    fb_net_free(run->net);
    fb_geoip_free(run->geoip);
    fb_signals_free(run->signals);
    fb_timer_free(run->goodbye);
    fb_loop_finish(&run->loop);
    fb_wipe(&run->config, sizeof run->config);
    fb_wipe(run->link_secret, sizeof run->link_secret);
}

static int serve(struct run *run, const struct settings *settings) {
    uv_loop_init(&run->loop);
    run->signals = fb_signals_new(&run->loop, asked_to_stop, run);
    run->goodbye = fb_timer_new(&run->loop, stop_loop, run);
    bool ready = run->signals != NULL && run->goodbye != NULL;
    if (!ready)
        snprintf(run->err, sizeof run->err, "out of memory");
    else
        ready = start(run, settings) == 0;
    if (ready)
        uv_run(&run->loop, UV_RUN_DEFAULT);
    else
        fb_log(&run->log, FB_LOG_ERROR, "%s", run->err);
    end(run);
    return ready ? 0 : 1;
}

int fb_cmd_broker(int argc, char **argv) {
    static struct run run;
    struct settings settings = {.geoip = FB_GEOIP_DIR, .per_address = 64, .offers = 60};
    const struct fb_option options[] = {
        {"directory", "DIRECTORY", "keys and document, as footbridge network made them",
         .text = &settings.directory, .required = true},
        {"listen", "ADDRESS:PORT", "listen here; may be repeated (everywhere, at the URL's port)",
         .texts = &settings.listen},
        {"cert", "FILE", "certificate chain (PEM); without one a proxy must speak TLS",
         .text = &settings.cert},
        {"key", "FILE", "its key (PEM)", .text = &settings.key},
        {"stun", "ADDRESS:PORT", "answer STUN requests here (nowhere)", .text = &settings.stun},
        {"geoip", "DIRECTORY", "tables of countries (" FB_GEOIP_DIR ")", .text = &settings.geoip},
        {"connections", "N", "at most N at once (what the system allows)",
         .number = &settings.connections, .min = 1, .max = 60000},
        {"per-address", "N", "at most N connections of one address, 0: any number (64)",
         .number = &settings.per_address, .max = 60000},
        {"offers", "N", "at most N offers of one address a minute, 0: any number (60)",
         .number = &settings.offers, .max = 60000},
        {0},
    };
    const struct fb_usage usage = {"broker", "introduce readers to volunteers", options, NULL, 0,
                                   0};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    run.log = (struct fb_log){.role = "broker", .level = args.level};
    status = serve(&run, &settings);
    fb_args_free(&args);
    return status;
}
