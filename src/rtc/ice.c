#include "rtc/ice.h"

#include <gio/gnetworking.h>
#include <nice/agent.h>
#include <nice/interfaces.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rtc/mapping.h"

#define COMPONENT 1
/* Addresses of this machine that are tried; a host with containers may have dozens. */
#define ADDRESSES_MAX FB_MAPPING_SOCKETS_MAX
/* RFC 8445 section 5.1.2.2. */
#define TYPE_SRFLX 100
/* Bursts of a fast sender fit; the kernel's default of 208 KiB holds 90 packets (it counts each
 * as 2.3 KiB). Capped by net.core.rmem_max. */
#define SOCKET_BUFFER (1024 * 1024)
/* Between two checks, ms: the least of RFC 8445 section 14.2. The usual 20 are felt where a check
 * in return or a nomination waits for its turn. */
#define PACE_MS 5

struct fb_ice {
    NiceAgent *agent;
    guint stream;
    GMainContext *context;
    struct fb_addr stun[FB_MAPPING_SERVERS];
    size_t stun_count;
    uint32_t gather_ms;
    struct fb_mapping *mapping; /* NULL: nobody was asked */
    bool loopback;
    bool connected;
    bool blind; /* no remote candidate is known: only the other side's checks can find a pair */
    const struct fb_ice_handler *handler; /* NULL: closing */
    void *user;
    void (*done)(void *user);
};

static void on_state(NiceAgent *agent, guint stream, guint component, guint state, gpointer data) {
    struct fb_ice *ice = data;
    if (ice->handler == NULL)
        return;
    if (state == NICE_COMPONENT_STATE_CONNECTED || state == NICE_COMPONENT_STATE_READY) {
        if (!ice->connected) {
            ice->connected = true;
            ice->handler->connected(ice->user);
        }
    } else if (state == NICE_COMPONENT_STATE_FAILED && (ice->connected || !ice->blind)) {
        ice->handler->failed(ice->user);
    }
}

static void on_datagram(NiceAgent *agent, guint stream, guint component, guint len, gchar *buf,
                        gpointer data) {
    struct fb_ice *ice = data;
    if (ice->handler != NULL)
        ice->handler->datagram(ice->user, (const uint8_t *)buf, len);
}

/* From here on libnice reads the sockets: before, nobody else knows of them. */
static void on_mapped(void *user) {
    struct fb_ice *ice = user;
    nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT, ice->context, on_datagram, ice);
    ice->handler->gathered(ice->user);
}

static void prepare_sockets(struct fb_ice *ice) {
    GPtrArray *sockets = nice_agent_get_sockets(ice->agent, ice->stream, COMPONENT);
    struct fb_mapping_config config = {ice->context,   sockets,   ice->stun, ice->stun_count,
                                       ice->gather_ms, on_mapped, ice};
    if (sockets == NULL)
        return;
    for (guint i = 0; i < sockets->len; i++) {
        g_socket_set_option(sockets->pdata[i], SOL_SOCKET, SO_RCVBUF, SOCKET_BUFFER, NULL);
        g_socket_set_option(sockets->pdata[i], SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER, NULL);
    }
    ice->mapping = fb_mapping_new(&config);
    g_ptr_array_unref(sockets);
}

/* libnice has its host candidates, which takes it no time. */
static void on_gathered(NiceAgent *agent, guint stream, gpointer data) {
    struct fb_ice *ice = data;
    if (ice->handler == NULL)
        return;
    prepare_sockets(ice);
    if (ice->mapping == NULL)
        on_mapped(ice);
}

struct fb_ice *fb_ice_new(const struct fb_ice_config *config) {
    struct fb_ice *ice = g_new0(struct fb_ice, 1);
    ice->handler = config->handler;
    ice->user = config->user;
    ice->context = config->context;
    ice->loopback = config->loopback;
    ice->gather_ms = config->gather_ms;
    ice->stun_count = MIN(config->stun_count, FB_MAPPING_SERVERS);
    for (size_t i = 0; i < ice->stun_count; i++)
        ice->stun[i] = config->stun[i];
    ice->agent = nice_agent_new_full(config->context, NICE_COMPATIBILITY_RFC5245,
                                     NICE_AGENT_OPTION_CONSENT_FRESHNESS);
    g_object_set(ice->agent, "controlling-mode", (gboolean)config->controlling, "upnp", FALSE,
                 "ice-tcp", FALSE, "ice-udp", TRUE, "stun-pacing-timer", PACE_MS, NULL);
    g_signal_connect(ice->agent, "candidate-gathering-done", G_CALLBACK(on_gathered), ice);
    g_signal_connect(ice->agent, "component-state-changed", G_CALLBACK(on_state), ice);
    ice->stream = nice_agent_add_stream(ice->agent, 1);
    return ice;
}

