#include "core/proxyhttp.h"

#include <string.h>

#define HTTP_PORT 80

/* A piece of the head. */
struct span {
    const char *ptr;
    size_t len;
};

struct field {
    struct span name, value;
};

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

static bool same(struct span a, const char *word) {
    size_t i = 0;
    while (i < a.len && word[i] != '\0' && lower(a.ptr[i]) == word[i])
        i++;
    return i == a.len && word[i] == '\0';
}

static bool starts(struct span a, const char *word) {
    size_t len = strlen(word);
    return a.len >= len && same((struct span){a.ptr, len}, word);
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static struct span trim(struct span a) {
    while (a.len > 0 && is_blank(a.ptr[0]))
        a.ptr++, a.len--;
    while (a.len > 0 && is_blank(a.ptr[a.len - 1]))
        a.len--;
    return a;
}

/* Cuts what stands before sep off the front of *rest, and sep; everything when there is no sep. */
static struct span cut(struct span *rest, char sep) {
    struct span part = *rest;
    const char *at = rest->len == 0 ? NULL : memchr(rest->ptr, sep, rest->len);
    if (at == NULL) {
        *rest = (struct span){rest->ptr + rest->len, 0};
        return part;
    }
    part.len = (size_t)(at - rest->ptr);
    rest->ptr += part.len + 1;
    rest->len -= part.len + 1;
    return part;
}

/* The next line without its end. A lone LF ends a line too (RFC 9112 section 2.2). */
static struct span next_line(struct span *rest) {
    struct span line = cut(rest, '\n');
    if (line.len > 0 && line.ptr[line.len - 1] == '\r')
        line.len--;
    return line;
}

/* No control characters, so that nothing hides a line's end from the origin. */
static bool is_clean(struct span line) {
    for (size_t i = 0; i < line.len; i++)
        if (((unsigned char)line.ptr[i] < 0x20 && line.ptr[i] != '\t') || line.ptr[i] == 0x7f)
            return false;
    return true;
}

/* RFC 9110 section 5.6.2. */
static bool is_token(struct span a) {
    for (size_t i = 0; i < a.len; i++) {
        char c = lower(a.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
            (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
            return false;
    }
    return a.len > 0;
}

static bool read_number(struct span digits, uint64_t max, uint64_t *out) {
    if (digits.len == 0 || digits.len > 18)
        return false;
    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return false;
        *out = *out * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    return *out <= max;
}

/* host, host:port, [v6] or [v6]:port; default_port 0: the port must be there. */
static bool read_authority(struct span text, uint16_t default_port, struct fb_dest *dest) {
    struct span host = text, port = {NULL, 0};
    size_t skip = 0;
    if (text.len > 0 && text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);
        if (end == NULL)
            return false;
        skip = (size_t)(end - text.ptr);
    }
    const char *colon = memchr(text.ptr + skip, ':', text.len - skip);
    if (colon != NULL) {
        host.len = (size_t)(colon - text.ptr);
        port = (struct span){colon + 1, text.len - host.len - 1};
    }
    uint64_t number = default_port;
    if ((port.len > 0 || default_port == 0) && !read_number(port, 65535, &number))
        return false;
    return fb_dest_make(dest, host.ptr, host.len, (uint16_t)number) == 0;
}

static bool read_field(struct span line, struct field *field) {
    field->name = cut(&line, ':');
    field->value = trim(line);
    /* A name that ends at the line's end had no colon. */
    return is_token(field->name) && line.ptr[-1] == ':';
}

/* True when one of the head's Connection fields names this one (RFC 9110 section 7.6.1). */
static bool is_named_hop(struct span fields, struct span name) {
    struct field field;
    while (fields.len > 0 && read_field(next_line(&fields), &field)) {
        if (!same(field.name, "connection") && !same(field.name, "proxy-connection"))
            continue;
        while (field.value.len > 0) {
            struct span token = trim(cut(&field.value, ','));
            if (token.len != name.len)
                continue;
            size_t i = 0;
            while (i < name.len && lower(token.ptr[i]) == lower(name.ptr[i]))
                i++;
            if (i == name.len)
                return true;
        }
    }
    return false;
}

static bool is_hop_field(struct span fields, struct span name) {
    /* These say where the body ends: no Connection field can take them away. */
    if (same(name, "content-length") || same(name, "transfer-encoding"))
        return false;
    return same(name, "connection") || same(name, "keep-alive") || same(name, "te") ||
           same(name, "upgrade") || same(name, "http2-settings") || starts(name, "proxy-") ||
           is_named_hop(fields, name);
}

static int refuse(struct fb_proxyhttp *out, int status, const char *why) {
    out->why = why;
    return status;
}

/* Every field's form, and how long the body is. */
static int check_fields(struct span fields, struct fb_proxyhttp *out) {
    bool length = false, coded = false;
    uint64_t number = 0;
    while (fields.len > 0) {
        struct span line = next_line(&fields);
        struct field field;
        if (line.len == 0)
            break;
        if (!is_clean(line) || !read_field(line, &field))
            return refuse(out, 400, "malformed HTTP header field");
        if (same(field.name, "content-length")) {
            if (length || !read_number(field.value, FB_VARINT_MAX, &number))
                return refuse(out, 400, "malformed Content-Length");
            length = true;
        } else if (same(field.name, "transfer-encoding")) {
            coded = true;
        }
    }
    if (length && coded)
        return refuse(out, 400, "both Content-Length and Transfer-Encoding");
    out->body = out->tunnel || coded ? UINT64_MAX : number;
    return 0;
}

static void put(struct fb_wr *wr, struct span text) {
    fb_wr_bytes(wr, text.ptr, text.len);
}

static void put_text(struct fb_wr *wr, const char *text) {
    fb_wr_bytes(wr, text, strlen(text));
}

struct request {
    struct span method, target, version;
    struct span authority, path; /* of an absolute-form target */
};

static void put_request(struct fb_wr *wr, const struct request *rq, struct span fields) {
    put(wr, rq->method);
    put_text(wr, " ");
    if (rq->path.len == 0 && same(rq->method, "options"))
        put_text(wr, "*");
    else if (rq->path.len == 0 || rq->path.ptr[0] != '/')
        put_text(wr, "/");
    put(wr, rq->path);
    put_text(wr, " ");
    put(wr, rq->version);
    put_text(wr, "\r\nHost: ");
    put(wr, rq->authority);
    put_text(wr, "\r\n");
    struct span rest = fields;
    struct field field;
    for (struct span line; (line = next_line(&rest)).len > 0;) {
        if (!read_field(line, &field) || same(field.name, "host") ||
            is_hop_field(fields, field.name))
            continue;
        put(wr, field.name);
        put_text(wr, ": ");
        put(wr, field.value);
        put_text(wr, "\r\n");
    }
    put_text(wr, "Connection: close\r\n\r\n");
}

static int rewrite(const struct fb_mem *mem, const struct request *rq, struct span fields,
                   size_t head_len, struct fb_proxyhttp *out) {
    /* A line grows by at most two bytes: its CR and the blank after the colon; the shortest field
     * line, "a:" and LF, has three. */
    size_t cap = head_len * 2 + 64;
    uint8_t *first = fb_alloc(mem, cap);
    struct fb_wr wr = fb_wr_make(first, first == NULL ? 0 : cap);
    put_request(&wr, rq, fields);
    if (!wr.ok) {
        fb_free(mem, first);
        return refuse(out, 500, "out of memory");
    }
    out->first = first;
    out->first_len = wr.len;
    return 0;
}

static int read_absolute(struct request *rq, struct fb_proxyhttp *out) {
    struct span rest = rq->target;
    if (rest.len == 0 || rest.ptr[0] == '/' || rest.ptr[0] == '*')
        return refuse(out, 400, "this is a proxy, not a web site: set it as SOCKS5 or HTTP proxy");
    if (starts(rest, "https://"))
        return refuse(out, 400, "https goes through CONNECT");
    if (!starts(rest, "http://"))
        return refuse(out, 501, "the proxy carries http and CONNECT alone");
    rest.ptr += strlen("http://");
    rest.len -= strlen("http://");
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?')
        end++;
    rq->authority = (struct span){rest.ptr, end};
    rq->path = (struct span){rest.ptr + end, rest.len - end};
    if (rq->path.len > 0 && memchr(rq->path.ptr, '#', rq->path.len) != NULL)
        return refuse(out, 400, "malformed target");
    if (!read_authority(rq->authority, HTTP_PORT, &out->dest))
        return refuse(out, 400, "malformed host or port");
    return 0;
}

int fb_proxyhttp_parse(const struct fb_mem *mem, const uint8_t *head, size_t len,
                       struct fb_proxyhttp *out) {
    *out = (struct fb_proxyhttp){0};
    struct span rest = {(const char *)head, len};
    struct span line = next_line(&rest);
    if (!is_clean(line))
        return refuse(out, 400, "neither SOCKS5 nor HTTP");
    struct request rq = {0};
    rq.method = cut(&line, ' ');
    rq.target = cut(&line, ' ');
    rq.version = line;
    if (!is_token(rq.method) || rq.target.len == 0 || !starts(rq.version, "http/"))
        return refuse(out, 400, "neither SOCKS5 nor HTTP");
    if (!same(rq.version, "http/1.1") && !same(rq.version, "http/1.0"))
        return refuse(out, 505, "the proxy speaks HTTP/1.1");
    out->tunnel = same(rq.method, "connect");
    int status = check_fields(rest, out);
    if (status != 0)
        return status;
    if (out->tunnel) {
        if (!read_authority(rq.target, 0, &out->dest))
            return refuse(out, 400, "malformed host or port");
        return 0;
    }
    status = read_absolute(&rq, out);
    return status != 0 ? status : rewrite(mem, &rq, rest, len, out);
}

static const char *reason(int status) {
    switch (status) {
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Error";
    }
}

static void put_number(struct fb_wr *wr, size_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do
        digits[--at] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    fb_wr_bytes(wr, digits + at, sizeof digits - at);
}

void fb_proxyhttp_refuse(struct fb_wr *wr, int status, const char *why) {
    static const char prefix[] = "footbridge: ";
    put_text(wr, "HTTP/1.1 ");
    put_number(wr, (size_t)status);
    put_text(wr, " ");
    put_text(wr, reason(status));
    put_text(wr, "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    put_number(wr, sizeof prefix - 1 + strlen(why) + 1);
    put_text(wr, "\r\nConnection: close\r\n\r\n");
    put_text(wr, prefix);
    put_text(wr, why);
    put_text(wr, "\n");
}
