/* Which path a packet takes, and which stream's data it carries. */
#include "core/session_impl.h"

#define FRESH ((size_t)16 * 1024) /* bytes that a stream may send before those with a backlog */
#define UNKNOWN_RTT (300 * FB_MS) /* of a path just opened: others are better known */

/* ---- paths ---- */

/* What a path is good for: a spare only where there is no other; a suspect one only where there is
 * no spare, be they all without room: what goes out on a path that is dead holds up its stream. */
enum rank { RANK_NONE, RANK_SUSPECT, RANK_SPARE, RANK_ACTIVE };

static enum rank rank_of(const struct fb_path *p) {
    return p->state != FB_PATH_IS_OPEN     ? RANK_NONE
           : p->suspect || p->peer_suspect ? RANK_SUSPECT
           : fb_path_spare(p)              ? RANK_SPARE
                                           : RANK_ACTIVE;
}

static enum rank highest_rank(const struct fb_session *s) {
    enum rank highest = RANK_NONE;
    FB_LIST_EACH (it, &s->paths) {
        enum rank rank = rank_of(FB_CONTAINER(it, struct fb_path, link));
        highest = rank > highest ? rank : highest;
    }
    return highest;
}

bool fb_path_serves(const struct fb_session *s, const struct fb_path *p) {
    enum rank rank = rank_of(p);
    return rank != RANK_NONE && rank == highest_rank(s);
}

/*
 * Too much waits in the transport and in the volunteer. No more of it than is in flight, whatever
 * was said last: the volunteer's reports cross a channel that keeps no order, so that of a long
 * queue may come after that of its end, and no other follows it.
 */
static bool clogged(const struct fb_path *p, size_t reserve) {
    size_t queued = p->queued < p->sent.bytes ? p->queued : p->sent.bytes;
    return queued >= FB_PATH_QUEUE_MAX + reserve;
}

bool fb_path_room(const struct fb_path *p, size_t reserve) {
    /* What may use a reserve is small, whatever size suits bulk. */
    size_t size = reserve > 0 ? FB_PATH_PACKET_MIN : fb_window_packet(&p->sent.window);
    return p->sent.bytes + size <= fb_window_bytes(&p->sent.window) + reserve &&
           !clogged(p, reserve);
}

static uint64_t time_for(uint64_t bytes, const struct fb_path *p) {
    return bytes * FB_S / fb_window_rate(&p->sent.window);
}

/* How long from now a packet takes to arrive: it waits for the window and for pacing, stands in the
 * queue behind what is in flight beyond a round trip's worth, and travels. */
static uint64_t arrival(const struct fb_path *p, bool paced, uint64_t now) {
    const struct fb_window *w = &p->sent.window;
    size_t size = fb_window_packet(w), ahead = p->sent.bytes + size, window = fb_window_bytes(w);
    uint64_t wait = 0, rtt = w->min_rtt > 0 ? w->min_rtt : UNKNOWN_RTT;
    if (paced && ahead > window)
        wait = time_for(ahead - window, p);
    if (paced && fb_window_pace(w, now) > now + wait)
        wait = fb_window_pace(w, now) - now;
    uint64_t under_way = time_for(ahead, p);
    uint64_t queue = under_way > rtt ? under_way - rtt : 0;
    uint64_t seen = p->sent.smoothed_rtt > rtt ? p->sent.smoothed_rtt - rtt : 0;
    return wait + rtt / 2 + (queue > seen ? queue : seen);
}

static struct fb_path *soonest_with_room(const struct fb_session *s, const struct fb_path *but,
                                         size_t reserve) {
    struct fb_path *best = NULL;
    enum rank rank = highest_rank(s);
    uint64_t soonest = UINT64_MAX;
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (rank == RANK_NONE || p == but || rank_of(p) != rank || !fb_path_room(p, reserve))
            continue;
        uint64_t at = arrival(p, false, 0);
        if (at < soonest) {
            soonest = at;
            best = p;
        }
    }
    return best;
}

struct fb_path *fb_sched_control(const struct fb_session *s, size_t reserve) {
    return soonest_with_room(s, NULL, reserve);
}

struct fb_path *fb_sched_other(const struct fb_session *s, uint32_t than, size_t reserve) {
    const struct fb_path *p = fb_path_find(s, than);
    return p != NULL && rank_of(p) == RANK_ACTIVE ? soonest_with_room(s, p, reserve) : NULL;
}

static bool ready(const struct fb_path *p, uint64_t now) {
    return fb_path_room(p, 0) && fb_window_pace(&p->sent.window, now) <= now;
}

struct fb_path *fb_sched_help(struct fb_session *s, const struct fb_path *p, uint64_t sent,
                              uint64_t now) {
    struct fb_path *other = soonest_with_room(s, p, 0);
    uint64_t due = sent + p->sent.smoothed_rtt - p->sent.window.min_rtt / 2;
    if (other == NULL)
        return NULL;
    if (due > now && now + arrival(other, true, now) >= due)
        s->pace_at = due;
    else if (!ready(other, now))
        s->pace_at = fb_window_pace(&other->sent.window, now);
    else
        return other;
    return NULL;
}

