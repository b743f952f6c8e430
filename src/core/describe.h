/*
 * One end of a WebRTC connection, as neutral data: what SDP says in forty lines, and what the
 * compact form on the wire says in 100 to 150 bytes. UDP, component 1, one data channel with id 0
 * agreed upon beforehand (no DCEP), all candidates in it (no trickle), SHA-256 fingerprint.
 */
#ifndef FB_CORE_DESCRIBE_H
#define FB_CORE_DESCRIBE_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define FB_DESC_CANDIDATES_MAX 16
/* RFC 8839 section 5.4 allows 256; nobody sends more than these. */
#define FB_DESC_UFRAG_MIN 4
#define FB_DESC_UFRAG_MAX 32
#define FB_DESC_PWD_MIN 22
#define FB_DESC_PWD_MAX 64
#define FB_DESC_FINGERPRINT_LEN 32

/* Who sends the DTLS ClientHello (RFC 8842): offers say ACTPASS, answers one of the others. */
enum fb_setup { FB_SETUP_ACTPASS, FB_SETUP_ACTIVE, FB_SETUP_PASSIVE };

enum fb_candidate_type { FB_CAND_HOST, FB_CAND_SRFLX, FB_CAND_PRFLX, FB_CAND_RELAY };

struct fb_candidate {
    enum fb_candidate_type type;
    struct fb_addr addr;
    uint32_t priority;
};

struct fb_desc {
    char ufrag[FB_DESC_UFRAG_MAX + 1]; /* ends with NUL */
    char pwd[FB_DESC_PWD_MAX + 1];     /* ends with NUL */
    uint8_t fingerprint[FB_DESC_FINGERPRINT_LEN];
    enum fb_setup setup;
    uint16_t sctp_port;
    uint32_t max_message_size; /* longest message it takes; 0: any (RFC 8841) */
    size_t candidate_count;
    struct fb_candidate candidates[FB_DESC_CANDIDATES_MAX];
};

#endif
