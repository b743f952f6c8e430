#include "core/window.h"

#include <string.h>

#include "core/message.h"

#define MS UINT64_C(1000) /* us */
#define SECOND UINT64_C(1000000)

/* Of queue that no one minds. Where the way is short its ends share a machine, or nearly, and what
 * they wait for is a core. */
#define SLACK (15 * MS)
#define SLACK_MAX (256 * 1024) /* bytes */
#define SHORT_WAY (10 * MS)
#define SHORT_SLACK (25 * MS)
#define SHORT_SLACK_MAX (448 * 1024)
#define RATE_MIN 44000 /* bytes a second: four small packets in 100 ms */
#define RATE_MAX                                                                                   \
    (UINT64_C(1) << 33)           /* so that no product overflows, whatever a peer acknowledges */
#define BURST (3 * MS)            /* sent at once, then paid for: fewer wake-ups */
#define LATE (3 * MS)             /* by which a timer may be late without a loss */
#define MIN_RTT_FOR (10 * SECOND) /* so long a smallest round trip is believed */
#define PACKET_TIME (5 * MS)      /* that one takes; larger ones cost a third of the CPU */
#define PROBE_RTT_FOR (100 * MS)
#define FAT (128 * 1024) /* bytes of a bandwidth-delay product */
#define LONG_RTTS 8
#define LAG_PACKETS 64
#define CRUISE_ROUNDS 5
#define GUESSED_RTT (100 * MS)

void fb_window_init(struct fb_window *w) {
    memset(w, 0, sizeof *w);
}

static uint64_t larger(uint64_t a, uint64_t b) {
    return a > b ? a : b;
}

/* ---- what the owner asks ---- */

static uint64_t during(uint64_t rate, uint64_t us) {
    return rate * us / SECOND;
}

uint64_t fb_window_rate(const struct fb_window *w) {
    uint64_t first = FB_WINDOW_FIRST * SECOND / (w->min_rtt > MS ? w->min_rtt : GUESSED_RTT);
    /* While it starts, little may have been asked of it; later it is never given up. */
    bool unknown = w->phase == FB_WINDOW_STARTUP || w->rate == 0;
    return larger(w->rate, unknown ? first : RATE_MIN);
}

size_t fb_window_packet(const struct fb_window *w) {
    /* SCTP cuts a message in pieces a little larger than the smallest packet. */
    uint64_t size = during(w->rate, PACKET_TIME) / FB_WINDOW_PACKET_SMALL * FB_WINDOW_PACKET_SMALL;
    return size < FB_WINDOW_PACKET_SMALL ? FB_WINDOW_PACKET_SMALL
           : size > FB_MESSAGE_MAX       ? FB_MESSAGE_MAX
                                         : (size_t)size;
}

static uint64_t slack_time(const struct fb_window *w) {
    return w->min_rtt < SHORT_WAY ? SHORT_SLACK : SLACK;
}

static uint64_t slack_of(const struct fb_window *w) {
    uint64_t bytes = during(w->rate, slack_time(w));
    uint64_t most = w->min_rtt < SHORT_WAY ? SHORT_SLACK_MAX : SLACK_MAX;
    return bytes < most ? bytes : most;
}

/* The bandwidth-delay product; and what lower layers repair meanwhile, which no gain applies to:
 * there would be no end to it. */
static uint64_t product(const struct fb_window *w) {
    return during(w->rate, w->min_rtt);
}

static uint64_t in_repair(const struct fb_window *w) {
    return during(w->rate, w->lag);
}

static uint64_t under_way(const struct fb_window *w) {
    return product(w) + in_repair(w);
}

/* Twice what is known, and where that is much half as much again: the last round of a start goes
 * into the queue at the bottleneck, and SCTP takes seconds to repair what overflows there. */
static uint64_t start_of(uint64_t bdp) {
    return bdp < FAT ? 2 * bdp : larger(2 * FAT, bdp + bdp / 2);
}

size_t fb_window_bytes(const struct fb_window *w) {
    uint64_t bdp = product(w), more = bdp + bdp / 4 + in_repair(w), bytes = 0;
    switch (w->phase) {
    case FB_WINDOW_STARTUP: bytes = larger(start_of(bdp), more); break;
    case FB_WINDOW_GROW: bytes = larger(bdp + bdp / 2, more); break;
    case FB_WINDOW_UP: bytes = more; break;
    case FB_WINDOW_DRAIN:
    case FB_WINDOW_CRUISE: bytes = bdp + bdp / 8 + in_repair(w); break;
    case FB_WINDOW_PROBE_RTT: bytes = under_way(w) / 2; break;
    }
    if (w->phase != FB_WINDOW_PROBE_RTT)
        bytes += slack_of(w);
    if (w->phase == FB_WINDOW_STARTUP)
        bytes = larger(bytes, FB_WINDOW_FIRST);
    bytes += 4 * fb_window_packet(w);
    return bytes < FB_WINDOW_MAX ? (size_t)bytes : FB_WINDOW_MAX;
}

uint64_t fb_window_pace(const struct fb_window *w, uint64_t now) {
    return w->paced && w->pace_at > now ? w->pace_at : now;
}

