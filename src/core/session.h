/*
 * A session: client and egress, end to end encrypted, over any number of paths that may lose,
 * reorder, alter or withhold what they carry, and vanish. doc/protocol.md sections 2 to 4 give the
 * formats. Sans-IO: the owner hands in time (microseconds of any steady clock, never going back),
 * messages that arrived, and data of streams; it takes out messages to send, events and a deadline.
 * * The owner's loop, after any call below:
 *     while (fb_session_next(s, &event)) ...act...
 *     while ((n = fb_session_send(s, &path, buf, now)) > 0) ...give buf to that path...
 *     ...both again, until neither gives anything: what was sent makes room for more...
 *     ...arm a timer for fb_session_deadline(s), then call fb_session_tick(s, now)...
 *
 * Life of a path at the client: fb_session_first() makes its id and the first message, which
 * travels with the offer; fb_session_path_up() when its data channel opens; FB_EVENT_PATH_OPEN when
 * the egress has answered on it; fb_session_path_down() when the channel is gone or the offer has
 * failed. At the egress: fb_session_accept() or fb_session_attach() with the first message, then
 * the same. Whoever sees FB_EVENT_PATH_CLOSED closes the transport and forgets the path; the id is
 * never used again.
 *
 * Lifetime: all memory is the session's own, from config.mem; pointers given out live until the
 * next call with the session. Not thread-safe.
 */
#ifndef FB_CORE_SESSION_H
#define FB_CORE_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/crypto.h"
#include "core/message.h"

struct fb_session;
struct fb_tokens; /* core/tokens.h: the attach tokens of one egress process */

#define FB_NEVER UINT64_MAX /* a deadline that does not come */

#define FB_SESSION_PATHS_MAX 32                        /* at once, per session */
#define FB_SESSION_NO_PATH_US (60 * UINT64_C(1000000)) /* so long lives a session without a path */
#define FB_SESSION_IDLE_US (180 * UINT64_C(1000000))   /* ... and so long without a packet */
#define FB_PATH_PACKET_MIN 1100  /* the smallest that a path may be held to, bytes */
#define FB_SESSION_POST_MAX 8192 /* bytes of one FB_EVENT_POST message */
#define FB_DATAGRAM_MAX 1400

struct fb_session_config {
    const struct fb_mem *mem; /* outlives the session, as do the next three */
    const struct fb_rng *rng;
    const struct fb_crypto *crypto;
    struct fb_tokens *tokens; /* egress only */
    uint8_t network_id[FB_NETWORK_ID_LEN];
    uint8_t egress_id[FB_EGRESS_ID_LEN];   /* the egress's public key */
    uint8_t egress_key[FB_KEY_LEN];        /* egress only: its private key */
    uint8_t process_id[FB_PROCESS_ID_LEN]; /* egress only */
    /*
     * What this side is ready to receive, and so may have to hold: bytes in all streams, and
     * (egress) streams open at once. A stream begins with a window of first_stream_data, which
     * grows to max_stream_data while its owner keeps up. Half of max_data is for that, half for the
     * first windows, so that streams which nobody reads never stop the others.
     */
    uint64_t first_stream_data, max_stream_data, max_data, max_streams;
    /* Bytes written but not acknowledged that this side keeps: per stream, and in all. A quarter
     * of the latter is shared by what has not been sent; a stream keeps 16 KiB of that at least. */
    uint64_t send_buffer_stream, send_buffer;
};

/* Fills the limits with defaults for the role; the rest is zeroed. */
void fb_session_config_init(struct fb_session_config *config, bool client);

/* ---- making, closing ---- */

/* Client: a session that has not yet met its egress. 0 or FB_ERR_NOMEM. */
int fb_session_new(struct fb_session **out, const struct fb_session_config *config, uint64_t now);
/*
 * Egress: a session from a first message of type FB_FIRST_HANDSHAKE, whose ticket the caller has
 * checked. Its path is 0. FB_ERR_AUTH (not for this egress and network), FB_ERR_MALFORMED,
 * FB_ERR_VERSION, FB_ERR_NOMEM.
 */
