/*
 * One line on a terminal that is written over and over, below whatever is logged.
 */
#ifndef FB_CMD_STATUSLINE_H
#define FB_CMD_STATUSLINE_H

#include <stdbool.h>

#include "net/log.h"

#define FB_STATUS_LINE_MAX 256

struct fb_status_line {
    bool on;
    char text[FB_STATUS_LINE_MAX];
};

/* On where standard error is a terminal; the log's lines then go above the line. */
void fb_status_line_start(struct fb_status_line *line, struct fb_log *log);
/* Cut to the terminal's width. Does nothing where the line is not on, or shows that already. */
void fb_status_line_show(struct fb_status_line *line, const char *text);
/* Takes it away. */
void fb_status_line_end(struct fb_status_line *line);

#endif
