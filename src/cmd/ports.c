#include "cmd/ports.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "net/sockaddr.h"

/* Binds as the server will; port 0 takes a free one. 0 or errno. */
static int try_port(struct fb_addr *addr, bool udp) {
    struct sockaddr_storage at;
    socklen_t len = fb_addr_to_sockaddr(addr, &at);
    int family = addr->family == 4 ? AF_INET : AF_INET6, on = 1, err = 0;
    int fd = socket(family, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (!udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || (!udp && listen(fd, 1) != 0) ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        err = errno;
    else
        *addr = fb_addr_of_sockaddr(&at);
    close(fd);
    return err;
}

int fb_port_choose(const struct fb_port *port, struct fb_addr *addr,
                   char err[static FB_PORTS_ERR_MAX]) {
    addr->port = port->asked != 0 ? (uint16_t)port->asked : port->usual;
    int bad = try_port(addr, port->udp);
    if (bad == 0)
        return 0;
    if (port->asked == 0) {
        addr->port = 0;
        bad = try_port(addr, port->udp);
        if (bad == 0)
            return 0;
    }
    snprintf(err, FB_PORTS_ERR_MAX, "--%s-port %u: %s", port->name, addr->port,
             bad == EADDRINUSE ? "this port is in use" : strerror(bad));
    return bad == EADDRINUSE ? FB_ERR_USED : bad == EACCES ? FB_ERR_DENIED : FB_ERR_IO;
}
