/* Ports for the demo: the one asked for or none, the usual one or a free one. */
#ifndef FB_CMD_PORTS_H
#define FB_CMD_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

#define FB_PORTS_ERR_MAX 128

struct fb_port {
    const char *name; /* "proxy": as in --proxy-port */
    uint64_t asked;   /* 0: not asked for */
    uint16_t usual;
    bool udp;
};

/* Sets addr->port to a port that can be listened on at addr now. FB_ERR_USED, FB_ERR_DENIED or
 * FB_ERR_IO with a line that names the option and the number. */
int fb_port_choose(const struct fb_port *port, struct fb_addr *addr,
                   char err[static FB_PORTS_ERR_MAX]);

#endif
