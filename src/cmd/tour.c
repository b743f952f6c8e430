#include "cmd/tour.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "cmd/chromium.h"
#include "cmd/demosite.h"
#include "cmd/download.h"
#include "net/loop.h"

#define READY_MS 90000 /* from the switch to a path that carries */
#define SHOW_MS 500

struct fb_tour {
    struct fb_tour_config config;
    char *site, *proxy;
    struct fb_chromium *chromium;
    struct fb_download *download;
    uv_timer_t timer; /* waiting for a person, then for the path */
    uv_timer_t show;
    int open_handles;
    bool person;   /* a person has the page open: no browser of ours */
    bool carrying; /* the path was ready once */
    bool finished;
};

static void finish(struct fb_tour *tour, bool ok) {
    if (tour->finished)
        return;
    tour->finished = true;
    uv_timer_stop(&tour->timer);
    uv_timer_stop(&tour->show);
    fflush(stdout);
    tour->config.done(tour->config.user, ok);
}

static void fail(struct fb_tour *tour, const char *what, const char *why) {
    if (tour->finished)
        return;
    fflush(stdout);
    fprintf(stderr, "footbridge demo: %s: %s\n", what, why);
    finish(tour, false);
}

/* ---- the downloads ---- */

static double mb(uint64_t bytes) {
    return (double)bytes / 1e6;
}

static void on_show(uv_timer_t *timer) {
    const struct fb_tour *tour = timer->data;
    printf("\r  %5.1f of %.1f MB", mb(fb_download_bytes(tour->download)), mb(FB_DEMO_FILE_LEN));
    fflush(stdout);
}

static void print_hash(const uint8_t hash[FB_DEMO_SHA256_LEN]) {
    for (size_t i = 0; i < FB_DEMO_SHA256_LEN; i++)
        printf("%02x", hash[i]);
}

static void on_file(void *user, const struct fb_downloaded *result) {
    struct fb_tour *tour = user;
    uv_timer_stop(&tour->show);
    if (tour->config.progress)
        printf("\r\033[K");
    if (result->why[0] != '\0') {
        fail(tour, "the file did not come through the tab", result->why);
        return;
    }
    if (result->bytes != FB_DEMO_FILE_LEN ||
        !fb_equal(result->sha256, tour->config.sha256, FB_DEMO_SHA256_LEN)) {
        fail(tour, "the file through the tab", "its SHA-256 is not that of the site's file");
        return;
    }
    double seconds = (double)result->total_us / 1e6;
    printf("  file: %.1f MB in %.1f s, %.1f Mbit/s\n", mb(result->bytes), seconds,
           8 * mb(result->bytes) / seconds);
    printf("  SHA-256 matches: ");
    print_hash(result->sha256);
    printf(
        "\n  route: libcurl -> client (%s) -> WebRTC -> browser tab -> WebSocket -> egress -> %s\n",
        tour->proxy, tour->site);
    finish(tour, true);
}

static void on_page(void *user, const struct fb_downloaded *result);

static void start_download(struct fb_tour *tour, const char *path,
                           void (*done)(void *user, const struct fb_downloaded *result)) {
    char url[256];
    snprintf(url, sizeof url, "%s%s", tour->site, path);
    tour->download = fb_download_start(tour->config.loop, url, tour->proxy, done, tour);
    if (tour->download == NULL)
        fail(tour, "the download cannot start", "out of memory");
}

/* The page's download cannot be freed inside its own callback, so the next one starts from a timer.
 * */
static void next_download(uv_timer_t *timer) {
    struct fb_tour *tour = timer->data;
    fb_download_free(tour->download);
    start_download(tour, FB_DEMO_FILE, on_file);
    if (tour->config.progress && !tour->finished)
        uv_timer_start(&tour->show, on_show, SHOW_MS, SHOW_MS);
}

