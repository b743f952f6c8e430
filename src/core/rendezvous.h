/*
 * The sealed offer and its sealed answer: Noise_NK between a client and a broker's sealing key, one
 * handshake for each offer (doc/protocol.md, "Rendezvous"). Whoever carries them, over HTTPS, a
 * front, or a session's egress, reads nothing and can change nothing. Sans-IO, both ends.
 *
 *     client                                     broker
 *     fb_rendezvous_offer() -> sealed  --------> fb_rendezvous_open() -> offer
 *     answer <- fb_rendezvous_answer() <-------- fb_rendezvous_reply()
 *
 * A sealed offer can be played again: the broker remembers its first FB_KEY_LEN bytes, the client's
 * ephemeral key, which are different for every offer.
 */
#ifndef FB_CORE_RENDEZVOUS_H
#define FB_CORE_RENDEZVOUS_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "core/crypto.h"
#include "core/message.h"
#include "core/signal.h"

#define FB_SEALED_OFFER_LEN (FB_OFFER_LEN + FB_NOISE_OVERHEAD)
#define FB_SEALED_ANSWER_LEN (FB_ANSWER_LEN + FB_NOISE_OVERHEAD)

struct fb_rendezvous;

/* Client: seals an offer to the broker's public key. 0, FB_ERR_MALFORMED or FB_ERR_TOO_BIG (as
 * fb_offer_encode), FB_ERR_AUTH (the key is unusable), FB_ERR_NOMEM. */
int fb_rendezvous_offer(struct fb_rendezvous **out, const struct fb_mem *mem,
                        const struct fb_rng *rng, const struct fb_crypto *crypto,
                        const uint8_t broker_key[static FB_KEY_LEN],
                        const uint8_t network_id[static FB_NETWORK_ID_LEN],
                        const struct fb_offer *offer, uint8_t sealed[static FB_SEALED_OFFER_LEN]);
/* Client: opens the answer, once, whatever comes of it. 0, FB_ERR_AUTH (forged), FB_ERR_MALFORMED,
 * FB_ERR_VERSION. */
int fb_rendezvous_answer(struct fb_rendezvous *rv, const uint8_t *sealed, size_t len,
                         struct fb_answer *answer);

/*
 * Broker: opens an offer with its private sealing key. 0; FB_ERR_MALFORMED or FB_ERR_VERSION with
 * *out set: it opened but does not parse, and can be answered so; with *out NULL: FB_ERR_MALFORMED
 * (wrong length), FB_ERR_AUTH, FB_ERR_NOMEM.
 */
int fb_rendezvous_open(struct fb_rendezvous **out, const struct fb_mem *mem,
                       const struct fb_rng *rng, const struct fb_crypto *crypto,
                       const uint8_t sealing_key[static FB_KEY_LEN],
                       const uint8_t network_id[static FB_NETWORK_ID_LEN], const uint8_t *sealed,
                       size_t len, struct fb_offer *offer);
/* Broker: once. 0 or an error of fb_answer_encode, FB_ERR_STATE. */
int fb_rendezvous_reply(struct fb_rendezvous *rv, const struct fb_answer *answer,
                        uint8_t sealed[static FB_SEALED_ANSWER_LEN]);

/* Wipes and frees. Accepts NULL. */
void fb_rendezvous_free(struct fb_rendezvous *rv);

#endif
