/*
 * The messages by which client, broker, volunteer and egress arrange a path. This is their bytes
 * alone; doc/protocol.md has every layout. Encoders return the length written, or FB_ERR_TOO_BIG
 * (does not fit cap) or FB_ERR_MALFORMED (a field that no message may have); decoders take exactly
 * one message and return 0, FB_ERR_MALFORMED or FB_ERR_VERSION. Pointers in a decoded message lead
 * into the input; everything else is copied.
 */
#ifndef FB_CORE_SIGNAL_H
#define FB_CORE_SIGNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/describe.h"
#include "core/message.h"

#define FB_SIGNAL_VERSION 1
#define FB_HANDLE_LEN 16 /* what the broker calls a session by; all zero: none yet */
#define FB_COUNTRY_LEN 2 /* ISO 3166-1 alpha-2, upper case; two zero bytes: unknown */

/* NAT mapping as two STUN servers show it (RFC 5780 section 4.3). */
enum fb_nat {
    FB_NAT_UNKNOWN = 0,
    FB_NAT_EASY = 1, /* no NAT, or endpoint-independent mapping */
    FB_NAT_HARD = 2, /* address- or port-dependent ("symmetric") mapping */
    FB_NAT_COUNT
};

enum fb_volunteer_kind {
    FB_VOLUNTEER_HEADLESS = 0,
    FB_VOLUNTEER_BROWSER = 1,
    FB_VOLUNTEER_EXTENSION = 2,
    FB_VOLUNTEER_KIND_COUNT
};

/* ---- Client and broker: the payloads of the sealed offer and answer (Noise_NK) ---- */

/* Sizes never vary. With Noise's 48 bytes the sealed forms are 1,024 and 768 bytes. */
#define FB_OFFER_LEN 976
#define FB_ANSWER_LEN 720

enum fb_offer_flag {
    FB_OFFER_BROWSERS_ONLY = 0x01, /* the traffic profile wants a browser's DTLS ClientHello */
};

struct fb_offer {
    uint8_t flags;
    enum fb_nat nat;
    uint8_t egress[FB_EGRESS_ID_LEN];
    uint8_t process[FB_PROCESS_ID_LEN]; /* all zero: any process of that egress */
    uint8_t handle[FB_HANDLE_LEN];
    uint8_t first[FB_FIRST_LEN]; /* the path's first session message */
    struct fb_desc desc;
};

/* out takes FB_OFFER_LEN bytes. */
int fb_offer_encode(const struct fb_offer *offer, uint8_t out[FB_OFFER_LEN]);
int fb_offer_decode(struct fb_offer *out, const uint8_t *in, size_t len);

enum fb_answer_status {
    FB_ANSWER_OK = 0,
    FB_ANSWER_NOBODY = 1,       /* no volunteer was free within the time that the broker waits */
    FB_ANSWER_AGAIN = 2,        /* the volunteer did not answer: send a fresh offer at once */
    FB_ANSWER_PROCESS_GONE = 3, /* that egress process is gone: start a new session */
    FB_ANSWER_NO_EGRESS = 4,    /* no such egress, or none of its processes is up */
    FB_ANSWER_LIMIT = 5,        /* too many offers; see retry_after */
    FB_ANSWER_DENIED = 6,       /* policy; another offer will not help */
    FB_ANSWER_MALFORMED = 7,    /* the offer opened but does not parse */
    FB_ANSWER_VERSION = 8,      /* this broker does not speak the client's version */
    FB_ANSWER_STATUS_COUNT
};

struct fb_answer {
    enum fb_answer_status status;
    uint16_t retry_after;             /* seconds; 0: at will */
    uint8_t handle[FB_HANDLE_LEN];    /* to be used in the session's next offer */
    uint64_t document;                /* version of the newest network document; 0: not known */
    char country[FB_COUNTRY_LEN + 1]; /* the volunteer's, for display; "" when unknown */
    struct fb_desc desc;              /* with FB_ANSWER_OK only */
};

int fb_answer_encode(const struct fb_answer *answer, uint8_t out[FB_ANSWER_LEN]);
int fb_answer_decode(struct fb_answer *out, const uint8_t *in, size_t len);
/* A short phrase for a person ("no volunteer is free"). */
const char *fb_answer_status_text(enum fb_answer_status status);

/* ---- Volunteer and broker: binary messages on the WebSocket /v1/volunteer ---- */

#define FB_VOL_MAX 1024 /* longest message, either way */

