#include "core/document.h"

#include <string.h>

#include "base/buf.h"
#include "base/err.h"

#define DOMAIN "footbridge network document v1"
#define DOMAIN_LEN (sizeof DOMAIN - 1)
#define BODY_MAX (FB_DOCUMENT_MAX - FB_SIG_LEN)
#define FLAGS_KNOWN FB_DOCUMENT_LOCAL

/* ---- strings: u8 length, then the bytes ---- */

/* out holds 256 bytes, as every string field does (FB_URL_MAX and FB_HOSTPORT_MAX are 255). */
static void read_text(struct fb_rd *rd, char *out) {
    size_t len = fb_rd_u8(rd);
    const uint8_t *bytes = fb_rd_bytes(rd, len);
    if (bytes == NULL || memchr(bytes, '\0', len) != NULL) {
        rd->ok = false;
        len = 0;
    } else {
        memcpy(out, bytes, len);
    }
    out[len] = '\0';
}

static void write_text(struct fb_wr *wr, const char *text) {
    size_t len = strlen(text);
    fb_wr_u8(wr, (uint8_t)len);
    fb_wr_bytes(wr, text, len);
}

/* ---- body ---- */

static bool counts_ok(const struct fb_document *doc) {
    return doc->broker_count >= 1 && doc->broker_count <= FB_DOCUMENT_BROKERS_MAX &&
           doc->egress_count >= 1 && doc->egress_count <= FB_DOCUMENT_EGRESSES_MAX &&
           doc->stun_count <= FB_DOCUMENT_STUN_MAX;
}

/* What both directions demand of a document's fields. */
static bool fields_ok(const struct fb_document *doc) {
    struct fb_url url;
    char host[FB_HOST_MAX + 1];
    uint16_t port;
    if (!counts_ok(doc) || (doc->flags & ~FLAGS_KNOWN) != 0 || doc->min_version > 0xffffff ||
        doc->expires_s <= doc->issued_s)
        return false;
    for (size_t i = 0; i < doc->broker_count; i++)
        if (fb_url_parse(doc->brokers[i].url, FB_URL_HTTP, &url) != 0)
            return false;
    for (size_t i = 0; i < doc->egress_count; i++)
        if (fb_url_parse(doc->egresses[i].url, FB_URL_WS, &url) != 0)
            return false;
    for (size_t i = 0; i < doc->stun_count; i++)
        if (fb_hostport_parse(doc->stun[i], host, &port) != 0)
            return false;
    return true;
}

static void write_body(struct fb_wr *wr, const struct fb_document *doc) {
    fb_wr_u8(wr, FB_DOCUMENT_VERSION);
    fb_wr_u8(wr, doc->flags);
    fb_wr_u8(wr, doc->profile);
    fb_wr_u32(wr, doc->min_version);
    fb_wr_u64(wr, doc->serial);
    fb_wr_u64(wr, doc->issued_s);
    fb_wr_u64(wr, doc->expires_s);
    fb_wr_u8(wr, (uint8_t)doc->broker_count);
    for (size_t i = 0; i < doc->broker_count; i++) {
        write_text(wr, doc->brokers[i].url);
        fb_wr_bytes(wr, doc->brokers[i].sealing_key, FB_KEY_LEN);
        fb_wr_bytes(wr, doc->brokers[i].ticket_key, FB_KEY_LEN);
    }
    fb_wr_u8(wr, (uint8_t)doc->egress_count);
    for (size_t i = 0; i < doc->egress_count; i++) {
        fb_wr_bytes(wr, doc->egresses[i].id, FB_EGRESS_ID_LEN);
        write_text(wr, doc->egresses[i].url);
    }
    fb_wr_u8(wr, (uint8_t)doc->stun_count);
    for (size_t i = 0; i < doc->stun_count; i++)
        write_text(wr, doc->stun[i]);
}

static void read_lists(struct fb_rd *rd, struct fb_document *doc) {
    doc->broker_count = fb_rd_u8(rd);
    for (size_t i = 0; i < doc->broker_count && i < FB_DOCUMENT_BROKERS_MAX; i++) {
        read_text(rd, doc->brokers[i].url);
        fb_rd_copy(rd, doc->brokers[i].sealing_key, FB_KEY_LEN);
        fb_rd_copy(rd, doc->brokers[i].ticket_key, FB_KEY_LEN);
    }
    doc->egress_count = fb_rd_u8(rd);
    for (size_t i = 0; i < doc->egress_count && i < FB_DOCUMENT_EGRESSES_MAX; i++) {
        fb_rd_copy(rd, doc->egresses[i].id, FB_EGRESS_ID_LEN);
        read_text(rd, doc->egresses[i].url);
    }
    doc->stun_count = fb_rd_u8(rd);
    for (size_t i = 0; i < doc->stun_count && i < FB_DOCUMENT_STUN_MAX; i++)
        read_text(rd, doc->stun[i]);
}

