/*
 * Names to addresses, by c-ares on the loop: nothing blocks. Only ares_getaddrinfo,
 * ares_process_fd and the socket-state callback are used; the rest is deprecated in c-ares 1.34.
 * Address literals are not names: give them to fb_addr_parse first (a literal given here is
 * answered as itself when fb_addr_parse takes it, refused otherwise, so that "0177.1" never
 * reaches the C library's generous parser).
 */
#ifndef FB_NET_RESOLVER_H
#define FB_NET_RESOLVER_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/addr.h"

#define FB_RESOLVE_MAX 16 /* addresses given at most */

struct fb_resolver;
struct fb_lookup;

/* servers: "IP:PORT,IP:PORT" or NULL for the machine's own. NULL when c-ares cannot start. */
struct fb_resolver *fb_resolver_new(uv_loop_t *loop, const char *servers);
/* Running lookups end without their callback. Accepts NULL. */
void fb_resolver_free(struct fb_resolver *resolver);

/*
 * err 0: addrs[0..count) with the port asked for, in the order of RFC 6724, count > 0; valid during
 * the call. Otherwise FB_ERR_NOT_FOUND (no such name, or no address), FB_ERR_TIMEOUT,
 * FB_ERR_MALFORMED (not a host name), FB_ERR_NOMEM, FB_ERR_IO. Called once, never from inside
 * fb_resolve.
 */
typedef void fb_resolved(void *user, int err, const struct fb_addr *addrs, size_t count);

/*
 * family: 4, 6, or 0 for both. Returns NULL when out of memory (done is not called). The lookup is
 * gone when done is called or after fb_resolve_cancel.
 */
struct fb_lookup *fb_resolve(struct fb_resolver *resolver, const char *name, uint16_t port,
                             int family, uint64_t timeout_us, fb_resolved *done, void *user);
void fb_resolve_cancel(struct fb_lookup *lookup);

#endif
