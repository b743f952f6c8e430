#include "cmd/options.h"

#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define OPTIONS_MAX 64
#define BUILTINS 4
#define HELP_COLUMN 28

/* Where an option's present value came from. */
enum origin { DEFAULT, CONFIG_FILE, COMMAND_LINE };

struct held {
    struct held *next;
    char bytes[];
};

struct parse {
    struct fb_args *args;
    const struct fb_option *options[OPTIONS_MAX + 1]; /* the subcommand's, then the built-in ones */
    uint8_t origin[OPTIONS_MAX];
    struct fb_option builtin[BUILTINS];
    const char *command;
    const char *config;
    bool verbose, quiet;
    /* While the file is read: */
    FILE *file;
    unsigned line;
    int err;
};

static __attribute__((format(printf, 3, 4))) int fail(struct parse *p, int err, const char *fmt,
                                                      ...) {
    char *out = p->args->error;
    size_t room = sizeof p->args->error, used = 0;
    if (p->file != NULL) {
        int n = p->line == 0 ? snprintf(out, room, "%s: ", p->config)
                             : snprintf(out, room, "%s:%u: ", p->config, p->line);
        used = n < 0 ? 0 : (size_t)n >= room ? room - 1 : (size_t)n;
    }
    va_list list;
    va_start(list, fmt);
    vsnprintf(out + used, room - used, fmt, list);
    va_end(list);
    return err;
}

static void *hold(struct fb_args *args, size_t len) {
    struct held *held = malloc(sizeof *held + len);
    if (held == NULL)
        return NULL;
    held->next = args->held;
    args->held = held;
    return held->bytes;
}

static bool parse_flag(const char *value, bool *out) {
    static const char *const yes[] = {"yes", "true", "on"}, *const no[] = {"no", "false", "off"};
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *out = strcmp(value, yes[i]) == 0;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *value, uint64_t *out) {
    uint64_t number = 0;
    if (*value == '\0')
        return false;
    for (; *value >= '0' && *value <= '9'; value++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*value - '0'), &number))
            return false;
    *out = number;
    return *value == '\0';
}

static int append(struct fb_args *args, struct fb_texts *texts, const char *value) {
    const char **at = hold(args, (texts->len + 1) * sizeof *at);
    if (at == NULL)
        return FB_ERR_NOMEM;
    if (texts->len > 0)
        memcpy(at, texts->at, texts->len * sizeof *at);
    at[texts->len] = value;
    *texts = (struct fb_texts){at, texts->len + 1};
    return 0;
}

/* Checks value, and stores it unless a stronger origin has spoken. */
static int assign(struct parse *p, size_t index, enum origin origin, const char *value) {
    const struct fb_option *o = p->options[index];
    const char *dashes = origin == COMMAND_LINE ? "--" : "";
    bool store = origin >= p->origin[index], first = origin > p->origin[index], flag;
    uint64_t number;
    if (store)
        p->origin[index] = (uint8_t)origin;
    if (o->flag != NULL) {
        if (!parse_flag(value, &flag))
            return fail(p, FB_ERR_MALFORMED, "%s%s takes yes or no, not '%s'", dashes, o->name,
                        value);
        if (store)
            *o->flag = flag;
        return 0;
    }
    if (o->number != NULL) {
        if (!parse_number(value, &number) || number < o->min || number > o->max)
            return fail(p, FB_ERR_MALFORMED, "%s%s takes a number from %llu to %llu, not '%s'",
                        dashes, o->name, (unsigned long long)o->min, (unsigned long long)o->max,
                        value);
        if (store)
            *o->number = number;
        return 0;
    }
    if (*value == '\0')
        return fail(p, FB_ERR_MALFORMED, "%s%s needs a value", dashes, o->name);
    if (o->parse != NULL) {
        if (o->parse(value, store ? o->to : NULL))
            return 0;
        return fail(p, FB_ERR_MALFORMED, "%s%s takes %s, not '%s'", dashes, o->name, o->takes,
                    value);
    }
    if (!store)
        return 0;
    if (o->text != NULL) {
        *o->text = value;
        return 0;
    }
    if (first)
        o->texts->len = 0;
    return append(p->args, o->texts, value) == 0 ? 0 : fail(p, FB_ERR_NOMEM, "out of memory");
}

