/*
 * A subcommand's options as a table, filled from the command line and from a configuration file
 * (--config FILE) with the same names. The command line wins; a later occurrence wins over an
 * earlier one. What was not given keeps the destination's value, which is thus the default.
 *
 *     const char *join = NULL;
 *     uint64_t port = 1080;
 *     const struct fb_option table[] = {
 *         {"join", "LINK", "the network's join link", .text = &join, .required = true},
 *         {"port", "PORT", "listen on PORT (1080)", .number = &port, .max = 65535},
 *         {0},
 *     };
 *     const struct fb_usage usage = {"client", "carry this machine's traffic", table};
 *     struct fb_args args;
 *     int status = fb_args_start(&args, &usage, argc, argv);
 *     if (status >= 0)
 *         return status;
 *     ...
 *     fb_args_free(&args);
 *
 * Forms: `--name VALUE`, `--name=VALUE`, `--flag`, `--flag=no`, `--` (operands follow). In the
 * file: `name = value`, comments with `;` or `#` at the start of a line, ` ;` after a value, lines
 * of at most FB_CONFIG_LINE_MAX bytes, and at most one kind of section, named as the subcommand.
 * Every subcommand also has --help, --config, --verbose and --quiet.
 */
#ifndef FB_CMD_OPTIONS_H
#define FB_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/log.h"

#define FB_CONFIG_LINE_MAX 190 /* what libinih's line buffer holds with its defaults */

/* The values of an option that may be given many times, in order. */
struct fb_texts {
    const char **at;
    size_t len;
};

/* Exactly one of flag, text, number, texts and parse is set, and with it the kind. */
struct fb_option {
    const char *name;  /* without the dashes; NULL ends the table */
    const char *value; /* the value's name in --help; NULL for a flag */
    const char *help;
    bool *flag;             /* in the file: yes, no, true, false, on, off */
    const char **text;      /* not empty */
    uint64_t *number;       /* decimal, min to max */
    struct fb_texts *texts; /* the command line's values replace the file's */
    /* A value of another form: false: it is not of that; to NULL: only checks. */
    bool (*parse)(const char *value, void *to);
    void *to;
    const char *takes; /* "hours like 22:00-06:30": for the complaint */
    uint64_t min, max;
    bool required;
};

struct fb_usage {
    const char *command; /* the subcommand's name */
    const char *summary; /* one line for --help */
    const struct fb_option *options;
    const char *operands; /* "DIRECTORY" as shown in --help; NULL: none are taken */
    size_t operands_min, operands_max;
};

/* What parsing leaves; texts and operands point into it, so it lives as long as they are used. */
struct fb_args {
    enum fb_log_level level; /* from --verbose and --quiet; FB_LOG_INFO without */
    char **operands;
    size_t operand_count;
    bool help;       /* --help was given; nothing else was checked */
    char error[512]; /* one line, when fb_args_parse() failed */
    void *held;      /* memory of this object */
};

/*
 * Parses without printing. 0, or: FB_ERR_MALFORMED (called wrongly), FB_ERR_IO (the file cannot be
 * read), FB_ERR_NOMEM; then args->error says what. fb_args_free() is due in every case.
 */
int fb_args_parse(struct fb_args *args, const struct fb_usage *usage, int argc, char **argv);

/*
 * Parses, and prints help or the error. -1: go on, and call fb_args_free() at the end; otherwise
 * the exit status, with everything freed.
 */
int fb_args_start(struct fb_args *args, const struct fb_usage *usage, int argc, char **argv);

void fb_args_free(struct fb_args *args);

/* Prints a usage error as fb_args_start() does, for checks that a table cannot express; returns 2.
 */
int fb_args_fail(const struct fb_usage *usage, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
