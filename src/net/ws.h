/*
 * A WebSocket, of either side. Messages are binary and whole: fragments are put together up to a
 * ceiling, beyond it (or for text) the socket is closed with 1009 (1003). Compression is off.
 * Liveness is by ping: a peer that answers none for 30 s after 20 s of silence counts as gone.
 *
 * Ownership: the socket is the library's. A user holds the pointer until `closed` is called or it
 * calls fb_ws_close, whichever is first; after either no callback comes and the pointer is dead.
 * Callbacks may call everything here, fb_ws_close included; none is made from inside a function
 * of this header.
 */
#ifndef FB_NET_WS_H
#define FB_NET_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "net/net.h"

struct fb_ws;

struct fb_ws_handler {
    /* Clients only: the handshake is done. May be NULL for servers. */
    void (*open)(void *user, struct fb_ws *ws);
    /* One message, valid during the call. Not called while reading is paused. */
    void (*message)(void *user, struct fb_ws *ws, const uint8_t *data, size_t len);
    /* Everything that was queued has been handed to the kernel; not told of what went there at
     * once. May be NULL. */
    void (*drained)(void *user, struct fb_ws *ws);
    /*
     * The socket is gone, or never opened. code: the close code the other side sent, 1006 when it
     * sent none. why: one line for a person, without addresses ("connection refused", "certificate
     * of NAME does not match", "closed by the other side: REASON").
     */
    void (*closed)(void *user, struct fb_ws *ws, int code, const char *why);
};

/* How one kind of socket is treated. */
struct fb_ws_limits {
    size_t message_max; /* longest message received */
    size_t send_max;    /* bytes queued for sending */
    bool bulk;          /* long downloads leave here: TCP BBR where the kernel has it, low
                         * TCP_NOTSENT_LOWAT, so that queues stay where they can be seen */
};

/*
 * Client. url: ws:// or wss://. Addresses of its host are tried one after the other. Returns NULL
 * with a message when the URL is malformed or memory is out; everything later comes as `closed`.
 * timeout_us bounds lookup, connect and handshake together.
 */
struct fb_ws *fb_ws_connect(struct fb_net *net, const char *url, const struct fb_ws_limits *limits,
                            uint64_t timeout_us, const struct fb_ws_handler *handler, void *user,
                            char err[static FB_NET_ERR_MAX]);

/* Sends one message, 1 byte or more, or queues a copy where the kernel has no room. 0;
 * FB_ERR_AGAIN: over send_max, try after `drained`; FB_ERR_STATE: not open yet; FB_ERR_NOMEM. */
int fb_ws_send(struct fb_ws *ws, const void *data, size_t len);
/* The same from two pieces (a header and its body). */
int fb_ws_send2(struct fb_ws *ws, const void *head, size_t head_len, const void *data, size_t len);
/* Bytes queued here and not yet with the kernel. */
size_t fb_ws_buffered(const struct fb_ws *ws);
/* Stops and restarts reading; the peer then feels TCP's window. */
void fb_ws_pause(struct fb_ws *ws);
void fb_ws_resume(struct fb_ws *ws);
/*
 * Sends what is queued (for 5 s at most), then closes with code and reason (at most 123 bytes,
 * may be NULL). The pointer is dead. Codes of our own are 4000 to 4999: the library shows the
 * other side 1002 for the standard's 1012 to 1014.
 */
#define FB_WS_TRY_LATER 4013
void fb_ws_close(struct fb_ws *ws, int code, const char *reason);
/* The other end of the TCP connection; clients: what was connected to. */
const struct fb_addr *fb_ws_remote(const struct fb_ws *ws);

#endif
