/*
 * The inside of role/client.h, for client*.c and no one else:
 *   client.c        birth, death, the session
 *   client_path.c   one path: offer, answer, data channel
 *   client_lane.c   its lanes: more of those data channels
 *   client_proxy.c  the proxy's port: heads, and connections as streams
 *
 * Who calls whom: a callback of the loop changes something and then calls fb_client_pump() as its
 * last act, because that may end the session with all its paths and connections. Nothing below the
 * pump calls it again.
 */
#ifndef FB_ROLE_CLIENT_IMPL_H
#define FB_ROLE_CLIENT_IMPL_H

#include "base/list.h"
#include "core/hop.h"
#include "core/lanes.h"
#include "core/pathset.h"
#include "core/proxyhead.h"
#include "core/rendezvous.h"
#include "core/session.h"
#include "net/loop.h"
#include "role/client.h"
#include "role/joined.h"
#include "role/pipe.h"
#include "rtc/peer.h"

#define FB_CLIENT_SCRATCH 65536
/* Sockets of apps with last bytes to go: an app that stops reading is rare, and its own doing. */
#define FB_CLIENT_ENDS_MAX 256
#define FB_CLIENT_SECOND_US UINT64_C(1000000)

enum client_path_state {
    PATH_GATHERING,  /* the peer learns its own addresses */
    PATH_ASKING,     /* the offer is with the broker */
    PATH_CONNECTING, /* a volunteer has answered */
    PATH_UP,         /* the data channel is open */
    PATH_OPEN,       /* the egress has answered on it */
};

enum client_lane_state {
    LANE_FREE,
    LANE_GATHERING,  /* its peer learns its own addresses; the volunteer knows nothing of it */
    LANE_ASKING,     /* the offer is with the volunteer */
    LANE_CONNECTING, /* it has answered */
    LANE_OPEN,
    LANE_CLOSING, /* nothing more is sent on it; what is underway may arrive */
};

/* The first lane, index 0, begins with the path, and is LANE_FREE and without a number until it is
 * open; any index, that one too, may be a further lane's later. A path that is up has one open. */
struct client_lane {
    struct client_path *path;
    struct fb_peer *peer; /* NULL: none */
    enum client_lane_state state;
    uint16_t number;   /* 1: the first; above: a further one */
    uint64_t since_us; /* of the state */
    uint64_t heard_us; /* last message on it */
};

struct client_path {
    struct fb_list link; /* client->paths */
    struct fb_client *client;
    uint32_t id;
    enum client_path_state state;
    struct client_lane lanes[FB_LANES_MAX];
    struct fb_lanes sending;
    struct fb_lane_plan plan;
    struct fb_timer *look; /* at the plan, while there is something to see */
    bool looking;
    uint16_t last_number;     /* of a lane */
    struct fb_desc volunteer; /* its answer: where its lanes may be looked for */
    uint64_t passed, seen;    /* bytes on all lanes both ways; at the last look */
    uint64_t deaths_us;       /* the first of the lanes' latest row of deaths, and how many */
    unsigned deaths;
    struct fb_rendezvous *rv;       /* while the offer is out */
    struct fb_fetch *fetch;         /* the offer goes directly */
    uint8_t broker_key[FB_KEY_LEN]; /* whom it is sealed to; the document may change meanwhile */
    uint32_t number;                /* ... or through the session, under this number; 0: not */
    struct fb_timer *timer;         /* bounds the wait for an answer through the session */
    size_t queued;                  /* in the volunteer, as it says */
    bool unanswered;                /* no STUN server answered its peer */
    uint8_t first[FB_FIRST_LEN];
};

enum client_conn_state {
    CONN_HEAD,       /* its request comes */
    CONN_WAITING,    /* for a session, or for room among its streams */
    CONN_CONNECTING, /* its stream is open, the egress connects */
    CONN_OPEN,
};

/* A connection of an app. */
struct client_conn {
    struct fb_list link;      /* client->conns */
    struct fb_list wait_link; /* client->waiting, or in no list */
    struct fb_client *client;
    uv_tcp_t *tcp;
    struct fb_proxyhead *head;
    enum client_conn_state state;
    uint64_t since_us; /* of the state */
    uint64_t stream;
    uint8_t *out; /* destination, rewritten head and early data, for the stream */
    size_t out_len, out_done;
    uint64_t body_left;  /* of what the app sends, for the stream */
    struct fb_pipe pipe; /* CONN_OPEN */
};

