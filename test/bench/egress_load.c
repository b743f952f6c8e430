/*
 * What an egress costs: starts one in a child process (egress_child.h) and lets COUNT sessions
 * attach to it with real tickets, each over PATHS WebSockets, without WebRTC. PATHS 0: COUNT bare
 * WebSockets of the same kind instead, that have exchanged messages of the same sizes and belong to
 * nobody. Says as JSON:
 *
 *     egress_load COUNT PATHS
 * `each`: private memory of the child for each of them, once nothing moves any more.
 *
 *     egress_load COUNT PATHS ACTIVE SECONDS [BYTES]
 * then ACTIVE of them download from an origin on loopback, one stream each, as fast as it goes
 * (bare: are sent messages of BYTES). `cpu`: seconds of the child in that time; `bytes` that
 * arrived of streams (bare: of messages); `packet`: mean bytes of the messages that carried them;
 * `seal`: CPU seconds that encrypting those messages takes by itself.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "core/dest.h"
#include "core/hop.h"
#include "core/packet.h"
#include "core/session.h"
#include "core/tokens.h"
#include "crypto/openssl.h"
#include "egress_child.h"
#include "net/loop.h"
#include "net/sockaddr.h"
#include "net/ws.h"
#include "role/egress.h"
#include "stand_in.h"

#define PATHS_MAX 8
#define AT_ONCE 32
#define QUIET_US UINT64_C(1500000)
#define WARM_US UINT64_C(1000000)
#define PATIENCE_US UINT64_C(120000000)
#define ATTACH_LEN (1 + FB_TICKET_LEN + FB_FIRST_LEN)
#define BULK 1000 /* bytes; a message of less carries no stream to speak of */
#define SEAL_FOR_S 0.5

/* ---- the origin: sends to whoever comes, for ever ---- */

static void *flood(void *arg) {
    static const uint8_t zeros[256 * 1024];
    int fd = *(int *)arg;
    free(arg);
    while (send(fd, zeros, sizeof zeros, MSG_NOSIGNAL) > 0)
        continue;
    close(fd);
    return NULL;
}

static void be_origin(int listener) {
    pthread_t thread;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        int *fd = malloc(sizeof *fd);
        if (fd == NULL || (*fd = accept(listener, NULL, NULL)) < 0 ||
            pthread_create(&thread, NULL, flood, fd) != 0)
            bench_die("the origin fails");
        pthread_detach(thread);
    }
}

static pid_t start_origin(struct fb_addr *at) {
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&addr, len) != 0 || listen(listener, 1024) != 0 ||
        getsockname(listener, (struct sockaddr *)&addr, &len) != 0)
        bench_die("no port for the origin");
    *at = (struct fb_addr){.family = 4, .ip = {127, 0, 0, 1}, .port = ntohs(addr.sin_port)};
    pid_t child = fork();
    if (child == 0)
        be_origin(listener);
    close(listener);
    return child;
}

/* ---- the parent: clients without WebRTC ---- */

struct run {
    const struct shared *shared;
    uv_loop_t loop;
    struct fb_net *net;
    struct fb_timer *timer;
    struct fb_session_config config;
    size_t count, paths, begun, ready;
    uint64_t deadline_us, quiet_us;
    char url[64];
    pid_t egress;
    long before; /* the child's private memory without any of them */
    size_t active, size;
    double seconds;
    uint64_t counting_us; /* since when; 0: not yet */
    double cpu_s;         /* of the child then */
    uint64_t bytes, packets, packet_bytes;
    struct client **clients; /* count of them */
};

struct path {
    struct client *client;
    struct fb_ws *ws;
    uint32_t id;
    uint8_t first[FB_FIRST_LEN];
};

struct client {
    struct run *run;
    struct fb_session *s; /* NULL: a bare WebSocket */
    struct fb_timer *timer;
    size_t open;
    uint64_t stream, skip; /* skip: bytes of its head that are the connect's result */
    struct path paths[PATHS_MAX];
};

static void begin(struct run *run);

static void one_ready(struct run *run) {
    run->ready++;
    run->quiet_us = fb_now_us() + QUIET_US;
    if (run->begun < run->count)
        begin(run);
}

static void add_path(struct client *client);