enum fb_vol_type {
    FB_VOL_HELLO = 1,   /* volunteer: first message */
    FB_VOL_WELCOME = 2, /* broker: answers HELLO */
    FB_VOL_READY = 3,   /* volunteer: takes this many matches more than it has said so far */
    FB_VOL_OFFER = 4,   /* broker: uses one of them up; tells where the client is */
    FB_VOL_ANSWER = 5,  /* volunteer */
    FB_VOL_DECLINE = 6, /* volunteer: instead of ANSWER */
    FB_VOL_RELEASE = 7, /* broker: the client has the answer; attach with this */
    FB_VOL_CANCEL = 8,  /* broker: forget the match (too late, or the client is gone) */
    FB_VOL_DONE = 9,    /* volunteer: a match that was answered is over; not after CANCEL */
    FB_VOL_STATUS = 10, /* volunteer: now and then, which also keeps the socket alive */
};

enum fb_decline {
    FB_DECLINE_BUSY = 0,
    FB_DECLINE_FAILED = 1, /* no peer connection could be made, or not described in time */
    FB_DECLINE_COUNT
};

enum fb_outcome {
    FB_OUTCOME_CARRIED = 0,       /* both hops opened; now over */
    FB_OUTCOME_PEER_FAILED = 1,   /* the data channel never opened: the pair may not fit */
    FB_OUTCOME_EGRESS_FAILED = 2, /* the egress could not be reached or refused */
    FB_OUTCOME_STOPPED = 3,       /* switched off, or a limit, before both had opened */
    FB_OUTCOME_COUNT
};

struct fb_vol_hello {
    uint8_t version;
    enum fb_volunteer_kind kind;
    enum fb_nat nat;
    uint16_t capacity;
};

struct fb_vol_welcome {
    uint8_t version;
    char country[FB_COUNTRY_LEN + 1]; /* the volunteer's own, "" when unknown */
};

struct fb_vol_release {
    uint8_t egress[FB_EGRESS_ID_LEN];
    uint8_t ticket[FB_TICKET_LEN];
    uint8_t first[FB_FIRST_LEN];
};

struct fb_vol_msg {
    enum fb_vol_type type;
    uint64_t match; /* OFFER to DONE: the broker's number, meaningful on that socket alone */
    char country[FB_COUNTRY_LEN + 1]; /* OFFER: the client's, "" when unknown */
    union {
        struct fb_vol_hello hello;
        struct fb_vol_welcome welcome;
        uint16_t free;           /* READY */
        struct fb_desc desc;     /* OFFER, ANSWER; CANCEL: no bytes */
        enum fb_decline decline; /* DECLINE */
        struct fb_vol_release release;
        enum fb_outcome outcome; /* DONE */
        uint16_t carrying;       /* STATUS: matches being carried */
    };
};

int fb_vol_encode(const struct fb_vol_msg *msg, uint8_t *out, size_t cap);
int fb_vol_decode(struct fb_vol_msg *out, const uint8_t *in, size_t len);

/* ---- Broker and egress: binary messages on their authenticated link ---- */

#define FB_LINK_MAX 2048
#define FB_LINK_SEALED_MAX 1536 /* a sealed offer or answer */
#define FB_TICKET_ID_LEN 16

enum fb_link_type {
    FB_LINK_HELLO = 1,  /* egress: first message */
    FB_LINK_LOAD = 2,   /* egress: every few seconds */
    FB_LINK_REPORT = 3, /* egress: what became of a ticket */
    FB_LINK_OFFER = 4,  /* egress: a sealed offer that came through a session */
    FB_LINK_ANSWER = 5, /* broker: the sealed answer to it; empty: it did not open */
    FB_LINK_CANCEL = 6, /* egress: nobody waits for that answer any more */
};

enum fb_link_event {
    FB_LINK_ATTACHED = 0, /* the path's first packet was authentic */
    FB_LINK_CLOSED = 1,   /* the path is over */
    FB_LINK_SILENT = 2,   /* no authentic packet in time */
    FB_LINK_EVENT_COUNT
};

struct fb_link_hello {
    uint8_t version;
    uint8_t egress[FB_EGRESS_ID_LEN];
    uint8_t process[FB_PROCESS_ID_LEN];
};

struct fb_link_load {
    uint32_t sessions, paths;
    uint64_t bytes; /* since the process's start, both directions */
};

struct fb_link_report {
    uint8_t ticket[FB_TICKET_ID_LEN];
    enum fb_link_event event;
    uint64_t bytes;   /* CLOSED: both directions */
    uint32_t seconds; /* CLOSED: from attach to close */
};

struct fb_link_sealed {
    uint64_t request; /* the egress's number for it */
    const uint8_t *bytes;
    size_t len;
};

struct fb_link_msg {
    enum fb_link_type type;
    union {
        struct fb_link_hello hello;
        struct fb_link_load load;
        struct fb_link_report report;
        struct fb_link_sealed sealed; /* OFFER, ANSWER */
    };
};

int fb_link_encode(const struct fb_link_msg *msg, uint8_t *out, size_t cap);
int fb_link_decode(struct fb_link_msg *out, const uint8_t *in, size_t len);

#endif
