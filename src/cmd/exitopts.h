/* The options that say what readers may connect to, for the subcommands that run an egress. */
#ifndef FB_CMD_EXITOPTS_H
#define FB_CMD_EXITOPTS_H

#include "cmd/options.h"
#include "core/exitpolicy.h"

#define FB_EXITOPTS_ERR_MAX 512

struct fb_exitopts {
    struct fb_texts rules, own, allow;
};

/* Their lines in a table of options; o is a struct fb_exitopts. */
#define FB_EXITOPTS_TABLE(o)                                                                       \
    {"exit", "RULE", "allow|reject ADDR[/LEN][:PORT[-PORT]], the first that fits decides",         \
     .texts = &(o).rules},                                                                         \
        {"own-address", "ADDRESS", "an address of this machine that its interfaces do not show",   \
         .texts = &(o).own},                                                                       \
    {                                                                                              \
        "allow", "ADDRESS:PORT", "let readers connect there, even on this machine",                \
            .texts = &(o).allow                                                                    \
    }

/* A policy with the options' rules, exceptions and addresses, and those of the interfaces. NULL with
 * one line in err. */
struct fb_exit_policy *fb_exitopts_policy(const struct fb_exitopts *opts,
                                          char err[static FB_EXITOPTS_ERR_MAX]);

#endif
