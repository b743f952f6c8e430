/*
 * The HTTP half of proxyhead.h: one complete request head to a destination and the head that the
 * origin gets. Sans-IO, used by proxyhead.c alone.
 */
#ifndef FB_CORE_PROXYHTTP_H
#define FB_CORE_PROXYHTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/env.h"
#include "core/dest.h"

struct fb_proxyhttp {
    struct fb_dest dest;
    bool tunnel;    /* CONNECT: nothing for the origin, and everything after the head is */
    uint8_t *first; /* the rewritten head, of the caller's memory; NULL for CONNECT */
    size_t first_len;
    uint64_t body;   /* bytes after the head that are the origin's; UINT64_MAX: all */
    const char *why; /* when refused: one line for a person */
};

/*
 * head: everything up to and including the empty line. 0, or the HTTP status to refuse with (400,
 * 414, 500, 501, 505) and out->why.
 */
int fb_proxyhttp_parse(const struct fb_mem *mem, const uint8_t *head, size_t len,
                       struct fb_proxyhttp *out);

/* Writes a whole response that says why in a line of text and closes. */
void fb_proxyhttp_refuse(struct fb_wr *wr, int status, const char *why);

#endif
