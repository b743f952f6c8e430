/* footbridge volunteer: lends this machine's connection. */
#include "role/volunteer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/member.h"
#include "cmd/options.h"
#include "cmd/spent.h"
#include "cmd/statusline.h"
#include "cmd/values.h"
#include "cmd/volunteer_metrics.h"

/* How often the status line is made, what has been used is written down, and a line says what has
 * been carried, while something is. */
#define LOOK_US UINT64_C(1000000)
#define KEEP_US UINT64_C(10000000)
#define SAY_US UINT64_C(60000000)

struct settings {
    uint64_t people, rate, budget; /* bit/s, bytes */
    struct fb_hours hours;
    struct fb_addr metrics; /* family 0: none */
};

struct run {
    struct settings set;
    struct fb_member member;
    struct fb_volunteer *volunteer;
    struct fb_volunteer_metrics *metrics;
    struct fb_timer *timer;
    struct fb_log log;
    struct fb_status_line line;
    struct fb_slot_limits limits;
    struct fb_spent kept; /* in the state file */
    bool cannot_keep;     /* said */
    uint64_t look_us, look_bytes, keep_us, say_us, said_bytes;
    int status;
};

/* ---- what is said and kept ---- */

static uint64_t bytes_of(const struct fb_slot_view *view) {
    return view->bytes_up + view->bytes_down;
}

static void say(struct run *run, const char *what) {
    struct fb_slot_view view;
    fb_volunteer_view(run->volunteer, &view);
    run->said_bytes = bytes_of(&view);
    fb_log(&run->log, FB_LOG_INFO, "%s; %" PRIu64 " so far, %.1f MB up, %.1f MB down", what,
           view.people_total, (double)view.bytes_up / 1e6, (double)view.bytes_down / 1e6);
}

static void keep(struct run *run) {
    const char *path = run->member.state_file;
    struct fb_slot_view view;
    fb_volunteer_view(run->volunteer, &view);
    struct fb_spent spent = {.month = view.month, .used = view.used};
    if (path[0] == '\0' || (spent.month == run->kept.month && spent.used == run->kept.used))
        return;
    if (fb_spent_write(path, &spent) == 0)
        run->kept = spent;
    else if (!run->cannot_keep)
        fb_log(&run->log, FB_LOG_WARN, "what is used of the budget cannot be kept: %s",
               strerror(errno));
    run->cannot_keep |= run->kept.used != spent.used;
}

/* "helping 2, 17 so far; 1.2 Mbit/s; 0.3 of 50.0 GB this month" */
static void show(struct run *run, const struct fb_slot_view *view, double mbits) {
    static const char *const states[] = {"joining the network", "connecting",
                                         "waiting for a reader", "", "paused"};
    char text[FB_STATUS_LINE_MAX], who[32], of[32] = "";
    snprintf(who, sizeof who, "helping %u", view->people_now);
    if (run->limits.budget > 0)
        snprintf(of, sizeof of, " of %.1f", (double)run->limits.budget / 1e9);
    snprintf(text, sizeof text, "%s, %" PRIu64 " so far; %.1f Mbit/s; %.1f%s GB this month",
             view->state == FB_SLOT_CARRYING ? who : states[view->state], view->people_total, mbits,
             (double)view->used / 1e9, of);
    fb_status_line_show(&run->line, text);
}

static void on_timer(void *user) {
    struct run *run = user;
    struct fb_slot_view view;
    uint64_t now = fb_now_us();
    fb_volunteer_view(run->volunteer, &view);
    uint64_t bytes = bytes_of(&view);
    show(run, &view, (double)(bytes - run->look_bytes) * 8 / (double)(now - run->look_us));
    run->look_us = now;
    run->look_bytes = bytes;
    if (now >= run->keep_us) {
        keep(run);
        run->keep_us = now + KEEP_US;
    }
    if (now >= run->say_us) {
        if (bytes != run->said_bytes)
            say(run, "carrying");
        run->say_us = now + SAY_US;
    }
    fb_timer_set(run->timer, now + LOOK_US);
}

/* ---- its life ---- */

static void stop(void *user) {
    struct run *run = user;
    if (run->volunteer != NULL)
        fb_volunteer_stop(run->volunteer);
    uv_stop(&run->member.loop);
}

/* Without a document from an earlier run, what keeps the first one away is mostly something about
 * the link, the line or this machine that a person must mend: said once, and the end. */
static void no_network(void *user, const char *why) {
    struct run *run = user;
    fb_log(&run->log, FB_LOG_ERROR, "the network cannot be joined: %s", why);
    run->status = 1;
    uv_stop(&run->member.loop);
}

/* Only now: a start that fails says one line. */
static void changed(void *user, const struct fb_slot_view *view) {
    struct run *run = user;
    if (!fb_member_joined(&run->member))
        return;
    fb_log(&run->log, FB_LOG_INFO, "this machine is of the network; Ctrl-C stops");
    if (run->limits.budget > 0 && run->member.state_file[0] == '\0')
        fb_log(&run->log, FB_LOG_WARN, "there is no directory to keep what is used of the budget");
}

