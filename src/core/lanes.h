/*
 * A path's lanes: parallel data channels of one client and one volunteer (doc/protocol.md, Lanes).
 * One loss-based connection that loses a packet in a hundred carries about 1 Mbit/s at 100 ms
 * whatever the line could do, and sixteen carry sixteen times that. Sans-IO; times are milliseconds
 * of any clock that never goes back. A lane has an index here, below FB_LANES_MAX.
 *
 * struct fb_lanes is one end's choice among the lanes that it sends on; client and volunteer each
 * keep one for each path. struct fb_lane_plan is the client's decision how many there are.
 */
#ifndef FB_CORE_LANES_H
#define FB_CORE_LANES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FB_LANES_MAX 16        /* of one path, the first included */
#define FB_LANES_CLIENT_MAX 32 /* of one client, over all its paths */

/* A lane that has not drained at all for so long while another has is given up. */
#define FB_LANE_STALL_MS 5000

/* Zeros are a path without lanes. */
struct fb_lanes {
    uint16_t open;                /* bit i: lane i takes messages */
    uint8_t turn;                 /* the lane that took the last one */
    uint32_t held[FB_LANES_MAX];  /* in the lane's send buffer when it was last seen */
    uint64_t moved[FB_LANES_MAX]; /* when that was last seen to shrink, or to be nothing */
};

void fb_lanes_open(struct fb_lanes *lanes, size_t i, uint64_t now);
/* Takes no more messages. */
void fb_lanes_shut(struct fb_lanes *lanes, size_t i);

/*
 * The lane for the next message, of len bytes: the one with the least in its send buffer; ties take
 * turns. held: what each send buffer holds now; that of lanes which are not open is not looked at.
 * -1: no lane is open.
 */
int fb_lanes_pick(struct fb_lanes *lanes, const uint32_t held[FB_LANES_MAX], size_t len,
                  uint64_t now);
/* What the send buffers of open lanes hold together. */
size_t fb_lanes_held(const struct fb_lanes *lanes, const uint32_t held[FB_LANES_MAX]);
/* The lane with the least in its send buffer as far as is known without looking; -1: none. */
int fb_lanes_least(const struct fb_lanes *lanes);
/* A lane to be closed because it has stalled, as seen by fb_lanes_pick(); -1: none. */
int fb_lanes_stalled(const struct fb_lanes *lanes, uint64_t now);

/* ---- How many ---- */

/* How often an end that is full says so, and for how long that holds. */
#define FB_LANES_FULL_EVERY_MS 250
#define FB_LANES_FULL_FOR_MS 800
#define FB_LANES_LOOK_MS 100
/* A step that did not pay is tried again after this, then after twice that, and so on. */
#define FB_LANES_HOLD_MS 4000
#define FB_LANES_HOLD_MAX_MS 64000
/* Bytes a second of each: where lanes are so fast, ends are the limit (128 KiB at 26 ms). */
#define FB_LANE_FAST 5000000
/* Lanes that have not been needed for so long are closed. */
#define FB_LANES_IDLE_MS 10000
/* A client offers so many at once, then one in so long; a volunteer allows twice that. */
#define FB_LANE_OFFERS 24
#define FB_LANE_OFFER_MS 2000

/* Zeros are the plan of a path with its first lane. */
struct fb_lane_plan {
    uint64_t full_at; /* when an end was last full */
    uint64_t settled; /* before this the rate still tells of the lanes before */
    uint64_t mark[2],
        bytes[2]; /* two points in time, the older first, and what had passed by then */
    uint64_t hold_until, hold;
    uint64_t needed;          /* when so many lanes were last needed */
    uint64_t rate;            /* bytes a second before the step that is on trial */
    uint64_t enough[5];       /* the rate at which 1, 2, 4, ... lanes were full */
    uint64_t offers_at;       /* when `offers` was last topped up */
    uint32_t offers;          /* that may be made now, less than FB_LANE_OFFERS: those made */
    uint8_t open;             /* lanes at the last look */
    uint8_t before, on_trial; /* lanes before the step that is on trial, and whether one is */
    uint8_t keep;             /* so many are to stay, the others go one by one; 0: all stay */
    uint64_t back_at;         /* when the next of them goes */
    bool marked;
};

struct fb_lane_state {
    size_t open;        /* lanes that carry */
    size_t pending;     /* offered, not open yet; or closing */
    size_t room;        /* how many more this path may have */
    uint64_t delivered; /* bytes that have passed over the path's lanes so far, both ways */
    uint32_t rtt_ms;    /* of the path; 0: not known */
};

/* One of the session's ends has more to send on the path than it takes. */
void fb_lane_plan_full(struct fb_lane_plan *plan, uint64_t now);
/* A lane that was offered did not come to be. */
void fb_lane_plan_failed(struct fb_lane_plan *plan, uint64_t now);
/*
 * How many lanes to offer (above 0) or to close (below 0) now. Call it every FB_LANES_LOOK_MS while
 * messages pass or there is more than one lane.
 *
 * Where the path is full: four, then eight whatever they bring, because the rate of a few over part
 * of a second is mostly chance, and a step takes a second; sixteen when those have raised the rate.
 * What has not is taken back, lane by lane: what one carried, the others' SCTP first has to learn
 * to carry, and that takes round trips. None where each carries FB_LANE_FAST. Closes what the rate
 * does not need for FB_LANES_IDLE_MS.
 */
int fb_lane_plan_poll(struct fb_lane_plan *plan, const struct fb_lane_state *state, uint64_t now);

#endif
