#include "base/err.h"
#include "role/client_impl.h"

#define LOOK_US (FB_LANES_LOOK_MS * UINT64_C(1000))
/* For an offer to be described, and as long for its answer; then the peer has its own limit. */
#define ASK_US (15 * FB_CLIENT_SECOND_US)
/* A lane that is being closed: without a message, since what the volunteer still had on it would be
 * lost, and at most. */
#define CLOSE_US FB_CLIENT_SECOND_US
#define CLOSE_MAX_US (5 * FB_CLIENT_SECOND_US)
/* A volunteer that leaves closes all its lanes at once; what it says of one may be lost. Two deaths
 * within this, and at least as many as are left, are its end. */
#define LEAVING_US (FB_CLIENT_SECOND_US / 2)

#define EACH_LANE(path, it)                                                                        \
    for (struct client_lane *it = (path)->lanes; it < (path)->lanes + FB_LANES_MAX; it++)

static uint64_t now_ms(void) {
    return fb_now_us() / 1000;
}

static size_t index_of(const struct client_lane *lane) {
    return (size_t)(lane - lane->path->lanes);
}

static void set_state(struct client_lane *lane, enum client_lane_state state) {
    struct client_path *path = lane->path;
    bool was = lane->state == LANE_OPEN, is = state == LANE_OPEN;
    if (is && !was)
        fb_lanes_open(&path->sending, index_of(lane), now_ms());
    if (was && !is)
        fb_lanes_shut(&path->sending, index_of(lane));
    path->client->counts.lanes += is;
    path->client->counts.lanes -= was;
    lane->state = state;
    lane->since_us = fb_now_us();
}

static void close_lane(struct client_lane *lane) {
    set_state(lane, LANE_FREE);
    if (lane->peer != NULL)
        fb_peer_close(lane->peer);
    lane->peer = NULL;
}

/* Begun, and not open yet. */
static bool is_pending(const struct client_lane *lane) {
    return lane->state == LANE_GATHERING || lane->state == LANE_ASKING ||
           lane->state == LANE_CONNECTING;
}

static size_t open_lanes(const struct client_path *path) {
    size_t count = 0;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        count += path->lanes[i].state == LANE_OPEN;
    return count;
}

/* ---- sending ---- */

static void held(const struct client_path *path, uint32_t out[FB_LANES_MAX]) {
    for (size_t i = 0; i < FB_LANES_MAX; i++) {
        const struct fb_peer *peer = path->lanes[i].peer;
        out[i] = peer != NULL ? (uint32_t)fb_peer_buffered(peer) : 0;
    }
}

size_t fb_client_lane_buffered(const struct client_path *path) {
    uint32_t each[FB_LANES_MAX];
    held(path, each);
    return fb_lanes_held(&path->sending, each);
}

static void look_soon(struct client_path *path) {
    if (path->looking || path->look == NULL)
        return;
    path->looking = true;
    fb_timer_set(path->look, fb_now_us() + LOOK_US);
}

void fb_client_lane_passed(struct client_path *path, size_t len) {
    path->passed += len;
    look_soon(path);
}

static void say(struct client_path *path, const struct fb_hop_msg *msg) {
    uint8_t hop[FB_HOP_MAX];
    int len = fb_hop_encode(msg, hop, sizeof hop);
    if (len > 0)
        (void)fb_client_lane_send(path, hop, (size_t)len);
}

/* The lane is still there for what the volunteer has on its way. */
static void begin_to_close(struct client_lane *lane) {
    const struct fb_hop_msg msg = {.type = FB_HOP_LANE_CLOSE, .lane = lane->number};
    set_state(lane, LANE_CLOSING);
    say(lane->path, &msg);
}

int fb_client_lane_send(struct client_path *path, const uint8_t *data, size_t len) {
    uint32_t each[FB_LANES_MAX];
    uint64_t now = now_ms();
    held(path, each);
    int i = fb_lanes_pick(&path->sending, each, len, now);
    if (i < 0)
        return FB_ERR_STATE;
    int stalled = fb_lanes_stalled(&path->sending, now);
    if (stalled >= 0 && stalled != i)
        begin_to_close(&path->lanes[stalled]);
    fb_client_lane_passed(path, len);
    return fb_peer_send(path->lanes[i].peer, data, len);
}