static int check_length(const void *bytes, size_t len) {
    if (len > FB_DOCUMENT_MAX)
        return FB_ERR_TOO_BIG;
    if (len <= FB_SIG_LEN)
        return FB_ERR_MALFORMED;
    return *(const uint8_t *)bytes == FB_DOCUMENT_VERSION ? 0 : FB_ERR_VERSION;
}

int fb_document_parse(const void *bytes, size_t len, struct fb_document *document) {
    int err = check_length(bytes, len);
    if (err != 0)
        return err;
    struct fb_rd rd = fb_rd_make(bytes, len - FB_SIG_LEN);
    memset(document, 0, sizeof *document);
    fb_rd_u8(&rd); /* the version */
    document->flags = fb_rd_u8(&rd);
    document->profile = fb_rd_u8(&rd);
    document->min_version = fb_rd_u32(&rd);
    document->serial = fb_rd_u64(&rd);
    document->issued_s = fb_rd_u64(&rd);
    document->expires_s = fb_rd_u64(&rd);
    read_lists(&rd, document);
    return fb_rd_done(&rd) && fields_ok(document) ? 0 : FB_ERR_MALFORMED;
}

/* ---- signature ---- */

/* Domain and body, joined in out; returns the length. */
static size_t signed_bytes(const void *body, size_t len, uint8_t out[DOMAIN_LEN + BODY_MAX]) {
    memcpy(out, DOMAIN, DOMAIN_LEN);
    memcpy(out + DOMAIN_LEN, body, len);
    return DOMAIN_LEN + len;
}

int fb_document_encode(const struct fb_crypto *crypto, const struct fb_document *document,
                       const uint8_t seed[static FB_KEY_LEN], uint8_t out[static FB_DOCUMENT_MAX],
                       size_t *out_len) {
    uint8_t msg[DOMAIN_LEN + BODY_MAX];
    struct fb_wr wr = fb_wr_make(out, BODY_MAX);
    if (!fields_ok(document))
        return FB_ERR_MALFORMED;
    write_body(&wr, document);
    if (!wr.ok)
        return FB_ERR_TOO_BIG;
    *out_len = wr.len + FB_SIG_LEN;
    size_t msg_len = signed_bytes(out, wr.len, msg);
    return crypto->sign(crypto->ctx, seed, msg, msg_len, out + wr.len);
}

int fb_document_verify(const struct fb_crypto *crypto, const uint8_t network[static FB_KEY_LEN],
                       const void *bytes, size_t len, uint64_t now_s, uint64_t known_serial,
                       struct fb_document *document) {
    uint8_t msg[DOMAIN_LEN + BODY_MAX];
    struct fb_document read;
    int err = check_length(bytes, len);
    if (err != 0)
        return err;
    size_t body_len = len - FB_SIG_LEN;
    size_t msg_len = signed_bytes(bytes, body_len, msg);
    err = crypto->verify(crypto->ctx, network, msg, msg_len, (const uint8_t *)bytes + body_len);
    if (err != 0)
        return err;
    err = fb_document_parse(bytes, len, &read);
    if (err != 0)
        return err;
    if (read.serial < known_serial)
        return FB_ERR_USED;
    if (read.expires_s <= now_s)
        return FB_ERR_EXPIRED;
    *document = read;
    return 0;
}

const char *fb_document_exposed(const struct fb_document *document) {
    struct fb_url url;
    if (document->flags & FB_DOCUMENT_LOCAL)
        return NULL;
    for (size_t i = 0; i < document->broker_count; i++)
        if (fb_url_parse(document->brokers[i].url, FB_URL_HTTP, &url) != 0 || !url.tls)
            return document->brokers[i].url;
    for (size_t i = 0; i < document->egress_count; i++)
        if (fb_url_parse(document->egresses[i].url, FB_URL_WS, &url) != 0 || !url.tls)
            return document->egresses[i].url;
    return NULL;
}

const char *fb_document_strerror(int err) {
    switch (err) {
    case 0: return "ok";
    case FB_ERR_TOO_BIG: return "the network document is too big";
    case FB_ERR_VERSION: return "the network document needs newer software";
    case FB_ERR_AUTH: return "the network document is forged, or belongs to another network";
    case FB_ERR_MALFORMED: return "the network document is malformed";
    case FB_ERR_USED: return "the network document is older than one seen before";
    case FB_ERR_EXPIRED: return "the network document has expired (or this clock is wrong)";
    }
    return "the network document cannot be used";
}

const struct fb_document_egress *fb_document_egress(const struct fb_document *document,
                                                    const uint8_t id[static FB_EGRESS_ID_LEN]) {
    for (size_t i = 0; i < document->egress_count; i++)
        if (memcmp(document->egresses[i].id, id, FB_EGRESS_ID_LEN) == 0)
            return &document->egresses[i];
    return NULL;
}
