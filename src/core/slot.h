/*
 * A volunteer: what it agrees to, when it reconnects, when it gives up. Sans-IO; the same file runs
 * in the headless daemon, in the browser as wasm, and in the simulator. The caller ("glue") owns
 * sockets and peer connections, tells what happened, and then does what fb_slot_poll() says until
 * that returns false. Times are milliseconds of any clock that never goes back; call fb_slot_tick()
 * when fb_slot_deadline() has come (calling it early or late is harmless).
 *
 * Off until fb_slot_switch(on), which glue calls for the visitor's own click or standing choice
 * and for nothing else. While on, one WebSocket to the broker is kept. Each match has a number m,
 * unique within the slot's life, and two hops: one to FB_LANES_MAX peer connections (answering
 * side, data channel with id 0 agreed upon) and one WebSocket to an egress. A peer connection has a
 * number too, unique among all of both kinds, and while it lives an index below FB_LANES_MAX, its
 * lane; the first one of a match is number m and lane 0. Nothing of a peer connection is used for
 * another: glue makes a new one with a new certificate each time.
 *
 * The life of a match:
 *   OFFER from the broker      -> FB_SLOT_PEER_CREATE
 *   fb_slot_peer_described()   -> ANSWER to the broker
 *   RELEASE from the broker    -> FB_SLOT_EGRESS_OPEN, while ICE still runs (with the answer
 *                                 already where the network has one egress)
 *   fb_slot_egress_open()      -> FB_SLOT_EGRESS_SEND of the attach message, once released
 *   fb_slot_peer_open()        -> with both open, messages are relayed
 *   the client offers a lane   -> FB_SLOT_PEER_CREATE, and so on as above, with FB_SLOT_PEER_SEND
 *   a message has to wait      -> FB_SLOT_NEXT, when it may go on
 *   a lane closes, others live -> nothing is lost but what it held
 *   either hop closes, a time limit, a limit, paused, switched off
 *                              -> FB_SLOT_PEER_CLOSE and FB_SLOT_EGRESS_CLOSE; the match is gone
 * Events about a match that is gone are ignored, so glue needs no care with late callbacks.
 *
 * Limits (slot_limits.c). A speed limit lets messages wait at glue and says which is next: readers
 * that wait take turns by bytes, whatever their number of streams and in both directions together;
 * hop control never waits. The sessions' windows follow the delay, so what waits stays short. Where
 * a limit or a place says stop, the slot is paused: it leaves the broker and ends its matches as
 * when switched off, and comes back by itself.
 */
#ifndef FB_CORE_SLOT_H
#define FB_CORE_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/describe.h"
#include "core/hop.h"
#include "core/lanes.h"
#include "core/message.h"
#include "core/signal.h"

#define FB_SLOT_EGRESS_MAX 16   /* egresses in one network */
#define FB_SLOT_CAPACITY_MAX 64 /* matches at once, whatever is asked for */
#define FB_SLOT_CAPACITY_DEFAULT 4
#define FB_SLOT_NEVER UINT64_MAX /* no deadline */

#define FB_SLOT_DESCRIBE_MS 8000 /* offer to own description; the broker waits 10 s */
#define FB_SLOT_RELEASE_MS 12000 /* answer to RELEASE */
#define FB_SLOT_OPEN_MS 25000    /* RELEASE to both hops open */
#define FB_SLOT_STATUS_MS 45000 /* between STATUS messages: below the usual idle limit of proxies */
#define FB_SLOT_WELCOME_MS 20000 /* connecting to WELCOME */

/* Peer connections that come to nothing: this many at once, then one a second. So a broker that
 * pushes offers without end cannot use volunteers to knock at somebody's address. */
#define FB_SLOT_TRIES 64
#define FB_SLOT_TRY_MS 1000

/* Lanes beyond the first: in all matches together, and how long one may take to open, or to be
 * closed once its client has said that it closes it. */
#define FB_SLOT_LANES_MAX 64
#define FB_SLOT_LANE_MS 20000
/* They come out of FB_SLOT_TRIES, but leave so many of them to new readers. */
#define FB_SLOT_TRIES_KEPT 16
/* Offers and closes of lanes in one match: this many at once, then one a second; more is a breach.
 * A client of ours stays below half of that. */
