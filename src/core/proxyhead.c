#include "core/proxyhead.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/proxyhttp.h"

#define SOCKS_VERSION 5
#define SOCKS4_VERSION 4
#define TLS_HANDSHAKE 22 /* the first byte of a TLS record with a ClientHello */
#define PASSWORD_VERSION 1
#define LINE_MAX_LEN 8192
#define HEAD_CAP_START 1024

/* RFC 1928 section 3: methods. */
enum { METHOD_NONE = 0x00, METHOD_PASSWORD = 0x02, METHOD_UNACCEPTABLE = 0xff };
enum { COMMAND_CONNECT = 1 };
enum { TYPE_IPV4 = 1, TYPE_NAME = 3, TYPE_IPV6 = 4 };
/* RFC 1928 section 6. */
enum socks_reply {
    SOCKS_OK = 0,
    SOCKS_FAILED = 1,
    SOCKS_NOT_ALLOWED = 2,
    SOCKS_NET_UNREACHABLE = 3,
    SOCKS_HOST_UNREACHABLE = 4,
    SOCKS_REFUSED = 5,
    SOCKS_TTL_EXPIRED = 6,
    SOCKS_BAD_COMMAND = 7,
    SOCKS_BAD_TYPE = 8,
};

enum phase { PHASE_FIRST, PHASE_METHODS, PHASE_PASSWORD, PHASE_REQUEST, PHASE_HTTP };

struct fb_proxyhead {
    const struct fb_mem *mem;
    enum phase phase;
    enum fb_proxy_state state;
    const char *why;
    uint8_t *in; /* the message or head so far */
    size_t in_len, in_cap;
    size_t line_start, lines; /* PHASE_HTTP */
    struct fb_wr out;
    uint8_t out_bytes[FB_PROXYHEAD_REPLY_MAX];
    struct fb_proxyhttp http; /* dest is SOCKS's too */
};

struct fb_proxyhead *fb_proxyhead_new(const struct fb_mem *mem) {
    struct fb_proxyhead *ph = fb_alloc(mem, sizeof *ph);
    if (ph == NULL)
        return NULL;
    ph->mem = mem;
    ph->http.body = UINT64_MAX;
    return ph;
}

void fb_proxyhead_free(struct fb_proxyhead *ph) {
    if (ph == NULL)
        return;
    fb_free(ph->mem, ph->in);
    fb_free(ph->mem, ph->http.first);
    fb_free(ph->mem, ph);
}

static void refuse(struct fb_proxyhead *ph, const char *why) {
    ph->state = FB_PROXY_REFUSED;
    ph->why = why;
}

static void refuse_http(struct fb_proxyhead *ph, int status, const char *why) {
    fb_proxyhttp_refuse(&ph->out, status, why);
    refuse(ph, why);
}

static bool push(struct fb_proxyhead *ph, uint8_t byte) {
    if (ph->in_len == ph->in_cap) {
        size_t cap = ph->in_cap == 0 ? HEAD_CAP_START : ph->in_cap * 2;
        uint8_t *bigger = cap > FB_PROXYHEAD_MAX ? NULL : fb_alloc(ph->mem, cap);
        if (bigger == NULL)
            return false;
        if (ph->in_len > 0)
            memcpy(bigger, ph->in, ph->in_len);
        fb_free(ph->mem, ph->in);
        ph->in = bigger;
        ph->in_cap = cap;
    }
    ph->in[ph->in_len++] = byte;
    return true;
}

/* ---- SOCKS5 ---- */

static void put_socks_reply(struct fb_wr *wr, enum socks_reply code) {
    fb_wr_u8(wr, SOCKS_VERSION);
    fb_wr_u8(wr, (uint8_t)code);
    fb_wr_u8(wr, 0);
    /* The bound address is the egress's, which is nobody's business: 0.0.0.0:0. */
    fb_wr_u8(wr, TYPE_IPV4);
    fb_wr_zeros(wr, 4 + 2);
}

static void refuse_socks(struct fb_proxyhead *ph, enum socks_reply code, const char *why) {
    put_socks_reply(&ph->out, code);
    refuse(ph, why);
}

/* Bytes that the message at hand has, as far as what is there tells. */
static size_t socks_need(const struct fb_proxyhead *ph) {
    const uint8_t *in = ph->in;
    size_t len = ph->in_len;
    switch (ph->phase) {
    case PHASE_METHODS: return len < 2 ? 2 : 2 + (size_t)in[1];
    case PHASE_PASSWORD: {
        if (len < 2)
            return 2;
        size_t user = 2 + (size_t)in[1];
        return len <= user ? user + 1 : user + 1 + in[user];
    }
    default:
        if (len < 5)
            return 5; /* every kind of address has one more byte at least */
        switch (in[3]) {
        case TYPE_IPV4: return 4 + 4 + 2;
        case TYPE_IPV6: return 4 + 16 + 2;
        case TYPE_NAME: return 4 + 1 + (size_t)in[4] + 2;
        default: return 5;
        }
    }
}

