/* Egress processes: one attached in this process, or many over the sealed WebSocket /v1/link. */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "role/broker_impl.h"

#define LINK_SEND_MAX 4194304

static struct process *find_exact(struct fb_broker *broker, const uint8_t *id) {
    FB_LIST_EACH (link, &broker->processes) {
        struct process *process = FB_CONTAINER(link, struct process, link);
        if (memcmp(process->id, id, FB_PROCESS_ID_LEN) == 0)
            return process;
    }
    return NULL;
}

struct process *broker_find_process(struct fb_broker *broker, const uint8_t *egress,
                                    const uint8_t *id, enum fb_answer_status *why) {
    static const uint8_t any[FB_PROCESS_ID_LEN];
    bool named = memcmp(id, any, FB_PROCESS_ID_LEN) != 0;
    struct process *best = NULL;
    FB_LIST_EACH (link, &broker->processes) {
        struct process *each = FB_CONTAINER(link, struct process, link);
        if (memcmp(each->egress, egress, FB_EGRESS_ID_LEN) != 0 ||
            (named && memcmp(each->id, id, FB_PROCESS_ID_LEN) != 0))
            continue;
        if (best == NULL || each->load.paths < best->load.paths)
            best = each;
    }
    if (best == NULL)
        *why = named ? FB_ANSWER_PROCESS_GONE : FB_ANSWER_NO_EGRESS;
    return best;
}

static int process_add(struct fb_broker *broker, const uint8_t *egress, const uint8_t *id,
                       fb_link_answered *answered, void *user, struct process **out) {
    if (find_exact(broker, id) != NULL)
        return FB_ERR_USED;
    struct process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return FB_ERR_NOMEM;
    process->broker = broker;
    process->answered = answered;
    process->user = user;
    memcpy(process->egress, egress, FB_EGRESS_ID_LEN);
    memcpy(process->id, id, FB_PROCESS_ID_LEN);
    fb_list_init(&process->link);
    fb_list_push(&broker->processes, &process->link);
    fb_log(broker->log, FB_LOG_INFO, "an egress is attached");
    *out = process;
    return 0;
}

/* Offers that came from it go on without anybody to tell. */
static void orphan(struct fb_list *requests, const struct process *process) {
    FB_LIST_EACH (link, requests) {
        struct request *request = FB_CONTAINER(link, struct request, link);
        if (request->process != process)
            continue;
        if (request->id != 0)
            fb_match_cancel(request->broker->match, request->id, now_ms());
        broker_request_free(request);
    }
}

static void process_remove(struct process *process) {
    struct fb_broker *broker = process->broker;
    orphan(&broker->arrived, process);
    orphan(&broker->requests, process);
    fb_list_remove(&process->link);
    fb_log(broker->log, FB_LOG_INFO, "an egress is detached");
    free(process);
}

static void note_report(struct fb_broker *broker, const struct fb_link_report *report) {
    broker->counts.attached += report->event == FB_LINK_ATTACHED;
    broker->counts.silent += report->event == FB_LINK_SILENT;
}

/* ---- in this process ---- */

static void here_load(void *ctx, const struct fb_link_load *load) {
    ((struct process *)ctx)->load = *load;
}

static void here_report(void *ctx, const struct fb_link_report *report) {
    note_report(((struct process *)ctx)->broker, report);
}

static int here_offer(void *ctx, uint64_t request, const uint8_t *sealed, size_t len) {
    return broker_take_link_offer(ctx, request, sealed, len);
}

static void here_cancel(void *ctx, uint64_t request) {
    broker_cancel_link_offer(ctx, request);
}

int fb_broker_attach(struct fb_broker *broker, const uint8_t egress[static FB_EGRESS_ID_LEN],
                     const uint8_t process[static FB_PROCESS_ID_LEN], fb_link_answered *answered,
                     void *user, struct fb_broker_link *link) {
    struct process *made = NULL;
    int err = process_add(broker, egress, process, answered, user, &made);
    if (err == 0)
        *link = (struct fb_broker_link){made, here_load, here_report, here_offer, here_cancel};
    return err;
}

void fb_broker_detach(struct fb_broker *broker, const struct fb_broker_link *link) {
    process_remove(link->ctx);
    broker_pump(broker);
}

/* ---- over a link ---- */

struct far {
    struct fb_list link; /* in broker->links */
    struct fb_broker *broker;
    struct fb_ws *ws;
    struct fb_linkseal *seal; /* NULL until its hello came */
    struct process *process;  /* NULL until it has proved itself */
    uint64_t born_us;
    uint8_t egress[FB_EGRESS_ID_LEN];
};

static void far_free(struct far *far) {
    if (far->process != NULL)
        process_remove(far->process);
    fb_list_remove(&far->link);
    fb_linkseal_free(far->seal);
    free(far);
}

static void far_close(struct far *far, int code, const char *reason) {
    fb_ws_close(far->ws, code, reason);
    far_free(far);
}

/* An answer on its way out. What does not fit is lost, as if the link had gone down then; the
 * client's own timer covers both. */
