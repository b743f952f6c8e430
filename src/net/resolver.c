#include "net/resolver.h"

#include <ares.h>
#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "net/loop.h"

/* c-ares gives up by itself after tries x growing timeout; this is how often it looks. */
#define TICK_MS 100
#define QUERY_TIMEOUT_MS 1500
#define QUERY_TRIES 3

struct fb_resolver {
    uv_loop_t *loop;
    ares_channel channel;
    uv_timer_t *tick;
    struct fb_list lookups; /* what callers still hold */
    struct fb_list polls;
    size_t asking; /* queries inside c-ares, given up ones included */
    bool closing;
};

struct poll {
    struct fb_list link;
    uv_poll_t handle;
    struct fb_resolver *resolver;
    ares_socket_t fd;
};

struct fb_lookup {
    struct fb_list link;
    struct fb_resolver *resolver;
    struct fb_timer *timer; /* the deadline; or, once `ready`, the turn of the loop to tell in */
    fb_resolved *done;
    void *user;
    uint16_t port;
    bool given_up; /* the caller is gone, c-ares still holds it */
    bool asking;   /* inside c-ares */
    bool ready;
    int err;
    struct fb_addr addrs[FB_RESOLVE_MAX];
    size_t count;
};

static void free_handle(uv_handle_t *handle) {
    free(handle->data);
}

static void socket_ready(uv_poll_t *handle, int status, int events) {
    struct poll *poll = handle->data;
    ares_socket_t read = status < 0 || events & UV_READABLE ? poll->fd : ARES_SOCKET_BAD;
    ares_socket_t write = status < 0 || events & UV_WRITABLE ? poll->fd : ARES_SOCKET_BAD;
    ares_process_fd(poll->resolver->channel, read, write);
}

/* c-ares opens, watches and closes its own sockets and tells here what it waits for. */
static void socket_state(void *ctx, ares_socket_t fd, int readable, int writable) {
    struct fb_resolver *resolver = ctx;
    struct poll *poll = NULL;
    FB_LIST_EACH (link, &resolver->polls) {
        struct poll *each = FB_CONTAINER(link, struct poll, link);
        poll = each->fd == fd ? each : poll;
    }
    if (!readable && !writable) {
        if (poll != NULL) {
            fb_list_remove(&poll->link);
            uv_close((uv_handle_t *)&poll->handle, free_handle);
        }
        return;
    }
    if (poll == NULL) {
        poll = calloc(1, sizeof *poll);
        if (poll == NULL)
            return; /* the query runs into its timeout */
        if (uv_poll_init(resolver->loop, &poll->handle, (int)fd) != 0) {
            free(poll);
            return;
        }
        poll->handle.data = poll;
        poll->resolver = resolver;
        poll->fd = fd;
        fb_list_push(&resolver->polls, &poll->link);
    }
    uv_poll_start(&poll->handle, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                  socket_ready);
}

