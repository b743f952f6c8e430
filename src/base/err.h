/*
 * Error codes. Functions that can fail return 0 or one of these negative values; their header
 * comment says which. fb_strerror() gives a short lower-case phrase for a person ("out of memory"),
 * to be put after the name of the thing that failed.
 */
#ifndef FB_BASE_ERR_H
#define FB_BASE_ERR_H

enum fb_err {
    FB_OK = 0,
    FB_ERR_NOMEM = -1,     /* allocation failed; the object is unchanged */
    FB_ERR_MALFORMED = -2, /* bytes that do not parse */
    FB_ERR_TOO_BIG = -3,   /* over a stated ceiling, or does not fit the buffer given */
    FB_ERR_AUTH = -4,      /* authentication, signature or handshake failed */
    FB_ERR_STATE = -5,     /* not possible in this state */
    FB_ERR_LIMIT = -6,     /* a limit on number or rate is reached */
    FB_ERR_CLOSED = -7,    /* the other side, or this one, has closed */
    FB_ERR_NOT_FOUND = -8, /* no such thing */
    FB_ERR_EXPIRED = -9,   /* too old */
    FB_ERR_USED = -10,     /* single-use and used, or a duplicate */
    FB_ERR_VERSION = -11,  /* a version this program does not speak */
    FB_ERR_DENIED = -12,   /* refused by policy */
    FB_ERR_AGAIN = -13,    /* would block; try again after the event that the header names */
    FB_ERR_IO = -14,       /* the operating system or a library failed; see the message beside it */
    FB_ERR_TIMEOUT = -15,  /* a deadline passed */
};

const char *fb_strerror(int err);

#endif
