#include "core/addrclass.h"

#include <stddef.h>
#include <string.h>

/* Every visitor's browser fetches what is built for wasm, and has nobody to show the names to. */
#ifdef __wasm__
#define NAME(text) ""
#else
#define NAME(text) text
#endif

struct block {
    uint8_t ip[16];
    uint8_t bits;
    const char *what;
};

/*
 * https://www.iana.org/assignments/iana-ipv4-special-registry, all of it, globally reachable or
 * not: the few anycast services in it are nobody's web site. More specific entries come first, so
 * that the name is the best one.
 */
static const struct block ipv4[] = {
    {{169, 254, 169, 254}, 32, NAME("cloud metadata")},
    {{168, 63, 129, 16}, 32, NAME("cloud metadata (Azure)")},
    {{100, 100, 100, 200}, 32, NAME("cloud metadata (Alibaba)")},
    {{192, 0, 0, 192}, 32, NAME("cloud metadata (Oracle)")},
    {{0, 0, 0, 0}, 32, NAME("this host (RFC 1122)")},
    {{0}, 8, NAME("this network (RFC 791)")},
    {{10}, 8, NAME("private use (RFC 1918)")},
    {{100, 64}, 10, NAME("shared address space (RFC 6598)")},
    {{127}, 8, NAME("loopback (RFC 1122)")},
    {{169, 254}, 16, NAME("link local (RFC 3927)")},
    {{172, 16}, 12, NAME("private use (RFC 1918)")},
    {{192, 0, 0, 0}, 29, NAME("IPv4 service continuity (RFC 7335)")},
    {{192, 0, 0, 8}, 32, NAME("IPv4 dummy address (RFC 7600)")},
    {{192, 0, 0, 9}, 32, NAME("port control anycast (RFC 7723)")},
    {{192, 0, 0, 10}, 32, NAME("TURN anycast (RFC 8155)")},
    {{192, 0, 0, 170}, 31, NAME("NAT64 discovery (RFC 8880)")},
    {{192, 0, 0}, 24, NAME("IETF protocol assignments (RFC 6890)")},
    {{192, 0, 2}, 24, NAME("documentation (RFC 5737)")},
    {{192, 31, 196}, 24, NAME("AS112 (RFC 7535)")},
    {{192, 52, 193}, 24, NAME("AMT (RFC 7450)")},
    {{192, 88, 99}, 24, NAME("6to4 relay anycast (RFC 7526)")},
    {{192, 168}, 16, NAME("private use (RFC 1918)")},
    {{192, 175, 48}, 24, NAME("AS112 (RFC 7534)")},
    {{198, 18}, 15, NAME("benchmarking (RFC 2544)")},
    {{198, 51, 100}, 24, NAME("documentation (RFC 5737)")},
    {{203, 0, 113}, 24, NAME("documentation (RFC 5737)")},
    {{224}, 4, NAME("multicast (RFC 5771)")},
    {{255, 255, 255, 255}, 32, NAME("limited broadcast (RFC 919)")},
    {{240}, 4, NAME("reserved (RFC 1112)")},
};

/*
 * https://www.iana.org/assignments/iana-ipv6-special-registry, all of it but the two blocks that
 * fb_addr_special() judges by the IPv4 address inside, and deprecated blocks that once were in it.
 */
static const struct block ipv6[] = {
    {{[15] = 1}, 128, NAME("loopback (RFC 4291)")},
    {{0}, 128, NAME("unspecified (RFC 4291)")},
    {{0}, 96, NAME("IPv4-compatible (RFC 4291)")},
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01}, 48, NAME("local-use NAT64 (RFC 8215)")},
    {{0x01}, 64, NAME("discard only (RFC 6666)")},
    {{0x01, [7] = 0x01}, 64, NAME("dummy prefix (RFC 9780)")},
    {{0x20, 0x01, 0x00, 0x00}, 32, NAME("Teredo (RFC 4380)")},
    {{0x20, 0x01, 0x00, 0x01, [15] = 0x01}, 128, NAME("port control anycast (RFC 7723)")},
    {{0x20, 0x01, 0x00, 0x01, [15] = 0x02}, 128, NAME("TURN anycast (RFC 8155)")},
    {{0x20, 0x01, 0x00, 0x01, [15] = 0x03}, 128, NAME("DNS-SD anycast (RFC 9665)")},
    {{0x20, 0x01, 0x00, 0x02, 0x00, 0x00}, 48, NAME("benchmarking (RFC 5180)")},
    {{0x20, 0x01, 0x00, 0x03}, 32, NAME("AMT (RFC 7450)")},
    {{0x20, 0x01, 0x00, 0x04, 0x01, 0x12}, 48, NAME("AS112 (RFC 7535)")},
    {{0x20, 0x01, 0x00, 0x10}, 28, NAME("ORCHID (RFC 4843)")},
    {{0x20, 0x01, 0x00, 0x20}, 28, NAME("ORCHIDv2 (RFC 7343)")},
    {{0x20, 0x01, 0x00, 0x30}, 28, NAME("drone remote identification (RFC 9374)")},
    {{0x20, 0x01, 0x00}, 23, NAME("IETF protocol assignments (RFC 2928)")},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, NAME("documentation (RFC 3849)")},
    {{0x20, 0x02}, 16, NAME("6to4 (RFC 3056)")},
    {{0x26, 0x20, 0x00, 0x4f, 0x80, 0x00}, 48, NAME("AS112 (RFC 7534)")},
    {{0x3f, 0xfe}, 16, NAME("6bone (RFC 3701)")},
    {{0x3f, 0xff, 0x00}, 20, NAME("documentation (RFC 9637)")},
    {{0x5f, 0x00}, 16, NAME("segment routing (RFC 9602)")},
    {{0xfc}, 7, NAME("unique local (RFC 4193)")},
    {{0xfe, 0x80}, 10, NAME("link local (RFC 4291)")},
    {{0xfe, 0xc0}, 10, NAME("site local (RFC 3879)")},
    {{0xff}, 8, NAME("multicast (RFC 4291)")},
};

static const char *look_up(const struct block *blocks, size_t count, const struct fb_addr *addr) {
    for (size_t i = 0; i < count; i++) {
        struct fb_addr prefix = {.family = addr->family};
        memcpy(prefix.ip, blocks[i].ip, sizeof prefix.ip);
        if (fb_addr_in_prefix(addr, &prefix, blocks[i].bits))
            return blocks[i].what;
    }
    return NULL;
}

const char *fb_addr_special(const struct fb_addr *addr) {
    static const struct fb_addr nat64 = {.family = 6, .ip = {0x00, 0x64, 0xff, 0x9b}};
    static const struct fb_addr global = {.family = 6, .ip = {0x20}};
    struct fb_addr plain = fb_addr_unmap(addr);
    if (fb_addr_in_prefix(&plain, &nat64, 96)) { /* RFC 6052 */
        struct fb_addr inside = {.family = 4};
        memcpy(inside.ip, plain.ip + 12, 4);
        plain = inside;
    }
    if (plain.family == 4)
        return look_up(ipv4, sizeof ipv4 / sizeof *ipv4, &plain);
    if (plain.family != 6)
        return NAME("no address");
    const char *what = look_up(ipv6, sizeof ipv6 / sizeof *ipv6, &plain);
    /* RFC 4291 section 2.4: IANA has given out global unicast from 2000::/3 alone. */
    return what != NULL || fb_addr_in_prefix(&plain, &global, 3) ? what
                                                                 : NAME("not global unicast");
}
