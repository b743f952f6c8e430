#include "wasm/slot.h"

#include <stdbool.h>
#include <stddef.h>

#include "core/slot.h"
#include "wasm/include/string.h"

static uint8_t in[FB_WASM_IN];
static union {
    uint8_t bytes[FB_WASM_OUT];
    uint32_t words[5];
    double numbers[12 + 2 * FB_SLOT_CAPACITY_MAX];
} out;
static uint32_t held[FB_LANES_MAX];
static struct fb_slot *slot;

/* The slot takes all its memory at birth and there is one slot: an arena that only grows will do.
 * wasm memory starts out as zeros. */
static struct {
    _Alignas(16) uint8_t bytes[192 * 1024];
    size_t used;
} arena;

static void *arena_alloc(void *ctx, size_t len) {
    size_t rounded = (len + 15) & ~(size_t)15;
    if (rounded < len || rounded > sizeof arena.bytes - arena.used)
        return NULL;
    void *at = arena.bytes + arena.used;
    arena.used += rounded;
    return at;
}

static void arena_free(void *ctx, void *ptr) {
}

static const struct fb_mem mem = {arena_alloc, arena_free, NULL};

/* SplitMix64 over the browser's randomness: it serves the jitter of waits, nothing secret. */
static uint64_t seed;

static void fill(void *ctx, uint8_t *to, size_t len) {
    for (size_t i = 0; i < len; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        to[i] = (uint8_t)(z >> 56 ^ z >> 24);
    }
}

static const struct fb_rng rng = {fill, NULL};

uint8_t *fb_in(void) {
    return in;
}

uint8_t *fb_out(void) {
    return out.bytes;
}

uint32_t *fb_held(void) {
    return held;
}

/* NaN and what lies outside become the nearest end. */
static uint64_t from_double(double value) {
    if (!(value > 0))
        return 0;
    return value < 9007199254740992.0 ? (uint64_t)value : FB_SLOT_NEVER;
}

static double to_double(uint64_t value) {
    return value == FB_SLOT_NEVER ? __builtin_inf() : (double)value;
}

int fb_boot(int kind, int nat, int capacity, int local, int egress_count) {
    static struct fb_slot_config config;
    if (slot != NULL || kind < 0 || kind >= FB_VOLUNTEER_KIND_COUNT || nat < 0 ||
        nat >= FB_NAT_COUNT || capacity < 0 || capacity > 65535 || egress_count < 0 ||
        egress_count > FB_SLOT_EGRESS_MAX)
        return 0;
    memcpy(&seed, in, sizeof seed);
    config.kind = (enum fb_volunteer_kind)kind;
    config.nat = (enum fb_nat)nat;
    config.capacity = (uint16_t)capacity;
    config.local = local != 0;
    config.egress_count = (size_t)egress_count;
    memcpy(config.egress, in + 32, (size_t)egress_count * FB_EGRESS_ID_LEN);
    slot = fb_slot_new(&mem, &rng, &config);
    return slot != NULL;
}

void fb_switch(int on, double now) {
    fb_slot_switch(slot, on != 0, from_double(now));
}

void fb_set_limits(int people, double rate, double budget, double used, int month, int from, int to,
                   int flags, double now) {
    struct fb_slot_limits limits;
    uint64_t bytes = from_double(rate);
    limits.people = (uint16_t)people;
    limits.rate = bytes < UINT32_MAX ? (uint32_t)bytes : 0;
    limits.budget = from_double(budget);
    limits.used = from_double(used);
    limits.month = (uint32_t)month;
    limits.from_min = (uint16_t)from;
    limits.to_min = (uint16_t)to;
    limits.metered = (flags & 1) != 0;
    limits.battery = (flags & 2) != 0;
    fb_slot_set_limits(slot, &limits, from_double(now));
}

void fb_set_clock(uint32_t minutes, double now) {
    fb_slot_set_clock(slot, minutes, from_double(now));
}

void fb_set_place(int flags, double now) {
    fb_slot_set_place(slot, (flags & 1) != 0, (flags & 2) != 0, from_double(now));
}

void fb_set_nat(int nat) {
    fb_slot_set_nat(slot, (enum fb_nat)nat);
}

void fb_broker_open(double now) {
    fb_slot_broker_open(slot, from_double(now));
}

void fb_broker_closed(int code, double now) {
    fb_slot_broker_closed(slot, (unsigned)code, from_double(now));
}

