#include "cmd/member.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/err.h"
#include "core/addrclass.h"
#include "core/document.h"
#include "crypto/openssl.h"
#include "net/ownaddr.h"

#define PATIENCE_US UINT64_C(2000000)

static void on_signal(void *user, int signum) {
    struct fb_member *member = user;
    if (member->stopping)
        _Exit(1);
    member->stopping = true;
    member->config.stop(member->config.user);
}

static uint32_t software_version(void) {
    char *at;
    uint32_t a = (uint32_t)strtoul(FB_VERSION, &at, 10), b = (uint32_t)strtoul(at + 1, &at, 10);
    return FB_SOFTWARE_VERSION(a, b, (uint32_t)strtoul(at + 1, NULL, 10));
}

/* Like mkdir -p, for a path of our own. */
static bool make_directories(char *path) {
    for (char *slash = path; slash != NULL;) {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        bool ok = mkdir(path, 0700) == 0 || errno == EEXIST;
        if (slash != NULL)
            *slash = '/';
        if (!ok)
            return false;
    }
    return true;
}

/* Where files of one kind are: asked for, or by environment variable, or below the home. */
struct place {
    const char *asked, *xdg, *home, *name;
};

/* One file a network; its name is the start of the network's public key. "": no directory. */
static void find_file(const struct fb_member *member, const struct place *place, char *out) {
    const char *xdg = getenv(place->xdg), *home = getenv("HOME");
    char dir[FB_MEMBER_PATH_MAX - 64];
    int len = 0;
    if (place->asked != NULL)
        len = snprintf(dir, sizeof dir, "%s", place->asked);
    else if (xdg != NULL && xdg[0] == '/')
        len = snprintf(dir, sizeof dir, "%s/footbridge", xdg);
    else if (home != NULL && home[0] == '/')
        len = snprintf(dir, sizeof dir, "%s/%s/footbridge", home, place->home);
    if (len <= 0 || (size_t)len >= sizeof dir || !make_directories(dir))
        return;
    len = snprintf(out, FB_MEMBER_PATH_MAX, "%s/", dir);
    for (size_t i = 0; i < 16; i++)
        len += snprintf(out + len, 3, "%02x", member->join.network[i]);
    snprintf(out + len, FB_MEMBER_PATH_MAX - (size_t)len, ".%s", place->name);
}

static void find_files(struct fb_member *member) {
    const struct fb_member_config *config = &member->config;
    const struct place cache = {config->cache, "XDG_CACHE_HOME", ".cache", "document"};
    const struct place state = {config->state, "XDG_STATE_HOME", ".local/state", "used"};
    find_file(member, &cache, member->cache_file);
    if (config->keeps_state)
        find_file(member, &state, member->state_file);
}

static int complain(const char *role, const char *what) {
    fprintf(stderr, "footbridge %s: %s\n", role, what);
    return 1;
}

/* The link is followed before the document can say that the network is local. So a broker without
 * TLS must be near by its very address: on this machine, or in a private network. */
static bool is_near(const char *host) {
    struct fb_addr addr;
    return strcmp(host, "localhost") == 0 || (fb_addr_parse(host, strlen(host), &addr) == 0 &&
                                              (fb_addr_is_special(&addr) || fb_own_has(&addr)));
}

static int check_link(const char *role, const struct fb_join *join) {
    struct fb_url url;
    for (size_t i = 0; i < join->broker_count; i++) {
        if (fb_url_parse(join->brokers[i], FB_URL_HTTP, &url) == 0 &&
            (url.tls || is_near(url.host)))
            continue;
        fprintf(stderr,
                "footbridge %s: the link's broker %s has no TLS: everybody on the way would see "
                "who asks; ask for a link with https\n",
                role, join->brokers[i]);
        return 1;
    }
    return 0;
}

int fb_member_start(struct fb_member *member, const char *role,
                    const struct fb_member_config *config) {
    char err[FB_NET_ERR_MAX];
    memset(member, 0, sizeof *member);
    member->config = *config;
    member->software_version = software_version();
    uv_loop_init(&member->loop);
    member->crypto = fb_crypto_openssl();
    if (member->crypto == NULL)
        return complain(role, "OpenSSL here lacks an algorithm that is needed");
    int bad = fb_join_parse(member->crypto, config->join, &member->join);
    if (bad != 0)
        return complain(role, fb_join_strerror(bad));
    if (check_link(role, &member->join) != 0)
        return 1;
    find_files(member);
    fb_raise_fd_limit();
    struct fb_net_config net = {.loop = &member->loop, .ca_file = config->ca};
    member->net = fb_net_new(&net, err);
    if (member->net == NULL)
        return complain(role, err);
    member->fetcher = fb_fetcher_new(&member->loop, config->ca);
    member->signals = fb_signals_new(&member->loop, on_signal, member);
    bad = fb_rtc_new(&member->rtc, &member->loop);
    if (bad != 0 || member->fetcher == NULL || member->signals == NULL)
        return complain(role, fb_strerror(bad != 0 ? bad : FB_ERR_NOMEM));
    return 0;
}

static void on_patience(void *user) {
    struct fb_member *member = user;
    fb_log(member->log, FB_LOG_INFO, "asking for the network's document; no answer yet");
}

int fb_member_asks(struct fb_member *member, const struct fb_log *log) {
    member->log = log;
    member->patience = fb_timer_new(&member->loop, on_patience, member);
    if (member->patience == NULL)
        return FB_ERR_NOMEM;
    fb_timer_set(member->patience, fb_now_us() + PATIENCE_US);
    return 0;
}

bool fb_member_joined(struct fb_member *member) {
    bool first = !member->joined;
    member->joined = true;
    fb_timer_free(member->patience);
    member->patience = NULL;
    return first;
}

static void on_rtc_gone(void *user) {
    struct fb_member *member = user;
    member->rtc = NULL;
}

void fb_member_stop(struct fb_member *member) {
    if (!member->stopping && member->rtc != NULL)
        member->config.stop(member->config.user);
    member->stopping = true;
    if (member->rtc == NULL)
        return;
    fb_rtc_free(member->rtc, on_rtc_gone, member);
    while (member->rtc != NULL)
        uv_run(&member->loop, UV_RUN_ONCE);
}

void fb_member_end(struct fb_member *member) {
    member->stopping = true;
    if (member->rtc != NULL)
        fb_member_stop(member);
    fb_timer_free(member->patience);
    fb_signals_free(member->signals);
    fb_fetcher_free(member->fetcher);
    fb_net_free(member->net);
    fb_loop_finish(&member->loop);
}
