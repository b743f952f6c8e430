/*
 * STUN responder on UDP: core/stun.h behind one socket. Each source address (IPv6: /64) gets 20
 * answers a second, everyone together 5,000, because UDP sources can be forged: what it can be made
 * to send anybody stays small.
 */
#ifndef FB_NET_STUN_H
#define FB_NET_STUN_H

#include <uv.h>

#include "base/addr.h"
#include "net/net.h"

struct fb_stun;

/* Port 0 takes a free one and writes it to addr. NULL with a message that names the port. */
struct fb_stun *fb_stun_new(uv_loop_t *loop, struct fb_addr *addr, char err[static FB_NET_ERR_MAX]);
void fb_stun_free(struct fb_stun *stun);

#endif