int fb_session_accept(struct fb_session **out, const struct fb_session_config *config,
                      const uint8_t first[static FB_FIRST_LEN], uint64_t now);
/*
 * Egress: one more path of a session, from a first message of type FB_FIRST_TOKEN (its ticket
 * checked). Finds the session by the token, which is used up whatever the result. *session and
 * *path are set on success. FB_ERR_NOT_FOUND (unknown or used token), FB_ERR_AUTH, FB_ERR_LIMIT.
 */
int fb_session_attach(struct fb_tokens *tokens, const uint8_t first[static FB_FIRST_LEN],
                      uint64_t now, struct fb_session **session, uint32_t *path);
/* Wipes and frees; nothing is sent (fb_session_close() first to tell the peer). NULL-safe. */
void fb_session_free(struct fb_session *s);

/* CLOSE frame; RFC 9000 section 20 where the same. */
enum fb_close_code {
    FB_CLOSE_NONE = 0x00,     /* done */
    FB_CLOSE_INTERNAL = 0x01, /* out of memory and the like */
    FB_CLOSE_FLOW_CONTROL = 0x03,
    FB_CLOSE_STREAM_LIMIT = 0x04,
    FB_CLOSE_FINAL_SIZE = 0x06,
    FB_CLOSE_FRAME = 0x07,    /* malformed frame */
    FB_CLOSE_PROTOCOL = 0x0a, /* a violation of another kind */
    FB_CLOSE_IDLE = 0x20,     /* local only: no packet, or no path, for too long */
    FB_CLOSE_LIMIT = 0x21,    /* the egress will not serve this session further */
    FB_CLOSE_SHUTDOWN = 0x22, /* the process ends */
    FB_CLOSE_FLOOD = 0x23,    /* more PING and frames about paths than paths could need */
};
/* A phrase for people. */
const char *fb_close_text(enum fb_close_code code);
/* Sends CLOSE on the paths there are, then the session is dead: FB_EVENT_CLOSED follows. */
void fb_session_close(struct fb_session *s, enum fb_close_code code);

/* True from the end of the handshake until it is closed. */
bool fb_session_ready(const struct fb_session *s);
bool fb_session_closed(const struct fb_session *s);
/* Client, once ready: the egress process that holds the session. */
const uint8_t *fb_session_process_id(const struct fb_session *s);

/* For the owner of many sessions; the session never looks at it. */
void fb_session_set_user(struct fb_session *s, void *user);
void *fb_session_user(const struct fb_session *s);

/* ---- paths ---- */

/*
 * Client: a first message and the id of the path that it starts. Before the handshake is done a
 * second call starts it afresh and the earlier path is forgotten. Afterwards it costs a token:
 * FB_ERR_AGAIN when none is in hand (wait for FB_EVENT_TOKENS), FB_ERR_CLOSED, FB_ERR_NOMEM.
 */
int fb_session_first(struct fb_session *s, uint32_t *path, uint8_t out[static FB_FIRST_LEN],
                     uint64_t now);
/* Client: the data channel of this path is open. FB_ERR_NOT_FOUND when it is gone already. */
int fb_session_path_up(struct fb_session *s, uint32_t path, uint64_t now);
/* The transport of a path is gone, or its offer has failed. No FB_EVENT_PATH_CLOSED follows. */
void fb_session_path_down(struct fb_session *s, uint32_t path, uint64_t now);
/* Bytes that a path's transport has taken and not yet passed on; sending pauses over 256 KiB, as
 * far as so much is in flight: what is said here may be old. */
void fb_session_path_queued(struct fb_session *s, uint32_t path, size_t bytes);
/* Paths on which data can flow now. */
size_t fb_session_open_paths(const struct fb_session *s);
/*
 * A warm spare: an open path that gets no data, of either end (the peer is told), as long as
 * another is open and not suspect; then data flows on it at once, as on any other, until another is
 * back. May be said of a path in any state. FB_ERR_NOT_FOUND: it is gone.
 */
