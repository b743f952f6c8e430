/*
 * The thread that owns ICE, DTLS and SCTP for every peer of a process. libnice needs a GLib main
 * context, and usrsctp's state is global and its timers must not race its input; so one thread
 * holds all three, and everything that a user of peer.h sees happens on the libuv loop given here.
 * What crosses goes by two queues, one wake-up for each batch; peer.h says what bounds them.
 *
 * GLib and libnice abort the process when memory is out; this layer's small allocations do too.
 */
#ifndef FB_RTC_RTC_H
#define FB_RTC_RTC_H

#include <uv.h>

struct fb_rtc;

/*
 * Starts the thread. One per process at a time (see above): all roles of a process share it.
 * 0, FB_ERR_STATE (there is one already), FB_ERR_NOMEM, FB_ERR_IO (no thread or descriptor left).
 */
int fb_rtc_new(struct fb_rtc **out, uv_loop_t *loop);

/*
 * Call when every peer has been closed (peer.h); what they still have to say to the other side is
 * said. done (may be NULL) is called on the loop when the thread has ended; rtc is gone then, and
 * its handle on the loop too. Accepts NULL: nothing happens.
 */
void fb_rtc_free(struct fb_rtc *rtc, void (*done)(void *user), void *user);

#endif
