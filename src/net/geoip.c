#include "net/geoip.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define FILE_MAX 67108864 /* the real ones have 4 and 3 MB */

/* IPv4 and IPv6 in one form: big-endian, so that memcmp orders them. */
struct range {
    uint8_t low[16], high[16];
    uint8_t country[2];
};

struct table {
    struct range *ranges;
    size_t count;
};

struct fb_geoip {
    struct table four, six;
};

struct fb_geoip *fb_geoip_new(void) {
    return calloc(1, sizeof(struct fb_geoip));
}

void fb_geoip_free(struct fb_geoip *geoip) {
    if (geoip == NULL)
        return;
    free(geoip->four.ranges);
    free(geoip->six.ranges);
    free(geoip);
}

/* One address field, up to its comma. */
static bool parse_ip(int family, const char *text, size_t len, uint8_t out[16]) {
    struct fb_addr addr;
    memset(out, 0, 16);
    if (family == 6) {
        if (fb_addr_parse(text, len, &addr) != 0 || addr.family != 6)
            return false;
        memcpy(out, addr.ip, 16);
        return true;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9' || value > UINT32_MAX)
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
    return len > 0 && value <= UINT32_MAX;
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool parse_line(int family, const char *line, size_t len, struct range *out) {
    const char *comma = memchr(line, ',', len);
    if (comma == NULL)
        return false;
    const char *second = comma + 1;
    size_t left = len - (size_t)(second - line);
    const char *last = memchr(second, ',', left);
    if (last == NULL || left - (size_t)(last - second) != 3 || !is_upper(last[1]) ||
        !is_upper(last[2]))
        return false;
    out->country[0] = (uint8_t)last[1];
    out->country[1] = (uint8_t)last[2];
    return parse_ip(family, line, (size_t)(comma - line), out->low) &&
           parse_ip(family, second, (size_t)(last - second), out->high) &&
           memcmp(out->low, out->high, 16) <= 0;
}

static int by_low(const void *a, const void *b) {
    return memcmp(((const struct range *)a)->low, ((const struct range *)b)->low, 16);
}

static bool disjoint(const struct range *ranges, size_t count) {
    for (size_t i = 1; i < count; i++)
        if (memcmp(ranges[i - 1].high, ranges[i].low, 16) >= 0)
            return false;
    return true;
}

static size_t count_lines(const char *text, size_t len) {
    size_t lines = 1;
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    return lines;
}

int fb_geoip_add(struct fb_geoip *geoip, int family, const char *text, size_t len) {
    if (len > FILE_MAX)
        return FB_ERR_MALFORMED;
    struct range *ranges = calloc(count_lines(text, len), sizeof *ranges);
    if (ranges == NULL)
        return FB_ERR_NOMEM;
    size_t count = 0;
    for (const char *at = text, *end = text + len; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t line = (size_t)((newline != NULL ? newline : end) - at);
        count += parse_line(family, at, line, &ranges[count]);
        at += line + 1;
    }
    qsort(ranges, count, sizeof *ranges, by_low);
    struct range *fitting = count == 0 || !disjoint(ranges, count)
                                ? NULL
                                : realloc(ranges, count * sizeof *ranges);
    if (fitting == NULL) {
        free(ranges);
        return FB_ERR_MALFORMED;
    }
    struct table *table = family == 6 ? &geoip->six : &geoip->four;
    free(table->ranges);
    *table = (struct table){fitting, count};
    return (int)count;
}

static int load(struct fb_geoip *geoip, int family, const char *dir, const char *name) {
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return FB_ERR_NOT_FOUND;
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        return errno == ENOENT || errno == ENOTDIR ? FB_ERR_NOT_FOUND : FB_ERR_IO;
    long size = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
    int err = size < 0 || size > FILE_MAX ? FB_ERR_IO : 0;
    char *text = err == 0 ? malloc((size_t)size + 1) : NULL;
    rewind(in);
    if (err == 0 && (text == NULL || fread(text, 1, (size_t)size, in) != (size_t)size))
        err = text == NULL ? FB_ERR_NOMEM : FB_ERR_IO;
    fclose(in);
    if (err == 0)
        err = fb_geoip_add(geoip, family, text, (size_t)size);
    free(text);
    return err < 0 ? err : 0;
}

int fb_geoip_load(struct fb_geoip *geoip, const char *dir) {
    int four = load(geoip, 4, dir, "geoip"), six = load(geoip, 6, dir, "geoip6");
    return four != 0 ? four : six;
}

void fb_geoip_country(const struct fb_geoip *geoip, const struct fb_addr *addr, uint8_t out[2]) {
    memset(out, 0, 2);
    if (geoip == NULL)
        return;
    struct fb_addr plain = fb_addr_unmap(addr);
    const struct table *table = plain.family == 6 ? &geoip->six : &geoip->four;
    size_t low = 0, high = plain.family == 0 ? 0 : table->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(table->ranges[middle].low, plain.ip, 16) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low > 0 && memcmp(plain.ip, table->ranges[low - 1].high, 16) <= 0)
        memcpy(out, table->ranges[low - 1].country, 2);
}