int fb_session_path_standby(struct fb_session *s, uint32_t path, bool standby);

/*
 * The largest packet that suits a path, in both directions (the peer is told), from
 * FB_PATH_PACKET_MIN to FB_MESSAGE_MAX bytes. The session makes them smaller where the path is
 * slow; larger ones remain possible for what cannot be cut. FB_ERR_NOT_FOUND: it is gone.
 */
int fb_session_path_max_packet(struct fb_session *s, uint32_t path, size_t bytes);

enum fb_path_state {
    FB_PATH_IS_OFFERED,  /* client: the first message is made */
    FB_PATH_IS_UP,       /* client: the channel is open, the egress has not answered */
    FB_PATH_IS_ATTACHED, /* egress: the first message was good, the channel may not be open */
    FB_PATH_IS_OPEN,
    FB_PATH_IS_CLOSED, /* gone; kept 3 T for late acknowledgements */
};

/* What is known of one path, to judge its worth by. */
struct fb_path_stats {
    enum fb_path_state state;
    bool standby;                     /* said by this end or by the peer */
    bool suspect;                     /* this end waits in vain, and uses others instead */
    bool silent;                      /* this end waits in vain, be it the only path */
    uint64_t since_us;                /* when it came into its state */
    uint64_t heard_us;                /* last authenticated packet; before: when it was made */
    uint64_t smoothed_rtt_us;         /* 0: no sample yet */
    uint64_t min_rtt_us;              /* 0: no sample yet */
    uint64_t send_rate, receive_rate; /* bytes a second of late: acknowledged, arrived */
    uint64_t sent_bytes;              /* of packets, acknowledged */
    uint64_t received_bytes;          /* of packets, authenticated */
    size_t in_flight;                 /* bytes sent, not acknowledged, not given up */
    size_t window;                    /* bytes that may be in flight now */
    bool full;                        /* of late there was always more to send than it took */
};
/* FB_ERR_NOT_FOUND: it is gone. */
int fb_session_path_stats(const struct fb_session *s, uint32_t path, uint64_t now,
                          struct fb_path_stats *stats);

/*
 * A session message (kind byte included) from a path; it is decrypted in place. 0, also for what
 * is dropped (duplicates, unknown path); FB_ERR_AUTH or FB_ERR_MALFORMED: this path is closed
 * (FB_EVENT_PATH_CLOSED follows); FB_ERR_CLOSED: the session is.
 */
int fb_session_recv(struct fb_session *s, uint32_t path, uint8_t *msg, size_t len, uint64_t now);
/* The next message to send and its path; 0 when there is none now. */
size_t fb_session_send(struct fb_session *s, uint32_t *path, uint8_t buf[static FB_MESSAGE_MAX],
                       uint64_t now);
uint64_t fb_session_deadline(const struct fb_session *s);
void fb_session_tick(struct fb_session *s, uint64_t now);

/* ---- events ---- */

enum fb_event_type {
    FB_EVENT_READY,       /* handshake done */
    FB_EVENT_CLOSED,      /* code says why; the last event. Free the session. */
    FB_EVENT_PATH_OPEN,   /* path */
    FB_EVENT_PATH_CLOSED, /* path, path_reason: close its transport */
    FB_EVENT_TOKENS,      /* client: fb_session_first() has a token again */
    FB_EVENT_STREAM_NEW,  /* egress: stream */
    FB_EVENT_STREAM,      /* stream: something changed; look at fb_stream_*() */
    FB_EVENT_STREAM_GONE, /* stream: finished both ways or reset; its id is dead now */
    FB_EVENT_DATAGRAM,    /* data, len */
    FB_EVENT_POST,        /* post, data, len: a whole message, once */
};

