/*
 * Chrome DevTools Protocol over a pair of pipes (--remote-debugging-pipe): JSON messages, a NUL
 * behind each. Commands are answered by id; sessions are the flat ones of Target.attachToTarget.
 */
#ifndef FB_CMD_CDP_H
#define FB_CMD_CDP_H

#include <cjson/cJSON.h>
#include <uv.h>

#define FB_CDP_MESSAGE_MAX (4 * 1024 * 1024)

struct fb_cdp;

/* result is NULL when the command failed; error then says why. Both are valid during the call. */
typedef void fb_cdp_reply(void *user, const cJSON *result, const char *error);

struct fb_cdp_handler {
    /* session: "" for the browser's own. */
    void (*event)(void *user, const char *session, const char *method, const cJSON *params);
    /* The browser closed its end, or sent what cannot be read. Called once. */
    void (*closed)(void *user);
};

/* Reads from `from` and writes to `to`, which stay the caller's and outlive the object. NULL: out
 * of memory. */
struct fb_cdp *fb_cdp_new(uv_pipe_t *to, uv_pipe_t *from, const struct fb_cdp_handler *handler,
                          void *user);
/* Stops reading; commands under way end without reply. Before the pipes are closed. NULL-safe. */
void fb_cdp_free(struct fb_cdp *cdp);

/* Sends a command; takes params (NULL: none). session may be NULL. reply may be NULL. 0 or
 * FB_ERR_NOMEM, FB_ERR_CLOSED. */
int fb_cdp_call(struct fb_cdp *cdp, const char *session, const char *method, cJSON *params,
                fb_cdp_reply *reply);

#endif
