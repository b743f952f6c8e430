#include "egress_child.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "crypto/openssl.h"
#include "net/loop.h"
#include "role/egress.h"
#include "stand_in.h"

#define FLOOD_QUEUE ((size_t)256 * 1024)

/* A bare WebSocket; size 0: it is idle. */
struct bare {
    size_t size;
};

static void flood(struct bare *bare, struct fb_ws *ws) {
    static const uint8_t message[FB_MESSAGE_MAX] = {FB_KIND_SESSION};
    while (bare->size > 0 && fb_ws_send(ws, message, bare->size) == 0)
        continue;
}

static bool bare_accept(void *ctx, struct fb_ws *ws, void **user) {
    *user = calloc(1, sizeof(struct bare));
    return *user != NULL;
}

static void bare_message(void *user, struct fb_ws *ws, const uint8_t *data, size_t len) {
    static const uint8_t reply[FB_REPLY_LEN] = {FB_KIND_SESSION};
    struct bare *bare = user;
    struct fb_rd rd = fb_rd_make(data, len);
    if (len == BARE_FLOOD_LEN)
        bare->size = fb_rd_u32(&rd);
    else
        fb_ws_send(ws, reply, sizeof reply);
    flood(bare, ws);
}

static void bare_drained(void *user, struct fb_ws *ws) {
    flood(user, ws);
}

static void bare_closed(void *user, struct fb_ws *ws, int code, const char *why) {
    free(user);
}

static struct fb_egress *start_egress(const struct shared *shared, struct fb_net *net,
                                      struct fb_server *server) {
    struct fb_egress_config config;
    struct fb_egress *egress;
    struct fb_exit_policy *policy = fb_exit_policy_new(fb_mem_default());
    if (policy == NULL || fb_exit_policy_except(policy, &shared->origin) != 0)
        bench_die("out of memory");
    fb_egress_config_init(&config);
    config.net = net;
    config.server = server;
    config.crypto = fb_crypto_openssl();
    config.policy = policy;
    config.ticket_keys = &shared->ticket_key;
    config.ticket_key_count = 1;
    config.limits.address = (struct fb_quota_limits){0}; /* all go to the one origin */
    memcpy(config.network_id, shared->network_id, sizeof config.network_id);
    memcpy(config.key, shared->egress_key, sizeof config.key);
    if (fb_egress_new(&egress, &config) != 0)
        bench_die("the egress does not start");
    return egress;
}

void serve(struct shared *shared, int tell) {
    static const struct fb_ws_handler bare_handler = {
        .message = bare_message, .drained = bare_drained, .closed = bare_closed};
    const struct fb_ws_route bare = {
        .path = BARE_ROUTE,
        .limits = {.message_max = FB_MESSAGE_MAX, .send_max = FLOOD_QUEUE, .bulk = true},
        .handler = &bare_handler,
        .accept = bare_accept};
    char err[FB_NET_ERR_MAX];
    uv_loop_t loop;
    struct fb_net_config net_config = {.loop = &loop, .local = true};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    uv_loop_init(&loop);
    struct fb_net *net = fb_net_new(&net_config, err);
    struct fb_server *server = net == NULL ? NULL : fb_server_new(net, NULL, NULL, err);
    struct fb_addr addr = {.family = 4, .ip = {127, 0, 0, 1}};
    if (server == NULL)
        bench_die(err);
    struct fb_egress *egress = start_egress(shared, net, server);
    if (fb_server_add_ws(server, &bare) != 0 || fb_server_listen(server, &addr, err) != 0)
        bench_die("the egress does not start");
    memcpy(shared->said.process_id, fb_egress_process_id(egress), FB_PROCESS_ID_LEN);
    shared->said.port = addr.port;
    if (write(tell, &shared->said, sizeof shared->said) != (ssize_t)sizeof shared->said)
        bench_die("pipe");
    uv_run(&loop, UV_RUN_DEFAULT);
}
