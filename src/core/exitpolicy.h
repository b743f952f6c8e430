/*
 * What an egress may connect to. Sans-IO. Asked with the resolved address just before each connect,
 * and the connect goes to the very address that was asked about: an answer of DNS that changes
 * between two look-ups changes nothing.
 *
 * In this order, the first that fits decides:
 *   1. exceptions: one address and port each, allowed (the demo's origin on loopback);
 *   2. the egress's own addresses: rejected on every port;
 *   3. special-purpose addresses (core/addrclass.h: IANA's registries, cloud metadata): rejected;
 *   4. the operator's rules, in the order given;
 *   5. the ports that Tor's default exit policy rejects: rejected;
 *   6. allowed.
 * So an operator's rule can open port 25, but no rule opens 10.0.0.0/8. IPv4-mapped IPv6 addresses
 * are treated as the IPv4 address they hold, those of NAT64 (64:ff9b::/96) must pass as both, and
 * port 0 is always rejected.
 */
#ifndef FB_CORE_EXITPOLICY_H
#define FB_CORE_EXITPOLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/env.h"

#define FB_EXIT_RULES_MAX 1024 /* rules, own addresses and exceptions together */

struct fb_exit_policy;

/* Without rules: 3, 5 and 6 alone. NULL when out of memory. */
struct fb_exit_policy *fb_exit_policy_new(const struct fb_mem *mem);
void fb_exit_policy_free(struct fb_exit_policy *policy);

/*
 * One operator's rule: "allow|reject ADDR[/LEN][:PORT[-PORT]]". ADDR: IPv4, IPv6 in brackets
 * ("[2001:db8::]/32:80"), or "*" for every address. 0, FB_ERR_MALFORMED, FB_ERR_LIMIT,
 * FB_ERR_NOMEM.
 */
int fb_exit_policy_rule(struct fb_exit_policy *policy, const char *text, size_t len);
/* An address of the egress itself; the port does not matter. 0, FB_ERR_LIMIT, FB_ERR_NOMEM. */
int fb_exit_policy_own(struct fb_exit_policy *policy, const struct fb_addr *addr);
/* The addresses that the egress's interfaces have now, in place of those of an earlier call; those
 * of fb_exit_policy_own stay. Errors as above, and then nothing has changed. */
int fb_exit_policy_interfaces(struct fb_exit_policy *policy, const struct fb_addr *addrs,
                              size_t count);
/* An exception: exactly this address and port. 0, FB_ERR_LIMIT, FB_ERR_NOMEM. */
int fb_exit_policy_except(struct fb_exit_policy *policy, const struct fb_addr *addr);

bool fb_exit_policy_allows(const struct fb_exit_policy *policy, const struct fb_addr *addr);

#endif