static bool addr_from_nice(const NiceAddress *addr, struct fb_addr *out) {
    struct sockaddr_storage storage;
    nice_address_copy_to_sockaddr(addr, (struct sockaddr *)&storage);
    memset(out, 0, sizeof *out);
    if (storage.ss_family == AF_INET) {
        struct sockaddr_in *in = (struct sockaddr_in *)&storage;
        out->family = 4;
        memcpy(out->ip, &in->sin_addr, 4);
        out->port = ntohs(in->sin_port);
    } else if (storage.ss_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&storage;
        out->family = 6;
        memcpy(out->ip, &in6->sin6_addr, 16);
        out->port = ntohs(in6->sin6_port);
    }
    return out->family != 0;
}

static bool is_link_local(const NiceAddress *nice) {
    struct fb_addr addr;
    if (!addr_from_nice(nice, &addr))
        return false;
    return addr.family == 4 ? addr.ip[0] == 169 && addr.ip[1] == 254
                            : addr.ip[0] == 0xfe && (addr.ip[1] & 0xc0) == 0x80;
}

/* Pins the agent to this machine's addresses, link-local ones left out: how many were there? */
static int add_addresses(struct fb_ice *ice, bool loopback) {
    int count = 0;
    GList *texts = nice_interfaces_get_local_ips(loopback);
    for (GList *it = texts; it != NULL && count < ADDRESSES_MAX; it = it->next) {
        NiceAddress addr;
        nice_address_init(&addr);
        if (nice_address_set_from_string(&addr, it->data) && !is_link_local(&addr) &&
            nice_agent_add_local_address(ice->agent, &addr))
            count++;
    }
    g_list_free_full(texts, g_free);
    return count;
}

int fb_ice_gather(struct fb_ice *ice) {
    if (add_addresses(ice, false) == 0 && (!ice->loopback || add_addresses(ice, true) == 0))
        return FB_ERR_NOT_FOUND;
    if (!nice_agent_gather_candidates(ice->agent, ice->stream))
        return FB_ERR_NOT_FOUND;
    return 0;
}

static enum fb_candidate_type type_from_nice(NiceCandidateType type) {
    switch (type) {
    case NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE: return FB_CAND_SRFLX;
    case NICE_CANDIDATE_TYPE_PEER_REFLEXIVE: return FB_CAND_PRFLX;
    case NICE_CANDIDATE_TYPE_RELAYED: return FB_CAND_RELAY;
    default: return FB_CAND_HOST;
    }
}

static NiceCandidateType type_to_nice(enum fb_candidate_type type) {
    switch (type) {
    case FB_CAND_SRFLX: return NICE_CANDIDATE_TYPE_SERVER_REFLEXIVE;
    case FB_CAND_PRFLX: return NICE_CANDIDATE_TYPE_PEER_REFLEXIVE;
    case FB_CAND_RELAY: return NICE_CANDIDATE_TYPE_RELAYED;
    default: return NICE_CANDIDATE_TYPE_HOST;
    }
}

static void addr_to_nice(const struct fb_addr *addr, NiceAddress *out) {
    nice_address_init(out);
    if (addr->family == 4)
        nice_address_set_ipv4(out, (guint32)addr->ip[0] << 24 | (guint32)addr->ip[1] << 16 |
                                       (guint32)addr->ip[2] << 8 | addr->ip[3]);
    else
        nice_address_set_ipv6(out, addr->ip);
    nice_address_set_port(out, addr->port);
}

/*
 * The server-reflexive candidate whose base is host, when a server saw another address. libnice
 * need not know of it: agents check from the base, and what comes in counts as peer-reflexive
 * there.
 */
static void add_mapped(const struct fb_ice *ice, struct fb_desc *desc,
                       const struct fb_candidate *host) {
    size_t count = 0;
    const struct fb_mapped *known = ice->mapping == NULL ? NULL
                                                         : fb_mapping_known(ice->mapping, &count);
    for (size_t i = 0; i < count && desc->candidate_count < FB_DESC_CANDIDATES_MAX; i++) {
        if (!fb_addr_equal(&known[i].local, &host->addr) ||
            fb_addr_equal(&known[i].mapped, &host->addr))
            continue;
        /* RFC 8445 section 5.1.2.1: the host's preference under the type's own. */
        desc->candidates[desc->candidate_count++] = (struct fb_candidate){
            FB_CAND_SRFLX, known[i].mapped,
            (uint32_t)TYPE_SRFLX << 24 | (host->priority & 0x00ffffff)};
    }
}

