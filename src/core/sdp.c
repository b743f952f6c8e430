/* The SDP text half of core/describe.h (RFC 8866, 8839, 8841, 8842). */
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/describe.h"

static void put(struct fb_wr *wr, const char *text) {
    fb_wr_bytes(wr, text, strlen(text));
}

static void put_number(struct fb_wr *wr, uint32_t value) {
    char digits[10];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        fb_wr_u8(wr, (uint8_t)digits[--count]);
}

static const char *const setup_names[] = {
    [FB_SETUP_ACTPASS] = "actpass", [FB_SETUP_ACTIVE] = "active", [FB_SETUP_PASSIVE] = "passive"};
static const char *const type_names[] = {[FB_CAND_HOST] = "host",
                                         [FB_CAND_SRFLX] = "srflx",
                                         [FB_CAND_PRFLX] = "prflx",
                                         [FB_CAND_RELAY] = "relay"};

static void put_candidate(struct fb_wr *wr, const struct fb_candidate *cand, size_t index) {
    char text[FB_ADDR_STR_MAX];
    put(wr, "a=candidate:");
    /* A foundation each: one shared by candidates of different bases would only delay checks. */
    put_number(wr, (uint32_t)index + 1);
    put(wr, " 1 udp ");
    put_number(wr, cand->priority);
    put(wr, " ");
    put(wr, fb_addr_format(&cand->addr, text));
    put(wr, " ");
    put_number(wr, cand->addr.port);
    put(wr, " typ ");
    put(wr, type_names[cand->type]);
    /* RFC 8839 section 5.1 wants a related address for these; it is nobody's business. */
    if (cand->type != FB_CAND_HOST)
        put(wr, cand->addr.family == 4 ? " raddr 0.0.0.0 rport 0" : " raddr :: rport 0");
    put(wr, "\r\n");
}

int fb_desc_to_sdp(const struct fb_desc *desc, char *out, size_t cap) {
    static const char hex[] = "0123456789ABCDEF";
    struct fb_wr wr = fb_wr_make(out, cap);
    if (!fb_desc_valid(desc))
        return FB_ERR_MALFORMED;
    put(&wr, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
             "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n");
    for (size_t i = 0; i < desc->candidate_count; i++)
        put_candidate(&wr, &desc->candidates[i], i);
    put(&wr, "a=end-of-candidates\r\na=ice-ufrag:");
    put(&wr, desc->ufrag);
    put(&wr, "\r\na=ice-pwd:");
    put(&wr, desc->pwd);
    put(&wr, "\r\na=ice-options:ice2\r\na=fingerprint:sha-256 ");
    for (size_t i = 0; i < sizeof desc->fingerprint; i++) {
        char pair[] = {hex[desc->fingerprint[i] >> 4], hex[desc->fingerprint[i] & 15], ':'};
        fb_wr_bytes(&wr, pair, i + 1 < sizeof desc->fingerprint ? 3 : 2);
    }
    put(&wr, "\r\na=setup:");
    put(&wr, setup_names[desc->setup]);
    put(&wr, "\r\na=mid:0\r\na=sctp-port:");
    put_number(&wr, desc->sctp_port);
    put(&wr, "\r\na=max-message-size:");
    put_number(&wr, desc->max_message_size);
    put(&wr, "\r\n");
    fb_wr_u8(&wr, 0);
    return wr.ok ? (int)wr.len - 1 : FB_ERR_TOO_BIG;
}

/* A stretch of the text being read. */
struct span {
    const char *at;
    size_t len;
};

static bool is(struct span s, const char *text) {
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

static bool is_ignoring_case(struct span s, const char *lower) {
    if (s.len != strlen(lower))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c) != lower[i])
            return false;
    }
    return true;
}

/* Cuts off and returns what stands before the first `end`, or all; the end itself is dropped. */
static struct span cut(struct span *s, char end) {
    const char *found = s->len > 0 ? memchr(s->at, end, s->len) : NULL;
    struct span head = {s->at, found == NULL ? s->len : (size_t)(found - s->at)};
    size_t used = head.len + (found != NULL);
    if (used > 0)
        s->at += used;
    s->len -= used;
    return head;
}

/* Decimal, at most ten digits, at most max. */
static bool number(struct span s, uint64_t max, uint64_t *out) {
    uint64_t value = 0;
    if (s.len == 0 || s.len > 10)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(s.at[i] - '0');
    }
    *out = value;
    return value <= max;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What has been read so far; each may come once in the session part and once in the media part. */
struct sdp {
    struct fb_desc *desc;
    bool media, fingerprint, setup, port;
};

/* Other hashes may stand beside SHA-256 and are passed over. */
static bool read_fingerprint(struct sdp *sdp, struct span value) {
    struct span hash = cut(&value, ' ');
    if (!is_ignoring_case(hash, "sha-256"))
        return true;
    if (value.len != 3 * FB_DESC_FINGERPRINT_LEN - 1)
        return false;
    for (size_t i = 0; i < FB_DESC_FINGERPRINT_LEN; i++) {
        int high = hex_value(value.at[3 * i]), low = hex_value(value.at[3 * i + 1]);
        if (high < 0 || low < 0 || (3 * i + 2 < value.len && value.at[3 * i + 2] != ':'))
            return false;
        sdp->desc->fingerprint[i] = (uint8_t)(high << 4 | low);
    }
    sdp->fingerprint = true;
    return true;
}

