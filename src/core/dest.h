/*
 * Where a stream goes: the prologue at the start of its data from client to egress, and the connect
 * result at the start of the answer (doc/protocol.md, "Destinations"). Sans-IO.
 *
 *     prologue: type u8 (1 IPv4, 3 name, 4 IPv6) || address (4 / len u8 + name / 16) || port u16
 *     result:   status u8
 *
 * A destination has one form: names are lower-case and never look like a number. What the C
 * library's parser would take for an address without being a strict literal ("2130706433",
 * "0x7f.1", "0177.0.0.1": the last label is a number) is refused at both ends, so that no resolver
 * ever gets to read it generously.
 */
#ifndef FB_CORE_DEST_H
#define FB_CORE_DEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "core/url.h"

#define FB_DEST_MAX (1 + 1 + FB_HOST_MAX + 2)

/* How long the egress waits for a whole prologue, from the stream's first byte; and the codes of
 * its RESET_STREAM. */
#define FB_DEST_WAIT_US UINT64_C(10000000)
enum fb_dest_reset {
    FB_DEST_RESET = 0,      /* no prologue, or broken at either end */
    FB_DEST_RESET_LATE = 1, /* the prologue did not come in time */
};

struct fb_dest {
    struct fb_addr addr;        /* family 0: the name counts */
    char name[FB_HOST_MAX + 1]; /* "" when addr counts */
    uint16_t port;              /* 1 to 65535; addr.port is the same */
};

enum fb_dest_status {
    FB_DEST_OK = 0,
    FB_DEST_INTERNAL = 1, /* the egress failed, or nothing else fits */
    FB_DEST_DENIED = 2,   /* exit policy */
    FB_DEST_NET_UNREACHABLE = 3,
    FB_DEST_HOST_UNREACHABLE = 4,
    FB_DEST_REFUSED = 5,
    FB_DEST_TIMED_OUT = 6,
    FB_DEST_NO_NAME = 7, /* no such name, or no address for it */
    FB_DEST_LIMIT = 8,   /* too many streams or connections */
    FB_DEST_STATUS_COUNT
};

/* A short phrase for a person ("connection refused"). Unknown values get one too. */
const char *fb_dest_status_text(uint8_t status);

/*
 * From a host as an app or a person writes it: a strict IPv4 literal, an IPv6 literal with or
 * without brackets, or a name (letters, digits, hyphen, underscore; labels of 1 to 63; one final
 * dot is dropped). 0 or FB_ERR_MALFORMED (port 0 as well).
 */
int fb_dest_make(struct fb_dest *dest, const char *host, size_t len, uint16_t port);

/* Length of the prologue written to out. */
size_t fb_dest_write(const struct fb_dest *dest, uint8_t out[static FB_DEST_MAX]);

/*
 * Reads a prologue from the start of in; *used is its length. 0; FB_ERR_AGAIN: more bytes are
 * needed; FB_ERR_MALFORMED: this is none, or not in the one form.
 */
int fb_dest_read(struct fb_dest *dest, const uint8_t *in, size_t len, size_t *used);

#endif
