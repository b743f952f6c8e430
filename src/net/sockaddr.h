/* Between struct fb_addr and the operating system's socket addresses. */
#ifndef FB_NET_SOCKADDR_H
#define FB_NET_SOCKADDR_H

#include <sys/socket.h>

#include "base/addr.h"

/* Of AF_INET and AF_INET6; others give family 0. IPv4-mapped addresses come out as IPv4. */
struct fb_addr fb_addr_of_sockaddr(const struct sockaddr_storage *from);
/* addr has family 4 or 6. Returns the length to pass to the kernel. */
socklen_t fb_addr_to_sockaddr(const struct fb_addr *addr, struct sockaddr_storage *out);

#endif
