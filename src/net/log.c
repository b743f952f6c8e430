#include "net/log.h"

#include <stdarg.h>
#include <stdio.h>

static const char *prefix(enum fb_log_level level) {
    switch (level) {
    case FB_LOG_ERROR: return "error: ";
    case FB_LOG_WARN: return "warning: ";
    case FB_LOG_INFO:
    case FB_LOG_DEBUG: break;
    }
    return "";
}

unsigned fb_seldom(struct fb_seldom *seldom, unsigned more, uint64_t now_us) {
    unsigned count = seldom->count + more;
    if (count == 0 || now_us < seldom->next_us) {
        seldom->count = count;
        return 0;
    }
    *seldom = (struct fb_seldom){.next_us = now_us + FB_SELDOM_US};
    return count;
}

void fb_log(const struct fb_log *log, enum fb_log_level level, const char *fmt, ...) {
    if (log == NULL || level > log->level)
        return;
    char line[FB_LOG_LINE_MAX + 1];
    int n = snprintf(line, sizeof line, "%s: %s", log->role, prefix(level));
    if (n < 0 || (size_t)n >= sizeof line)
        return;
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + n, sizeof line - (size_t)n, fmt, args);
    va_end(args);
    for (char *p = line; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    if (log->sink != NULL)
        log->sink(log->ctx, level, line);
    else
        fprintf(stderr, "%s\n", line); /* one call, so that threads' lines do not mix */
}
