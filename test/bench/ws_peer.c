/*
 * The native end of a relay's WebSocket in measurements: serves one WebSocket at /relay on loopback
 * with the limits of an egress's path, says "listening PORT", and sends or counts messages (load.h)
 * until the time is over or the other side closes. A source begins when it hears from there. What
 * it measured is the last line of its output.
 *
 *     ws_peer source|sink SECONDS BYTES [WINDOW]
 */
#include <stdio.h>
#include <string.h>

#include "core/message.h"
#include "load.h"
#include "net/loop.h"
#include "net/server.h"

#define QUEUE_MAX (1024 * 1024)

struct program {
    uv_loop_t loop;
    uv_timer_t timer;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_ws *ws;
    struct load load;
};

static void fill(struct program *program) {
    struct load *load = &program->load;
    while (program->ws != NULL && load_may_send(load) &&
           fb_ws_send(program->ws, load_message(load), load->size) == 0)
        load_sent(load);
}

static void on_time(uv_timer_t *timer) {
    uv_stop(timer->loop);
}

static bool on_accept(void *ctx, struct fb_ws *ws, void **user) {
    struct program *program = ctx;
    if (program->ws != NULL)
        return false;
    program->ws = ws;
    *user = program;
    return true;
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    struct program *program = user;
    uint8_t ack[LOAD_ACK_LEN];
    if (program->load.received == 0 && !program->load.source)
        uv_timer_start(&program->timer, on_time, load_ms(&program->load), 0);
    if (load_received(&program->load, data, len, ack))
        fb_ws_send(ws, ack, sizeof ack);
    fill(program);
}

static void on_drained(void *user, struct fb_ws *ws) {
    fill(user);
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    struct program *program = user;
    program->ws = NULL;
    uv_stop(&program->loop);
}

static int fail(const char *why) {
    fprintf(stderr, "ws_peer: %s\n", why);
    return 1;
}

int main(int argc, char **argv) {
    static const struct fb_ws_handler handler = {NULL, on_message, on_drained, on_closed};
    static struct program program;
    if (!load_parse(&program.load, argc - 1, argv + 1)) {
        fprintf(stderr, "usage: ws_peer source|sink SECONDS BYTES [WINDOW]\n");
        return 2;
    }
    char err[FB_NET_ERR_MAX];
    struct fb_net_config config = {.loop = &program.loop, .local = true};
    struct fb_ws_route route = {
        .path = "/relay",
        .limits = {.message_max = FB_MESSAGE_MAX, .send_max = QUEUE_MAX, .bulk = true},
        .handler = &handler,
        .accept = on_accept,
        .ctx = &program};
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    uv_loop_init(&program.loop);
    uv_timer_init(&program.loop, &program.timer);
    program.net = fb_net_new(&config, err);
    if (program.net == NULL)
        return fail(err);
    program.server = fb_server_new(program.net, NULL, NULL, err);
    if (program.server == NULL || fb_server_add_ws(program.server, &route) != 0 ||
        fb_server_listen(program.server, &addr, err) != 0)
        return fail(err);
    printf("listening %u\n", (unsigned)addr.port);
    fflush(stdout);
    uv_run(&program.loop, UV_RUN_DEFAULT);
    load_report(&program.load);
    uv_close((uv_handle_t *)&program.timer, NULL);
    fb_server_free(program.server);
    fb_net_free(program.net);
    return fb_loop_finish(&program.loop) == 0 ? 0 : fail("a handle is still open");
}
