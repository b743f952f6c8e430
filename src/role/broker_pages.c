/* What a broker shows: counts, the network document, the widget's configuration and files. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "role/broker_impl.h"

#define ROUND 8
#define ORIGIN_MAX (FB_HOSTPORT_MAX + 8)

static const char *const open_headers[] = {"access-control-allow-origin",
                                           "*",
                                           "cross-origin-resource-policy",
                                           "cross-origin",
                                           "cache-control",
                                           "no-cache",
                                           NULL};
/* What depends on who asks is no cache's to give to somebody else. */
static const char *const private_headers[] = {"access-control-allow-origin",
                                              "*",
                                              "cross-origin-resource-policy",
                                              "cross-origin",
                                              "cache-control",
                                              "private, no-cache",
                                              NULL};

/* ---- /v1/status ---- */

/* DESIGN section 3.5: rounded up to the next 8, none staying none. */
static double rounded(uint64_t count) {
    return (double)((count + ROUND - 1) / ROUND * ROUND);
}

void broker_status_tick(void *user) {
    struct fb_broker *broker = user;
    struct fb_match_counts counts;
    broker->published = broker->counted;
    fb_match_count(broker->match, &counts);
    broker->counted.volunteers = counts.volunteers;
    broker->counted.matches = counts.live;
    broker->counted.country_count = fb_match_countries(broker->match, broker->counted.countries,
                                                       COUNTRIES_MAX);
    fb_timer_set(broker->status_timer, fb_now_us() + broker->limits.status_us);
}

static cJSON *status_json(const struct snapshot *at) {
    cJSON *root = cJSON_CreateObject();
    cJSON_AddNumberToObject(root, "version", 1);
    cJSON_AddNumberToObject(root, "volunteers", rounded(at->volunteers));
    cJSON_AddNumberToObject(root, "matches", rounded(at->matches));
    cJSON *countries = cJSON_AddObjectToObject(root, "countries");
    for (size_t i = 0; i < at->country_count; i++) {
        const struct fb_match_country *country = &at->countries[i];
        char name[] = {(char)country->country[0], (char)country->country[1], '\0'};
        cJSON_AddNumberToObject(countries, name[0] != '\0' ? name : "??",
                                rounded(country->volunteers));
    }
    return root;
}

static void serve_json(struct fb_http_req *http, const char *const *headers, const char *text) {
    if (text == NULL)
        fb_http_reply(http, 500, "text/plain", NULL, "out of memory\n", 14);
    else
        fb_http_reply(http, 200, "application/json", headers, text, strlen(text));
}

static void serve_status(void *user, struct fb_http_req *http) {
    const struct fb_broker *broker = user;
    cJSON *root = status_json(&broker->published);
    char *text = root == NULL ? NULL : cJSON_PrintUnformatted(root);
    serve_json(http, open_headers, text);
    cJSON_free(text);
    cJSON_Delete(root);
}

/* ---- /v1/network, /v1/widget, /healthz ---- */

static void serve_document(void *user, struct fb_http_req *http) {
    const struct fb_broker *broker = user;
    fb_http_reply(http, 200, "application/octet-stream", open_headers, broker->document_bytes,
                  broker->document_len);
}

static void serve_widget(void *user, struct fb_http_req *http) {
    const struct fb_broker *broker = user;
    uint8_t country[FB_COUNTRY_LEN], prefix[FB_ADDR_PREFIX_LEN];
    broker_place(broker, fb_http_from(http), country, prefix);
    size_t cap = strlen(broker->widget_json) + 48;
    char *text = malloc(cap);
    if (text != NULL)
        snprintf(text, cap, "%s,\"country\":\"%.2s\",\"censored\":%s}", broker->widget_json,
                 (const char *)country,
                 fb_censored_has(&broker->censored, country) ? "true" : "false");
    serve_json(http, private_headers, text);
    free(text);
}

