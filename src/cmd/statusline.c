#include "cmd/statusline.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* To the line's start, and clear to its end (ECMA-48: EL). */
#define FRESH "\r\033[K"

static int width(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

static void above(void *ctx, enum fb_log_level level, const char *text) {
    const struct fb_status_line *line = ctx;
    fprintf(stderr, FRESH "%s\n%.*s", text, width(), line->text);
}

void fb_status_line_start(struct fb_status_line *line, struct fb_log *log) {
    line->on = isatty(STDERR_FILENO) != 0;
    if (!line->on)
        return;
    log->sink = above;
    log->ctx = line;
}

void fb_status_line_show(struct fb_status_line *line, const char *text) {
    if (!line->on || strcmp(line->text, text) == 0)
        return;
    snprintf(line->text, sizeof line->text, "%s", text);
    fprintf(stderr, FRESH "%.*s", width(), line->text);
}

void fb_status_line_end(struct fb_status_line *line) {
    fb_status_line_show(line, "");
    line->on = false;
}
