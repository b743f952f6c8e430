/* net/log: levels, the form of a line, cutting, and what a peer's text may not do to a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/log.h"

struct seen {
    char line[FB_LOG_LINE_MAX + 1];
    unsigned count;
};

static void take(void *ctx, enum fb_log_level level, const char *line) {
    struct seen *seen = ctx;
    (void)level;
    seen->count++;
    snprintf(seen->line, sizeof seen->line, "%s", line);
}

static void levels(void **state) {
    struct seen seen = {0};
    struct fb_log log = {"broker", FB_LOG_INFO, take, &seen};
    fb_log(&log, FB_LOG_DEBUG, "unseen");
    assert_int_equal(seen.count, 0);
    fb_log(&log, FB_LOG_INFO, "%d volunteers", 3);
    assert_string_equal(seen.line, "broker: 3 volunteers");
    fb_log(&log, FB_LOG_WARN, "low");
    assert_string_equal(seen.line, "broker: warning: low");
    log.level = FB_LOG_ERROR;
    fb_log(&log, FB_LOG_WARN, "unseen");
    fb_log(&log, FB_LOG_ERROR, "gone");
    assert_string_equal(seen.line, "broker: error: gone");
    assert_int_equal(seen.count, 3);
    fb_log(NULL, FB_LOG_ERROR, "nowhere");
}

static void hostile_text(void **state) {
    struct seen seen = {0};
    struct fb_log log = {"client", FB_LOG_DEBUG, take, &seen};
    fb_log(&log, FB_LOG_DEBUG, "%s", "a\nb\033[2J\x7f");
    assert_string_equal(seen.line, "client: a?b?[2J?");
    char longer[2 * FB_LOG_LINE_MAX];
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    fb_log(&log, FB_LOG_INFO, "%s", longer);
    assert_int_equal(strlen(seen.line), FB_LOG_LINE_MAX);
}

static void seldom(void **state) {
    struct fb_seldom seldom = {0};
    assert_int_equal(fb_seldom(&seldom, 0, 1000), 0);
    assert_int_equal(fb_seldom(&seldom, 1, 1000), 1); /* the first is told at once */
    assert_int_equal(fb_seldom(&seldom, 1, 1001), 0);
    assert_int_equal(fb_seldom(&seldom, 3, 1000 + FB_SELDOM_US - 1), 0);
    assert_int_equal(fb_seldom(&seldom, 0, 1000 + FB_SELDOM_US), 4); /* and none is lost */
    assert_int_equal(fb_seldom(&seldom, 0, 1000 + 3 * FB_SELDOM_US), 0);
    assert_int_equal(fb_seldom(&seldom, 2, 1001 + 3 * FB_SELDOM_US), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(levels), cmocka_unit_test(hostile_text),
                                       cmocka_unit_test(seldom)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
