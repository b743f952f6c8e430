/*
 * The native peer of measurements, by itself: describes itself as SDP on standard output, reads the
 * other side's from standard input (each ends with a line "."), and sends, counts or returns
 * messages. What it measured is the last line of its output, as JSON.
 *
 *     rtc_peer offer|answer source|sink|echo SECONDS BYTES
 *
 * source sends messages of BYTES bytes for SECONDS; sink counts for SECONDS from the first message
 * on; echo returns what comes until the other side closes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rtc/peer.h"

enum work { WORK_SOURCE, WORK_SINK, WORK_ECHO };

struct program {
    uv_loop_t loop;
    uv_timer_t timer;
    struct fb_rtc *rtc;
    struct fb_peer *peer;
    enum work work;
    bool offerer;
    double seconds;
    size_t size;
    uint64_t bytes, messages, first_ns, last_ns, described_ns, open_ns;
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
    static uint8_t message[FB_PEER_MESSAGE_MAX];
    while (fb_peer_send(program->peer, message, program->size) == 0) {
        program->bytes += program->size;
        program->messages++;
    }
    program->last_ns = uv_hrtime();
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
    program->described_ns = uv_hrtime();
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

static void on_open(void *user, struct fb_peer *peer) {
    struct program *program = user;
    program->open_ns = uv_hrtime();
    if (program->work != WORK_SOURCE)
        return;
    program->first_ns = uv_hrtime();
    uv_timer_start(&program->timer, on_time, (uint64_t)(program->seconds * 1000), 0);
    fill(program);
}

static void on_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct program *program = user;
    if (program->work == WORK_SOURCE)
        return;
    if (program->messages++ == 0) {
        program->first_ns = uv_hrtime();
        if (program->work == WORK_SINK)
            uv_timer_start(&program->timer, on_time, (uint64_t)(program->seconds * 1000), 0);
    }
    program->bytes += len;
    program->last_ns = uv_hrtime();
    if (program->work == WORK_ECHO)
        fb_peer_send(peer, data, len);
}

static void on_writable(void *user, struct fb_peer *peer) {
    struct program *program = user;
    if (program->work == WORK_SOURCE)
        fill(program);
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

static void report(const struct program *program) {
    double seconds = (double)(program->last_ns - program->first_ns) / 1e9;
    printf("{\"messages\": %llu, \"bytes\": %llu, \"seconds\": %.3f, \"mbits\": %.1f, "
           "\"open_ms\": %.1f}\n",
           (unsigned long long)program->messages, (unsigned long long)program->bytes, seconds,
           seconds > 0 ? (double)program->bytes * 8e-6 / seconds : 0.0,
           (double)(program->open_ns - program->described_ns) / 1e6);
}

static bool parse(struct program *program, int argc, char **argv) {
    static const char *const works[] = {"source", "sink", "echo"};
    if (argc != 5)
        return false;
    program->offerer = strcmp(argv[1], "offer") == 0;
    if (!program->offerer && strcmp(argv[1], "answer") != 0)
        return false;
    size_t i = 0;
    while (i < 3 && strcmp(argv[2], works[i]) != 0)
        i++;
    program->work = (enum work)i;
    program->seconds = strtod(argv[3], NULL);
    program->size = strtoul(argv[4], NULL, 10);
    return i < 3 && program->size > 0 && program->size <= FB_PEER_MESSAGE_MAX;
}

int main(int argc, char **argv) {
    static const struct fb_peer_handler handler = {on_described, NULL,        on_open,
                                                   on_message,   on_writable, on_closed};
    static struct program program;
    if (!parse(&program, argc, argv)) {
        fprintf(stderr, "usage: rtc_peer offer|answer source|sink|echo SECONDS BYTES\n");
        return 2;
    }
    struct fb_peer_config config = {.offerer = program.offerer, .local = true,
                                    .handler = &handler, .user = &program};
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
    report(&program);
    return program.status;
}
