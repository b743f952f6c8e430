/*
 * The subcommands, one file each: src/cmd/<name>.c holds fb_cmd_<name>(). main.c's table
 * dispatches. argv[0] is the subcommand's name, argv[argc] is NULL. Each returns the exit status:
 * 0, 1 when it could not do its work (one line on standard error says why), 2 when it was called
 * wrongly.
 */
#ifndef FB_CMD_CMD_H
#define FB_CMD_CMD_H

int fb_cmd_broker(int argc, char **argv);
int fb_cmd_client(int argc, char **argv);
int fb_cmd_demo(int argc, char **argv);
int fb_cmd_egress(int argc, char **argv);
int fb_cmd_network(int argc, char **argv);
int fb_cmd_serve(int argc, char **argv);
int fb_cmd_volunteer(int argc, char **argv);

#endif