static void tick(uv_timer_t *handle) {
    struct fb_resolver *resolver = handle->data;
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

struct fb_resolver *fb_resolver_new(uv_loop_t *loop, const char *servers) {
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return NULL;
    struct fb_resolver *resolver = calloc(1, sizeof *resolver);
    uv_timer_t *timer = calloc(1, sizeof *timer);
    struct ares_options options = {
        .timeout = QUERY_TIMEOUT_MS,
        .tries = QUERY_TRIES,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = resolver,
        .ndomains = 0, /* a reader's name is whole: nothing is appended to it */
    };
    if (resolver == NULL || timer == NULL ||
        ares_init_options(&resolver->channel, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
                              ARES_OPT_DOMAINS) != ARES_SUCCESS) {
        free(timer);
        free(resolver);
        ares_library_cleanup();
        return NULL;
    }
    fb_list_init(&resolver->lookups);
    fb_list_init(&resolver->polls);
    resolver->loop = loop;
    uv_timer_init(loop, timer);
    timer->data = resolver;
    resolver->tick = timer;
    if (servers != NULL && ares_set_servers_ports_csv(resolver->channel, servers) != ARES_SUCCESS) {
        fb_resolver_free(resolver);
        return NULL;
    }
    return resolver;
}

void fb_resolver_free(struct fb_resolver *resolver) {
    if (resolver == NULL)
        return;
    resolver->closing = true;
    FB_LIST_EACH (link, &resolver->lookups)
        fb_resolve_cancel(FB_CONTAINER(link, struct fb_lookup, link));
    ares_destroy(resolver->channel); /* ends what is asked, closes its sockets */
    uv_timer_stop(resolver->tick);
    resolver->tick->data = resolver->tick;
    uv_close((uv_handle_t *)resolver->tick, free_handle);
    free(resolver);
    ares_library_cleanup();
}

static void lookup_free(struct fb_lookup *lookup) {
    fb_list_remove(&lookup->link);
    fb_timer_free(lookup->timer);
    free(lookup);
}

/* The answer is told from the loop's next turn, wherever c-ares found it (the hosts file, a cache,
 * inside ares_getaddrinfo). */
static void finish(struct fb_lookup *lookup, int err) {
    lookup->ready = true;
    lookup->err = err;
    fb_timer_set(lookup->timer, fb_now_us());
}

static void timer_fired(void *user) {
    struct fb_lookup *lookup = user;
    struct fb_lookup told = *lookup;
    int err = told.ready ? told.err : FB_ERR_TIMEOUT;
    fb_resolve_cancel(lookup);
    told.done(told.user, err, told.addrs, err == 0 ? told.count : 0);
}

static bool addr_of(const struct sockaddr *from, struct fb_addr *out) {
    if (from->sa_family == AF_INET) {
        out->family = 4;
        memcpy(out->ip, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
        return true;
    }
    if (from->sa_family == AF_INET6) {
        out->family = 6;
        memcpy(out->ip, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
        return true;
    }
    return false;
}

static int err_of(int status) {
    switch (status) {
    case ARES_SUCCESS:
    case ARES_ENODATA:
    case ARES_ENOTFOUND: return FB_ERR_NOT_FOUND;
    case ARES_EBADNAME: return FB_ERR_MALFORMED;
    case ARES_ENOMEM: return FB_ERR_NOMEM;
    case ARES_ETIMEOUT: return FB_ERR_TIMEOUT;
    default: return FB_ERR_IO;
    }
}

static void answered(void *ctx, int status, int timeouts, struct ares_addrinfo *info) {
    struct fb_lookup *lookup = ctx;
    struct fb_resolver *resolver = lookup->resolver;
    lookup->asking = false;
    if (--resolver->asking == 0 && !resolver->closing)
        uv_timer_stop(resolver->tick);
    for (struct ares_addrinfo_node *node = info == NULL ? NULL : info->nodes;
         node != NULL && lookup->count < FB_RESOLVE_MAX; node = node->ai_next) {
        struct fb_addr addr = {.port = lookup->port};
        if (addr_of(node->ai_addr, &addr))
            lookup->addrs[lookup->count++] = addr;
    }
    if (info != NULL)
        ares_freeaddrinfo(info);
    if (lookup->given_up)
        lookup_free(lookup);
    else
        finish(lookup, lookup->count > 0 ? 0 : err_of(status));
}

/* What an address parser of another program could take for a number: "10", "0x7f". */
static bool is_number(const char *label, size_t len) {
    bool hex = len >= 2 && label[0] == '0' && (label[1] | 32) == 'x';
    for (size_t i = hex ? 2 : 0; i < len; i++)
        if (hex ? !isxdigit((unsigned char)label[i]) : !isdigit((unsigned char)label[i]))
            return false;
    return true;
}

/* RFC 1123 section 2.1 plus '_', which names in the wild have: labels of 1 to 63, 253 in all; and
 * a last label that is no number, or the whole could be a strange form of an address. */
static bool is_host_name(const char *name) {
    size_t len = strlen(name), start = 0;
    if (len > 0 && name[len - 1] == '.')
        len--;
    if (len == 0 || len > 253)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (name[i] == '.' ? i == start
                           : !isalnum((unsigned char)name[i]) && name[i] != '-' && name[i] != '_')
            return false;
        if (i - start >= 63 && name[i] != '.')
            return false;
        if (name[i] == '.')
            start = i + 1;
    }
    return start < len && !is_number(name + start, len - start);
}

static void ask(struct fb_lookup *lookup, const char *name, int family) {
    struct fb_resolver *resolver = lookup->resolver;
    struct ares_addrinfo_hints hints = {
        .ai_family = family == 4   ? AF_INET
                     : family == 6 ? AF_INET6
                                   : AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };
    lookup->asking = true;
    if (resolver->asking++ == 0)
        uv_timer_start(resolver->tick, tick, TICK_MS, TICK_MS);
    ares_getaddrinfo(resolver->channel, name, NULL, &hints, answered, lookup);
}

struct fb_lookup *fb_resolve(struct fb_resolver *resolver, const char *name, uint16_t port,
                             int family, uint64_t timeout_us, fb_resolved *done, void *user) {
    struct fb_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    lookup->timer = fb_timer_new(resolver->loop, timer_fired, lookup);
    if (lookup->timer == NULL) {
        free(lookup);
        return NULL;
    }
    lookup->resolver = resolver;
    lookup->port = port;
    lookup->done = done;
    lookup->user = user;
    fb_list_push(&resolver->lookups, &lookup->link);
    struct fb_addr *literal = &lookup->addrs[0];
    if (fb_addr_parse(name, strlen(name), literal) == 0) {
        literal->port = port;
        lookup->count = 1;
        finish(lookup, family == 0 || family == literal->family ? 0 : FB_ERR_NOT_FOUND);
    } else if (!is_host_name(name)) {
        finish(lookup, FB_ERR_MALFORMED);
    } else {
        fb_timer_set(lookup->timer, fb_now_us() + timeout_us);
        ask(lookup, name, family);
    }
    return lookup;
}

void fb_resolve_cancel(struct fb_lookup *lookup) {
    if (lookup == NULL)
        return;
    if (!lookup->asking) {
        lookup_free(lookup);
        return;
    }
    /* c-ares cannot end one query of many; its answer will find nobody. */
    lookup->given_up = true;
    fb_timer_set(lookup->timer, FB_NEVER);
    fb_list_remove(&lookup->link);
}
