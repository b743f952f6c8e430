#include "net/pages.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct fb_pages {
    size_t len;
    struct fb_asset *at;
    void **owned; /* what the copies in `at` point to */
    size_t owned_len, owned_max;
};

/* The value of the mark that text begins with, "{{name}}", whose length goes to *len; or NULL. */
static const char *mark_at(const char *text, const struct fb_page_mark *marks, size_t *len) {
    if (strncmp(text, "{{", 2) != 0)
        return NULL;
    for (; marks->name != NULL; marks++) {
        size_t n = strlen(marks->name);
        if (strncmp(text + 2, marks->name, n) == 0 && strncmp(text + 2 + n, "}}", 2) == 0) {
            *len = n + 4;
            return marks->value;
        }
    }
    return NULL;
}

/* Writes to `to` unless NULL; returns the length without the NUL. */
static size_t fill(const char *text, const struct fb_page_mark *marks, char *to) {
    size_t out = 0;
    while (*text != '\0') {
        size_t skip = 1;
        const char *value = mark_at(text, marks, &skip);
        const char *from = value != NULL ? value : text;
        size_t n = value != NULL ? strlen(value) : 1;
        if (to != NULL)
            memcpy(to + out, from, n);
        out += n;
        text += skip;
    }
    if (to != NULL)
        to[out] = '\0';
    return out;
}

char *fb_pages_fill(const char *text, const struct fb_page_mark *marks) {
    char *out = malloc(fill(text, marks, NULL) + 1);
    if (out != NULL)
        fill(text, marks, out);
    return out;
}

/* Takes what malloc gave; frees it and returns NULL where it cannot be kept. */
static void *own(struct fb_pages *pages, void *memory) {
    if (memory != NULL && pages->owned_len < pages->owned_max) {
        pages->owned[pages->owned_len++] = memory;
        return memory;
    }
    free(memory);
    return NULL;
}

static size_t count_headers(const char *const *headers) {
    size_t n = 0;
    while (headers != NULL && headers[n] != NULL)
        n++;
    return n;
}

/* 0 or FB_ERR_NOMEM. */
static int fill_headers(struct fb_pages *pages, struct fb_asset *asset,
                        const struct fb_page_mark *marks) {
    size_t n = count_headers(asset->headers);
    const char **filled = own(pages, calloc(n + 1, sizeof(*filled)));
    if (filled == NULL)
        return FB_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        filled[i] = asset->headers[i];
        if (strstr(filled[i], "{{") == NULL)
            continue;
        filled[i] = own(pages, fb_pages_fill(asset->headers[i], marks));
        if (filled[i] == NULL)
            return FB_ERR_NOMEM;
    }
    asset->headers = filled;
    return 0;
}

/* Bodies in the tables have a NUL behind them. 0 or FB_ERR_NOMEM. */
static int fill_body(struct fb_pages *pages, struct fb_asset *asset,
                     const struct fb_page_mark *marks) {
    if (memchr(asset->body, '\0', asset->len) != NULL)
        return 0; /* not a text */
    const char *text = (const char *)asset->body;
    size_t len = fill(text, marks, NULL);
    char *body = own(pages, fb_pages_fill(text, marks));
    if (body == NULL)
        return FB_ERR_NOMEM;
    if (len == asset->len && memcmp(body, text, len) == 0)
        return 0;
    asset->body = (const uint8_t *)body;
    asset->len = len;
    asset->gzip = NULL;
    asset->gzip_len = 0;
    asset->etag = NULL;
    return 0;
}

struct fb_pages *fb_pages_add(struct fb_server *server, const struct fb_page_table *table,
                              const struct fb_page_mark *marks) {
    struct fb_pages *pages = calloc(1, sizeof(*pages));
    if (pages == NULL)
        return NULL;
    pages->len = table->len;
    pages->at = calloc(table->len, sizeof(*pages->at));
    for (size_t i = 0; i < table->len; i++) /* a body, a list of headers and its values each */
        pages->owned_max += 2 + count_headers(table->at[i].headers);
    pages->owned = calloc(pages->owned_max, sizeof(*pages->owned));
    if (pages->at == NULL || pages->owned == NULL)
        goto fail;
    for (size_t i = 0; i < table->len; i++) {
        struct fb_asset *asset = &pages->at[i];
        *asset = table->at[i];
        if (fill_headers(pages, asset, marks) != 0 || fill_body(pages, asset, marks) != 0)
            goto fail;
        if (fb_server_add_asset(server, asset) != 0)
            goto fail;
    }
    return pages;
fail: /* what the server already has stays valid until it is freed: the caller gives up on both */
    fb_pages_free(pages);
    return NULL;
}

void fb_pages_free(struct fb_pages *pages) {
    if (pages == NULL)
        return;
    for (size_t i = 0; i < pages->owned_len; i++)
        free(pages->owned[i]);
    free(pages->owned);
    free(pages->at);
    free(pages);
}
