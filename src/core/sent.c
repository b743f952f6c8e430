#include "core/sent.h"

#include <string.h>

#include "base/err.h"

#define INITIAL_T UINT64_C(1000000)
#define MIN_VARIATION UINT64_C(50000) /* data channels reorder by tens of ms under load */
#define MAX_PROBE UINT64_C(2000000)
#define FIRST_PROBE UINT64_C(400000)
#define WIDEN_FOR UINT64_C(5000000) /* us */
#define WIDEN_MAX 8
#define LOSSY_SAMPLE 256 /* packets judged before fb_sent_too_lossy may say yes */

static struct fb_sent_packet *packet_of(struct fb_list *link) {
    return FB_CONTAINER(link, struct fb_sent_packet, link);
}

void fb_sent_init(struct fb_sent *sent, const struct fb_mem *mem) {
    *sent = (struct fb_sent){.mem = mem, .widen = 1};
    fb_list_init(&sent->in_flight);
    fb_list_init(&sent->lost);
}

static void forget(struct fb_sent *sent, struct fb_sent_packet *packet) {
    if (packet->lost)
        sent->lost_count--;
    else
        sent->bytes -= packet->size;
    fb_list_remove(&packet->link);
    fb_free(sent->mem, packet);
}

void fb_sent_clear(struct fb_sent *sent) {
    FB_LIST_EACH (it, &sent->in_flight)
        forget(sent, packet_of(it));
    FB_LIST_EACH (it, &sent->lost)
        forget(sent, packet_of(it));
}

void fb_sent_note(struct fb_sent *sent, uint64_t number) {
    sent->end = number + 1;
}

int fb_sent_add(struct fb_sent *sent, uint64_t number, size_t size,
                const struct fb_sent_frame *frames, size_t count, uint64_t now) {
    struct fb_sent_packet *packet = fb_alloc(sent->mem,
                                             sizeof *packet + count * sizeof packet->frames[0]);
    if (packet == NULL)
        return FB_ERR_NOMEM;
    packet->number = number;
    packet->time = now;
    packet->size = size < FB_SENT_SIZE_MIN ? FB_SENT_SIZE_MIN : size;
    packet->count = (uint8_t)count;
    if (count > 0)
        memcpy(packet->frames, frames, count * sizeof *frames);
    if (fb_list_empty(&sent->in_flight))
        sent->ack_time = now;
    fb_list_push(&sent->in_flight, &packet->link);
    fb_window_sent(&sent->window, &packet->stamp, packet->size, sent->bytes, now);
    sent->bytes += packet->size;
    fb_sent_note(sent, number);
    return 0;
}

/* RFC 9002 section 5.3. */
static void rtt_sample(struct fb_sent *sent, uint64_t rtt, uint64_t ack_delay) {
    sent->latest_rtt = rtt;
    if (sent->smoothed_rtt == 0) {
        sent->min_rtt = rtt;
        sent->smoothed_rtt = rtt == 0 ? 1 : rtt;
        sent->rtt_variation = rtt / 2;
        return;
    }
    if (rtt < sent->min_rtt)
        sent->min_rtt = rtt;
    if (ack_delay < rtt && rtt - ack_delay >= sent->min_rtt)
        rtt -= ack_delay;
    uint64_t diff = rtt > sent->smoothed_rtt ? rtt - sent->smoothed_rtt : sent->smoothed_rtt - rtt;
    sent->rtt_variation = (3 * sent->rtt_variation + diff) / 4;
    sent->smoothed_rtt = (7 * sent->smoothed_rtt + rtt) / 8;
    if (sent->smoothed_rtt == 0)
        sent->smoothed_rtt = 1;
}

uint64_t fb_sent_threshold(const struct fb_sent *sent) {
    if (sent->smoothed_rtt == 0)
        return INITIAL_T;
    uint64_t spread = 4 * sent->rtt_variation;
    return (sent->smoothed_rtt + (spread > MIN_VARIATION ? spread : MIN_VARIATION)) * sent->widen;
}

static void give(const struct fb_sent_packet *packet, const struct fb_sent_sink *sink, bool acked) {
    for (size_t i = 0; i < packet->count; i++)
        sink->frame(sink->ctx, &packet->frames[i], acked);
}

/* Is number in the ranges of an ACK (highest first)? *at moves along as numbers rise. */
static bool covered(const struct fb_frame *ack, size_t *at, uint64_t number) {
    while (*at > 0 && ack->ranges[*at - 1].hi <= number)
        --*at;
    return *at > 0 && ack->ranges[*at - 1].lo <= number;
}

/* What was called lost has come after all; it is forgotten by and by, or one bad moment would have
 * everything that is truly lost waited for eight times as long ever after. */
static void widen(struct fb_sent *sent, bool early, uint64_t now) {
    if (early && sent->widen < WIDEN_MAX)
        sent->widen *= 2;
    else if (!early && sent->widen > 1 && now - sent->widen_time >= WIDEN_FOR)
        sent->widen /= 2;
    else if (!early)
        return;
    sent->widen_time = now;
}

