/*
 * core/slot in the middle of a match, against a client and an egress that say anything: each chunk
 * of the input is one event, with the time it takes. What glue promises is kept.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/slot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *take(void *ctx, size_t len) {
    return calloc(1, len);
}

static void give(void *ctx, void *ptr) {
    free(ptr);
}

static void fill(void *ctx, uint8_t *out, size_t len) {
    memset(out, 0x55, len);
}

static const struct fb_mem mem = {take, give, NULL};
static const struct fb_rng rng = {fill, NULL};
#define LEN 1000
static const struct fb_slot_config config = {.kind = FB_VOLUNTEER_BROWSER, .egress_count = 1};

struct run {
    struct fb_slot *slot;
    uint64_t now;
    uint32_t m;
    uint32_t peers[FB_LANES_MAX]; /* by lane; 0: glue has none there */
    unsigned waiting[2];          /* messages towards the egress, towards the client */
    struct fb_slot_limits limits;
    struct fb_desc desc;
};

static void next(struct run *run, const struct fb_slot_action *action) {
    uint32_t queued[FB_LANES_MAX] = {0}, lane;
    if (action->m != run->m || run->waiting[!action->from_client]-- == 0)
        abort();
    if (fb_slot_next(run->slot, run->m, action->from_client, LEN, queued, &lane, run->now) !=
        FB_RELAY_PASS)
        abort();
    if (!action->from_client && (lane >= FB_LANES_MAX || run->peers[lane] == 0))
        abort();
}

/* Does what the slot says; actions are bounded and make sense. */
static void act(struct run *run) {
    struct fb_slot_action action;
    for (unsigned n = 0; fb_slot_poll(run->slot, &action); n++) {
        if (n > 1500 || action.lane >= FB_LANES_MAX)
            abort();
        uint32_t *peer = &run->peers[action.lane];
        if (action.type == FB_SLOT_PEER_CREATE) {
            if (*peer != 0)
                abort();
            *peer = action.peer;
        } else if (action.type == FB_SLOT_PEER_CLOSE) {
            if (*peer == 0 || *peer != action.peer)
                abort();
            *peer = 0;
        } else if (action.type == FB_SLOT_PEER_SEND && *peer == 0) {
            abort();
        } else if (action.type == FB_SLOT_NEXT) {
            next(run, &action);
        }
    }
}

static void say(struct run *run, const struct fb_vol_msg *msg) {
    uint8_t bytes[FB_VOL_MAX];
    int len = fb_vol_encode(msg, bytes, sizeof bytes);
    fb_slot_broker_message(run->slot, bytes, len > 0 ? (size_t)len : 0, run->now);
    act(run);
}

/* Both hops open. */
static void begin(struct run *run) {
    struct fb_vol_msg welcome = {.type = FB_VOL_WELCOME, .welcome = {FB_SIGNAL_VERSION, "NL"}};
    struct fb_vol_msg offer = {.type = FB_VOL_OFFER, .match = 1};
    struct fb_vol_msg release = {.type = FB_VOL_RELEASE, .match = 1};
    run->desc = (struct fb_desc){.ufrag = "aJXQ",
                                 .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0",
                                 .sctp_port = 5000,
                                 .candidate_count = 1};
    run->desc.candidates[0].addr = (struct fb_addr){.family = 4, .ip = {8, 8, 4, 4}, .port = 4000};
    offer.desc = run->desc;
    run->desc.setup = FB_SETUP_ACTIVE;
    fb_slot_switch(run->slot, true, run->now);
    act(run);
    fb_slot_broker_open(run->slot, run->now);
    act(run);
    say(run, &welcome);
    say(run, &offer);
    run->m = run->peers[0];
    fb_slot_peer_described(run->slot, run->m, &run->desc, run->now);
    act(run);
    say(run, &release);
    fb_slot_egress_open(run->slot, run->m, run->now);
    act(run);
    fb_slot_peer_open(run->slot, run->m, run->now);
    act(run);
}

static void relay(struct run *run, bool from_client, uint8_t held) {
    uint32_t queued[FB_LANES_MAX], lane;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        queued[i] = (uint32_t)held << (i + held) % 13;
    enum fb_relay what = fb_slot_relay(run->slot, run->m, from_client, FB_KIND_SESSION, LEN, queued,
                                       &lane, run->now);
    run->waiting[!from_client] += what == FB_RELAY_WAIT;
    if (what == FB_RELAY_PASS && !from_client && (lane >= FB_LANES_MAX || run->peers[lane] == 0))
        abort();
    fb_slot_drained(run->slot, run->m, !from_client, queued, run->now);
}

/* By the argument: a speed, a budget that may be used up, the clock, where this is. */
static void limit(struct run *run, uint8_t arg) {
    switch (arg & 3) {
    case 0: run->limits.rate = (uint32_t)arg * 1000; break;
    case 1: run->limits.budget = (uint64_t)arg << 14; break;
    case 2: fb_slot_set_clock(run->slot, (uint32_t)arg * 1000, run->now); return;
    default: fb_slot_set_place(run->slot, (arg & 4) != 0, (arg & 8) != 0, run->now); return;
    }
    fb_slot_set_limits(run->slot, &run->limits, run->now);
}

/* kind u8, argument u8, bytes for kinds 0 and 1: length u8 and so many */
static void event(struct run *run, struct fb_rd *rd) {
    uint8_t kind = fb_rd_u8(rd), arg = fb_rd_u8(rd);
    uint32_t peer = run->peers[arg % FB_LANES_MAX];
    run->now += kind >> 3;
    switch (kind & 7) {
    case 0:
    case 1: {
        uint8_t len = fb_rd_u8(rd);
        const uint8_t *bytes = fb_rd_bytes(rd, len);
        if (bytes != NULL)
            fb_slot_hop(run->slot, run->m, (kind & 7) == 0, bytes, len, run->now);
        break;
    }
    case 2: fb_slot_peer_described(run->slot, peer, &run->desc, run->now); break;
    case 3: fb_slot_peer_open(run->slot, peer, run->now); break;
    case 4:
        if (peer == 0)
            break;
        run->peers[arg % FB_LANES_MAX] = 0;
        fb_slot_peer_closed(run->slot, peer, run->now);
        break;
    case 5: relay(run, false, arg); break;
    case 6: relay(run, true, arg); break;
    default:
        if (arg >= 128) {
            limit(run, arg & 127);
            break;
        }
        run->now += (uint64_t)arg * 100;
        fb_slot_tick(run->slot, run->now);
    }
    act(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fb_rd rd = fb_rd_make(data, size);
    struct run run = {.slot = fb_slot_new(&mem, &rng, &config), .now = 1000};
    if (run.slot == NULL)
        return 0;
    begin(&run);
    for (unsigned n = 0; rd.ok && rd.len > 0 && n < 1000; n++)
        event(&run, &rd);
    fb_slot_switch(run.slot, false, run.now);
    act(&run);
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        if (run.peers[i] != 0)
            abort();
    fb_slot_free(run.slot);
    return 0;
}
