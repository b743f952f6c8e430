/*
 * Which paths a client's session should have: when to ask for another volunteer, which path to keep
 * warm as a spare, which to let go. It holds facts and decides; the owner acts. Sans-IO: times are
 * microseconds of any clock (one that goes back counts as standing still), a deadline goes out, and
 * nothing is allocated after birth.
 *
 * How to drive it. Tell every fact when it happens, then:
 *     while (fb_pathset_next(set, now, &action)) ...do it...
 *     ...arm a timer for fb_pathset_deadline(set), and come back here then...
 * An action counts as done once it has been given out. FB_PATHSET_OFFER is answered by
 * fb_pathset_began(), or by fb_pathset_unable() or fb_pathset_tokens() where nothing was begun.
 *
 * Life of a path, by the owner's id for it:
 *     began -> answered -> opened -> over     `over` may come at any point, once;
 * a path that FB_PATHSET_DROP names is forgotten already, and facts about an id that is not known
 * are ignored.
 *
 * The rules (DESIGN section 4):
 *   - Before the handshake one attempt at a time. Without a live path one at a time too, by direct
 *     contact with the broker, and a second beside it where a volunteer has answered but not opened
 *     for FB_PATHSET_HEDGE_US. Otherwise all offers go through the session, as many at once as are
 *     missing, at most FB_PATHSET_PARALLEL.
 *   - With streams open, `target` paths carry and `spare` more stand by; after FB_PATHSET_IDLE_US
 *     without streams, or without FB_PATHSET_BUSY_BYTES in FB_PATHSET_BUSY_US on them, one carries
 *     and one stands by (where there are spares at all).
 *   - A path that dies is replaced at once: a spare takes over, and another spare is sought. One
 *     that is suspect is given FB_PATHSET_SUSPECT_US before a spare takes over, SEEK_US before
 *     another volunteer is sought, GIVE_UP_US before it is dropped for a better one.
 *   - The worst path is replaced, make before break, when for some FB_PATHSET_BAD_SAMPLES seconds
 *     it was much worse than the median of the others (a sixth of the rate although it was loaded,
 *     three times the round trip and 300 ms more, or suspect). At most one a minute; each one that
 *     follows soon waits twice as long. If nobody is idle, it stays.
 *   - Failures in a row, also paths that open and die within FB_PATHSET_PROVEN_US, make it wait
 *     longer (0.2 s for the first three where the broker asks for a fresh offer, else 0.5 s
 *     doubling to 30 s; not at all for the first of a row where the path had opened). Where nobody
 *     was idle: 1 s doubling to 5 s without a live path, since the
 *     broker has held the offer meanwhile; 5 s doubling to 120 s with one. All by chance between
 *     three and five quarters, so that readers do not come in step.
 *   - Whatever happens, no more offers than fb_pathset_offers_max() in any span of time.
 */
#ifndef FB_CORE_PATHSET_H
#define FB_CORE_PATHSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

#define FB_PATHSET_NEVER UINT64_MAX
#define FB_PATHSET_TARGET_MAX 16
#define FB_PATHSET_PATHS_MAX 32 /* open and attempted together */
#define FB_PATHSET_PARALLEL 4

#define FB_PATHSET_HEDGE_US UINT64_C(3000000)
#define FB_PATHSET_IDLE_US UINT64_C(60000000)
#define FB_PATHSET_BUSY_BYTES 8192 /* more than what keeps paths and streams alive */
#define FB_PATHSET_BUSY_US UINT64_C(5000000)
#define FB_PATHSET_SUSPECT_US UINT64_C(300000)
#define FB_PATHSET_SEEK_US UINT64_C(2000000)
#define FB_PATHSET_GIVE_UP_US UINT64_C(5000000)
#define FB_PATHSET_PROVEN_US UINT64_C(5000000)
#define FB_PATHSET_SAMPLE_US UINT64_C(1000000)
#define FB_PATHSET_BAD_SAMPLES 20
#define FB_PATHSET_REPLACE_US UINT64_C(60000000) /* between two replacements of the worst */
#define FB_PATHSET_REPLACE_MAX_US UINT64_C(600000000)
/* An attempt that has neither opened nor failed: the broker holds an offer for 20 s, a volunteer
 * answers within 10 s, and both hops open within 25 s. */
#define FB_PATHSET_ATTEMPT_US UINT64_C(75000000)
#define FB_PATHSET_OFFER_US UINT64_C(3000000) /* one offer more is allowed each */
/* What the broker's wish to be left alone is cut to: with a live path, and without. */
#define FB_PATHSET_LATER_MAX_US UINT64_C(600000000)
#define FB_PATHSET_LATER_URGENT_US UINT64_C(60000000)

struct fb_pathset;

struct fb_pathset_config {
    unsigned target; /* paths that carry: 1 to FB_PATHSET_TARGET_MAX */
    unsigned spare;  /* paths that stand by: 0 or 1 */
};

/* rng outlives the set. NULL: out of memory. */
struct fb_pathset *fb_pathset_new(const struct fb_mem *mem, const struct fb_rng *rng,
                                  const struct fb_pathset_config *config, uint64_t now);
