#include "core/url.h"

#include <string.h>

#include "base/err.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A host as far as the first character that cannot belong to it; *len is what was taken, brackets
 * included. Whether the name exists is the resolver's business. */
static int take_host(const char *text, char host[static FB_HOST_MAX + 1], size_t *len) {
    size_t n = 0;
    bool v6 = text[0] == '[';
    const char *from = text + v6;
    if (v6)
        while (is_digit(from[n]) || (from[n] >= 'a' && from[n] <= 'f') ||
               (from[n] >= 'A' && from[n] <= 'F') || from[n] == ':' || from[n] == '.')
            n++;
    else
        while (is_alnum(from[n]) || from[n] == '-' || from[n] == '.' || from[n] == '_')
            n++;
    if (n == 0 || (v6 && from[n] != ']'))
        return FB_ERR_MALFORMED;
    if (n > FB_HOST_MAX)
        return FB_ERR_TOO_BIG;
    memcpy(host, from, n);
    host[n] = '\0';
    *len = n + 2 * (size_t)v6;
    return 0;
}

/* Decimal, 1 to 65535, at most 5 digits. Returns the number of characters, 0 when it is none. */
static size_t take_port(const char *text, uint16_t *port) {
    uint32_t value = 0;
    size_t n = 0;
    while (n < 5 && is_digit(text[n]))
        value = value * 10 + (uint32_t)(text[n++] - '0');
    if (value == 0 || value > UINT16_MAX)
        return 0;
    *port = (uint16_t)value;
    return n;
}

int fb_hostport_parse(const char *text, char host[static FB_HOST_MAX + 1], uint16_t *port) {
    size_t len, digits;
    int err = take_host(text, host, &len);
    if (err != 0)
        return err;
    if (text[len] != ':' || (digits = take_port(text + len + 1, port)) == 0 ||
        text[len + 1 + digits] != '\0')
        return FB_ERR_MALFORMED;
    return 0;
}

/* RFC 3986's characters of path and query, without those that end a source in a
 * Content-Security-Policy (";", ",") or a quoted string. */
static bool path_ok(const char *path) {
    if (path[0] != '\0' && path[0] != '/')
        return false;
    for (const char *p = path; *p != '\0'; p++)
        if (!is_alnum(*p) && strchr("-._~!$&()*+=:@/?%", *p) == NULL)
            return false;
    return true;
}

int fb_url_parse(const char *text, enum fb_url_kind kind, struct fb_url *url) {
    static const char *const schemes[][2] = {
        [FB_URL_HTTP] = {"http://", "https://"},
        [FB_URL_WS] = {"ws://", "wss://"},
    };
    size_t len;
    if (strlen(text) > FB_URL_MAX)
        return FB_ERR_TOO_BIG;
    size_t secure = 0;
    if (strncmp(text, schemes[kind][0], strlen(schemes[kind][0])) != 0) {
        secure = 1;
        if (strncmp(text, schemes[kind][1], strlen(schemes[kind][1])) != 0)
            return FB_ERR_MALFORMED;
    }
    text += strlen(schemes[kind][secure]);
    url->tls = secure != 0;
    url->port = url->tls ? 443 : 80;
    int err = take_host(text, url->host, &len);
    if (err != 0)
        return err;
    text += len;
    if (*text == ':') {
        size_t digits = take_port(text + 1, &url->port);
        if (digits == 0)
            return FB_ERR_MALFORMED;
        text += 1 + digits;
    }
    url->path = text;
    return path_ok(text) ? 0 : FB_ERR_MALFORMED;
}