static bool send_one(struct client *client, uint64_t now) {
    static uint8_t message[FB_MESSAGE_MAX];
    uint32_t id;
    size_t len = fb_session_send(client->s, &id, message, now);
    for (size_t i = 0; len > 0 && i < client->run->paths; i++)
        if (client->paths[i].ws != NULL && client->paths[i].id == id)
            fb_ws_send(client->paths[i].ws, message, len);
    return len > 0;
}

static void read_stream(struct client *client) {
    const uint8_t *data;
    size_t len;
    while (fb_stream_peek(client->s, client->stream, &data, &len), len > 0) {
        if (client->skip > 0 && data[0] != FB_DEST_OK)
            bench_die("the egress does not reach the origin");
        client->run->bytes += len - (client->skip < len ? client->skip : len);
        client->skip = 0;
        fb_stream_consume(client->s, client->stream, len);
    }
}

static void on_event(struct client *client, const struct fb_event *event) {
    if (event->type == FB_EVENT_CLOSED || event->type == FB_EVENT_PATH_CLOSED ||
        event->type == FB_EVENT_STREAM_GONE)
        bench_die("a session, path or stream was closed");
    if (event->type == FB_EVENT_STREAM)
        read_stream(client);
    if (event->type != FB_EVENT_PATH_OPEN)
        return;
    if (++client->open == client->run->paths)
        one_ready(client->run);
    else
        add_path(client);
}

static void pump(struct client *client) {
    uint64_t now = fb_now_us();
    bool more = true;
    while (more) {
        struct fb_event event;
        more = false;
        while (send_one(client, now))
            more = true;
        while (fb_session_next(client->s, &event)) {
            on_event(client, &event);
            more = true;
        }
    }
    fb_timer_set(client->timer, fb_session_deadline(client->s));
}

static void on_timer(void *user) {
    struct client *client = user;
    fb_session_tick(client->s, fb_now_us());
    pump(client);
}

static void on_open(void *user, struct fb_ws *ws) {
    struct path *path = user;
    struct client *client = path->client;
    const struct shared *shared = client->run->shared;
    uint8_t attach[ATTACH_LEN] = {FB_KIND_ATTACH};
    if (client->s != NULL &&
        fb_ticket_make(fb_crypto_openssl(), fb_rng_default(), shared->ticket_seed,
                       &shared->ticket_key, shared->said.process_id, path->first, FB_FIRST_LEN,
                       fb_unix_s(), attach + 1) != 0)
        bench_die("no ticket");
    memcpy(attach + 1 + FB_TICKET_LEN, path->first, FB_FIRST_LEN);
    fb_ws_send(ws, attach, sizeof attach);
    if (client->s == NULL)
        return;
    fb_session_path_up(client->s, path->id, fb_now_us());
    pump(client);
}

static void on_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    static uint8_t copy[FB_MESSAGE_MAX];
    struct path *path = user;
    struct run *run = path->client->run;
    if (len >= BULK) {
        run->packets++;
        run->packet_bytes += len;
    }
    if (path->client->s == NULL) {
        run->bytes += len;
        if (len < BULK)
            one_ready(run);
        return;
    }
    if (data[0] == FB_KIND_HOP && len > 2 && data[1] == FB_HOP_FAREWELL) {
        fprintf(stderr, "the egress says farewell, reason %u\n", data[2]);
        exit(1);
    }
    if (data[0] != FB_KIND_SESSION)
        return;
    memcpy(copy, data, len);
    fb_session_recv(path->client->s, path->id, copy, len, fb_now_us());
    pump(path->client);
}

static void on_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    bench_die(why);
}

static void add_path(struct client *client) {
    static const struct fb_ws_handler handler = {
        .open = on_open, .message = on_message, .closed = on_closed};
    static const struct fb_ws_limits limits = {.message_max = FB_MESSAGE_MAX,
                                               .send_max = FB_MESSAGE_MAX};
    char err[FB_NET_ERR_MAX];
    struct path *path = &client->paths[client->open];
    path->client = client;
    if (client->s != NULL && fb_session_first(client->s, &path->id, path->first, fb_now_us()) != 0)
        bench_die("no token for one more path");
    path->ws = fb_ws_connect(client->run->net, client->run->url, &limits, PATIENCE_US, &handler,
                             path, err);
    if (path->ws == NULL)
        bench_die(err);
}

