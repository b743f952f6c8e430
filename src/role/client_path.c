#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "role/client_impl.h"

/* The broker holds an offer for up to 20 s, then a volunteer has 10 s to answer. */
#define ANSWER_WAIT_MS 40000
#define STUN_SERVERS 2
/* Of each lane: soon enough that it does not run dry, and small, as lanes are many. */
#define SEND_LOW ((size_t)8 * 1024)
#define NUMBER_LEN 4

struct client_path *fb_client_path_find(struct fb_client *client, uint32_t id) {
    FB_LIST_EACH (it, &client->paths) {
        struct client_path *path = FB_CONTAINER(it, struct client_path, link);
        if (path->id == id)
            return path;
    }
    return NULL;
}

static void say_farewell(struct client_path *path, enum fb_farewell why) {
    uint8_t hop[FB_HOP_MAX];
    struct fb_hop_msg msg = {.type = FB_HOP_FAREWELL, .farewell = why};
    int len = fb_hop_encode(&msg, hop, sizeof hop);
    if (len > 0)
        (void)fb_client_lane_send(path, hop, (size_t)len);
}

/* No volunteer shall wait for a client that does not come: the pair would count as one that does
 * not fit. */
static void withdraw_post(struct fb_client *client, uint32_t number) {
    uint8_t post[NUMBER_LEN];
    struct fb_wr wr = fb_wr_make(post, sizeof post);
    fb_wr_u32(&wr, number);
    if (client->s != NULL && fb_session_ready(client->s))
        (void)fb_session_post(client->s, FB_POST_BROKER, post, wr.len);
}

static void end(struct client_path *path, bool tell, enum fb_farewell why) {
    struct fb_client *client = path->client;
    if (tell && client->s != NULL)
        fb_session_path_down(client->s, path->id, fb_now_us());
    fb_fetch_cancel(path->fetch);
    if (tell && path->number != 0)
        withdraw_post(client, path->number);
    say_farewell(path, why);
    fb_client_lane_end(path);
    client->counts.paths -= path->state == PATH_OPEN;
    fb_rendezvous_free(path->rv);
    fb_timer_free(path->timer);
    fb_timer_free(path->look);
    fb_list_remove(&path->link);
    fb_wipe(path, sizeof *path); /* its token, if unused */
    free(path);
}

void fb_client_path_end(struct client_path *path, bool tell) {
    end(path, tell, FB_FAREWELL_DONE);
}

/* The path, or the attempt, is over. */
static void give_up(struct client_path *path, enum fb_pathset_why why, uint64_t wait_us) {
    struct fb_client *client = path->client;
    uint32_t id = path->id;
    fb_client_path_end(path, true);
    fb_client_over(client, id, why, wait_us);
    fb_client_pump(client);
}

/* ---- the answer ---- */

static void found(struct client_path *path, struct fb_answer *answer) {
    struct fb_client *client = path->client;
    fb_desc_filter(&answer->desc, fb_client_is_local(client));
    /* Browsers hide their addresses behind mDNS names, which are dropped: one without any candidate
     * reaches ours by itself, and becomes a peer-reflexive one. */
    path->volunteer = answer->desc;
    if (fb_peer_set_remote(path->lanes[0].peer, &answer->desc) != 0) {
        fb_client_say(client, FB_CLIENT_WAITING, "a volunteer answered without a usable address");
        give_up(path, FB_PATHSET_AGAIN, 0);
        return;
    }
    path->state = PATH_CONNECTING;
    fb_pathset_answered(client->set, path->id, fb_now_us());
    client->look = true;
    if (answer->country[0] != '\0')
        fb_client_say(client, FB_CLIENT_FOUND, "volunteer found in %s", answer->country);
    else
        fb_client_say(client, FB_CLIENT_FOUND, "volunteer found");
}

static enum fb_pathset_why why_of(enum fb_answer_status status) {
    switch (status) {
    case FB_ANSWER_NOBODY: return FB_PATHSET_NOBODY;
    case FB_ANSWER_AGAIN:
    case FB_ANSWER_PROCESS_GONE: return FB_PATHSET_AGAIN;
    case FB_ANSWER_LIMIT: return FB_PATHSET_LATER;
    case FB_ANSWER_DENIED:
    case FB_ANSWER_MALFORMED:
    case FB_ANSWER_VERSION: return FB_PATHSET_DENIED;
    default: return FB_PATHSET_FAILED;
    }
}

