/*
 * A visitor for the demo: headless Chromium, which opens a page with the widget and flips its
 * switch with the mouse, as a person would. Found on PATH, run with a profile of its own that is
 * deleted at the end.
 */
#ifndef FB_CMD_CHROMIUM_H
#define FB_CMD_CHROMIUM_H

#include <stdbool.h>
#include <uv.h>

#define FB_CHROMIUM_ERR_MAX 512

struct fb_chromium_config {
    uv_loop_t *loop;
    const char *program; /* NULL: looked for on PATH */
    const char *url;     /* the page; copied */
    /* Let WebRTC use the loopback interface: for machines that have no other. */
    bool loopback;
    /* The switch is on. */
    void (*flipped)(void *user);
    /* It could not be flipped, or the browser is gone; why is one line for a person. Called at most
     * once; only fb_chromium_free() may follow. */
    void (*failed)(void *user, const char *why);
    void *user;
};

struct fb_chromium;

/* Starts it. NULL with a message in err. No callback is made from inside. */
struct fb_chromium *fb_chromium_new(const struct fb_chromium_config *config,
                                    char err[static FB_CHROMIUM_ERR_MAX]);
/* Ends the browser and removes its profile. Runs the loop until that is done, which takes seconds
 * at most: call from outside every callback. Accepts NULL. */
void fb_chromium_free(struct fb_chromium *chromium);

#endif
