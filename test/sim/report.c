#include "sim/report.h"

#include <stdlib.h>

static double megabytes(const struct totals *t) {
    return (double)(t->bytes_up + t->bytes_down) / 1e6;
}

static double seconds(uint64_t us) {
    return (double)us / (double)SECOND;
}

static double mbits(const struct result *r) {
    return r->totals.end > 0 ? megabytes(&r->totals) * 8 / seconds(r->totals.end) : 0;
}

void report_head(FILE *out) {
    fputs("        --------- network ----------  -- transfers -- -- carried -- -stall-  ---- paths "
          "----  -- time --\n"
          "  seed  cl  vol bad%  loss pth lanes  done reset lost    MB  Mbit/s longest  open  lost "
          "alt.  virtual  real\n",
          out);
}

void report_row(FILE *out, const struct result *r) {
    const struct plan *p = &r->plan;
    const struct totals *t = &r->totals;
    fprintf(out,
            "%6llu  %2u %4u  %2u%% %4.1f%%  %2u    %2u  %4u  %4u %4u %5.1f  %6.2f  %4.1f s  %4u  "
            "%4u %4u  %5.0f s %3.1f s  %s\n",
            (unsigned long long)p->seed, p->clients, p->volunteers, p->faults / 10,
            p->loss / 1000.0, p->paths, p->lanes, (unsigned)t->finished, (unsigned)t->reset,
            (unsigned)t->lost, megabytes(t), mbits(r), seconds(t->longest_stall),
            (unsigned)t->paths, (unsigned)t->paths_lost, (unsigned)t->altered, seconds(t->end),
            (double)r->wall_ms / 1000, r->failure[0] == '\0' ? "ok" : "FAIL");
    if (r->failure[0] != '\0')
        fprintf(out, "       %s\n", r->failure);
}

static int by_value(const void *a, const void *b) {
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void spread(FILE *out, const char *what, const char *unit, const struct result *results,
                   size_t count, double (*of)(const struct result *r)) {
    double *values = calloc(count, sizeof *values);
    if (values == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        values[i] = of(&results[i]);
    qsort(values, count, sizeof *values, by_value);
    fprintf(out, "%-34s %8.2f %8.2f %8.2f %8.2f  %s\n", what, values[0], values[count / 2],
            values[count * 95 / 100], values[count - 1], unit);
    free(values);
}

static double stall(const struct result *r) {
    return seconds(r->totals.longest_stall);
}

static double of_bytes(size_t bytes) {
    return (double)bytes / 1048576;
}

static double client_memory(const struct result *r) {
    return of_bytes(r->totals.client_peak);
}

static double egress_memory(const struct result *r) {
    return of_bytes(r->totals.egress_peak);
}

static double volunteer_queue(const struct result *r) {
    return of_bytes(r->totals.volunteer_peak);
}

static double broker_memory(const struct result *r) {
    return of_bytes(r->totals.broker_peak);
}

static double share_of_ceiling(const struct result *r) {
    size_t most = r->totals.client_peak > r->totals.egress_peak ? r->totals.client_peak
                                                                : r->totals.egress_peak;
    return 100.0 * (double)most / (double)session_ceiling(&r->plan);
}

unsigned report_sum(FILE *out, const struct result *results, size_t count, uint64_t wall_ms) {
    unsigned failed = 0;
    struct totals all = {0};
    for (size_t i = 0; i < count; i++) {
        const struct totals *t = &results[i].totals;
        failed += results[i].failure[0] != '\0';
        all.closed += t->closed;
        all.vanished += t->vanished;
        all.frozen += t->frozen;
        all.crawled += t->crawled;
        all.returned += t->returned;
        all.restarts += t->restarts;
        all.corrupted += t->corrupted;
        all.doubled += t->doubled;
        all.dropped += t->dropped;
        all.replays_refused += t->replays_refused;
    }
    fprintf(out, "\n%-34s %8s %8s %8s %8s\n", "of each run", "least", "median", "95 %", "most");
    spread(out, "goodput", "Mbit/s", results, count, mbits);
    spread(out, "longest stall beside a good path", "s", results, count, stall);
    spread(out, "memory of a client", "MiB", results, count, client_memory);
    spread(out, "memory of a session at an egress", "MiB", results, count, egress_memory);
    spread(out, "... of what it may hold", "%", results, count, share_of_ceiling);
    spread(out, "queue of a volunteer", "MiB", results, count, volunteer_queue);
    spread(out, "memory of the broker", "MiB", results, count, broker_memory);
    fprintf(out,
            "volunteers: %llu closed, %llu vanished, %llu froze, %llu crawled, %llu came back; "
            "%llu egress restarts\nmessages: %llu corrupted, %llu doubled, %llu dropped; %llu "
            "attachments tried again and refused\n",
            (unsigned long long)all.closed, (unsigned long long)all.vanished,
            (unsigned long long)all.frozen, (unsigned long long)all.crawled,
            (unsigned long long)all.returned, (unsigned long long)all.restarts,
            (unsigned long long)all.corrupted, (unsigned long long)all.doubled,
            (unsigned long long)all.dropped, (unsigned long long)all.replays_refused);
    fprintf(out, "%u seeds passed, %u failed, %.1f s\n", (unsigned)count - failed, failed,
            (double)wall_ms / 1000);
    return failed;
}
