#include "net/stun.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bucket.h"
#include "core/stun.h"
#include "net/loop.h"
#include "net/sockaddr.h"

#define EACH_BURST 20
#define EACH_INTERVAL_US 50000
#define ALL_BURST 5000
#define ALL_INTERVAL_US 200
#define SOURCES_MAX 20000
#define DATAGRAM_MAX 600

struct fb_stun {
    uv_udp_t udp;
    struct fb_buckets *each, *all;
    uint8_t in[DATAGRAM_MAX];
};

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct fb_stun *stun = handle->data;
    *buf = uv_buf_init((char *)stun->in, sizeof stun->in);
}

static void received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf, const struct sockaddr *peer,
                     unsigned flags) {
    static const struct fb_addr everyone = {.family = 4};
    struct fb_stun *stun = udp->data;
    if (len <= 0 || peer == NULL || flags & UV_UDP_PARTIAL)
        return;
    struct sockaddr_storage copy = {0};
    memcpy(&copy, peer,
           peer->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
    struct fb_addr from = fb_addr_of_sockaddr(&copy);
    uint64_t now = fb_now_us();
    uint8_t out[FB_STUN_REPLY_MAX];
    size_t out_len = fb_stun_respond(stun->in, (size_t)len, &from, out, sizeof out);
    if (out_len == 0 || !fb_buckets_take(stun->all, &everyone, now) ||
        !fb_buckets_take(stun->each, &from, now))
        return;
    /* What the kernel does not take now is lost, as datagrams are. */
    uv_buf_t reply = uv_buf_init((char *)out, (unsigned)out_len);
    (void)uv_udp_try_send(udp, &reply, 1, peer);
}

static void closed(uv_handle_t *handle) {
    struct fb_stun *stun = handle->data;
    fb_buckets_free(stun->each);
    fb_buckets_free(stun->all);
    free(stun);
}

static int start(struct fb_stun *stun, struct fb_addr *addr) {
    struct sockaddr_storage at;
    fb_addr_to_sockaddr(addr, &at);
    int status = uv_udp_bind(&stun->udp, (struct sockaddr *)&at,
                             addr->family == 6 ? UV_UDP_IPV6ONLY : 0);
    int len = sizeof at;
    if (status == 0)
        status = uv_udp_getsockname(&stun->udp, (struct sockaddr *)&at, &len);
    if (status == 0)
        status = uv_udp_recv_start(&stun->udp, give_buffer, received);
    if (status == 0)
        addr->port = fb_addr_of_sockaddr(&at).port;
    return status;
}

struct fb_stun *fb_stun_new(uv_loop_t *loop, struct fb_addr *addr,
                            char err[static FB_NET_ERR_MAX]) {
    struct fb_stun *stun = calloc(1, sizeof *stun);
    if (stun == NULL || uv_udp_init(loop, &stun->udp) != 0) {
        snprintf(err, FB_NET_ERR_MAX, "out of memory");
        free(stun);
        return NULL;
    }
    stun->udp.data = stun;
    const struct fb_mem *mem = fb_mem_default();
    const struct fb_rng *rng = fb_rng_default();
    stun->each = fb_buckets_new(mem, rng, EACH_BURST, EACH_INTERVAL_US, SOURCES_MAX);
    stun->all = fb_buckets_new(mem, rng, ALL_BURST, ALL_INTERVAL_US, 1);
    int status = stun->each == NULL || stun->all == NULL ? UV_ENOMEM : start(stun, addr);
    if (status != 0) {
        char text[FB_ADDR_STR_MAX];
        snprintf(err, FB_NET_ERR_MAX, "cannot listen on UDP port %u of %s: %s",
                 (unsigned)addr->port, fb_addr_format(addr, text),
                 status == UV_EADDRINUSE ? "it is in use" : uv_strerror(status));
        uv_close((uv_handle_t *)&stun->udp, closed);
        return NULL;
    }
    err[0] = '\0';
    return stun;
}

void fb_stun_free(struct fb_stun *stun) {
    if (stun != NULL)
        uv_close((uv_handle_t *)&stun->udp, closed);
}
