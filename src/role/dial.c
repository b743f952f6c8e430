#include "role/dial.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "net/loop.h"
#include "net/sockaddr.h"

/* RFC 8305 section 5, "Connection Attempt Delay". */
#define STAGGER_US 250000
#define KEEPALIVE_S 60
#define PLACE_KEY_LEN 17

/* What is held at one address. */
struct place {
    struct fb_list link;
    struct fb_quota quota;
    uint8_t key[PLACE_KEY_LEN];
};

struct fb_dialer {
    struct fb_dialer_config config;
    struct fb_map *places;
    struct fb_list place_list; /* the same, for sweeping */
};

/* One connection: an attempt of a dial, later its user's. */
struct conn {
    uv_tcp_t tcp; /* tcp.data is the user's once connected */
    uv_connect_t request;
    struct fb_list link;
    struct fb_dial *dial; /* NULL: no longer an attempt */
    struct fb_dialer *dialer;
    struct place *place;
};

struct fb_dial {
    struct fb_dialer *dialer;
    fb_dialed *done;
    void *user;
    struct fb_timer *timer;
    struct fb_lookup *lookup;
    uint64_t deadline_us;
    struct fb_addr addrs[FB_RESOLVE_MAX]; /* in the order of the attempts */
    size_t count, next;
    struct fb_list attempts;
    enum fb_dest_status status; /* the most telling failure so far */
};

struct fb_dialer *fb_dialer_new(const struct fb_dialer_config *config) {
    struct fb_dialer *dialer = calloc(1, sizeof *dialer);
    if (dialer == NULL)
        return NULL;
    dialer->config = *config;
    fb_list_init(&dialer->place_list);
    dialer->places = fb_map_new(fb_mem_default(), fb_rng_default(), PLACE_KEY_LEN);
    if (dialer->places == NULL) {
        free(dialer);
        return NULL;
    }
    return dialer;
}

static void free_place(struct fb_dialer *dialer, struct place *place) {
    fb_map_take(dialer->places, place->key);
    fb_list_remove(&place->link);
    free(place);
}

void fb_dialer_free(struct fb_dialer *dialer) {
    if (dialer == NULL)
        return;
    FB_LIST_EACH (it, &dialer->place_list)
        free_place(dialer, FB_CONTAINER(it, struct place, link));
    fb_map_free(dialer->places);
    free(dialer);
}

/* Looks at the two places that were looked at longest ago, so that those with nothing held and
 * their rate recovered do not gather. */
static void sweep_places(struct fb_dialer *dialer, uint64_t now) {
    for (int i = 0; i < 2 && !fb_list_empty(&dialer->place_list); i++) {
        struct place *place = FB_CONTAINER(dialer->place_list.next, struct place, link);
        if (fb_quota_is_fresh(&place->quota, now)) {
            free_place(dialer, place);
            continue;
        }
        fb_list_remove(&place->link);
        fb_list_push(&dialer->place_list, &place->link);
    }
}

static struct place *find_place(struct fb_dialer *dialer, const struct fb_addr *addr,
                                uint64_t now) {
    uint8_t key[PLACE_KEY_LEN] = {addr->family};
    memcpy(key + 1, addr->ip, addr->family == 4 ? 4 : 8);
    struct place *place = fb_map_get(dialer->places, key);
    if (place != NULL)
        return place;
    sweep_places(dialer, now);
    place = calloc(1, sizeof *place);
    if (place == NULL)
        return NULL;
    memcpy(place->key, key, sizeof key);
    if (fb_map_put(dialer->places, key, place) != 0) {
        free(place);
        return NULL;
    }
    fb_list_push(&dialer->place_list, &place->link);
    return place;
}

