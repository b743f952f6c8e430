/*
 * The state cookie of SCTP (RFC 9260 section 5.1.3) is for its sender alone, and so it is what he
 * likes: usrsctp's tells, besides its name, the clock of this machine, by which two volunteers
 * could see that they carry the same reader. Here it is encrypted on its way out, in INIT ACK, and
 * decrypted when it comes back, in COOKIE ECHO, under a key of this process and the connection's
 * id. Its last 20 bytes stay: they are usrsctp's HMAC over the rest, which that checks, and which
 * nobody without its key tells from random bytes. They are the nonce too (as in RFC 5297), so that
 * no two cookies share one: who asks with INIT again and again learns nothing from what differs.
 */
#ifndef FB_RTC_COOKIE_H
#define FB_RTC_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Draws the key, once for the process: before the first of the functions below. */
void fb_cookie_start(void);
/* Where the cookie stands in an SCTP packet: in INIT ACK (echo: in a COOKIE ECHO that comes
 * first, as it must). False: there is none, or the packet is cut short. */
bool fb_cookie_find(const uint8_t *packet, size_t len, bool echo, size_t *at, size_t *count);
/* Encrypts or decrypts, which is the same, a cookie of that connection. False: the packet must not
 * go on, because the cookie is shorter than its HMAC, or memory is out. */
bool fb_cookie_mask(uint64_t id, uint8_t *cookie, size_t len);

#endif