static void socks_methods(struct fb_proxyhead *ph) {
    const uint8_t *methods = ph->in + 2;
    size_t count = ph->in[1];
    uint8_t chosen = METHOD_UNACCEPTABLE;
    ph->phase = PHASE_REQUEST;
    if (count > 0 && memchr(methods, METHOD_NONE, count) != NULL) {
        chosen = METHOD_NONE;
    } else if (count > 0 && memchr(methods, METHOD_PASSWORD, count) != NULL) {
        chosen = METHOD_PASSWORD;
        ph->phase = PHASE_PASSWORD;
    } else {
        refuse(ph, "SOCKS5 without a usable authentication method");
    }
    fb_wr_u8(&ph->out, SOCKS_VERSION);
    fb_wr_u8(&ph->out, chosen);
}

static void socks_password(struct fb_proxyhead *ph) {
    bool good = ph->in[0] == PASSWORD_VERSION;
    fb_wr_u8(&ph->out, PASSWORD_VERSION);
    fb_wr_u8(&ph->out, good ? 0 : 1);
    if (!good)
        refuse(ph, "malformed SOCKS5 authentication");
    ph->phase = PHASE_REQUEST;
}

static void socks_request(struct fb_proxyhead *ph) {
    struct fb_rd rd = fb_rd_make(ph->in, ph->in_len);
    uint8_t version = fb_rd_u8(&rd), command = fb_rd_u8(&rd);
    fb_rd_u8(&rd); /* reserved */
    uint8_t type = fb_rd_u8(&rd);
    if (version != SOCKS_VERSION) {
        refuse(ph, "malformed SOCKS5 request");
        return;
    }
    if (command != COMMAND_CONNECT) {
        refuse_socks(ph, SOCKS_BAD_COMMAND, "SOCKS5 command other than CONNECT");
        return;
    }
    struct fb_dest *dest = &ph->http.dest;
    const uint8_t *name = NULL;
    size_t len = 0;
    switch (type) {
    case TYPE_IPV4:
        dest->addr.family = 4;
        fb_rd_copy(&rd, dest->addr.ip, 4);
        break;
    case TYPE_IPV6:
        dest->addr.family = 6;
        fb_rd_copy(&rd, dest->addr.ip, 16);
        break;
    case TYPE_NAME:
        len = fb_rd_u8(&rd);
        name = fb_rd_bytes(&rd, len);
        break;
    default: refuse_socks(ph, SOCKS_BAD_TYPE, "SOCKS5 address of an unknown type"); return;
    }
    uint16_t port = fb_rd_u16(&rd);
    dest->port = dest->addr.port = port;
    if (port == 0 ||
        (type == TYPE_NAME && fb_dest_make(dest, (const char *)name, len, port) != 0)) {
        refuse_socks(ph, SOCKS_HOST_UNREACHABLE, "malformed host name or port");
        return;
    }
    ph->state = FB_PROXY_READY;
}

static void socks_feed(struct fb_proxyhead *ph, const uint8_t *in, size_t len, size_t *used) {
    while (ph->state == FB_PROXY_MORE && *used < len) {
        if (!push(ph, in[(*used)++])) {
            refuse_socks(ph, SOCKS_FAILED, "out of memory");
            return;
        }
        if (ph->in_len < socks_need(ph))
            continue;
        switch (ph->phase) {
        case PHASE_METHODS: socks_methods(ph); break;
        case PHASE_PASSWORD: socks_password(ph); break;
        default: socks_request(ph); break;
        }
        ph->in_len = 0;
    }
}

/* ---- HTTP ---- */

static void http_feed(struct fb_proxyhead *ph, const uint8_t *in, size_t len, size_t *used) {
    while (*used < len) {
        uint8_t byte = in[(*used)++];
        if (!push(ph, byte) || ph->in_len - ph->line_start > LINE_MAX_LEN) {
            refuse_http(ph, 431, "HTTP head too large");
            return;
        }
        if (byte != '\n')
            continue;
        size_t line = ph->in_len - ph->line_start;
        ph->line_start = ph->in_len;
        if (++ph->lines > FB_PROXYHEAD_LINES_MAX) {
            refuse_http(ph, 431, "too many HTTP header fields");
            return;
        }
        if (line > 2 || (line == 2 && ph->in[ph->in_len - 2] != '\r'))
            continue;
        int status = fb_proxyhttp_parse(ph->mem, ph->in, ph->in_len, &ph->http);
        if (status != 0)
            refuse_http(ph, status, ph->http.why);
        else
            ph->state = FB_PROXY_READY;
        return;
    }
}

