/* Requests: one at a time on a connection, from its head to the last byte of the answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/conn.h"

/* What a slow reader gets before it is cut off. */
#define ANSWER_S 60
#define DISCARD_MAX 1048576
#define CHUNK 16000
#define HEAD_CAP 4096
/* The library's table of statuses ends before 429 (RFC 6585 section 4): it leaves this out. */
#define TOO_MANY "Too Many Requests"
#define TOO_MANY_LEN (sizeof TOO_MANY - 1)

struct fb_http_req {
    struct conn *conn;
    const struct fb_http_route *route;
    uint8_t *body;
    size_t len, expected;
    char *query;
    void (*gone)(void *user);
    void *user;
    bool head_only, asked, answered, last;
    /* The answer: the library's header bytes, then a body, its own or an asset's. */
    uint8_t *head;
    size_t head_len;
    uint8_t *owned;
    const uint8_t *out;
    size_t out_len;
};

static void req_free(struct fb_http_req *req) {
    if (req->conn != NULL)
        req->conn->req = NULL;
    free(req->body);
    free(req->query);
    free(req->head);
    free(req->owned);
    free(req);
}

static bool header_is(const char *text, const char *token) {
    for (const char *at = text; (at = strcasestr(at, token)) != NULL; at++) {
        const char *end = at + strlen(token);
        bool starts = at == text || at[-1] == ' ' || at[-1] == ',';
        if (starts && (*end == '\0' || *end == ',' || *end == ' ' || *end == ';'))
            return strncmp(end, ";q=0", 4) != 0 || end[4] == '.';
    }
    return false;
}

static bool request_header_has(struct lws *wsi, enum lws_token_indexes which, const char *token) {
    char text[512];
    return lws_hdr_copy(wsi, text, sizeof text, which) > 0 && header_is(text, token);
}

/* Puts the phrase behind a bare "HTTP/1.1 429 "; returns the new end, which has TOO_MANY_LEN bytes
 * of room behind it. */
static unsigned char *name_status(unsigned char *head, unsigned char *p) {
    unsigned char *at = memmem(head, (size_t)(p - head), " \r\n", 3);
    if (at == NULL)
        return p;
    at++;
    memmove(at + TOO_MANY_LEN, at, (size_t)(p - at));
    memcpy(at, TOO_MANY, TOO_MANY_LEN);
    return p + TOO_MANY_LEN;
}

/* Lets the library write the response head into memory of ours. 0 or a negative code. */
static int build_head(struct fb_http_req *req, int status, const char *type,
                      const char *const *headers, const char *const *more, size_t len) {
    struct lws *wsi = req->conn->wsi;
    req->head = malloc(LWS_PRE + HEAD_CAP);
    if (req->head == NULL)
        return FB_ERR_NOMEM;
    unsigned char *p = req->head + LWS_PRE, *end = p + HEAD_CAP;
    if (lws_add_http_common_headers(wsi, (unsigned)status | LWSAHH_FLAG_NO_SERVER_NAME, type, len,
                                    &p, end - TOO_MANY_LEN))
        return FB_ERR_TOO_BIG;
    if (status == 429)
        p = name_status(req->head + LWS_PRE, p);
    const char *const *lists[] = {headers, more};
    for (size_t i = 0; i < 2; i++) {
        for (const char *const *at = lists[i]; at != NULL && *at != NULL; at += 2) {
            char name[64];
            snprintf(name, sizeof name, "%s:", at[0]);
            if (lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                            (const unsigned char *)at[1], (int)strlen(at[1]), &p,
                                            end))
                return FB_ERR_TOO_BIG;
        }
    }
    if (lws_finalize_http_header(wsi, &p, end))
        return FB_ERR_TOO_BIG;
    req->head_len = (size_t)(p - req->head) - LWS_PRE;
    return 0;
}

/* out is not copied. A head that cannot be built closes the connection. */
static void answer(struct fb_http_req *req, int status, const char *type,
                   const char *const *headers, const char *const *more, const uint8_t *out,
                   size_t len) {
    struct lws *wsi = req->conn->wsi;
    req->answered = true;
    req->gone = NULL;
    if (build_head(req, status, type, headers, more, len) != 0) {
        conn_kill(req->conn);
        return;
    }
    req->out = out;
    req->out_len = req->head_only ? 0 : len;
    lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, ANSWER_S);
    lws_callback_on_writable(wsi);
}

