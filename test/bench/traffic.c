/*
 * An app and an origin around the network under test, as cheap as they can be: a connection through
 * the SOCKS5 proxy at port PROXY to a listener of this program's own at port ORIGIN, both on
 * loopback, and zeros over it, from the origin (down), to it (up), or from it at so many bits a
 * second (down BITS). Says "begin" when what is counted begins (load.h has the warm-up), "end", and
 * then what arrived and what was offered in that time, as JSON.
 *
 *     traffic PROXY ORIGIN SECONDS down|up [BITS]
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "load.h"
#include "stand_in.h"

#define CHUNK ((size_t)256 * 1024)
#define PACED_CHUNK ((size_t)16 * 1024)
#define PACE_MS 10
#define SECOND_NS 1000000000.0

static struct {
    double seconds, bits;
    bool down;
    int listener;
    uint16_t proxy, origin;
    size_t chunk;
    atomic_ullong sent;
} run;

static void must(bool ok, const char *why) {
    if (!ok)
        bench_die(why);
}

/* ---- the two ends of a flow, each in a thread with a blocking socket ---- */

/* A paced flow sends what is due, however late the clock rings. */
static bool is_early(uint64_t began_ns) {
    return run.bits > 0 && (double)(run.sent + run.chunk) >
                               (double)(uv_hrtime() - began_ns) / SECOND_NS * run.bits / 8;
}

static void flood(int fd) {
    static uint8_t zeros[CHUNK];
    uint64_t began = uv_hrtime();
    ssize_t n;
    while ((n = send(fd, zeros, run.chunk, MSG_NOSIGNAL)) > 0) {
        run.sent += (uint64_t)n;
        while (is_early(began))
            poll(NULL, 0, PACE_MS);
    }
}

static void say(const char *line) {
    puts(line);
    fflush(stdout);
}

static void count(int fd) {
    static uint8_t buf[CHUNK];
    uint64_t first = 0, began = 0, bytes = 0, offered = 0, now;
    do {
        ssize_t n = recv(fd, buf, run.chunk, MSG_WAITALL);
        must(n > 0, "the connection ended");
        now = uv_hrtime();
        if (first == 0)
            first = now;
        if (began != 0) {
            bytes += (uint64_t)n;
        } else if (now - first >= LOAD_WARM_NS) {
            began = now;
            offered = run.sent;
            say("begin");
        }
    } while (began == 0 || (double)(now - began) < run.seconds * SECOND_NS);
    say("end");
    printf("{\"bytes\": %llu, \"offered\": %llu, \"seconds\": %.3f}\n", (unsigned long long)bytes,
           (unsigned long long)(run.sent - offered), (double)(now - began) / SECOND_NS);
    fflush(stdout);
    _exit(0); /* the other thread is in the middle of something */
}

/* ---- origin and app ---- */

static void *serve(void *arg) {
    char hello;
    int fd = accept(run.listener, NULL, NULL);
    must(fd >= 0 && recv(fd, &hello, 1, 0) == 1, "nobody came to the origin");
    if (run.down)
        flood(fd);
    else
        count(fd);
    return NULL;
}

static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return addr;
}

static void use(void) {
    static const uint8_t greeting[] = {5, 1, 0};
    uint8_t request[] = {5, 1, 0, 1, 127, 0, 0, 1, (uint8_t)(run.origin >> 8), (uint8_t)run.origin};
    uint8_t reply[10];
    struct sockaddr_in addr = loopback(run.proxy);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0, "no proxy there");
    must(send(fd, greeting, sizeof greeting, 0) == (ssize_t)sizeof greeting &&
             recv(fd, reply, 2, MSG_WAITALL) == 2 && reply[1] == 0 &&
             send(fd, request, sizeof request, 0) == (ssize_t)sizeof request &&
             recv(fd, reply, sizeof reply, MSG_WAITALL) == (ssize_t)sizeof reply && reply[1] == 0,
         "the proxy refuses"); /* RFC 1928 */
    must(send(fd, "", 1, 0) == 1, "the connection ended");
    if (run.down)
        count(fd);
    else
        flood(fd);
}

int main(int argc, char **argv) {
    pthread_t thread;
    if (argc < 5 || argc > 6) {
        fprintf(stderr, "usage: traffic PROXY ORIGIN SECONDS down|up [BITS]\n");
        return 2;
    }
    run.proxy = (uint16_t)atoi(argv[1]);
    run.origin = (uint16_t)atoi(argv[2]);
    run.seconds = strtod(argv[3], NULL);
    run.down = strcmp(argv[4], "down") == 0;
    run.bits = argc == 6 ? strtod(argv[5], NULL) : 0;
    run.chunk = run.bits > 0 ? PACED_CHUNK : CHUNK;
    struct sockaddr_in addr = loopback(run.origin);
    int on = 1;
    run.listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(run.listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(bind(run.listener, (struct sockaddr *)&addr, sizeof addr) == 0 &&
             listen(run.listener, 1) == 0,
         "the origin's port is taken");
    must(pthread_create(&thread, NULL, serve, NULL) == 0, "no thread");
    use();
    return 1; /* count() ends the process */
}
