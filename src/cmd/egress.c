/* footbridge egress: an egress alone, linked to its broker. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "cmd/cmd.h"
#include "cmd/exits.h"
#include "cmd/host.h"
#include "crypto/openssl.h"
#include "net/ownaddr.h"
#include "role/egress.h"
#include "role/egress_link.h"

struct run {
    struct fb_host host;
    struct fb_exit_policy *policy;
    struct fb_own_watch *own;
    struct fb_egress *egress;
    struct fb_egress_link *link;
    struct fb_exits exits;
    struct fb_texts listen;
    const char *broker_url;
    uint64_t number;
};

static void stop(void *user) {
    struct run *run = user;
    if (run->egress != NULL)
        fb_egress_stop(run->egress);
    fb_egress_link_free(run->link);
    run->link = NULL;
}

static void link_changed(void *user, const struct fb_broker_link *link) {
    struct run *run = user;
    fb_egress_set_broker(run->egress, link);
}

static void answered(void *user, uint64_t request, const uint8_t *sealed, size_t len) {
    struct run *run = user;
    fb_egress_answered(run->egress, request, sealed, len);
}

/* The egress itself; *listed becomes its entry in the document. */
static int start_egress(struct run *run, const struct fb_document_egress **listed) {
    struct fb_host *host = &run->host;
    const struct fb_document *document = &host->files.document;
    struct fb_ticket_key keys[FB_DOCUMENT_BROKERS_MAX];
    struct fb_egress_config config;
    fb_egress_config_init(&config);
    int err = fb_host_key(host, FB_KEY_EGRESS, (size_t)run->number - 1, config.key);
    if (err != 0)
        return err;
    config.net = host->net;
    config.server = host->server;
    config.crypto = fb_crypto_openssl();
    config.log = &host->log;
    config.policy = run->policy;
    config.ticket_keys = keys;
    config.ticket_key_count = document->broker_count;
    for (size_t i = 0; i < document->broker_count; i++)
        fb_ticket_key_init(&keys[i], config.crypto, document->brokers[i].ticket_key);
    memcpy(config.network_id, host->files.join.network, FB_NETWORK_ID_LEN);
    err = fb_egress_new(&run->egress, &config);
    fb_wipe(&config, sizeof config);
    if (err != 0) {
        snprintf(host->err, sizeof host->err, "the egress cannot start: %s", fb_strerror(err));
        return err;
    }
    (void)fb_egress_set_document(run->egress, host->files.bytes, host->files.len); /* parsed once */
    *listed = fb_document_egress(document, fb_egress_id(run->egress));
    if (*listed != NULL)
        return 0;
    snprintf(host->err, sizeof host->err, "the network document does not list this egress's key");
    return FB_ERR_NOT_FOUND;
}

static int start_link(struct run *run) {
    struct fb_host *host = &run->host;
    const struct fb_document_broker *broker = &host->files.document.brokers[0];
    struct fb_egress_link_config config = {
        .net = host->net,
        .crypto = fb_crypto_openssl(),
        .log = &host->log,
        .broker_url = run->broker_url != NULL ? run->broker_url : broker->url,
        .changed = link_changed,
        .answered = answered,
        .user = run,
    };
    int err = fb_host_key(host, FB_KEY_LINK, 0, config.link_secret);
    if (err != 0)
        return err;
    memcpy(config.broker_key, broker->sealing_key, FB_KEY_LEN);
    memcpy(config.egress, fb_egress_id(run->egress), FB_EGRESS_ID_LEN);
    memcpy(config.process, fb_egress_process_id(run->egress), FB_PROCESS_ID_LEN);
    run->link = fb_egress_link_new(&config);
    fb_wipe(&config, sizeof config);
    if (run->link != NULL)
        return 0;
    snprintf(host->err, sizeof host->err, "not the http or https URL of a broker: %.200s",
             run->broker_url != NULL ? run->broker_url : broker->url);
    return FB_ERR_MALFORMED;
}

static int start(struct run *run) {
    struct fb_host *host = &run->host;
    const struct fb_document_egress *listed = NULL;
    int err = fb_exits_policy(&run->exits, &run->policy, host->err, sizeof host->err);
    if (err == 0)
        err = start_egress(run, &listed);
    if (err == 0)
        err = fb_host_listen(host, &run->listen, listed->url, FB_URL_WS);
    if (err == 0)
        err = start_link(run);
    if (err != 0)
        return err;
    run->own = fb_own_watch_new(&host->loop, run->policy, FB_OWN_PERIOD_US, &host->log);
    if (run->own != NULL)
        return 0;
    snprintf(host->err, sizeof host->err, "%s", fb_strerror(FB_ERR_NOMEM));
    return FB_ERR_NOMEM;
}

static int serve(struct run *run, const struct fb_host_config *config, enum fb_log_level level) {
    int err = fb_host_start(&run->host, config, level);
    if (err == 0)
        err = start(run);
    if (err == 0)
        fb_host_run(&run->host);
    else
        fb_host_complain(&run->host);
    stop(run);
    fb_host_close(&run->host);
    fb_egress_free(run->egress);
    fb_own_watch_free(run->own);
    fb_exit_policy_free(run->policy);
    fb_host_end(&run->host);
    return err == 0 ? 0 : 1;
}

int fb_cmd_egress(int argc, char **argv) {
    static struct run run = {.number = 1};
    struct fb_host_config host = {
        .command = "egress", .per_address = 256, .stop = stop, .user = &run};
    const struct fb_option options[] = {
        {"keys", "DIRECTORY", "what `footbridge network new` has made", .text = &host.keys,
         .required = true},
        {"number", "N", "which of the network's egresses this is (1)", .number = &run.number,
         .min = 1, .max = FB_DOCUMENT_EGRESSES_MAX},
        {"broker", "URL", "the broker's address (the first in the document)",
         .text = &run.broker_url},
        {"listen", "ADDRESS:PORT", "for volunteers (everywhere, at the URL's port)",
         .texts = &run.listen},
        {"cert", "FILE", "TLS certificate and its chain (PEM)", .text = &host.cert},
        {"key", "FILE", "the certificate's private key (PEM)", .text = &host.key},
        {"ca", "FILE", "certificates to trust instead of the system's (PEM)", .text = &host.ca},
        {"exit", "RULE", "allow|reject ADDR[/LEN][:PORT[-PORT]], the first that fits decides",
         .texts = &run.exits.rules},
        {"own-address", "ADDRESS", "an address of this machine that its interfaces do not show",
         .texts = &run.exits.own},
        {"allow", "ADDRESS:PORT", "let readers connect there, even on this machine",
         .texts = &run.exits.allow},
        {"dns", "ADDRESS:PORT", "name server for readers' names (the system's)", .text = &host.dns},
        {"connections", "N", "connections at most (what the limit on open files allows)",
         .number = &host.connections, .min = 1, .max = 65535},
        {"per-address", "N", "connections from one address at most, 0: any number (256)",
         .number = &host.per_address, .max = 65535},
        {0},
    };
    const struct fb_usage usage = {
        "egress", "let readers' traffic out to the internet", options, NULL, 0, 0};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    status = serve(&run, &host, args.level);
    fb_args_free(&args);
    return status;
}
