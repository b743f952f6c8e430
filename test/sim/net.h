/*
 * The simulated network: clients, volunteers, one broker, egresses, and the paths between them, all
 * with the real core and nothing else of the program. What src/role does with sockets is done here
 * with hops and events, as thinly as possible:
 *
 *   client.c     core/session, core/rendezvous: offers, paths, the pump
 *   volunteer.c  core/slot: its glue, and what volunteers do wrong
 *   broker.c     core/match, core/rendezvous, core/ticket
 *   egress.c     core/ticket, core/tokens, core/session
 *   app.c        transfers: what apps and origins write, read and check
 *   check.c      the invariants that time or the end of a run tells
 *   scenario.c   from a seed: how many of what, and what happens to them
 *   meddle.c     self-tests: faults that the invariants must catch
 *
 * Everything belongs to the world's memory and is freed with it, but for what the core frees.
 */
#ifndef FB_SIM_NET_H
#define FB_SIM_NET_H

#include "base/list.h"
#include "base/map.h"
#include "core/crypto.h"
#include "core/match.h"
#include "core/rendezvous.h"
#include "core/session.h"
#include "core/slot.h"
#include "core/ticket.h"
#include "core/tokens.h"
#include "sim/hop.h"
#include "sim/world.h"

/* Streams by which the windows of a session are measured in the end, in each direction: so many
 * that their first windows, three quarters used, are more than the session's. */
#define PROBES 96
#define APP_AT_ONCE 12               /* transfers of a client */
#define EPOCH_S UINT64_C(1700000000) /* unix time at virtual time 0 */

/* ---- what a run is ---- */

enum meddling { /* self-tests; each must break an invariant */
                MEDDLE_NOTHING,
                MEDDLE_DUPLICATE, /* bytes of a stream come twice */
                MEDDLE_REORDER,   /* two pieces of a stream change places */
                MEDDLE_WITHHOLD,  /* the egress says of each session window a little less */
                MEDDLE_STARVE,    /* no new window is ever told */
                MEDDLE_SWALLOW,   /* packets of data arrive without their data */
                MEDDLE_TOKENS,    /* the egress's token source repeats itself */
                MEDDLE_LEAK,      /* what a session frees stays taken */
                MEDDLE_GLUTTON,   /* an honest volunteer's glue fills its queue and hides it */
                MEDDLE_COUNT
};

struct plan {
    uint64_t seed;
    unsigned clients, volunteers, egresses, transfers; /* transfers: per client */
    unsigned paths;                                    /* that a client wants at once */
    unsigned lanes;                                    /* of each path */
    unsigned faults; /* per thousand volunteers that are hostile or broken */
    unsigned loss;   /* packets in 100,000, the most that a volunteer's link loses */
    uint64_t bytes;  /* the most that one transfer carries each way */
    uint64_t calm;   /* us; from then on nobody misbehaves, so that all can end */
    uint64_t life;   /* us; mean time between two mishaps of a volunteer */
    bool real_crypto, restarts;
    uint64_t max_data, max_stream_data; /* what each side is ready to receive */
    uint64_t first_stream_data;
    enum meddling meddling;
};

/* What the seed makes of itself. large: thousands of volunteers. */
void plan_from_seed(struct plan *plan, uint64_t seed, bool large);

/* ---- who takes part ---- */

struct net;
struct path;
struct esession;

enum volunteer_kind {
    HONEST,
    CORRUPTER, /* flips a bit now and then */
    DOUBLER,   /* sends messages twice, some much later */
    DROPPER,
    HOARDER,  /* takes all and keeps it: its slot never hears of a queue */
    REPLAYER, /* attaches a second time with what attached it */
    VOLUNTEER_KINDS
};