/* ---- one more ---- */

static void failed(struct client_lane *lane) {
    fb_lane_plan_failed(&lane->path->plan, now_ms());
    close_lane(lane);
}

void fb_client_lane_described(struct client_lane *lane, const struct fb_desc *local) {
    struct fb_hop_msg msg = {.type = FB_HOP_LANE_OFFER, .lane = lane->number, .desc = *local};
    fb_desc_filter(&msg.desc, fb_client_is_local(lane->path->client));
    set_state(lane, LANE_ASKING);
    say(lane->path, &msg);
}

void fb_client_lane_opened(struct client_lane *lane) {
    set_state(lane, LANE_OPEN);
}

static bool begin(struct client_path *path) {
    struct client_lane *lane = path->lanes;
    while (lane < path->lanes + FB_LANES_MAX && lane->peer != NULL)
        lane++;
    if (lane == path->lanes + FB_LANES_MAX || path->last_number == UINT16_MAX ||
        fb_client_path_peer(lane) != 0)
        return false;
    lane->number = ++path->last_number;
    set_state(lane, LANE_GATHERING);
    return true;
}

/* ---- how many ---- */

static size_t peers_of(const struct client_path *path) {
    size_t count = 0;
    for (size_t i = 0; i < FB_LANES_MAX; i++)
        count += path->lanes[i].peer != NULL;
    return count;
}

static bool carries(const struct client_path *path) {
    struct fb_path_stats stats = {.standby = true};
    (void)fb_session_path_stats(path->client->s, path->id, fb_now_us(), &stats);
    return path->state == PATH_OPEN && !stats.standby;
}

/* How many more lanes the path may have; below 0: how many it is to give back. What a client may
 * have is shared alike by the paths that carry; the others have their first one. One is always kept
 * for a path to come: a client seeks a spare now and then, and that should move no lanes. */
static int room(const struct client_path *path) {
    const struct fb_client *client = path->client;
    size_t most = client->config.lanes > 0 ? client->config.lanes : FB_LANES_CLIENT_MAX;
    size_t all = peers_of(path), others = 0, carrying = 1;
    FB_LIST_EACH (it, &client->paths) {
        const struct client_path *other = FB_CONTAINER(it, struct client_path, link);
        if (other == path)
            continue;
        bool is = carries(other);
        all += peers_of(other);
        carrying += is;
        others += !is;
    }
    int mine = (int)peers_of(path), left = all < most ? (int)(most - all) : 0;
    others = others > 0 ? others : 1;
    int share = most > others + carrying ? (int)((most - others) / carrying) : 1;
    share = share < FB_LANES_MAX ? share : FB_LANES_MAX;
    if (share < mine)
        return left > 0 ? 0 : share - mine; /* nobody waits for them: they may stay */
    return left < share - mine ? left : share - mine;
}

/* The last ones first: the first lane stays while it lives. */
static void close_some(struct client_path *path, size_t count) {
    while (count-- > 0 && open_lanes(path) > 1) {
        struct client_lane *last = NULL;
        EACH_LANE(path, lane) {
            if (lane->state == LANE_OPEN && (last == NULL || lane->number > last->number))
                last = lane;
        }
        begin_to_close(last);
    }
}

static bool is_quiet(const struct client_lane *lane) {
    uint64_t since = lane->heard_us > lane->since_us ? lane->heard_us : lane->since_us;
    return fb_now_us() - since >= CLOSE_US && fb_peer_buffered(lane->peer) == 0;
}

static void end_overdue(struct client_path *path) {
    EACH_LANE(path, lane) {
        uint64_t age = fb_now_us() - lane->since_us;
        if ((lane->state == LANE_GATHERING || lane->state == LANE_ASKING) && age >= ASK_US)
            failed(lane);
        else if (lane->state == LANE_CLOSING && (age >= CLOSE_MAX_US || is_quiet(lane)))
            close_lane(lane);
    }
}

