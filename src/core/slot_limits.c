/* How much, how fast and when: the visitor's limits. */
#include "core/slot_impl.h"

#define DAY_MIN 1440
#define MINUTE_MS UINT64_C(60000)

/* ---- The local clock ---- */

/* Year * 100 + month of a day since 1970-01-01. A year begins in March here, so that its last day
 * is the one that leap years have more (Hinnant, "chrono-compatible low-level date algorithms"). */
static uint32_t month_of(uint32_t day) {
    uint32_t z = day + 719468, era = z / 146097, in_era = z % 146097;
    uint32_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
    uint32_t in_year = in_era - (365 * year + year / 4 - year / 100);
    uint32_t month = (5 * in_year + 2) / 153; /* 0: March */
    year += era * 400 + (month >= 10);
    return year * 100 + (month < 10 ? month + 3 : month - 9);
}

static uint32_t clock_at(const struct fb_slot *slot, uint64_t now_ms) {
    return slot->clock + (uint32_t)((now_ms - slot->clock_ms) / MINUTE_MS);
}

static bool outside_hours(const struct fb_slot *slot, uint64_t now_ms) {
    uint32_t from = slot->limits.from_min, to = slot->limits.to_min;
    uint32_t minute = clock_at(slot, now_ms) % DAY_MIN;
    if (!slot->has_clock || from == to)
        return false;
    return from < to ? minute < from || minute >= to : minute < from && minute >= to;
}

/* The next midnight, when a month may end, or the next end of the hours. */
uint64_t fb_slot_hours_deadline(const struct fb_slot *slot) {
    uint32_t minute = slot->minute % DAY_MIN, next = DAY_MIN;
    if (!slot->has_clock || !slot->on)
        return FB_SLOT_NEVER;
    if (slot->limits.from_min > minute && slot->limits.from_min < next)
        next = slot->limits.from_min;
    if (slot->limits.to_min > minute && slot->limits.to_min < next)
        next = slot->limits.to_min;
    return slot->clock_ms + (slot->minute - minute + next - slot->clock) * MINUTE_MS;
}

/* ---- Reasons to pause ---- */

bool fb_slot_used_up(const struct fb_slot *slot) {
    uint64_t budget = slot->limits.budget;
    return budget != 0 && slot->view.used + FB_SLOT_BUDGET_RESERVE >= budget;
}

unsigned fb_slot_paused(struct fb_slot *slot, uint64_t now_ms) {
    const struct fb_slot_limits *limits = &slot->limits;
    unsigned why = 0;
    if (slot->has_clock) {
        slot->minute = clock_at(slot, now_ms);
        uint32_t month = month_of(slot->minute / DAY_MIN);
        if (slot->view.month != month && slot->view.month != 0)
            slot->view.used = 0;
        slot->view.month = month;
    }
    if (fb_slot_used_up(slot))
        why |= FB_PAUSE_BUDGET;
    if (outside_hours(slot, now_ms))
        why |= FB_PAUSE_HOURS;
    if (slot->metered && !limits->metered)
        why |= FB_PAUSE_METERED;
    if (slot->low_battery && !limits->battery)
        why |= FB_PAUSE_BATTERY;
    return why;
}

void fb_slot_set_limits(struct fb_slot *slot, const struct fb_slot_limits *limits,
                        uint64_t now_ms) {
    uint32_t rate = limits->rate, people;
    slot->limits = *limits;
    if (rate != 0 && rate < FB_SLOT_RATE_MIN)
        slot->limits.rate = rate = FB_SLOT_RATE_MIN;
    people = fb_slot_capacity(limits->people);
    if (rate != 0 && people > rate / FB_SLOT_RATE_SHARE)
        people = rate < FB_SLOT_RATE_SHARE ? 1 : rate / FB_SLOT_RATE_SHARE;
    slot->view.capacity = (uint16_t)people;
    /* What was counted in the meantime is more than what glue remembers of the same month. */
    if (slot->view.month == 0)
        slot->view.month = limits->month;
    if (slot->view.month == limits->month && slot->view.used < limits->used)
        slot->view.used = limits->used;
    slot->todo |= SAY_READY | TELL_CHANGED;
    fb_slot_reconsider(slot, now_ms);
}

void fb_slot_set_clock(struct fb_slot *slot, uint32_t minutes, uint64_t now_ms) {
    slot->has_clock = true;
    slot->clock = minutes;
    slot->clock_ms = now_ms;
    fb_slot_reconsider(slot, now_ms);
}

void fb_slot_set_place(struct fb_slot *slot, bool metered, bool low_battery, uint64_t now_ms) {
    slot->metered = metered;
    slot->low_battery = low_battery;
    fb_slot_reconsider(slot, now_ms);
}

/* ---- Speed ---- */

bool fb_slot_rate_allows(const struct fb_slot *slot) {
    return slot->limits.rate == 0 || slot->paid_us <= slot->now_ms * 1000;
}

/* A message goes as soon as those before it are paid for: so the longest one may go at any rate. */
void fb_slot_rate_charge(struct fb_slot *slot, size_t len) {
    uint64_t now_us = slot->now_ms * 1000, burst = FB_SLOT_RATE_BURST_MS * 1000;
    if (slot->limits.rate == 0)
        return;
    if (slot->paid_us + burst < now_us)
        slot->paid_us = now_us - burst;
    slot->paid_us += (uint64_t)len * 1000000 / slot->limits.rate;
}
