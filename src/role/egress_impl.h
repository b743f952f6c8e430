/*
 * The inside of role/egress.h, for egress*.c and no one else:
 *   egress.c          birth, death, the broker, counts
 *   egress_path.c     one WebSocket: ticket, messages, end
 *   egress_session.c  one session: what it sends and tells
 *   egress_stream.c   one stream: destination, connect, both directions
 *
 * Who calls whom: a callback of the loop (socket, timer, dial) changes something and then calls
 * fb_egress_pump() as its last act, because that may free the session with all its paths and
 * streams. Nothing below the pump calls it again.
 */
#ifndef FB_ROLE_EGRESS_IMPL_H
#define FB_ROLE_EGRESS_IMPL_H

#include "base/list.h"
#include "core/hop.h"
#include "core/tokens.h"
#include "net/loop.h"
#include "role/dial.h"
#include "role/egress.h"
#include "role/pipe.h"

#define FB_EGRESS_SCRATCH 65536           /* read from an origin at once, at most */
#define FB_EGRESS_ATTACH_WAIT_US 10000000 /* from accept to the first message */
#define FB_EGRESS_LINGER_US 30000000      /* for an origin to take the last bytes */
/* Sockets of origins with last bytes to go, of all sessions: up to 64 MiB of copies, and few beside
 * the 20,000 descriptors that streams may have. Honest origins take them in a round trip. */
#define FB_EGRESS_ENDS_MAX 1024
/* A session may hold one in so many of the streams that the egress has left, or one: whatever some
 * do, a stream is there for those that have few. (The dynamic threshold of switches' shared
 * buffers: Choudhury and Hahne, 1998.) */
#define FB_EGRESS_STREAMS_SHARE 8

struct egress_session {
    struct fb_list link; /* egress->sessions */
    struct fb_egress *egress;
    struct fb_session *s;
    struct fb_timer *timer;
    struct fb_list paths, streams;
    struct fb_quota streams_quota, offers_quota, documents_quota;
    size_t writing;  /* bytes copied for sockets of origins that were full */
    size_t buffered; /* of all kinds, as counted in egress->buffered */
};

struct egress_path {
    struct fb_list link; /* egress->waiting, later session->paths */
    struct fb_egress *egress;
    struct egress_session *session; /* NULL: its ticket has not come */
    struct fb_ws *ws;
    uint32_t id;
    uint64_t since_us; /* accepted, later attached */
    bool open;         /* a packet under the session's keys came */
    uint64_t bytes;    /* both directions */
    size_t queued;     /* in the volunteer, as it says */
    uint64_t full_us;  /* when FB_HOP_FULL was said last */
    uint8_t ticket[FB_TICKET_ID_LEN];
};

enum egress_stream_state { STREAM_HEAD, STREAM_DIALING, STREAM_OPEN, STREAM_FAILED };

struct egress_stream {
    struct fb_list link;        /* session->streams */
    struct fb_list paused_link; /* egress->paused, or in no list */
    struct fb_list head_link;   /* egress->heads in STREAM_HEAD, else in no list */
    struct egress_session *session;
    uint64_t id;
    uint64_t since_us; /* its first byte came */
    enum egress_stream_state state;
    struct fb_dial *dial;
    struct fb_pipe pipe; /* STREAM_OPEN */
    uint8_t status;      /* enum fb_dest_status */
    bool status_due;
    size_t head_len;
    uint8_t head[FB_DEST_MAX];
};

/* An offer that is with the broker. */
struct egress_offer {
    struct fb_list link; /* egress->offers */
    struct egress_session *session;
    uint64_t request; /* ours, at the broker */
    uint32_t number;  /* the client's */
};

struct fb_egress {
    struct fb_egress_config config;
    struct fb_ticket_key ticket_keys[FB_EGRESS_TICKET_KEYS_MAX];
    uint8_t process_id[FB_PROCESS_ID_LEN];
    struct fb_session_config session_config;
    struct fb_tokens *tokens;
    struct fb_replay *replay;
    struct fb_dialer *dialer;
    struct fb_timer *tick;   /* load for the broker; what does not go on: egress.c, tick() */
    const uint8_t *document; /* NULL: none */
    size_t document_len;
    uint64_t document_serial;
    struct fb_broker_link broker;
    bool has_broker, stopped;
    struct fb_list sessions, waiting, offers, paused;
    struct fb_list heads; /* streams without a destination yet, oldest first */
    struct fb_pipe_ends ends;
    struct fb_quota streams_quota;
    uint64_t load_due_us, next_request;
    struct fb_egress_counts counts;
    uint8_t scratch[FB_EGRESS_SCRATCH];
    uint8_t message[FB_MESSAGE_MAX];
};

/* egress.c: arms the tick for what waits now. */
void fb_egress_arm(struct fb_egress *egress);

/* egress_path.c */
bool fb_egress_path_accept(void *egress, struct fb_ws *ws, void **user);
extern const struct fb_ws_handler fb_egress_path_handler;
/* Says farewell, closes the socket, reports to the broker and frees. The session is told by the
 * caller, if it does not know already. */
/* A message of the session's went out on it. */
void fb_egress_path_sent(struct egress_path *path, size_t len);
void fb_egress_path_close(struct egress_path *path, enum fb_farewell farewell, const char *why);
/* Its session says that it is open: reports to the broker. */
void fb_egress_path_opened(struct egress_path *path);

/* egress_session.c */
/* A new session around s, which it owns; NULL without memory (s is the caller's still). */
struct egress_session *fb_egress_session_new(struct fb_egress *egress, struct fb_session *s);
/* Events out, packets out, timer: after anything that touched the session. It may be gone after. */
void fb_egress_pump(struct egress_session *session);
/* Frees it with its paths and streams; nothing is sent. */
void fb_egress_session_end(struct egress_session *session, enum fb_close_code code, bool remote);
/* What each session may hold when the total is reached. */
size_t fb_egress_share(const struct fb_egress *egress);
struct egress_path *fb_egress_session_path(struct egress_session *session, uint32_t id);

/* egress_stream.c */
void fb_egress_stream_new(struct egress_session *session, uint64_t id);
/* Something changed at the session's end of it. */
void fb_egress_stream_event(struct egress_stream *st);
struct egress_stream *fb_egress_stream_find(struct egress_session *session, uint64_t id);
/* Closes towards the origin and frees; nothing is said to the session. gently: what was written
 * still goes out, within FB_EGRESS_LINGER_US. */
void fb_egress_stream_free(struct egress_stream *st, bool gently);
/* Resets those that have not named a destination for too long. */
void fb_egress_reset_late(struct fb_egress *egress, uint64_t now_us);
/* Starts reading from origins again where the total of held bytes had stopped it; for one session,
 * or all (NULL). To be called when those may read: what may not would go round for ever. */
void fb_egress_resume_paused(struct fb_egress *egress, const struct egress_session *only);

#endif
