/*
 * STUN Binding (RFC 8489), the server's side, as a pure function: a request in, a response out.
 * Only what a browser or libnice needs to learn its mapping; no authentication, no
 * ALTERNATE-SERVER, no RFC 5780 behaviour discovery.
 */
#ifndef FB_CORE_STUN_H
#define FB_CORE_STUN_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

/* Longest response: header 20, XOR-MAPPED-ADDRESS 24, SOFTWARE none, FINGERPRINT 8; an error
 * response names at most 8 unknown attributes. */
#define FB_STUN_REPLY_MAX 80

/*
 * Answers one datagram that came from `from`. Returns the length of what was written to out (cap
 * at least FB_STUN_REPLY_MAX), or 0 where the rules say to be silent: not STUN, not a Binding
 * request, a wrong FINGERPRINT, attributes that do not parse.
 */
size_t fb_stun_respond(const uint8_t *in, size_t len, const struct fb_addr *from, uint8_t *out,
                       size_t cap);

#endif