int fb_sent_ack(struct fb_sent *sent, const struct fb_frame *ack, bool here, uint64_t now,
                const struct fb_sent_sink *sink, unsigned *progress, unsigned *spurious) {
    uint64_t largest = ack->ranges[0].hi - 1;
    uint64_t rtt = 0;
    *progress = *spurious = 0;
    if (largest >= sent->end)
        return FB_ERR_MALFORMED;
    if (largest >= sent->acked)
        sent->acked = largest + 1;
    size_t at = ack->range_count;
    FB_LIST_EACH (it, &sent->in_flight) {
        struct fb_sent_packet *packet = packet_of(it);
        if (packet->number > largest)
            break;
        if (!covered(ack, &at, packet->number))
            continue;
        if (packet->number == largest && here) {
            rtt = now - packet->time;
            rtt_sample(sent, rtt, ack->value);
        }
        ++*progress;
        fb_window_delivered(&sent->window, &packet->stamp, packet->time, packet->size, now);
        give(packet, sink, true);
        forget(sent, packet);
    }
    FB_LIST_EACH (it, &sent->lost) {
        struct fb_sent_packet *packet = packet_of(it);
        at = ack->range_count;
        if (!covered(ack, &at, packet->number))
            continue;
        ++*spurious;
        sent->window.delivered += packet->size; /* long ago: says nothing of the rate */
        give(packet, sink, true);
        forget(sent, packet);
    }
    fb_window_update(&sent->window, rtt, sent->bytes, now);
    sent->whole += *progress + *spurious;
    widen(sent, *spurious > 0, now);
    if (*progress + *spurious > 0) {
        sent->ack_time = now;
        sent->probes = 0;
    }
    return 0;
}

/* RFC 9002 section 6.2: the wait doubles with each probe in vain. The first comes soon however wide
 * T is, since a PING costs nothing and a dead path must not be waited for. */
static uint64_t probe_time(const struct fb_sent *sent) {
    uint64_t wait = fb_sent_threshold(sent) << (sent->probes < 5 ? sent->probes : 5);
    uint64_t soon = sent->smoothed_rtt + FIRST_PROBE;
    if (sent->probes == 0 && sent->smoothed_rtt > 0 && wait > soon)
        wait = soon;
    return sent->ack_time + (wait < MAX_PROBE || sent->probes == 0 ? wait : MAX_PROBE);
}

uint64_t fb_sent_deadline(const struct fb_sent *sent) {
    uint64_t deadline = UINT64_MAX;
    if (!fb_list_empty(&sent->in_flight)) {
        const struct fb_sent_packet *oldest = packet_of(sent->in_flight.next);
        deadline = probe_time(sent);
        if (oldest->number < sent->acked && oldest->time + fb_sent_threshold(sent) < deadline)
            deadline = oldest->time + fb_sent_threshold(sent);
    }
    if (!fb_list_empty(&sent->lost)) {
        uint64_t end = packet_of(sent->lost.next)->time + 3 * fb_sent_threshold(sent);
        if (end < deadline)
            deadline = end;
    }
    return deadline;
}

/* It will not be acknowledged any more. */
static void give_up_oldest(struct fb_sent *sent) {
    sent->gaps++;
    forget(sent, packet_of(sent->lost.next));
}

static void lose(struct fb_sent *sent, struct fb_sent_packet *packet, uint64_t now,
                 const struct fb_sent_sink *sink) {
    sent->bytes -= packet->size;
    packet->lost = true;
    packet->time = now; /* from here on: when it was declared lost */
    fb_list_remove(&packet->link);
    fb_list_push(&sent->lost, &packet->link);
    sent->lost_count++;
    give(packet, sink, false);
    if (sent->lost_count > FB_SENT_LOST_MAX)
        give_up_oldest(sent);
}

enum fb_sent_verdict fb_sent_tick(struct fb_sent *sent, uint64_t now,
                                  const struct fb_sent_sink *sink, unsigned *lost) {
    uint64_t threshold = fb_sent_threshold(sent);
    *lost = 0;
    FB_LIST_EACH (it, &sent->lost) {
        if (packet_of(it)->time + 3 * threshold > now)
            break;
        give_up_oldest(sent);
    }
    FB_LIST_EACH (it, &sent->in_flight) {
        struct fb_sent_packet *packet = packet_of(it);
        if (packet->number >= sent->acked || packet->time + threshold > now)
            break;
        lose(sent, packet, now, sink);
        ++*lost;
    }
    if (sent->gaps + sent->whole >= 2 * LOSSY_SAMPLE) {
        sent->gaps /= 2;
        sent->whole /= 2;
    }
    if (fb_list_empty(&sent->in_flight) || probe_time(sent) > now)
        return FB_SENT_QUIET;
    sent->probes++;
    sent->ack_time = now;
    return FB_SENT_PROBE;
}

uint64_t fb_sent_front(const struct fb_sent *sent) {
    FB_LIST_EACH (it, &sent->in_flight)
        if (packet_of(it)->number >= sent->acked)
            return packet_of(it)->time;
    return UINT64_MAX;
}

void fb_sent_lose_all(struct fb_sent *sent, uint64_t now, const struct fb_sent_sink *sink) {
    FB_LIST_EACH (it, &sent->in_flight)
        lose(sent, packet_of(it), now, sink);
}

bool fb_sent_too_lossy(const struct fb_sent *sent) {
    unsigned all = sent->gaps + sent->whole;
    return all >= LOSSY_SAMPLE && sent->gaps > all / 8;
}
