/*
 * What of a month's data budget has been used, kept in a small file between runs:
 * "202611 123456789\n", the month as year * 100 + month and bytes.
 */
#ifndef FB_CMD_SPENT_H
#define FB_CMD_SPENT_H

#include <stdint.h>

struct fb_spent {
    uint32_t month;
    uint64_t used;
};

/* Zeros where there is no such file or something else is in it. */
void fb_spent_read(const char *path, struct fb_spent *out);
/* All of it or nothing, readable by the user alone. FB_ERR_IO, with errno. */
int fb_spent_write(const char *path, const struct fb_spent *spent);

#endif