static void serve_health(void *user, struct fb_http_req *http) {
    const struct fb_broker *broker = user;
    bool ok = !broker->stopped;
    fb_http_reply(http, ok ? 200 : 503, "text/plain", NULL, ok ? "ok\n" : "stopping\n", ok ? 3 : 9);
}

/* Our own base URL as a WebSocket's: "https://b.example/x" gives "wss://b.example/x". */
static void own_url(const struct fb_broker *broker, const char *path, char *out, size_t cap) {
    const char *url = broker->self->url;
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        len--;
    snprintf(out, cap, "ws%.*s%s", (int)len - 4, url + 4, path);
}

static char *widget_json(const struct fb_broker *broker) {
    cJSON *root = cJSON_CreateObject();
    const struct fb_document *document = &broker->document;
    char text[FB_URL_MAX + 32];
    own_url(broker, "/v1/volunteer", text, sizeof text);
    cJSON_AddNumberToObject(root, "version", 1);
    cJSON_AddStringToObject(root, "broker", text);
    cJSON_AddBoolToObject(root, "local", broker->local);
    cJSON *stun = cJSON_AddArrayToObject(root, "stun");
    for (size_t i = 0; i < document->stun_count; i++) {
        snprintf(text, sizeof text, "stun:%s", document->stun[i]);
        cJSON_AddItemToArray(stun, cJSON_CreateString(text));
    }
    cJSON *egresses = cJSON_AddArrayToObject(root, "egresses");
    for (size_t i = 0; i < document->egress_count; i++) {
        const struct fb_document_egress *egress = &document->egresses[i];
        for (size_t k = 0; k < FB_EGRESS_ID_LEN; k++)
            snprintf(text + 2 * k, 3, "%02x", egress->id[k]);
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "id", text);
        cJSON_AddStringToObject(entry, "url", egress->url);
        cJSON_AddItemToArray(egresses, entry);
    }
    char *printed = root == NULL ? NULL : cJSON_PrintUnformatted(root);
    char *copy = printed == NULL ? NULL : strndup(printed, strlen(printed) - 1);
    cJSON_free(printed);
    cJSON_Delete(root);
    return copy;
}

/* ---- the widget's files ---- */

/* scheme://host[:port] of a URL that the document has checked. */
static size_t origin_of(const char *url, char *out, size_t cap) {
    size_t scheme = (size_t)(strstr(url, "://") - url) + 3;
    size_t len = scheme + strcspn(url + scheme, "/?");
    int written = snprintf(out, cap, "%.*s", (int)len, url);
    return (size_t)written;
}

static int add_files(struct fb_broker *broker, struct fb_server *server) {
    const struct fb_document *document = &broker->document;
    char connect[(FB_DOCUMENT_EGRESSES_MAX + 1) * ORIGIN_MAX], url[FB_URL_MAX + 32];
    own_url(broker, "", url, sizeof url);
    size_t at = origin_of(url, connect, ORIGIN_MAX);
    for (size_t i = 0; i < document->egress_count; i++) {
        connect[at++] = ' ';
        at += origin_of(document->egresses[i].url, connect + at, ORIGIN_MAX);
    }
    const struct fb_page_mark marks[] = {{"connect", connect}, {NULL, NULL}};
    broker->pages = fb_pages_add(server, &fb_pages_widget, marks);
    return broker->pages == NULL ? FB_ERR_NOMEM : 0;
}

int broker_add_pages(struct fb_broker *broker, struct fb_server *server) {
    const struct fb_http_route routes[] = {
        {"GET", "/v1/status", 0, serve_status, broker},
        {"GET", "/v1/network", 0, serve_document, broker},
        {"GET", "/v1/widget", 0, serve_widget, broker},
        {"GET", "/healthz", 0, serve_health, broker},
    };
    broker->widget_json = widget_json(broker);
    if (broker->widget_json == NULL)
        return FB_ERR_NOMEM;
    int err = 0;
    for (size_t i = 0; err == 0 && i < sizeof routes / sizeof routes[0]; i++)
        err = fb_server_add_http(server, &routes[i]);
    return err != 0 ? err : add_files(broker, server);
}