/* Index of the option, or OPTIONS_MAX. */
static size_t find(const struct parse *p, const char *name, size_t len) {
    for (size_t i = 0; p->options[i] != NULL; i++)
        if (strlen(p->options[i]->name) == len && memcmp(p->options[i]->name, name, len) == 0)
            return i;
    return OPTIONS_MAX;
}

/* One option at argv[*at]; moves *at over the value where it is an argument of its own. */
static int parse_option(struct parse *p, char **argv, int *at) {
    const char *name = argv[*at] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    size_t index = find(p, name, len);
    if (index == OPTIONS_MAX)
        return fail(p, FB_ERR_MALFORMED, "unknown option --%.*s", (int)len, name);
    const char *value = "yes";
    if (equals != NULL) {
        value = equals + 1;
    } else if (p->options[index]->flag == NULL) {
        value = argv[*at + 1];
        if (value == NULL || strncmp(value, "--", 2) == 0)
            return fail(p, FB_ERR_MALFORMED, "--%s needs a value", p->options[index]->name);
        ++*at;
    }
    return assign(p, index, COMMAND_LINE, value);
}

static int parse_command_line(struct parse *p, int argc, char **argv) {
    struct fb_args *args = p->args;
    args->operands = hold(args, (size_t)argc * sizeof *args->operands);
    if (args->operands == NULL)
        return fail(p, FB_ERR_NOMEM, "out of memory");
    bool options = true;
    for (int i = 1; i < argc; i++) {
        int err = 0;
        if (!options || argv[i][0] != '-' || argv[i][1] == '\0')
            args->operands[args->operand_count++] = argv[i];
        else if (strcmp(argv[i], "--") == 0)
            options = false;
        else if (strcmp(argv[i], "-h") == 0)
            args->help = true;
        else if (argv[i][1] != '-')
            err = fail(p, FB_ERR_MALFORMED, "unknown option %s", argv[i]);
        else
            err = parse_option(p, argv, &i);
        if (err != 0 || args->help)
            return err;
    }
    return 0;
}

/*
 * libinih's line source. It would split a line that is longer than its buffer and take the rest for
 * a line of its own, so that is refused here, where the line number is known too.
 */
static char *read_line(char *out, int size, void *stream) {
    struct parse *p = stream;
    if (p->err != 0)
        return NULL;
    if (fgets(out, size < FB_CONFIG_LINE_MAX + 2 ? size : FB_CONFIG_LINE_MAX + 2, p->file) ==
        NULL) {
        if (ferror(p->file))
            p->err = fail(p, FB_ERR_IO, "cannot be read: %s", strerror(errno));
        return NULL;
    }
    p->line++;
    size_t len = strlen(out);
    if ((len == 0 || out[len - 1] != '\n') && !feof(p->file)) {
        p->err = fail(p, FB_ERR_MALFORMED, "a line is longer than %d bytes", FB_CONFIG_LINE_MAX);
        return NULL;
    }
    return out;
}

static int take_setting(void *user, const char *section, const char *name, const char *value) {
    struct parse *p = user;
    if (p->err != 0)
        return 0;
    size_t index = find(p, name, strlen(name));
    if (*section != '\0' && strcmp(section, p->command) != 0)
        p->err = fail(p, FB_ERR_MALFORMED, "section [%s] is not for '%s'", section, p->command);
    else if (index == OPTIONS_MAX || p->options[index]->text == &p->config ||
             p->options[index]->flag == &p->args->help)
        p->err = fail(p, FB_ERR_MALFORMED, "unknown setting '%s'", name);
    else if (p->origin[index] == CONFIG_FILE && p->options[index]->texts == NULL)
        p->err = fail(p, FB_ERR_MALFORMED, "'%s' is given twice", name);
    if (p->err != 0)
        return 0;
    char *copy = hold(p->args, strlen(value) + 1);
    if (copy == NULL)
        p->err = fail(p, FB_ERR_NOMEM, "out of memory");
    else
        p->err = assign(p, index, CONFIG_FILE, memcpy(copy, value, strlen(value) + 1));
    return p->err == 0;
}

