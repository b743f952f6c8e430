/*
 * Memory of an egress for what is idle: starts one in a child process, lets COUNT sessions attach
 * to it with real tickets, each over PATHS WebSockets, waits until nothing moves any more, and says
 * how much private memory of the child each session cost (JSON, bytes). PATHS 0: COUNT bare
 * WebSockets of the same kind instead, that have exchanged messages of the same sizes and belong to
 * nobody.
 *
 *     egress_memory COUNT PATHS
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hop.h"
#include "core/tokens.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "role/egress.h"

#define PATHS_MAX 8
#define AT_ONCE 32
#define QUIET_US UINT64_C(1500000)
#define PATIENCE_US UINT64_C(60000000)
#define ATTACH_LEN (1 + FB_TICKET_LEN + FB_FIRST_LEN)
#define BARE_ROUTE "/bare"

/* What both processes know: the keys from before the fork, the rest by pipe. */
struct shared {
    uint8_t network_id[FB_NETWORK_ID_LEN], egress_key[FB_KEY_LEN], ticket_seed[FB_KEY_LEN];
    struct fb_ticket_key ticket_key;
    uint8_t egress_id[FB_EGRESS_ID_LEN];
    struct {
        uint8_t process_id[FB_PROCESS_ID_LEN];
        uint16_t port;
    } said;
};

static void die(const char *why) {
    fprintf(stderr, "egress_memory: %s\n", why);
    exit(1);
}

/* ---- the child ---- */

static bool bare_accept(void *ctx, struct fb_ws *ws, void **user) {
    return true;
}

static void bare_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    static const uint8_t reply[FB_REPLY_LEN] = {FB_KIND_SESSION};
    fb_ws_send(ws, reply, sizeof reply);
}

static void bare_closed(void *user, struct fb_ws *ws, int code, const char *why) {
}

static struct fb_egress *start_egress(const struct shared *shared, struct fb_net *net,
                                      struct fb_server *server) {
    struct fb_egress_config config;
    struct fb_egress *egress;
    fb_egress_config_init(&config);
    config.net = net;
    config.server = server;
    config.crypto = fb_crypto_openssl();
    config.policy = fb_exit_policy_new(fb_mem_default());
    config.ticket_keys = &shared->ticket_key;
    config.ticket_key_count = 1;
    memcpy(config.network_id, shared->network_id, sizeof config.network_id);
    memcpy(config.key, shared->egress_key, sizeof config.key);
    if (fb_egress_new(&egress, &config) != 0)
        die("the egress does not start");
    return egress;
}

static void serve(struct shared *shared, int tell) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    static const struct fb_ws_handler bare_handler = {.message = bare_message,
                                                      .closed = bare_closed};
    const struct fb_ws_route bare = {
        .path = BARE_ROUTE,
        .limits = {.message_max = FB_MESSAGE_MAX, .send_max = FB_MESSAGE_MAX, .bulk = true},
        .handler = &bare_handler,
        .accept = bare_accept};
    char err[FB_NET_ERR_MAX];
    uv_loop_t loop;
    struct fb_net_config net_config = {.loop = &loop, .local = true};
    uv_loop_init(&loop);
    struct fb_net *net = fb_net_new(&net_config, err);
    struct fb_server *server = net == NULL ? NULL : fb_server_new(net, NULL, NULL, err);
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    if (server == NULL)
        die(err);
    struct fb_egress *egress = start_egress(shared, net, server);
    if (fb_server_add_ws(server, &bare) != 0 || fb_server_listen(server, &addr, err) != 0)
        die("the egress does not start");
    memcpy(shared->said.process_id, fb_egress_process_id(egress), FB_PROCESS_ID_LEN);
    shared->said.port = addr.port;
    if (write(tell, &shared->said, sizeof shared->said) != (ssize_t)sizeof shared->said)
        die("pipe");
    uv_run(&loop, UV_RUN_DEFAULT); /* until it is killed */
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

static void on_event(struct client *client, const struct fb_event *event) {
    if (event->type == FB_EVENT_CLOSED || event->type == FB_EVENT_PATH_CLOSED)
        die("a session or path was closed");
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
        die("no ticket");
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
    if (path->client->s == NULL) {
        one_ready(path->client->run);
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
    die(why);
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
        die("no token for one more path");
    path->ws = fb_ws_connect(client->run->net, client->run->url, &limits, PATIENCE_US, &handler,
                             path, err);
    if (path->ws == NULL)
        die(err);
}

static void begin(struct run *run) {
    struct client *client = calloc(1, sizeof *client);
    run->begun++;
    if (client == NULL)
        die("out of memory");
    client->run = run;
    client->timer = fb_timer_new(&run->loop, on_timer, client);
    if (run->paths > 0 && fb_session_new(&client->s, &run->config, fb_now_us()) != 0)
        die("out of memory");
    add_path(client);
}

static void on_look(void *user) {
    struct run *run = user;
    uint64_t now = fb_now_us();
    if (now > run->deadline_us)
        die("not all became ready in time");
    if (run->ready == run->count && now >= run->quiet_us)
        uv_stop(&run->loop);
    else
        fb_timer_set(run->timer, now + 100000);
}

static long private_bytes(pid_t pid) {
    char name[64], line[256];
    long kb, sum = 0;
    snprintf(name, sizeof name, "/proc/%d/smaps_rollup", (int)pid);
    FILE *file = fopen(name, "r");
    if (file == NULL)
        die("cannot read smaps_rollup");
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "Private_Clean: %ld", &kb) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &kb) == 1)
            sum += kb * 1024;
    fclose(file);
    return sum;
}

static void measure(struct run *run, pid_t child) {
    char err[FB_NET_ERR_MAX];
    struct fb_net_config net_config = {.loop = &run->loop, .local = true};
    uv_loop_init(&run->loop);
    run->net = fb_net_new(&net_config, err);
    if (run->net == NULL)
        die(err);
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
    long before = private_bytes(child);
    for (size_t i = 0; i < AT_ONCE && i < run->count; i++)
        begin(run);
    fb_timer_set(run->timer, fb_now_us());
    uv_run(&run->loop, UV_RUN_DEFAULT);
    printf("{\"each\": %ld}\n", (private_bytes(child) - before) / (long)run->count);
}

int main(int argc, char **argv) {
    static struct shared shared;
    static struct run run = {.shared = &shared};
    run.count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    run.paths = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (run.count == 0 || run.paths > PATHS_MAX) {
        fprintf(stderr, "usage: egress_memory COUNT PATHS\n");
        return 2;
    }
    const struct fb_rng *rng = fb_rng_default();
    fb_random(rng, shared.network_id, sizeof shared.network_id);
    fb_random(rng, shared.egress_key, sizeof shared.egress_key);
    fb_random(rng, shared.ticket_seed, sizeof shared.ticket_seed);
    uint8_t public_key[FB_KEY_LEN];
    if (fb_ed25519_public(shared.ticket_seed, public_key) != 0 ||
        fb_x25519_public(shared.egress_key, shared.egress_id) != 0)
        die("no keys");
    fb_ticket_key_init(&shared.ticket_key, fb_crypto_openssl(), public_key);
    fb_raise_fd_limit();
    int tell[2];
    if (pipe(tell) != 0)
        die("pipe");
    pid_t child = fork();
    if (child == 0) {
        serve(&shared, tell[1]);
        return 1;
    }
    if (read(tell[0], &shared.said, sizeof shared.said) != (ssize_t)sizeof shared.said)
        die("the egress did not start");
    measure(&run, child);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 0;
}
