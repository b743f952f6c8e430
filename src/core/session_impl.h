/*
 * The inside of core/session.h, for session_*.c and no one else:
 *   session.c         birth, death, events, time
 *   session_hello.c   handshake and first messages
 *   session_path.c    life of a path, what its packets' fate means
 *   session_recv.c    packets and frames in
 *   session_send.c    packets out
 *   session_sched.c   which path they take, and which stream is served next
 *   session_stream.c  the stream calls of the owner
 */
#ifndef FB_CORE_SESSION_IMPL_H
#define FB_CORE_SESSION_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "core/meter.h"
#include "core/packet.h"
#include "core/sent.h"
#include "core/session.h"
#include "core/stream.h"
#include "core/tokens.h"

#define FB_MS UINT64_C(1000) /* in us */
#define FB_S UINT64_C(1000000)

#define FB_TOKENS_IN_HAND 16 /* that an egress keeps with a client; DESIGN asks for 8 */
#define FB_POSTS_MAX 8
#define FB_QUEUE_MAX 32 /* datagrams, and posts received and not yet taken */
#define FB_ABANDONS_MAX 32
#define FB_ECHOES_MAX 8
#define FB_PATH_ACK_RANGES FB_ACK_RANGES_MAX
#define FB_PATH_QUEUE_MAX ((size_t)256 * 1024)
#define FB_ACK_EVERY 4 /* packets that ask for it */
#define FB_ACK_DELAY (5 * FB_MS)
#define FB_REPLY_WAIT (10 * FB_S)       /* client: channel open, egress silent */
#define FB_ATTACHED_WAIT (30 * FB_S)    /* egress: attached, client silent */
#define FB_SILENT (15 * FB_S)           /* probes in vain for so long: the path is dead */
#define FB_CRAWL (500 * FB_MS)          /* beyond two round trips: a path so slow is suspect */
#define FB_KEEPALIVE (25 * FB_S)        /* client, nothing open */
#define FB_KEEPALIVE_BUSY (3 * FB_S)    /* client, streams open */
#define FB_KEEPALIVE_MORE (500 * FB_MS) /* client, what came last held data: where is the rest? */
#define FB_REKEY (3600 * FB_S)
/* In one packet received. A sender has FB_SENT_FRAMES_MAX and an ACK for each path that has none of
 * its own; more would be there to make this side work. */
#define FB_PACKET_FRAMES_MAX 128
/* PING, PATH_STATUS and PATH_ABANDON: so many at once, and so many a second. 32 suspect paths would
 * make a tenth of that. */
#define FB_FLOOD_BURST 2000
#define FB_FLOOD_RATE 250
#define FB_PATH_RESERVE ((size_t)32 * 1024) /* of the window, for control */
#define FB_RETRY (50 * FB_MS)               /* after a failed allocation */

struct fb_path {
    struct fb_list link;
    uint32_t id;
    enum fb_path_state state;
    uint64_t since; /* of the state */
    uint64_t heard; /* last authenticated packet */
    bool more;      /* it held data of a stream: there may be more on its way */
    struct fb_packets packets;
    struct fb_sent sent;
    struct fb_ranges received;      /* packet numbers to acknowledge */
    uint64_t ack_due;               /* FB_NEVER: nothing to acknowledge */
    unsigned ack_count;             /* packets since the last ACK */
    uint64_t highest_time;          /* arrival of the highest number */
    size_t queued;                  /* fb_session_path_queued() */
    size_t max_packet, want_packet; /* largest wanted by the peer, by this end */
    uint64_t status_out, status_in; /* sequence numbers of PATH_STATUS; in: next acceptable */
    uint64_t suspect_since;         /* packets below this number prove nothing any more */
    bool standby, peer_standby;     /* a spare in the eyes of this end, of the peer */
    bool suspect, peer_suspect, send_ping, send_status, send_close;
    struct fb_meter sent_meter, received_meter;
    bool event_open, event_closed;
    enum fb_path_reason reason;
    uint8_t *reply; /* egress, path 0: FB_REPLY_LEN bytes to send first, or NULL */
};

