/*
 * The native peer of measurements, by itself: describes itself as SDP on standard output, reads the
 * other side's from standard input (each ends with a line "."), and sends or counts messages
 * (load.h) until the time is over or the other side closes. What it measured is the last line of
 * its output.
 *
 *     rtc_peer offer|answer source|sink SECONDS BYTES [WINDOW]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "load.h"
#include "rtc/peer.h"

struct program {
    uv_loop_t loop;
    uv_timer_t timer;
    struct fb_rtc *rtc;
    struct fb_peer *peer;
    struct load load;
    bool offerer;
    int status;
};

static void stop(struct program *program) {
    if (program->peer != NULL)
        fb_peer_close(program->peer);
    program->peer = NULL;
    uv_close((uv_handle_t *)&program->timer, NULL);
    fb_rtc_free(program->rtc, NULL, NULL);
}

static void on_time(uv_timer_t *timer) {
    stop(timer->data);
}

static void fill(struct program *program) {
    struct load *load = &program->load;
    while (load_may_send(load) && fb_peer_send(program->peer, load_message(load), load->size) == 0)
        load_sent(load);
}

/* Reads lines up to "." into one text. */
static size_t read_sdp(char *text, size_t cap) {
    size_t len = 0;
    while (len + 1 < cap && fgets(text + len, (int)(cap - len), stdin) != NULL) {
        if (strcmp(text + len, ".\n") == 0)
            break;
        len += strlen(text + len);
    }
    return len;
}

static void take_remote(struct program *program) {
    static char text[FB_SDP_READ_MAX];
    struct fb_desc desc;
    int err = fb_desc_from_sdp(&desc, text, read_sdp(text, sizeof text));
    if (err == 0)
        err = fb_peer_set_remote(program->peer, &desc);
    if (err != 0) {
        fprintf(stderr, "rtc_peer: the other side's description: %s\n", fb_strerror(err));
        exit(1);
    }
}

static void on_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct program *program = user;
    char text[FB_SDP_MAX];
    if (fb_desc_to_sdp(local, text, sizeof text) < 0)
        exit(1);
    printf("%s.\n", text);
    fflush(stdout);
    if (program->offerer)
        take_remote(program);
}

/* Through a relay, the other end begins when it hears that this one is there. */
static void on_open(void *user, struct fb_peer *peer) {
    struct program *program = user;
    uint8_t ack[LOAD_ACK_LEN];
    if (program->load.window != 0 && !program->load.source)
        fb_peer_send(peer, load_ack(&program->load, ack), sizeof ack);
    fill(program);
}

static void on_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct program *program = user;
    uint8_t ack[LOAD_ACK_LEN];
    if (program->load.received == 0 && !program->load.source)
        uv_timer_start(&program->timer, on_time, load_ms(&program->load), 0);
    if (load_received(&program->load, data, len, ack))
        fb_peer_send(peer, ack, sizeof ack);
    fill(program);
}

static void on_writable(void *user, struct fb_peer *peer) {
    fill(user);
}

static void on_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct program *program = user;
    program->peer = NULL;
    if (reason != FB_PEER_BY_REMOTE) {
        fprintf(stderr, "rtc_peer: %s\n", fb_peer_reason_text(reason));
        program->status = 1;
    }
    stop(program);
}

int main(int argc, char **argv) {
    static const struct fb_peer_handler handler = {on_described, NULL,        on_open,
                                                   on_message,   on_writable, on_closed};
    static struct program program;
    program.offerer = argc > 1 && strcmp(argv[1], "offer") == 0;
    if (argc < 2 || (!program.offerer && strcmp(argv[1], "answer") != 0) ||
        !load_parse(&program.load, argc - 2, argv + 2)) {
        fprintf(stderr, "usage: rtc_peer offer|answer source|sink SECONDS BYTES [WINDOW]\n");
        return 2;
    }
    struct fb_peer_config config = {
        .offerer = program.offerer, .local = true, .handler = &handler, .user = &program};
    uv_loop_init(&program.loop);
    uv_timer_init(&program.loop, &program.timer);
    program.timer.data = &program;
    if (fb_rtc_new(&program.rtc, &program.loop) != 0 ||
        fb_peer_new(&program.peer, program.rtc, &config) != 0)
        return 1;
    if (!program.offerer)
        take_remote(&program);
    uv_run(&program.loop, UV_RUN_DEFAULT);
    uv_loop_close(&program.loop);
    load_report(&program.load);
    return program.status;
}