static int parse_config_file(struct parse *p) {
    FILE *file = fopen(p->config, "r");
    if (file == NULL)
        return fail(p, FB_ERR_IO, "cannot read %s: %s", p->config, strerror(errno));
    p->file = file;
    int line = ini_parse_stream(read_line, p, take_setting, p);
    if (p->err == 0 && line != 0) {
        p->line = line > 0 ? (unsigned)line : p->line;
        p->err = fail(p, FB_ERR_MALFORMED, "neither 'name = value' nor '[section]'");
    }
    p->file = NULL;
    fclose(file);
    return p->err;
}

static int check_complete(struct parse *p, const struct fb_usage *usage) {
    const struct fb_args *args = p->args;
    for (size_t i = 0; p->options[i] != NULL; i++)
        if (p->options[i]->required && p->origin[i] == DEFAULT)
            return fail(p, FB_ERR_MALFORMED, "--%s %s is needed", p->options[i]->name,
                        p->options[i]->value);
    if (args->operand_count < usage->operands_min)
        return fail(p, FB_ERR_MALFORMED, "%s is missing", usage->operands);
    if (args->operand_count > usage->operands_max)
        return fail(p, FB_ERR_MALFORMED, "unexpected argument '%s'",
                    args->operands[usage->operands_max]);
    return 0;
}

static void add_builtins(struct parse *p, const struct fb_usage *usage) {
    const struct fb_option builtin[BUILTINS] = {
        {"config", "FILE", "read options from FILE too", .text = &p->config},
        {"verbose", NULL, "say more", .flag = &p->verbose},
        {"quiet", NULL, "say only what needs attention", .flag = &p->quiet},
        {"help", NULL, "show this and exit", .flag = &p->args->help},
    };
    memcpy(p->builtin, builtin, sizeof builtin);
    size_t n = 0;
    for (; usage->options[n].name != NULL && n < OPTIONS_MAX - BUILTINS; n++)
        p->options[n] = &usage->options[n];
    for (size_t i = 0; i < BUILTINS; i++)
        p->options[n++] = &p->builtin[i];
}

int fb_args_parse(struct fb_args *args, const struct fb_usage *usage, int argc, char **argv) {
    struct parse p = {.args = args, .command = usage->command};
    *args = (struct fb_args){.level = FB_LOG_INFO};
    add_builtins(&p, usage);
    int err = parse_command_line(&p, argc, argv);
    if (err != 0 || args->help)
        return err;
    if (p.config != NULL)
        err = parse_config_file(&p);
    if (err == 0)
        err = check_complete(&p, usage);
    if (p.quiet)
        args->level = FB_LOG_WARN;
    if (p.verbose)
        args->level = FB_LOG_DEBUG;
    return err;
}

void fb_args_free(struct fb_args *args) {
    for (struct held *held = args->held, *next; held != NULL; held = next) {
        next = held->next;
        free(held);
    }
    *args = (struct fb_args){.level = args->level};
}

static void print_help(const struct fb_usage *usage) {
    struct fb_args args = {0};
    struct parse p = {.args = &args};
    add_builtins(&p, usage);
    printf("Usage: footbridge %s [OPTION]...%s%s\n%s\n\nOptions:\n", usage->command,
           usage->operands != NULL ? " " : "", usage->operands != NULL ? usage->operands : "",
           usage->summary);
    for (size_t i = 0; p.options[i] != NULL; i++) {
        const struct fb_option *o = p.options[i];
        int used = printf("  --%s%s%s", o->name, o->value != NULL ? " " : "",
                          o->value != NULL ? o->value : "");
        if (used > HELP_COLUMN - 2)
            used = printf("\n") - 1;
        printf("%*s%s%s\n", HELP_COLUMN - used, "", o->help,
               o->texts != NULL ? " (repeatable)" : "");
    }
}

int fb_args_start(struct fb_args *args, const struct fb_usage *usage, int argc, char **argv) {
    int err = fb_args_parse(args, usage, argc, argv);
    if (err == 0 && !args->help)
        return -1;
    int status = 0;
    if (err == 0)
        print_help(usage);
    else if (err == FB_ERR_MALFORMED)
        status = fb_args_fail(usage, "%s", args->error);
    else
        status = (fprintf(stderr, "footbridge %s: %s\n", usage->command, args->error), 1);
    fb_args_free(args);
    return status;
}

int fb_args_fail(const struct fb_usage *usage, const char *fmt, ...) {
    char text[512];
    va_list list;
    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    fprintf(stderr, "footbridge %s: %s (try --help)\n", usage->command, text);
    return 2;
}
