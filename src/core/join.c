#include "core/join.h"

#include <string.h>

#include "base/base64url.h"
#include "base/buf.h"
#include "base/err.h"

#define SCHEME "footbridge:"
#define CHECK_LEN 4
#define KEY_CHARS FB_BASE64URL_LEN(FB_KEY_LEN + CHECK_LEN)

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes one percent-encoded broker URL of len characters. */
static int decode_url(const char *text, size_t len, char out[static FB_URL_MAX + 1]) {
    struct fb_url url;
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < len ? hex_value(text[i + 1]) : -1;
            int low = i + 2 < len ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return FB_ERR_MALFORMED;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (n == FB_URL_MAX || c == '\0')
            return FB_ERR_MALFORMED;
        out[n++] = c;
    }
    out[n] = '\0';
    return fb_url_parse(out, FB_URL_HTTP, &url) == 0 ? 0 : FB_ERR_MALFORMED;
}

static void key_and_check(const struct fb_crypto *crypto, const uint8_t network[FB_KEY_LEN],
                          uint8_t out[FB_KEY_LEN + CHECK_LEN]) {
    uint8_t hash[FB_HASH_LEN];
    crypto->hash(crypto->ctx, network, FB_KEY_LEN, hash);
    memcpy(out, network, FB_KEY_LEN);
    memcpy(out + FB_KEY_LEN, hash, CHECK_LEN);
}

/* The key: everything as far as the "?" or the end. */
static int parse_key(const struct fb_crypto *crypto, const char *text, size_t len,
                     uint8_t network[FB_KEY_LEN]) {
    uint8_t key[FB_KEY_LEN + CHECK_LEN], expected[FB_KEY_LEN + CHECK_LEN];
    if (fb_base64url_decode(text, len, key, sizeof key) != 0)
        return FB_ERR_AUTH;
    key_and_check(crypto, key, expected);
    if (memcmp(key, expected, sizeof key) != 0)
        return FB_ERR_AUTH;
    memcpy(network, key, FB_KEY_LEN);
    return 0;
}

/* "at=...&at=..." of len characters. Unknown names are skipped: later links may say more. */
static int parse_query(const char *text, size_t len, struct fb_join *link) {
    while (len > 0) {
        const char *end = memchr(text, '&', len);
        size_t item = end != NULL ? (size_t)(end - text) : len;
        if (item >= 3 && memcmp(text, "at=", 3) == 0) {
            if (link->broker_count == FB_JOIN_BROKERS_MAX)
                return FB_ERR_TOO_BIG;
            int err = decode_url(text + 3, item - 3, link->brokers[link->broker_count]);
            if (err != 0)
                return err;
            link->broker_count++;
        }
        text += item + (end != NULL);
        len -= item + (end != NULL);
    }
    return link->broker_count > 0 ? 0 : FB_ERR_STATE;
}

int fb_join_parse(const struct fb_crypto *crypto, const char *text, struct fb_join *link) {
    while (is_blank(*text))
        text++;
    size_t len = strlen(text);
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    memset(link, 0, sizeof *link);
    if (len < strlen(SCHEME) || memcmp(text, SCHEME, strlen(SCHEME)) != 0)
        return FB_ERR_NOT_FOUND;
    if (len > FB_JOIN_MAX)
        return FB_ERR_TOO_BIG;
    text += strlen(SCHEME);
    len -= strlen(SCHEME);
    const char *query = memchr(text, '?', len);
    size_t key_len = query != NULL ? (size_t)(query - text) : len;
    int err = parse_key(crypto, text, key_len, link->network);
    if (err != 0)
        return err;
    if (query == NULL)
        return FB_ERR_STATE;
    return parse_query(query + 1, len - key_len - 1, link);
}

static void encode_url(struct fb_wr *wr, const char *url) {
    static const char hex[] = "0123456789ABCDEF";
    for (const char *p = url; *p != '\0'; p++) {
        /* Only what would end the value, or a link in running text; the rest stays readable. */
        if (strchr("%&?=+()", *p) != NULL) {
            fb_wr_u8(wr, '%');
            fb_wr_u8(wr, (uint8_t)hex[*p >> 4 & 15]);
            fb_wr_u8(wr, (uint8_t)hex[*p & 15]);
        } else {
            fb_wr_u8(wr, (uint8_t)*p);
        }
    }
}

int fb_join_format(const struct fb_crypto *crypto, const struct fb_join *link,
                   char out[static FB_JOIN_MAX + 1]) {
    uint8_t key[FB_KEY_LEN + CHECK_LEN];
    char text[KEY_CHARS + 1];
    struct fb_wr wr = fb_wr_make(out, FB_JOIN_MAX);
    struct fb_url url;
    if (link->broker_count == 0)
        return FB_ERR_STATE;
    if (link->broker_count > FB_JOIN_BROKERS_MAX)
        return FB_ERR_TOO_BIG;
    key_and_check(crypto, link->network, key);
    fb_base64url_encode(key, sizeof key, text);
    fb_wr_bytes(&wr, SCHEME, strlen(SCHEME));
    fb_wr_bytes(&wr, text, KEY_CHARS);
    for (size_t i = 0; i < link->broker_count; i++) {
        if (fb_url_parse(link->brokers[i], FB_URL_HTTP, &url) != 0)
            return FB_ERR_MALFORMED;
        fb_wr_bytes(&wr, i == 0 ? "?at=" : "&at=", 4);
        encode_url(&wr, link->brokers[i]);
    }
    out[wr.len] = '\0';
    return wr.ok ? 0 : FB_ERR_TOO_BIG;
}

const char *fb_join_strerror(int err) {
    switch (err) {
    case 0: return "ok";
    case FB_ERR_NOT_FOUND: return "this is not a footbridge link (it starts with \"footbridge:\")";
    case FB_ERR_AUTH: return "the link's key is damaged; copy the whole link again";
    case FB_ERR_STATE: return "the link names no broker address";
    case FB_ERR_MALFORMED: return "a broker address in the link is damaged";
    case FB_ERR_TOO_BIG: return "the link is too long";
    }
    return "the link cannot be used";
}
