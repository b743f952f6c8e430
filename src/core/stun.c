#include "core/stun.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"

#define MAGIC 0x2112A442u
#define HEADER_LEN 20
#define BINDING_REQUEST 0x0001
#define BINDING_SUCCESS 0x0101
#define BINDING_ERROR 0x0111
#define ERROR_CODE 0x0009
#define UNKNOWN_ATTRIBUTES 0x000A
#define XOR_MAPPED_ADDRESS 0x0020
#define FINGERPRINT 0x8028
#define FINGERPRINT_XOR 0x5354554eu
/* Longer requests than any real one are not read: RFC 8489 section 6.1 has peers stay under the
 * path's MTU. */
#define REQUEST_MAX 548
#define UNKNOWN_MAX 8

struct request {
    uint8_t id[12];
    uint16_t unknown[UNKNOWN_MAX];
    size_t unknown_count;
    bool fingerprint;
};

/* CRC-32 of ITU V.42, by nibbles: a request is short. */
static uint32_t crc32(const uint8_t *data, size_t len) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
                                       0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* Comprehension-required attributes (below 0x8000) that a server without authentication may meet
 * and can leave unread: none of them changes what a plain Binding answer says. */
static bool understood(uint16_t type) {
    switch (type) {
    case 0x0001: /* MAPPED-ADDRESS, of no meaning in a request */
    case 0x0006: /* USERNAME */
    case 0x0008: /* MESSAGE-INTEGRITY: this server asks for none and checks none */
    case 0x001C: /* MESSAGE-INTEGRITY-SHA256 */
    case 0x0020: /* XOR-MAPPED-ADDRESS */
    case 0x0024: /* PRIORITY and */
    case 0x0025: /* USE-CANDIDATE, from ICE agents */ return true;
    default: return type >= 0x8000;
    }
}

/* Section 6: header and attributes; false: be silent. */
static bool parse(const uint8_t *in, size_t len, struct request *req) {
    if (len < HEADER_LEN || len > REQUEST_MAX || len % 4 != 0)
        return false;
    struct fb_rd rd = fb_rd_make(in, len);
    uint16_t type = fb_rd_u16(&rd), body = fb_rd_u16(&rd);
    uint32_t magic = fb_rd_u32(&rd);
    fb_rd_copy(&rd, req->id, sizeof req->id);
    if (type != BINDING_REQUEST || body != len - HEADER_LEN || magic != MAGIC)
        return false;
    while (rd.len > 0) {
        size_t at = len - rd.len;
        uint16_t attr = fb_rd_u16(&rd), attr_len = fb_rd_u16(&rd);
        const uint8_t *value = fb_rd_bytes(&rd, (size_t)((attr_len + 3) & ~3));
        if (value == NULL || req->fingerprint)
            return false; /* FINGERPRINT is the last attribute, section 14.7 */
        if (attr == FINGERPRINT) {
            struct fb_rd given = fb_rd_make(value, 4);
            if (attr_len != 4 || fb_rd_u32(&given) != (crc32(in, at) ^ FINGERPRINT_XOR))
                return false;
            req->fingerprint = true;
        } else if (!understood(attr) && req->unknown_count < UNKNOWN_MAX) {
            req->unknown[req->unknown_count++] = attr;
        }
    }
    return true;
}

/* Section 14.2: port and address, each xored with the magic cookie and what follows it. */
static void put_mapped(struct fb_wr *wr, const struct fb_addr *from, const uint8_t id[12]) {
    size_t ip_len = from->family == 4 ? 4 : 16;
    uint8_t mask[16];
    struct fb_wr mask_wr = fb_wr_make(mask, sizeof mask);
    fb_wr_u32(&mask_wr, MAGIC);
    fb_wr_bytes(&mask_wr, id, 12);
    fb_wr_u16(wr, XOR_MAPPED_ADDRESS);
    fb_wr_u16(wr, (uint16_t)(4 + ip_len));
    fb_wr_u8(wr, 0);
    fb_wr_u8(wr, from->family == 4 ? 1 : 2);
    fb_wr_u16(wr, (uint16_t)(from->port ^ (MAGIC >> 16)));
    for (size_t i = 0; i < ip_len; i++)
        fb_wr_u8(wr, from->ip[i] ^ mask[i]);
}

/* Sections 14.8 and 14.13: 420 and which attributes. No reason phrase: it is for people. */
static void put_unknown(struct fb_wr *wr, const struct request *req) {
    fb_wr_u16(wr, ERROR_CODE);
    fb_wr_u16(wr, 4);
    fb_wr_u16(wr, 0);
    fb_wr_u8(wr, 4);
    fb_wr_u8(wr, 20);
    fb_wr_u16(wr, UNKNOWN_ATTRIBUTES);
    fb_wr_u16(wr, (uint16_t)(2 * req->unknown_count));
    for (size_t i = 0; i < req->unknown_count; i++)
        fb_wr_u16(wr, req->unknown[i]);
    fb_wr_zeros(wr, 2 * (req->unknown_count % 2));
}

static void set_length(struct fb_wr *wr, size_t body) {
    wr->ptr[2] = (uint8_t)(body >> 8);
    wr->ptr[3] = (uint8_t)body;
}

size_t fb_stun_respond(const uint8_t *in, size_t len, const struct fb_addr *from, uint8_t *out,
                       size_t cap) {
    struct request req = {0};
    if (!parse(in, len, &req) || (from->family != 4 && from->family != 6))
        return 0;
    struct fb_wr wr = fb_wr_make(out, cap);
    fb_wr_u16(&wr, req.unknown_count > 0 ? BINDING_ERROR : BINDING_SUCCESS);
    fb_wr_u16(&wr, 0);
    fb_wr_u32(&wr, MAGIC);
    fb_wr_bytes(&wr, req.id, sizeof req.id);
    if (req.unknown_count > 0)
        put_unknown(&wr, &req);
    else
        put_mapped(&wr, from, req.id);
    if (req.fingerprint && wr.ok) {
        /* The checksum covers a header that counts the checksum, section 14.7. */
        set_length(&wr, wr.len + 8 - HEADER_LEN);
        uint32_t sum = crc32(out, wr.len) ^ FINGERPRINT_XOR;
        fb_wr_u16(&wr, FINGERPRINT);
        fb_wr_u16(&wr, 4);
        fb_wr_u32(&wr, sum);
    }
    if (!wr.ok)
        return 0;
    set_length(&wr, wr.len - HEADER_LEN);
    return wr.len;
}