static void answer_error(struct fb_http_req *req, int status, const char *text,
                         const char *const *headers) {
    /* The body of a refused request is read and dropped, so that the other side sees the answer and
     * no reset; a very long one is not. */
    req->last = req->expected - req->len > DISCARD_MAX;
    answer(req, status, "text/plain; charset=utf-8", headers, NULL, (const uint8_t *)text,
           strlen(text));
}

static void answer_asset(struct fb_http_req *req, const struct fb_asset *asset) {
    struct lws *wsi = req->conn->wsi;
    const char *more[7] = {NULL};
    size_t n = 0;
    bool gzip = asset->gzip != NULL &&
                request_header_has(wsi, WSI_TOKEN_HTTP_ACCEPT_ENCODING, "gzip");
    if (asset->etag != NULL)
        more[n++] = "etag", more[n++] = asset->etag;
    if (asset->gzip != NULL)
        more[n++] = "vary", more[n++] = "accept-encoding";
    char seen[256];
    if (asset->etag != NULL &&
        lws_hdr_copy(wsi, seen, sizeof seen, WSI_TOKEN_HTTP_IF_NONE_MATCH) > 0 &&
        strstr(seen, asset->etag) != NULL) {
        answer(req, HTTP_STATUS_NOT_MODIFIED, asset->type, asset->headers, more, NULL, 0);
        return;
    }
    if (gzip)
        more[n++] = "content-encoding", more[n++] = "gzip";
    answer(req, HTTP_STATUS_OK, asset->type, asset->headers, more, gzip ? asset->gzip : asset->body,
           gzip ? asset->gzip_len : asset->len);
}

static const char *method_of(struct lws *wsi) {
    if (lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0)
        return "GET";
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0)
        return "HEAD";
    return lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0 ? "POST" : "other";
}

/* The bytes that Content-Length announces; false: it is missing or no number. */
static bool announced(struct lws *wsi, size_t *out) {
    char text[24];
    if (lws_hdr_copy(wsi, text, sizeof text, WSI_TOKEN_HTTP_CONTENT_LENGTH) <= 0)
        return false;
    char *end = NULL;
    unsigned long long value = strtoull(text, &end, 10);
    *out = (size_t)value;
    return *end == '\0' && text[0] >= '0' && text[0] <= '9';
}

/* The library has cut the query at its '&'. */
static char *copy_query(struct lws *wsi) {
    int len = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_URI_ARGS), at = 0;
    char *query = calloc(1, (size_t)(len > 0 ? len : 0) + 2);
    for (int i = 0; query != NULL && at < len; i++) {
        if (i > 0)
            query[at++] = '&';
        int part = lws_hdr_copy_fragment(wsi, query + at, len + 1 - at, WSI_TOKEN_HTTP_URI_ARGS, i);
        if (part < 0) {
            query[i > 0 ? at - 1 : at] = '\0';
            break;
        }
        at += part;
    }
    return query;
}

static struct fb_http_req *req_new(struct conn *conn) {
    struct fb_http_req *req = calloc(1, sizeof *req);
    if (req == NULL)
        return NULL;
    req->conn = conn;
    conn->req = req;
    req->query = copy_query(conn->wsi);
    if (req->query == NULL) {
        req_free(req);
        return NULL;
    }
    return req;
}