static int start_metrics(struct run *run) {
    struct fb_addr *addr = &run->set.metrics;
    char err[FB_NET_ERR_MAX];
    if (addr->family == 0)
        return 0;
    run->metrics = fb_volunteer_metrics_new(run->member.net, addr, &run->limits, err);
    if (run->metrics != NULL)
        return 0;
    fprintf(stderr, "footbridge volunteer: --metrics: %s\n", err);
    return 1;
}

static void set_limits(struct run *run) {
    const struct settings *set = &run->set;
    uint64_t rate = set->rate / 8;
    if (run->member.state_file[0] != '\0')
        fb_spent_read(run->member.state_file, &run->kept);
    run->limits = (struct fb_slot_limits){.people = (uint16_t)set->people,
                                          .rate = rate < UINT32_MAX ? (uint32_t)rate : 0,
                                          .budget = set->budget,
                                          .used = run->kept.used,
                                          .month = run->kept.month,
                                          .from_min = set->hours.from,
                                          .to_min = set->hours.to};
}

static int carry(struct run *run) {
    struct fb_member *member = &run->member;
    set_limits(run);
    if (start_metrics(run) != 0)
        return 1;
    struct fb_volunteer_config config = {
        .net = member->net,
        .fetcher = member->fetcher,
        .rtc = member->rtc,
        .crypto = member->crypto,
        .log = &run->log,
        .join = &member->join,
        .cache_file = member->cache_file[0] != '\0' ? member->cache_file : NULL,
        .software_version = member->software_version,
        .limits = run->limits,
        .changed = changed,
        .failed = no_network,
        .user = run,
    };
    run->timer = fb_timer_new(&member->loop, on_timer, run);
    run->volunteer = fb_volunteer_new(&config);
    if (run->volunteer == NULL || run->timer == NULL || fb_member_asks(member, &run->log) != 0) {
        fb_log(&run->log, FB_LOG_ERROR, "out of memory");
        return 1;
    }
    fb_volunteer_metrics_of(run->metrics, run->volunteer);
    run->look_us = fb_now_us();
    run->keep_us = run->look_us + KEEP_US;
    run->say_us = run->look_us + SAY_US;
    fb_timer_set(run->timer, run->look_us + LOOK_US);
    uv_run(&member->loop, UV_RUN_DEFAULT);
    keep(run);
    fb_status_line_end(&run->line);
    if (run->status == 0)
        say(run, "stopped");
    return run->status;
}

int fb_cmd_volunteer(int argc, char **argv) {
    static struct run run;
    struct settings *set = &run.set;
    struct fb_member_config member = {.stop = stop, .user = &run, .keeps_state = true};
    set->people = FB_SLOT_CAPACITY_DEFAULT;
    const struct fb_option options[] = {
        {"join", "LINK", "the network's join link", .text = &member.join, .required = true},
        {"people", "N", "help at most N readers at once (4)", .number = &set->people, .min = 1,
         .max = FB_SLOT_CAPACITY_MAX},
        {"rate", "SPEED", "relay at most SPEED bit/s, like 500k or 2M; 0: any speed (0)",
         .parse = fb_value_amount, .to = &set->rate, .takes = FB_VALUE_AMOUNT},
        {"budget", "BYTES", "use at most BYTES a month, like 50G, in and out; 0: any amount (0)",
         .parse = fb_value_amount, .to = &set->budget, .takes = FB_VALUE_AMOUNT},
        {"hours", "HH:MM-HH:MM", "help between these times of the local day (always)",
         .parse = fb_value_hours, .to = &set->hours, .takes = FB_VALUE_HOURS},
        {"metrics", "ADDRESS:PORT", "numbers for Prometheus there; PORT alone: on loopback",
         .parse = fb_value_listen, .to = &set->metrics, .takes = FB_VALUE_LISTEN},
        {"ca", "FILE", "certificates to trust instead of the system's (PEM)", .text = &member.ca},
        {"cache", "DIRECTORY", "where the network document is kept (~/.cache/footbridge)",
         .text = &member.cache},
        {"state", "DIRECTORY", "where the use of the budget is kept (~/.local/state/footbridge)",
         .text = &member.state},
        {0},
    };
    const struct fb_usage usage = {
        "volunteer", "lend this machine's connection to readers", options, NULL, 0, 0};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    run.log = (struct fb_log){.role = "volunteer", .level = args.level};
    status = fb_member_start(&run.member, usage.command, &member);
    if (status == 0) {
        if (args.level >= FB_LOG_INFO)
            fb_status_line_start(&run.line, &run.log);
        status = carry(&run);
        fb_status_line_end(&run.line);
        fb_member_stop(&run.member);
        fb_volunteer_metrics_free(run.metrics);
        fb_volunteer_free(run.volunteer);
        fb_timer_free(run.timer);
    }
    fb_member_end(&run.member);
    fb_args_free(&args);
    return status;
}
