/* footbridge client: a local SOCKS5 and HTTP proxy; its connections leave at the egress. */
#include "role/client.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "cmd/cmd.h"
#include "cmd/member.h"
#include "cmd/options.h"
#include "core/lanes.h"
#include "core/pathset.h"

struct run {
    struct fb_member member;
    struct fb_client *client;
    struct fb_log log;
    int status;
};

static void stop(void *user) {
    struct run *run = user;
    if (run->client != NULL)
        fb_client_stop(run->client);
    uv_stop(&run->member.loop);
}

/*
 * Without a document of the network, at the very start, there is most likely something wrong with
 * the link, the line or this machine that a person must mend: said once, and the end. Later, and
 * with a document from an earlier run, the client goes on trying.
 */
static void progress(void *user, enum fb_client_stage stage, const char *text) {
    struct run *run = user;
    if (stage == FB_CLIENT_JOINING && !run->member.joined) {
        fb_log(&run->log, FB_LOG_ERROR, "%s", text);
        run->status = 1;
        uv_stop(&run->member.loop);
        return;
    }
    if (stage > FB_CLIENT_JOINING && fb_member_joined(&run->member)) {
        char at[FB_ADDR_STR_MAX];
        fb_log(&run->log, FB_LOG_INFO, "SOCKS5 and HTTP proxy at %s; Ctrl-C stops",
               fb_addr_format_port(fb_client_proxy(run->client), at));
    }
    fb_log(&run->log, FB_LOG_INFO, "%s", text);
}

static int carry(struct run *run, const struct fb_addr *listen, size_t paths, size_t lanes) {
    static const struct fb_client_handler handler = {.progress = progress};
    struct fb_member *member = &run->member;
    struct fb_client_config config = {
        .net = member->net,
        .fetcher = member->fetcher,
        .rtc = member->rtc,
        .crypto = member->crypto,
        .log = &run->log,
        .join = &member->join,
        .cache_file = member->cache_file[0] != '\0' ? member->cache_file : NULL,
        .software_version = member->software_version,
        .listen = *listen,
        .paths = paths,
        .lanes = lanes,
        .handler = &handler,
        .user = run,
    };
    char err[FB_NET_ERR_MAX];
    if (fb_client_new(&run->client, &config, err) != 0) {
        fb_log(&run->log, FB_LOG_ERROR, "%s", err);
        return 1;
    }
    if (fb_member_asks(member, &run->log) != 0) {
        fb_log(&run->log, FB_LOG_ERROR, "out of memory");
        return 1;
    }
    uv_run(&run->member.loop, UV_RUN_DEFAULT);
    return run->status;
}

int fb_cmd_client(int argc, char **argv) {
    static struct run run;
    struct fb_member_config member = {.stop = stop, .user = &run};
    const char *listen = "127.0.0.1:1080";
    uint64_t paths = 4, lanes = FB_LANES_CLIENT_MAX;
    const struct fb_option options[] = {
        {"join", "LINK", "the network's join link", .text = &member.join, .required = true},
        {"listen", "ADDRESS:PORT", "where apps find the proxy (127.0.0.1:1080)", .text = &listen},
        {"paths", "N", "volunteers to use at once (4)", .number = &paths, .min = 1,
         .max = FB_PATHSET_TARGET_MAX},
        {"lanes", "N", "connections to them at most, in all (32)", .number = &lanes, .min = 1,
         .max = FB_LANES_CLIENT_MAX},
        {"ca", "FILE", "certificates to trust instead of the system's (PEM)", .text = &member.ca},
        {"cache", "DIRECTORY", "where the network document is kept (~/.cache/footbridge)",
         .text = &member.cache},
        {0},
    };
    const struct fb_usage usage = {
        "client", "reach the internet through volunteers", options, NULL, 0, 0};
    struct fb_args args;
    struct fb_addr addr;
    int status = fb_args_start(&args, &usage, argc, argv);
    if (status >= 0)
        return status;
    run.log = (struct fb_log){.role = "client", .level = args.level};
    if (fb_addr_parse_port(listen, strlen(listen), &addr) != 0) {
        fprintf(stderr, "footbridge client: --listen %s: not ADDRESS:PORT\n", listen);
        fb_args_free(&args);
        return 2;
    }
    status = fb_member_start(&run.member, usage.command, &member);
    if (status == 0) {
        status = carry(&run, &addr, (size_t)paths, (size_t)lanes);
        fb_member_stop(&run.member);
        fb_client_free(run.client);
    }
    fb_member_end(&run.member);
    fb_args_free(&args);
    return status;
}
