/* core/sent: what a path remembers of its packets, and what bounds that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/sent.h"
#include "env.h"

#define MS UINT64_C(1000)

static struct test_mem tm;
static struct fb_mem mem;
static struct fb_sent sent;
static unsigned acked, lost;

static void count(void *ctx, const struct fb_sent_frame *frame, bool was_acked) {
    acked += was_acked;
    lost += !was_acked;
}

static const struct fb_sent_sink sink = {.frame = count};

static int setup(void **state) {
    tm = (struct test_mem){0};
    mem = test_mem_make(&tm);
    acked = lost = 0;
    fb_sent_init(&sent, &mem);
    return 0;
}

static int teardown(void **state) {
    fb_sent_clear(&sent);
    assert_int_equal(sent.bytes, 0);
    assert_int_equal(sent.lost_count, 0);
    assert_int_equal(tm.live, 0);
    return 0;
}

static void add(uint64_t number, size_t size, uint64_t now) {
    const struct fb_sent_frame frame = {.type = FB_FRAME_STREAM, .len = 1};
    assert_int_equal(fb_sent_add(&sent, number, size, &frame, 1, now), 0);
}

static void ack(uint64_t lo, uint64_t hi, uint64_t now, unsigned *progress, unsigned *spurious) {
    const struct fb_frame frame = {.type = FB_FRAME_ACK, .range_count = 1, .ranges = {{lo, hi}}};
    assert_int_equal(fb_sent_ack(&sent, &frame, true, now, &sink, progress, spurious), 0);
}

static void small_packets_count_as_more(void **state) {
    unsigned progress, spurious;
    add(0, 30, 0);
    assert_int_equal(sent.bytes, FB_SENT_SIZE_MIN);
    add(1, FB_SENT_SIZE_MIN + 1, 0);
    assert_int_equal(sent.bytes, 2 * FB_SENT_SIZE_MIN + 1);
    ack(0, 1, 20 * MS, &progress, &spurious);
    assert_int_equal(progress, 1);
    assert_int_equal(sent.bytes, FB_SENT_SIZE_MIN + 1);
    ack(0, 2, 20 * MS, &progress, &spurious);
    assert_int_equal(progress, 1);
    assert_int_equal(sent.bytes, 0);
    assert_int_equal(acked, 2);
}

/* Whoever acknowledges the last packet alone, again and again, makes nothing pile up. */
static void lost_packets_are_bounded(void **state) {
    unsigned progress, spurious, round_lost, all = 0;
    uint64_t number = 0, now = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 1000; i++)
            add(number++, 30, now);
        ack(number - 1, number, now + 1, &progress, &spurious);
        now += fb_sent_threshold(&sent);
        (void)fb_sent_tick(&sent, now, &sink, &round_lost);
        assert_int_equal(round_lost, 999);
        all += round_lost;
        assert_int_equal(lost, all); /* each is sent again, be it remembered or not */
        assert_true(sent.lost_count <= FB_SENT_LOST_MAX);
        assert_true(tm.live <= FB_SENT_LOST_MAX);
    }
    assert_int_equal(sent.lost_count, FB_SENT_LOST_MAX);
    assert_true(fb_sent_too_lossy(&sent));
    /* The latest are still known, the oldest no longer. */
    ack(number - 11, number - 1, now, &progress, &spurious);
    assert_int_equal(spurious, 10);
    ack(0, 10, now, &progress, &spurious);
    assert_int_equal(spurious, 0);
    (void)fb_sent_tick(&sent, now + 3 * fb_sent_threshold(&sent), &sink, &round_lost);
    assert_int_equal(sent.lost_count, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(small_packets_count_as_more),
        CASE(lost_packets_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
