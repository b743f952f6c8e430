/*
 * Private to the broker's files:
 *     broker.c            birth, death, the pump between core/match and everybody
 *     broker_offer.c      offers: opening, refusing, answering
 *     broker_volunteer.c  the WebSocket of volunteers
 *     broker_egress.c     egress processes, attached here or over /v1/link
 *     broker_pages.c      status, document, the widget's configuration and files
 */
#ifndef FB_ROLE_BROKER_IMPL_H
#define FB_ROLE_BROKER_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "core/bucket.h"
#include "core/linkseal.h"
#include "core/rendezvous.h"
#include "core/ticket.h"
#include "net/loop.h"
#include "net/pages.h"
#include "role/broker.h"

/* Ephemeral keys of offers seen, 16 bytes of each: about 40 bytes of memory. The oldest is
 * forgotten; what could be done with it then is to make a volunteer call addresses that were
 * candidates long ago, for an answer that only the first sender can open. */
#define SEEN_MAX 262144
#define SEEN_LEN 16
#define COUNTRIES_MAX 256
/* A socket that has not said who it is. */
#define HELLO_US UINT64_C(10000000)

/* What is published, a period after it was counted. */
struct snapshot {
    uint64_t volunteers, matches;
    size_t country_count;
    struct fb_match_country countries[COUNTRIES_MAX];
};

struct fb_broker {
    struct fb_net *net;
    const struct fb_crypto *crypto;
    const struct fb_log *log;
    const struct fb_geoip *geoip;
    const struct fb_mem *mem;
    const struct fb_rng *rng;
    struct fb_broker_limits limits;
    struct fb_censored censored;
    uint8_t country[FB_COUNTRY_LEN];
    bool local, has_link, stopped;
    uint8_t network_id[FB_NETWORK_ID_LEN];
    uint8_t sealing_key[FB_KEY_LEN], ticket_seed[FB_KEY_LEN], link_secret[FB_KEY_LEN];
    struct fb_ticket_key ticket_key;
    struct fb_document document;
    uint8_t document_bytes[FB_DOCUMENT_MAX];
    size_t document_len;
    const struct fb_document_broker *self; /* our entry in it */

    struct fb_match *match;
    struct fb_timer *timer;    /* the matcher's deadline */
    struct fb_timer *arriving; /* offers of egresses, taken from the loop */
    struct fb_timer *slow;     /* sockets without hello */
    struct fb_list requests;   /* struct request: being matched */
    struct fb_list arrived;    /* struct request: from an egress, not opened yet */
    struct fb_list volunteers, processes, links;
    struct fb_seldom bad_links; /* closed before they were an egress's: anybody can do that */
    int bad_link;               /* why, the last time */

    struct fb_map *seen; /* to a slot of seen_keys */
    uint8_t (*seen_keys)[SEEN_LEN];
    size_t seen_next;
    struct fb_buckets *rates; /* offers by address; NULL: no limit */
    struct fb_broker_counts counts;

    struct fb_timer *status_timer;
    struct snapshot counted, published;
    struct fb_pages *pages;
    char *widget_json; /* without its last brace: what depends on who asks is added */
};

/* One egress process. Its answers leave by `answered`, to this process or over a link. */
struct process {
    struct fb_list link;
    struct fb_broker *broker;
    uint8_t egress[FB_EGRESS_ID_LEN], id[FB_PROCESS_ID_LEN];
    struct fb_link_load load;
    uint32_t under_way;    /* offers of its sessions */
    uint64_t newcomers_us; /* what offers without a handle have used up */
    fb_link_answered *answered;
    void *user;
};

/* One offer, from its arrival to its answer. */
struct request {
    struct fb_list link;
    struct fb_broker *broker;
    struct fb_http_req *http; /* NULL: came by */
    struct process *process;  /* this egress, with its number; NULL: that egress is gone */
    uint64_t number;
    uint8_t *sealed; /* while in broker->arrived */
    size_t sealed_len;
    struct fb_rendezvous *rv;
    struct fb_offer offer;
    uint8_t country[FB_COUNTRY_LEN]; /* where the client is, as far as is known */
    uint64_t id;                     /* the matcher's; 0: not there yet */
};

struct volunteer {
    struct fb_list link;
    struct fb_broker *broker;
    struct fb_ws *ws;
    uint64_t id; /* the matcher's; 0: no hello yet */
    uint64_t born_us;
    uint64_t talked_until_us; /* what its messages have used up of what it may say */
    uint8_t country[FB_COUNTRY_LEN], prefix[FB_ADDR_PREFIX_LEN];
};

static inline uint64_t now_ms(void) {
    return fb_now_us() / 1000;
}

/* broker.c: does what the matcher says; after anything that touched it. */
void broker_pump(struct fb_broker *broker);
/* Country and prefix of an address, for matching. Behind a proxy of the operator's everybody has
 * the proxy's private address: that says nothing, and must not make them all neighbours. */
void broker_place(const struct fb_broker *broker, const struct fb_addr *addr,
                  uint8_t country[FB_COUNTRY_LEN], uint8_t prefix[FB_ADDR_PREFIX_LEN]);

/* broker_offer.c */
void broker_take_http_offer(void *user, struct fb_http_req *http);
/* From an egress; the rest happens in broker_take_arrived. 0, FB_ERR_LIMIT, FB_ERR_NOMEM. */
int broker_take_link_offer(struct process *process, uint64_t number, const uint8_t *sealed,
                           size_t len);
void broker_take_arrived(void *user);
/* ... which nobody waits for any more. */
void broker_cancel_link_offer(struct process *process, uint64_t number);
/* Answers with a status and frees. */
void broker_refuse(struct request *request, enum fb_answer_status status, uint16_t retry_after);
/* The volunteer has answered: ticket and first message to it, the description to the client. */
void broker_answer(struct request *request, struct volunteer *volunteer, uint64_t match,
                   const struct fb_desc *desc);
/* Frees without an answer. */
void broker_request_free(struct request *request);

/* broker_volunteer.c */
int broker_add_volunteer_route(struct fb_broker *broker, struct fb_server *server);
/* False: it was not sent; the socket is closed and the volunteer gone from the matcher. */
bool broker_tell(struct volunteer *volunteer, const struct fb_vol_msg *msg);
void broker_volunteer_close(struct volunteer *volunteer, int code, const char *reason);

/* broker_egress.c */
int broker_add_link_route(struct fb_broker *broker, struct fb_server *server);
/* A process of that egress: the one named, or for all zero the one with the fewest paths. NULL
 * with *why: why not. */
struct process *broker_find_process(struct fb_broker *broker, const uint8_t *egress,
                                    const uint8_t *process, enum fb_answer_status *why);
void broker_close_links(struct fb_broker *broker, const char *reason);
/* Links that have not proved themselves in time. */
void broker_sweep_links(struct fb_broker *broker, uint64_t now_us);

/* broker_pages.c */
int broker_add_pages(struct fb_broker *broker, struct fb_server *server);
void broker_status_tick(void *user);

#endif
