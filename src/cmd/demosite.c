#include "cmd/demosite.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "net/pages.h"

struct fb_demosite {
    uint8_t *file;
    uint8_t sha256[FB_DEMO_SHA256_LEN];
    struct fb_asset file_asset;
    struct fb_asset *assets; /* the pages but the front one */
    struct fb_pages *pages;
    const struct fb_asset *front; /* as in the table */
    char *front_body;
    const char *front_headers[16];
    char *front_values[8]; /* filled-in copies that front_headers points to */
    struct fb_http_route front_route, file_route;
    void (*visited)(void *user);
    void *user;
};

/* xorshift64* (Marsaglia; Vigna 2016): no compression and no misplaced block goes unnoticed. */
static void fill_file(uint8_t *out, size_t len) {
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i + 8 <= len; i += 8) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        uint64_t value = state * UINT64_C(2685821657736338717);
        memcpy(out + i, &value, 8);
    }
}

static void serve_front(void *user, struct fb_http_req *req) {
    struct fb_demosite *site = user;
    if (site->visited != NULL)
        site->visited(site->user);
    fb_http_reply(req, 200, site->front->type, site->front_headers, site->front_body,
                  strlen(site->front_body));
}

/* The number behind "bytes="; false when it is none or more than there is. */
static bool read_bytes(const char *query, size_t *out) {
    static const char name[] = "bytes=";
    size_t value = 0;
    if (strncmp(query, name, sizeof name - 1) != 0)
        return false;
    const char *p = query + sizeof name - 1;
    if (*p == '\0')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (size_t)(*p - '0');
        if (value > FB_DEMO_FILE_LEN)
            return false;
    }
    *out = value;
    return *p == '\0';
}

static void serve_file(void *user, struct fb_http_req *req) {
    struct fb_demosite *site = user;
    static const char refused[] = "bytes=N, at most 50000000\n";
    size_t len;
    if (read_bytes(fb_http_query(req), &len))
        fb_http_reply(req, 200, "application/octet-stream", NULL, site->file, len);
    else
        fb_http_reply(req, 400, "text/plain; charset=utf-8", NULL, refused, sizeof refused - 1);
}

/* The front page goes through a handler, because its visits are to be seen. */
static int prepare_front(struct fb_demosite *site, const struct fb_page_mark *marks) {
    size_t count = 0, values = 0;
    const size_t max = sizeof site->front_headers / sizeof *site->front_headers;
    site->front_body = fb_pages_fill((const char *)site->front->body, marks);
    if (site->front_body == NULL)
        return -1;
    for (const char *const *at = site->front->headers; at != NULL && at[0] != NULL; at += 2) {
        if (count + 3 > max)
            return -1;
        char *value = fb_pages_fill(at[1], marks);
        if (value == NULL)
            return -1;
        site->front_values[values++] = value;
        site->front_headers[count++] = at[0];
        site->front_headers[count++] = value;
    }
    return 0;
}

static int prepare(struct fb_demosite *site, struct fb_server *server,
                   const struct fb_page_mark *marks) {
    size_t rest = 0;
    site->assets = calloc(fb_pages_demo.len, sizeof *site->assets);
    site->file = malloc(FB_DEMO_FILE_LEN);
    if (site->assets == NULL || site->file == NULL)
        return -1;
    fill_file(site->file, FB_DEMO_FILE_LEN);
    if (EVP_Digest(site->file, FB_DEMO_FILE_LEN, site->sha256, NULL, EVP_sha256(), NULL) != 1)
        return -1;
    for (size_t i = 0; i < fb_pages_demo.len; i++) {
        if (strcmp(fb_pages_demo.at[i].path, "/") == 0)
            site->front = &fb_pages_demo.at[i];
        else
            site->assets[rest++] = fb_pages_demo.at[i];
    }
    if (site->front == NULL || prepare_front(site, marks) != 0)
        return -1;
    site->pages = fb_pages_add(server, &(struct fb_page_table){site->assets, rest}, marks);
    site->file_asset = (struct fb_asset){.path = FB_DEMO_FILE,
                                         .type = "application/octet-stream",
                                         .body = site->file,
                                         .len = FB_DEMO_FILE_LEN};
    site->front_route = (struct fb_http_route){"GET", "/", 0, serve_front, site};
    site->file_route = (struct fb_http_route){"GET", "/file", 0, serve_file, site};
    if (site->pages == NULL || fb_server_add_asset(server, &site->file_asset) != 0 ||
        fb_server_add_http(server, &site->front_route) != 0 ||
        fb_server_add_http(server, &site->file_route) != 0)
        return -1;
    return 0;
}

struct fb_demosite *fb_demosite_new(struct fb_server *server, const char *operator_origin,
                                    void (*visited)(void *user), void *user) {
    const struct fb_page_mark marks[] = {{"operator", operator_origin}, {NULL, NULL}};
    struct fb_demosite *site = calloc(1, sizeof *site);
    if (site == NULL)
        return NULL;
    site->visited = visited;
    site->user = user;
    if (prepare(site, server, marks) == 0)
        return site;
    fb_demosite_free(site);
    return NULL;
}

void fb_demosite_free(struct fb_demosite *site) {
    if (site == NULL)
        return;
    fb_pages_free(site->pages);
    for (size_t i = 0; i < sizeof site->front_values / sizeof *site->front_values; i++)
        free(site->front_values[i]);
    free(site->front_body);
    free(site->assets);
    free(site->file);
    free(site);
}

const uint8_t *fb_demosite_sha256(const struct fb_demosite *site) {
    return site->sha256;
}