static bool read_setup(struct sdp *sdp, struct span value) {
    for (int i = 0; i <= FB_SETUP_PASSIVE; i++) {
        if (is(value, setup_names[i])) {
            sdp->desc->setup = (enum fb_setup)i;
            sdp->setup = true;
            return true;
        }
    }
    return false;
}

static bool read_text(struct span value, char *out, size_t max) {
    if (value.len > max || (value.len > 0 && memchr(value.at, '\0', value.len) != NULL))
        return false;
    memset(out, 0, max + 1);
    if (value.len > 0)
        memcpy(out, value.at, value.len);
    return true;
}

/*
 * foundation component transport priority address port "typ" type ... A line that is not of this
 * form spoils the description; one that is, but of no use here, is dropped.
 */
static bool read_candidate(struct fb_desc *desc, struct span value) {
    struct span foundation = cut(&value, ' '), component = cut(&value, ' ');
    struct span transport = cut(&value, ' '), priority = cut(&value, ' ');
    struct span address = cut(&value, ' '), port = cut(&value, ' ');
    struct span typ = cut(&value, ' '), type = cut(&value, ' ');
    uint64_t component_number, priority_number, port_number;
    struct fb_candidate cand = {0};
    if (foundation.len == 0 || foundation.len > 32 || transport.len == 0 || address.len == 0 ||
        type.len == 0 || !is(typ, "typ") || !number(component, 256, &component_number) ||
        !number(priority, UINT32_MAX, &priority_number) || !number(port, 65535, &port_number))
        return false;
    size_t kind = 0;
    while (kind <= FB_CAND_RELAY && !is(type, type_names[kind]))
        kind++;
    if (component_number != 1 || !is_ignoring_case(transport, "udp") || kind > FB_CAND_RELAY ||
        port_number == 0 || fb_addr_parse(address.at, address.len, &cand.addr) != 0 ||
        desc->candidate_count == FB_DESC_CANDIDATES_MAX)
        return true;
    cand.type = (enum fb_candidate_type)kind;
    cand.priority = (uint32_t)priority_number;
    cand.addr.port = (uint16_t)port_number;
    desc->candidates[desc->candidate_count++] = cand;
    return true;
}

static bool read_attribute(struct sdp *sdp, struct span value) {
    struct fb_desc *desc = sdp->desc;
    struct span name = cut(&value, ':');
    uint64_t n = 0;
    if (is(name, "ice-ufrag"))
        return read_text(value, desc->ufrag, FB_DESC_UFRAG_MAX);
    if (is(name, "ice-pwd"))
        return read_text(value, desc->pwd, FB_DESC_PWD_MAX);
    if (is(name, "fingerprint"))
        return read_fingerprint(sdp, value);
    if (is(name, "setup"))
        return read_setup(sdp, value);
    if (is(name, "candidate"))
        return sdp->media && read_candidate(desc, value);
    if (is(name, "sctp-port")) {
        sdp->port = number(value, 65535, &n);
        desc->sctp_port = (uint16_t)n;
        return sdp->port;
    }
    if (is(name, "max-message-size")) {
        if (!number(value, UINT64_MAX, &n))
            return false;
        desc->max_message_size = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    }
    return true;
}

/* "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", the only section. */
static bool read_media(struct sdp *sdp, struct span value) {
    struct span kind = cut(&value, ' '), port = cut(&value, ' '), proto = cut(&value, ' ');
    uint64_t n;
    bool first = !sdp->media;
    sdp->media = true;
    return first && is(kind, "application") && number(port, 65535, &n) &&
           is(proto, "UDP/DTLS/SCTP") && is(value, "webrtc-datachannel");
}

static bool read_line(struct sdp *sdp, struct span line) {
    if (line.len < 2 || line.at[1] != '=')
        return false;
    struct span value = {line.at + 2, line.len - 2};
    if (line.at[0] == 'a')
        return read_attribute(sdp, value);
    return line.at[0] != 'm' || read_media(sdp, value);
}

int fb_desc_from_sdp(struct fb_desc *out, const char *text, size_t len) {
    struct span rest = {text, len};
    struct sdp sdp = {.desc = out};
    memset(out, 0, sizeof *out);
    if (len > FB_SDP_READ_MAX)
        return FB_ERR_TOO_BIG;
    out->max_message_size = 65536; /* RFC 8841 section 6.1: when it is not said */
    bool ok = true;
    while (ok && rest.len > 0) {
        struct span line = cut(&rest, '\n');
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        ok = read_line(&sdp, line);
    }
    if (ok && sdp.media && sdp.fingerprint && sdp.setup && sdp.port && fb_desc_valid(out))
        return 0;
    memset(out, 0, sizeof *out);
    return FB_ERR_MALFORMED;
}
