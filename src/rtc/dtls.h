/*
 * DTLS 1.2 over datagrams that somebody else carries (RFC 8261 section 6.1, RFC 8827): a custom
 * BIO, in which one write is one datagram. The other side's certificate is checked inside the
 * handshake against the fingerprint of its description, in constant time; nothing else about it
 * matters.
 *
 * Browsers speak DTLS 1.3 to each other; OpenSSL 3.0 has 1.2 only, as most media servers. That our
 * hellos can be told from a browser's is a known gap (doc/threat-model.md).
 */
#ifndef FB_RTC_DTLS_H
#define FB_RTC_DTLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtc/cert.h"

/* Longest datagram of ours, below any link's MTU less IPv6 and UDP headers (1280 - 48). A record
 * takes 37 bytes of it with AES-GCM, which leaves SCTP its 1,191. */
#define FB_DTLS_DATAGRAM_MAX 1232
#define FB_DTLS_PAYLOAD_MAX 1191

struct fb_dtls;

enum fb_dtls_status {
    FB_DTLS_HANDSHAKE, /* not done yet */
    FB_DTLS_OPEN,
    FB_DTLS_CLOSED,          /* close_notify arrived */
    FB_DTLS_BAD_FINGERPRINT, /* the certificate is not the one described */
    FB_DTLS_FAILED
};

struct fb_dtls_handler {
    void (*output)(void *user, const uint8_t *datagram, size_t len);
    /* The handshake is done; comes before the first `data`. */
    void (*open)(void *user);
    /* The content of one record. */
    void (*data)(void *user, const uint8_t *data, size_t len);
};

/* client: sends the ClientHello, at the first fb_dtls_input or fb_dtls_tick. NULL when OpenSSL
 * fails. cert and fingerprint are copied or referenced as needed; handler outlives the object. */
struct fb_dtls *fb_dtls_new(const struct fb_cert *cert, bool client,
                            const uint8_t fingerprint[static FB_DESC_FINGERPRINT_LEN],
                            const struct fb_dtls_handler *handler, void *user);
/* One datagram came in. Callbacks are made from inside; they must not free the object. */
enum fb_dtls_status fb_dtls_input(struct fb_dtls *dtls, const uint8_t *datagram, size_t len);
/* Sends the first flight, and again what was lost of any; call every 10 ms until open. */
enum fb_dtls_status fb_dtls_tick(struct fb_dtls *dtls);
/* One record; dropped where DTLS cannot send now, as the network would. */
void fb_dtls_send(struct fb_dtls *dtls, const uint8_t *data, size_t len);
/* Sends close_notify where it can. Accepts NULL. */
void fb_dtls_free(struct fb_dtls *dtls);

#endif