enum fb_dest_status fb_dial_status(int uv_err) {
    switch (uv_err) {
    case 0: return FB_DEST_OK;
    case UV_ECONNREFUSED:
    case UV_ECONNRESET: return FB_DEST_REFUSED;
    case UV_ETIMEDOUT: return FB_DEST_TIMED_OUT;
    case UV_EHOSTUNREACH:
    case UV_EACCES: /* a firewall of the egress's own */
    case UV_EPERM: return FB_DEST_HOST_UNREACHABLE;
    case UV_ENETUNREACH:
    case UV_ENETDOWN:
    case UV_EADDRNOTAVAIL: /* no address of that family here */
    case UV_EAFNOSUPPORT: return FB_DEST_NET_UNREACHABLE;
    case UV_EMFILE:
    case UV_ENFILE: return FB_DEST_LIMIT;
    default: return FB_DEST_INTERNAL;
    }
}

/* Of several attempts' failures the client hears the one that tells most about the destination. */
static void note(struct fb_dial *dial, enum fb_dest_status status) {
    static const uint8_t rank[FB_DEST_STATUS_COUNT] = {
        [FB_DEST_NET_UNREACHABLE] = 1,  [FB_DEST_DENIED] = 2,    [FB_DEST_LIMIT] = 3,
        [FB_DEST_HOST_UNREACHABLE] = 4, [FB_DEST_TIMED_OUT] = 5, [FB_DEST_REFUSED] = 6,
    };
    if (rank[status] > rank[dial->status])
        dial->status = status;
}

static void conn_closed(uv_handle_t *handle) {
    free(FB_CONTAINER(handle, struct conn, tcp));
}

static void close_conn(struct conn *conn) {
    conn->dial = NULL;
    fb_list_remove(&conn->link);
    if (conn->place != NULL)
        fb_quota_give(&conn->place->quota);
    conn->place = NULL;
    if (!uv_is_closing((uv_handle_t *)&conn->tcp))
        uv_close((uv_handle_t *)&conn->tcp, conn_closed);
}

void fb_dial_close(uv_tcp_t *tcp, bool abort) {
    struct conn *conn = FB_CONTAINER(tcp, struct conn, tcp);
    if (abort) /* refused while a shutdown is under way: then it is closed as usual */
        (void)uv_tcp_close_reset(tcp, conn_closed);
    close_conn(conn);
}

void fb_dial_cancel(struct fb_dial *dial) {
    if (dial == NULL)
        return;
    if (dial->lookup != NULL)
        fb_resolve_cancel(dial->lookup);
    FB_LIST_EACH (it, &dial->attempts)
        close_conn(FB_CONTAINER(it, struct conn, link));
    fb_timer_free(dial->timer);
    free(dial);
}

static void finish(struct fb_dial *dial, enum fb_dest_status status, uv_tcp_t *tcp) {
    fb_dialed *done = dial->done;
    void *user = dial->user;
    fb_dial_cancel(dial);
    done(user, status, tcp);
}

static void next_attempt(struct fb_dial *dial);

static void connected(uv_connect_t *request, int status) {
    struct conn *conn = FB_CONTAINER(request, struct conn, request);
    struct fb_dial *dial = conn->dial;
    if (dial == NULL)
        return;
    if (status != 0) {
        note(dial, fb_dial_status(status));
        close_conn(conn);
        next_attempt(dial);
        return;
    }
    conn->dial = NULL;
    fb_list_remove(&conn->link);
    uv_tcp_nodelay(&conn->tcp, 1);
    uv_tcp_keepalive(&conn->tcp, 1, KEEPALIVE_S);
    finish(dial, FB_DEST_OK, &conn->tcp);
}

