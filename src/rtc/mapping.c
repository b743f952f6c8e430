#include "rtc/mapping.h"

#include <arpa/inet.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/err.h"
#include "core/stunask.h"

/* RFC 8489 section 6.2.1 has 500 ms, doubling; half of that, since the path's round trip is hardly
 * ever longer and a reader waits. */
#define RTO_FIRST_MS 250
#define SECOND_ANSWER_MS 300
#define TICK_MS 20

struct question {
    struct fb_addr server;
    uint8_t id[FB_STUN_ID_LEN];
    bool answered;
    struct fb_addr mapped;
};

struct asker {
    struct fb_mapping *mapping;
    GSocket *socket;
    GSource *source;
    struct fb_addr local;
    struct question questions[FB_MAPPING_SERVERS];
};

struct fb_mapping {
    struct fb_mapping_config config;
    GSource *tick;
    struct asker askers[FB_MAPPING_SOCKETS_MAX];
    size_t asker_count, server_count, left;
    int64_t next_send_us, rto_us, deadline_us;
    struct fb_mapped known[FB_MAPPING_SOCKETS_MAX];
    size_t known_count;
};

static void ask(struct asker *asker, const struct question *question) {
    uint8_t bytes[FB_STUN_ASK_LEN];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(question->server.port)};
    memcpy(&to.sin_addr, question->server.ip, 4);
    fb_stun_ask(question->id, bytes);
    sendto(g_socket_get_fd(asker->socket), bytes, sizeof bytes, MSG_NOSIGNAL,
           (struct sockaddr *)&to, sizeof to); /* lost? the next retransmission */
}

static void ask_all(struct fb_mapping *mapping) {
    for (size_t i = 0; i < mapping->asker_count; i++)
        for (size_t j = 0; j < mapping->server_count; j++)
            if (!mapping->askers[i].questions[j].answered)
                ask(&mapping->askers[i], &mapping->askers[i].questions[j]);
}

static void learn(struct fb_mapping *mapping, struct asker *asker, struct question *question) {
    bool first = true;
    for (size_t i = 0; i < mapping->server_count; i++)
        first = first && !asker->questions[i].answered;
    question->answered = true;
    mapping->left--;
    if (first)
        mapping->known[mapping->known_count++] = (struct fb_mapped){asker->local, question->mapped};
    int64_t soon = g_get_monotonic_time() + SECOND_ANSWER_MS * 1000;
    if (soon < mapping->deadline_us)
        mapping->deadline_us = soon;
    if (mapping->left == 0)
        g_source_set_ready_time(mapping->tick, 0); /* a reader waits */
}

static gboolean on_readable(GSocket *socket, GIOCondition condition, gpointer data) {
    struct asker *asker = data;
    uint8_t buf[1500];
    ssize_t len = recv(g_socket_get_fd(socket), buf, sizeof buf, MSG_DONTWAIT);
    for (size_t i = 0; len > 0 && i < asker->mapping->server_count; i++) {
        struct question *question = &asker->questions[i];
        if (!question->answered &&
            fb_stun_answer(buf, (size_t)len, question->id, &question->mapped) == 0 &&
            question->mapped.family == 4)
            learn(asker->mapping, asker, question);
    }
    return G_SOURCE_CONTINUE;
}

static void drop_source(GSource *source) {
    if (source == NULL)
        return;
    g_source_destroy(source);
    g_source_unref(source);
}

/* From now on the sockets' datagrams are somebody else's. */
static void stop_reading(struct fb_mapping *mapping) {
    for (size_t i = 0; i < mapping->asker_count; i++) {
        drop_source(mapping->askers[i].source);
        mapping->askers[i].source = NULL;
    }
}

static gboolean on_tick(gpointer data) {
    struct fb_mapping *mapping = data;
    int64_t now = g_get_monotonic_time();
    if (mapping->left == 0 || now >= mapping->deadline_us) {
        stop_reading(mapping);
        mapping->config.done(mapping->config.user); /* may free mapping */
        return G_SOURCE_REMOVE;
    }
    if (now >= mapping->next_send_us) {
        mapping->next_send_us = now + mapping->rto_us;
        mapping->rto_us *= 2;
        ask_all(mapping);
    }
    return G_SOURCE_CONTINUE;
}

static bool local_address(GSocket *socket, struct fb_addr *out) {
    struct sockaddr_in addr = {0};
    socklen_t len = sizeof addr;
    memset(out, 0, sizeof *out);
    if (getsockname(g_socket_get_fd(socket), (struct sockaddr *)&addr, &len) != 0 ||
        addr.sin_family != AF_INET)
        return false;
    out->family = 4;
    memcpy(out->ip, &addr.sin_addr, 4);
    out->port = ntohs(addr.sin_port);
    return true;
}

static void add_socket(struct fb_mapping *mapping, GSocket *socket) {
    struct asker *asker = &mapping->askers[mapping->asker_count];
    if (!local_address(socket, &asker->local))
        return;
    mapping->asker_count++;
    asker->mapping = mapping;
    asker->socket = g_object_ref(socket);
    for (size_t i = 0; i < mapping->server_count; i++) {
        asker->questions[i].server = mapping->config.servers[i];
        if (RAND_bytes(asker->questions[i].id, FB_STUN_ID_LEN) != 1)
            abort();
    }
    mapping->left += mapping->server_count;
    asker->source = g_socket_create_source(socket, G_IO_IN, NULL);
    g_source_set_callback(asker->source, G_SOURCE_FUNC(on_readable), asker, NULL);
    g_source_attach(asker->source, mapping->config.context);
}

struct fb_mapping *fb_mapping_new(const struct fb_mapping_config *config) {
    struct fb_mapping *mapping = g_new0(struct fb_mapping, 1);
    mapping->config = *config;
    mapping->server_count = MIN(config->server_count, FB_MAPPING_SERVERS);
    for (guint i = 0; mapping->server_count > 0 && i < config->sockets->len &&
                      mapping->asker_count < FB_MAPPING_SOCKETS_MAX;
         i++)
        add_socket(mapping, config->sockets->pdata[i]);
    mapping->config.servers = NULL; /* the caller's */
    mapping->config.sockets = NULL;
    if (mapping->asker_count == 0) {
        g_free(mapping);
        return NULL;
    }
    mapping->rto_us = RTO_FIRST_MS * 1000;
    mapping->deadline_us = g_get_monotonic_time() + (int64_t)config->timeout_ms * 1000;
    mapping->tick = g_timeout_source_new(TICK_MS);
    g_source_set_callback(mapping->tick, on_tick, mapping, NULL);
    g_source_attach(mapping->tick, config->context);
    return mapping;
}

const struct fb_mapped *fb_mapping_known(const struct fb_mapping *mapping, size_t *count) {
    *count = mapping->known_count;
    return mapping->known;
}

enum fb_nat fb_mapping_nat(const struct fb_mapping *mapping) {
    enum fb_nat nat = FB_NAT_UNKNOWN;
    for (size_t i = 0; i < mapping->asker_count; i++) {
        const struct question *q = mapping->askers[i].questions;
        if (!q[0].answered || !q[1].answered)
            continue;
        if (!fb_addr_equal(&q[0].mapped, &q[1].mapped))
            return FB_NAT_HARD;
        nat = FB_NAT_EASY;
    }
    return nat;
}

void fb_mapping_free(struct fb_mapping *mapping) {
    if (mapping == NULL)
        return;
    drop_source(mapping->tick);
    stop_reading(mapping);
    for (size_t i = 0; i < mapping->asker_count; i++)
        g_object_unref(mapping->askers[i].socket);
    g_free(mapping);
}