struct fb_token_entry {
    uint32_t path;
    uint8_t token[FB_TOKEN_LEN];
    bool used;  /* this entry holds a token */
    bool queue; /* egress: NEW_TOKEN to be sent */
};

struct fb_post_out {
    uint8_t *data; /* NULL: free */
    size_t len;
    uint64_t number;
    enum fb_post post;
    bool queue;
};

struct fb_blob { /* a datagram either way, or a post received */
    struct fb_list link;
    enum fb_post post;
    size_t len;
    uint8_t data[];
};

struct fb_abandon {
    uint32_t path;
    bool used, queue;
};

/* The first bytes of a stream, to be sent once more on another path than this. */
struct fb_echo {
    struct fb_sent_frame frame;
    uint32_t path;
};

struct fb_session {
    struct fb_session_config config;
    const struct fb_mem *mem;
    bool client, ready, closing, closed, event_ready, event_tokens, event_closed, closed_remote;
    enum fb_close_code code;
    void *user;
    uint64_t now, heard, no_path_since;
    uint64_t retry_at; /* nothing is sent before, for want of memory */
    uint64_t pace_at;  /* what waits may go out then */

    struct fb_noise *noise; /* client, before the handshake is done */
    uint8_t send_secret[FB_KEY_LEN], recv_secret[FB_KEY_LEN];
    uint8_t process_id[FB_PROCESS_ID_LEN];
    struct fb_token_entry tokens[FB_TOKENS_IN_HAND];
    uint32_t next_path; /* egress: id that the next token gets */

    struct fb_list paths;
    size_t path_count; /* without the closed ones */

    struct fb_map *streams;
    struct fb_list event_streams;
    struct fb_list control_streams;             /* with limits and resets to send */
    struct fb_list fresh_streams, bulk_streams; /* with data to send: see session_sched.c */
    struct fb_echo echoes[FB_ECHOES_MAX];
    size_t echo_count;
    bool held_up;        /* a stream could not go on, or has ended: what is in flight holds it up */
    uint64_t held_up_id; /* ... that stream */
    struct fb_ranges seen; /* egress: ids of streams ever opened; client: of tokens ever given */
    uint64_t next_stream;  /* client */
    uint64_t streams_limit, streams_gone;
    uint64_t peer_stream_data;     /* the limit that the peer starts each stream with */
    uint64_t out_total, out_limit; /* session flow control, sending */
    uint64_t in_total, in_read, in_limit;
    uint64_t grown;       /* bytes by which streams' windows are larger than their first ones */
    uint64_t buffered;    /* written and not acknowledged, all streams */
    uint64_t unsent;      /* of these, never sent */
    uint64_t flood_spent; /* us of FB_FLOOD_RATE: when the frames received are paid for */
    bool send_max_data, send_max_streams;
    bool starved; /* a write was cut short by config.send_buffer, not by its stream's own */

    struct fb_post_out posts[FB_POSTS_MAX];
    uint64_t next_post;
    struct fb_ranges posts_seen;
    struct fb_list datagrams_out, datagrams_in, posts_in;
    size_t datagrams_out_count, datagrams_in_count, posts_in_count;
    struct fb_blob *given; /* the blob of the last event */
    struct fb_abandon abandons[FB_ABANDONS_MAX];

    struct fb_session_stats stats;
};

/* session.c */
int fb_session_make(struct fb_session **out, const struct fb_session_config *config, bool client,
                    uint64_t now);

/* session_hello.c: the client reads the egress's reply on path 0. */
int fb_session_read_reply(struct fb_session *s, struct fb_path *p, const uint8_t *msg, size_t len,
                          uint64_t now);
/* Egress: puts tokens in the client's hand until it has FB_TOKENS_IN_HAND. */
void fb_session_issue_tokens(struct fb_session *s);

/* session_path.c */
struct fb_path *fb_path_find(const struct fb_session *s, uint32_t id);
/* Adds a path in state; keyed when the secrets are known. NULL: FB_ERR_NOMEM. */
struct fb_path *fb_path_add(struct fb_session *s, uint32_t id, enum fb_path_state state,
                            uint64_t now);
