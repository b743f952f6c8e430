/*
 * What travels on both hops of a path (client-volunteer data channel, volunteer-egress WebSocket):
 * the first byte of each message is its kind. doc/protocol.md gives every layout to the bit.
 */
#ifndef FB_CORE_MESSAGE_H
#define FB_CORE_MESSAGE_H

#include <stdint.h>

#define FB_PROTOCOL_VERSION 1

/* A whole message, kind included: with SCTP's, DTLS's, TLS's and WebSocket's headers it stays one
 * TLS record and one WebSocket frame (doc/performance.md has the cost of more). */
#define FB_MESSAGE_MAX 16000

enum fb_kind {
    FB_KIND_COVER = 0x00,   /* dropped by whoever receives it */
    FB_KIND_SESSION = 0x01, /* relayed as it is */
    FB_KIND_HOP = 0x02,     /* hop control: between two neighbours, never relayed */
    FB_KIND_ATTACH = 0x03,  /* ticket + first message; the first on the WebSocket, nowhere else */
};

/* Second byte of a session message. */
enum fb_session_type {
    FB_PACKET_PHASE0 = 0x00, /* a sealed packet under key phase 0 ... */
    FB_PACKET_PHASE1 = 0x01, /* ... and 1 */
    FB_FIRST_HANDSHAKE = 0x10,
    FB_FIRST_TOKEN = 0x11,
    FB_HANDSHAKE_REPLY = 0x12,
};

/* Every first message has this size, so that a new session and a new path of an old one look
 * alike to the volunteer. */
#define FB_FIRST_LEN 256
/* Session message with Noise message 2, likewise fixed. */
#define FB_REPLY_LEN 512

#define FB_TOKEN_LEN 16
#define FB_TICKET_LEN 141    /* the broker's signed permission to attach (doc/protocol.md) */
#define FB_PROCESS_ID_LEN 16 /* random at an egress process's start */
#define FB_NETWORK_ID_LEN 32 /* the network's Ed25519 public key */
#define FB_EGRESS_ID_LEN 32  /* the egress's X25519 public key */

#endif
