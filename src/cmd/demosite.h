/*
 * The demo's news site: the pages of web/pages with the widget on them, and a file to download.
 *
 *     /                  the front page
 *     /archive.bin       FB_DEMO_FILE_LEN bytes, always the same ones
 *     /file?bytes=N      the first N of them
 */
#ifndef FB_CMD_DEMOSITE_H
#define FB_CMD_DEMOSITE_H

#include "core/crypto.h"
#include "net/server.h"

#define FB_DEMO_FILE "/archive.bin"
#define FB_DEMO_FILE_LEN ((size_t)50 * 1000 * 1000)
#define FB_DEMO_SHA256_LEN 32

struct fb_demosite;

/*
 * Puts the site's routes on server, before it listens. operator_origin: where the widget comes from
 * ("http://127.0.0.1:8080"). visited is called at each visit to the front page; may be NULL. NULL
 * when out of memory.
 */
struct fb_demosite *fb_demosite_new(struct fb_server *server, const char *operator_origin,
                                    void (*visited)(void *user), void *user);
/* After fb_server_free. Accepts NULL. */
void fb_demosite_free(struct fb_demosite *site);

/* Of the whole file. */
const uint8_t *fb_demosite_sha256(const struct fb_demosite *site);

#endif