struct volunteer {
    struct net *net;
    unsigned index;
    enum volunteer_kind kind;
    unsigned rate_of_evil; /* per thousand messages */
    struct world_mem mem;
    struct world_rng rng;
    struct fb_slot *slot; /* NULL: the tab is closed */
    struct fb_list paths; /* struct path.by_volunteer */
    struct bsocket *socket;
    uint64_t timer;
    uint64_t frozen_until, crawls_until;
    uint64_t delay, jitter;
    unsigned loss;
    struct wire up, down;
    uint64_t rate_up, rate_down; /* in good days */
    uint32_t limit;              /* what it gives of that, bytes a second; 0: all */
    enum fb_nat nat;
    uint8_t country[FB_COUNTRY_LEN], prefix[FB_ADDR_PREFIX_LEN];
};

/* A WebSocket between volunteer and broker. */
struct bsocket {
    struct volunteer *volunteer;
    bool dead;
    uint64_t id; /* in the matcher; 0: before HELLO */
};

struct transfer {
    struct fb_list link;
    struct client *client;
    unsigned serial;
    uint64_t up, down;           /* bytes wanted */
    uint64_t up_done, down_done; /* written */
    uint64_t up_read, down_read;
    uint64_t begin_at; /* not before */
    uint64_t stream;
    struct esession *origin;
    bool begun, headed, head_unread, finished[2], up_end, down_end, gone[2], lost, over;
    uint64_t pause_at[2], pause_us[2]; /* end (0 client, 1 origin) stops reading at this byte */
    bool paused[2];
    uint64_t reset_at[2]; /* that end gives up at this byte; NEVER: not */
    bool was_reset;
    bool probe; /* the end's test of windows: read only when told */
};

struct client {
    struct net *net;
    unsigned index;
    struct world_mem mem;
    struct world_rng rng;
    struct fb_session *s;
    unsigned sessions; /* begun so far */
    unsigned egress;   /* index */
    uint8_t handle[FB_HANDLE_LEN];
    struct fb_list paths; /* struct path.by_client */
    struct fb_list transfers;
    unsigned open_transfers, started;
    uint32_t next_number;
    unsigned failures;
    uint64_t retry_at, timer;
    bool pumping, calm, stopped;
    uint64_t delay;
    struct wire up, down;
    uint8_t country[FB_COUNTRY_LEN], prefix[FB_ADDR_PREFIX_LEN];
    enum fb_nat nat;
    /* for the invariants */
    uint64_t progress_at, good_since, no_path_since;
    uint64_t longest_stall;
    unsigned end_stage, end_rounds;
    uint64_t end_since, end_held;
};

/* A session as the egress has it. */
struct esession {
    struct fb_list link;
    struct egress *egress;
    struct client *client; /* the wiring's knowledge, for its checks */
    struct fb_session *s;
    struct world_mem mem;
    struct fb_list paths; /* struct path.by_session */
    uint64_t timer, no_path_since;
    bool pumping, dead;
};

struct egress {
    struct net *net;
    unsigned index;
    uint8_t private_key[FB_KEY_LEN], public_key[FB_KEY_LEN];
    uint8_t process_id[FB_PROCESS_ID_LEN];
    struct world_mem mem; /* tokens and tickets used */
    struct world_rng rng;
    uint64_t stuck; /* MEDDLE_TOKENS: what its token source counts */
    struct fb_rng token_rng;
    struct fb_tokens *tokens;
    struct fb_replay *replay;
    struct fb_map *used; /* tickets and tokens that were good: must never be again */
    struct fb_list sessions;
    struct fb_list arriving; /* paths that have not attached */
    uint64_t delay;
};

enum path_stage { ASKING, CONNECTING, UP, OPEN, GONE };

