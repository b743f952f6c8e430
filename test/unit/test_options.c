/* cmd/options: every form and every refusal, from the command line and from a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/addr.h"
#include "base/err.h"
#include "cmd/options.h"
#include "cmd/values.h"

static struct {
    bool tls;
    const char *join;
    uint64_t port;
    struct fb_texts allow;
    uint64_t speed;
} got;

static const struct fb_option table[] = {
    {"tls", NULL, "use TLS", .flag = &got.tls},
    {"join", "LINK", "the join link", .text = &got.join},
    {"port", "PORT", "listen there", .number = &got.port, .min = 1, .max = 65535},
    {"allow", "ADDRESS", "allow it", .texts = &got.allow},
    {"speed", "SPEED", "so fast", .parse = fb_value_amount, .to = &got.speed,
     .takes = FB_VALUE_AMOUNT},
    {0},
};
static const struct fb_usage usage = {"client", "test", table, "[DIRECTORY]", 0, 1};
static struct fb_args args;

/* Parses the words of line (spaces separate), which lives until the next call. */
static int parse(const char *line) {
    static char words[512];
    char *argv[20] = {(char *)(uintptr_t) "client"};
    int argc = 1;
    fb_args_free(&args);
    memset(&got, 0, sizeof got);
    got.port = 1080;
    assert_true((size_t)snprintf(words, sizeof words, "%s", line) < sizeof words);
    char *save = NULL;
    for (char *w = strtok_r(words, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    return fb_args_parse(&args, &usage, argc, argv);
}

static void refuse(const char *line, int err, const char *message) {
    assert_int_equal(parse(line), err);
    assert_string_equal(args.error, message);
}

static char config_path[] = "/tmp/fb-options-XXXXXX";

static int make_file(void **state) {
    int fd = mkstemp(config_path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state) {
    fb_args_free(&args);
    return unlink(config_path);
}

/* Puts text into the file and parses `--config FILE rest`. */
static int parse_file(const char *text, const char *rest) {
    FILE *file = fopen(config_path, "w");
    char line[256];
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    snprintf(line, sizeof line, "--config %s %s", config_path, rest);
    return parse(line);
}

static void refuse_file(const char *text, const char *message) {
    char expected[256];
    assert_int_equal(parse_file(text, ""), FB_ERR_MALFORMED);
    snprintf(expected, sizeof expected, "%s:%s", config_path, message);
    assert_string_equal(args.error, expected);
}

static void command_line(void **state) {
    assert_int_equal(parse(""), 0);
    assert_int_equal(got.port, 1080);
    assert_int_equal(args.level, FB_LOG_INFO);
    assert_int_equal(parse("--tls --port 65535 --join=a=b --allow x --allow=y dir --verbose"), 0);
    assert_true(got.tls);
    assert_int_equal(got.port, 65535);
    assert_string_equal(got.join, "a=b");
    assert_int_equal(got.allow.len, 2);
    assert_string_equal(got.allow.at[0], "x");
    assert_string_equal(got.allow.at[1], "y");
    assert_int_equal(args.operand_count, 1);
    assert_string_equal(args.operands[0], "dir");
    assert_int_equal(args.level, FB_LOG_DEBUG);
    assert_int_equal(parse("--tls --tls=no --quiet -- --tls"), 0);
    assert_false(got.tls);
    assert_string_equal(args.operands[0], "--tls");
    assert_int_equal(args.level, FB_LOG_WARN);
    assert_int_equal(parse("--nonsense --help"), FB_ERR_MALFORMED);
    assert_int_equal(parse("--help --nonsense"), 0);
    assert_true(args.help);
    assert_int_equal(parse("-h"), 0);
    assert_true(args.help);
}

static void command_line_refusals(void **state) {
    refuse("--nonsense=3", FB_ERR_MALFORMED, "unknown option --nonsense");
    refuse("-x", FB_ERR_MALFORMED, "unknown option -x");
    refuse("--por 1", FB_ERR_MALFORMED, "unknown option --por");
    refuse("--port", FB_ERR_MALFORMED, "--port needs a value");
    refuse("--port --tls", FB_ERR_MALFORMED, "--port needs a value");
    refuse("--join=", FB_ERR_MALFORMED, "--join needs a value");
    refuse("--tls=maybe", FB_ERR_MALFORMED, "--tls takes yes or no, not 'maybe'");
    static const char *const bad[] = {
        "0", "65536", "-1", "1x", "", "0x10", "+1", "99999999999999999999", "18446744073709551617"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[64], message[128];
        snprintf(line, sizeof line, "--port=%s", bad[i]);
        snprintf(message, sizeof message, "--port takes a number from 1 to 65535, not '%s'",
                 bad[i]);
        refuse(line, FB_ERR_MALFORMED, message);
    }
    refuse("a b", FB_ERR_MALFORMED, "unexpected argument 'b'");
    char line[128], message[128];
    snprintf(line, sizeof line, "--config %s.none", config_path);
    snprintf(message, sizeof message, "cannot read %s.none: No such file or directory",
             config_path);
    refuse(line, FB_ERR_IO, message);
    refuse("--config /", FB_ERR_IO, "/: cannot be read: Is a directory");
}

static void config_file(void **state) {
    assert_int_equal(parse_file("; comment\n# another\njoin = link#x\n[client]\nport=7 ; why\n"
                                "allow = a\nallow = b\ntls = on\nquiet = yes",
                                ""),
                     0);
    assert_string_equal(got.join, "link#x");
    assert_int_equal(got.port, 7);
    assert_int_equal(got.allow.len, 2);
    assert_string_equal(got.allow.at[1], "b");
    assert_true(got.tls);
    assert_int_equal(args.level, FB_LOG_WARN);
    /* The command line wins, wherever --config stands, and replaces whole lists. */
    assert_int_equal(parse_file("port = 7\njoin = file\nallow = a\ntls = yes\n",
                                "--join mine --allow z --tls=no"),
                     0);
    assert_int_equal(got.port, 7);
    assert_string_equal(got.join, "mine");
    assert_int_equal(got.allow.len, 1);
    assert_string_equal(got.allow.at[0], "z");
    assert_false(got.tls);
}

static void config_file_refusals(void **state) {
    char text[400] = "port = 1\njoin = ";
    refuse_file("port = 1\nprot = 2\n", "2: unknown setting 'prot'");
    refuse_file("config = x\n", "1: unknown setting 'config'");
    refuse_file("help = yes\n", "1: unknown setting 'help'");
    refuse_file("[broker]\nport = 1\n", "2: section [broker] is not for 'client'");
    refuse_file("port = 1\nport = 2\n", "2: 'port' is given twice");
    refuse_file("port = x\n", "1: port takes a number from 1 to 65535, not 'x'");
    refuse_file("port = 1\nwhat is this\n", "2: neither 'name = value' nor '[section]'");
    refuse_file("[client\n", "1: neither 'name = value' nor '[section]'");
    refuse_file("join =\n", "1: join needs a value");
    memset(text + 16, 'x', FB_CONFIG_LINE_MAX - 7);
    assert_int_equal(parse_file(text, ""), 0);
    assert_int_equal(strlen(got.join), FB_CONFIG_LINE_MAX - 7);
    memcpy(text + 16 + FB_CONFIG_LINE_MAX - 7, "x\nallow = y\n", 13);
    refuse_file(text, "2: a line is longer than 190 bytes");
    /* Refused even where the command line would win. */
    assert_int_equal(parse_file("port = x\n", "--port 3"), FB_ERR_MALFORMED);
}

static void required_options(void **state) {
    const char *key = NULL;
    const struct fb_option needs[] = {
        {"key", "FILE", "the key", .text = &key, .required = true},
        {0},
    };
    const struct fb_usage u = {"egress", "test", needs, "DIRECTORY", 1, 1};
    char *bare[] = {(char *)(uintptr_t) "egress", NULL};
    char *with_key[] = {(char *)(uintptr_t) "egress", (char *)(uintptr_t) "--key=k", NULL};
    struct fb_args a;
    assert_int_equal(fb_args_parse(&a, &u, 1, bare), FB_ERR_MALFORMED);
    assert_string_equal(a.error, "--key FILE is needed");
    fb_args_free(&a);
    assert_int_equal(fb_args_parse(&a, &u, 2, with_key), FB_ERR_MALFORMED);
    assert_string_equal(a.error, "DIRECTORY is missing");
    fb_args_free(&a);
}

static void amounts(void **state) {
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0},          {"250000", 250000},   {"500k", 500000},
                {"2.5M", 2500000}, {"50G", 50000000000}, {"1.999T", 1999000000000},
                {"0.001k", 1},     {"1.5", 1},           {"012", 12}};
    static const char *const bad[] = {"",
                                      "k",
                                      "-1",
                                      "1e9",
                                      "1.",
                                      ".5",
                                      "2.5MB",
                                      "2 M",
                                      "1K",
                                      "1.2345",
                                      "0x1",
                                      "1,5",
                                      "M1",
                                      "1kk",
                                      "9999999999999999",
                                      "999999999999999T"};
    uint64_t value;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(fb_value_amount(good[i].text, NULL));
        assert_true(fb_value_amount(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(fb_value_amount(bad[i], &value));
}

static void hours(void **state) {
    static const char *const bad[] = {
        "",         "8-17",         "08:00",      "08:00-",      "08:00-24:01", "08:60-09:00",
        "8:0-9:00", "08:00-09:00 ", "-1:00-2:00", "08:00--9:00", "008:00-9:00", "25:00-01:00"};
    struct fb_hours value;
    assert_true(fb_value_hours("22:00-06:30", NULL));
    assert_true(fb_value_hours("22:00-06:30", &value));
    assert_true(value.from == 1320 && value.to == 390);
    assert_true(fb_value_hours("8:05-24:00", &value));
    assert_true(value.from == 485 && value.to == 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(fb_value_hours(bad[i], &value));
}

static void listening(void **state) {
    struct fb_addr addr;
    char text[FB_ADDR_STR_MAX];
    assert_true(fb_value_listen("9117", &addr));
    assert_string_equal(fb_addr_format_port(&addr, text), "127.0.0.1:9117");
    assert_true(fb_value_listen("[::1]:80", &addr));
    assert_string_equal(fb_addr_format_port(&addr, text), "[::1]:80");
    assert_false(fb_value_listen("65536", &addr));
    assert_false(fb_value_listen("192.0.2.1", &addr));
    assert_false(fb_value_listen("localhost:80", NULL));
}

/* The command line wins over the file, whose values are checked all the same. */
static void own_forms(void **state) {
    assert_int_equal(parse_file("speed = 2M\n", ""), 0);
    assert_int_equal(got.speed, 2000000);
    assert_int_equal(parse_file("speed = 2M\n", "--speed 3M"), 0);
    assert_int_equal(got.speed, 3000000);
    assert_int_equal(parse_file("\nspeed = fast\n", "--speed 3M"), FB_ERR_MALFORMED);
    refuse_file("\nspeed = fast\n", "2: speed takes " FB_VALUE_AMOUNT ", not 'fast'");
    refuse("--speed fast", FB_ERR_MALFORMED, "--speed takes " FB_VALUE_AMOUNT ", not 'fast'");
    refuse("--speed=", FB_ERR_MALFORMED, "--speed needs a value");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts),
        cmocka_unit_test(own_forms),
        cmocka_unit_test(hours),
        cmocka_unit_test(listening),
        cmocka_unit_test(command_line),
        cmocka_unit_test(command_line_refusals),
        cmocka_unit_test(config_file),
        cmocka_unit_test(config_file_refusals),
        cmocka_unit_test(required_options),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