static void look(void *user) {
    struct client_path *path = user;
    struct fb_client *client = path->client;
    struct fb_path_stats stats = {0};
    size_t buffered = fb_client_lane_buffered(path);
    int more = room(path);
    (void)fb_session_path_stats(client->s, path->id, fb_now_us(), &stats);
    if (stats.full)
        fb_lane_plan_full(&path->plan, now_ms());
    end_overdue(path);
    struct fb_lane_state state = {
        .open = open_lanes(path),
        .room = more > 0 ? (size_t)more : 0,
        .delivered = path->passed > buffered ? path->passed - buffered : 0,
        .rtt_ms = (uint32_t)(stats.smoothed_rtt_us / 1000),
    };
    EACH_LANE(path, lane) {
        state.pending += lane->state != LANE_FREE && lane->state != LANE_OPEN;
    }
    int change = fb_lane_plan_poll(&path->plan, &state, now_ms());
    if (more < 0 && state.pending == 0)
        change = more;
    for (int i = 0; i < change; i++)
        if (!begin(path))
            break;
    if (change < 0)
        close_some(path, (size_t)-change);
    path->looking = false;
    if (state.open > 1 || state.pending > 0 || change != 0 || path->passed != path->seen)
        look_soon(path);
    path->seen = path->passed;
}

void fb_client_lane_first(struct client_path *path) {
    path->lanes[0].number = path->last_number = 1;
    set_state(&path->lanes[0], LANE_OPEN);
    path->look = fb_timer_new(fb_net_loop(path->client->config.net), look, path);
}

/* ---- what the volunteer says, and deaths ---- */

static bool answered(struct client_lane *lane, const struct fb_hop_msg *msg) {
    struct client_path *path = lane->path;
    struct fb_desc desc = msg->desc;
    if (lane->state != LANE_ASKING)
        return false;
    fb_desc_filter(&desc, fb_client_is_local(path->client));
    fb_desc_confine(&desc, &path->volunteer);
    if (fb_peer_set_remote(lane->peer, &desc) != 0)
        return false;
    set_state(lane, LANE_CONNECTING);
    return true;
}

/* Of a lane that was not offered, or the last open one: a breach. A path ends by a farewell. */
static bool closed(struct client_lane *lane) {
    struct client_path *path = lane->path;
    if (lane->state == LANE_GATHERING)
        return false;
    if (lane->state == LANE_OPEN)
        set_state(lane, LANE_CLOSING);
    else if (lane->state == LANE_CLOSING)
        close_lane(lane);
    else
        failed(lane);
    return open_lanes(path) > 0;
}

bool fb_client_lane_hop(struct client_path *path, const struct fb_hop_msg *msg) {
    if (msg->type == FB_HOP_FULL)
        fb_lane_plan_full(&path->plan, now_ms());
    if (msg->type != FB_HOP_LANE_ANSWER && msg->type != FB_HOP_LANE_CLOSE)
        return msg->type != FB_HOP_LANE_OFFER; /* clients alone offer */
    EACH_LANE(path, lane) {
        if (lane->state == LANE_FREE || lane->number != msg->lane)
            continue;
        return msg->type == FB_HOP_LANE_ANSWER ? answered(lane, msg) : closed(lane);
    }
    return msg->lane <= path->last_number; /* a lane that has gone meanwhile */
}

bool fb_client_lane_gone(struct client_lane *lane) {
    struct client_path *path = lane->path;
    bool carried = lane->state == LANE_OPEN;
    lane->peer = NULL;
    if (is_pending(lane))
        fb_lane_plan_failed(&path->plan, now_ms());
    set_state(lane, LANE_FREE);
    size_t left = open_lanes(path);
    if (!carried)
        return left > 0;
    if (fb_now_us() - path->deaths_us > LEAVING_US) {
        path->deaths_us = fb_now_us();
        path->deaths = 0;
    }
    path->deaths++;
    return left > 0 && (path->deaths < 2 || path->deaths < left);
}

void fb_client_lane_end(struct client_path *path) {
    EACH_LANE(path, lane) {
        close_lane(lane);
    }
}
