/*
 * Countries of addresses, from the tables of Debian's tor-geoipdb: read once from files on this
 * machine, never a web service. `geoip` has lines "LOW,HIGH,CC" with IPv4 addresses as decimal
 * numbers, `geoip6` the same with IPv6 literals; '#' begins a comment, "??" is no country.
 */
#ifndef FB_NET_GEOIP_H
#define FB_NET_GEOIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define FB_GEOIP_DIR "/usr/share/tor" /* where Debian puts geoip and geoip6 */

struct fb_geoip;

/* Without a table every address is of no country. NULL when out of memory. */
struct fb_geoip *fb_geoip_new(void);
void fb_geoip_free(struct fb_geoip *geoip);

/*
 * Adds a table; family 4 or 6. Lines that do not parse are skipped. Returns how many ranges it
 * took, or FB_ERR_MALFORMED (not one, or ranges that overlap: nothing is added), FB_ERR_NOMEM.
 */
int fb_geoip_add(struct fb_geoip *geoip, int family, const char *text, size_t len);
/* Reads dir/geoip and dir/geoip6. 0; FB_ERR_NOT_FOUND (one of them is missing: the other counts),
 * FB_ERR_MALFORMED, FB_ERR_IO, FB_ERR_NOMEM. */
int fb_geoip_load(struct fb_geoip *geoip, const char *dir);

/* Two upper-case letters, or two zero bytes. geoip may be NULL: unknown. */
void fb_geoip_country(const struct fb_geoip *geoip, const struct fb_addr *addr, uint8_t out[2]);

#endif
