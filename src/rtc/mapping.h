/*
 * How STUN servers see UDP sockets: Binding requests (RFC 8489) from each IPv4 socket to two
 * servers at once, with retransmission. Two, because one alone cannot tell whether a NAT gives each
 * destination a mapping of its own (RFC 5780 section 4.3), and because one may be blocked. Belongs
 * to the thread of rtc.h.
 *
 * What arrives on the sockets meanwhile is read here and, if it is no answer, dropped: nobody else
 * reads them, and nobody has been told of them.
 */
#ifndef FB_RTC_MAPPING_H
#define FB_RTC_MAPPING_H

#include <gio/gio.h>
#include <stddef.h>
#include <stdint.h>

#include "core/signal.h"

#define FB_MAPPING_SOCKETS_MAX 8
#define FB_MAPPING_SERVERS 2 /* asked by each socket */

struct fb_mapping;

struct fb_mapped {
    struct fb_addr local, mapped;
};

struct fb_mapping_config {
    GMainContext *context;
    GPtrArray *sockets; /* GSocket; referenced while needed; beyond the maximum: not asked for */
    const struct fb_addr *servers; /* IPv4; the first FB_MAPPING_SERVERS are asked */
    size_t server_count;
    uint32_t timeout_ms;
    /* Every server has answered every socket, or time is up: at most timeout_ms, and 300 ms after
     * the first answer. Not called from inside fb_mapping_new. */
    void (*done)(void *user);
    void *user;
};

/* NULL when there is nothing to ask: no server, no IPv4 socket. */
struct fb_mapping *fb_mapping_new(const struct fb_mapping_config *config);
/* What is known, one for each socket that was answered; count at most FB_MAPPING_SOCKETS_MAX. */
const struct fb_mapped *fb_mapping_known(const struct fb_mapping *mapping, size_t *count);
/* Two servers agree, or do not, on any socket; otherwise FB_NAT_UNKNOWN. */
enum fb_nat fb_mapping_nat(const struct fb_mapping *mapping);
/* Stops reading. Accepts NULL. */
void fb_mapping_free(struct fb_mapping *mapping);

#endif
