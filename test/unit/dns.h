/* A DNS server on loopback for tests: answers from a table, counts what it was asked, and can
 * answer otherwise the second time. Runs on the test's own loop. */
#ifndef FB_TEST_DNS_H
#define FB_TEST_DNS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/addr.h"

#define DNS_ANSWERS 4

/* Addresses as text, NULL ends; `then` (if its first is set) replaces `first` from the second query
 * of a type on. A name without addresses of a type gets an empty answer. */
struct dns_record {
    const char *name; /* NULL ends the table; names that are not in it do not exist */
    const char *first[DNS_ANSWERS], *then[DNS_ANSWERS];
    unsigned queries[2]; /* A, AAAA */
};

struct dns {
    uv_udp_t udp;
    struct dns_record *table;
    char server[32]; /* "127.0.0.1:PORT" */
    uint8_t in[512], out[512];
};

static inline void dns_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    struct dns *dns = handle->data;
    *buf = uv_buf_init((char *)dns->in, sizeof dns->in);
}

/* Appends the answers of one family; how many. */
static inline unsigned dns_answers(struct dns *dns, size_t *at, struct dns_record *record,
                                   unsigned family) {
    unsigned which = family == 6, count = 0;
    const char **list = record->queries[which]++ > 0 && record->then[0] != NULL ? record->then
                                                                                : record->first;
    for (int i = 0; i < DNS_ANSWERS && list[i] != NULL; i++) {
        struct fb_addr addr;
        if (fb_addr_parse(list[i], strlen(list[i]), &addr) != 0 || addr.family != family)
            continue;
        uint8_t size = family == 4 ? 4 : 16;
        const uint8_t head[] = {0xc0, 12, 0, family == 4 ? 1 : 28, 0, 1, 0, 0, 0, 0, 0, size};
        memcpy(dns->out + *at, head, sizeof head);
        memcpy(dns->out + *at + sizeof head, addr.ip, size);
        *at += sizeof head + size;
        count++;
    }
    return count;
}

static inline void dns_received(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf,
                                const struct sockaddr *from, unsigned flags) {
    struct dns *dns = udp->data;
    if (len < 17 || from == NULL)
        return;
    char name[256];
    size_t at = 12, used = 0;
    while (at < (size_t)len && dns->in[at] != 0 && at + dns->in[at] < (size_t)len) {
        if (used > 0)
            name[used++] = '.';
        memcpy(name + used, dns->in + at + 1, dns->in[at]);
        used += dns->in[at];
        at += 1u + dns->in[at];
    }
    name[used] = 0;
    at += 1 + 4;
    if (at > (size_t)len)
        return;
    unsigned type = dns->in[at - 3], count = 0;
    struct dns_record *record = dns->table;
    while (record->name != NULL && strcmp(record->name, name) != 0)
        record++;
    memcpy(dns->out, dns->in, at);
    if (record->name != NULL && (type == 1 || type == 28))
        count = dns_answers(dns, &at, record, type == 1 ? 4 : 6);
    dns->out[2] = 0x81;                               /* a response, recursion desired ... */
    dns->out[3] = record->name == NULL ? 0x83 : 0x80; /* ... and available; NXDOMAIN or fine */
    memcpy(dns->out + 4, (const uint8_t[]){0, 1, 0, (uint8_t)count, 0, 0, 0, 0}, 8);
    uv_buf_t out = uv_buf_init((char *)dns->out, (unsigned)at);
    uv_udp_try_send(udp, &out, 1, from);
}

/* Aborts when loopback has no free port: there is nothing to test then. */
static inline void dns_start(struct dns *dns, uv_loop_t *loop, struct dns_record *table) {
    struct sockaddr_in addr;
    int len = sizeof addr;
    memset(dns, 0, sizeof *dns);
    dns->table = table;
    uv_ip4_addr("127.0.0.1", 0, &addr);
    if (uv_udp_init(loop, &dns->udp) != 0 ||
        uv_udp_bind(&dns->udp, (const struct sockaddr *)&addr, 0) != 0 ||
        uv_udp_getsockname(&dns->udp, (struct sockaddr *)&addr, &len) != 0)
        abort();
    dns->udp.data = dns;
    struct fb_addr text = {.family = 4, .ip = {127, 0, 0, 1}, .port = ntohs(addr.sin_port)};
    char buf[FB_ADDR_STR_MAX];
    memcpy(dns->server, fb_addr_format_port(&text, buf), sizeof dns->server);
    uv_udp_recv_start(&dns->udp, dns_alloc, dns_received);
}

static inline void dns_stop(struct dns *dns) {
    uv_close((uv_handle_t *)&dns->udp, NULL);
}

#endif
