/*
 * Bytes of a stream between two moving offsets, in blocks that are allocated when first written and
 * freed when everything in them has been released: written at any offset (reassembly) or at the end
 * (sending), read in place. What has been written is the owner's to know (core/ranges.h).
 */
#ifndef FB_CORE_BLOCKS_H
#define FB_CORE_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"

#define FB_BLOCK_LEN 16384

struct fb_blocks {
    const struct fb_mem *mem;
    uint8_t **ring; /* block k stands at k modulo cap */
    size_t cap;     /* 0 or a power of two */
    uint64_t first; /* blocks below are released */
    uint64_t end;   /* blocks from here on are not allocated */
};

void fb_blocks_init(struct fb_blocks *b, const struct fb_mem *mem);
void fb_blocks_clear(struct fb_blocks *b);
/*
 * Copies len bytes to offset, which must not be released. The caller has checked offset + len
 * against its window: memory used is the window and two blocks. 0 or FB_ERR_NOMEM (some bytes may
 * have been copied).
 */
int fb_blocks_write(struct fb_blocks *b, uint64_t offset, const uint8_t *data, size_t len);
/* Bytes at offset, in place: *len is cut to what lies in one piece. They must have been written. */
const uint8_t *fb_blocks_at(const struct fb_blocks *b, uint64_t offset, size_t *len);
/* Bytes below offset are not needed any more. */
void fb_blocks_release(struct fb_blocks *b, uint64_t offset);

#endif
