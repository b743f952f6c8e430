#include "net/fetch.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"

#define WHY_MAX 256

struct fb_fetcher {
    uv_loop_t *loop;
    CURLM *multi;
    struct fb_timer *timer;
    char *ca_file;
    struct fb_list fetches;
};

struct fb_fetch {
    struct fb_list link;
    struct fb_fetcher *fetcher;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    uint8_t *request_body; /* NULL: none, or not there yet */
    size_t request_len, request_sent;
    void (*done)(void *user, const struct fb_fetched *result);
    void *user;
    uint8_t *body;
    size_t len, max;
    char detail[CURL_ERROR_SIZE];
};

struct watch {
    uv_poll_t handle;
    struct fb_fetcher *fetcher;
    curl_socket_t fd;
};

static void free_handle(uv_handle_t *handle) {
    free(handle->data);
}

static void fetch_free(struct fb_fetch *fetch) {
    fb_list_remove(&fetch->link);
    if (fetch->easy != NULL) {
        curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
        curl_easy_cleanup(fetch->easy);
    }
    curl_slist_free_all(fetch->headers);
    curl_slist_free_all(fetch->connect_to);
    free(fetch->request_body);
    free(fetch->body);
    free(fetch);
}

/* Host of the URL, for messages. */
static void host_of(struct fb_fetch *fetch, char *out, size_t cap) {
    char *url = NULL, *host = NULL;
    CURLU *parsed = curl_url();
    curl_easy_getinfo(fetch->easy, CURLINFO_EFFECTIVE_URL, &url);
    if (parsed == NULL || url == NULL || curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        snprintf(out, cap, "the server");
    else
        snprintf(out, cap, "%s", host);
    curl_free(host);
    curl_url_cleanup(parsed);
}

static int tls_trouble(struct fb_fetch *fetch, const char *host, char *why) {
    if (strstr(fetch->detail, "subject name") != NULL ||
        strstr(fetch->detail, "hostname") != NULL ||
        strstr(fetch->detail, "does not match") != NULL)
        snprintf(why, WHY_MAX, "certificate of %s does not match its name", host);
    else if (strstr(fetch->detail, "expired") != NULL)
        snprintf(why, WHY_MAX, "certificate of %s has expired", host);
    else if (strstr(fetch->detail, "self") != NULL || strstr(fetch->detail, "issuer") != NULL)
        snprintf(why, WHY_MAX, "certificate of %s is not signed by a trusted authority", host);
    else
        snprintf(why, WHY_MAX, "certificate of %s is not valid", host);
    return FB_ERR_AUTH;
}

/* What curl says, in one line for a person and as one of our codes. */
static int explain(struct fb_fetch *fetch, CURLcode code, long status, char why[WHY_MAX]) {
    char host[160];
    long error = 0;
    host_of(fetch, host, sizeof host);
    switch (code) {
    case CURLE_OK:
        if (status >= 200 && status < 300) {
            why[0] = '\0';
            return 0;
        }
        snprintf(why, WHY_MAX, "%s answered with HTTP status %ld", host, status);
        return FB_ERR_DENIED;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        snprintf(why, WHY_MAX, "not a URL that can be asked");
        return FB_ERR_MALFORMED;
    case CURLE_COULDNT_RESOLVE_HOST:
        snprintf(why, WHY_MAX, "name %s not found", host);
        return FB_ERR_NOT_FOUND;
    case CURLE_COULDNT_CONNECT:
        curl_easy_getinfo(fetch->easy, CURLINFO_OS_ERRNO, &error);
        snprintf(why, WHY_MAX, "%s %s",
                 error == ECONNREFUSED ? "connection refused by" : "cannot connect to", host);
        return FB_ERR_CLOSED;
    case CURLE_OPERATION_TIMEDOUT:
        snprintf(why, WHY_MAX, "no answer from %s in time", host);
        return FB_ERR_TIMEOUT;
    case CURLE_WRITE_ERROR:
    case CURLE_FILESIZE_EXCEEDED:
        snprintf(why, WHY_MAX, "answer of %s is too long", host);
        return FB_ERR_TOO_BIG;
    case CURLE_PEER_FAILED_VERIFICATION: return tls_trouble(fetch, host, why);
    case CURLE_SSL_CACERT_BADFILE:
        snprintf(why, WHY_MAX, "cannot read the file of trusted authorities");
        return FB_ERR_IO;
    case CURLE_SSL_CONNECT_ERROR:
        snprintf(why, WHY_MAX, "no TLS with %s", host);
        return FB_ERR_AUTH;
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
        snprintf(why, WHY_MAX, "connection closed by %s", host);
        return FB_ERR_CLOSED;
    case CURLE_OUT_OF_MEMORY: snprintf(why, WHY_MAX, "out of memory"); return FB_ERR_NOMEM;
    default: snprintf(why, WHY_MAX, "%s: %s", host, curl_easy_strerror(code)); return FB_ERR_IO;
    }
}

static void finish(struct fb_fetch *fetch, CURLcode code) {
    char why[WHY_MAX];
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    struct fb_fetched result = {.status = (int)status, .body = fetch->body, .len = fetch->len};
    result.err = explain(fetch, code, status, why);
    result.why = why;
    /* The callback may free the fetcher: nothing is touched after it. */
    fb_list_remove(&fetch->link);
    curl_multi_remove_handle(fetch->fetcher->multi, fetch->easy);
    curl_easy_cleanup(fetch->easy);
    fetch->easy = NULL;
    uint8_t *body = fetch->body;
    fetch->body = NULL;
    void (*done)(void *user, const struct fb_fetched *result) = fetch->done;
    void *user = fetch->user;
    fetch_free(fetch);
    done(user, &result);
    free(body);
}

/* Tells one finished fetch a turn, because its callback may end all others. */
static void collect(struct fb_fetcher *fetcher) {
    int left = 0;
    CURLMsg *message = curl_multi_info_read(fetcher->multi, &left);
    while (message != NULL && message->msg != CURLMSG_DONE)
        message = curl_multi_info_read(fetcher->multi, &left);
    if (message == NULL)
        return;
    struct fb_fetch *fetch = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
    if (left > 0)
        fb_timer_set(fetcher->timer, fb_now_us());
    finish(fetch, message->data.result);
}

static void socket_ready(uv_poll_t *handle, int status, int events) {
    struct watch *watch = handle->data;
    struct fb_fetcher *fetcher = watch->fetcher;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    int running = 0;
    curl_multi_socket_action(fetcher->multi, watch->fd, flags, &running);
    collect(fetcher);
}

static int socket_state(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx) {
    struct fb_fetcher *fetcher = ctx;
    struct watch *watch = socket_ctx;
    if (what == CURL_POLL_REMOVE) {
        if (watch != NULL) {
            curl_multi_assign(fetcher->multi, fd, NULL);
            uv_close((uv_handle_t *)&watch->handle, free_handle);
        }
        return 0;
    }
    if (watch == NULL) {
        watch = calloc(1, sizeof *watch);
        if (watch == NULL || uv_poll_init(fetcher->loop, &watch->handle, (int)fd) != 0) {
            free(watch);
            return -1;
        }
        watch->handle.data = watch;
        watch->fetcher = fetcher;
        watch->fd = fd;
        curl_multi_assign(fetcher->multi, fd, watch);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    uv_poll_start(&watch->handle, events, socket_ready);
    return 0;
}

static int timeout_wanted(CURLM *multi, long timeout_ms, void *ctx) {
    struct fb_fetcher *fetcher = ctx;
    fb_timer_set(fetcher->timer,
                 timeout_ms < 0 ? FB_NEVER : fb_now_us() + (uint64_t)timeout_ms * 1000);
    return 0;
}

static void timer_fired(void *user) {
    struct fb_fetcher *fetcher = user;
    int running = 0;
    curl_multi_socket_action(fetcher->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(fetcher);
}

struct fb_fetcher *fb_fetcher_new(uv_loop_t *loop, const char *ca_file) {
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return NULL;
    struct fb_fetcher *fetcher = calloc(1, sizeof *fetcher);
    if (fetcher == NULL) {
        curl_global_cleanup();
        return NULL;
    }
    fetcher->loop = loop;
    fb_list_init(&fetcher->fetches);
    fetcher->multi = curl_multi_init();
    fetcher->timer = fb_timer_new(loop, timer_fired, fetcher);
    fetcher->ca_file = ca_file == NULL ? NULL : strdup(ca_file);
    if (fetcher->multi == NULL || fetcher->timer == NULL ||
        (ca_file != NULL && fetcher->ca_file == NULL)) {
        fb_fetcher_free(fetcher);
        return NULL;
    }
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETFUNCTION, socket_state);
    curl_multi_setopt(fetcher->multi, CURLMOPT_SOCKETDATA, fetcher);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERFUNCTION, timeout_wanted);
    curl_multi_setopt(fetcher->multi, CURLMOPT_TIMERDATA, fetcher);
    return fetcher;
}

void fb_fetcher_free(struct fb_fetcher *fetcher) {
    if (fetcher == NULL)
        return;
    FB_LIST_EACH (link, &fetcher->fetches)
        fetch_free(FB_CONTAINER(link, struct fb_fetch, link));
    if (fetcher->multi != NULL)
        curl_multi_cleanup(fetcher->multi);
    fb_timer_free(fetcher->timer);
    free(fetcher->ca_file);
    free(fetcher);
    curl_global_cleanup();
}

static size_t take_body(char *data, size_t size, size_t count, void *user) {
    struct fb_fetch *fetch = user;
    size_t len = size * count;
    if (len > fetch->max - fetch->len)
        return 0; /* curl ends with CURLE_WRITE_ERROR */
    uint8_t *bigger = realloc(fetch->body, fetch->len + len + 1);
    if (bigger == NULL)
        return 0;
    memcpy(bigger + fetch->len, data, len);
    fetch->body = bigger;
    fetch->len += len;
    return len;
}

static size_t give_body(char *out, size_t size, size_t count, void *user) {
    struct fb_fetch *fetch = user;
    size_t room = size * count, left = fetch->request_len - fetch->request_sent;
    size_t len = left < room ? left : room;
    if (fetch->request_body == NULL)
        return CURL_READFUNC_PAUSE;
    memcpy(out, fetch->request_body + fetch->request_sent, len);
    fetch->request_sent += len;
    return len;
}

/* An HTTP/2 stream that was refused, or a kept connection that has died, is tried again. */
static int rewind_body(void *user, curl_off_t offset, int origin) {
    struct fb_fetch *fetch = user;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > fetch->request_len)
        return CURL_SEEKFUNC_FAIL;
    fetch->request_sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static int keep_body(struct fb_fetch *fetch, const void *body) {
    fetch->request_body = malloc(fetch->request_len + 1);
    if (fetch->request_body == NULL)
        return FB_ERR_NOMEM;
    memcpy(fetch->request_body, body, fetch->request_len);
    return 0;
}

static int add_line(struct curl_slist **list, const char *prefix, const char *value) {
    char line[512];
    if ((size_t)snprintf(line, sizeof line, "%s%s", prefix, value) >= sizeof line)
        return FB_ERR_TOO_BIG;
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer == NULL)
        return FB_ERR_NOMEM;
    *list = longer;
    return 0;
}