void fb_ice_describe(struct fb_ice *ice, struct fb_desc *desc) {
    gchar *ufrag = NULL, *pwd = NULL;
    if (nice_agent_get_local_credentials(ice->agent, ice->stream, &ufrag, &pwd)) {
        g_strlcpy(desc->ufrag, ufrag, sizeof desc->ufrag);
        g_strlcpy(desc->pwd, pwd, sizeof desc->pwd);
    }
    g_free(ufrag);
    g_free(pwd);
    desc->candidate_count = 0;
    GSList *list = nice_agent_get_local_candidates(ice->agent, ice->stream, COMPONENT);
    for (GSList *it = list; it != NULL; it = it->next) {
        const NiceCandidate *from = it->data;
        struct fb_candidate *to = &desc->candidates[desc->candidate_count];
        if (desc->candidate_count < FB_DESC_CANDIDATES_MAX &&
            from->transport == NICE_CANDIDATE_TRANSPORT_UDP &&
            addr_from_nice(&from->addr, &to->addr)) {
            to->type = type_from_nice(from->type);
            to->priority = from->priority;
            desc->candidate_count++;
        }
    }
    g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
    for (size_t i = 0, hosts = desc->candidate_count; i < hosts; i++)
        add_mapped(ice, desc, &desc->candidates[i]);
}

enum fb_nat fb_ice_nat(const struct fb_ice *ice) {
    return ice->mapping == NULL ? FB_NAT_UNKNOWN : fb_mapping_nat(ice->mapping);
}

bool fb_ice_unanswered(const struct fb_ice *ice) {
    size_t count = 0;
    if (ice->mapping != NULL)
        fb_mapping_known(ice->mapping, &count);
    return ice->mapping != NULL && count == 0;
}

int fb_ice_set_remote(struct fb_ice *ice, const struct fb_desc *remote) {
    GSList *list = NULL;
    if (!nice_agent_set_remote_credentials(ice->agent, ice->stream, remote->ufrag, remote->pwd))
        return FB_ERR_MALFORMED;
    ice->blind = remote->candidate_count == 0;
    for (size_t i = 0; i < remote->candidate_count; i++) {
        const struct fb_candidate *from = &remote->candidates[i];
        NiceCandidate *to = nice_candidate_new(type_to_nice(from->type));
        to->transport = NICE_CANDIDATE_TRANSPORT_UDP;
        to->priority = from->priority;
        to->stream_id = ice->stream;
        to->component_id = COMPONENT;
        g_snprintf(to->foundation, sizeof to->foundation, "%zu", i + 1);
        addr_to_nice(&from->addr, &to->addr);
        to->base_addr = to->addr;
        list = g_slist_append(list, to);
    }
    int added = nice_agent_set_remote_candidates(ice->agent, ice->stream, COMPONENT, list);
    g_slist_free_full(list, (GDestroyNotify)nice_candidate_free);
    return added < 0 ? FB_ERR_MALFORMED : 0;
}

void fb_ice_send(struct fb_ice *ice, const uint8_t *data, size_t len) {
    nice_agent_send(ice->agent, ice->stream, COMPONENT, (guint)len, (const gchar *)data);
}

/* The agent's sockets are closed by now. */
static void on_agent_gone(gpointer data, GObject *where) {
    struct fb_ice *ice = data;
    void (*done)(void *user) = ice->done;
    void *user = ice->user;
    g_free(ice);
    done(user);
}

/* Not the end yet: the task that calls this holds a reference of its own. */
static void on_closed(GObject *object, GAsyncResult *result, gpointer data) {
    g_object_weak_ref(object, on_agent_gone, data);
    g_object_unref(object);
}

void fb_ice_close(struct fb_ice *ice, void (*done)(void *user), void *user) {
    ice->handler = NULL;
    ice->user = user;
    ice->done = done;
    fb_mapping_free(ice->mapping);
    ice->mapping = NULL;
    g_signal_handlers_disconnect_by_data(ice->agent, ice);
    nice_agent_attach_recv(ice->agent, ice->stream, COMPONENT, ice->context, NULL, NULL);
    nice_agent_close_async(ice->agent, on_closed, ice);
}
