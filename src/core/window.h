/*
 * How much one path may have in flight and how fast it is sent, in one direction, at the sender:
 * from the delivery rate that acknowledgements show and the smallest round-trip time, after the
 * model of BBR (draft-ietf-ccwg-bbr; draft-cheng-iccrg-delivery-rate-estimation). Below are SCTP
 * and TCP with a congestion control of their own, so loss says nothing here: what is kept small is
 * the queue in front of them. Where this differs from BBR:
 *   - a round whose smallest round trip tells of a standing queue ends growth, makes old samples
 *     forgotten (what comes through a full pipe is its rate) and is followed by draining;
 *   - a probe that finds a seventh more goes on as startup does, because hops add lanes and double
 *     their rate within a second;
 *   - some milliseconds of queue are always allowed: ends share a core with what they wait for.
 */
#ifndef FB_CORE_WINDOW_H
#define FB_CORE_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FB_WINDOW_FIRST ((size_t)32 * 1024) /* before anything is known */
#define FB_WINDOW_MAX ((size_t)4 << 20)
#define FB_WINDOW_ROUNDS 10 /* of the filter of delivery rates */
#define FB_WINDOW_PACKET_SMALL 1100

enum fb_window_phase {
    FB_WINDOW_STARTUP,
    FB_WINDOW_DRAIN,
    FB_WINDOW_CRUISE,
    FB_WINDOW_UP,
    FB_WINDOW_PROBE_RTT
};

/* What a packet remembers of the moment it was sent. */
struct fb_window_stamp {
    uint64_t delivered, delivered_time, first_sent;
    bool limited; /* the owner had nothing to send: the rate says little */
};

struct fb_window {
    enum fb_window_phase phase;
    uint64_t delivered;      /* bytes ever acknowledged */
    uint64_t delivered_time; /* us; of the last of them */
    uint64_t first_sent;     /* us; when the packet was sent that was acknowledged last */
    uint64_t limited_until;  /* delivered count up to which samples are limited; 0: they are not */
    struct {
        bool any, limited;
        uint64_t delivered, interval;
    } sample; /* of the ACK at hand */

    uint64_t rates[FB_WINDOW_ROUNDS]; /* the best of each round; rates[round] is the current */
    unsigned round;
    bool round_full;     /* the round has a sample that was not limited */
    uint64_t round_end;  /* delivered count */
    uint64_t round_time; /* us; of its start */
    uint64_t round_rtt;  /* smallest of the round; 0: none */
    unsigned long_rtts;  /* samples in a row that tell of a queue */
    uint64_t rate;       /* bytes a second, the best of rates; 0: unknown */

    uint64_t min_rtt, min_rtt_time; /* us; 0: unknown */
    bool min_rtt_stale;             /* the next sample takes its place */

    uint64_t mark;       /* the rate that growth is measured against */
    unsigned rounds;     /* in this phase, or of growth that failed */
    unsigned drained;    /* times in a row that draining did not shorten the round trip */
    uint64_t drain_rtt;  /* us; at the last of them */
    uint64_t probe_rtt;  /* us; the smallest while probing for it; 0: none */
    uint64_t phase_time; /* us */
    uint64_t pace_at;    /* us; what was sent is paid for by then */
    bool paced;          /* nothing more before that */
};

void fb_window_init(struct fb_window *w);
/* A packet goes out; in_flight: bytes without it. */
void fb_window_sent(struct fb_window *w, struct fb_window_stamp *stamp, size_t size,
                    size_t in_flight, uint64_t now);
/* One packet of an ACK; then, after all of them, fb_window_update(). sent: its time. */
void fb_window_delivered(struct fb_window *w, const struct fb_window_stamp *stamp, uint64_t sent,
                         size_t size, uint64_t now);
/* rtt: of the newest packet that the ACK names, us; 0: no sample. in_flight: what is left. */
void fb_window_update(struct fb_window *w, uint64_t rtt, size_t in_flight, uint64_t now);
/* The owner had nothing (more) to send though it might have sent. */
void fb_window_limited(struct fb_window *w, size_t in_flight);

/* Bytes that may be in flight. */
size_t fb_window_bytes(const struct fb_window *w);
/* Bytes a second that the path is thought to carry; never 0. */
uint64_t fb_window_rate(const struct fb_window *w);
/* When the next packet may go out, now or later. */
uint64_t fb_window_pace(const struct fb_window *w, uint64_t now);
/* The size of packets that suits the rate: FB_WINDOW_PACKET_SMALL to FB_MESSAGE_MAX bytes. */
size_t fb_window_packet(const struct fb_window *w);

#endif
