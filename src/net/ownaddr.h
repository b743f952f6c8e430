/*
 * This machine's own addresses, as its interfaces have them now, and an exit policy that follows
 * them: an address that comes while the egress runs (DHCP, a failover, a container's bridge) is
 * its own from then on.
 */
#ifndef FB_NET_OWNADDR_H
#define FB_NET_OWNADDR_H

#include <stdbool.h>
#include <uv.h>

#include "base/addr.h"
#include "core/exitpolicy.h"
#include "net/log.h"

/* How often they are read anew: one question to the kernel, which nothing waits for. */
#define FB_OWN_PERIOD_US UINT64_C(5000000)

/* Makes the addresses of all interfaces that are up those that a policy treats as the egress's own,
 * in place of what an earlier call gave it. 0, FB_ERR_IO, FB_ERR_LIMIT, FB_ERR_NOMEM: then the
 * policy is unchanged. */
int fb_own_addresses(struct fb_exit_policy *policy);

/* Does it again every period_us, from the loop; log (NULL: none) hears of the first failure in a
 * row. The policy outlives it. NULL when out of memory. */
struct fb_own_watch;
struct fb_own_watch *fb_own_watch_new(uv_loop_t *loop, struct fb_exit_policy *policy,
                                      uint64_t period_us, const struct fb_log *log);
/* Accepts NULL. */
void fb_own_watch_free(struct fb_own_watch *watch);

/* Whether an interface that is up has this address; ports do not matter. */
bool fb_own_has(const struct fb_addr *addr);

/* One IPv4 address by which programs on this machine reach each other: the first of an interface
 * that is up and not loopback, else 127.0.0.1 (then *loopback is true). */
struct fb_addr fb_own_address(bool *loopback);

#endif
