/*
 * The egress's end of its link to a broker in another process: keeps a WebSocket to the broker's
 * /v1/link (doc/protocol.md, "Broker and egress"), seals it with core/linkseal.h, and fills a
 * struct fb_broker_link while it is up. When it breaks it is dialled again, with back-off from 1 s
 * to 30 s. One a broker; runs on the net's loop.
 */
#ifndef FB_ROLE_EGRESS_LINK_H
#define FB_ROLE_EGRESS_LINK_H

#include "core/crypto.h"
#include "net/log.h"
#include "net/net.h"
#include "role/link.h"

struct fb_egress_link;

struct fb_egress_link_config {
    struct fb_net *net;
    const struct fb_crypto *crypto;
    const struct fb_log *log;        /* may be NULL */
    const char *broker_url;          /* http or https, as the network document has it; copied */
    uint8_t broker_key[FB_KEY_LEN];  /* the broker's public sealing key */
    uint8_t link_secret[FB_KEY_LEN]; /* the caller wipes its copy */
    uint8_t egress[FB_EGRESS_ID_LEN];
    uint8_t process[FB_PROCESS_ID_LEN];
    /* The link is up (copy the struct), or down (NULL). For an egress: fb_egress_set_broker. */
    void (*changed)(void *user, const struct fb_broker_link *link);
    fb_link_answered *answered; /* fb_egress_answered */
    void *user;
};

/* Begins at once; callbacks come from the loop. NULL: out of memory, or the URL is malformed. */
struct fb_egress_link *fb_egress_link_new(const struct fb_egress_link_config *config);
/* No callback follows, `changed` neither. Accepts NULL. */
void fb_egress_link_free(struct fb_egress_link *link);

#endif
