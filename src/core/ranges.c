#include "core/ranges.h"

#include <string.h>

#include "base/err.h"

void fb_ranges_init(struct fb_ranges *r, const struct fb_mem *mem, size_t max) {
    *r = (struct fb_ranges){.mem = mem, .max = max};
}

void fb_ranges_clear(struct fb_ranges *r) {
    fb_free(r->mem, r->v);
    r->v = NULL;
    r->n = r->cap = 0;
}

/* Index of the first interval with hi >= x, by bisection. */
static size_t lower(const struct fb_ranges *r, uint64_t x) {
    size_t a = 0, b = r->n;
    while (a < b) {
        size_t mid = a + (b - a) / 2;
        if (r->v[mid].hi < x)
            a = mid + 1;
        else
            b = mid;
    }
    return a;
}

static int reserve(struct fb_ranges *r, size_t n) {
    if (n <= r->cap)
        return 0;
    if (n > r->max)
        return FB_ERR_LIMIT;
    size_t cap = r->cap == 0 ? 4 : r->cap * 2;
    struct fb_range *v = fb_alloc(r->mem, cap * sizeof *v);
    if (v == NULL)
        return FB_ERR_NOMEM;
    if (r->n > 0)
        memcpy(v, r->v, r->n * sizeof *v);
    fb_free(r->mem, r->v);
    r->v = v;
    r->cap = cap;
    return 0;
}

/* Replaces the intervals a..b-1 by count (0 to 2) new ones. */
static int splice(struct fb_ranges *r, size_t a, size_t b, const struct fb_range *with,
                  size_t count) {
    size_t n = r->n - (b - a) + count;
    if (n > r->n) {
        int err = n > r->max ? FB_ERR_LIMIT : reserve(r, n);
        if (err != 0)
            return err;
    }
    if (r->n > b)
        memmove(r->v + a + count, r->v + b, (r->n - b) * sizeof *r->v);
    for (size_t i = 0; i < count; i++)
        r->v[a + i] = with[i];
    r->n = n;
    return 0;
}

int fb_ranges_add(struct fb_ranges *r, uint64_t lo, uint64_t hi) {
    size_t a = lower(r, lo), b = a;
    struct fb_range merged = {lo, hi};
    for (; b < r->n && r->v[b].lo <= hi; b++) {
        if (r->v[b].lo < merged.lo)
            merged.lo = r->v[b].lo;
        if (r->v[b].hi > merged.hi)
            merged.hi = r->v[b].hi;
    }
    return splice(r, a, b, &merged, 1);
}

int fb_ranges_remove(struct fb_ranges *r, uint64_t lo, uint64_t hi) {
    size_t a = lower(r, lo + 1), b = a, count = 0;
    struct fb_range rest[2];
    for (; b < r->n && r->v[b].lo < hi; b++) {
        if (r->v[b].lo < lo)
            rest[count++] = (struct fb_range){r->v[b].lo, lo};
        if (r->v[b].hi > hi)
            rest[count++] = (struct fb_range){hi, r->v[b].hi};
    }
    return a == b ? 0 : splice(r, a, b, rest, count);
}

bool fb_ranges_has(const struct fb_ranges *r, uint64_t x) {
    return fb_ranges_end(r, x) != x;
}

uint64_t fb_ranges_end(const struct fb_ranges *r, uint64_t x) {
    size_t a = lower(r, x + 1);
    return a < r->n && r->v[a].lo <= x ? r->v[a].hi : x;
}

bool fb_ranges_gap(const struct fb_ranges *r, uint64_t lo, uint64_t hi, struct fb_range *gap) {
    lo = fb_ranges_end(r, lo);
    if (lo >= hi)
        return false;
    size_t a = lower(r, lo + 1);
    *gap = (struct fb_range){lo, a < r->n && r->v[a].lo < hi ? r->v[a].lo : hi};
    return true;
}