struct fb_client {
    struct fb_client_config config;
    struct fb_join join;
    struct fb_joined *joined;
    const struct fb_document *document;

    struct fb_session *s; /* NULL: none */
    struct fb_timer *timer;
    uint8_t egress[FB_EGRESS_ID_LEN];
    uint8_t handle[FB_HANDLE_LEN]; /* what the broker calls the session by */
    const char *drop_why;          /* fb_client_drop_session()'s */
    size_t egress_turn, broker_turn;

    struct fb_list paths;
    struct fb_pathset *set;  /* decides which paths there are */
    struct fb_timer *decide; /* its deadline; without a session: when one begins */
    bool look;               /* it has something new to decide on */
    uint64_t streams_told, bytes_told;
    uint32_t next_number;

    uv_tcp_t *listener;
    uv_tcp_t *spare; /* takes the connections that there is no memory for, and closes them */
    bool spare_busy, turn_away_due;
    struct fb_addr listen;
    struct fb_list conns, waiting;
    struct fb_pipe_ends ends;
    struct fb_timer *tick; /* once a second while there are connections */
    bool ticking;
    bool stopped, pumping;

    struct fb_client_counts counts;
    uint8_t scratch[FB_CLIENT_SCRATCH];
    uint8_t message[FB_MESSAGE_MAX];
};

/* client.c */
void fb_client_say(struct fb_client *client, enum fb_client_stage stage, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Events out, messages out, new paths, timers: after anything that touched the session. */
void fb_client_pump(struct fb_client *client);
/* A path, or an attempt at one, is over, and has been ended; the next pump decides what follows. */
void fb_client_over(struct fb_client *client, uint32_t id, enum fb_pathset_why why,
                    uint64_t wait_us);
/* Ends the session as lost, on this side's word. Its paths and streams end with the pump. why: for
 * a person, static; NULL: nothing has begun that he would miss. */
void fb_client_drop_session(struct fb_client *client, const char *why);
bool fb_client_is_local(const struct fb_client *client);

/* client_path.c */
/* Begins another path. 0; FB_ERR_AGAIN: the session has no token in hand; FB_ERR_NOMEM, ... */
int fb_client_path_begin(struct fb_client *client);
/* Closes and frees; tell: the session hears of it. */
void fb_client_path_end(struct client_path *path, bool tell);
struct client_path *fb_client_path_find(struct fb_client *client, uint32_t id);
/* An answer that came through the session: number || sealed. */
void fb_client_path_post(struct fb_client *client, const uint8_t *data, size_t len);
/* No path is left to carry answers: offers that went through the session have failed. */
void fb_client_path_posts_lost(struct fb_client *client);

/* Makes the lane's peer, with what all peers of a path have in common. */
int fb_client_path_peer(struct client_lane *lane);

/* client_lane.c */
/* The first lane's data channel is open; the volunteer's answer is in path->volunteer. */
void fb_client_lane_first(struct client_path *path);
/* Sends a message on the lane with the least waiting. 0, or as fb_peer_send(). */
int fb_client_lane_send(struct client_path *path, const uint8_t *data, size_t len);
/* Bytes came in on some lane: they count for how many there should be. */
void fb_client_lane_passed(struct client_path *path, size_t len);
/* What waits in this end's lanes. */
size_t fb_client_lane_buffered(const struct client_path *path);
/* A further lane's peer has described itself, or is open. */
void fb_client_lane_described(struct client_lane *lane, const struct fb_desc *local);
void fb_client_lane_opened(struct client_lane *lane);
/* Hop control about lanes. False: the volunteer broke the rules. */
bool fb_client_lane_hop(struct client_path *path, const struct fb_hop_msg *msg);
/* A lane's peer has gone by itself. False: so has the path. */
bool fb_client_lane_gone(struct client_lane *lane);
/* Closes all. */
void fb_client_lane_end(struct client_path *path);

/* client_proxy.c */
int fb_client_proxy_start(struct fb_client *client, char err[static FB_NET_ERR_MAX]);
void fb_client_proxy_stop(struct fb_client *client);
/* Opens streams for connections that wait, as far as the session allows. */
void fb_client_proxy_open_waiting(struct fb_client *client);
/* The session's word about a stream. */
void fb_client_proxy_stream(struct fb_client *client, uint64_t stream, bool gone);
/* The session is over: what had a stream ends. */
void fb_client_proxy_session_lost(struct fb_client *client);

#endif
