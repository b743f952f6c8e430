/*
 * The native peer of measurements, by itself: describes itself as SDP on standard output, reads the
 * other side's from standard input (each ends with a line "."), and sends or counts messages
 * (load.h) until the time is over or the other side closes. What it measured is the last line of
 * its output. With LANES it is so many peers at once, with as many descriptions each way, in the
 * same order; they share one load, and all end with the first that does.
 *
 *     rtc_peer offer|answer source|sink SECONDS BYTES [WINDOW [WARM_MS [LANES]]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "load.h"
#include "rtc/peer.h"

#define LANES_MAX 32

struct program;

struct lane {
    struct program *program;
    struct fb_peer *peer;
    char sdp[FB_SDP_MAX];
};

struct program {
    uv_loop_t loop;
    uv_timer_t timer;
    struct fb_rtc *rtc;
    struct lane lanes[LANES_MAX];
    size_t lane_count, described;
    struct load load;
    bool offerer, stopped;
    int status;
};

static void stop(struct program *program) {
    if (program->stopped)
        return;
    program->stopped = true;
    for (size_t i = 0; i < program->lane_count; i++) {
        if (program->lanes[i].peer != NULL)
            fb_peer_close(program->lanes[i].peer);
        program->lanes[i].peer = NULL;
    }
    uv_close((uv_handle_t *)&program->timer, NULL);
    fb_rtc_free(program->rtc, NULL, NULL);
}

static void on_time(uv_timer_t *timer) {
    stop(timer->data);
}

static void fill(struct lane *lane) {
    struct load *load = &lane->program->load;
    while (load_may_send(load) && fb_peer_send(lane->peer, load_message(load), load->size) == 0)
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

static void take_remote(struct lane *lane) {
    static char text[FB_SDP_READ_MAX];
    struct fb_desc desc;
    int err = fb_desc_from_sdp(&desc, text, read_sdp(text, sizeof text));
    if (err == 0)
        err = fb_peer_set_remote(lane->peer, &desc);
    if (err != 0) {
        fprintf(stderr, "rtc_peer: the other side's description: %s\n", fb_strerror(err));
        exit(1);
    }
}

static void take_remotes(struct program *program) {
    for (size_t i = 0; i < program->lane_count; i++)
        take_remote(&program->lanes[i]);
}

static void on_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct lane *lane = user;
    struct program *program = lane->program;
    if (fb_desc_to_sdp(local, lane->sdp, sizeof lane->sdp) < 0)
        exit(1);
    if (++program->described < program->lane_count)
        return;
    for (size_t i = 0; i < program->lane_count; i++)
        printf("%s.\n", program->lanes[i].sdp);
    fflush(stdout);
    if (program->offerer)
        take_remotes(program);
}

/* Through a relay, the other end begins when it hears that this one is there. */
static void on_open(void *user, struct fb_peer *peer) {
    struct lane *lane = user;
    struct load *load = &lane->program->load;
    uint8_t ack[LOAD_ACK_LEN];
    if (load->window != 0 && !load->source)
        fb_peer_send(peer, load_ack(load, ack), sizeof ack);
    fill(lane);
}

static void on_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct lane *lane = user;
    struct program *program = lane->program;
    uint8_t ack[LOAD_ACK_LEN];
    if (program->load.received == 0 && !program->load.source)
        uv_timer_start(&program->timer, on_time, load_ms(&program->load), 0);
    if (load_received(&program->load, data, len, ack))
        fb_peer_send(peer, ack, sizeof ack);
    fill(lane);
}

static void on_writable(void *user, struct fb_peer *peer) {
    fill(user);
}

static void on_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct lane *lane = user;
    lane->peer = NULL;
    if (reason != FB_PEER_BY_REMOTE) {
        fprintf(stderr, "rtc_peer: %s\n", fb_peer_reason_text(reason));
        lane->program->status = 1;
    }
    stop(lane->program);
}

static bool parse(struct program *program, int argc, char **argv) {
    program->offerer = argc > 1 && strcmp(argv[1], "offer") == 0;
    program->lane_count = argc == 8 ? strtoul(argv[7], NULL, 10) : 1;
    return argc >= 2 && (program->offerer || strcmp(argv[1], "answer") == 0) &&
           program->lane_count >= 1 && program->lane_count <= LANES_MAX &&
           load_parse(&program->load, argc == 8 ? 5 : argc - 2, argv + 2);
}

static int begin_lane(struct program *program, struct lane *lane) {
    static const struct fb_peer_handler handler = {on_described, NULL,        on_open,
                                                   on_message,   on_writable, on_closed};
    struct fb_peer_config config = {
        .offerer = program->offerer, .local = true, .handler = &handler, .user = lane};
    lane->program = program;
    return fb_peer_new(&lane->peer, program->rtc, &config);
}

int main(int argc, char **argv) {
    static struct program program;
    if (!parse(&program, argc, argv)) {
        fprintf(stderr, "usage: rtc_peer offer|answer source|sink SECONDS BYTES"
                        " [WINDOW [WARM_MS [LANES]]]\n");
        return 2;
    }
    uv_loop_init(&program.loop);
    uv_timer_init(&program.loop, &program.timer);
    program.timer.data = &program;
    if (fb_rtc_new(&program.rtc, &program.loop) != 0)
        return 1;
    for (size_t i = 0; i < program.lane_count; i++)
        if (begin_lane(&program, &program.lanes[i]) != 0)
            return 1;
    if (!program.offerer)
        take_remotes(&program);
    uv_run(&program.loop, UV_RUN_DEFAULT);
    uv_loop_close(&program.loop);
    load_report(&program.load);
    return program.status;
}
