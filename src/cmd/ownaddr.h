/* This machine's own addresses. */
#ifndef FB_CMD_OWNADDR_H
#define FB_CMD_OWNADDR_H

#include "base/addr.h"
#include "core/exitpolicy.h"

/* Adds the addresses of all interfaces to what a policy treats as the egress's own. 0, FB_ERR_IO,
 * FB_ERR_LIMIT, FB_ERR_NOMEM. */
int fb_own_addresses(struct fb_exit_policy *policy);

/* One IPv4 address by which programs on this machine reach each other: the first of an interface
 * that is up and not loopback, else 127.0.0.1 (then *loopback is true). */
struct fb_addr fb_own_address(bool *loopback);

#endif