static bool is_letter(uint8_t byte) {
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}

/* The first byte tells which protocol this is; it stays with the message. */
static void begin(struct fb_proxyhead *ph, uint8_t first) {
    if (first == SOCKS_VERSION) {
        ph->phase = PHASE_METHODS;
    } else if (is_letter(first)) {
        ph->phase = PHASE_HTTP;
    } else if (first == SOCKS4_VERSION) {
        /* SOCKS4: version 0, code 91 (rejected), port and address. */
        fb_wr_u8(&ph->out, 0);
        fb_wr_u8(&ph->out, 91);
        fb_wr_zeros(&ph->out, 6);
        refuse(ph, "SOCKS4 is not supported, SOCKS5 is");
    } else if (first == TLS_HANDSHAKE) {
        /* A fatal protocol_version alert (RFC 8446 section 6) says it to a TLS client. */
        static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 70};
        fb_wr_bytes(&ph->out, alert, sizeof alert);
        refuse(ph, "TLS to the proxy's port: set it as SOCKS5 or plain HTTP proxy");
    } else {
        refuse_http(ph, 400, "neither SOCKS5 nor HTTP");
    }
}

enum fb_proxy_state fb_proxyhead_feed(struct fb_proxyhead *ph, const uint8_t *in, size_t len,
                                      size_t *used) {
    *used = 0;
    ph->out = fb_wr_make(ph->out_bytes, sizeof ph->out_bytes);
    if (len > 0 && ph->phase == PHASE_FIRST && ph->state == FB_PROXY_MORE)
        begin(ph, in[0]);
    if (ph->state != FB_PROXY_MORE)
        return ph->state;
    if (ph->phase == PHASE_HTTP)
        http_feed(ph, in, len, used);
    else
        socks_feed(ph, in, len, used);
    return ph->state;
}

const uint8_t *fb_proxyhead_output(const struct fb_proxyhead *ph, size_t *len) {
    *len = ph->out.len;
    return ph->out_bytes;
}

const char *fb_proxyhead_why(const struct fb_proxyhead *ph) {
    return ph->why == NULL ? "" : ph->why;
}

const struct fb_dest *fb_proxyhead_dest(const struct fb_proxyhead *ph) {
    return &ph->http.dest;
}

const uint8_t *fb_proxyhead_first(const struct fb_proxyhead *ph, size_t *len) {
    *len = ph->http.first_len;
    return ph->http.first;
}

uint64_t fb_proxyhead_body(const struct fb_proxyhead *ph) {
    return ph->http.body;
}

static enum socks_reply socks_code(uint8_t status) {
    switch (status) {
    case FB_DEST_OK: return SOCKS_OK;
    case FB_DEST_DENIED: return SOCKS_NOT_ALLOWED;
    case FB_DEST_NET_UNREACHABLE: return SOCKS_NET_UNREACHABLE;
    case FB_DEST_HOST_UNREACHABLE:
    case FB_DEST_NO_NAME: return SOCKS_HOST_UNREACHABLE;
    case FB_DEST_REFUSED: return SOCKS_REFUSED;
    case FB_DEST_TIMED_OUT: return SOCKS_TTL_EXPIRED;
    default: return SOCKS_FAILED;
    }
}

static int http_code(uint8_t status) {
    switch (status) {
    case FB_DEST_DENIED: return 403;
    case FB_DEST_TIMED_OUT: return 504;
    case FB_DEST_LIMIT:
    case FB_PROXY_NO_PATH: return 503;
    default: return 502;
    }
}

size_t fb_proxyhead_reply(const struct fb_proxyhead *ph, uint8_t status,
                          uint8_t out[static FB_PROXYHEAD_REPLY_MAX]) {
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    struct fb_wr wr = fb_wr_make(out, FB_PROXYHEAD_REPLY_MAX);
    if (ph->phase != PHASE_HTTP)
        put_socks_reply(&wr, socks_code(status));
    else if (status != FB_DEST_OK)
        fb_proxyhttp_refuse(&wr, http_code(status),
                            status == FB_PROXY_NO_PATH ? "no volunteer carries this session now"
                                                       : fb_dest_status_text(status));
    else if (ph->http.tunnel)
        fb_wr_bytes(&wr, established, sizeof established - 1);
    return wr.len;
}