static void take_answer(struct client_path *path, struct fb_answer *answer) {
    struct fb_client *client = path->client;
    static const uint8_t none[FB_HANDLE_LEN];
    if (memcmp(answer->handle, none, sizeof none) != 0)
        memcpy(client->handle, answer->handle, sizeof client->handle);
    fb_joined_hint(client->joined, answer->document);
    if (answer->status == FB_ANSWER_OK) {
        found(path, answer);
        return;
    }
    const char *why = fb_answer_status_text(answer->status);
    bool ready = fb_session_ready(client->s);
    if (answer->status == FB_ANSWER_PROCESS_GONE && ready)
        fb_client_drop_session(client, why);
    else
        fb_client_say(client, FB_CLIENT_WAITING, "%s; trying again", why);
    if (answer->status == FB_ANSWER_NO_EGRESS) {
        client->egress_turn++;
        if (!ready)
            fb_client_drop_session(client, NULL);
    }
    give_up(path, why_of(answer->status), answer->retry_after * FB_CLIENT_SECOND_US);
}

static void open_answer(struct client_path *path, const uint8_t *sealed, size_t len) {
    struct fb_answer answer;
    int err = fb_rendezvous_answer(path->rv, sealed, len, &answer);
    fb_rendezvous_free(path->rv);
    path->rv = NULL;
    if (err != 0) {
        fb_client_say(path->client, FB_CLIENT_WAITING, "the broker's answer does not open: %s",
                      fb_strerror(err));
        give_up(path, FB_PATHSET_FAILED, 0);
        return;
    }
    take_answer(path, &answer);
}

static void on_fetched(void *user, const struct fb_fetched *result) {
    struct client_path *path = user;
    struct fb_client *client = path->client;
    path->fetch = NULL;
    if (result->err == 0) {
        open_answer(path, result->body, result->len);
        return;
    }
    client->broker_turn++;
    fb_client_say(client, FB_CLIENT_WAITING, "the broker: %s; trying again", result->why);
    give_up(path, FB_PATHSET_FAILED, 0);
}

void fb_client_path_post(struct fb_client *client, const uint8_t *data, size_t len) {
    struct fb_rd rd = fb_rd_make(data, len);
    uint32_t number = fb_rd_u32(&rd);
    FB_LIST_EACH (it, &client->paths) {
        struct client_path *path = FB_CONTAINER(it, struct client_path, link);
        if (number == 0 || path->number != number || path->state != PATH_ASKING)
            continue;
        fb_timer_set(path->timer, FB_NEVER);
        path->number = 0;
        open_answer(path, rd.ptr, rd.len);
        return;
    }
}

static void answer_late(void *user) {
    struct client_path *path = user;
    if (path->state == PATH_ASKING)
        give_up(path, FB_PATHSET_FAILED, 0);
}

void fb_client_path_posts_lost(struct fb_client *client) {
    FB_LIST_EACH (it, &client->paths) {
        struct client_path *path = FB_CONTAINER(it, struct client_path, link);
        uint32_t id = path->id;
        if (path->state != PATH_ASKING || path->number == 0)
            continue;
        fb_client_path_end(path, true);
        fb_client_over(client, id, FB_PATHSET_STRAY, 0);
    }
}

/* ---- the offer ---- */

static void fill_offer(const struct client_path *path, const struct fb_desc *local,
                       struct fb_offer *offer) {
    const struct fb_client *client = path->client;
    *offer = (struct fb_offer){.nat = fb_peer_nat(path->lanes[0].peer), .desc = *local};
    fb_desc_filter(&offer->desc, fb_client_is_local(client));
    memcpy(offer->egress, client->egress, sizeof offer->egress);
    memcpy(offer->handle, client->handle, sizeof offer->handle);
    memcpy(offer->first, path->first, sizeof offer->first);
    if (fb_session_ready(client->s))
        memcpy(offer->process, fb_session_process_id(client->s), sizeof offer->process);
}

/* Through the session, where a path lives: the censor then sees one rendezvous only. */
static int send_post(struct client_path *path, const uint8_t *sealed) {
    struct fb_client *client = path->client;
    uint8_t post[NUMBER_LEN + FB_SEALED_OFFER_LEN];
    struct fb_wr wr = fb_wr_make(post, sizeof post);
    path->number = ++client->next_number == 0 ? ++client->next_number : client->next_number;
    fb_wr_u32(&wr, path->number);
    fb_wr_bytes(&wr, sealed, FB_SEALED_OFFER_LEN);
    fb_timer_set(path->timer, fb_now_us() + ANSWER_WAIT_MS * UINT64_C(1000));
    return fb_session_post(client->s, FB_POST_BROKER, post, wr.len);
}

