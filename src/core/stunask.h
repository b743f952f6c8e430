/*
 * STUN Binding (RFC 8489), the asking side, as pure functions: the request and what its answer
 * says. libnice's own requests to servers are those of RFC 3489, without the magic cookie: ever
 * fewer servers answer them, and no browser sends such.
 */
#ifndef FB_CORE_STUNASK_H
#define FB_CORE_STUNASK_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define FB_STUN_ID_LEN 12
#define FB_STUN_ASK_LEN 20

/* id: random, one for each question; the same again for a retransmission. */
void fb_stun_ask(const uint8_t id[static FB_STUN_ID_LEN], uint8_t out[static FB_STUN_ASK_LEN]);

/* Where the request came from as the server saw it; *mapped is set with 0 alone. FB_ERR_NOT_FOUND:
 * no answer to this question; FB_ERR_DENIED: it says that it failed; FB_ERR_MALFORMED. */
int fb_stun_answer(const uint8_t *in, size_t len, const uint8_t id[static FB_STUN_ID_LEN],
                   struct fb_addr *mapped);

#endif