/* One offer, and what becomes of it: all three ends of a path. */
struct path {
    struct net *net;
    unsigned serial;
    /* the client's end */
    struct fb_list by_client;
    struct client *client;
    uint32_t id, number; /* number: of the offer in the session; 0: it went directly */
    enum path_stage stage;
    struct fb_rendezvous *rv;
    uint8_t first[FB_FIRST_LEN];
    uint64_t since;
    size_t told_client; /* queue in the volunteer, as it says */
    /* the volunteer's end */
    struct fb_list by_volunteer;
    struct volunteer *volunteer;
    uint32_t m, peer_id; /* of the volunteer's slot */
    bool peer, peer_open, ws, ws_open;
    struct fb_list held[2]; /* messages for the hop that is not open; 0: to the client */
    uint64_t attach_replay; /* a REPLAYER has done it */
    /* the egress's end */
    struct fb_list by_session;
    struct egress *egress;
    struct esession *session;
    uint32_t egress_id;
    bool accepted, egress_open;
    size_t told_egress;
    /* hops: client to volunteer and so on */
    struct hop *cv, *vc, *ve, *ev;
    uint64_t good_since;
};

struct broker {
    struct net *net;
    struct world_mem mem;
    struct world_rng rng;
    struct fb_match *match;
    struct fb_list requests;
    uint8_t sealing_private[FB_KEY_LEN], sealing_public[FB_KEY_LEN];
    uint8_t ticket_seed[FB_KEY_LEN];
    struct fb_ticket_key ticket_key;
    uint64_t timer, delay;
};

/* What a run has seen, for the table. */
struct totals {
    uint64_t bytes_up, bytes_down;  /* of transfers, read by the far end */
    uint64_t finished, reset, lost; /* transfers */
    uint64_t sessions, paths, paths_lost, offers, nobody;
    uint64_t frozen, closed, vanished, crawled, returned, restarts, corrupted, doubled, dropped;
    uint64_t replays_refused, altered;
    uint64_t longest_stall; /* us between bytes while a good path was there */
    uint64_t end;           /* us; when the last transfer was over */
    size_t client_peak, egress_peak, volunteer_peak, broker_peak;
};

struct samples;

struct net {
    struct world world;
    struct plan plan;
    const struct fb_crypto *crypto;
    uint8_t network_id[FB_NETWORK_ID_LEN];
    struct broker broker;
    struct client *clients;
    struct volunteer *volunteers;
    struct egress *egresses;
    struct fb_map *paths; /* by the offer's ufrag */
    struct world_mem mem; /* of the simulation's own maps */
    struct world_rng rng;
    unsigned path_count, transfer_count;
    struct transfer **transfers; /* by serial */
    bool ending;                 /* transfers are over, what is left are the tests at the end */
    struct totals totals;
    struct samples *samples; /* NULL: no plot is wanted */
};

uint64_t now_ms(const struct net *net);

/* ---- net.c ---- */
struct net *net_new(const struct plan *plan, bool trace);
void net_free(struct net *net);
/* To the end of all transfers, and the checks there; failure is in net->world.failure. */
void net_run(struct net *net);

/* ---- client.c ---- */
void client_start(struct client *client);
void client_stop(struct client *client);
void client_pump(struct client *client);
/* Frees what the core has given, nothing else: at the end of the world. */
void client_free(struct client *client);
/* The broker's sealed answer to an offer that went directly. */
void client_answered(struct world *world, void *path, uint64_t arg, uint8_t *sealed, size_t len);
void client_end_path(struct path *path, bool tell);

/* ---- volunteer.c ---- */
void volunteer_open_tab(struct volunteer *vol);
void volunteer_free(struct volunteer *vol);
/* farewell: the tab closes in order; else the process is gone between two instructions. */
void volunteer_close_tab(struct volunteer *vol, bool farewell);
void volunteer_freeze(struct volunteer *vol, uint64_t us);
void volunteer_crawl(struct volunteer *vol, uint64_t us);
/* From the broker: data is one message; none: the socket has closed. */
void volunteer_from_broker(struct world *world, void *socket, uint64_t arg, uint8_t *msg,
                           size_t len);
/* The far end of a hop has gone. arg 0: the client's, 1: the egress's. */
void volunteer_hop_closed(struct world *world, void *path, uint64_t arg, uint8_t *data, size_t len);
/* ICE, DTLS and SCTP are done, seen from the volunteer. */
void volunteer_peer_open(struct world *world, void *path, uint64_t arg, uint8_t *data, size_t len);