/* The older option is deprecated since 7.85, the newer is not there before. */
static void only_http(CURL *easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static int prepare(struct fb_fetch *fetch, const struct fb_fetch_request *request) {
    CURL *easy = fetch->easy;
    int err = add_line(&fetch->headers, "Expect:", "");
    if (err == 0 && request->type != NULL)
        err = add_line(&fetch->headers, "Content-Type: ", request->type);
    if (err == 0 && request->host_header != NULL)
        err = add_line(&fetch->headers, "Host: ", request->host_header);
    if (err == 0 && request->connect_host != NULL) {
        char to[300];
        if (request->connect_port != 0)
            snprintf(to, sizeof to, "%s:%u", request->connect_host,
                     (unsigned)request->connect_port);
        else
            snprintf(to, sizeof to, "%s:", request->connect_host);
        err = add_line(&fetch->connect_to, "::", to);
    }
    if (err != 0)
        return err;
    fetch->request_len = request->len;
    if (request->body != NULL && keep_body(fetch, request->body) != 0)
        return FB_ERR_NOMEM;
    if (request->body != NULL || request->len > 0) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
        curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
        curl_easy_setopt(easy, CURLOPT_READDATA, fetch);
        curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
        curl_easy_setopt(easy, CURLOPT_SEEKDATA, fetch);
    }
    curl_easy_setopt(easy, CURLOPT_URL, request->url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, fetch->connect_to);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->detail);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    only_http(easy);
    if (fetch->fetcher->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, fetch->fetcher->ca_file);
    return 0;
}

