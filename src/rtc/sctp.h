/*
 * SCTP over DTLS (RFC 8261, RFC 8831) by usrsctp in no-threads mode: stream 0 of one association,
 * unordered and reliable, without DCEP. usrsctp's state is one for the process: all of this belongs
 * to the one thread of rtc.h. usrsctp is handed an association's id where it wants an address,
 * never a pointer, so that a late packet or timer finds nothing rather than freed memory.
 */
#ifndef FB_RTC_SCTP_H
#define FB_RTC_SCTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rtc/peer.h"

/* Room that fb_sctp_read wants: one byte more than a message may have tells that it has more. */
#define FB_SCTP_READ_MAX (FB_PEER_MESSAGE_MAX + 1)

/* Readies usrsctp. output is handed every packet with the id it belongs to; it may be called from
 * inside everything below. */
void fb_sctp_start(void (*output)(uintptr_t id, const uint8_t *packet, size_t len));
/* Moves usrsctp's clock: call every 10 ms while there is an association. */
void fb_sctp_tick(uint32_t elapsed_ms);
/* Gives usrsctp's memory back once what fb_sctp_free left behind has gone. */
void fb_sctp_stop(void);

struct fb_sctp;

struct fb_sctp_config {
    uintptr_t id; /* not 0, never used twice */
    uint16_t local_port, remote_port;
    size_t recv_window, send_window;
};

enum fb_sctp_event {
    FB_SCTP_NOTHING, /* nothing to read now */
    FB_SCTP_OPENED,
    FB_SCTP_MESSAGE, /* *len bytes in buf */
    FB_SCTP_IGNORED, /* a message on another stream or of another type was dropped */
    FB_SCTP_TOO_BIG, /* a message is longer than FB_PEER_MESSAGE_MAX */
    FB_SCTP_CLOSED,  /* the other side aborted, shut down or reset the stream */
    FB_SCTP_LOST,    /* it answers nothing */
    FB_SCTP_REFUSED  /* the association could not be set up */
};

/* Sends INIT; both sides do (RFC 8831 section 6.1 lets their INITs cross). NULL on failure. */
struct fb_sctp *fb_sctp_new(const struct fb_sctp_config *config);
/* One packet came in for id; does nothing when there is no such association. */
void fb_sctp_input(uintptr_t id, const uint8_t *packet, size_t len);
/* Takes one event; call after each input and tick until FB_SCTP_NOTHING. */
enum fb_sctp_event fb_sctp_read(struct fb_sctp *sctp, uint8_t buf[static FB_SCTP_READ_MAX],
                                size_t *len);
/* last: nothing follows soon, so that the other side shall acknowledge at once (RFC 7053). 0;
 * FB_ERR_AGAIN: the window is full, and a message or two wait for it; try after the next
 * input or tick; FB_ERR_CLOSED. */
int fb_sctp_send(struct fb_sctp *sctp, const uint8_t *data, size_t len, bool last);
/* Everything that was sent has been acknowledged. */
bool fb_sctp_is_dry(struct fb_sctp *sctp);
/* Sends ABORT if there is somebody to hear it. Accepts NULL. */
void fb_sctp_free(struct fb_sctp *sctp);

#endif