void fb_path_remove(struct fb_session *s, struct fb_path *p);
int fb_path_key(struct fb_session *s, struct fb_path *p, uint64_t now);
void fb_path_set_open(struct fb_session *s, struct fb_path *p, uint64_t now);
/* tell_owner: FB_EVENT_PATH_CLOSED; tell_peer: PATH_ABANDON. */
void fb_path_close(struct fb_session *s, struct fb_path *p, enum fb_path_reason reason,
                   bool tell_owner, bool tell_peer, uint64_t now);
/* The path's timers: acknowledgements are session_send.c's, all else is here. */
uint64_t fb_path_deadline(const struct fb_session *s, const struct fb_path *p);
void fb_path_tick(struct fb_session *s, struct fb_path *p, uint64_t now);
/* What becomes of a frame that was acknowledged or lost. */
struct fb_sent_sink fb_path_sink(struct fb_session *s);
bool fb_path_usable(const struct fb_path *p);
/* Either end wants it left idle. */
bool fb_path_spare(const struct fb_path *p);
/* A size that somebody wants, within what packets may have. */
size_t fb_path_packet(uint64_t bytes);
void fb_path_suspect(struct fb_path *p, bool suspect);

/* session_sched.c */
/* Whether a packet of this path may carry what any path may. */
bool fb_path_serves(const struct fb_session *s, const struct fb_path *p);
/* May reserve bytes more than the window be in flight? */
bool fb_path_room(const struct fb_path *p, size_t reserve);
/* The path on which a packet that may use reserve arrives first: it is not paced. NULL: none. */
struct fb_path *fb_sched_control(const struct fb_session *s, size_t reserve);
/* The path beside `than` on which first bytes of a stream may go again. NULL: none has room. */
struct fb_path *fb_sched_other(const struct fb_session *s, uint32_t than, size_t reserve);
/* A path on which what was sent on p at that time is there sooner. NULL: none, or it waits, for
 * time when s->pace_at says so. */
struct fb_path *fb_sched_help(struct fb_session *s, const struct fb_path *p, uint64_t sent,
                              uint64_t now);
/* The path for bulk data now. NULL: it waits, for time when s->pace_at says so. */
struct fb_path *fb_sched_data(struct fb_session *s, uint64_t now);
/* All that could be sent has been: paths with room left are not filled. */
void fb_sched_limited(struct fb_session *s, bool more, uint64_t now);
/* The stream whose data goes next; NULL: none has any. */
struct fb_stream *fb_sched_stream(struct fb_session *s);
/* len bytes of it went out. */
void fb_sched_spent(struct fb_session *s, struct fb_stream *st, size_t len);

/* session_stream.c */
struct fb_stream *fb_stream_find(const struct fb_session *s, uint64_t id);
struct fb_stream *fb_stream_add(struct fb_session *s, uint64_t id);
void fb_stream_wake(struct fb_session *s, struct fb_stream *st);    /* FB_EVENT_STREAM */
void fb_stream_queue(struct fb_session *s, struct fb_stream *st);   /* has something to send */
void fb_stream_requeue(struct fb_session *s, struct fb_stream *st); /* ... again: goes first */
/* It goes no further before what is in flight has arrived: see send_help(). */
void fb_stream_held_up(struct fb_session *s, const struct fb_stream *st);
/* Frees the stream when it is complete and told of; call last. */
void fb_stream_settle(struct fb_session *s, struct fb_stream *st);
void fb_stream_free(struct fb_session *s, struct fb_stream *st);
/* Drops what is to be sent, sends RESET_STREAM instead. */
void fb_stream_drop_output(struct fb_session *s, struct fb_stream *st, uint64_t code);
/* A piece of the stream's data is in a packet. */
void fb_stream_went(struct fb_session *s, struct fb_stream *st, const struct fb_piece *piece);
/* Bytes left the send buffers: streams that waited for the room are woken. */
void fb_session_unbuffer(struct fb_session *s, uint64_t len);
/* Window that the owner gave back. */
void fb_session_credit(struct fb_session *s, uint64_t len);

#endif
