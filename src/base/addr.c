#include "base/addr.h"

#include <string.h>

#include "base/err.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* A decimal number of 1 to 5 digits without leading zeros, at most max. Moves *at. */
static bool read_decimal(const char **at, const char *end, uint32_t max, uint32_t *out) {
    const char *p = *at;
    uint32_t value = 0;
    while (p < end && *p >= '0' && *p <= '9' && p - *at < 6)
        value = value * 10 + (uint32_t)(*p++ - '0');
    size_t digits = (size_t)(p - *at);
    if (digits == 0 || digits > 5 || (digits > 1 && **at == '0') || value > max)
        return false;
    *at = p;
    *out = value;
    return true;
}

/* Exactly a dotted quad from p to end. */
static bool read_quad(const char *p, const char *end, uint8_t out[4]) {
    for (int i = 0; i < 4; i++) {
        uint32_t value;
        if ((i > 0 && (p == end || *p++ != '.')) || !read_decimal(&p, end, 255, &value))
            return false;
        out[i] = (uint8_t)value;
    }
    return p == end;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One to four hexadecimal digits. Moves *at. */
static bool read_group(const char **at, const char *end, uint8_t out[2]) {
    unsigned value = 0;
    const char *p = *at;
    for (; p < end && p - *at < 4 && hex_digit(*p) >= 0; p++)
        value = value << 4 | (unsigned)hex_digit(*p);
    if (p == *at)
        return false;
    *at = p;
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return true;
}

/* RFC 4291 section 2.2: eight groups, one run of which may be "::", the last two perhaps a quad. */
static bool read_ipv6(const char *p, const char *end, uint8_t out[16]) {
    size_t at = 0, gap = SIZE_MAX;
    if (end - p >= 2 && p[0] == ':' && p[1] == ':') {
        gap = 0;
        p += 2;
    }
    while (p < end) {
        if (at <= 12 && read_quad(p, end, out + at)) {
            at += 4;
            p = end;
            break;
        }
        if (at == 16 || !read_group(&p, end, out + at))
            return false;
        at += 2;
        if (p == end)
            break;
        if (*p++ != ':' || p == end)
            return false;
        if (*p == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = at;
            p++;
        }
    }
    if (gap == SIZE_MAX)
        return at == 16;
    if (at == 16)
        return false;
    memmove(out + 16 - (at - gap), out + gap, at - gap);
    memset(out + gap, 0, 16 - at);
    return true;
}

int fb_addr_parse(const char *text, size_t len, struct fb_addr *out) {
    struct fb_addr addr = {0};
    memset(out, 0, sizeof *out);
    if (len == 0 || len >= FB_ADDR_STR_MAX)
        return FB_ERR_MALFORMED;
    if (read_quad(text, text + len, addr.ip)) {
        addr.family = 4;
    } else {
        memset(addr.ip, 0, sizeof addr.ip);
        if (!read_ipv6(text, text + len, addr.ip))
            return FB_ERR_MALFORMED;
        addr.family = 6;
    }
    *out = addr;
    return 0;
}

int fb_addr_parse_port(const char *text, size_t len, struct fb_addr *out) {
    const char *end = text + len, *colon = end;
    memset(out, 0, sizeof *out);
    while (colon > text && colon[-1] != ':')
        colon--;
    if (colon == text)
        return FB_ERR_MALFORMED;
    const char *port_text = colon;
    size_t host_len = (size_t)(colon - text) - 1;
    bool brackets = host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']';
    uint32_t port;
    struct fb_addr addr;
    if (!read_decimal(&port_text, end, 65535, &port) || port_text != end)
        return FB_ERR_MALFORMED;
    int err = brackets ? fb_addr_parse(text + 1, host_len - 2, &addr)
                       : fb_addr_parse(text, host_len, &addr);
    if (err != 0 || brackets != (addr.family == 6))
        return FB_ERR_MALFORMED;
    addr.port = (uint16_t)port;
    *out = addr;
    return 0;
}

static char *put_decimal(char *at, unsigned value) {
    char digits[5];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *put_quad(char *at, const uint8_t ip[4]) {
    for (int i = 0; i < 4; i++) {
        if (i > 0)
            *at++ = '.';
        at = put_decimal(at, ip[i]);
    }
    return at;
}

static char *put_group(char *at, const uint8_t group[2]) {
    static const char digits[] = "0123456789abcdef";
    unsigned value = (unsigned)group[0] << 8 | group[1];
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = value >> shift & 15;
        started = started || digit != 0 || shift == 0;
        if (started)
            *at++ = digits[digit];
    }
    return at;
}

/* RFC 5952 section 4: the first of the longest runs of two or more zero groups becomes "::". */
static char *put_ipv6(char *at, const uint8_t ip[16]) {
    int best = -1, best_len = 1;
    for (int i = 0, run = 0; i < 8; i++) {
        run = ip[2 * i] == 0 && ip[2 * i + 1] == 0 ? run + 1 : 0;
        if (run > best_len) {
            best_len = run;
            best = i - run + 1;
        }
    }
    bool mapped = memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0;
    for (int i = 0; i < 8;) {
        if (i == best) {
            *at++ = ':';
            *at++ = ':';
            i += best_len;
            continue;
        }
        if (i > 0 && i != best + best_len)
            *at++ = ':';
        if (mapped && i == 6)
            return put_quad(at, ip + 12);
        at = put_group(at, ip + 2 * i);
        i++;
    }
    return at;
}

static char *put_ip(char *at, const struct fb_addr *addr) {
    if (addr->family == 4)
        return put_quad(at, addr->ip);
    if (addr->family == 6)
        return put_ipv6(at, addr->ip);
    *at++ = '-';
    return at;
}

const char *fb_addr_format(const struct fb_addr *addr, char out[FB_ADDR_STR_MAX]) {
    *put_ip(out, addr) = '\0';
    return out;
}

const char *fb_addr_format_port(const struct fb_addr *addr, char out[FB_ADDR_STR_MAX]) {
    char *at = out;
    if (addr->family == 6)
        *at++ = '[';
    at = put_ip(at, addr);
    if (addr->family == 6)
        *at++ = ']';
    *at++ = ':';
    *put_decimal(at, addr->port) = '\0';
    return out;
}

bool fb_addr_same_ip(const struct fb_addr *a, const struct fb_addr *b) {
    return a->family == b->family && memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

bool fb_addr_equal(const struct fb_addr *a, const struct fb_addr *b) {
    return fb_addr_same_ip(a, b) && a->port == b->port;
}

bool fb_addr_in_prefix(const struct fb_addr *addr, const struct fb_addr *prefix, unsigned bits) {
    unsigned max = addr->family == 4 ? 32 : 128;
    if (addr->family != prefix->family || addr->family == 0)
        return false;
    if (bits > max)
        bits = max;
    if (memcmp(addr->ip, prefix->ip, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || (addr->ip[bits / 8] ^ prefix->ip[bits / 8]) >> (8 - rest) == 0;
}

struct fb_addr fb_addr_unmap(const struct fb_addr *addr) {
    struct fb_addr out = *addr;
    if (addr->family == 6 && memcmp(addr->ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        out.family = 4;
        memset(out.ip, 0, sizeof out.ip);
        memcpy(out.ip, addr->ip + 12, 4);
    }
    return out;
}

void fb_addr_prefix(const struct fb_addr *addr, uint8_t out[FB_ADDR_PREFIX_LEN]) {
    struct fb_addr plain = fb_addr_unmap(addr);
    memset(out, 0, FB_ADDR_PREFIX_LEN);
    if (plain.family == 0)
        return;
    out[0] = plain.family;
    memcpy(out + 1, plain.ip, plain.family == 4 ? 3 : 7);
}