enum fb_path_reason {
    FB_PATH_DOWN,      /* the transport said so */
    FB_PATH_SILENT,    /* nothing came back for too long */
    FB_PATH_ALTERED,   /* a message failed authentication */
    FB_PATH_LOSSY,     /* too many messages never arrived */
    FB_PATH_ABANDONED, /* the peer gave it up */
    FB_PATH_NO_REPLY,  /* the egress never answered on it */
};
const char *fb_path_reason_text(enum fb_path_reason reason);

enum fb_post { FB_POST_BROKER = 0x22, FB_POST_DOCUMENT = 0x23 };

struct fb_event {
    enum fb_event_type type;
    enum fb_close_code code;
    bool remote; /* FB_EVENT_CLOSED: the peer closed */
    uint32_t path;
    enum fb_path_reason path_reason;
    uint64_t stream;
    enum fb_post post;
    const uint8_t *data; /* until the next call with the session */
    size_t len;
};
/* False when there is no event left. */
bool fb_session_next(struct fb_session *s, struct fb_event *event);

/* ---- streams: opened by the client, bidirectional, ids 0, 1, 2, ... ---- */

/* FB_ERR_LIMIT: the egress allows no more now. FB_ERR_STATE before FB_EVENT_READY. */
int fb_stream_open(struct fb_session *s, uint64_t *stream);
/* Bytes that fb_stream_write() would take now. When it was 0 or a write was cut short,
 * FB_EVENT_STREAM comes once there is room again. */
size_t fb_stream_room(struct fb_session *s, uint64_t stream);
/* Takes up to len bytes, copied; returns how many. */
size_t fb_stream_write(struct fb_session *s, uint64_t stream, const uint8_t *data, size_t len);
/* Nothing more will be written. */
void fb_stream_finish(struct fb_session *s, uint64_t stream);
/* The bytes that come next, in order; *data points at *len of them (0: none yet). True when *len
 * is 0 and the peer has finished. */
bool fb_stream_peek(struct fb_session *s, uint64_t stream, const uint8_t **data, size_t *len);
/* Gives back len peeked bytes; their window goes to the peer. */
void fb_stream_consume(struct fb_session *s, uint64_t stream, size_t len);
/* Abandons what was written (RESET_STREAM) and asks the peer to stop (STOP_SENDING): the stream
 * ends at once here. code is for the peer's fb_stream_peer_reset(). */
void fb_stream_reset(struct fb_session *s, uint64_t stream, uint64_t code);
/* True when the peer reset or stopped the stream; *code is set. Answer with fb_stream_reset(). */
bool fb_stream_peer_reset(const struct fb_session *s, uint64_t stream, uint64_t *code);
/* True when all that was written has been acknowledged. */
bool fb_stream_drained(const struct fb_session *s, uint64_t stream);
void fb_stream_set_user(struct fb_session *s, uint64_t stream, void *user);
void *fb_stream_user(const struct fb_session *s, uint64_t stream);

/* ---- messages beside the streams ---- */

/* Unreliable (RFC 9221). At most FB_DATAGRAM_MAX bytes. FB_ERR_AGAIN: dropped, queue full. */
int fb_session_datagram(struct fb_session *s, const uint8_t *data, size_t len);
/* Reliable, unordered, at most FB_SESSION_POST_MAX bytes. FB_ERR_AGAIN: eight are under way. */
int fb_session_post(struct fb_session *s, enum fb_post post, const uint8_t *data, size_t len);

/* ---- what an owner may count; nothing here links two sessions ---- */

struct fb_session_stats {
    uint64_t sent_packets, received_packets, lost_packets, spurious_packets, dropped_packets;
    uint64_t sent_bytes, received_bytes; /* messages on paths */
    uint64_t smoothed_rtt_us;            /* of the best path; 0 unknown */
    uint64_t buffered_bytes; /* held now: written and unacknowledged, received and unread */
};
void fb_session_stats(const struct fb_session *s, struct fb_session_stats *stats);

#endif
