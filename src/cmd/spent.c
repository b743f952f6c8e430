#include "cmd/spent.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"

#define LINE_MAX_LEN 64

void fb_spent_read(const char *path, struct fb_spent *out) {
    char line[LINE_MAX_LEN] = "", end;
    FILE *file = fopen(path, "re");
    *out = (struct fb_spent){0};
    if (file == NULL)
        return;
    size_t len = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[len] = '\0';
    if (sscanf(line, "%6" SCNu32 " %19" SCNu64 "%c", &out->month, &out->used, &end) != 3 ||
        end != '\n')
        *out = (struct fb_spent){0};
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