/* Starts one attempt; FB_DEST_OK when it is under way. */
static enum fb_dest_status attempt(struct fb_dial *dial, const struct fb_addr *addr) {
    struct fb_dialer *dialer = dial->dialer;
    const struct fb_dialer_config *config = &dialer->config;
    uint64_t now = fb_now_us();
    if (!fb_exit_policy_allows(config->policy, addr))
        return FB_DEST_DENIED;
    struct place *place = find_place(dialer, addr, now);
    if (place == NULL)
        return FB_DEST_INTERNAL;
    if (!fb_quota_fits(&place->quota, &config->per_address, now))
        return FB_DEST_LIMIT;
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL)
        return FB_DEST_INTERNAL;
    if (uv_tcp_init(config->loop, &conn->tcp) != 0) {
        free(conn);
        return FB_DEST_INTERNAL;
    }
    conn->dialer = dialer;
    conn->dial = dial;
    conn->place = place;
    fb_quota_take(&place->quota, &config->per_address, now);
    fb_list_init(&conn->link);
    fb_list_push(&dial->attempts, &conn->link);
    struct sockaddr_storage to;
    fb_addr_to_sockaddr(addr, &to);
    int err = uv_tcp_connect(&conn->request, &conn->tcp, (const struct sockaddr *)&to, connected);
    if (err != 0)
        close_conn(conn);
    return fb_dial_status(err);
}

static void next_attempt(struct fb_dial *dial) {
    while (dial->next < dial->count) {
        enum fb_dest_status status = attempt(dial, &dial->addrs[dial->next++]);
        if (status == FB_DEST_OK)
            break;
        note(dial, status);
    }
    if (fb_list_empty(&dial->attempts)) {
        finish(dial, dial->status, NULL);
        return;
    }
    uint64_t stagger = fb_now_us() + STAGGER_US;
    bool more = dial->next < dial->count && stagger < dial->deadline_us;
    fb_timer_set(dial->timer, more ? stagger : dial->deadline_us);
}

static void timer_fired(void *user) {
    struct fb_dial *dial = user;
    if (fb_now_us() < dial->deadline_us)
        next_attempt(dial);
    else
        finish(dial, FB_DEST_TIMED_OUT, NULL);
}

/* RFC 8305 section 4: the families take turns, beginning with the one that was given first. */
static void interleave(struct fb_dial *dial, const struct fb_addr *addrs, size_t count) {
    size_t at[2] = {0, 0};
    const uint8_t family[2] = {addrs[0].family, addrs[0].family == 4 ? 6 : 4};
    for (unsigned turn = 0; dial->count < count; turn ^= 1) {
        while (at[turn] < count && addrs[at[turn]].family != family[turn])
            at[turn]++;
        if (at[turn] < count)
            dial->addrs[dial->count++] = addrs[at[turn]++];
    }
}

static void resolved(void *user, int err, const struct fb_addr *addrs, size_t count) {
    struct fb_dial *dial = user;
    dial->lookup = NULL;
    if (err != 0 || count == 0) {
        finish(dial,
               err == FB_ERR_TIMEOUT                     ? FB_DEST_TIMED_OUT
               : err == FB_ERR_NOMEM || err == FB_ERR_IO ? FB_DEST_INTERNAL
                                                         : FB_DEST_NO_NAME,
               NULL);
        return;
    }
    interleave(dial, addrs, count < FB_RESOLVE_MAX ? count : FB_RESOLVE_MAX);
    next_attempt(dial);
}

struct fb_dial *fb_dial_start(struct fb_dialer *dialer, const struct fb_dest *dest, fb_dialed *done,
                              void *user) {
    const struct fb_dialer_config *config = &dialer->config;
    struct fb_dial *dial = calloc(1, sizeof *dial);
    if (dial == NULL)
        return NULL;
    dial->dialer = dialer;
    dial->done = done;
    dial->user = user;
    dial->status = FB_DEST_INTERNAL;
    dial->deadline_us = fb_now_us() + config->timeout_us;
    fb_list_init(&dial->attempts);
    dial->timer = fb_timer_new(config->loop, timer_fired, dial);
    if (dial->timer == NULL) {
        free(dial);
        return NULL;
    }
    if (dest->addr.family != 0) {
        dial->addrs[dial->count++] = dest->addr;
        fb_timer_set(dial->timer, 0);
        return dial;
    }
    dial->lookup = fb_resolve(config->resolver, dest->name, dest->port, 0, config->timeout_us,
                              resolved, dial);
    if (dial->lookup == NULL) {
        fb_dial_cancel(dial);
        return NULL;
    }
    return dial;
}