/* Is there so much to send? */
static bool backlog(const struct fb_session *s, const struct fb_list *streams, uint64_t *bytes) {
    FB_LIST_EACH (it, streams) {
        const struct fb_stream *st = FB_CONTAINER(it, struct fb_stream, send_link);
        uint64_t credit = s->out_limit - s->out_total, n = fb_stream_backlog(st, credit);
        /* The owner has more than it can write. How much is not known, and the peer's window says
         * nothing of it either: that grows with what is on its way. */
        if (st->pressed)
            return true;
        if (n >= *bytes)
            return true;
        *bytes -= n;
    }
    return false;
}

/* The quicker paths have no room now. What they would have carried by the time at which a packet
 * arrives on p is sent on them; what is behind that goes on p. */
static bool worth_it(const struct fb_session *s, const struct fb_path *p, enum rank rank,
                     uint64_t now) {
    uint64_t bytes = 1, at = arrival(p, true, now);
    FB_LIST_EACH (it, &s->paths) {
        const struct fb_path *other = FB_CONTAINER(it, struct fb_path, link);
        uint64_t soon = other != p && rank_of(other) == rank ? arrival(other, true, now) : at;
        if (soon < at)
            bytes += (at - soon) * fb_window_rate(&other->sent.window) / FB_S;
    }
    return backlog(s, &s->fresh_streams, &bytes) || backlog(s, &s->bulk_streams, &bytes);
}

struct fb_path *fb_sched_data(struct fb_session *s, uint64_t now) {
    struct fb_path *best = NULL, *open = NULL;
    uint64_t best_at = UINT64_MAX, open_at = UINT64_MAX, pace = FB_NEVER;
    enum rank rank = highest_rank(s);
    s->pace_at = FB_NEVER;
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (rank == RANK_NONE || rank_of(p) != rank || clogged(p, 0))
            continue;
        uint64_t at = arrival(p, true, now);
        if (at < best_at) {
            best_at = at;
            best = p;
        }
        if (ready(p, now)) {
            if (at < open_at) {
                open_at = at;
                open = p;
            }
        } else if (fb_path_room(p, 0) && fb_window_pace(&p->sent.window, now) < pace) {
            pace = fb_window_pace(&p->sent.window, now);
        }
    }
    if (open != NULL && (open == best || worth_it(s, open, rank, now)))
        return open;
    s->pace_at = pace;
    return NULL;
}

void fb_sched_limited(struct fb_session *s, bool more, uint64_t now) {
    FB_LIST_EACH (it, &s->paths) {
        struct fb_path *p = FB_CONTAINER(it, struct fb_path, link);
        if (p->state == FB_PATH_IS_OPEN && (more ? ready(p, now) : fb_path_room(p, 0)))
            fb_window_limited(&p->sent.window, p->sent.bytes);
    }
}

/* ---- streams ---- */

/*
 * After fq_codel (RFC 8290 section 4.1): a stream that begins to send, or sends again after it had
 * nothing more to send, goes first for FRESH bytes; those with a backlog take turns behind. What
 * was lost goes out before the others' turns, since its reader waits for it.
 */
void fb_stream_queue(struct fb_session *s, struct fb_stream *st) {
    if (fb_stream_has_control(st) && fb_list_empty(&st->control_link))
        fb_list_push(&s->control_streams, &st->control_link);
    if (!fb_list_empty(&st->send_link) || fb_stream_backlog(st, UINT64_MAX) == 0)
        return;
    st->fresh = FRESH;
    fb_list_push(&s->fresh_streams, &st->send_link);
}

void fb_stream_requeue(struct fb_session *s, struct fb_stream *st) {
    fb_stream_queue(s, st);
    if (fb_list_empty(&st->send_link) || st->fresh > 0)
        return;
    fb_list_remove(&st->send_link);
    fb_list_push(s->bulk_streams.next, &st->send_link);
}

static struct fb_stream *first_of(struct fb_session *s, struct fb_list *streams) {
    FB_LIST_EACH (it, streams) {
        struct fb_stream *st = FB_CONTAINER(it, struct fb_stream, send_link);
        if (fb_stream_backlog(st, s->out_limit - s->out_total) > 0)
            return st;
        fb_list_remove(it); /* it comes back with more data or a higher limit */
        if (st->written > st->sent || st->wants_room || st->finished)
            fb_stream_held_up(s, st);
    }
    return NULL;
}

struct fb_stream *fb_sched_stream(struct fb_session *s) {
    struct fb_stream *st = first_of(s, &s->fresh_streams);
    return st != NULL ? st : first_of(s, &s->bulk_streams);
}

void fb_sched_spent(struct fb_session *s, struct fb_stream *st, size_t len) {
    if (st->fresh > len) {
        st->fresh -= len;
        return;
    }
    st->fresh = 0;
    fb_list_remove(&st->send_link);
    fb_list_push(&s->bulk_streams, &st->send_link);
}