/* Accepts NULL. */
void fb_pathset_free(struct fb_pathset *set);

/* ---- facts about the session ---- */

/* false: a session begins, and all paths are forgotten (not the pace: one that ended soon after
 * its path had opened counts as a failure); true: its handshake is done. */
void fb_pathset_session(struct fb_pathset *set, bool ready, uint64_t now);
/* How many streams are open. */
void fb_pathset_streams(struct fb_pathset *set, size_t streams, uint64_t now);
/* Bytes on all paths so far, for an owner that counts them: streams on which next to nothing moves
 * (apps keep connections open for hours) then do not keep a client from being idle. To be told when
 * FB_PATHSET_BUSY_BYTES more have come together, and with the measures. */
void fb_pathset_bytes(struct fb_pathset *set, uint64_t bytes, uint64_t now);
/* Whether a token is in hand to attach another path with; true at the start. */
void fb_pathset_tokens(struct fb_pathset *set, bool in_hand);

/* ---- facts about paths and attempts ---- */

/* 0, or FB_ERR_LIMIT: FB_PATHSET_PATHS_MAX are known. */
int fb_pathset_began(struct fb_pathset *set, uint32_t id, uint64_t now);
/* The offer could not be made (out of memory and the like). */
void fb_pathset_unable(struct fb_pathset *set, uint64_t now);
/* A volunteer has answered. */
void fb_pathset_answered(struct fb_pathset *set, uint32_t id, uint64_t now);
/* The egress has answered on it: it carries. */
void fb_pathset_opened(struct fb_pathset *set, uint32_t id, uint64_t now);

struct fb_pathset_measure {
    bool suspect;    /* nothing was acknowledged, or heard, when it should have been */
    bool loaded;     /* its rate is what it can do, not what there was to send */
    uint64_t rate;   /* of delivery, the better direction, bytes a second; 0: unknown */
    uint64_t rtt_us; /* smoothed; 0: unknown */
};
/* At each of the session's own deadlines or more often; while streams are open at least every
 * FB_PATHSET_SAMPLE_US (fb_pathset_deadline() sees to that where the owner measures then). */
void fb_pathset_measured(struct fb_pathset *set, uint32_t id,
                         const struct fb_pathset_measure *measure, uint64_t now);

enum fb_pathset_why {
    FB_PATHSET_FAILED, /* an attempt came to nothing, or an open path is gone */
    FB_PATHSET_AGAIN,  /* the broker asks for a fresh offer at once */
    FB_PATHSET_NOBODY, /* no volunteer was idle */
    FB_PATHSET_LATER,  /* too many offers: not before wait_us from now */
    FB_PATHSET_DENIED, /* another offer will hardly help */
    FB_PATHSET_STRAY,  /* the offer was lost with the path that carried it: no fault of anybody */
};
/* wait_us: with any reason, if the broker gave one; 0: none. */
void fb_pathset_over(struct fb_pathset *set, uint32_t id, enum fb_pathset_why why, uint64_t wait_us,
                     uint64_t now);

/* ---- decisions ---- */

enum fb_pathset_act {
    FB_PATHSET_OFFER = 1,   /* begin an attempt; in_session says by which way */
    FB_PATHSET_ACTIVE,      /* path: it shall carry (a spare takes over) */
    FB_PATHSET_STANDBY,     /* path: it shall stand by, open and nearly silent */
    FB_PATHSET_DROP,        /* path: close it, politely; `drop` says why */
    FB_PATHSET_NEW_SESSION, /* no path and no token is left: begin another session */
};

enum fb_pathset_drop {
    FB_PATHSET_SURPLUS,  /* others suffice */
    FB_PATHSET_SILENT,   /* it said nothing, and another carries in its stead */
    FB_PATHSET_REPLACED, /* it was the worst, and another carries in its stead */
    FB_PATHSET_LATE,     /* an attempt that never came to an end */
};

struct fb_pathset_action {
    enum fb_pathset_act act;
    uint32_t path;
    bool in_session;
    enum fb_pathset_drop drop;
};

/* The next thing to do; false: nothing until a fact or the deadline comes. */
bool fb_pathset_next(struct fb_pathset *set, uint64_t now, struct fb_pathset_action *action);
/* As of the last fb_pathset_next() that returned false. */
uint64_t fb_pathset_deadline(const struct fb_pathset *set);

/* ---- for the owner's own use ---- */

/* Whether an offer sent now should go through the session: a path lives that is not suspect. */
bool fb_pathset_in_session(const struct fb_pathset *set, uint64_t now);

struct fb_pathset_counts {
    unsigned wanted;                    /* paths that should carry now */
    unsigned active, spare, attempts;   /* now */
    uint64_t offers, dropped, replaced; /* since birth; replaced: of the worst */
};
void fb_pathset_count(const struct fb_pathset *set, struct fb_pathset_counts *counts);
/* The ceiling on offers in any span of so many microseconds. */
uint64_t fb_pathset_offers_max(const struct fb_pathset *set, uint64_t span_us);

#endif
