/* footbridge serve: an operator's broker, egress, widget and STUN responder in one process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/err.h"
#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/countries.h"
#include "cmd/exits.h"
#include "cmd/operator.h"
#include "cmd/options.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "net/ownaddr.h"
#include "role/keys.h"

/* Incoming connections from one address. Everybody behind a CDN or a carrier's NAT shares a few. */
#define PER_ADDRESS 256

struct settings {
    const char *keys, *cert, *key, *stun, *geoip, *dns;
    struct fb_texts listen;
    struct fb_exits exits;
    uint64_t per_address;
};

struct serve {
    struct settings set;
    uv_loop_t loop;
    struct fb_signals *signals;
    struct fb_net *net;
    struct fb_geoip *geoip;
    struct fb_exit_policy *policy;
    struct fb_own_watch *own;
    struct fb_operator *op;
    struct fb_log log, broker_log, egress_log;
    struct fb_network_files files;
    struct fb_censored censored;
    char no_geoip[FB_COUNTRIES_WHY_MAX]; /* why there are no country tables; "": there are */
    bool stopping;
};

static int complain(const char *what, const char *why) {
    fprintf(stderr, "footbridge serve: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
    return 1;
}

static void on_signal(void *user, int signum) {
    struct serve *serve = user;
    if (serve->stopping)
        _Exit(1);
    serve->stopping = true;
    uv_stop(&serve->loop);
}

static int parse_addr(const char *option, const char *text, struct fb_addr *addr) {
    if (fb_addr_parse_port(text, strlen(text), addr) == 0)
        return 0;
    fprintf(stderr, "footbridge serve: --%s %s: not ADDRESS:PORT\n", option, text);
    return 1;
}

/* ---- keys ---- */

static int read_key(const struct serve *serve, enum fb_key_kind kind,
                    uint8_t key[static FB_KEY_LEN]) {
    char path[FB_KEYS_PATH_MAX], err[FB_KEYS_ERR_MAX];
    int code = fb_key_path(serve->set.keys, kind, 0, path, err);
    if (code == 0)
        code = fb_key_read(path, kind, key, err);
    return code == 0 ? 0 : complain(err, "");
}

/* The broker checks its own keys against the document. */
static int check_egress_key(const struct serve *serve, const uint8_t key[static FB_KEY_LEN]) {
    uint8_t id[FB_KEY_LEN];
    if (fb_key_public(FB_KEY_EGRESS, key, id) != 0)
        return complain(fb_strerror(FB_ERR_NOMEM), "");
    if (fb_document_egress(&serve->files.document, id) == NULL)
        return complain("the network document does not list the egress of egress.key", "");
    return 0;
}

static int start_operator(struct serve *serve) {
    struct fb_operator_config config = {
        .net = serve->net,
        .crypto = fb_crypto_openssl(),
        .broker_log = &serve->broker_log,
        .egress_log = &serve->egress_log,
        .geoip = serve->geoip,
        .censored = &serve->censored,
        .policy = serve->policy,
        .cert = serve->set.cert,
        .key = serve->set.key,
        .document = serve->files.bytes,
        .document_len = serve->files.len,
    };
    char err[FB_OPERATOR_ERR_MAX] = "";
    uint8_t link_secret[FB_KEY_LEN];
    memcpy(config.network_id, serve->files.join.network, sizeof config.network_id);
    int status = read_key(serve, FB_KEY_SEALING, config.sealing_key);
    if (status == 0)
        status = read_key(serve, FB_KEY_TICKET, config.ticket_seed);
    if (status == 0)
        status = read_key(serve, FB_KEY_EGRESS, config.egress_key);
    if (status == 0)
        status = check_egress_key(serve, config.egress_key);
    /* Further egresses in other processes link up with this key. */
    if (status == 0)
        status = read_key(serve, FB_KEY_LINK, link_secret);
    config.link_secret = link_secret;
    if (status == 0 && (serve->op = fb_operator_new(&config, err)) == NULL)
        status = complain(err, "");
    fb_wipe(&config, sizeof config);
    fb_wipe(link_secret, sizeof link_secret);
    return status;
}

/* ---- listening ---- */

static int listen_at(struct serve *serve, const char *text) {
    char err[FB_OPERATOR_ERR_MAX] = "", shown[FB_ADDR_STR_MAX];
    struct fb_addr addr;
    if (parse_addr("listen", text, &addr) != 0)
        return 1;
    if (fb_operator_listen(serve->op, &addr, err) != 0)
        return complain(err, "");
    fb_log(&serve->log, FB_LOG_INFO, "listening at %s%s", fb_addr_format_port(&addr, shown),
           serve->set.cert != NULL ? " with TLS" : "");
    return 0;
}

static int listen_all(struct serve *serve) {
    const struct settings *set = &serve->set;
    char err[FB_OPERATOR_ERR_MAX] = "", shown[FB_ADDR_STR_MAX];
    struct fb_addr addr;
    if (set->listen.len == 0 &&
        listen_at(serve, set->cert != NULL ? "0.0.0.0:443" : "127.0.0.1:8080") != 0)
        return 1;
    for (size_t i = 0; i < set->listen.len; i++)
        if (listen_at(serve, set->listen.at[i]) != 0)
            return 1;
    if (set->stun == NULL)
        return 0;
    if (parse_addr("stun", set->stun, &addr) != 0)
        return 1;
    if (fb_operator_stun(serve->op, &addr, err) != 0)
        return complain(err, "");
    fb_log(&serve->log, FB_LOG_INFO, "answering STUN at %s", fb_addr_format_port(&addr, shown));
    return 0;
}

/* Before anything is opened: a slip in the config file costs one line. */
static int check_addrs(const struct settings *set) {
    struct fb_addr addr;
    for (size_t i = 0; i < set->listen.len; i++)
        if (parse_addr("listen", set->listen.at[i], &addr) != 0)
            return 1;
    return set->stun == NULL ? 0 : parse_addr("stun", set->stun, &addr);
}

/* ---- all of it ---- */

static int start(struct serve *serve) {
    char err[FB_KEYS_ERR_MAX] = "";
    if ((serve->set.cert == NULL) != (serve->set.key == NULL))
        return complain("--cert and --key go together", "");
    if (fb_crypto_openssl() == NULL)
        return complain("OpenSSL here lacks an algorithm that is needed", "");
    if (fb_network_files_read(serve->set.keys, fb_unix_s(), &serve->files, err) != 0)
        return complain(err, "");
    if (fb_exits_policy(&serve->set.exits, &serve->policy, err, sizeof err) != 0)
        return complain(err, "");
    if (check_addrs(&serve->set) != 0)
        return 1;
    if (fb_countries_read(serve->set.geoip, &serve->geoip, serve->no_geoip) != 0)
        return complain(serve->no_geoip, "");
    fb_raise_fd_limit();
    struct fb_net_config net = {.loop = &serve->loop,
                                .dns = serve->set.dns,
                                .max_per_address = (size_t)serve->set.per_address,
                                .local = (serve->files.document.flags & FB_DOCUMENT_LOCAL) != 0};
    serve->net = fb_net_new(&net, err);
    if (serve->net == NULL)
        return complain(err, "");
    serve->signals = fb_signals_new(&serve->loop, on_signal, serve);
    serve->own = fb_own_watch_new(&serve->loop, serve->policy, FB_OWN_PERIOD_US, &serve->log);
    if (serve->signals == NULL || serve->own == NULL)
        return complain(fb_strerror(FB_ERR_NOMEM), "");
    return start_operator(serve) != 0 ? 1 : listen_all(serve);
}

/* A start that fails says one line; what else there is to say waits until it has not. */
static void say_rest(struct serve *serve) {
    serve->broker_log.level = serve->egress_log.level = serve->log.level;
    if (serve->no_geoip[0] != '\0')
        fb_log(&serve->log, FB_LOG_WARN, "%s", serve->no_geoip);
}

static int run(struct serve *serve) {
    char link[FB_JOIN_MAX + 1];
    uv_loop_init(&serve->loop);
    int status = start(serve);
    if (status == 0)
        say_rest(serve);
    if (status == 0 && fb_join_format(fb_crypto_openssl(), &serve->files.join, link) == 0) {
        fb_log(&serve->log, FB_LOG_INFO, "join link: %s", link);
        fb_log(&serve->log, FB_LOG_INFO, "ready; Ctrl-C stops");
        uv_run(&serve->loop, UV_RUN_DEFAULT);
        fb_log(&serve->log, FB_LOG_INFO, "stopping");
    }
    fb_operator_free(serve->op);
    fb_signals_free(serve->signals);
    fb_net_free(serve->net);
    fb_own_watch_free(serve->own);
    fb_exit_policy_free(serve->policy);
    fb_geoip_free(serve->geoip);
    fb_loop_finish(&serve->loop);
    return status;
}

int fb_cmd_serve(int argc, char **argv) {
    static struct serve serve;
    struct settings *set = &serve.set;
    set->per_address = PER_ADDRESS;
    fb_censored_parse(&serve.censored, FB_CENSORED_USUAL);
    const struct fb_option options[] = {
        {"keys", "DIRECTORY", "what `footbridge network new` has made", .text = &set->keys,
         .required = true},
        {"listen", "ADDRESS:PORT",
         "for HTTP and WebSocket (0.0.0.0:443, without --cert 127.0.0.1:8080)",
         .texts = &set->listen},
        {"cert", "FILE", "TLS certificate and its chain (PEM)", .text = &set->cert},
        {"key", "FILE", "the certificate's private key (PEM)", .text = &set->key},
        {"stun", "ADDRESS:PORT", "answer STUN requests there", .text = &set->stun},
        {"exit", "RULE", "allow|reject ADDR[/LEN][:PORT[-PORT]], the first that fits decides",
         .texts = &set->exits.rules},
        {"own-address", "ADDRESS", "an address of this machine that its interfaces do not show",
         .texts = &set->exits.own},
        {"allow", "ADDRESS:PORT", "let readers connect there, even on this machine",
         .texts = &set->exits.allow},
        {"dns", "ADDRESS:PORT", "name server for readers' names (the system's)", .text = &set->dns},
        {"geoip", "DIRECTORY", "tor-geoipdb's tables (" FB_GEOIP_DIR ")", .text = &set->geoip},
        {"censored", "CODES",
         "countries where the widget warns before it starts, or none (" FB_CENSORED_USUAL ")",
         .parse = fb_value_censored, .to = &serve.censored, .takes = FB_VALUE_CENSORED},
        {"per-address", "N", "connections from one address at most, 0: any number (256)",
         .number = &set->per_address, .max = 65535},
        {0},
    };
    const struct fb_usage usage = {
        "serve", "run a network: broker, egress, widget and STUN", options, NULL, 0, 0};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    serve.log = (struct fb_log){.role = "serve", .level = args.level};
    serve.broker_log = (struct fb_log){.role = "broker", .level = FB_LOG_WARN};
    serve.egress_log = (struct fb_log){.role = "egress", .level = FB_LOG_WARN};
    status = run(&serve);
    fb_args_free(&args);
    return status;
}
