#include "role/joined.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "net/loop.h"

#define SECOND_US UINT64_C(1000000)
#define FETCH_TIMEOUT_MS 15000
#define RETRY_FIRST_S 1
#define RETRY_MAX_S 60
/* Answers name the newest version, so this is for those who only wait. */
#define REFRESH_S 3600
#define ASK_WAIT_S 60
#define HINT_S 5
#define REFRESH_MIN_S 60
/* STUN servers asked for at a time, and addresses kept of each. */
#define STUN_PICK 6
#define STUN_EACH 2
#define STUN_TIMEOUT_US (5 * SECOND_US)

struct stun_lookup {
    struct fb_joined *joined;
    struct fb_lookup *lookup;
};

struct fb_joined {
    struct fb_joined_config config; /* join and cache_file point below */
    struct fb_join join;
    char *cache_file;
    struct fb_document document;
    bool have, announced;
    uint64_t floor;  /* newest serial seen, used or not */
    uint64_t hinted; /* highest serial that somebody named, to be looked for; 0: none */
    bool asked;      /* the handler, and no good answer has come */
    bool good;       /* some broker of this round had a document that holds */
    struct fb_timer *timer;
    struct fb_fetch *fetch;
    size_t broker, tried; /* whose turn it is; how many have failed in this round */
    unsigned failures;    /* rounds that failed since the last success */
    char why[FB_NET_ERR_MAX];
    struct stun_lookup lookups[STUN_PICK];
    size_t lookups_left, stun_count, fresh_count;
    struct fb_addr stun[STUN_PICK * STUN_EACH], fresh[STUN_PICK * STUN_EACH];
};

static uint32_t chance(uint32_t below) {
    uint8_t bytes[4];
    fb_random(fb_rng_default(), bytes, sizeof bytes);
    uint32_t number;
    memcpy(&number, bytes, sizeof number);
    return number % below;
}

/* Three quarters to five quarters of it, so that the readers of a network do not come in step; but
 * never beyond the end of a document that is valid. */
static void set_timer(struct fb_joined *joined, uint64_t delay_us) {
    uint64_t now_s = fb_unix_s(), expires_s = joined->document.expires_s;
    delay_us = delay_us / 4 * 3 + delay_us / 2 / 1000 * chance(1000);
    if (joined->have && expires_s > now_s && expires_s - now_s < delay_us / SECOND_US + 1)
        delay_us = (expires_s - now_s) * SECOND_US;
    fb_timer_set(joined->timer, fb_now_us() + delay_us);
}

/* ---- cache ---- */

/* Expired documents still tell which versions are too old. */
static void read_cache(struct fb_joined *joined) {
    uint8_t bytes[FB_DOCUMENT_MAX + 1];
    FILE *file = joined->cache_file == NULL ? NULL : fopen(joined->cache_file, "rbe");
    if (file == NULL)
        return;
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    struct fb_document document;
    if (fb_document_verify(joined->config.crypto, joined->join.network, bytes, len, 0, 0,
                           &document) != 0)
        return;
    joined->floor = document.serial;
    joined->have = document.expires_s > fb_unix_s() &&
                   document.min_version <= joined->config.software_version &&
                   fb_document_exposed(&document) == NULL;
    joined->document = document;
}

static bool write_all(const char *path, const void *bytes, size_t len) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool ok = write(fd, bytes, len) == (ssize_t)len;
    return close(fd) == 0 && ok;
}

/* By way of a second file, so that a full disk leaves the old one. */
static void write_cache(struct fb_joined *joined, const void *bytes, size_t len) {
    char path[4096];
    if (joined->cache_file == NULL)
        return;
    int length = snprintf(path, sizeof path, "%s.new", joined->cache_file);
    if (length < 0 || (size_t)length >= sizeof path || !write_all(path, bytes, len) ||
        rename(path, joined->cache_file) != 0)
        fb_log(joined->config.log, FB_LOG_WARN, "the network document cannot be kept in %s",
               joined->cache_file);
}

/* ---- STUN servers ---- */

static void lookups_done(struct fb_joined *joined) {
    if (joined->fresh_count == 0)
        return;
    memcpy(joined->stun, joined->fresh, sizeof joined->stun);
    joined->stun_count = joined->fresh_count;
}

static void on_resolved(void *user, int err, const struct fb_addr *addrs, size_t count) {
    struct stun_lookup *lookup = user;
    struct fb_joined *joined = lookup->joined;
    lookup->lookup = NULL;
    for (size_t i = 0; err == 0 && i < count && i < STUN_EACH; i++)
        joined->fresh[joined->fresh_count++] = addrs[i];
    if (--joined->lookups_left == 0)
        lookups_done(joined);
}

static void cancel_lookups(struct fb_joined *joined) {
    for (size_t i = 0; i < STUN_PICK; i++)
        if (joined->lookups[i].lookup != NULL) {
            fb_resolve_cancel(joined->lookups[i].lookup);
            joined->lookups[i].lookup = NULL;
        }
    joined->lookups_left = joined->fresh_count = 0;
}

