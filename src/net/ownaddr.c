#include "net/ownaddr.h"

#include <stdlib.h>
#include <string.h>

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>

#include "base/err.h"
#include "net/loop.h"
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
    struct fb_addr found[FB_EXIT_RULES_MAX], addr;
    struct ifaddrs *all;
    size_t count = 0;
    if (getifaddrs(&all) != 0)
        return FB_ERR_IO;
    for (const struct ifaddrs *at = all; at != NULL && count <= FB_EXIT_RULES_MAX;
         at = at->ifa_next)
        if (addr_of(at, &addr) && count++ < FB_EXIT_RULES_MAX)
            found[count - 1] = addr;
    freeifaddrs(all);
    return count > FB_EXIT_RULES_MAX ? FB_ERR_LIMIT
                                     : fb_exit_policy_interfaces(policy, found, count);
}

struct fb_own_watch {
    struct fb_timer *timer;
    struct fb_exit_policy *policy;
    uint64_t period_us;
    const struct fb_log *log;
    bool failing;
};

static void look_again(void *user) {
    struct fb_own_watch *watch = user;
    int err = fb_own_addresses(watch->policy);
    if (err != 0 && !watch->failing)
        fb_log(watch->log, FB_LOG_WARN,
               "this machine's addresses cannot be read (%s); those of before count",
               fb_strerror(err));
    watch->failing = err != 0;
    fb_timer_set(watch->timer, fb_now_us() + watch->period_us);
}

struct fb_own_watch *fb_own_watch_new(uv_loop_t *loop, struct fb_exit_policy *policy,
                                      uint64_t period_us, const struct fb_log *log) {
    struct fb_own_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return NULL;
    *watch = (struct fb_own_watch){.policy = policy, .period_us = period_us, .log = log};
    watch->timer = fb_timer_new(loop, look_again, watch);
    if (watch->timer == NULL) {
        free(watch);
        return NULL;
    }
    fb_timer_set(watch->timer, fb_now_us() + period_us);
    return watch;
}

void fb_own_watch_free(struct fb_own_watch *watch) {
    if (watch == NULL)
        return;
    fb_timer_free(watch->timer);
    free(watch);
}

bool fb_own_has(const struct fb_addr *addr) {
    struct fb_addr plain = fb_addr_unmap(addr), own;
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) != 0)
        return false;
    for (const struct ifaddrs *at = all; at != NULL && !found; at = at->ifa_next)
        found = addr_of(at, &own) && own.family == plain.family &&
                memcmp(own.ip, plain.ip, own.family == 4 ? 4 : 16) == 0;
    freeifaddrs(all);
    return found;
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
