#include "base/err.h"

const char *fb_strerror(int err) {
    switch ((enum fb_err)err) {
    case FB_OK: return "ok";
    case FB_ERR_NOMEM: return "out of memory";
    case FB_ERR_MALFORMED: return "malformed";
    case FB_ERR_TOO_BIG: return "too big";
    case FB_ERR_AUTH: return "authentication failed";
    case FB_ERR_STATE: return "not possible in this state";
    case FB_ERR_LIMIT: return "limit reached";
    case FB_ERR_CLOSED: return "closed";
    case FB_ERR_NOT_FOUND: return "not found";
    case FB_ERR_EXPIRED: return "expired";
    case FB_ERR_USED: return "used already";
    case FB_ERR_VERSION: return "unsupported version";
    case FB_ERR_DENIED: return "refused by policy";
    case FB_ERR_AGAIN: return "would block";
    case FB_ERR_IO: return "input/output failed";
    case FB_ERR_TIMEOUT: return "timed out";
    }
    return "unknown error";
}
