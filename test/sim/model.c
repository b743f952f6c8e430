/*
 * Does a hop carry what a real data channel carried? The figures are those that were measured with
 * Chromium and usrsctp (doc/testing.md); a model that is off by more than the tolerance would test
 * sessions in a world that does not exist.
 */
#include "sim/model.h"

#include <stdio.h>

#include "sim/hop.h"

#define WARM_UP (10 * SECOND)
#define MEASURED (120 * SECOND)
#define MESSAGE 16000

static const struct model_case {
    const char *what;
    uint64_t rtt;
    unsigned loss, lanes;
    uint64_t rate; /* of the bottleneck, bytes a second; 0: none */
    double mbits;  /* as measured */
    double factor; /* that the model may be off, either way */
} cases[] = {
    {"100 ms, 1 %, 1 lane", 100 * MS, 1000, 1, 0, 1.0, 1.35},
    {"100 ms, 1 %, 4 lanes", 100 * MS, 1000, 4, 0, 4.3, 1.35},
    {"100 ms, 1 %, 8 lanes", 100 * MS, 1000, 8, 0, 8.6, 1.35},
    {"100 ms, 1 %, 16 lanes", 100 * MS, 1000, 16, 0, 17, 1.35},
    {"100 ms, 1 %, 32 lanes", 100 * MS, 1000, 32, 0, 33, 1.35},
    {"100 ms, 3 %, 1 lane", 100 * MS, 3000, 1, 0, 0.7, 1.6},
    {"100 ms, 3 %, 8 lanes", 100 * MS, 3000, 8, 0, 4.8, 1.6},
    {"30 ms, 1 %, 1 lane", 30 * MS, 1000, 1, 0, 3.2, 1.5},
    {"30 ms, 1 %, 8 lanes", 30 * MS, 1000, 8, 0, 28, 1.5},
    {"100 ms, clean 50 Mbit/s, 1 lane", 100 * MS, 0, 1, 6250000, 10, 1.15},
    {"100 ms, clean 50 Mbit/s, 8 lanes", 100 * MS, 0, 8, 6250000, 46, 1.15},
};

struct run {
    struct hop *hop;
    uint64_t bytes;
};

static void fill(struct hop *hop) {
    static const uint8_t message[MESSAGE] = {1};
    while (hop_buffered(hop) < (size_t)8 * MESSAGE * 32)
        hop_send(hop, message, sizeof message);
}

static void on_message(void *ctx, struct hop *hop, uint8_t *msg, size_t len) {
    struct run *run = ctx;
    run->bytes += len;
    fill(hop);
}

static double carried(const struct model_case *c) {
    static const struct hop_handler handler = {.message = on_message};
    struct world world;
    struct run run = {.bytes = 0};
    struct wire wire = {.rate = c->rate, .queue = (size_t)(c->rate / 10)};
    struct hop_config config = {.delay = c->rtt / 2,
                                .loss = c->loss,
                                .window = 128 * 1024,
                                .lanes = c->lanes,
                                .wires = {&wire}};
    world_init(&world, 1, false);
    run.hop = hop_new(&world, &config, &handler, &run);
    fill(run.hop);
    while (world.now < WARM_UP && world_step(&world))
        ;
    uint64_t before = run.bytes, since = world.now;
    while (world.now < WARM_UP + MEASURED && world_step(&world))
        ;
    double mbits = (double)(run.bytes - before) * 8 / (double)(world.now - since);
    world_clear(&world);
    return mbits;
}

unsigned model_test(unsigned *passed) {
    unsigned failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double mbits = carried(&cases[i]), ratio = mbits / cases[i].mbits;
        bool well = ratio < cases[i].factor && ratio > 1 / cases[i].factor;
        printf("%s  a hop with %s: %.2f Mbit/s, a real channel %.1f\n", well ? "ok  " : "FAIL",
               cases[i].what, mbits, cases[i].mbits);
        failed += !well;
        *passed += well;
    }
    return failed;
}
