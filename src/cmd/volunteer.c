#include "role/volunteer.h"

#include <inttypes.h>

#include "cmd/cmd.h"
#include "cmd/member.h"
#include "cmd/options.h"

/* How often a line says what has been carried, while something is. */
#define STATUS_US UINT64_C(60000000)

struct run {
    struct fb_member member;
    struct fb_volunteer *volunteer;
    struct fb_timer *timer;
    const struct fb_log *log;
    uint64_t bytes; /* said last */
    int status;
};

static void say_status(struct run *run, const char *what) {
    struct fb_slot_view view;
    fb_volunteer_view(run->volunteer, &view);
    run->bytes = view.bytes_up + view.bytes_down;
    fb_log(run->log, FB_LOG_INFO, "%s; %" PRIu64 " so far, %.1f MB up, %.1f MB down", what,
           view.people_total, (double)view.bytes_up / 1e6, (double)view.bytes_down / 1e6);
}

static void on_timer(void *user) {
    struct run *run = user;
    struct fb_slot_view view;
    fb_volunteer_view(run->volunteer, &view);
    if (view.bytes_up + view.bytes_down != run->bytes)
        say_status(run, "carrying");
    fb_timer_set(run->timer, fb_now_us() + STATUS_US);
}

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
    fb_log(run->log, FB_LOG_ERROR, "the network cannot be joined: %s", why);
    run->status = 1;
    uv_stop(&run->member.loop);
}

/* Only now: a start that fails says one line. */
static void changed(void *user, const struct fb_slot_view *view) {
    struct run *run = user;
    if (fb_member_joined(&run->member))
        fb_log(run->log, FB_LOG_INFO, "this machine is of the network; Ctrl-C stops");
}

static int carry(struct run *run, const struct fb_log *log, uint16_t capacity) {
    struct fb_member *member = &run->member;
    struct fb_volunteer_config config = {
        .net = member->net,
        .fetcher = member->fetcher,
        .rtc = member->rtc,
        .crypto = member->crypto,
        .log = log,
        .join = &member->join,
        .cache_file = member->cache_file[0] != '\0' ? member->cache_file : NULL,
        .software_version = member->software_version,
        .limits = {.people = capacity},
        .changed = changed,
        .failed = no_network,
        .user = run,
    };
    run->log = log;
    run->timer = fb_timer_new(&run->member.loop, on_timer, run);
    run->volunteer = fb_volunteer_new(&config);
    if (run->volunteer == NULL || run->timer == NULL || fb_member_asks(member, log) != 0) {
        fb_log(log, FB_LOG_ERROR, "out of memory");
        return 1;
    }
    fb_timer_set(run->timer, fb_now_us() + STATUS_US);
    uv_run(&run->member.loop, UV_RUN_DEFAULT);
    if (run->status == 0)
        say_status(run, "stopped");
    return run->status;
}

int fb_cmd_volunteer(int argc, char **argv) {
    static struct run run;
    struct fb_member_config member = {.stop = stop, .user = &run};
    uint64_t capacity = FB_SLOT_CAPACITY_DEFAULT;
    const struct fb_option options[] = {
        {"join", "LINK", "the network's join link", .text = &member.join, .required = true},
        {"capacity", "N", "carry for at most N readers at once (4)", .number = &capacity, .min = 1,
         .max = FB_SLOT_CAPACITY_MAX},
        {"ca", "FILE", "certificates to trust instead of the system's (PEM)", .text = &member.ca},
        {"cache", "DIRECTORY", "where the network document is kept (~/.cache/footbridge)",
         .text = &member.cache},
        {0},
    };
    const struct fb_usage usage = {
        "volunteer", "lend this machine's connection to readers", options, NULL, 0, 0};
    struct fb_args args;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    struct fb_log log = {.role = "volunteer", .level = args.level};
    status = fb_member_start(&run.member, usage.command, &member);
    if (status == 0) {
        status = carry(&run, &log, (uint16_t)capacity);
        fb_member_stop(&run.member);
        fb_volunteer_free(run.volunteer);
        fb_timer_free(run.timer);
    }
    fb_member_end(&run.member);
    fb_args_free(&args);
    return status;
}
