#include "cmd/cdp.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/list.h"

#define READ_CHUNK 65536

struct pending {
    struct fb_list link;
    double id;
    fb_cdp_reply *reply;
};

struct fb_cdp {
    uv_pipe_t *to, *from;
    const struct fb_cdp_handler *handler;
    void *user;
    double last_id;
    struct fb_list pending;
    char *buf; /* what has come of the next message */
    size_t len, cap;
    bool closed;
    bool *freed; /* set while a callback runs, which may free the object */
};

struct write {
    uv_write_t req;
    char *text;
};

static void on_written(uv_write_t *req, int status) {
    struct write *write = FB_CONTAINER(req, struct write, req);
    cJSON_free(write->text);
    free(write);
}

int fb_cdp_call(struct fb_cdp *cdp, const char *session, const char *method, cJSON *params,
                fb_cdp_reply *reply) {
    cJSON *message = cJSON_CreateObject();
    struct pending *pending = calloc(1, sizeof *pending);
    struct write *write = calloc(1, sizeof *write);
    int err = cdp->closed ? FB_ERR_CLOSED : FB_ERR_NOMEM;
    if (message == NULL || pending == NULL || write == NULL || cdp->closed)
        goto fail;
    pending->id = ++cdp->last_id;
    pending->reply = reply;
    if (cJSON_AddNumberToObject(message, "id", pending->id) == NULL ||
        cJSON_AddStringToObject(message, "method", method) == NULL ||
        (session != NULL && cJSON_AddStringToObject(message, "sessionId", session) == NULL))
        goto fail;
    if (params != NULL && !cJSON_AddItemToObject(message, "params", params))
        goto fail;
    params = NULL; /* the message's now */
    write->text = cJSON_PrintUnformatted(message);
    if (write->text == NULL)
        goto fail;
    cJSON_Delete(message);
    uv_buf_t buf = uv_buf_init(write->text, (unsigned)strlen(write->text) + 1);
    if (uv_write(&write->req, (uv_stream_t *)cdp->to, &buf, 1, on_written) != 0) {
        on_written(&write->req, 0);
        free(pending);
        return FB_ERR_CLOSED;
    }
    fb_list_push(&cdp->pending, &pending->link);
    return 0;
fail:
    cJSON_Delete(params);
    cJSON_Delete(message);
    free(pending);
    free(write);
    return err;
}

static void take_reply(struct fb_cdp *cdp, double id, const cJSON *message) {
    FB_LIST_EACH (link, &cdp->pending) {
        struct pending *pending = FB_CONTAINER(link, struct pending, link);
        if (pending->id < id || pending->id > id)
            continue;
        fb_cdp_reply *reply = pending->reply;
        fb_list_remove(link);
        free(pending);
        const cJSON *error = cJSON_GetObjectItem(message, "error");
        const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(error, "message"));
        if (reply != NULL)
            reply(cdp->user, error == NULL ? cJSON_GetObjectItem(message, "result") : NULL,
                  why != NULL ? why : "no reason given");
        return;
    }
}

static void take_message(struct fb_cdp *cdp, const char *text) {
    cJSON *message = cJSON_Parse(text);
    const cJSON *id = cJSON_GetObjectItem(message, "id");
    const char *method = cJSON_GetStringValue(cJSON_GetObjectItem(message, "method"));
    const char *session = cJSON_GetStringValue(cJSON_GetObjectItem(message, "sessionId"));
    if (cJSON_IsNumber(id))
        take_reply(cdp, id->valuedouble, message);
    else if (method != NULL)
        cdp->handler->event(cdp->user, session != NULL ? session : "", method,
                            cJSON_GetObjectItem(message, "params"));
    cJSON_Delete(message);
}

/* Gives every whole message away and keeps the rest. */
static void take_messages(struct fb_cdp *cdp) {
    bool freed = false;
    size_t at = 0;
    char *end;
    cdp->freed = &freed;
    while ((end = memchr(cdp->buf + at, '\0', cdp->len - at)) != NULL) {
        take_message(cdp, cdp->buf + at);
        if (freed)
            return;
        at = (size_t)(end - cdp->buf) + 1;
    }
    cdp->freed = NULL;
    memmove(cdp->buf, cdp->buf + at, cdp->len - at);
    cdp->len -= at;
}

static void close_down(struct fb_cdp *cdp) {
    uv_read_stop((uv_stream_t *)cdp->from);
    if (!cdp->closed) {
        cdp->closed = true;
        cdp->handler->closed(cdp->user);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
    struct fb_cdp *cdp = handle->data;
    *buf = uv_buf_init(NULL, 0);
    if (cdp->cap - cdp->len < READ_CHUNK) {
        size_t cap = cdp->cap * 2 + READ_CHUNK;
        char *bigger = cap <= FB_CDP_MESSAGE_MAX ? realloc(cdp->buf, cap) : NULL;
        if (bigger == NULL)
            return; /* libuv then reads with UV_ENOBUFS */
        cdp->buf = bigger;
        cdp->cap = cap;
    }
    *buf = uv_buf_init(cdp->buf + cdp->len, READ_CHUNK);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf) {
    struct fb_cdp *cdp = stream->data;
    if (n < 0) {
        close_down(cdp);
        return;
    }
    cdp->len += (size_t)n;
    if (n > 0)
        take_messages(cdp);
}

struct fb_cdp *fb_cdp_new(uv_pipe_t *to, uv_pipe_t *from, const struct fb_cdp_handler *handler,
                          void *user) {
    struct fb_cdp *cdp = calloc(1, sizeof *cdp);
    if (cdp == NULL)
        return NULL;
    cdp->to = to;
    cdp->from = from;
    cdp->handler = handler;
    cdp->user = user;
    fb_list_init(&cdp->pending);
    from->data = cdp;
    if (uv_read_start((uv_stream_t *)from, on_alloc, on_read) != 0) {
        free(cdp);
        return NULL;
    }
    return cdp;
}

void fb_cdp_free(struct fb_cdp *cdp) {
    if (cdp == NULL)
        return;
    uv_read_stop((uv_stream_t *)cdp->from);
    FB_LIST_EACH (link, &cdp->pending)
        free(FB_CONTAINER(link, struct pending, link));
    if (cdp->freed != NULL)
        *cdp->freed = true;
    free(cdp->buf);
    free(cdp);
}