static const struct fb_document_broker *choose_broker(struct client_path *path) {
    const struct fb_client *client = path->client;
    const struct fb_document *document = client->document;
    const struct fb_document_broker *broker =
        &document->brokers[client->broker_turn % document->broker_count];
    memcpy(path->broker_key, broker->sealing_key, sizeof path->broker_key);
    return broker;
}

/* The connection to the broker is made while the offer is being gathered: the request waits for its
 * body. */
static int reach_broker(struct client_path *path) {
    const char *base = choose_broker(path)->url;
    char url[FB_URL_MAX + 16];
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    snprintf(url, sizeof url, "%.*s/v1/offer", (int)len, base);
    const struct fb_fetch_request request = {
        .url = url,
        .len = FB_SEALED_OFFER_LEN,
        .type = "application/octet-stream",
        .reply_max = FB_SEALED_ANSWER_LEN,
        .timeout_ms = ANSWER_WAIT_MS,
    };
    path->fetch = fb_fetch_start(path->client->config.fetcher, &request, on_fetched, path);
    return path->fetch == NULL ? FB_ERR_NOMEM : 0;
}

static int send_offer(struct client_path *path, const struct fb_desc *local) {
    struct fb_client *client = path->client;
    bool in_session = fb_pathset_in_session(client->set, fb_now_us());
    struct fb_offer offer;
    uint8_t sealed[FB_SEALED_OFFER_LEN];
    int err = 0;
    if (in_session) { /* by now */
        fb_fetch_cancel(path->fetch);
        path->fetch = NULL;
        choose_broker(path);
    } else if (path->fetch == NULL) {
        err = reach_broker(path);
    }
    if (err != 0)
        return err;
    fill_offer(path, local, &offer);
    err = fb_rendezvous_offer(&path->rv, fb_mem_default(), fb_rng_default(), client->config.crypto,
                              path->broker_key, client->join.network, &offer, sealed);
    fb_wipe(&offer, sizeof offer);
    if (err != 0)
        return err;
    path->state = PATH_ASKING;
    client->counts.offers++;
    return in_session ? send_post(path, sealed) : fb_fetch_body(path->fetch, sealed);
}

/* ---- the peer ---- */

/* By its number and not by its state, which follows what the volunteer says. */
static bool is_further(const struct client_lane *lane) {
    return lane->number > 1;
}

static void on_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct client_lane *lane = user;
    struct client_path *path = lane->path;
    struct fb_client *client = path->client;
    if (is_further(lane)) {
        fb_client_lane_described(lane, local);
        return;
    }
    path->unanswered = fb_peer_unanswered(peer);
    int err = send_offer(path, local);
    if (err != 0) {
        fb_client_say(client, FB_CLIENT_WAITING, "no offer can be made: %s", fb_strerror(err));
        give_up(path, FB_PATHSET_FAILED, 0);
        return;
    }
    fb_client_pump(client);
}

static void on_progress(void *user, struct fb_peer *peer, enum fb_peer_stage stage) {
    const struct client_lane *lane = user;
    if (is_further(lane))
        return; /* a person watches the first one */
    if (stage == FB_PEER_ICE_CONNECTED)
        fb_client_say(lane->path->client, FB_CLIENT_ICE, "ICE connected");
    else if (stage == FB_PEER_DTLS_DONE)
        fb_client_say(lane->path->client, FB_CLIENT_DTLS, "DTLS done");
}

static void tell_queued(struct client_path *path) {
    fb_session_path_queued(path->client->s, path->id, fb_client_lane_buffered(path) + path->queued);
}

static void on_writable(void *user, struct fb_peer *peer) {
    struct client_path *path = ((struct client_lane *)user)->path;
    tell_queued(path);
    fb_client_pump(path->client);
}

static void on_open(void *user, struct fb_peer *peer) {
    struct client_lane *lane = user;
    struct client_path *path = lane->path;
    struct fb_client *client = path->client;
    if (is_further(lane)) {
        fb_client_lane_opened(lane);
        on_writable(user, peer);
        return;
    }
    path->state = PATH_UP;
    fb_client_lane_first(path);
    fb_client_say(client, FB_CLIENT_CHANNEL, "data channel open");
    if (fb_session_path_up(client->s, path->id, fb_now_us()) != 0) {
        give_up(path, FB_PATHSET_AGAIN, 0);
        return;
    }
    fb_client_pump(client);
}