static void resolve_one(struct fb_joined *joined, const char *hostport) {
    struct stun_lookup *lookup = &joined->lookups[joined->lookups_left];
    char host[FB_HOST_MAX + 1];
    uint16_t port;
    if (fb_hostport_parse(hostport, host, &port) != 0)
        return;
    lookup->joined = joined;
    lookup->lookup = fb_resolve(fb_net_resolver(joined->config.net), host, port, 4, STUN_TIMEOUT_US,
                                on_resolved, lookup);
    joined->lookups_left += lookup->lookup != NULL;
}

static void resolve_stun(struct fb_joined *joined) {
    size_t order[FB_DOCUMENT_STUN_MAX], count = joined->document.stun_count;
    cancel_lookups(joined);
    for (size_t i = 0; i < count; i++) {
        size_t j = chance((uint32_t)i + 1);
        order[i] = i;
        order[i] = order[j];
        order[j] = i;
    }
    for (size_t i = 0; i < count && joined->lookups_left < STUN_PICK; i++)
        resolve_one(joined, joined->document.stun[order[i]]);
}

/* ---- documents ---- */

static void announce(struct fb_joined *joined) {
    joined->announced = true;
    resolve_stun(joined);
    joined->config.handler->changed(joined->config.user, &joined->document);
}

static int judge(struct fb_joined *joined, const void *bytes, size_t len) {
    struct fb_document document;
    int err = fb_document_verify(joined->config.crypto, joined->join.network, bytes, len,
                                 fb_unix_s(), joined->floor, &document);
    if (err != 0) {
        snprintf(joined->why, sizeof joined->why, "%s", fb_document_strerror(err));
        return err;
    }
    uint32_t min = document.min_version;
    if (min > joined->config.software_version) {
        snprintf(joined->why, sizeof joined->why, "this network needs footbridge %u.%u.%u or later",
                 min >> 16, min >> 8 & 255, min & 255);
        return FB_ERR_VERSION;
    }
    const char *exposed = fb_document_exposed(&document);
    if (exposed != NULL) {
        snprintf(
            joined->why, sizeof joined->why,
            "the network document names %.120s: without TLS everybody on the way would see who "
            "asks; tell the operator",
            exposed);
        return FB_ERR_DENIED;
    }
    bool newer = !joined->have || document.serial > joined->document.serial;
    joined->floor = document.serial;
    joined->document = document;
    joined->have = true;
    if (newer)
        write_cache(joined, bytes, len);
    if (newer || !joined->announced)
        announce(joined);
    return 0;
}

const struct fb_document *fb_joined_document(const struct fb_joined *joined) {
    return joined->have && joined->document.expires_s > fb_unix_s() ? &joined->document : NULL;
}

/* ---- fetching ---- */

static size_t broker_count(const struct fb_joined *joined) {
    return joined->join.broker_count + (joined->have ? joined->document.broker_count : 0);
}

static const char *broker_url(const struct fb_joined *joined, size_t index) {
    return index < joined->join.broker_count
               ? joined->join.brokers[index]
               : joined->document.brokers[index - joined->join.broker_count].url;
}

/* The document's brokers are often the link's; nobody is asked twice in a round. */
static bool is_repeated(const struct fb_joined *joined, size_t index) {
    for (size_t i = 0; index >= joined->join.broker_count && i < joined->join.broker_count; i++)
        if (strcmp(joined->join.brokers[i], broker_url(joined, index)) == 0)
            return true;
    return false;
}

static void fetch_next(struct fb_joined *joined);

static void round_failed(struct fb_joined *joined) {
    unsigned shift = joined->failures < 6 ? joined->failures : 6;
    uint64_t delay_s = (uint64_t)RETRY_FIRST_S << shift;
    joined->failures++;
    set_timer(joined, (delay_s < RETRY_MAX_S ? delay_s : RETRY_MAX_S) * SECOND_US);
    joined->config.handler->failed(joined->config.user, joined->why);
}

static void plan_refresh(struct fb_joined *joined) {
    uint64_t now = fb_unix_s(), expires = joined->document.expires_s;
    uint64_t delay_s = expires > now ? (expires - now) / 2 : 0;
    if (delay_s > REFRESH_S)
        delay_s = REFRESH_S;
    set_timer(joined, (delay_s > REFRESH_MIN_S ? delay_s : REFRESH_MIN_S) * SECOND_US);
}

/* There is nothing to look for until the next refresh. A version that no broker has is forgotten:
 * else one that names what never was would have everybody look for it for ever. */
static void settle(struct fb_joined *joined) {
    joined->failures = 0;
    joined->hinted = 0;
    joined->asked = false;
    plan_refresh(joined);
}

