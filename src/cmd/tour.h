/*
 * The demo's tour: a headless browser flips the switch on the demo's site, then a page and a big
 * file are fetched through that tab and compared. It prints what it does for whoever watches.
 */
#ifndef FB_CMD_TOUR_H
#define FB_CMD_TOUR_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct fb_tour_config {
    uv_loop_t *loop;
    const char *site;      /* "http://127.0.0.1:8000", copied */
    const char *proxy;     /* "127.0.0.1:1080", copied */
    const uint8_t *sha256; /* of the site's file */
    const char *browser;   /* program; NULL: looked for */
    bool loopback;         /* this machine has no other interface */
    uint64_t start_us;     /* what printed times count from */
    uint64_t wait_s;       /* how long a person may take to open the page */
    bool progress;         /* standard output is a terminal: show bytes while they come */
    /* The end, once; ok false: a line on standard error has said why. Only fb_tour_free() may
     * follow. */
    void (*done)(void *user, bool ok);
    void *user;
};

struct fb_tour;

/* NULL when out of memory. */
struct fb_tour *fb_tour_new(const struct fb_tour_config *config);
/* Ends what runs; runs the loop meanwhile. Outside every callback. Accepts NULL. */
void fb_tour_free(struct fb_tour *tour);

/* Somebody opened the page; while the tour waits, that is a person, who is left to flip the switch.
 * */
void fb_tour_visited(struct fb_tour *tour);
/* The client's path carries. */
void fb_tour_ready(struct fb_tour *tour);

#endif