int http_begin(struct conn *conn, const char *path) {
    if (conn->server == NULL || conn->req != NULL)
        return -1;
    struct fb_http_req *req = req_new(conn);
    if (req == NULL)
        return -1;
    const char *method = method_of(conn->wsi), *allow = NULL;
    bool has_length = announced(conn->wsi, &req->expected);
    req->head_only = strcmp(method, "HEAD") == 0;
    const char *as = req->head_only ? "GET" : method;
    const struct fb_asset *asset = server_asset(conn->server, path);
    req->route = asset != NULL ? NULL : server_http_route(conn->server, path, as, &allow);
    if (asset != NULL && strcmp(as, "GET") == 0) {
        answer_asset(req, asset);
    } else if (asset != NULL || (req->route == NULL && allow != NULL)) {
        const char *headers[] = {"allow", asset != NULL ? "GET" : allow, NULL};
        answer_error(req, HTTP_STATUS_METHOD_NOT_ALLOWED, "method not allowed\n", headers);
    } else if (req->route == NULL) {
        answer_error(req, HTTP_STATUS_NOT_FOUND, "not found\n", NULL);
    } else if (strcmp(as, "GET") == 0) {
        http_body_done(conn);
    } else if (!has_length) {
        req->expected = SIZE_MAX;
        answer_error(req, HTTP_STATUS_LENGTH_REQUIRED, "length required\n", NULL);
    } else if (req->expected > req->route->body_max) {
        answer_error(req, HTTP_STATUS_REQ_ENTITY_TOO_LARGE, "too long\n", NULL);
    } else if ((req->body = malloc(req->expected + 1)) == NULL) {
        return -1;
    }
    return 0;
}

int http_body(struct conn *conn, const uint8_t *data, size_t len) {
    struct fb_http_req *req = conn->req;
    if (req == NULL || req->answered || len == 0)
        return 0; /* refused; the rest is on its way */
    if (req->body == NULL || len > req->expected - req->len)
        return -1;
    memcpy(req->body + req->len, data, len);
    req->len += len;
    return 0;
}

int http_body_done(struct conn *conn) {
    struct fb_http_req *req = conn->req;
    if (req == NULL || conn->server == NULL)
        return -1;
    /* Bytes behind the body while it is not answered: the library would call here for ever. Clients
     * that send a second request before the first answer are not served. */
    if (req->asked)
        return -1;
    req->asked = true;
    if (req->answered)
        return 0;
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    req->route->handle(req->route->user, req);
    return 0;
}

int http_writable(struct conn *conn) {
    struct fb_http_req *req = conn->req;
    if (conn->server == NULL)
        return -1; /* and with it what would be served */
    if (req == NULL || !req->answered)
        return 0;
    struct lws *wsi = conn->wsi;
    if (req->head_len > 0) {
        int len = (int)req->head_len;
        req->head_len = 0;
        if (lws_write(wsi, req->head + LWS_PRE, (size_t)len, LWS_WRITE_HTTP_HEADERS) < len)
            return -1;
    }
    uint8_t chunk[LWS_PRE + CHUNK];
    while (req->out_len > 0) {
        if (lws_send_pipe_choked(wsi)) {
            lws_callback_on_writable(wsi);
            return 0;
        }
        size_t len = req->out_len < CHUNK ? req->out_len : CHUNK;
        memcpy(chunk + LWS_PRE, req->out, len);
        req->out += len;
        req->out_len -= len;
        if (lws_write(wsi, chunk + LWS_PRE, len,
                      req->out_len == 0 ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) < (int)len)
            return -1;
        lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, ANSWER_S);
    }
    bool last = req->last;
    req_free(req);
    return last || lws_http_transaction_completed(wsi) ? -1 : 0;
}

void http_gone(struct conn *conn) {
    struct fb_http_req *req = conn->req;
    if (req == NULL)
        return;
    void (*gone)(void *user) = req->gone;
    void *user = req->user;
    req_free(req);
    if (gone != NULL)
        gone(user);
}

const uint8_t *fb_http_body(const struct fb_http_req *req, size_t *len) {
    *len = req->len;
    return req->body;
}

const struct fb_addr *fb_http_from(const struct fb_http_req *req) {
    return &req->conn->remote;
}

const char *fb_http_query(const struct fb_http_req *req) {
    return req->query;
}

void fb_http_hold(struct fb_http_req *req, void (*gone)(void *user), void *user) {
    req->gone = gone;
    req->user = user;
}

void fb_http_reply(struct fb_http_req *req, int status, const char *type,
                   const char *const *headers, const void *body, size_t len) {
    req->owned = malloc(len + 1);
    if (req->owned == NULL) {
        req->gone = NULL;
        conn_kill(req->conn);
        return;
    }
    if (len > 0)
        memcpy(req->owned, body, len);
    answer(req, status, type, headers, NULL, req->owned, len);
}