static void far_answered(void *user, uint64_t request, const uint8_t *sealed, size_t len) {
    struct far *far = user;
    struct fb_link_msg msg = {.type = FB_LINK_ANSWER, .sealed = {request, sealed, len}};
    uint8_t plain[FB_LINK_MAX], out[FB_LINK_MAX + FB_TAG_LEN];
    int plain_len = fb_link_encode(&msg, plain, sizeof plain);
    if (plain_len > 0 && fb_ws_buffered(far->ws) < LINK_SEND_MAX / 2 &&
        fb_linkseal_seal(far->seal, plain, (size_t)plain_len, out) == 0)
        (void)fb_ws_send(far->ws, out, (size_t)plain_len + FB_TAG_LEN);
}

static int far_handshake(struct far *far, const uint8_t *data, size_t len) {
    struct fb_broker *broker = far->broker;
    uint8_t reply[FB_LINKSEAL_REPLY_LEN];
    int err = fb_linkseal_broker(&far->seal, broker->mem, broker->rng, broker->crypto,
                                 broker->sealing_key, broker->link_secret, data, len, reply,
                                 far->egress);
    if (err == 0 && fb_document_egress(&broker->document, far->egress) == NULL)
        err = FB_ERR_NOT_FOUND;
    return err != 0 ? err : fb_ws_send(far->ws, reply, sizeof reply);
}

static int far_hello(struct far *far, const struct fb_link_hello *hello) {
    if (memcmp(hello->egress, far->egress, FB_EGRESS_ID_LEN) != 0)
        return FB_ERR_AUTH;
    return process_add(far->broker, far->egress, hello->process, far_answered, far, &far->process);
}

static int far_take(struct far *far, const uint8_t *data, size_t len) {
    uint8_t plain[FB_LINK_MAX];
    if (len < FB_TAG_LEN || len > sizeof plain + FB_TAG_LEN)
        return FB_ERR_MALFORMED;
    int err = fb_linkseal_open(far->seal, data, len, plain);
    struct fb_link_msg msg;
    if (err == 0)
        err = fb_link_decode(&msg, plain, len - FB_TAG_LEN);
    if (err != 0)
        return err;
    if ((far->process == NULL) != (msg.type == FB_LINK_HELLO))
        return FB_ERR_STATE;
    switch (msg.type) {
    case FB_LINK_HELLO: return far_hello(far, &msg.hello);
    case FB_LINK_LOAD: far->process->load = msg.load; return 0;
    case FB_LINK_REPORT: note_report(far->broker, &msg.report); return 0;
    case FB_LINK_OFFER:
        if (broker_take_link_offer(far->process, msg.sealed.request, msg.sealed.bytes,
                                   msg.sealed.len) != 0)
            far_answered(far, msg.sealed.request, NULL, 0);
        return 0;
    case FB_LINK_CANCEL: broker_cancel_link_offer(far->process, msg.sealed.request); return 0;
    default: return FB_ERR_MALFORMED;
    }
}

static void say_bad_links(struct fb_broker *broker, unsigned more, uint64_t now_us) {
    unsigned count = fb_seldom(&broker->bad_links, more, now_us);
    if (count == 1)
        fb_log(broker->log, FB_LOG_WARN, "an egress's link is closed: %s",
               fb_strerror(broker->bad_link));
    else if (count > 1)
        fb_log(broker->log, FB_LOG_WARN, "%u links of egresses are closed; the last: %s", count,
               fb_strerror(broker->bad_link));
}

static void far_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct far *far = user;
    struct fb_broker *broker = far->broker;
    int err = far->seal == NULL ? far_handshake(far, data, len) : far_take(far, data, len);
    if (err == 0)
        return;
    if (far->process != NULL) {
        fb_log(broker->log, FB_LOG_WARN, "an egress's link is closed: %s", fb_strerror(err));
    } else {
        broker->bad_link = err;
        say_bad_links(broker, 1, fb_now_us());
    }
    far_close(far, 4003, "not an egress of this network");
    broker_pump(broker);
}

static void far_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct far *far = user;
    struct fb_broker *broker = far->broker;
    far_free(far);
    broker_pump(broker);
}

static bool far_accept(void *ctx, struct fb_ws *ws, void **user) {
    struct fb_broker *broker = ctx;
    struct far *far = broker->stopped ? NULL : calloc(1, sizeof *far);
    if (far == NULL)
        return false;
    far->broker = broker;
    far->ws = ws;
    far->born_us = fb_now_us();
    fb_list_init(&far->link);
    fb_list_push(&broker->links, &far->link);
    *user = far;
    return true;
}

int broker_add_link_route(struct fb_broker *broker, struct fb_server *server) {
    static const struct fb_ws_handler handler = {.message = far_message, .closed = far_closed};
    const struct fb_ws_route route = {
        .path = "/v1/link",
        .limits = {.message_max = FB_LINK_MAX + FB_TAG_LEN, .send_max = LINK_SEND_MAX},
        .handler = &handler,
        .accept = far_accept,
        .ctx = broker,
    };
    return fb_server_add_ws(server, &route);
}

void broker_close_links(struct fb_broker *broker, const char *reason) {
    FB_LIST_EACH (link, &broker->links)
        far_close(FB_CONTAINER(link, struct far, link), FB_WS_TRY_LATER, reason);
}

void broker_sweep_links(struct fb_broker *broker, uint64_t now_us) {
    FB_LIST_EACH (link, &broker->links) {
        struct far *far = FB_CONTAINER(link, struct far, link);
        if (far->process == NULL && now_us - far->born_us > HELLO_US)
            far_close(far, 4008, "no hello");
    }
    say_bad_links(broker, 0, now_us);
}
