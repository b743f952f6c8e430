/*
 * The inside of core/slot.h, for slot*.c and no one else:
 *   slot.c         the broker, the matches, what is to be done
 *   slot_relay.c   what passes between a match's hops
 *   slot_lanes.c   the lanes of a match
 *   slot_limits.c  how fast, how much, and when
 */
#ifndef FB_CORE_SLOT_IMPL_H
#define FB_CORE_SLOT_IMPL_H

#include "core/lanes.h"
#include "core/slot.h"

enum stage {
    FREE = 0,
    DESCRIBING, /* the offer is here, this side's description is awaited */
    ANSWERED,   /* RELEASE is awaited */
    OPENING,    /* hops are opening */
    CARRYING,   /* both hops are open */
    ENDING,     /* actions are left to be polled, then free */
};

/* Actions that a match still owes, in the order in which fb_slot_poll() gives them. */
enum todo {
    PEER_CREATE = 1 << 0, /* the lane `working` */
    SAY_ANSWER = 1 << 1,  /* to the broker */
    EGRESS_OPEN = 1 << 2,
    EGRESS_ATTACH = 1 << 3,
    EGRESS_LIMIT = 1 << 4,
    PEER_LIMIT = 1 << 5,
    EGRESS_QUEUE = 1 << 6, /* report to the egress: what is queued towards the client */
    PEER_QUEUE = 1 << 7,
    LANE_ANSWER = 1 << 8, /* the lane `working` */
    LANE_REFUSE = 1 << 9, /* the number `refused` */
    LANE_BYE = 1 << 10,   /* those of `bye_lanes` */
    SAY_FULL = 1 << 11,   /* to the client */
    EGRESS_BYE = 1 << 12,
    PEER_BYE = 1 << 13,
    EGRESS_CLOSE = 1 << 14,
    PEER_CLOSE = 1 << 15, /* those of `close_lanes` */
    SAY_DECLINE = 1 << 16,
    SAY_DONE = 1 << 17,
};
#define SAYS (SAY_ANSWER | SAY_DECLINE | SAY_DONE)

enum hop { EGRESS, PEER };

enum lane_stage {
    LANE_FREE = 0,
    LANE_DESCRIBING, /* glue makes and describes its peer */
    LANE_OPENING,
    LANE_OPEN,
    LANE_CLOSING, /* the client closes it, or PEER_CLOSE is to be polled */
};

/* One peer connection of a match; the first one is index 0 with number 1 and the match's own m. */
struct lane {
    uint8_t stage;   /* enum lane_stage */
    bool made;       /* glue has been told to make it, and not that it is gone */
    uint16_t number; /* what the client calls it by */
    uint32_t peer;   /* what glue calls it by */
    uint64_t deadline;
};

/* What waits at glue towards one hop of a match. */
struct wait {
    uint32_t count;
    size_t bytes;
    uint64_t tag; /* start-time fair queueing, in bytes, among the two of the match */
};

struct match {
    enum stage stage;
    unsigned todo;
    uint32_t m;
    bool at_broker; /* the broker's current socket knows it as broker_id */
    uint64_t broker_id;
    uint64_t deadline;
    bool made_egress;    /* glue has been told to make it, and not that it is gone */
    bool open[2];        /* by enum hop */
    struct wait wait[2]; /* towards that hop */
    uint64_t tag, turn;  /* as wait's, among all matches; the tag of what went last in this one */
    char country[FB_COUNTRY_LEN + 1];
    bool reported[2];  /* its queue has been reported as long */
    uint32_t queue[2]; /* what to report */
    bool carried;
    uint32_t egress;
    enum fb_outcome outcome;
    enum fb_farewell bye[2];
    struct fb_vol_release release;
    struct fb_desc offer; /* of the first lane: where its reader may be looked for */
    struct fb_desc work;  /* first this side's answer, then what a further lane's next step needs */
    struct lane lanes[FB_LANES_MAX];
    struct fb_lanes sending;         /* towards the client */
    uint64_t lanes_deadline;         /* the first of the lanes' */
    uint16_t bye_lanes, close_lanes; /* bit i: lane i */
    uint16_t refused;
    uint8_t working;     /* the lane whose description is in `work` */
    uint32_t lane_tries; /* offers of lanes used up, and when that was last topped up */
    uint64_t lane_tries_ms;
    uint32_t lanes_failed; /* further lanes that never opened */
};

enum broker { DOWN, CONNECTING, GREETING, WELCOME };

/* Actions that the slot itself owes. */
enum own_todo {
    BROKER_CLOSE = 1 << 0,
    BROKER_CONNECT = 1 << 1,
    SAY_HELLO = 1 << 2,
    SAY_READY = 1 << 3,
    SAY_STATUS = 1 << 4,
    TELL_CHANGED = 1 << 5,
};

