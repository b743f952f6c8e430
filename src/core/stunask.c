#include "core/stunask.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#define MAGIC 0x2112A442u
#define BINDING_REQUEST 0x0001
#define BINDING_SUCCESS 0x0101
#define BINDING_ERROR 0x0111
#define MAPPED_ADDRESS 0x0001
#define XOR_MAPPED_ADDRESS 0x0020

void fb_stun_ask(const uint8_t id[static FB_STUN_ID_LEN], uint8_t out[static FB_STUN_ASK_LEN]) {
    struct fb_wr wr = fb_wr_make(out, FB_STUN_ASK_LEN);
    fb_wr_u16(&wr, BINDING_REQUEST);
    fb_wr_u16(&wr, 0);
    fb_wr_u32(&wr, MAGIC);
    fb_wr_bytes(&wr, id, FB_STUN_ID_LEN);
}

/* Sections 14.1 and 14.2; mask: 16 bytes, zero for the plain form. */
static bool read_address(const uint8_t *value, size_t len, const uint8_t mask[static 16],
                         struct fb_addr *out) {
    struct fb_rd rd = fb_rd_make(value, len);
    fb_rd_u8(&rd);
    uint8_t family = fb_rd_u8(&rd);
    memset(out, 0, sizeof *out);
    out->family = family == 1 ? 4 : 6;
    out->port = fb_rd_u16(&rd) ^ (uint16_t)(mask[0] << 8 | mask[1]);
    size_t ip_len = family == 1 ? 4 : 16;
    fb_rd_copy(&rd, out->ip, ip_len);
    for (size_t i = 0; i < ip_len; i++)
        out->ip[i] ^= mask[i];
    return fb_rd_done(&rd) && (family == 1 || family == 2) && out->port != 0;
}

int fb_stun_answer(const uint8_t *in, size_t len, const uint8_t id[static FB_STUN_ID_LEN],
                   struct fb_addr *mapped) {
    static const uint8_t plain[16] = {0};
    struct fb_rd rd = fb_rd_make(in, len);
    uint16_t type = fb_rd_u16(&rd), body = fb_rd_u16(&rd);
    const uint8_t *mask = fb_rd_bytes(&rd, 16); /* the cookie and the id, as section 14.2 wants */
    uint8_t expected[FB_STUN_ASK_LEN];
    fb_stun_ask(id, expected);
    if (mask == NULL || (type != BINDING_SUCCESS && type != BINDING_ERROR) ||
        memcmp(mask, expected + 4, 16) != 0)
        return FB_ERR_NOT_FOUND;
    if (type == BINDING_ERROR)
        return FB_ERR_DENIED;
    if (body != rd.len)
        return FB_ERR_MALFORMED;
    struct fb_addr addr;
    bool found = false;
    while (rd.len > 0) {
        uint16_t attr = fb_rd_u16(&rd), attr_len = fb_rd_u16(&rd);
        const uint8_t *value = fb_rd_bytes(&rd, (attr_len + 3u) & ~3u);
        if (value == NULL)
            return FB_ERR_MALFORMED;
        bool xored = attr == XOR_MAPPED_ADDRESS;
        if ((!xored && attr != MAPPED_ADDRESS) ||
            !read_address(value, attr_len, xored ? mask : plain, &addr))
            continue;
        *mapped = addr;
        if (xored)
            return 0;
        found = true; /* an old server's form; the other one may follow */
    }
    return found ? 0 : FB_ERR_MALFORMED;
}
