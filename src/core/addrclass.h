/*
 * Addresses that must not be reached for somebody else: everything in the IANA IPv4 and IPv6
 * Special-Purpose Address Registries (RFC 6890 and its successors), multicast, what is not
 * allocated as global unicast, and the addresses where clouds keep metadata. The egress asks before
 * it connects; broker and peers ask before they take a candidate.
 */
#ifndef FB_CORE_ADDRCLASS_H
#define FB_CORE_ADDRCLASS_H

#include <stdbool.h>

#include "base/addr.h"

/*
 * NULL for a global unicast address; otherwise what it is ("private use (RFC 1918)"), a constant
 * string. IPv4 inside IPv6 is judged by the IPv4 address: ::ffff:0:0/96 (mapped) and 64:ff9b::/96
 * (NAT64). 6to4, Teredo, IPv4-compatible and local-use NAT64 addresses are special whatever they
 * hold. No address (family 0) is special.
 */
const char *fb_addr_special(const struct fb_addr *addr);

static inline bool fb_addr_is_special(const struct fb_addr *addr) {
    return fb_addr_special(addr) != NULL;
}

#endif