struct fb_fetch *fb_fetch_start(struct fb_fetcher *fetcher, const struct fb_fetch_request *request,
                                void (*done)(void *user, const struct fb_fetched *result),
                                void *user) {
    struct fb_fetch *fetch = calloc(1, sizeof *fetch);
    if (fetch == NULL)
        return NULL;
    fb_list_init(&fetch->link);
    fetch->fetcher = fetcher;
    fetch->done = done;
    fetch->user = user;
    fetch->max = request->reply_max;
    fetch->easy = curl_easy_init();
    if (fetch->easy == NULL || prepare(fetch, request) != 0 ||
        curl_multi_add_handle(fetcher->multi, fetch->easy) != CURLM_OK) {
        fetch_free(fetch);
        return NULL;
    }
    fb_list_push(&fetcher->fetches, &fetch->link);
    return fetch;
}

int fb_fetch_body(struct fb_fetch *fetch, const void *body) {
    if (keep_body(fetch, body) != 0)
        return FB_ERR_NOMEM;
    /* Of a request that has not got so far, nothing is paused yet. */
    curl_easy_pause(fetch->easy, CURLPAUSE_CONT);
    return 0;
}

void fb_fetch_cancel(struct fb_fetch *fetch) {
    if (fetch != NULL)
        fetch_free(fetch);
}