#define FB_SLOT_LANE_TRIES 48
#define FB_SLOT_LANE_TRY_MS 1000
/* Further lanes of one match that came to nothing; from then on it is refused more. */
#define FB_SLOT_LANES_FAILED_MAX 8

/* The wait before the broker is tried again doubles from RETRY to RETRY_CAP, plus up to half of it
 * and 2 s by chance; it starts over after RETRY_GOOD of being welcome. */
#define FB_SLOT_RETRY_MS 1000
#define FB_SLOT_RETRY_CAP_MS 120000
#define FB_SLOT_RETRY_GOOD_MS 60000

/* A hop whose queue, with what waits for it, passes this closes the path; the session sends again
 * what it held. */
#define FB_SLOT_QUEUE_MAX (1024 * 1024)
/* A queue is reported to its sender when it has passed this, and when it is below a quarter. */
#define FB_SLOT_QUEUE_REPORT (256 * 1024)
/* What may wait in each direction for the hop that is not open yet. */
#define FB_SLOT_HOLD_MAX (32 * 1024)

/* A speed limit, bytes a second: the lowest; so many readers at once that each has at least SHARE
 * (below, a session's first window would wait for seconds); and so much time of silence may be made
 * up for by a burst: as late as glue's timers may be. */
#define FB_SLOT_RATE_MIN 16000
#define FB_SLOT_RATE_SHARE 32000
#define FB_SLOT_RATE_BURST_MS 50
/* So near to its end the month's budget counts as used: what is under way when it stops. */
#define FB_SLOT_BUDGET_RESERVE (1024 * 1024)

struct fb_slot_config {
    enum fb_volunteer_kind kind;
    enum fb_nat nat;
    uint16_t capacity; /* as fb_slot_limits.people, until those are set */
    bool local;        /* see fb_desc_filter() */
    size_t egress_count;
    uint8_t egress[FB_SLOT_EGRESS_MAX][FB_EGRESS_ID_LEN]; /* the only ones it connects to */
};

struct fb_slot;

/* mem and rng are kept, config is copied. NULL when out of memory or with too many egresses.
 * All memory is taken here. */
struct fb_slot *fb_slot_new(const struct fb_mem *mem, const struct fb_rng *rng,
                            const struct fb_slot_config *config);
/* Glue closes its sockets and peers itself. NULL-safe. */
void fb_slot_free(struct fb_slot *slot);

/* ---- Commands ---- */

/* Off closes everything, with a farewell; nothing reconnects. */
void fb_slot_switch(struct fb_slot *slot, bool on, uint64_t now_ms);

struct fb_slot_limits {
    uint16_t people; /* at once; matches above it stay until they end. 0: the default */
    uint32_t rate;   /* bytes a second, of both directions together, relayed once; 0: no limit */
    /* Bytes a month: of messages in and out, so that each relayed byte counts twice, hop control
     * and the broker's messages too; what carries them (IP, DTLS, TLS) is not seen here. 0: none */
    uint64_t budget;
    uint64_t used;             /* of it in `month`, before now; what the slot has counted stays */
    uint32_t month;            /* year * 100 + month */
    uint16_t from_min, to_min; /* of the local day, between which it helps; equal: always */
    bool metered, battery;     /* go on when metered, on low battery */
};
void fb_slot_set_limits(struct fb_slot *slot, const struct fb_slot_limits *limits, uint64_t now_ms);
/* What the local clock shows, as minutes since it showed 1970-01-01 00:00. Again when that may have
 * changed: summer time, a machine that slept. Before the first time no hours hold and no month
 * ends. */
void fb_slot_set_clock(struct fb_slot *slot, uint32_t minutes, uint64_t now_ms);
/* Not metered and no low battery, until told. */
void fb_slot_set_place(struct fb_slot *slot, bool metered, bool low_battery, uint64_t now_ms);
/* What the STUN servers showed; told to the broker with the next HELLO. */
void fb_slot_set_nat(struct fb_slot *slot, enum fb_nat nat);