/* ---- hops: who hears of what ---- */
extern const struct hop_handler client_to_volunteer, volunteer_to_client, volunteer_to_egress,
    egress_to_volunteer;
void client_from_volunteer(void *path, struct hop *hop, uint8_t *msg, size_t len);
void client_drained(void *path, struct hop *hop);
void client_hop_closed(struct world *world, void *path, uint64_t arg, uint8_t *data, size_t len);
void volunteer_from_client(void *path, struct hop *hop, uint8_t *msg, size_t len);
void volunteer_from_egress(void *path, struct hop *hop, uint8_t *msg, size_t len);
void volunteer_drained(void *path, struct hop *hop);
void egress_from_volunteer(void *path, struct hop *hop, uint8_t *msg, size_t len);
void egress_drained(void *path, struct hop *hop);

/* ---- egress.c ---- */
void egress_start(struct egress *egress);
void egress_stop(struct egress *egress);
/* A volunteer's WebSocket arrives, or has closed. */
void egress_accept(struct path *path);
void egress_hop_closed(struct world *world, void *path, uint64_t arg, uint8_t *data, size_t len);
void egress_pump(struct esession *es);

/* ---- broker.c ---- */
void broker_start(struct broker *broker);
void broker_free(struct broker *broker);
/* A sealed offer: of ctx, a path (directly), or of an esession (arg: the client's number). */
void broker_direct_offer(struct world *world, void *path, uint64_t arg, uint8_t *sealed,
                         size_t len);
void broker_session_offer(struct world *world, void *esession, uint64_t number, uint8_t *sealed,
                          size_t len);
/* One message of a volunteer; none: its socket has closed. */
void broker_from_volunteer(struct world *world, void *socket, uint64_t arg, uint8_t *msg,
                           size_t len);
/* A second ticket for a first message: what a broker that colludes would make. */
int broker_ticket(struct broker *broker, const struct egress *egress, const uint8_t *first,
                  uint8_t ticket[static FB_TICKET_LEN]);
void egress_answered(struct world *world, void *esession, uint64_t number, uint8_t *sealed,
                     size_t len);

/* ---- app.c ---- */
void app_plan(struct client *client);
void app_begin_more(struct client *client);
void app_client_event(struct client *client, uint64_t stream, bool gone);
void app_origin_event(struct esession *es, uint64_t stream, bool gone);
void app_session_lost(struct client *client);
void app_origin_lost(struct esession *es);
/* A transfer outside the plan. */
struct transfer *app_request(struct client *client, uint64_t up, uint64_t down, bool probe);
/* Reads what a probe's end has, and stops there again. Who calls pumps. */
void app_drain(struct transfer *t, int end);
/* The client resets it. */
void app_give_up(struct transfer *t);

/* ---- check.c ---- */
/* A byte of a stream has been read, or a transfer has ended. */
void check_progress(struct client *client);
/* Every quarter of a second. */
void check_time(struct world *world, void *net, uint64_t arg, uint8_t *data, size_t len);
/* An honest volunteer's queue after a message. */
void check_queue(const struct path *path, size_t queued);
/* A session has ended that was not asked to. */
void check_session_end(struct client *client, const struct fb_event *event);
/* A ticket or a token was good. */
void check_single_use(struct egress *egress, const char *what, const uint8_t id[16]);
/* All transfers are over: one step of the tests of what must have come back. True: done. */
bool check_end(struct client *client);
size_t session_ceiling(const struct plan *plan);

/* ---- scenario.c ---- */
void scenario_people(struct net *net);
void scenario_mishaps(struct net *net);

/* ---- meddle.c ---- */
/* Changes a packet on its way from a session to its path, in place. */
void meddle_packet(struct net *net, bool from_client, uint8_t *msg, size_t len);

/* ---- plot.c ---- */
struct samples *samples_new(struct net *net);
void samples_take(struct net *net);
/* Writes the plot; false: *errno* says why not. */
bool samples_write(const struct net *net, const char *file);

#endif
