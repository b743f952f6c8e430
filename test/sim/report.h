/* What a person reads of many runs: a row each, and what they say together. */
#ifndef FB_SIM_REPORT_H
#define FB_SIM_REPORT_H

#include <stdio.h>

#include "sim/net.h"

struct result {
    bool there; /* the run is over, one way or the other */
    struct plan plan;
    struct totals totals;
    uint64_t digest, events, wall_ms;
    char failure[320];
};

void report_head(FILE *out);
void report_row(FILE *out, const struct result *result);
/* Medians and extremes of all; how many have failed. */
unsigned report_sum(FILE *out, const struct result *results, size_t count, uint64_t wall_ms);

#endif