/* ---- Events ---- */

void fb_slot_broker_open(struct fb_slot *slot, uint64_t now_ms);
/* Closed, or could not be opened. code: the WebSocket's (RFC 6455 section 7.4), 0: none. */
#define FB_SLOT_CODE_TOO_BIG 1009
#define FB_SLOT_CODE_VERSION 4001
void fb_slot_broker_closed(struct fb_slot *slot, unsigned code, uint64_t now_ms);
/* One whole binary message. One that breaks the rules closes the socket. */
void fb_slot_broker_message(struct fb_slot *slot, const uint8_t *msg, size_t len, uint64_t now_ms);

/* This side's description of the peer, candidates gathered. */
void fb_slot_peer_described(struct fb_slot *slot, uint32_t peer, const struct fb_desc *desc,
                            uint64_t now_ms);
void fb_slot_peer_open(struct fb_slot *slot, uint32_t peer, uint64_t now_ms);
/* Closed, failed, or could not be made; glue has let go of it, no FB_SLOT_PEER_CLOSE follows. The
 * same for the egress. */
void fb_slot_peer_closed(struct fb_slot *slot, uint32_t peer, uint64_t now_ms);
void fb_slot_egress_open(struct fb_slot *slot, uint32_t m, uint64_t now_ms);
void fb_slot_egress_closed(struct fb_slot *slot, uint32_t m, uint64_t now_ms);

void fb_slot_tick(struct fb_slot *slot, uint64_t now_ms);
uint64_t fb_slot_deadline(const struct fb_slot *slot);

/* ---- Relaying ---- */

enum fb_relay {
    FB_RELAY_DROP = 0, /* forget the message */
    FB_RELAY_PASS = 1, /* send it on as it is */
    FB_RELAY_WAIT = 2, /* keep it behind those of this match and direction that wait already */
    FB_RELAY_HOP = 3,  /* give the message to fb_slot_hop() */
};

/* What the first byte alone decides, for both hops open: PASS, DROP or HOP. */
enum fb_relay fb_relay_kind(uint8_t first_byte, bool from_client);

/*
 * One message that arrived on a hop of match m, before glue sends it on: decides, and counts its
 * bytes. queued: what the other hop's send buffers hold, without what waits: of the WebSocket one
 * number, of the client's lanes FB_LANES_MAX of them, by index (those of lanes that are not open do
 * not matter). Too much queued or waiting closes the match: DROP, and actions to poll. So does an
 * empty message or one longer than FB_MESSAGE_MAX. *lane: with PASS towards the client, the lane to
 * send it on.
 */
enum fb_relay fb_slot_relay(struct fb_slot *slot, uint32_t m, bool from_client, uint8_t first_byte,
                            size_t len, const uint32_t *queued, uint32_t *lane, uint64_t now_ms);
/* The first of those that wait, for FB_SLOT_NEXT, before the next action is polled: PASS or DROP,
 * the rest as above. */
enum fb_relay fb_slot_next(struct fb_slot *slot, uint32_t m, bool from_client, size_t len,
                           const uint32_t *queued, uint32_t *lane, uint64_t now_ms);
/* A hop control message, whole. */
void fb_slot_hop(struct fb_slot *slot, uint32_t m, bool from_client, const uint8_t *msg, size_t len,
                 uint64_t now_ms);
/* A send buffer towards the client (or that towards the egress) drained; queued as above; for queue
 * reports. Glue calls it on low-water events alone; a lane's mark is FB_SLOT_LANE_LOW. */
#define FB_SLOT_LANE_LOW 4000
void fb_slot_drained(struct fb_slot *slot, uint32_t m, bool to_client, const uint32_t *queued,
                     uint64_t now_ms);

/* ---- Actions ---- */

