/*
 * Packets of one path: keys by direction and phase, sealing with nonces of path id and packet
 * number, the replay window (doc/protocol.md section 2).
 *
 * The path's key in a direction is derived from the session's key in that direction and the path
 * id; the key of the next phase from the key of this one. A sender changes phase by itself
 * (fb_packet_rekey); the receiver follows when the first packet of the new phase opens, and keeps
 * the old key for packets that were under way.
 */
#ifndef FB_CORE_PACKET_H
#define FB_CORE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/crypto.h"
#include "core/message.h"

#define FB_PACKET_HEADER 8 /* kind, phase, packet number u48 */
#define FB_PACKET_OVERHEAD (FB_PACKET_HEADER + FB_TAG_LEN)
#define FB_PACKET_NUMBER_MAX ((UINT64_C(1) << 48) - 1)
#define FB_REPLAY_WINDOW 8192 /* packet numbers; a power of two */

struct fb_packet_key {
    struct fb_key *key;
    uint8_t secret[FB_KEY_LEN];
};

struct fb_packets {
    const struct fb_crypto *crypto;
    uint32_t path;
    struct fb_packet_key send, recv, recv_old;
    uint8_t send_phase, recv_phase; /* 0 or 1 */
    uint64_t next;                  /* number of the next packet to send */
    uint64_t phase_first;           /* the first that was sent in this phase */
    uint64_t phase_since;           /* us */
    uint64_t recv_phase_first;      /* lowest number opened in the receiving phase */
    uint64_t recv_old_until;        /* us; recv_old dies then */
    uint64_t highest;               /* received, plus one; 0: none yet */
    uint64_t seen[FB_REPLAY_WINDOW / 64];
};

/* Keys for a path. FB_ERR_NOMEM leaves nothing allocated. */
int fb_packets_init(struct fb_packets *p, const struct fb_crypto *crypto, uint32_t path,
                    const uint8_t send[static FB_KEY_LEN], const uint8_t recv[static FB_KEY_LEN],
                    uint64_t now);
/* Wipes. Harmless on zeroes and when called twice. */
void fb_packets_clear(struct fb_packets *p);

/* Seals len bytes of frames that stand at msg + FB_PACKET_HEADER, writes the header and the tag;
 * gives the packet's number. The message is len + FB_PACKET_OVERHEAD bytes. */
uint64_t fb_packet_seal(struct fb_packets *p, uint8_t *msg, size_t len);
/*
 * Opens a packet in place. On 0 *frames and *frames_len are its content. FB_ERR_USED: duplicate or
 * older than the replay window, to be dropped. FB_ERR_AUTH, FB_ERR_MALFORMED: the path altered it.
 * keep_us: how long packets of the phase before may still arrive.
 */
int fb_packet_open(struct fb_packets *p, uint8_t *msg, size_t len, uint64_t now, uint64_t keep_us,
                   uint64_t *number, uint8_t **frames, size_t *frames_len);

/* The packet numbered 0 inside a first message: seals or opens all FB_FIRST_LEN bytes, frames at
 * FB_FIRST_FRAMES. */
#define FB_FIRST_FRAMES (2 + FB_TOKEN_LEN)
#define FB_FIRST_FRAMES_LEN (FB_FIRST_LEN - FB_FIRST_FRAMES - FB_TAG_LEN)
void fb_packet_seal_first(struct fb_packets *p, uint8_t msg[static FB_FIRST_LEN]);
int fb_packet_open_first(struct fb_packets *p, uint8_t msg[static FB_FIRST_LEN]);

/* Next phase for what this side sends. 0 or FB_ERR_NOMEM (the phase stays). */
int fb_packet_rekey(struct fb_packets *p, uint64_t now);

#endif