/* Longer than the buffer: the empty message, which is malformed as well. */
static size_t in_len(int len) {
    return len < 0 || len > FB_WASM_IN ? 0 : (size_t)len;
}

void fb_broker_message(int len, double now) {
    fb_slot_broker_message(slot, in, in_len(len), from_double(now));
}

int fb_peer_described(uint32_t peer, int len, double now) {
    struct fb_desc desc;
    if (fb_desc_from_sdp(&desc, (const char *)in, in_len(len)) == 0) {
        fb_slot_peer_described(slot, peer, &desc, from_double(now));
        return 1;
    }
    /* An empty description is not valid: the slot closes the peer. */
    fb_slot_peer_described(slot, peer, &desc, from_double(now));
    return 0;
}

void fb_peer_open(uint32_t peer, double now) {
    fb_slot_peer_open(slot, peer, from_double(now));
}

void fb_peer_closed(uint32_t peer, double now) {
    fb_slot_peer_closed(slot, peer, from_double(now));
}

void fb_egress_open(uint32_t m, double now) {
    fb_slot_egress_open(slot, m, from_double(now));
}

void fb_egress_closed(uint32_t m, double now) {
    fb_slot_egress_closed(slot, m, from_double(now));
}

void fb_tick(double now) {
    fb_slot_tick(slot, from_double(now));
}

double fb_deadline(void) {
    return to_double(fb_slot_deadline(slot));
}

uint32_t fb_relay(uint32_t m, int from_client, int first_byte, uint32_t len, double now) {
    uint32_t lane;
    enum fb_relay relay = fb_slot_relay(slot, m, from_client != 0, (uint8_t)first_byte, len, held,
                                        &lane, from_double(now));
    return (uint32_t)relay | lane << 8;
}

uint32_t fb_next(uint32_t m, int from_client, uint32_t len, double now) {
    uint32_t lane;
    enum fb_relay relay = fb_slot_next(slot, m, from_client != 0, len, held, &lane,
                                       from_double(now));
    return (uint32_t)relay | lane << 8;
}

void fb_hop(uint32_t m, int from_client, int len, double now) {
    fb_slot_hop(slot, m, from_client != 0, in, in_len(len), from_double(now));
}

void fb_drained(uint32_t m, int to_client, double now) {
    fb_slot_drained(slot, m, to_client != 0, held, from_double(now));
}

int fb_poll(void) {
    struct fb_slot_action action;
    size_t len = 0;
    if (!fb_slot_poll(slot, &action))
        return 0;
    if (action.desc != NULL) {
        int text_len = fb_desc_to_sdp(action.desc, (char *)out.bytes + sizeof out.words,
                                      FB_WASM_OUT - sizeof out.words);
        len = text_len > 0 ? (size_t)text_len : 0;
    } else if (action.len > 0) {
        len = action.len;
        memcpy(out.bytes + sizeof out.words, action.bytes, len);
    }
    out.words[0] = action.type;
    out.words[1] = action.m;
    out.words[2] = action.type == FB_SLOT_EGRESS_OPEN ? action.egress
                   : action.type == FB_SLOT_NEXT      ? action.from_client
                                                      : action.peer;
    out.words[3] = action.lane;
    out.words[4] = len;
    return (int)action.type;
}

static double country(const char *code) {
    return (uint8_t)code[0] * 256 + (uint8_t)code[1];
}

void fb_look(void) {
    static struct fb_slot_person people[FB_SLOT_CAPACITY_MAX];
    struct fb_slot_view view;
    fb_slot_view(slot, &view);
    out.numbers[0] = view.state;
    out.numbers[1] = view.broker;
    out.numbers[2] = to_double(view.retry_ms);
    out.numbers[3] = view.people_now;
    out.numbers[4] = (double)view.people_total;
    out.numbers[5] = (double)view.bytes_up;
    out.numbers[6] = (double)view.bytes_down;
    out.numbers[7] = country(view.country);
    out.numbers[8] = view.paused;
    out.numbers[9] = view.trouble;
    out.numbers[10] = (double)view.used;
    out.numbers[11] = view.month;
    for (size_t i = 0, count = fb_slot_people(slot, people); i < count; i++) {
        out.numbers[12 + 2 * i] = people[i].id;
        out.numbers[13 + 2 * i] = country(people[i].country);
    }
}
