/*
 * A download through a SOCKS5 proxy that resolves names, hashed while it comes: what the demo
 * fetches to show that everything works. libcurl, in a thread of the loop's pool, because the loop
 * itself is busy being the proxy.
 */
#ifndef FB_CMD_DOWNLOAD_H
#define FB_CMD_DOWNLOAD_H

#include <stdint.h>
#include <uv.h>

struct fb_download;

struct fb_downloaded {
    const char *why; /* "": the whole body came with status 200; else one line for a person */
    uint64_t bytes;
    uint64_t first_byte_us, total_us; /* since the start */
    uint8_t sha256[32];
};

/* proxy: "host:port". done is called once, from the loop. NULL when out of memory. */
struct fb_download *fb_download_start(uv_loop_t *loop, const char *url, const char *proxy,
                                      void (*done)(void *user, const struct fb_downloaded *result),
                                      void *user);
/* Bytes so far. */
uint64_t fb_download_bytes(const struct fb_download *download);
/* Ends it if it still runs (without done), which takes the loop a second at most. Not from inside
 * done. Accepts NULL. */
void fb_download_free(struct fb_download *download);

#endif
