#include "core/window.h"

#include <string.h>

#include "core/message.h"

#define MS UINT64_C(1000) /* us */
#define SECOND UINT64_C(1000000)

#define SLACK (15 * MS)           /* of queue that no one minds */
#define BURST (4 * MS)            /* of pacing that may be made up for: timers count milliseconds */
#define MIN_RTT_FOR (10 * SECOND) /* so long a smallest round trip is believed */
#define PACKET_TIME (5 * MS)      /* that one takes; larger ones cost a third of the CPU */
#define PROBE_RTT_FOR (100 * MS)
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
    /* While it starts, little may have been asked of it. */
    return w->phase == FB_WINDOW_STARTUP || w->rate == 0 ? larger(w->rate, first) : w->rate;
}

size_t fb_window_packet(const struct fb_window *w) {
    /* SCTP cuts a message in pieces a little larger than the smallest packet. */
    uint64_t size = during(w->rate, PACKET_TIME) / FB_WINDOW_PACKET_SMALL * FB_WINDOW_PACKET_SMALL;
    return size < FB_WINDOW_PACKET_SMALL ? FB_WINDOW_PACKET_SMALL
           : size > FB_MESSAGE_MAX       ? FB_MESSAGE_MAX
                                         : (size_t)size;
}

size_t fb_window_bytes(const struct fb_window *w) {
    uint64_t bdp = during(w->rate, w->min_rtt), slack = during(w->rate, SLACK), bytes = 0;
    switch (w->phase) {
    case FB_WINDOW_STARTUP: bytes = larger(2 * bdp + slack, FB_WINDOW_FIRST); break;
    case FB_WINDOW_UP: bytes = bdp + bdp / 2 + slack; break;
    case FB_WINDOW_DRAIN:
    case FB_WINDOW_CRUISE: bytes = bdp + bdp / 4 + slack; break;
    case FB_WINDOW_PROBE_RTT: bytes = bdp / 2; break;
    }
    bytes += 4 * fb_window_packet(w);
    return bytes < FB_WINDOW_MAX ? (size_t)bytes : FB_WINDOW_MAX;
}

uint64_t fb_window_pace(const struct fb_window *w) {
    return w->pace_at;
}

static uint64_t pacing_rate(const struct fb_window *w) {
    uint64_t rate = fb_window_rate(w);
    switch (w->phase) {
    case FB_WINDOW_STARTUP: return 2 * rate + rate / 2;
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
    w->pace_at = larger(w->pace_at, now > BURST ? now - BURST : 0) + size * SECOND / pacing_rate(w);
}

void fb_window_limited(struct fb_window *w, size_t in_flight) {
    w->limited_until = w->delivered + in_flight + 1;
}

/* ---- acknowledgements ---- */

void fb_window_delivered(struct fb_window *w, const struct fb_window_stamp *stamp, uint64_t sent,
                         size_t size, uint64_t now) {
    w->delivered += size;
    w->delivered_time = now;
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
    w->round_full |= !w->sample.limited;
    if (w->sample.limited && rate <= w->rate)
        return;
    w->rates[w->round] = larger(w->rates[w->round], rate);
    w->rate = larger(w->rate, rate);
}

static void take_rtt(struct fb_window *w, uint64_t rtt, uint64_t now) {
    if (rtt == 0)
        return;
    if (w->round_rtt == 0 || rtt < w->round_rtt)
        w->round_rtt = rtt;
    if (w->min_rtt == 0 || rtt < w->min_rtt || w->min_rtt_stale) {
        w->min_rtt = rtt;
        w->min_rtt_stale = false;
        w->min_rtt_time = now;
    } else if (rtt <= w->min_rtt + w->min_rtt / 16 + MS) {
        w->min_rtt_time = now; /* seen again */
    }
}

static void enter(struct fb_window *w, enum fb_window_phase phase, uint64_t now) {
    w->phase = phase;
    w->phase_time = now;
    w->rounds = 0;
    if (phase == FB_WINDOW_STARTUP || phase == FB_WINDOW_UP)
        w->mark = w->rate;
}

/* ---- rounds: from one packet's sending to its acknowledgement ---- */

static bool queue_stands(const struct fb_window *w) {
    return w->round_rtt > w->min_rtt + w->min_rtt / 8 + SLACK;
}

static void forget_old_rates(struct fb_window *w) {
    unsigned before = (w->round + FB_WINDOW_ROUNDS - 1) % FB_WINDOW_ROUNDS;
    for (unsigned i = 0; i < FB_WINDOW_ROUNDS; i++)
        if (i != w->round && i != before)
            w->rates[i] = 0;
    set_rate(w);
    w->mark = w->rate;
}

static void end_startup_round(struct fb_window *w, size_t in_flight, uint64_t now) {
    if (w->rate >= w->mark + w->mark / 4) {
        w->mark = w->rate;
        w->rounds = 0;
    } else if (w->round_full) {
        w->rounds++;
    }
    /* With little in flight a long round trip is not this path's queue. */
    bool loaded = w->round_full || in_flight > 2 * FB_WINDOW_FIRST;
    if ((loaded && queue_stands(w)) || w->rounds >= 3)
        enter(w, FB_WINDOW_DRAIN, now);
}

static void end_cruise_round(struct fb_window *w, uint64_t now) {
    w->rounds++;
    if (w->rate >= w->mark + w->mark / 7) {
        enter(w, FB_WINDOW_STARTUP, now);
    } else if (!queue_stands(w)) {
        w->drained = 0;
        if (w->rounds >= CRUISE_ROUNDS && w->round_full)
            enter(w, FB_WINDOW_UP, now);
    } else if (++w->drained >= 4) {
        /* Whatever makes the round trip long, it is not what this end has sent. */
        w->min_rtt = w->round_rtt;
        w->min_rtt_time = now;
        w->drained = 0;
    } else {
        forget_old_rates(w);
        enter(w, FB_WINDOW_DRAIN, now);
    }
}

static void end_round(struct fb_window *w, size_t in_flight, uint64_t now) {
    switch (w->phase) {
    case FB_WINDOW_STARTUP: end_startup_round(w, in_flight, now); break;
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
}

void fb_window_update(struct fb_window *w, uint64_t rtt, size_t in_flight, uint64_t now) {
    take_rtt(w, rtt, now);
    if (!w->sample.any)
        return;
    w->sample.any = false;
    take_rate(w);
    if (w->limited_until > 0 && w->delivered >= w->limited_until)
        w->limited_until = 0;
    if (w->sample.delivered >= w->round_end)
        end_round(w, in_flight, now);
    uint64_t bdp = during(w->rate, w->min_rtt);
    if (w->phase == FB_WINDOW_DRAIN && in_flight <= bdp + during(w->rate, SLACK / 2))
        enter(w, FB_WINDOW_CRUISE, now);
    if (w->phase == FB_WINDOW_PROBE_RTT && now - w->phase_time >= PROBE_RTT_FOR + w->min_rtt)
        enter(w, FB_WINDOW_CRUISE, now);
    if (w->phase == FB_WINDOW_CRUISE && now - w->min_rtt_time >= MIN_RTT_FOR) {
        w->min_rtt_time = now;
        enter(w, FB_WINDOW_PROBE_RTT, now);
    }
}
