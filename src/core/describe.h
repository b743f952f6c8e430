/*
 * One end of a WebRTC connection, as neutral data: what SDP says in forty lines, and what the
 * compact form on the wire says in 100 to 150 bytes. UDP, component 1, one data channel with id 0
 * agreed upon beforehand (no DCEP), all candidates in it (no trickle), SHA-256 fingerprint.
 */
#ifndef FB_CORE_DESCRIBE_H
#define FB_CORE_DESCRIBE_H

#include <stdbool.h>
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

/* The same struct has the same compact form; no other form of it parses. */
#define FB_DESC_COMPACT_MAX 506
/* Longest SDP text that fb_desc_to_sdp() makes, NUL included, and longest that is read. */
#define FB_SDP_MAX 4096
#define FB_SDP_READ_MAX 16384

/* True when every field is within what both forms can say (lengths, alphabets, ports, counts). */
bool fb_desc_valid(const struct fb_desc *desc);

/* Length of the compact form written to out, or FB_ERR_MALFORMED (not valid), FB_ERR_TOO_BIG. */
int fb_desc_encode(const struct fb_desc *desc, uint8_t *out, size_t cap);
/* Takes exactly len bytes. 0, FB_ERR_MALFORMED, FB_ERR_VERSION; *out is then all zero. */
int fb_desc_decode(struct fb_desc *out, const uint8_t *in, size_t len);

/* SDP text with CRLF and a NUL, as browsers take it for an offer (ACTPASS) or an answer (the
 * others). Its length without the NUL, or FB_ERR_MALFORMED, FB_ERR_TOO_BIG. */
int fb_desc_to_sdp(const struct fb_desc *desc, char *out, size_t cap);
/*
 * Reads what a browser or fb_desc_to_sdp() wrote: one application section (RFC 8841). Candidates
 * that are not UDP, not component 1 or not an address literal (mDNS names) are dropped; those
 * beyond FB_DESC_CANDIDATES_MAX too. 0, FB_ERR_TOO_BIG, FB_ERR_MALFORMED; *out is then all zero.
 */
int fb_desc_from_sdp(struct fb_desc *out, const char *text, size_t len);

/*
 * So that nobody can aim a peer at a third party: drops candidates without a port, duplicates,
 * special-purpose addresses (core/addrclass.h), and all but the two of highest priority of each
 * family; local (everything on one machine) keeps special-purpose ones, without that ceiling.
 * Keeps the order. Everyone who passes a description on, or acts on one, calls this first.
 */
void fb_desc_filter(struct fb_desc *desc, bool local);
/* Drops host candidates, which say what network a machine is in: browsers hide them from pages, and
 * not from their extensions. Others (what a STUN server saw) and the order stay. */
void fb_desc_hide(struct fb_desc *desc);
/* Keeps the candidates whose address, whatever the port, one of known's has. Both are filtered. */
void fb_desc_confine(struct fb_desc *desc, const struct fb_desc *known);

#endif
