#include "core/blocks.h"

#include <string.h>

#include "base/err.h"

void fb_blocks_init(struct fb_blocks *b, const struct fb_mem *mem) {
    *b = (struct fb_blocks){.mem = mem};
}

void fb_blocks_clear(struct fb_blocks *b) {
    for (size_t i = 0; i < b->cap; i++)
        fb_free(b->mem, b->ring[i]);
    fb_free(b->mem, b->ring);
    b->ring = NULL;
    b->cap = 0;
    b->end = b->first;
}

static uint8_t **slot(const struct fb_blocks *b, uint64_t block) {
    return &b->ring[block & (b->cap - 1)];
}

/* Makes the ring wide enough for blocks first to last. */
static int widen(struct fb_blocks *b, uint64_t last) {
    size_t cap = b->cap == 0 ? 4 : b->cap;
    while (last - b->first >= cap)
        cap *= 2;
    if (cap == b->cap)
        return 0;
    struct fb_blocks wider = *b;
    wider.cap = cap;
    wider.ring = fb_alloc(b->mem, cap * sizeof *wider.ring);
    if (wider.ring == NULL)
        return FB_ERR_NOMEM;
    for (uint64_t k = b->first; k < b->end; k++)
        *slot(&wider, k) = *slot(b, k);
    fb_free(b->mem, b->ring);
    *b = wider;
    return 0;
}

int fb_blocks_write(struct fb_blocks *b, uint64_t offset, const uint8_t *data, size_t len) {
    while (len > 0) {
        uint64_t block = offset / FB_BLOCK_LEN;
        size_t at = offset % FB_BLOCK_LEN;
        size_t n = FB_BLOCK_LEN - at < len ? FB_BLOCK_LEN - at : len;
        int err = widen(b, block);
        if (err != 0)
            return err;
        uint8_t **p = slot(b, block);
        if (*p == NULL && (*p = fb_alloc(b->mem, FB_BLOCK_LEN)) == NULL)
            return FB_ERR_NOMEM;
        if (block >= b->end)
            b->end = block + 1;
        memcpy(*p + at, data, n);
        offset += n;
        data += n;
        len -= n;
    }
    return 0;
}

const uint8_t *fb_blocks_at(const struct fb_blocks *b, uint64_t offset, size_t *len) {
    size_t at = offset % FB_BLOCK_LEN;
    if (*len > FB_BLOCK_LEN - at)
        *len = FB_BLOCK_LEN - at;
    return *slot(b, offset / FB_BLOCK_LEN) + at;
}

void fb_blocks_release(struct fb_blocks *b, uint64_t offset) {
    uint64_t keep = offset / FB_BLOCK_LEN;
    for (; b->first < keep; b->first++) {
        if (b->first < b->end) {
            uint8_t **p = slot(b, b->first);
            fb_free(b->mem, *p);
            *p = NULL;
        }
    }
    if (b->end < b->first)
        b->end = b->first;
}