#define REFUSED_MAX 16

struct fb_slot {
    const struct fb_mem *mem;
    const struct fb_rng *rng;
    struct fb_slot_config config;
    bool on;
    bool active; /* on and not paused */
    struct fb_slot_limits limits;
    bool metered, low_battery, has_clock;
    uint32_t clock;  /* minutes, at clock_ms */
    uint32_t minute; /* what it showed when that was last looked at */
    uint64_t clock_ms;
    uint64_t now_ms;    /* of the last event that matters to what waits */
    uint64_t paid_us;   /* what was sent is paid for by then */
    uint64_t turn;      /* the tag of what went last */
    uint64_t waited_ms; /* when something had to wait */
    enum broker broker;
    uint64_t broker_deadline; /* DOWN: next try; CONNECTING, GREETING: give up; WELCOME: STATUS */
    uint64_t welcome_ms;      /* since when */
    unsigned failures;        /* tries of the broker in a row */
    unsigned promised;        /* READY said, not yet used up by an OFFER */
    uint32_t todo, last_m;
    uint64_t refused[REFUSED_MAX]; /* offers to be declined as too many */
    size_t refused_count;
    unsigned tries;      /* peer connections that may be begun now */
    uint64_t tries_ms;   /* when that was last topped up */
    bool short_of_tries; /* more is promised to the broker when that is */
    struct fb_slot_view view;
    uint8_t out[FB_VOL_MAX];
    struct match matches[FB_SLOT_CAPACITY_MAX];
};

#define EACH_MATCH(slot, it)                                                                       \
    for (struct match *it = (slot)->matches; it < (slot)->matches + FB_SLOT_CAPACITY_MAX; it++)

/* slot.c */
/* bye: what both hops are told; outcome: what the broker is told unless it was carried. */
void fb_slot_end(struct fb_slot *slot, struct match *match, enum fb_farewell bye,
                 enum fb_outcome outcome);
void fb_slot_top_up_tries(struct fb_slot *slot, uint64_t now_ms);

struct match *fb_slot_find(struct fb_slot *slot, uint32_t m);
/* Begins or ends work where on or paused have changed. */
void fb_slot_reconsider(struct fb_slot *slot, uint64_t now_ms);
void fb_slot_trouble(struct fb_slot *slot, enum fb_slot_trouble trouble);
/* As many as may be asked for; 0: the default. */
uint16_t fb_slot_capacity(uint16_t asked);

/* slot_relay.c */
/* Something waits and may go: fills in FB_SLOT_NEXT. */
bool fb_slot_poll_next(struct fb_slot *slot, struct fb_slot_action *out);
/* When that will be so; FB_SLOT_NEVER: nothing waits. */
uint64_t fb_slot_next_deadline(const struct fb_slot *slot);

/* slot_limits.c */
/* Bits of enum fb_slot_pause, and when they may change by time alone. */
unsigned fb_slot_paused(struct fb_slot *slot, uint64_t now_ms);
uint64_t fb_slot_hours_deadline(const struct fb_slot *slot);
bool fb_slot_used_up(const struct fb_slot *slot);
/* As far as the speed limit is concerned a message may go; one goes. */
bool fb_slot_rate_allows(const struct fb_slot *slot);
void fb_slot_rate_charge(struct fb_slot *slot, size_t len);

/* slot_lanes.c */
/* Index 0, with the match's own m: the match has just begun. */
void fb_slot_lane_first(struct match *match);
/* The match whose lane glue calls peer, and that lane's index; NULL: none. */
struct match *fb_slot_lane_find(struct fb_slot *slot, uint32_t peer, size_t *index);
/* The three events of a further lane's peer, and of the first one's once it carries. */
void fb_slot_lane_described(struct match *match, size_t i, const struct fb_desc *desc, bool local,
                            uint64_t now_ms);
void fb_slot_lane_opened(struct match *match, size_t i, uint64_t now_ms);
/* False: that was the last open one. */
bool fb_slot_lane_closed(struct match *match, size_t i);
/* Closes the lane, which has failed or stalled, and tells the client; false as above. */
bool fb_slot_lane_drop(struct match *match, size_t i);
/* LANE_OFFER or LANE_CLOSE from the client. False: it broke the rules. */
bool fb_slot_lane_hop(struct fb_slot *slot, struct match *match, const struct fb_hop_msg *msg,
                      uint64_t now_ms);
void fb_slot_lane_tick(struct match *match, uint64_t now_ms);

#endif