enum fb_slot_action_type {
    FB_SLOT_BROKER_CONNECT = 1,
    FB_SLOT_BROKER_SEND = 2,  /* bytes */
    FB_SLOT_BROKER_CLOSE = 3, /* and report nothing more about that socket */
    FB_SLOT_PEER_CREATE = 4,  /* m, peer, lane, desc: answer this offer */
    FB_SLOT_PEER_SEND = 5,    /* m, lane, bytes: on its data channel */
    FB_SLOT_PEER_CLOSE = 6,   /* m, peer, lane; after what was sent has left, within reason */
    FB_SLOT_EGRESS_OPEN = 7,  /* m, egress: index in the configured list */
    FB_SLOT_EGRESS_SEND = 8,  /* m, bytes: on the WebSocket */
    FB_SLOT_EGRESS_CLOSE = 9, /* m; after what was sent has left */
    FB_SLOT_CHANGED = 10,     /* what fb_slot_view() tells is new, bytes aside */
    FB_SLOT_NEXT = 11,        /* m, from_client: fb_slot_next() */
};

/* Pointers stay good until the next call of any fb_slot function. */
struct fb_slot_action {
    enum fb_slot_action_type type;
    uint32_t m;
    uint32_t egress;
    uint32_t peer, lane;
    bool from_client;
    const struct fb_desc *desc;
    const uint8_t *bytes;
    size_t len;
};

/* The next thing to do; false: nothing. Bounded whatever the broker and peers do: actions are
 * drawn from the state of at most FB_SLOT_CAPACITY_MAX matches, not queued. */
bool fb_slot_poll(struct fb_slot *slot, struct fb_slot_action *out);

/* ---- For the person ---- */

enum fb_slot_state {
    FB_SLOT_OFF = 0,
    FB_SLOT_CONNECTING = 1, /* to the broker */
    FB_SLOT_WAITING = 2,    /* for a reader; or, with retry_ms set, to try the broker again */
    FB_SLOT_CARRYING = 3,
    FB_SLOT_PAUSED = 4, /* by a limit; see fb_slot_view.paused */
};

enum fb_slot_pause {
    FB_PAUSE_BUDGET = 1,
    FB_PAUSE_HOURS = 2,
    FB_PAUSE_METERED = 4,
    FB_PAUSE_BATTERY = 8,
};

/* The last thing that went wrong. */
enum fb_slot_trouble {
    FB_TROUBLE_NONE = 0,
    FB_TROUBLE_UNREACHABLE = 1, /* the broker */
    FB_TROUBLE_GARBAGE = 2,     /* it said what no broker says, or not then */
    FB_TROUBLE_VERSION = 3,     /* it speaks another version */
    FB_TROUBLE_EGRESS = 4,      /* it named an egress that the network does not have */
    FB_TROUBLE_FLOOD = 5,       /* it sent more readers than were asked for */
    FB_TROUBLE_SILENT = 6,      /* it did not greet, or made a match and said nothing more */
    FB_TROUBLE_OVERSIZED = 7,   /* a message longer than any may be, from whomever */
};

struct fb_slot_view {
    enum fb_slot_state state;
    bool broker;       /* welcomed by the broker */
    uint64_t retry_ms; /* when the broker is tried again; FB_SLOT_NEVER: not planned */
    uint16_t capacity;
    uint16_t people_now;              /* matches with both hops open */
    uint64_t people_total;            /* since birth */
    uint64_t bytes_up, bytes_down;    /* relayed towards the egress, towards clients */
    enum fb_farewell last_close;      /* why the last match that had opened ended */
    char country[FB_COUNTRY_LEN + 1]; /* this volunteer's, from the broker; "" unknown */
    unsigned paused;                  /* enum fb_slot_pause, why state is PAUSED; 0: it is not */
    enum fb_slot_trouble trouble;
    uint64_t used;  /* of the month's budget, counted without one too */
    uint32_t month; /* whose; 0: not known */
};

void fb_slot_view(const struct fb_slot *slot, struct fb_slot_view *out);

struct fb_slot_person {
    uint32_t id;                      /* the match's m */
    char country[FB_COUNTRY_LEN + 1]; /* by the broker; "" unknown */
};
/* Those who are helped now, view.people_now of them. */
size_t fb_slot_people(const struct fb_slot *slot, struct fb_slot_person out[FB_SLOT_CAPACITY_MAX]);

#endif