static void on_page(void *user, const struct fb_downloaded *result) {
    struct fb_tour *tour = user;
    if (result->why[0] != '\0') {
        fail(tour, "the page did not come through the tab", result->why);
        return;
    }
    printf("  page: %" PRIu64 " bytes, first byte after %.0f ms\n", result->bytes,
           (double)result->first_byte_us / 1e3);
    uv_timer_start(&tour->timer, next_download, 0, 0);
}

void fb_tour_ready(struct fb_tour *tour) {
    if (tour->carrying || tour->finished)
        return;
    tour->carrying = true;
    uv_timer_stop(&tour->timer);
    printf("\nFetching the front page and a file of %.0f MB through that tab.\n",
           mb(FB_DEMO_FILE_LEN));
    fflush(stdout);
    start_download(tour, "/", on_page);
}

/* ---- the browser ---- */

static void on_no_path(uv_timer_t *timer) {
    fail(timer->data, "no path came up", "the steps above show how far it got");
}

static void on_flipped(void *user) {
    struct fb_tour *tour = user;
    printf("  %5.1f s  the switch is on\n", (double)(fb_now_us() - tour->config.start_us) / 1e6);
    fflush(stdout);
    if (!tour->carrying)
        uv_timer_start(&tour->timer, on_no_path, READY_MS, 0);
}

static void on_browser_failed(void *user, const char *why) {
    fail(user, "headless Chromium", why);
}

static void open_page(struct fb_tour *tour) {
    char err[FB_CHROMIUM_ERR_MAX] = "", url[256];
    snprintf(url, sizeof url, "%s/", tour->site);
    struct fb_chromium_config config = {
        .loop = tour->config.loop,
        .program = tour->config.browser,
        .url = url,
        .loopback = tour->config.loopback,
        .flipped = on_flipped,
        .failed = on_browser_failed,
        .user = tour,
    };
    printf("Opening the site in headless Chromium and flipping the switch there.\n");
    fflush(stdout);
    tour->chromium = fb_chromium_new(&config, err);
    if (tour->chromium == NULL)
        fail(tour, "headless Chromium", err);
}

static void on_waited(uv_timer_t *timer) {
    struct fb_tour *tour = timer->data;
    if (!tour->person && !tour->carrying)
        open_page(tour);
}

void fb_tour_visited(struct fb_tour *tour) {
    if (tour->chromium != NULL || tour->person || tour->carrying)
        return;
    tour->person = true;
    uv_timer_stop(&tour->timer);
    printf("The site is open in a browser; its switch is yours to flip.\n");
    fflush(stdout);
}

struct fb_tour *fb_tour_new(const struct fb_tour_config *config) {
    struct fb_tour *tour = calloc(1, sizeof *tour);
    if (tour == NULL)
        return NULL;
    tour->config = *config;
    tour->site = strdup(config->site);
    tour->proxy = strdup(config->proxy);
    if (tour->site == NULL || tour->proxy == NULL) {
        free(tour->site);
        free(tour->proxy);
        free(tour);
        return NULL;
    }
    uv_timer_init(config->loop, &tour->timer);
    uv_timer_init(config->loop, &tour->show);
    tour->timer.data = tour->show.data = tour;
    tour->open_handles = 2;
    if (config->wait_s > 0) {
        printf("Headless Chromium does that in %" PRIu64 " s if you do not.\n\n", config->wait_s);
        fflush(stdout);
    }
    uv_timer_start(&tour->timer, on_waited, config->wait_s * 1000, 0);
    return tour;
}

static void on_closed(uv_handle_t *handle) {
    struct fb_tour *tour = handle->data;
    tour->open_handles--;
}

void fb_tour_free(struct fb_tour *tour) {
    if (tour == NULL)
        return;
    tour->finished = true;
    fb_download_free(tour->download);
    fb_chromium_free(tour->chromium);
    uv_close((uv_handle_t *)&tour->timer, on_closed);
    uv_close((uv_handle_t *)&tour->show, on_closed);
    while (tour->open_handles > 0)
        uv_run(tour->config.loop, UV_RUN_ONCE);
    free(tour->site);
    free(tour->proxy);
    free(tour);
}
