/* What a run looked like over time, as a drawing: goodput, paths, stalls, queues. */
#include <stdio.h>
#include <stdlib.h>

#include "sim/net.h"

#define SAMPLES_MAX 4000
#define WIDTH 960.0
#define PANEL 150.0
#define LEFT 70.0
#define TOP 40.0

enum series { GOT_DOWN, GOT_UP, PATHS, STALL, QUEUE_CLIENT, QUEUE_VOLUNTEER, QUEUE_EGRESS, SERIES };

static const struct panel {
    const char *title;
    unsigned first, count;
} panels[] = {
    {"goodput, Mbit/s", GOT_DOWN, 2},
    {"open paths", PATHS, 1},
    {"longest stall that lasts, s", STALL, 1},
    {"largest queue, KiB", QUEUE_CLIENT, 3},
};

static const struct {
    const char *name, *colour;
} looks[SERIES] = {
    {"down", "#1b6ca8"},        {"up", "#d1495b"},         {"paths", "#2e7d32"},
    {"stall", "#d1495b"},       {"at clients", "#2e7d32"}, {"at volunteers", "#1b6ca8"},
    {"at egresses", "#b8860b"},
};

struct samples {
    size_t count;
    uint64_t down, up, last;
    double time[SAMPLES_MAX], value[SERIES][SAMPLES_MAX];
};

struct samples *samples_new(struct net *net) {
    return world_keep(&net->world, sizeof(struct samples));
}

static void raise_to(double *value, const struct hop *hop) {
    double kib = hop == NULL ? 0 : (double)hop_buffered(hop) / 1024;
    if (kib > *value)
        *value = kib;
}

void samples_take(struct net *net) {
    struct samples *samples = net->samples;
    uint64_t now = net->world.now;
    size_t i = samples->count;
    double seconds = (double)(now - samples->last) / (double)SECOND;
    if (i == SAMPLES_MAX || seconds <= 0)
        return;
    samples->count++;
    samples->time[i] = (double)now / (double)SECOND;
    samples->value[GOT_DOWN][i] = (double)(net->totals.bytes_down - samples->down) * 8e-6 / seconds;
    samples->value[GOT_UP][i] = (double)(net->totals.bytes_up - samples->up) * 8e-6 / seconds;
    samples->down = net->totals.bytes_down;
    samples->up = net->totals.bytes_up;
    samples->last = now;
    for (unsigned n = 0; n < net->plan.clients; n++) {
        struct client *client = &net->clients[n];
        double stall = (double)(now - client->progress_at) / (double)SECOND;
        if (client->open_transfers > 0 && stall > samples->value[STALL][i])
            samples->value[STALL][i] = stall;
        FB_LIST_EACH (it, &client->paths) {
            const struct path *path = FB_CONTAINER(it, struct path, by_client);
            samples->value[PATHS][i] += path->stage == OPEN;
            raise_to(&samples->value[QUEUE_CLIENT][i], path->cv);
            raise_to(&samples->value[QUEUE_VOLUNTEER][i], path->vc);
            raise_to(&samples->value[QUEUE_VOLUNTEER][i], path->ve);
            raise_to(&samples->value[QUEUE_EGRESS][i], path->ev);
        }
    }
}

static double highest(const struct samples *samples, const struct panel *panel) {
    double most = 0.001;
    for (unsigned s = panel->first; s < panel->first + panel->count; s++)
        for (size_t i = 0; i < samples->count; i++)
            if (samples->value[s][i] > most)
                most = samples->value[s][i];
    return most;
}

static void draw(FILE *out, const struct samples *samples, const struct panel *panel, double top) {
    double most = highest(samples, panel), end = samples->time[samples->count - 1];
    double bottom = top + PANEL - 40;
    fprintf(out, "<text x='%g' y='%g' font-weight='bold'>%s</text>\n", LEFT, top - 6, panel->title);
    for (int i = 0; i <= 4; i++) {
        double y = bottom - (bottom - top) * i / 4;
        fprintf(out, "<path d='M%g %gH%g' stroke='#ddd'/>", LEFT, y, WIDTH - 10);
        fprintf(out, "<text x='%g' y='%g' text-anchor='end'>%.3g</text>\n", LEFT - 6, y + 4,
                most * i / 4);
    }
    for (int i = 0; i <= 8; i++)
        fprintf(out, "<text x='%g' y='%g' text-anchor='middle'>%.0f s</text>\n",
                LEFT + (WIDTH - LEFT - 10) * i / 8, bottom + 15, end * i / 8);
    for (unsigned s = panel->first; s < panel->first + panel->count; s++) {
        fprintf(out, "<text x='%g' y='%g' fill='%s'>%s</text>\n",
                LEFT + 260 + 120 * (double)(s - panel->first), top - 6, looks[s].colour,
                looks[s].name);
        fprintf(out, "<polyline fill='none' stroke='%s' points='", looks[s].colour);
        for (size_t i = 0; i < samples->count; i++)
            fprintf(out, "%.1f,%.1f ", LEFT + (WIDTH - LEFT - 10) * samples->time[i] / end,
                    bottom - (bottom - top) * samples->value[s][i] / most);
        fputs("'/>\n", out);
    }
}

bool samples_write(const struct net *net, const char *file) {
    const struct samples *samples = net->samples;
    size_t count = sizeof panels / sizeof *panels;
    FILE *out = fopen(file, "w");
    if (out == NULL)
        return false;
    fprintf(out,
            "<svg xmlns='http://www.w3.org/2000/svg' width='%g' height='%g' "
            "font-family='sans-serif' font-size='12'>\n<rect width='100%%' height='100%%' "
            "fill='white'/>\n",
            WIDTH, TOP + PANEL * (double)count);
    fprintf(out,
            "<text x='%g' y='18' font-size='14'>seed %llu: %u clients, %u volunteers (%u in 1000 "
            "at fault), %u paths, %u lanes, loss to %.1f %%</text>\n",
            LEFT, (unsigned long long)net->plan.seed, net->plan.clients, net->plan.volunteers,
            net->plan.faults, net->plan.paths, net->plan.lanes, net->plan.loss / 1000.0);
    for (size_t i = 0; i < count && samples->count > 0; i++)
        draw(out, samples, &panels[i], TOP + 10 + PANEL * (double)i);
    fputs("</svg>\n", out);
    return fclose(out) == 0;
}
