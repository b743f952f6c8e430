#include "cmd/spent.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"

#define LINE_MAX_LEN 64

/* A decimal number of at most `most` digits, and what ends it. */
static bool number(const char **at, unsigned most, char end, uint64_t *out) {
    const char *first = *at;
    for (*out = 0; **at >= '0' && **at <= '9' && *at < first + most; ++*at)
        *out = *out * 10 + (uint64_t)(**at - '0');
    return *at > first && *(*at)++ == end;
}

void fb_spent_read(const char *path, struct fb_spent *out) {
    char line[LINE_MAX_LEN] = "";
    const char *at = line;
    uint64_t month, used;
    FILE *file = fopen(path, "re");
    *out = (struct fb_spent){0};
    if (file == NULL)
        return;
    size_t len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = '\0';
    if (number(&at, 6, ' ', &month) && number(&at, 19, '\n', &used))
        *out = (struct fb_spent){.month = (uint32_t)month, .used = used};
}

int fb_spent_write(const char *path, const struct fb_spent *spent) {
    char fresh[4096 + 8], line[LINE_MAX_LEN];
    int len = snprintf(fresh, sizeof fresh, "%s.new", path);
    if (len < 0 || (size_t)len >= sizeof fresh)
        return FB_ERR_IO;
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return FB_ERR_IO;
    len = snprintf(line, sizeof line, "%" PRIu32 " %" PRIu64 "\n", spent->month, spent->used);
    bool good = write(fd, line, (size_t)len) == len && fdatasync(fd) == 0;
    good = close(fd) == 0 && good;
    if (good && rename(fresh, path) == 0)
        return 0;
    unlink(fresh);
    return FB_ERR_IO;
}
