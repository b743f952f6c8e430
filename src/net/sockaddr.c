#include "net/sockaddr.h"

#include <netinet/in.h>
#include <string.h>

struct fb_addr fb_addr_of_sockaddr(const struct sockaddr_storage *from) {
    struct fb_addr addr = {0};
    if (from->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)from;
        addr.family = 4;
        memcpy(addr.ip, &in->sin_addr, 4);
        addr.port = ntohs(in->sin_port);
    } else if (from->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const void *)from;
        addr.family = 6;
        memcpy(addr.ip, &in6->sin6_addr, 16);
        addr.port = ntohs(in6->sin6_port);
        addr = fb_addr_unmap(&addr);
    }
    return addr;
}

socklen_t fb_addr_to_sockaddr(const struct fb_addr *addr, struct sockaddr_storage *out) {
    memset(out, 0, sizeof *out);
    if (addr->family == 4) {
        struct sockaddr_in *in = (void *)out;
        in->sin_family = AF_INET;
        memcpy(&in->sin_addr, addr->ip, 4);
        in->sin_port = htons(addr->port);
        return sizeof *in;
    }
    struct sockaddr_in6 *in6 = (void *)out;
    in6->sin6_family = AF_INET6;
    memcpy(&in6->sin6_addr, addr->ip, 16);
    in6->sin6_port = htons(addr->port);
    return sizeof *in6;
}
