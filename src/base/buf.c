#include "base/buf.h"

#include <string.h>

struct fb_rd fb_rd_make(const void *ptr, size_t len) {
    return (struct fb_rd){.ptr = ptr, .len = len, .ok = true};
}

const uint8_t *fb_rd_bytes(struct fb_rd *rd, size_t len) {
    if (!rd->ok || len > rd->len) {
        rd->ok = false;
        return NULL;
    }
    const uint8_t *at = rd->ptr;
    if (len > 0)
        rd->ptr += len;
    rd->len -= len;
    return at;
}

static uint64_t read_be(struct fb_rd *rd, size_t len) {
    const uint8_t *p = fb_rd_bytes(rd, len);
    uint64_t value = 0;
    if (p == NULL)
        return 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | p[i];
    return value;
}

uint8_t fb_rd_u8(struct fb_rd *rd) {
    return (uint8_t)read_be(rd, 1);
}

uint16_t fb_rd_u16(struct fb_rd *rd) {
    return (uint16_t)read_be(rd, 2);
}

uint32_t fb_rd_u32(struct fb_rd *rd) {
    return (uint32_t)read_be(rd, 4);
}

uint64_t fb_rd_u48(struct fb_rd *rd) {
    return read_be(rd, 6);
}

uint64_t fb_rd_u64(struct fb_rd *rd) {
    return read_be(rd, 8);
}

uint64_t fb_rd_varint(struct fb_rd *rd) {
    if (!rd->ok || rd->len == 0) {
        rd->ok = false;
        return 0;
    }
    static const uint8_t value_bits[4] = {6, 14, 30, 62};
    unsigned prefix = rd->ptr[0] >> 6;
    uint64_t value = read_be(rd, (size_t)1 << prefix);
    return value & ((UINT64_C(1) << value_bits[prefix]) - 1);
}

void fb_rd_copy(struct fb_rd *rd, uint8_t *out, size_t len) {
    const uint8_t *p = fb_rd_bytes(rd, len);
    if (len == 0)
        return;
    if (p == NULL)
        memset(out, 0, len);
    else
        memcpy(out, p, len);
}

bool fb_rd_done(const struct fb_rd *rd) {
    return rd->ok && rd->len == 0;
}

struct fb_wr fb_wr_make(void *ptr, size_t cap) {
    return (struct fb_wr){.ptr = ptr, .cap = cap, .ok = true};
}

static uint8_t *reserve(struct fb_wr *wr, size_t len) {
    if (!wr->ok || len > wr->cap - wr->len) {
        wr->ok = false;
        return NULL;
    }
    uint8_t *at = wr->ptr + wr->len;
    wr->len += len;
    return at;
}

static void write_be(struct fb_wr *wr, uint64_t value, size_t len) {
    uint8_t *p = reserve(wr, len);
    if (p == NULL)
        return;
    for (size_t i = len; i-- > 0; value >>= 8)
        p[i] = (uint8_t)value;
}

void fb_wr_u8(struct fb_wr *wr, uint8_t value) {
    write_be(wr, value, 1);
}

void fb_wr_u16(struct fb_wr *wr, uint16_t value) {
    write_be(wr, value, 2);
}

void fb_wr_u32(struct fb_wr *wr, uint32_t value) {
    write_be(wr, value, 4);
}

void fb_wr_u48(struct fb_wr *wr, uint64_t value) {
    write_be(wr, value, 6);
}

void fb_wr_u64(struct fb_wr *wr, uint64_t value) {
    write_be(wr, value, 8);
}

size_t fb_varint_len(uint64_t value) {
    if (value < UINT64_C(1) << 6)
        return 1;
    if (value < UINT64_C(1) << 14)
        return 2;
    return value < UINT64_C(1) << 30 ? 4 : 8;
}

void fb_wr_varint(struct fb_wr *wr, uint64_t value) {
    static const uint8_t prefix[9] = {[1] = 0, [2] = 1, [4] = 2, [8] = 3};
    size_t len = fb_varint_len(value);
    if (value > FB_VARINT_MAX) {
        wr->ok = false;
        return;
    }
    write_be(wr, value | (uint64_t)prefix[len] << (8 * len - 2), len);
}

void fb_wr_bytes(struct fb_wr *wr, const void *bytes, size_t len) {
    uint8_t *p = reserve(wr, len);
    if (p != NULL && len > 0)
        memcpy(p, bytes, len);
}

void fb_wr_zeros(struct fb_wr *wr, size_t len) {
    uint8_t *p = reserve(wr, len);
    if (p != NULL && len > 0)
        memset(p, 0, len);
}

size_t fb_wr_room(const struct fb_wr *wr) {
    return wr->ok ? wr->cap - wr->len : 0;
}
