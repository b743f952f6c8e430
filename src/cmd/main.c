#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
};

/* In the order of --help; NULL ends the table. */
static const struct command commands[] = {
    {"demo", fb_cmd_demo, "a whole network on this machine"},
    {"serve", fb_cmd_serve, "run a network: broker, egress, widget and STUN"},
    {"network", fb_cmd_network, "make a network's keys, sign its document, print its join link"},
    {"broker", fb_cmd_broker, "introduce readers to volunteers"},
    {"egress", fb_cmd_egress, "where readers' traffic leaves"},
    {"client", fb_cmd_client, "reach the internet through volunteers"},
    {"volunteer", fb_cmd_volunteer, "lend this machine's connection to readers"},
    {NULL, NULL, NULL},
};

static void print_help(void) {
    puts("Usage: footbridge COMMAND [OPTION]...\n"
         "Browser tabs that carry encrypted traffic for people whose network is censored.\n\n"
         "Commands (footbridge COMMAND --help says more):");
    for (const struct command *c = commands; c->name != NULL; c++)
        printf("  %-12s%s\n", c->name, c->summary);
    puts("\nfootbridge --version prints the version.");
}

int main(int argc, char **argv) {
    /* A closed socket or pipe is an error code where it happens, never the end of all sessions. */
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        fputs("footbridge: which command? (try --help)\n", stderr);
        return 2;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("footbridge " FB_VERSION);
        return 0;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help();
        return 0;
    }
    for (const struct command *c = commands; c->name != NULL; c++)
        if (strcmp(argv[1], c->name) == 0)
            return c->run(argc - 1, argv + 1);
    fprintf(stderr, "footbridge: unknown %s '%s' (try --help)\n",
            argv[1][0] == '-' ? "option" : "command", argv[1]);
    return 2;
}
