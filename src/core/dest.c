#include "core/dest.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"

/* The numbers are SOCKS5's address types (RFC 1928 section 5). */
enum { TYPE_IPV4 = 1, TYPE_NAME = 3, TYPE_IPV6 = 4 };

#define LABEL_MAX 63

const char *fb_dest_status_text(uint8_t status) {
    switch ((enum fb_dest_status)status) {
    case FB_DEST_OK: return "connected";
    case FB_DEST_DENIED: return "not allowed by the exit policy";
    case FB_DEST_NET_UNREACHABLE: return "network unreachable";
    case FB_DEST_HOST_UNREACHABLE: return "host unreachable";
    case FB_DEST_REFUSED: return "connection refused";
    case FB_DEST_TIMED_OUT: return "connection timed out";
    case FB_DEST_NO_NAME: return "no such name";
    case FB_DEST_LIMIT: return "too many connections";
    case FB_DEST_INTERNAL:
    case FB_DEST_STATUS_COUNT: break;
    }
    return "the egress failed";
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* WHATWG's URL standard calls it "ends in a number": such a host is an IPv4 address or nothing. */
static bool is_number(const char *label, size_t len) {
    bool hex = len >= 2 && label[0] == '0' && lower(label[1]) == 'x';
    for (size_t i = hex ? 2 : 0; i < len; i++)
        if (!is_digit(label[i]) && !(hex && lower(label[i]) >= 'a' && lower(label[i]) <= 'f'))
            return false;
    return true;
}

static bool is_label(const char *label, size_t len) {
    if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = lower(label[i]);
        if (!(c >= 'a' && c <= 'z') && !is_digit(c) && c != '-' && c != '_')
            return false;
    }
    return true;
}

static bool is_name(const char *host, size_t len) {
    if (len == 0 || len > FB_HOST_MAX)
        return false;
    for (;;) {
        const char *dot = memchr(host, '.', len);
        size_t label = dot == NULL ? len : (size_t)(dot - host);
        if (!is_label(host, label))
            return false;
        if (dot == NULL)
            return !is_number(host, label);
        host += label + 1;
        len -= label + 1;
    }
}

int fb_dest_make(struct fb_dest *dest, const char *host, size_t len, uint16_t port) {
    struct fb_dest made = {.port = port};
    *dest = made;
    if (port == 0)
        return FB_ERR_MALFORMED;
    bool brackets = len >= 2 && host[0] == '[' && host[len - 1] == ']';
    if (fb_addr_parse(host + brackets, len - 2 * brackets, &made.addr) == 0) {
        if (brackets && made.addr.family != 6)
            return FB_ERR_MALFORMED;
        made.addr.port = port;
        *dest = made;
        return 0;
    }
    if (len > 0 && host[len - 1] == '.')
        len--;
    if (!is_name(host, len))
        return FB_ERR_MALFORMED;
    for (size_t i = 0; i < len; i++)
        made.name[i] = lower(host[i]);
    *dest = made;
    return 0;
}

size_t fb_dest_write(const struct fb_dest *dest, uint8_t out[static FB_DEST_MAX]) {
    struct fb_wr wr = fb_wr_make(out, FB_DEST_MAX);
    if (dest->addr.family == 4) {
        fb_wr_u8(&wr, TYPE_IPV4);
        fb_wr_bytes(&wr, dest->addr.ip, 4);
    } else if (dest->addr.family == 6) {
        fb_wr_u8(&wr, TYPE_IPV6);
        fb_wr_bytes(&wr, dest->addr.ip, 16);
    } else {
        size_t len = strlen(dest->name);
        fb_wr_u8(&wr, TYPE_NAME);
        fb_wr_u8(&wr, (uint8_t)len);
        fb_wr_bytes(&wr, dest->name, len);
    }
    fb_wr_u16(&wr, dest->port);
    return wr.len;
}

/* A name in the prologue must be what fb_dest_make would have made of it. */
static bool read_name(struct fb_dest *dest, const uint8_t *name, size_t len) {
    struct fb_dest made;
    if (name == NULL || fb_dest_make(&made, (const char *)name, len, 1) != 0 ||
        made.addr.family != 0 || strlen(made.name) != len || memcmp(made.name, name, len) != 0)
        return false;
    memcpy(dest->name, made.name, len);
    return true;
}

int fb_dest_read(struct fb_dest *dest, const uint8_t *in, size_t len, size_t *used) {
    *dest = (struct fb_dest){0};
    *used = 0;
    struct fb_rd rd = fb_rd_make(in, len);
    uint8_t type = fb_rd_u8(&rd);
    if (!rd.ok)
        return FB_ERR_AGAIN;
    const uint8_t *name = NULL;
    size_t name_len = 0;
    switch (type) {
    case TYPE_IPV4:
        dest->addr.family = 4;
        fb_rd_copy(&rd, dest->addr.ip, 4);
        break;
    case TYPE_IPV6:
        dest->addr.family = 6;
        fb_rd_copy(&rd, dest->addr.ip, 16);
        break;
    case TYPE_NAME:
        name_len = fb_rd_u8(&rd);
        if (rd.ok && (name_len == 0 || name_len > FB_HOST_MAX))
            return FB_ERR_MALFORMED;
        name = fb_rd_bytes(&rd, name_len);
        break;
    default: return FB_ERR_MALFORMED;
    }
    dest->port = fb_rd_u16(&rd);
    dest->addr.port = dest->addr.family == 0 ? 0 : dest->port;
    if (!rd.ok)
        return FB_ERR_AGAIN;
    if (dest->port == 0 || (type == TYPE_NAME && !read_name(dest, name, name_len)))
        return FB_ERR_MALFORMED;
    *used = len - rd.len;
    return 0;
}
