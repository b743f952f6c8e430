/*
 * What a headless volunteer tells Prometheus (text format 0.0.4), at GET /metrics of an HTTP server
 * of its own. Numbers of this machine alone: no address, no country, nothing about a reader.
 * footbridge-volunteer(1) lists the names.
 */
#ifndef FB_CMD_VOLUNTEER_METRICS_H
#define FB_CMD_VOLUNTEER_METRICS_H

#include "base/addr.h"
#include "net/net.h"
#include "role/volunteer.h"

struct fb_volunteer_metrics;

/* NULL with one line in err. Before fb_net_free(): fb_volunteer_metrics_free(), which accepts
 * NULL. */
struct fb_volunteer_metrics *fb_volunteer_metrics_new(struct fb_net *net, struct fb_addr *addr,
                                                      const struct fb_slot_limits *limits,
                                                      char err[static FB_NET_ERR_MAX]);
void fb_volunteer_metrics_free(struct fb_volunteer_metrics *metrics);
/* Whose numbers are told; NULL: none yet. */
void fb_volunteer_metrics_of(struct fb_volunteer_metrics *metrics,
                             const struct fb_volunteer *volunteer);

#endif
