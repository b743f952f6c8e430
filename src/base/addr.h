/*
 * An internet address with a port, as plain data: no sockets, so that sans-IO code can hold, parse,
 * compare and classify them. Literals are strict (RFC 4291 section 2.2, RFC 5952 on output;
 * dotted quads of exactly four decimal numbers without leading zeros): "0177.0.0.1", "127.1" and
 * "2130706433", which the C library would take as 127.0.0.1, are not addresses here.
 */
#ifndef FB_BASE_ADDR_H
#define FB_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An all-zero struct is "no address". IPv4 takes ip[0..3]; the rest is zero. */
struct fb_addr {
    uint8_t family; /* 4, 6, or 0 for none */
    uint8_t ip[16];
    uint16_t port; /* host byte order */
};

/* "[xxxx:...:xxxx]:65535" and its NUL, with an IPv4-mapped tail. */
#define FB_ADDR_STR_MAX 64

/* Parses an IPv4 or IPv6 literal of len bytes, no brackets, port or zone; sets port 0.
 * 0 or FB_ERR_MALFORMED. */
int fb_addr_parse(const char *text, size_t len, struct fb_addr *out);
/* "1.2.3.4:80", "[::1]:80". The port must be there, 0 to 65535. 0 or FB_ERR_MALFORMED. */
int fb_addr_parse_port(const char *text, size_t len, struct fb_addr *out);
/* The address alone, or with its port as fb_addr_parse_port takes it; both return out. */
const char *fb_addr_format(const struct fb_addr *addr, char out[FB_ADDR_STR_MAX]);
const char *fb_addr_format_port(const struct fb_addr *addr, char out[FB_ADDR_STR_MAX]);

/* Same family and bytes, whatever the port. */
bool fb_addr_same_ip(const struct fb_addr *a, const struct fb_addr *b);
/* Same family, bytes and port. */
bool fb_addr_equal(const struct fb_addr *a, const struct fb_addr *b);
/* True when the first bits of both agree; families differ: false. bits is cut to the family's. */
bool fb_addr_in_prefix(const struct fb_addr *addr, const struct fb_addr *prefix, unsigned bits);
/* An IPv4-mapped IPv6 address (::ffff:0:0/96) becomes the IPv4 one; others stay. */
struct fb_addr fb_addr_unmap(const struct fb_addr *addr);

/* What usually belongs to one household or one machine: the /24 of an IPv4 address (IPv4-mapped
 * ones too), the /56 of an IPv6 one. All zero for no address. */
#define FB_ADDR_PREFIX_LEN 8
void fb_addr_prefix(const struct fb_addr *addr, uint8_t out[FB_ADDR_PREFIX_LEN]);

#endif