/* Who was asked has spoken. Unless that is all there is to know, the brokers are next. */
static void answered(struct fb_joined *joined, bool good) {
    if (good && joined->floor >= joined->hinted)
        settle(joined);
    else
        fb_timer_set(joined->timer, fb_now_us());
}

void fb_joined_current(struct fb_joined *joined, uint64_t serial) {
    if (joined->asked)
        answered(joined, serial == joined->document.serial);
}

int fb_joined_offer(struct fb_joined *joined, const void *bytes, size_t len) {
    uint64_t before = joined->floor;
    int err = judge(joined, bytes, len);
    if (joined->asked || (err == 0 && joined->floor > before))
        answered(joined, err == 0);
    return err;
}

static void on_fetched(void *user, const struct fb_fetched *result) {
    struct fb_joined *joined = user;
    joined->fetch = NULL;
    if (result->err != 0)
        snprintf(joined->why, sizeof joined->why, "%s", result->why);
    else if (judge(joined, result->body, result->len) == 0)
        joined->good = true;
    if (joined->good && joined->floor >= joined->hinted) {
        settle(joined);
        return;
    }
    joined->broker++;
    joined->tried++;
    fetch_next(joined);
}

static bool fetch_from(struct fb_joined *joined, const char *base) {
    char url[FB_URL_MAX + 16];
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    snprintf(url, sizeof url, "%.*s/v1/network", (int)len, base);
    struct fb_fetch_request request = {
        .url = url, .reply_max = FB_DOCUMENT_MAX, .timeout_ms = FETCH_TIMEOUT_MS};
    joined->fetch = fb_fetch_start(joined->config.fetcher, &request, on_fetched, joined);
    if (joined->fetch == NULL)
        snprintf(joined->why, sizeof joined->why, "%s", fb_strerror(FB_ERR_NOMEM));
    return joined->fetch != NULL;
}

static void fetch_next(struct fb_joined *joined) {
    for (; joined->tried < broker_count(joined); joined->broker++, joined->tried++) {
        joined->broker %= broker_count(joined);
        if (!is_repeated(joined, joined->broker) &&
            fetch_from(joined, broker_url(joined, joined->broker)))
            return;
    }
    if (joined->good)
        settle(joined);
    else
        round_failed(joined);
}

static void start_round(struct fb_joined *joined) {
    if (joined->fetch != NULL)
        return;
    joined->tried = 0;
    joined->good = false;
    fetch_next(joined);
}

static bool ask_elsewhere(struct fb_joined *joined) {
    const struct fb_joined_handler *handler = joined->config.handler;
    return handler->ask != NULL && fb_joined_document(joined) != NULL && joined->fetch == NULL &&
           handler->ask(joined->config.user, joined->document.serial);
}

static void on_timer(void *user) {
    struct fb_joined *joined = user;
    bool in_vain = joined->asked;
    joined->asked = false;
    if (fb_joined_document(joined) == NULL)
        joined->announced = false; /* it is news again if a clock was wrong and is set right */
    else if (!joined->announced)
        announce(joined); /* from the cache */
    joined->asked = !in_vain && ask_elsewhere(joined);
    if (joined->asked)
        set_timer(joined, ASK_WAIT_S * SECOND_US);
    else
        start_round(joined);
}

void fb_joined_hint(struct fb_joined *joined, uint64_t serial) {
    if (serial <= joined->floor || serial <= joined->hinted)
        return;
    joined->hinted = serial;
    /* What is under way ends by a look at it. */
    if (!joined->asked && joined->fetch == NULL)
        set_timer(joined, joined->config.handler->ask != NULL ? HINT_S * SECOND_US : 0);
}

size_t fb_joined_stun(const struct fb_joined *joined, struct fb_addr *out, size_t cap) {
    size_t count = joined->stun_count, start = count > 0 ? chance((uint32_t)count) : 0;
    size_t given = 0;
    while (given < count && given < cap) {
        out[given] = joined->stun[(start + given) % count];
        given++;
    }
    return given;
}

struct fb_joined *fb_joined_new(const struct fb_joined_config *config) {
    struct fb_joined *joined = calloc(1, sizeof *joined);
    if (joined == NULL)
        return NULL;
    joined->config = *config;
    joined->join = *config->join;
    joined->timer = fb_timer_new(fb_net_loop(config->net), on_timer, joined);
    if (config->cache_file != NULL)
        joined->cache_file = strdup(config->cache_file);
    if (joined->timer == NULL || (config->cache_file != NULL && joined->cache_file == NULL)) {
        fb_joined_free(joined);
        return NULL;
    }
    read_cache(joined);
    fb_timer_set(joined->timer, fb_now_us());
    return joined;
}

void fb_joined_free(struct fb_joined *joined) {
    if (joined == NULL)
        return;
    if (joined->fetch != NULL)
        fb_fetch_cancel(joined->fetch);
    cancel_lookups(joined);
    fb_timer_free(joined->timer);
    free(joined->cache_file);
    free(joined);
}
