#include "cmd/operator.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"
#include "net/stun.h"

struct fb_operator {
    struct fb_net *net;
    struct fb_server *server;
    struct fb_broker *broker;
    struct fb_egress *egress;
    struct fb_stun *stun;
    struct fb_broker_link link;
    bool attached;
};

static int start_broker(struct fb_operator *op, const struct fb_operator_config *config,
                        char err[static FB_OPERATOR_ERR_MAX]) {
    struct fb_broker_config broker;
    fb_broker_config_init(&broker);
    broker.net = config->net;
    broker.server = op->server;
    broker.crypto = config->crypto;
    broker.log = config->broker_log;
    broker.geoip = config->geoip;
    if (config->censored != NULL)
        broker.censored = *config->censored;
    memcpy(broker.country, config->country, FB_COUNTRY_LEN);
    broker.link_secret = config->link_secret;
    broker.document = config->document;
    broker.document_len = config->document_len;
    memcpy(broker.network_id, config->network_id, sizeof broker.network_id);
    memcpy(broker.sealing_key, config->sealing_key, sizeof broker.sealing_key);
    memcpy(broker.ticket_seed, config->ticket_seed, sizeof broker.ticket_seed);
    op->broker = fb_broker_new(&broker, err);
    fb_wipe(&broker, sizeof broker);
    return op->broker != NULL ? 0 : FB_ERR_IO;
}

/* The ticket keys of all brokers that the document lists. */
static int read_ticket_keys(const struct fb_operator_config *config,
                            struct fb_ticket_key keys[static FB_DOCUMENT_BROKERS_MAX],
                            size_t *count) {
    struct fb_document document;
    int code = fb_document_parse(config->document, config->document_len, &document);
    if (code != 0)
        return code;
    for (size_t i = 0; i < document.broker_count; i++)
        fb_ticket_key_init(&keys[i], config->crypto, document.brokers[i].ticket_key);
    *count = document.broker_count;
    return 0;
}

static int start_egress(struct fb_operator *op, const struct fb_operator_config *config,
                        char err[static FB_OPERATOR_ERR_MAX]) {
    struct fb_ticket_key keys[FB_DOCUMENT_BROKERS_MAX];
    struct fb_egress_config egress;
    fb_egress_config_init(&egress);
    egress.net = config->net;
    egress.server = op->server;
    egress.crypto = config->crypto;
    egress.log = config->egress_log;
    egress.policy = config->policy;
    egress.ticket_keys = keys;
    memcpy(egress.network_id, config->network_id, sizeof egress.network_id);
    memcpy(egress.key, config->egress_key, sizeof egress.key);
    int code = read_ticket_keys(config, keys, &egress.ticket_key_count);
    if (code == 0)
        code = fb_egress_new(&op->egress, &egress);
    fb_wipe(&egress, sizeof egress);
    if (code == 0)
        code = fb_egress_set_document(op->egress, config->document, config->document_len);
    if (code == 0)
        code = fb_broker_attach(op->broker, fb_egress_id(op->egress),
                                fb_egress_process_id(op->egress), fb_egress_answered, op->egress,
                                &op->link);
    if (code != 0) {
        snprintf(err, FB_OPERATOR_ERR_MAX, "the egress cannot start: %s", fb_strerror(code));
        return code;
    }
    op->attached = true;
    fb_egress_set_broker(op->egress, &op->link);
    return 0;
}

struct fb_operator *fb_operator_new(const struct fb_operator_config *config,
                                    char err[static FB_OPERATOR_ERR_MAX]) {
    struct fb_operator *op = calloc(1, sizeof *op);
    if (op == NULL) {
        snprintf(err, FB_OPERATOR_ERR_MAX, "out of memory");
        return NULL;
    }
    op->net = config->net;
    op->server = fb_server_new(config->net, config->cert, config->key, err);
    if (op->server != NULL && start_broker(op, config, err) == 0 &&
        start_egress(op, config, err) == 0)
        return op;
    fb_operator_free(op);
    return NULL;
}

void fb_operator_free(struct fb_operator *op) {
    if (op == NULL)
        return;
    fb_stun_free(op->stun);
    if (op->attached) {
        fb_egress_set_broker(op->egress, NULL);
        fb_broker_detach(op->broker, &op->link);
    }
    if (op->broker != NULL)
        fb_broker_stop(op->broker);
    if (op->egress != NULL)
        fb_egress_stop(op->egress);
    fb_server_free(op->server);
    fb_broker_free(op->broker);
    fb_egress_free(op->egress);
    free(op);
}

int fb_operator_listen(struct fb_operator *op, struct fb_addr *addr,
                       char err[static FB_OPERATOR_ERR_MAX]) {
    return fb_server_listen(op->server, addr, err);
}

int fb_operator_stun(struct fb_operator *op, struct fb_addr *addr,
                     char err[static FB_OPERATOR_ERR_MAX]) {
    op->stun = fb_stun_new(fb_net_loop(op->net), addr, err);
    return op->stun != NULL ? 0 : FB_ERR_IO;
}

const struct fb_broker *fb_operator_broker(const struct fb_operator *op) {
    return op->broker;
}

const struct fb_egress *fb_operator_egress(const struct fb_operator *op) {
    return op->egress;
}
