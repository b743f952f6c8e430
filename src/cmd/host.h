/*
 * What the servers that are processes of their own, broker and egress, start with: loop, signals,
 * the operator's files, sockets, an HTTP server and where it listens.
 */
#ifndef FB_CMD_HOST_H
#define FB_CMD_HOST_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "cmd/options.h"
#include "net/loop.h"
#include "net/server.h"
#include "role/keys.h"

struct fb_host_config {
    const char *command; /* the subcommand's name */
    const char *keys;    /* directory */
    const char *cert, *key, *dns;
    const char *ca; /* whom the role trusts as a client; NULL: the system's authorities */
    uint64_t per_address, connections;
    /* SIGINT, SIGTERM or SIGHUP for the first time: the role says goodbye, for which the loop runs
     * half a second more. At the second the process ends at once. */
    void (*stop)(void *user);
    void *user;
};

struct fb_host {
    struct fb_host_config config;
    uv_loop_t loop;
    struct fb_signals *signals;
    struct fb_timer *goodbye;
    struct fb_net *net;
    struct fb_server *server;
    struct fb_network_files files;
    struct fb_log log;
    bool local, stopping;
    char err[FB_KEYS_ERR_MAX];
};

/* All of these: 0, or an error with one line in host->err, which fb_host_complain prints. */
int fb_host_start(struct fb_host *host, const struct fb_host_config *config,
                  enum fb_log_level level);
int fb_host_key(struct fb_host *host, enum fb_key_kind kind, size_t number,
                uint8_t key[static FB_KEY_LEN]);
/* "ADDRESS:PORT", or a message that quotes it. */
int fb_host_addr(struct fb_host *host, const char *text, struct fb_addr *addr);
/* At the addresses given; at none: everywhere, on the port of the URL that the document has. */
int fb_host_listen(struct fb_host *host, const struct fb_texts *listen, const char *url,
                   enum fb_url_kind kind);

/* Prints "footbridge COMMAND: " and host->err; returns the exit status. */
int fb_host_complain(const struct fb_host *host);
/* Until it is asked to stop. */
void fb_host_run(struct fb_host *host);
/* After what the role puts on the server is stopped; the role itself is freed after this... */
void fb_host_close(struct fb_host *host);
/* ... and before this. */
void fb_host_end(struct fb_host *host);

#endif
