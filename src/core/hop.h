/*
 * Hop control (FB_KIND_HOP): what two neighbours on a path, volunteer and client or volunteer and
 * egress, say to each other and never pass on. This is the messages' bytes alone; doc/protocol.md
 * has every layout. On the volunteer's hop they may take any lane, so they overtake each other.
 */
#ifndef FB_CORE_HOP_H
#define FB_CORE_HOP_H

#include <stddef.h>
#include <stdint.h>

#include "core/describe.h"
#include "core/message.h"

#define FB_HOP_MAX 512 /* longest of these, kind byte included */

enum fb_hop_type {
    FB_HOP_QUEUE = 1,       /* from the volunteer: bytes it holds that its reader has not taken */
    FB_HOP_LIMIT = 2,       /* from the volunteer, once, when open: queue that closes the path */
    FB_HOP_FAREWELL = 3,    /* either side: closing, and why */
    FB_HOP_LANE_OFFER = 16, /* from the client: one more lane, and how to reach this end of it */
    FB_HOP_LANE_ANSWER = 17,
    FB_HOP_LANE_CLOSE = 18, /* either side: nothing more will be sent on it, in either direction */
    FB_HOP_FULL =
        19, /* from the egress, passed on to the client: more to send than the path takes */
    /* Receivers ignore types that they do not know. */
};

enum fb_farewell {
    FB_FAREWELL_OFF = 0,      /* the visitor switched off, the tab closes, the daemon stops */
    FB_FAREWELL_QUEUE = 1,    /* the queue passed the limit */
    FB_FAREWELL_PEER = 2,     /* the client's side is gone */
    FB_FAREWELL_EGRESS = 3,   /* the egress's side is gone */
    FB_FAREWELL_TIMEOUT = 4,  /* did not open in time */
    FB_FAREWELL_PROTOCOL = 5, /* the other side broke the rules */
    FB_FAREWELL_DONE = 6,     /* from client or egress: the path is no longer wanted */
    FB_FAREWELL_DENIED = 7,   /* from the egress: bad ticket, or over a limit */
    FB_FAREWELL_COUNT
};

struct fb_hop_msg {
    uint8_t type;              /* enum fb_hop_type, or one that this version does not know */
    uint32_t bytes;            /* QUEUE, LIMIT */
    enum fb_farewell farewell; /* FAREWELL */
    uint16_t lane;             /* LANE_...: its number on this path; the first lane's is 1 */
    struct fb_desc desc;       /* LANE_OFFER (setup actpass), LANE_ANSWER (active) */
};

/* Length of the whole message, kind byte included, or FB_ERR_TOO_BIG (does not fit cap),
 * FB_ERR_MALFORMED (a field that no message may have). */
int fb_hop_encode(const struct fb_hop_msg *msg, uint8_t *out, size_t cap);
/* Takes exactly one message. 0 or FB_ERR_MALFORMED; *out is then all zero. */
int fb_hop_decode(struct fb_hop_msg *out, const uint8_t *in, size_t len);
/* A short phrase for a person ("its queue was full"). */
const char *fb_farewell_text(enum fb_farewell why);

#endif
