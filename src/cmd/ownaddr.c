#include "cmd/ownaddr.h"

#include <string.h>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/err.h"
#include "net/sockaddr.h"

static bool addr_of(const struct ifaddrs *at, struct fb_addr *out) {
    struct sockaddr_storage storage = {0};
    if (at->ifa_addr == NULL || (at->ifa_flags & IFF_UP) == 0)
        return false;
    if (at->ifa_addr->sa_family == AF_INET)
        memcpy(&storage, at->ifa_addr, sizeof(struct sockaddr_in));
    else if (at->ifa_addr->sa_family == AF_INET6)
        memcpy(&storage, at->ifa_addr, sizeof(struct sockaddr_in6));
    else
        return false;
    *out = fb_addr_of_sockaddr(&storage);
    return true;
}

int fb_own_addresses(struct fb_exit_policy *policy) {
    struct ifaddrs *all;
    struct fb_addr addr;
    int err = 0;
    if (getifaddrs(&all) != 0)
        return FB_ERR_IO;
    for (const struct ifaddrs *at = all; at != NULL && err == 0; at = at->ifa_next)
        if (addr_of(at, &addr))
            err = fb_exit_policy_own(policy, &addr);
    freeifaddrs(all);
    return err;
}

struct fb_addr fb_own_address(bool *loopback) {
    struct fb_addr found = {.family = 4, .ip = {127, 0, 0, 1}}, addr;
    struct ifaddrs *all = NULL;
    *loopback = true;
    if (getifaddrs(&all) != 0)
        return found;
    for (const struct ifaddrs *at = all; at != NULL && *loopback; at = at->ifa_next) {
        if ((at->ifa_flags & IFF_LOOPBACK) == 0 && addr_of(at, &addr) && addr.family == 4) {
            found = addr;
            *loopback = false;
        }
    }
    freeifaddrs(all);
    found.port = 0;
    return found;
}
