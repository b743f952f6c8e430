#include "cmd/download.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/evp.h>

#include "net/loop.h"

#define CONNECT_MS 60000L
#define STALL_S 60L /* less than 1 byte a second for so long is a failure */

struct fb_download {
    uv_work_t work;
    char *url, *proxy;
    void (*done)(void *user, const struct fb_downloaded *result);
    void *user;
    atomic_ullong bytes;
    atomic_bool cancelled;
    bool finished; /* the loop's thread */
    /* The worker's until it has finished. */
    uint64_t start_us;
    EVP_MD_CTX *md;
    char why[CURL_ERROR_SIZE];
    struct fb_downloaded result;
};

static size_t on_body(char *data, size_t one, size_t len, void *user) {
    struct fb_download *d = user;
    if (d->result.first_byte_us == 0)
        d->result.first_byte_us = fb_now_us() - d->start_us;
    atomic_fetch_add(&d->bytes, len);
    return EVP_DigestUpdate(d->md, data, len) == 1 ? len : 0;
}

static int on_progress(void *user, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up) {
    struct fb_download *d = user;
    return atomic_load(&d->cancelled) ? 1 : 0;
}

static void perform(struct fb_download *d, CURL *curl) {
    long status = 0;
    curl_easy_setopt(curl, CURLOPT_URL, d->url);
    curl_easy_setopt(curl, CURLOPT_PROXY, d->proxy);
    curl_easy_setopt(curl, CURLOPT_PROXYTYPE, (long)CURLPROXY_SOCKS5_HOSTNAME);
    curl_easy_setopt(curl, CURLOPT_NOPROXY,
                     ""); /* the origin is on loopback, and must not be direct */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_S);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, d->why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, d);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, d);
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && d->why[0] == '\0')
        snprintf(d->why, sizeof d->why, "%s", curl_easy_strerror(code));
    else if (code == CURLE_OK && status != 200)
        snprintf(d->why, sizeof d->why, "the site answered with status %ld", status);
    else if (code == CURLE_OK && EVP_DigestFinal_ex(d->md, d->result.sha256, NULL) != 1)
        snprintf(d->why, sizeof d->why, "hashing failed");
    else if (code == CURLE_OK)
        d->why[0] = '\0';
}

static void run(uv_work_t *work) {
    struct fb_download *d = work->data;
    CURL *curl = curl_easy_init();
    d->start_us = fb_now_us();
    d->md = EVP_MD_CTX_new();
    if (curl != NULL && d->md != NULL && EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) == 1)
        perform(d, curl);
    else
        snprintf(d->why, sizeof d->why, "out of memory");
    EVP_MD_CTX_free(d->md);
    curl_easy_cleanup(curl);
    d->result.total_us = fb_now_us() - d->start_us;
}

static void on_finished(uv_work_t *work, int status) {
    struct fb_download *d = work->data;
    d->finished = true;
    d->result.why = d->why;
    d->result.bytes = atomic_load(&d->bytes);
    if (!atomic_load(&d->cancelled))
        d->done(d->user, &d->result);
}

struct fb_download *fb_download_start(uv_loop_t *loop, const char *url, const char *proxy,
                                      void (*done)(void *user, const struct fb_downloaded *result),
                                      void *user) {
    struct fb_download *d = calloc(1, sizeof *d);
    if (d == NULL)
        return NULL;
    d->work.data = d;
    d->done = done;
    d->user = user;
    d->url = strdup(url);
    d->proxy = strdup(proxy);
    if (d->url == NULL || d->proxy == NULL ||
        uv_queue_work(loop, &d->work, run, on_finished) != 0) {
        d->finished = true;
        fb_download_free(d);
        return NULL;
    }
    return d;
}

uint64_t fb_download_bytes(const struct fb_download *download) {
    return atomic_load(&download->bytes);
}

void fb_download_free(struct fb_download *d) {
    if (d == NULL)
        return;
    atomic_store(&d->cancelled, true);
    while (!d->finished)
        uv_run(d->work.loop, UV_RUN_ONCE);
    free(d->url);
    free(d->proxy);
    free(d);
}
