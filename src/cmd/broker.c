/* footbridge broker: a broker alone; its egresses are processes of their own. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/countries.h"
#include "cmd/host.h"
#include "crypto/openssl.h"
#include "net/stun.h"
#include "role/broker.h"

struct run {
    struct fb_host host;
    struct fb_geoip *geoip;
    struct fb_broker *broker;
    struct fb_stun *stun;
    struct fb_broker_config config;
    uint8_t link_secret[FB_KEY_LEN];
    const char *stun_at, *geoip_dir;
    struct fb_censored censored;
    char no_geoip[FB_COUNTRIES_WHY_MAX]; /* why there are no country tables; "": there are */
    struct fb_texts listen;
    uint64_t offers;
};

static void stop(void *user) {
    struct run *run = user;
    if (run->broker != NULL)
        fb_broker_stop(run->broker);
}

/* A local network has no rule about countries: there the tables count when somebody asks. */
static int read_countries(struct run *run) {
    if (run->host.local && run->geoip_dir == NULL)
        return 0;
    int err = fb_countries_read(run->geoip_dir, &run->geoip, run->no_geoip);
    if (err != 0)
        snprintf(run->host.err, sizeof run->host.err, "%s", run->no_geoip);
    run->config.geoip = run->geoip;
    return err;
}

static int read_keys(struct run *run) {
    struct fb_broker_config *config = &run->config;
    int err = fb_host_key(&run->host, FB_KEY_SEALING, 0, config->sealing_key);
    if (err == 0)
        err = fb_host_key(&run->host, FB_KEY_TICKET, 0, config->ticket_seed);
    if (err == 0)
        err = fb_host_key(&run->host, FB_KEY_LINK, 0, run->link_secret);
    config->link_secret = run->link_secret;
    return err;
}

static int start(struct run *run) {
    struct fb_host *host = &run->host;
    struct fb_broker_config *config = &run->config;
    fb_broker_config_init(config);
    int err = read_keys(run);
    if (err == 0)
        err = read_countries(run);
    if (err != 0)
        return err;
    config->net = host->net;
    config->server = host->server;
    config->crypto = fb_crypto_openssl();
    config->log = &host->log;
    config->document = host->files.bytes;
    config->document_len = host->files.len;
    config->censored = run->censored;
    config->limits.offers_per_minute = host->local ? 0 : (uint32_t)run->offers;
    memcpy(config->network_id, host->files.join.network, FB_NETWORK_ID_LEN);
    run->broker = fb_broker_new(config, host->err);
    if (run->broker == NULL)
        return FB_ERR_IO;
    err = fb_host_listen(host, &run->listen, host->files.document.brokers[0].url, FB_URL_HTTP);
    struct fb_addr addr;
    if (err == 0 && run->stun_at != NULL) {
        err = fb_host_addr(host, run->stun_at, &addr);
        if (err == 0 && (run->stun = fb_stun_new(&host->loop, &addr, host->err)) == NULL)
            err = FB_ERR_IO;
    }
    return err;
}

static int serve(struct run *run, const struct fb_host_config *config, enum fb_log_level level) {
    int err = fb_host_start(&run->host, config, level);
    if (err == 0)
        err = start(run);
    if (err == 0 && run->no_geoip[0] != '\0')
        fb_log(&run->host.log, FB_LOG_WARN, "%s", run->no_geoip);
    if (err == 0)
        fb_host_run(&run->host);
    else
        fb_host_complain(&run->host);
    stop(run);
    fb_stun_free(run->stun);
    fb_host_close(&run->host);
    fb_broker_free(run->broker);
    fb_geoip_free(run->geoip);
    fb_host_end(&run->host);
    fb_wipe(&run->config, sizeof run->config);
    fb_wipe(run->link_secret, sizeof run->link_secret);
    return err == 0 ? 0 : 1;
}

int fb_cmd_broker(int argc, char **argv) {
    static struct run run = {.offers = 60};
    struct fb_host_config host = {
        .command = "broker", .per_address = 256, .stop = stop, .user = &run};
    const struct fb_option options[] = {
        {"keys", "DIRECTORY", "what `footbridge network new` has made", .text = &host.keys,
         .required = true},
        {"listen", "ADDRESS:PORT", "for HTTP and WebSocket (everywhere, at the URL's port)",
         .texts = &run.listen},
        {"cert", "FILE", "TLS certificate and its chain (PEM)", .text = &host.cert},
        {"key", "FILE", "the certificate's private key (PEM)", .text = &host.key},
        {"stun", "ADDRESS:PORT", "answer STUN requests there", .text = &run.stun_at},
        {"geoip", "DIRECTORY", "tor-geoipdb's tables (" FB_GEOIP_DIR ")", .text = &run.geoip_dir},
        {"censored", "CODES",
         "countries where the widget warns before it starts, or none (" FB_CENSORED_USUAL ")",
         .parse = fb_value_censored, .to = &run.censored, .takes = FB_VALUE_CENSORED},
        {"connections", "N", "connections at most (what the limit on open files allows)",
         .number = &host.connections, .min = 1, .max = 65535},
        {"per-address", "N", "connections from one address at most, 0: any number (256)",
         .number = &host.per_address, .max = 65535},
        {"offers", "N", "offers of one address a minute at most, 0: any number (60)",
         .number = &run.offers, .max = 65535},
        {0},
    };
    const struct fb_usage usage = {"broker", "introduce readers to volunteers", options, NULL, 0,
                                   0};
    struct fb_args args;
    fb_censored_parse(&run.censored, FB_CENSORED_USUAL);
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    status = serve(&run, &host, args.level);
    fb_args_free(&args);
    return status;
}
