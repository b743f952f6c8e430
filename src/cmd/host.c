#include "cmd/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define GOODBYE_US UINT64_C(500000)

static void stop_loop(void *user) {
    struct fb_host *host = user;
    uv_stop(&host->loop);
}

static void asked_to_stop(void *user, int signum) {
    struct fb_host *host = user;
    if (host->stopping)
        _Exit(1);
    host->stopping = true;
    fb_log(&host->log, FB_LOG_INFO, "stopping");
    host->config.stop(host->config.user);
    fb_timer_set(host->goodbye, fb_now_us() + GOODBYE_US);
}

int fb_host_start(struct fb_host *host, const struct fb_host_config *config,
                  enum fb_log_level level) {
    host->config = *config;
    host->log = (struct fb_log){.role = config->command, .level = level};
    uv_loop_init(&host->loop);
    host->signals = fb_signals_new(&host->loop, asked_to_stop, host);
    host->goodbye = fb_timer_new(&host->loop, stop_loop, host);
    if (host->signals == NULL || host->goodbye == NULL) {
        snprintf(host->err, sizeof host->err, "out of memory");
        return FB_ERR_NOMEM;
    }
    int err = fb_network_files_read(config->keys, fb_unix_s(), &host->files, host->err);
    if (err != 0)
        return err;
    host->local = (host->files.document.flags & FB_DOCUMENT_LOCAL) != 0;
    const struct fb_net_config net = {
        .loop = &host->loop,
        .ca_file = config->ca,
        .dns = config->dns,
        .max_connections = (size_t)config->connections,
        .max_per_address = (size_t)config->per_address,
        .local = host->local,
    };
    host->net = fb_net_new(&net, host->err);
    if (host->net == NULL)
        return FB_ERR_IO;
    host->server = fb_server_new(host->net, config->cert, config->key, host->err);
    return host->server == NULL ? FB_ERR_IO : 0;
}

int fb_host_key(struct fb_host *host, enum fb_key_kind kind, size_t number,
                uint8_t key[static FB_KEY_LEN]) {
    char path[FB_KEYS_PATH_MAX];
    int err = fb_key_path(host->config.keys, kind, number, path, host->err);
    return err != 0 ? err : fb_key_read(path, kind, key, host->err);
}

int fb_host_addr(struct fb_host *host, const char *text, struct fb_addr *addr) {
    int err = fb_addr_parse_port(text, strlen(text), addr);
    if (err != 0)
        snprintf(host->err, sizeof host->err, "not ADDRESS:PORT: %.200s", text);
    return err;
}

static int listen_one(struct fb_host *host, struct fb_addr *addr) {
    char text[FB_ADDR_STR_MAX];
    int err = fb_server_listen(host->server, addr, host->err);
    if (err == 0)
        fb_log(&host->log, FB_LOG_INFO, "listening at %s%s", fb_addr_format_port(addr, text),
               fb_server_is_tls(host->server) ? " with TLS" : "");
    return err;
}

static int listen_everywhere(struct fb_host *host, uint16_t port) {
    struct fb_addr four = {.family = 4, .port = port}, six = {.family = 6, .port = port};
    int err = listen_one(host, &four);
    if (err == 0 && listen_one(host, &six) != 0)
        fb_log(&host->log, FB_LOG_INFO, "not over IPv6: %s", host->err);
    return err;
}

int fb_host_listen(struct fb_host *host, const struct fb_texts *listen, const char *url,
                   enum fb_url_kind kind) {
    struct fb_url parsed;
    if (listen->len == 0)
        return fb_url_parse(url, kind, &parsed) != 0 ? FB_ERR_MALFORMED
                                                     : listen_everywhere(host, parsed.port);
    for (size_t i = 0; i < listen->len; i++) {
        struct fb_addr addr;
        int err = fb_host_addr(host, listen->at[i], &addr);
        if (err == 0)
            err = listen_one(host, &addr);
        if (err != 0)
            return err;
    }
    return 0;
}

int fb_host_complain(const struct fb_host *host) {
    fprintf(stderr, "footbridge %s: %s\n", host->config.command, host->err);
    return 1;
}

void fb_host_run(struct fb_host *host) {
    fb_log(&host->log, FB_LOG_INFO, "ready; Ctrl-C stops");
    uv_run(&host->loop, UV_RUN_DEFAULT);
}

void fb_host_close(struct fb_host *host) {
    fb_server_free(host->server);
    host->server = NULL;
}

void fb_host_end(struct fb_host *host) {
    fb_server_free(host->server);
    fb_net_free(host->net);
    fb_signals_free(host->signals);
    fb_timer_free(host->goodbye);
    fb_loop_finish(&host->loop);
}
