/*
 * The files under web/, as tables inside the program: made at build time by tools/assets, with the
 * headers that web/widget/headers and web/pages/headers give them. Nothing is read from disk when a
 * page is served, and one binary is the whole operator.
 *
 * What is known only when a role starts stands in headers and bodies as a mark, "{{connect}}", and
 * is put in here. A body with a mark is sent without ETag and gzip form.
 */
#ifndef FB_NET_PAGES_H
#define FB_NET_PAGES_H

#include <stddef.h>

#include "net/server.h"

struct fb_page_table {
    const struct fb_asset *at;
    size_t len;
};

/* The widget, as a broker serves it. Marks: connect, the WebSocket URLs of broker and egresses with
 * a space between: the frame's Content-Security-Policy lets it connect there and nowhere else. */
extern const struct fb_page_table fb_pages_widget;
/* The demo's news site. Marks: operator, the origin of the broker ("http://127.0.0.1:8080"). */
extern const struct fb_page_table fb_pages_demo;

struct fb_page_mark {
    const char *name, *value;
};

struct fb_pages;

/* Puts a table's files on the server with the marks filled in. marks ends with a NULL name. NULL:
 * out of memory. The result outlives the server. */
struct fb_pages *fb_pages_add(struct fb_server *server, const struct fb_page_table *table,
                              const struct fb_page_mark *marks);
/* After fb_server_free. Accepts NULL. */
void fb_pages_free(struct fb_pages *pages);

/* Copy of text (ended by NUL) with the marks filled in; free() it. NULL: out of memory. */
char *fb_pages_fill(const char *text, const struct fb_page_mark *marks);

#endif