static void begin(struct run *run) {
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL)
        bench_die("out of memory");
    run->clients[run->begun++] = client;
    client->run = run;
    client->timer = fb_timer_new(&run->loop, on_timer, client);
    if (run->paths > 0 && fb_session_new(&client->s, &run->config, fb_now_us()) != 0)
        bench_die("out of memory");
    add_path(client);
}

/* ---- measuring ---- */

static long private_bytes(pid_t pid) {
    char name[64], line[256];
    long kb, sum = 0;
    snprintf(name, sizeof name, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(name, "r");
    if (file == NULL)
        bench_die("cannot read smaps_rollup");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Private_Clean: %ld", &kb) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &kb) == 1)
            sum += kb * 1024;
    fclose(file);
    return sum;
}

/* Of the child, user and system (proc_pid_stat(5)). */
static double cpu_seconds(pid_t pid) {
    char name[64], line[1024];
    unsigned long user, system;
    snprintf(name, sizeof name, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(name, "r");
    if (file == NULL || fgets(line, sizeof line, file) == NULL)
        bench_die("cannot read stat");
    fclose(file);
    const char *after = strrchr(line, ')');
    if (after == NULL || sscanf(after + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                                &user, &system) != 2)
        bench_die("cannot read stat");
    return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

static double own_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
}

/* CPU seconds for each byte of messages of that size. */
static double seal_cost(size_t size) {
    static struct fb_packets packets;
    static uint8_t message[FB_MESSAGE_MAX];
    uint8_t key[FB_KEY_LEN] = {1};
    double began = own_cpu(), bytes = 0;
    if (fb_packets_init(&packets, fb_crypto_openssl(), 0, key, key, 0) != 0)
        bench_die("out of memory");
    while (own_cpu() - began < SEAL_FOR_S) {
        for (int i = 0; i < 1000; i++)
            fb_packet_seal(&packets, message, size - FB_PACKET_OVERHEAD);
        bytes += 1000.0 * (double)size;
    }
    double cost = (own_cpu() - began) / bytes;
    fb_packets_clear(&packets);
    return cost;
}

static void start_stream(struct client *client) {
    struct fb_dest dest = {.addr = client->run->shared->origin};
    uint8_t prologue[FB_DEST_MAX];
    dest.port = dest.addr.port;
    size_t len = fb_dest_write(&dest, prologue);
    client->skip = 1;
    if (fb_stream_open(client->s, &client->stream) != 0 ||
        fb_stream_write(client->s, client->stream, prologue, len) != len)
        bench_die("no stream");
    pump(client);
}

static void start_flood(struct client *client) {
    uint8_t order[BARE_FLOOD_LEN];
    struct fb_wr wr = fb_wr_make(order, sizeof order);
    fb_wr_u32(&wr, (uint32_t)client->run->size);
    fb_ws_send(client->paths[0].ws, order, sizeof order);
}

static void start_active(struct run *run) {
    for (size_t i = 0; i < run->active; i++) {
        if (run->paths > 0)
            start_stream(run->clients[i]);
        else
            start_flood(run->clients[i]);
    }
}

static void begin_counting(struct run *run, uint64_t now) {
    run->counting_us = now;
    run->bytes = run->packets = run->packet_bytes = 0;
    run->cpu_s = cpu_seconds(run->egress);
}

static void report_load(const struct run *run, uint64_t now) {
    double cpu = cpu_seconds(run->egress) - run->cpu_s;
    size_t packet = run->packets > 0 ? run->packet_bytes / run->packets : 0;
    if (packet < BULK)
        bench_die("nothing was carried");
    printf("{\"cpu\": %.3f, \"bytes\": %llu, \"seconds\": %.3f, \"packet\": %zu, "
           "\"seal\": %.4f}\n",
           cpu, (unsigned long long)run->bytes, (double)(now - run->counting_us) / 1e6, packet,
           seal_cost(packet) * (double)run->packet_bytes);
}

static void end(struct run *run) {
    fb_timer_set(run->timer, FB_NEVER);
    uv_stop(&run->loop);
}

/* What comes after all are ready: quiet, then the active ones, for a while. */
static void on_look(void *user) {
    struct run *run = user;
    uint64_t now = fb_now_us();
    fb_timer_set(run->timer, now + 100000);
    if (now > run->deadline_us)
        bench_die("not all became ready in time");
    if (run->ready < run->count || now < run->quiet_us)
        return;
    if (run->active == 0) {
        printf("{\"each\": %ld}\n", (private_bytes(run->egress) - run->before) / (long)run->count);
        end(run);
    } else if (run->quiet_us > 0) {
        start_active(run);
        run->quiet_us = 0;
        fb_timer_set(run->timer, now + WARM_US);
    } else if (run->counting_us == 0) {
        begin_counting(run, now);
        fb_timer_set(run->timer, now + (uint64_t)(run->seconds * 1e6));
    } else {
        report_load(run, now);
        end(run);
    }
}

static void measure(struct run *run) {
    char err[FB_NET_ERR_MAX];
    struct fb_net_config net_config = {.loop = &run->loop, .local = true};
    uv_loop_init(&run->loop);
    run->net = fb_net_new(&net_config, err);
    run->clients = calloc(run->count, sizeof(struct client *));
    if (run->net == NULL || run->clients == NULL)
        bench_die(err);
    run->timer = fb_timer_new(&run->loop, on_look, run);
    run->deadline_us = fb_now_us() + PATIENCE_US;
    snprintf(run->url, sizeof run->url, "ws://127.0.0.1:%u%s", (unsigned)run->shared->said.port,
             run->paths > 0 ? FB_EGRESS_ROUTE : BARE_ROUTE);
    fb_session_config_init(&run->config, true);
    run->config.mem = fb_mem_default();
    run->config.rng = fb_rng_default();
    run->config.crypto = fb_crypto_openssl();
    memcpy(run->config.network_id, run->shared->network_id, FB_NETWORK_ID_LEN);
    memcpy(run->config.egress_id, run->shared->egress_id, FB_EGRESS_ID_LEN);
    run->before = private_bytes(run->egress);
    for (size_t i = 0; i < AT_ONCE && i < run->count; i++)
        begin(run);
    fb_timer_set(run->timer, fb_now_us());
    uv_run(&run->loop, UV_RUN_DEFAULT);
}

static void make_keys(struct shared *shared) {
    const struct fb_rng *rng = fb_rng_default();
    uint8_t public_key[FB_KEY_LEN];
    fb_random(rng, shared->network_id, sizeof shared->network_id);
    fb_random(rng, shared->egress_key, sizeof shared->egress_key);
    fb_random(rng, shared->ticket_seed, sizeof shared->ticket_seed);
    if (fb_ed25519_public(shared->ticket_seed, public_key) != 0 ||
        fb_x25519_public(shared->egress_key, shared->egress_id) != 0)
        bench_die("no keys");
    fb_ticket_key_init(&shared->ticket_key, fb_crypto_openssl(), public_key);
}

static bool parse(struct run *run, int argc, char **argv) {
    if (argc != 3 && argc != 5 && argc != 6)
        return false;
    run->count = strtoul(argv[1], NULL, 10);
    run->paths = strtoul(argv[2], NULL, 10);
    run->active = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    run->seconds = argc > 3 ? strtod(argv[4], NULL) : 0;
    run->size = argc > 5 ? strtoul(argv[5], NULL, 10) : FB_MESSAGE_MAX;
    return run->count > 0 && run->paths <= PATHS_MAX && run->active <= run->count &&
           run->size >= BULK && run->size <= FB_MESSAGE_MAX;
}

int main(int argc, char **argv) {
    static struct shared shared;
    static struct run run = {.shared = &shared};
    int tell[2];
    if (!parse(&run, argc, argv)) {
        fprintf(stderr, "usage: egress_load COUNT PATHS [ACTIVE SECONDS [BYTES]]\n");
        return 2;
    }
    make_keys(&shared);
    fb_raise_fd_limit();
    pid_t origin = start_origin(&shared.origin);
    if (pipe(tell) != 0)
        bench_die("pipe");
    run.egress = fork();
    if (run.egress == 0) {
        serve(&shared, tell[1]);
        return 1;
    }
    if (read(tell[0], &shared.said, sizeof shared.said) != (ssize_t)sizeof shared.said)
        bench_die("the egress did not start");
    measure(&run);
    kill(run.egress, SIGKILL);
    kill(origin, SIGKILL);
    waitpid(run.egress, NULL, 0);
    waitpid(origin, NULL, 0);
    return 0;
}
