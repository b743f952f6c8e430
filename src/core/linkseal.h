/*
 * The channel under the link of a broker and an egress that are two processes: Noise_NK to the
 * broker's sealing key, so that the egress knows the broker, with a proof inside that the egress
 * holds the operator's link secret, so that the broker knows the egress. Everything after the
 * handshake is sealed with the keys of Split; the transport keeps order (doc/protocol.md, "Broker
 * and egress"). Sans-IO.
 *
 *     egress                                      broker
 *     fb_linkseal_egress() -> hello  ---------->  fb_linkseal_broker() -> reply
 *     fb_linkseal_finish()           <----------
 *     fb_linkseal_seal()             <--------->  fb_linkseal_open()
 *
 * A hello that is played again opens a channel that nobody can speak on: the broker must take the
 * egress as present only after the first message that opens.
 */
#ifndef FB_CORE_LINKSEAL_H
#define FB_CORE_LINKSEAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/crypto.h"
#include "core/message.h"

#define FB_LINKSEAL_SECRET_LEN 32
#define FB_LINKSEAL_HELLO_LEN (FB_NOISE_OVERHEAD + FB_EGRESS_ID_LEN + FB_HASH_LEN)
#define FB_LINKSEAL_REPLY_LEN FB_NOISE_OVERHEAD

struct fb_linkseal;

/* The egress's end: writes hello. 0 or FB_ERR_NOMEM; FB_ERR_AUTH: the key is unusable. */
int fb_linkseal_egress(struct fb_linkseal **out, const struct fb_mem *mem, const struct fb_rng *rng,
                       const struct fb_crypto *crypto, const uint8_t broker_key[static FB_KEY_LEN],
                       const uint8_t secret[static FB_LINKSEAL_SECRET_LEN],
                       const uint8_t egress_id[static FB_EGRESS_ID_LEN],
                       uint8_t hello[static FB_LINKSEAL_HELLO_LEN]);

/* The broker's end: takes hello, writes reply; egress_id receives who it is. sealing_key is the
 * private one. 0, FB_ERR_MALFORMED, FB_ERR_AUTH (another broker's key, or not our secret),
 * FB_ERR_NOMEM. */
int fb_linkseal_broker(struct fb_linkseal **out, const struct fb_mem *mem, const struct fb_rng *rng,
                       const struct fb_crypto *crypto, const uint8_t sealing_key[static FB_KEY_LEN],
                       const uint8_t secret[static FB_LINKSEAL_SECRET_LEN], const uint8_t *hello,
                       size_t len, uint8_t reply[static FB_LINKSEAL_REPLY_LEN],
                       uint8_t egress_id[static FB_EGRESS_ID_LEN]);

/* The egress takes the reply. 0, FB_ERR_MALFORMED, FB_ERR_AUTH, FB_ERR_STATE, FB_ERR_NOMEM. */
int fb_linkseal_finish(struct fb_linkseal *seal, const uint8_t *reply, size_t len);

/* out takes len + FB_TAG_LEN bytes. 0 or FB_ERR_STATE (before the handshake is done). */
int fb_linkseal_seal(struct fb_linkseal *seal, const uint8_t *in, size_t len, uint8_t *out);
/* The next message of the other side; out takes len - FB_TAG_LEN bytes. 0, FB_ERR_STATE,
 * FB_ERR_MALFORMED, FB_ERR_AUTH: close. */
int fb_linkseal_open(struct fb_linkseal *seal, const uint8_t *in, size_t len, uint8_t *out);

/* Wipes and frees. Accepts NULL. */
void fb_linkseal_free(struct fb_linkseal *seal);

#endif