static uint64_t pacing_rate(const struct fb_window *w) {
    uint64_t rate = fb_window_rate(w);
    switch (w->phase) {
    case FB_WINDOW_STARTUP: return 2 * rate + rate / 2;
    case FB_WINDOW_GROW: return rate + rate / 2;
    case FB_WINDOW_UP: return rate + rate / 4;
    case FB_WINDOW_DRAIN: return rate / 4 * 3;
    default: return rate;
    }
}

/* ---- sending ---- */

void fb_window_sent(struct fb_window *w, struct fb_window_stamp *stamp, size_t size,
                    size_t in_flight, uint64_t now) {
    if (in_flight == 0) {
        w->first_sent = w->delivered_time = now;
        if (w->min_rtt > 0 && now - w->min_rtt_time >= MIN_RTT_FOR)
            w->min_rtt_stale = true; /* the queue is empty: no probing needed */
    }
    *stamp = (struct fb_window_stamp){.delivered = w->delivered,
                                      .delivered_time = w->delivered_time,
                                      .first_sent = w->first_sent,
                                      .limited = w->limited_until > 0};
    w->pace_at = larger(w->pace_at, now > LATE ? now - LATE : 0) + size * SECOND / pacing_rate(w);
    w->paced = w->pace_at > now + BURST;
}

void fb_window_limited(struct fb_window *w, size_t in_flight) {
    w->limited_until = w->delivered + in_flight + 1;
}

/* ---- acknowledgements ---- */

void fb_window_delivered(struct fb_window *w, const struct fb_window_stamp *stamp, uint64_t sent,
                         size_t size, uint64_t now) {
    w->delivered += size;
    w->delivered_time = now;
    w->sample.delays += now - sent;
    w->sample.count++;
    if (w->sample.any && stamp->delivered < w->sample.delivered)
        return;
    w->sample.any = true;
    w->sample.limited = stamp->limited;
    w->sample.delivered = stamp->delivered;
    w->sample.interval = larger(sent - stamp->first_sent, now - stamp->delivered_time);
    w->first_sent = sent;
}

static void set_rate(struct fb_window *w) {
    w->rate = 0;
    for (size_t i = 0; i < FB_WINDOW_ROUNDS; i++)
        w->rate = larger(w->rate, w->rates[i]);
}

static void take_rate(struct fb_window *w) {
    uint64_t interval = w->sample.interval;
    /* Shorter than a round trip: acknowledgements that came in a bunch. */
    if (interval == 0 || interval < w->min_rtt)
        return;
    uint64_t rate = (w->delivered - w->sample.delivered) * SECOND / interval;
    rate = rate < RATE_MAX ? rate : RATE_MAX;
    w->round_full |= !w->sample.limited;
    if (w->sample.limited && rate <= w->rate)
        return;
    w->rates[w->round] = larger(w->rates[w->round], rate);
    w->rate = larger(w->rate, rate);
}

static bool is_long(const struct fb_window *w, uint64_t rtt) {
    return rtt > w->min_rtt + w->min_rtt / 8 + slack_time(w);
}

static void take_rtt(struct fb_window *w, uint64_t rtt, uint64_t now) {
    if (rtt == 0)
        return;
    if (w->round_rtt == 0 || rtt < w->round_rtt)
        w->round_rtt = rtt;
    if (w->probe_rtt == 0 || rtt < w->probe_rtt)
        w->probe_rtt = rtt;
    if (w->min_rtt == 0 || rtt < w->min_rtt || w->min_rtt_stale) {
        w->min_rtt = rtt;
        w->min_rtt_stale = false;
        w->min_rtt_time = now;
    } else if (rtt <= w->min_rtt + w->min_rtt / 16 + MS) {
        w->min_rtt_time = now; /* seen again */
    }
    w->long_rtts = is_long(w, rtt) ? w->long_rtts + 1 : 0;
    w->last_rtt = rtt;
}

static void take_lag(struct fb_window *w) {
    uint64_t n = w->sample.count < LAG_PACKETS ? w->sample.count : LAG_PACKETS;
    uint64_t mean = w->sample.delays / w->sample.count;
    uint64_t lag = mean > w->last_rtt ? mean - w->last_rtt : 0;
    w->lag = (w->lag * (LAG_PACKETS - n) + lag * n) / LAG_PACKETS;
    w->lag = w->lag < w->min_rtt / 2 ? w->lag : w->min_rtt / 2;
    w->sample.delays = w->sample.count = 0;
}

static void enter(struct fb_window *w, enum fb_window_phase phase, uint64_t now) {
    w->phase = phase;
    w->phase_time = now;
    w->rounds = 0;
    w->probe_rtt = 0;
    if (phase == FB_WINDOW_GROW || phase == FB_WINDOW_UP)
        w->mark = w->rate;
}

/* ---- rounds: from one packet's sending to its acknowledgement ---- */

static bool queue_stands(const struct fb_window *w) {
    return is_long(w, w->round_rtt);
}

