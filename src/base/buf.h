/*
 * Bounded reader and writer over memory that the caller owns. Both are sticky: after the first
 * read past the end (or write past the capacity) `ok` is false, reads give zeros and nothing
 * moves, so a parser checks once, at its end. Integers are big-endian; varints are those of
 * RFC 9000 section 16 (at most 2^62 - 1).
 */
#ifndef FB_BASE_BUF_H
#define FB_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FB_VARINT_MAX ((UINT64_C(1) << 62) - 1)

struct fb_rd {
    const uint8_t *ptr;
    size_t len; /* bytes left */
    bool ok;
};

struct fb_rd fb_rd_make(const void *ptr, size_t len);
uint8_t fb_rd_u8(struct fb_rd *rd);
uint16_t fb_rd_u16(struct fb_rd *rd);
uint32_t fb_rd_u32(struct fb_rd *rd);
uint64_t fb_rd_u48(struct fb_rd *rd);
uint64_t fb_rd_u64(struct fb_rd *rd);
uint64_t fb_rd_varint(struct fb_rd *rd);
/* The next len bytes, in place; NULL when fewer are left. */
const uint8_t *fb_rd_bytes(struct fb_rd *rd, size_t len);
/* Copies exactly len bytes to out; zero-fills out on failure. */
void fb_rd_copy(struct fb_rd *rd, uint8_t *out, size_t len);
/* True when every read fitted and nothing is left over. */
bool fb_rd_done(const struct fb_rd *rd);

struct fb_wr {
    uint8_t *ptr; /* start of the buffer */
    size_t len;   /* bytes written */
    size_t cap;
    bool ok;
};

struct fb_wr fb_wr_make(void *ptr, size_t cap);
void fb_wr_u8(struct fb_wr *wr, uint8_t value);
void fb_wr_u16(struct fb_wr *wr, uint16_t value);
void fb_wr_u32(struct fb_wr *wr, uint32_t value);
void fb_wr_u48(struct fb_wr *wr, uint64_t value);
void fb_wr_u64(struct fb_wr *wr, uint64_t value);
/* value must be at most FB_VARINT_MAX; larger values mark the writer as not ok. */
void fb_wr_varint(struct fb_wr *wr, uint64_t value);
void fb_wr_bytes(struct fb_wr *wr, const void *bytes, size_t len);
/* len zero bytes. */
void fb_wr_zeros(struct fb_wr *wr, size_t len);
/* Bytes that still fit. */
size_t fb_wr_room(const struct fb_wr *wr);

/* Bytes that value takes as a varint: 1, 2, 4 or 8. */
size_t fb_varint_len(uint64_t value);

#endif
