/*
 * COUNT idle volunteers on the broker of a network, over plain WebSockets: says "ready" when each
 * has been welcomed and waits for an offer, and stays until it is killed.
 *
 *     idle_volunteers DIRECTORY COUNT      DIRECTORY: of `footbridge network new`
 */
#include <stdio.h>
#include <stdlib.h>

#include "net/loop.h"
#include "role/keys.h"
#include "stand_in.h"

static void all_ready(void *user) {
    puts("ready");
    fflush(stdout);
}

int main(int argc, char **argv) {
    static struct fb_network_files files;
    char err[FB_KEYS_ERR_MAX];
    if (argc != 3) {
        fprintf(stderr, "usage: idle_volunteers DIRECTORY COUNT\n");
        return 2;
    }
    if (fb_network_files_read(argv[1], 0, &files, err) != 0)
        bench_die(err);
    uv_loop_t loop;
    fb_raise_fd_limit();
    uv_loop_init(&loop);
    const struct fb_net_config config = {.loop = &loop, .local = true};
    struct stand_ins all = {.net = fb_net_new(&config, err),
                            .capacity = 4,
                            .count = strtoul(argv[2], NULL, 10),
                            .all_ready = all_ready};
    if (all.net == NULL)
        bench_die(err);
    stand_ins_begin(&all, &files.document);
    uv_run(&loop, UV_RUN_DEFAULT);
    return 0;
}
