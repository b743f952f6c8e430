/*
 * An operator's servers in one process, as `serve` and `demo` run them: broker, egress and widget
 * on one HTTP server, and a STUN responder beside it.
 */
#ifndef FB_CMD_OPERATOR_H
#define FB_CMD_OPERATOR_H

#include "core/exitpolicy.h"
#include "net/geoip.h"
#include "role/broker.h"
#include "role/egress.h"

struct fb_operator_config {
    struct fb_net *net;
    const struct fb_crypto *crypto;
    const struct fb_log *broker_log, *egress_log;
    const struct fb_geoip *geoip;        /* may be NULL */
    const struct fb_censored *censored;  /* NULL: the usual */
    uint8_t country[FB_COUNTRY_LEN];     /* fb_broker_config's */
    const struct fb_exit_policy *policy; /* outlives the operator, as does everything above */
    const char *cert, *key;              /* PEM files, both or neither */
    uint8_t network_id[FB_NETWORK_ID_LEN];
    uint8_t sealing_key[FB_KEY_LEN], ticket_seed[FB_KEY_LEN], egress_key[FB_KEY_LEN];
    const uint8_t *link_secret; /* for egresses in other processes; NULL: none */
    const uint8_t *document;    /* as signed */
    size_t document_len;
};

#define FB_OPERATOR_ERR_MAX 512

struct fb_operator;

/* NULL with one line in err. Everything in config but the keys, which the caller wipes, outlives
 * the object. */
struct fb_operator *fb_operator_new(const struct fb_operator_config *config,
                                    char err[static FB_OPERATOR_ERR_MAX]);
/* Before fb_net_free, outside every callback: says goodbye and frees everything. Accepts NULL. */
void fb_operator_free(struct fb_operator *op);

/* Listens for HTTP and WebSocket, as fb_server_listen(); may be called for several addresses. */
int fb_operator_listen(struct fb_operator *op, struct fb_addr *addr,
                       char err[static FB_OPERATOR_ERR_MAX]);
/* Answers STUN requests at an address, once. FB_ERR_IO with a message. */
int fb_operator_stun(struct fb_operator *op, struct fb_addr *addr,
                     char err[static FB_OPERATOR_ERR_MAX]);

const struct fb_broker *fb_operator_broker(const struct fb_operator *op);
const struct fb_egress *fb_operator_egress(const struct fb_operator *op);

#endif
