/* The options that say what readers may connect to, of `serve` and `egress`. */
#ifndef FB_CMD_EXITS_H
#define FB_CMD_EXITS_H

#include "cmd/options.h"
#include "core/exitpolicy.h"

struct fb_exits {
    struct fb_texts rules; /* --exit */
    struct fb_texts own;   /* --own-address, beside those of the interfaces */
    struct fb_texts allow; /* --allow */
};

/* 0, or an error with one line in err. The caller frees *policy, with an error too. */
int fb_exits_policy(const struct fb_exits *exits, struct fb_exit_policy **policy, char *err,
                    size_t cap);

#endif
