/*
 * One WebRTC connection with one data channel: what a browser calls RTCPeerConnection, with a
 * channel made by {negotiated: true, id: 0, ordered: false}. Unordered and reliable, binary, no
 * trickle, UDP only, a fresh certificate and fresh ICE credentials and ports each time.
 *
 *     offerer:  new(offerer)  -> described -> ... the answer comes ... set_remote -> open
 *     answerer: new, set_remote -> described -> ... the answer goes out ...       -> open
 *
 * All functions are called, and all callbacks come, on the thread of the loop given to fb_rtc_new.
 * Callbacks may call everything here, fb_peer_close included; none is made from inside a function
 * of this header.
 *
 * Ownership: a user holds the pointer until `closed` is called or it calls fb_peer_close, whichever
 * is first; after either no callback comes and the pointer is dead.
 *
 * Bounds: what was sent and not yet taken by SCTP (send_max), what SCTP holds unacknowledged
 * (send_window), what the other side may send ahead (recv_window), and what waits for the loop
 * (recv_max: beyond it nothing more is read from SCTP, so the advertised window closes).
 */
#ifndef FB_RTC_PEER_H
#define FB_RTC_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/describe.h"
#include "core/signal.h"
#include "rtc/rtc.h"

/* Longest message, either way; a longer one that arrives closes the peer. */
#define FB_PEER_MESSAGE_MAX 16384

/*
 * Measured (100 ms, 50 Mbit/s): with a large window one connection overshoots in slow start, loses
 * thousands of packets and needs 20 s to recover; with 128 KiB nothing is dropped.
 */
#define FB_PEER_RECV_WINDOW (128 * 1024)
#define FB_PEER_SEND_WINDOW (256 * 1024)
#define FB_PEER_QUEUE_MAX (1024 * 1024)
#define FB_PEER_TIMEOUT_MS 15000
#define FB_PEER_GATHER_MS 3000

struct fb_peer;

enum fb_peer_stage { FB_PEER_ICE_CONNECTED, FB_PEER_DTLS_DONE, FB_PEER_SCTP_OPEN };

enum fb_peer_reason {
    FB_PEER_BY_REMOTE,       /* the other side closed */
    FB_PEER_LOST,            /* was open, then answered nothing (consent, RFC 7675) */
    FB_PEER_NO_ADDRESS,      /* this machine has no address to offer */
    FB_PEER_ICE_FAILED,      /* every pair of candidates was tried */
    FB_PEER_ICE_TIMEOUT,     /* no pair answered in time */
    FB_PEER_DTLS_TIMEOUT,    /* ICE connected, DTLS did not finish in time */
    FB_PEER_DTLS_FAILED,     /* the DTLS handshake or a record failed */
    FB_PEER_FINGERPRINT,     /* the certificate is not the one described */
    FB_PEER_SCTP_TIMEOUT,    /* DTLS done, the channel did not open in time */
    FB_PEER_SCTP_FAILED,     /* the SCTP association was refused or broken */
    FB_PEER_MESSAGE_TOO_BIG, /* the other side sent more than FB_PEER_MESSAGE_MAX */
    FB_PEER_SYSTEM           /* a library or the operating system failed here */
};

/* One short phrase for a person. */
const char *fb_peer_reason_text(enum fb_peer_reason reason);

struct fb_peer_handler {
    /* Gathering is done: this is what the other side needs. Once. */
    void (*described)(void *user, struct fb_peer *peer, const struct fb_desc *local);
    /* May be NULL. FB_PEER_SCTP_OPEN comes just before `open`. */
    void (*progress)(void *user, struct fb_peer *peer, enum fb_peer_stage stage);
    void (*open)(void *user, struct fb_peer *peer);
    /* One message, valid during the call, writable (it may be decrypted in place); len may be 0. */
    void (*message)(void *user, struct fb_peer *peer, uint8_t *data, size_t len);
    /* fb_peer_buffered has fallen to send_low from above it. May be NULL. */
    void (*writable)(void *user, struct fb_peer *peer);
    /* The connection is over, or never came to be. */
    void (*closed)(void *user, struct fb_peer *peer, enum fb_peer_reason reason);
};

/* Zero in a number means the default above (send_low: a quarter of send_max). */
struct fb_peer_config {
    bool offerer; /* makes the offer and is ICE-controlling; otherwise it answers */
    bool local;   /* networks on one machine: loopback is offered where there is nothing else */
    const struct fb_addr *stun; /* IPv4; two of them, by chance, learn of this peer */
    size_t stun_count;
    uint32_t timeout_ms; /* from set_remote until open */
    uint32_t gather_ms;  /* after this long the description goes without what STUN did not say */
    size_t recv_window, send_window, recv_max, send_max, send_low;
    const struct fb_peer_handler *handler; /* outlives the peer */
    void *user;
};

/* Begins to gather. 0, FB_ERR_NOMEM, FB_ERR_STATE (rtc is being freed). */
int fb_peer_new(struct fb_peer **out, struct fb_rtc *rtc, const struct fb_peer_config *config);

/* From `described` on: how this side's NAT maps, as two STUN servers showed it. */
enum fb_nat fb_peer_nat(const struct fb_peer *peer);
/* From `described` on: STUN servers were asked, and none answered. Where nobody else does either,
 * UDP does not pass here. */
bool fb_peer_unanswered(const struct fb_peer *peer);

/*
 * Gives the other side's description; once. Candidates are used as they stand: the caller drops
 * those that must not be contacted. 0; FB_ERR_STATE (given already); FB_ERR_MALFORMED (an answer
 * that says actpass, credentials outside RFC 8839's lengths, no port).
 */
int fb_peer_set_remote(struct fb_peer *peer, const struct fb_desc *remote);

/*
 * Copies and queues one message. 0; FB_ERR_STATE: not open yet; FB_ERR_TOO_BIG: over
 * FB_PEER_MESSAGE_MAX or what the other side takes; FB_ERR_MALFORMED: empty; FB_ERR_AGAIN: over
 * send_max, try after `writable`; FB_ERR_NOMEM.
 */
int fb_peer_send(struct fb_peer *peer, const void *data, size_t len);

/* Bytes that wait for SCTP's window, but for a message or two: a browser's bufferedAmount. */
size_t fb_peer_buffered(const struct fb_peer *peer);

/* Holds `message` back (what arrives waits, within recv_max, then the other side must), or lets
 * it come again. The other callbacks come all the same. */
void fb_peer_pause(struct fb_peer *peer, bool pause);

/* Messages dropped so far because of a foreign stream or payload type (DCEP, text). */
uint64_t fb_peer_ignored(const struct fb_peer *peer);

/*
 * Closes: at once for the user; what was sent before has 300 ms to arrive, then the other side is
 * told (SCTP ABORT, DTLS close_notify). With nothing underway it sees that within milliseconds.
 */
void fb_peer_close(struct fb_peer *peer);

#endif