static void take_hop(struct client_path *path, const uint8_t *data, size_t len) {
    struct fb_client *client = path->client;
    struct fb_hop_msg msg;
    uint32_t id = path->id;
    bool fine = fb_hop_decode(&msg, data, len) == 0;
    if (fine && msg.type == FB_HOP_QUEUE) {
        path->queued = msg.bytes;
        tell_queued(path);
    } else if (fine && msg.type == FB_HOP_FAREWELL) {
        fb_client_say(client, FB_CLIENT_LOST, "the volunteer left: %s",
                      fb_farewell_text(msg.farewell));
        fb_client_path_end(path, true);
        fb_client_over(client, id, FB_PATHSET_FAILED, 0);
    } else if (!fine || !fb_client_lane_hop(path, &msg)) {
        fb_client_say(client, FB_CLIENT_LOST, "the volunteer broke the rules; its path is closed");
        end(path, true, FB_FAREWELL_PROTOCOL);
        fb_client_over(client, id, FB_PATHSET_FAILED, 0);
    }
}

static void on_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct client_lane *lane = user;
    struct client_path *path = lane->path;
    struct fb_client *client = path->client;
    if (len == 0)
        return;
    client->counts.bytes_down += len;
    lane->heard_us = fb_now_us();
    fb_client_lane_passed(path, len);
    if (data[0] == FB_KIND_SESSION) /* what fails closes the path by an event */
        (void)fb_session_recv(client->s, path->id, data, len, fb_now_us());
    else if (data[0] == FB_KIND_HOP)
        take_hop(path, data, len);
    else
        return;
    fb_client_pump(client);
}

static const char *why_closed(const struct client_path *path, enum fb_peer_reason reason) {
    bool silent = reason == FB_PEER_ICE_FAILED || reason == FB_PEER_ICE_TIMEOUT;
    if (silent && path->unanswered)
        return "this network lets no UDP through, which volunteers need; use another network";
    return fb_peer_reason_text(reason);
}

static void on_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct client_lane *lane = user;
    struct client_path *path = lane->path;
    bool carried = path->state == PATH_OPEN;
    if (fb_client_lane_gone(lane)) {
        on_writable(lane, peer); /* the others may take more */
        return;
    }
    fb_client_say(path->client, carried ? FB_CLIENT_LOST : FB_CLIENT_WAITING, "%s: %s",
                  carried ? "the volunteer is gone" : "no way to the volunteer",
                  why_closed(path, reason));
    give_up(path, FB_PATHSET_FAILED, 0);
}

static const struct fb_peer_handler peer_handler = {
    .described = on_described,
    .progress = on_progress,
    .open = on_open,
    .message = on_message,
    .writable = on_writable,
    .closed = on_closed,
};

int fb_client_path_peer(struct client_lane *lane) {
    const struct fb_client *client = lane->path->client;
    struct fb_addr stun[STUN_SERVERS];
    const struct fb_peer_config config = {
        .offerer = true,
        .local = fb_client_is_local(client),
        .stun = stun,
        .stun_count = fb_joined_stun(client->joined, stun, STUN_SERVERS),
        .send_low = SEND_LOW,
        .handler = &peer_handler,
        .user = lane,
    };
    return fb_peer_new(&lane->peer, client->config.rtc, &config);
}

int fb_client_path_begin(struct fb_client *client) {
    struct client_path *path = calloc(1, sizeof *path);
    if (path == NULL)
        return FB_ERR_NOMEM;
    int err = fb_session_first(client->s, &path->id, path->first, fb_now_us());
    if (err != 0) {
        free(path);
        return err;
    }
    path->client = client;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        path->lanes[i].path = path;
    fb_list_init(&path->link);
    fb_list_push(&client->paths, &path->link);
    path->timer = fb_timer_new(fb_net_loop(client->config.net), answer_late, path);
    err = path->timer == NULL ? FB_ERR_NOMEM : fb_client_path_peer(&path->lanes[0]);
    if (err == 0 && !fb_pathset_in_session(client->set, fb_now_us()))
        err = reach_broker(path);
    if (err != 0)
        fb_client_path_end(path, true);
    return err;
}