static void forget_old_rates(struct fb_window *w) {
    unsigned before = (w->round + FB_WINDOW_ROUNDS - 1) % FB_WINDOW_ROUNDS;
    for (unsigned i = 0; i < FB_WINDOW_ROUNDS; i++)
        if (i != w->round && i != before)
            w->rates[i] = 0;
    set_rate(w);
    w->mark = w->rate;
}

static void end_startup_round(struct fb_window *w, uint64_t now) {
    if (w->rate >= w->mark + w->mark / 4) {
        w->mark = w->rate;
        w->rounds = 0;
    } else if (w->round_full) {
        w->rounds++;
    }
    if (w->rounds >= 3)
        enter(w, FB_WINDOW_DRAIN, now);
}

static void drain_again(struct fb_window *w, uint64_t now) {
    bool shorter = w->round_rtt < w->drain_rtt - w->drain_rtt / 16;
    w->drained = shorter ? 0 : w->drained + 1;
    w->drain_rtt = w->round_rtt;
    if (w->drained >= 4) {
        /* Whatever makes the round trip long, it is not what this end has sent. */
        w->min_rtt = w->round_rtt;
        w->min_rtt_time = now;
        w->drained = 0;
        w->drain_rtt = 0;
        return;
    }
    forget_old_rates(w);
    enter(w, FB_WINDOW_DRAIN, now);
}

static void end_cruise_round(struct fb_window *w, uint64_t now) {
    w->rounds++;
    if (w->rate >= w->mark + w->mark / 7) {
        enter(w, FB_WINDOW_GROW, now);
    } else if (!queue_stands(w)) {
        w->drained = 0;
        w->drain_rtt = 0;
        if (w->rounds >= CRUISE_ROUNDS && w->round_full)
            enter(w, FB_WINDOW_UP, now);
    } else {
        drain_again(w, now);
    }
}

static void end_round(struct fb_window *w, uint64_t now) {
    switch (w->phase) {
    case FB_WINDOW_STARTUP:
    case FB_WINDOW_GROW: end_startup_round(w, now); break;
    case FB_WINDOW_CRUISE: end_cruise_round(w, now); break;
    case FB_WINDOW_UP: enter(w, FB_WINDOW_DRAIN, now); break;
    case FB_WINDOW_DRAIN:
        if (++w->rounds >= 3)
            enter(w, FB_WINDOW_CRUISE, now);
        break;
    case FB_WINDOW_PROBE_RTT: break;
    }
    if (w->round_full) { /* else the round says nothing of what the path can do */
        w->round = (w->round + 1) % FB_WINDOW_ROUNDS;
        w->rates[w->round] = 0;
        set_rate(w);
    }
    w->round_full = false;
    w->round_rtt = 0;
    w->round_end = w->delivered;
    w->round_time = now;
}

/* A packet that was sent in this round has been acknowledged; in a long queue the round ends before
 * that, so that it is not the queue that says how soon something is done about it. */
static bool round_is_over(const struct fb_window *w, uint64_t now) {
    return w->sample.delivered >= w->round_end ||
           (w->round_rtt > 0 && now - w->round_time >= 2 * (w->min_rtt + slack_time(w)));
}

/* What ends with what is in flight, and with time. */
static void end_phase(struct fb_window *w, size_t in_flight, uint64_t now) {
    uint64_t usual = under_way(w) + slack_of(w) / 2;
    /* HyStart++ (RFC 9406). With little in flight a long round trip is not this path's queue; while
     * the rate still grows from round to round it is what SCTP holds back in its own start. */
    if ((w->phase == FB_WINDOW_STARTUP || w->phase == FB_WINDOW_GROW) && w->rounds > 0 &&
        w->long_rtts >= LONG_RTTS && (w->round_full || in_flight > 2 * FB_WINDOW_FIRST))
        enter(w, FB_WINDOW_DRAIN, now);
    if (w->phase == FB_WINDOW_UP && in_flight >= usual + product(w) / 5)
        enter(w, FB_WINDOW_DRAIN, now); /* it stays behind what is sent */
    if (w->phase == FB_WINDOW_DRAIN && in_flight <= usual)
        enter(w, FB_WINDOW_CRUISE, now);
    if (w->phase == FB_WINDOW_PROBE_RTT && now - w->phase_time >= PROBE_RTT_FOR + w->min_rtt) {
        w->min_rtt = w->probe_rtt > 0 ? w->probe_rtt : w->min_rtt;
        w->min_rtt_time = now;
        enter(w, FB_WINDOW_CRUISE, now);
    }
    if (w->phase == FB_WINDOW_CRUISE && now - w->min_rtt_time >= MIN_RTT_FOR)
        enter(w, FB_WINDOW_PROBE_RTT, now);
}

void fb_window_update(struct fb_window *w, uint64_t rtt, size_t in_flight, uint64_t now) {
    take_rtt(w, rtt, now);
    if (!w->sample.any)
        return;
    w->sample.any = false;
    take_lag(w);
    take_rate(w);
    if (w->limited_until > 0 && w->delivered >= w->limited_until)
        w->limited_until = 0;
    if (round_is_over(w, now))
        end_round(w, now);
    end_phase(w, in_flight, now);
}
