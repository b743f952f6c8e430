#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/pages.h"

static const struct fb_asset *find(const struct fb_page_table *table, const char *path) {
    for (size_t i = 0; i < table->len; i++)
        if (strcmp(table->at[i].path, path) == 0)
            return &table->at[i];
    fail_msg("no %s", path);
    return NULL;
}

static const char *header(const struct fb_asset *asset, const char *name) {
    for (const char *const *h = asset->headers; *h != NULL; h += 2)
        if (strcmp(h[0], name) == 0)
            return h[1];
    fail_msg("%s without %s", asset->path, name);
    return NULL;
}

static void marks_are_filled(void **state) {
    const struct fb_page_mark marks[] = {{"a", "one"}, {"b", ""}, {NULL, NULL}};
    char *text = fb_pages_fill("{{a}} {{b}}{{c}} {a} {{a}} {{a", marks);
    assert_string_equal(text, "one {{c}} {a} one {{a");
    free(text);
    text = fb_pages_fill("", marks);
    assert_string_equal(text, "");
    free(text);
}

static void files_are_whole(void **state) {
    const struct fb_page_table *tables[] = {&fb_pages_widget, &fb_pages_demo};
    for (size_t t = 0; t < 2; t++) {
        assert_true(tables[t]->len > 3);
        for (size_t i = 0; i < tables[t]->len; i++) {
            const struct fb_asset *asset = &tables[t]->at[i];
            assert_true(asset->len > 0 && asset->body[asset->len] == 0);
            assert_true(asset->path[0] == '/' && asset->etag[0] == '"');
            assert_true(asset->gzip == NULL || asset->gzip_len < asset->len);
            assert_string_equal(header(asset, "X-Content-Type-Options"), "nosniff");
        }
    }
    const struct fb_asset *front = find(&fb_pages_demo, "/");
    assert_non_null(strstr((const char *)front->body, "{{operator}}/widget-1.js"));
}

/* A volunteer connects to nothing but what its network names. A worker has its own policy, so both
 * need one. */
static void frame_and_worker_are_confined(void **state) {
    const char *confined[] = {"/frame.html", "/worker.js"};
    for (size_t i = 0; i < 2; i++) {
        const struct fb_asset *asset = find(&fb_pages_widget, confined[i]);
        const char *policy = header(asset, "Content-Security-Policy");
        assert_non_null(strstr(policy, "default-src 'none';"));
        assert_non_null(strstr(policy, "connect-src 'self' {{connect}};"));
        assert_null(strstr(policy, "unsafe-inline"));
        assert_string_equal(header(asset, "Cross-Origin-Embedder-Policy"), "require-corp");
        assert_string_equal(header(asset, "Cross-Origin-Resource-Policy"), "cross-origin");
    }
}

/* What pages pin by its hash is as in the source, and kept for long. */
static void tag_is_pinned(void **state) {
    const struct fb_asset *tag = find(&fb_pages_widget, "/widget-1.js");
    assert_string_equal(header(tag, "Cache-Control"), "public, max-age=31536000, immutable");
    assert_memory_equal(tag->body, "// @ts-check\n", 13);
    int times = 0;
    for (const char *const *h = tag->headers; *h != NULL; h += 2)
        times += strcmp(h[0], "Cache-Control") == 0;
    assert_int_equal(times, 1);
    assert_string_equal(header(find(&fb_pages_widget, "/frame.html"), "Cache-Control"), "no-cache");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_filled),
        cmocka_unit_test(files_are_whole),
        cmocka_unit_test(frame_and_worker_are_confined),
        cmocka_unit_test(tag_is_pinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
