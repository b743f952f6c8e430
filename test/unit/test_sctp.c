/*
 * rtc/sctp by itself: two associations whose packets a test carries and loses. Timers are driven by
 * the test, but usrsctp also reads the clock: what was sent a moment ago by that is not sent again,
 * so that only real time recovers losses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "env.h"
#include "rtc/cookie.h"
#include "rtc/dtls.h"
#include "rtc/queue.h"
#include "rtc/sctp.h"
#include "wait.h"

#define DEADLINE_US 30000000

static uv_loop_t loop;
/* Ids are never used twice, in all tests. */
static uintptr_t last_id;
static uintptr_t ids[2];
static struct fb_queue wire; /* value: whom it is for */
static unsigned lose_percent;
static uint64_t chance = 1;
static size_t longest;
static bool named; /* a packet told what made it */
static unsigned cookies;

#define COOKIES_KEPT 8
#define COOKIE_MAC 20 /* of which each cookie has its own */
#define PACKET_HEADER 12

enum { CHUNK_INIT = 1, CHUNK_INIT_ACK = 2, CHUNK_COOKIE_ECHO = 10 };

/* Of the end with ids[1]: the cookies that it sent; of the other its INIT. */
static struct {
    size_t len;
    uint8_t bytes[FB_DTLS_PAYLOAD_MAX];
} kept[COOKIES_KEPT], init;
static size_t kept_count;
static bool lose_once[16]; /* the first packet that starts with a chunk of this type */

static void keep(uintptr_t id, const uint8_t *packet, size_t len) {
    size_t at, count;
    if (id == ids[0] && packet[PACKET_HEADER] == CHUNK_INIT && init.len == 0) {
        init.len = len;
        memcpy(init.bytes, packet, len);
    }
    if (id != ids[1] || kept_count == COOKIES_KEPT ||
        !fb_cookie_find(packet, len, false, &at, &count))
        return;
    kept[kept_count].len = count;
    memcpy(kept[kept_count++].bytes, packet + at, count);
}

static bool lost_once(uint8_t chunk) {
    bool lost = chunk < sizeof lose_once && lose_once[chunk];
    if (lost)
        lose_once[chunk] = false;
    return lost;
}

static void output(uintptr_t id, const uint8_t *packet, size_t len) {
    if (id != ids[0] && id != ids[1])
        return; /* what is left of an earlier test */
    longest = len > longest ? len : longest;
    named |= memmem(packet, len, "KAME", 4) != NULL;
    size_t at, count;
    cookies += fb_cookie_find(packet, len, false, &at, &count);
    keep(id, packet, len);
    if (test_random_u64(&chance) % 100 < lose_percent || lost_once(packet[PACKET_HEADER]))
        return;
    struct fb_item *item = fb_item_new(NULL, FB_ITEM_SEND, id == ids[0], packet, len);
    assert_non_null(item);
    fb_queue_push(&wire, item);
}

static void carry(void) {
    for (struct fb_item *item; (item = fb_queue_pop(&wire)) != NULL;) {
        fb_sctp_input(ids[item->value], item->data, item->len);
        free(item);
    }
}

struct ends {
    struct fb_sctp *at[2];
};

static void make_ends(struct ends *ends, size_t recv_window) {
    ids[0] = ++last_id;
    ids[1] = ++last_id;
    lose_percent = 0;
    longest = 0;
    init.len = kept_count = 0;
    for (int i = 0; i < 2; i++) {
        struct fb_sctp_config config = {ids[i], 5000, 5000, recv_window, 256 * 1024};
        ends->at[i] = fb_sctp_new(&config);
        assert_non_null(ends->at[i]);
    }
}

static int64_t now_us(void) {
    return (int64_t)(uv_hrtime() / 1000);
}

/* 10 ms pass: of real time, or of usrsctp's timers alone. */
static void pass_time(bool real) {
    if (real)
        wait_for(&loop, wait_never, NULL, 10);
    fb_sctp_tick(10);
}

/* The next event at one end, with time passing until there is one. */
static enum fb_sctp_event next_event(struct fb_sctp *sctp, uint8_t *buf, size_t *len) {
    enum fb_sctp_event event = FB_SCTP_NOTHING;
    for (int64_t end = now_us() + DEADLINE_US; event == FB_SCTP_NOTHING && now_us() < end;) {
        carry();
        event = fb_sctp_read(sctp, buf, len);
        if (event == FB_SCTP_NOTHING)
            pass_time(lose_percent < 100);
    }
    return event;
}

static void open_ends(struct ends *ends, size_t recv_window) {
    uint8_t buf[FB_SCTP_READ_MAX];
    size_t len;
    make_ends(ends, recv_window);
    assert_int_equal(next_event(ends->at[0], buf, &len), FB_SCTP_OPENED);
    assert_int_equal(next_event(ends->at[1], buf, &len), FB_SCTP_OPENED);
}

static void close_ends(struct ends *ends) {
    fb_sctp_free(ends->at[0]);
    fb_sctp_free(ends->at[1]);
    fb_queue_clear(&wire);
}

static void fill(uint8_t *bytes, size_t len) {
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 13 + len);
}

static void one_of_each_length(size_t recv_window, unsigned loss) {
    static const size_t lengths[] = {1, 2, 1150, 1151, 1163, 1164, 2400, 8191, 16000, 16384};
    uint8_t sent[FB_PEER_MESSAGE_MAX], got[FB_SCTP_READ_MAX];
    struct ends ends;
    open_ends(&ends, recv_window);
    lose_percent = loss;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t len = 0;
        fill(sent, lengths[i]);
        assert_int_equal(fb_sctp_send(ends.at[0], sent, lengths[i], true), 0);
        assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_MESSAGE);
        assert_int_equal(len, lengths[i]);
        assert_memory_equal(got, sent, len);
    }
    assert_true(longest <= FB_DTLS_PAYLOAD_MAX);
    close_ends(&ends);
}

static void messages_are_whole(void **state) {
    one_of_each_length(FB_PEER_RECV_WINDOW, 0);
}

static void messages_survive_loss(void **state) {
    one_of_each_length(FB_PEER_RECV_WINDOW, 10);
}

/* A window smaller than two messages makes SCTP hand them over in pieces. */
static void pieces_are_put_together(void **state) {
    one_of_each_length(20000, 0);
    one_of_each_length(20000, 5);
}

static void too_long_a_message_is_an_error(void **state) {
    static uint8_t big[2 * FB_PEER_MESSAGE_MAX];
    static const size_t lengths[] = {FB_PEER_MESSAGE_MAX + 1, 2 * FB_PEER_MESSAGE_MAX};
    uint8_t got[FB_SCTP_READ_MAX];
    size_t len;
    for (int i = 0; i < 4; i++) {
        struct ends ends;
        open_ends(&ends, i < 2 ? FB_PEER_RECV_WINDOW : 20000);
        assert_int_equal(fb_sctp_send(ends.at[0], big, lengths[i % 2], true), 0);
        assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_TOO_BIG);
        close_ends(&ends);
    }
}

static void abort_is_told_from_silence(void **state) {
    uint8_t got[FB_SCTP_READ_MAX];
    size_t len;
    struct ends ends;
    open_ends(&ends, FB_PEER_RECV_WINDOW);
    fb_sctp_free(ends.at[0]);
    ends.at[0] = NULL;
    assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_CLOSED);
    close_ends(&ends);

    open_ends(&ends, FB_PEER_RECV_WINDOW);
    lose_percent = 100;
    assert_int_equal(fb_sctp_send(ends.at[1], got, 1, true), 0);
    assert_false(fb_sctp_is_dry(ends.at[1]));
    assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_LOST);
    close_ends(&ends);
}

static void full_window_says_again(void **state) {
    uint8_t bytes[16000] = {0}, got[FB_SCTP_READ_MAX];
    size_t len;
    struct ends ends;
    unsigned sent = 0;
    open_ends(&ends, FB_PEER_RECV_WINDOW);
    while (fb_sctp_send(ends.at[0], bytes, sizeof bytes, false) == 0) {
        assert_true(++sent < 40); /* 256 KiB, and the first of them at once */
        carry();
    }
    assert_true(sent > 10);
    for (; sent > 0; sent--)
        assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_MESSAGE);
    for (int64_t end = now_us() + DEADLINE_US; !fb_sctp_is_dry(ends.at[0]) && now_us() < end;) {
        pass_time(true);
        carry();
    }
    assert_true(fb_sctp_is_dry(ends.at[0]));
    close_ends(&ends);
}

/* Late packets, damaged ones, and ones for nobody. */
static void strange_packets_do_nothing(void **state) {
    static const uint8_t ports[] = {5000 >> 8, 5000 & 255, 5000 >> 8, 5000 & 255};
    uint8_t junk[1200], got[FB_SCTP_READ_MAX];
    size_t len;
    struct ends ends;
    open_ends(&ends, FB_PEER_RECV_WINDOW);
    for (size_t i = 0; i < 500; i++) {
        fill(junk, sizeof junk);
        memcpy(junk, ports, sizeof ports);
        fb_sctp_input(ids[i % 2], junk + i % 3, i * 2);
        fb_sctp_input(ids[1] + 1 + i, junk, sizeof junk);
        fb_sctp_input(ids[0], (const uint8_t *)"", 0);
    }
    assert_int_equal(fb_sctp_send(ends.at[0], junk, 10, true), 0);
    assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_MESSAGE);
    uintptr_t gone = ids[0];
    close_ends(&ends);
    fb_sctp_input(gone, junk, sizeof junk);
}

/* usrsctp's cookie holds its name in clear, and behind it the clock. */
static void cookies_tell_nothing(void **state) {
    struct ends ends;
    named = false;
    cookies = 0;
    open_ends(&ends, FB_PEER_RECV_WINDOW);
    close_ends(&ends);
    assert_true(cookies > 0);
    assert_false(named);
}

/* The most bytes in a row that two cookies have in common, without their HMACs. */
static size_t in_common(size_t a, size_t b) {
    size_t most = 0, run = 0;
    assert_int_equal(kept[a].len, kept[b].len);
    assert_true(kept[a].len > 100);
    for (size_t i = 0; i < kept[a].len - COOKIE_MAC; i++) {
        run = kept[a].bytes[i] == kept[b].bytes[i] ? run + 1 : 0;
        most = run > most ? run : most;
    }
    return most;
}

/* Who asks again and again on one connection learns nothing from what cookies differ in. */
static void cookies_of_one_connection_differ(void **state) {
    uint8_t got[FB_SCTP_READ_MAX];
    size_t len = 0;
    struct ends ends;
    open_ends(&ends, FB_PEER_RECV_WINDOW);
    assert_true(init.len > 0);
    for (size_t asked = 0; asked < 50 && kept_count < COOKIES_KEPT; asked++) {
        pass_time(true); /* the clock goes on */
        fb_sctp_input(ids[1], init.bytes, init.len);
    }
    assert_int_equal(kept_count, COOKIES_KEPT);
    for (size_t a = 0; a < kept_count; a++)
        for (size_t b = a + 1; b < kept_count; b++)
            assert_in_range(in_common(a, b), 0, 3);
    fb_queue_clear(&wire);
    assert_int_equal(fb_sctp_send(ends.at[0], (const uint8_t *)"on", 2, true), 0);
    assert_int_equal(next_event(ends.at[1], got, &len), FB_SCTP_MESSAGE);
    assert_int_equal(len, 2);
    close_ends(&ends);
}

static void lost_cookies_come_again(void **state) {
    struct ends ends;
    lose_once[CHUNK_INIT_ACK] = lose_once[CHUNK_COOKIE_ECHO] = true;
    open_ends(&ends, FB_PEER_RECV_WINDOW);
    assert_false(lose_once[CHUNK_INIT_ACK] || lose_once[CHUNK_COOKIE_ECHO]);
    close_ends(&ends);
}

static void cookies_without_hmac_do_not_pass(void **state) {
    uint8_t cookie[COOKIE_MAC + 4] = {0}, was[sizeof cookie] = {0};
    assert_false(fb_cookie_mask(1, cookie, 0));
    assert_false(fb_cookie_mask(1, cookie, COOKIE_MAC - 1));
    assert_memory_equal(cookie, was, sizeof cookie);
    assert_true(fb_cookie_mask(1, cookie, sizeof cookie));
    assert_memory_not_equal(cookie, was, 4);
    assert_memory_equal(cookie + 4, was, COOKIE_MAC);
    assert_true(fb_cookie_mask(1, cookie, sizeof cookie));
    assert_memory_equal(cookie, was, sizeof cookie);
}

static void cookies_are_found(void **state) {
    /* Behind the common header INIT ACK with its fixed part, a parameter of 5 bytes, the cookie. */
    uint8_t packet[12 + 20 + 8 + 8] = {[12] = 2, [15] = 36, [32] = 0x80, [35] = 5, [41] = 7};
    size_t at = 0, count = 0;
    packet[43] = 8;
    assert_true(fb_cookie_find(packet, sizeof packet, false, &at, &count));
    assert_true(at == 44 && count == 4);
    assert_false(fb_cookie_find(packet, sizeof packet, true, &at, &count));
    for (size_t len = 0; len < sizeof packet; len++)
        assert_false(fb_cookie_find(packet, len, false, &at, &count));
    packet[43] = 9; /* longer than the chunk */
    assert_false(fb_cookie_find(packet, sizeof packet, false, &at, &count));
    packet[35] = 3; /* shorter than its own header */
    assert_false(fb_cookie_find(packet, sizeof packet, false, &at, &count));
    packet[12] = 10; /* COOKIE ECHO: all of it */
    assert_true(fb_cookie_find(packet, sizeof packet, true, &at, &count));
    assert_true(at == 16 && count == 32);
    for (size_t i = 0; i < 20000; i++) {
        uint8_t junk[64];
        size_t len = i % sizeof junk;
        fill(junk, sizeof junk);
        junk[12] = i % 2 == 0 ? 2 : 10;
        junk[14] = 0;
        if (fb_cookie_find(junk, len, i % 2 != 0, &at, &count))
            assert_true(at <= len && count <= len - at);
    }
}

static int start(void **state) {
    uv_loop_init(&loop);
    fb_sctp_start(output);
    return 0;
}

static int stop(void **state) {
    fb_sctp_stop();
    return uv_loop_close(&loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_whole),
        cmocka_unit_test(messages_survive_loss),
        cmocka_unit_test(pieces_are_put_together),
        cmocka_unit_test(too_long_a_message_is_an_error),
        cmocka_unit_test(abort_is_told_from_silence),
        cmocka_unit_test(full_window_says_again),
        cmocka_unit_test(strange_packets_do_nothing),
        cmocka_unit_test(cookies_tell_nothing),
        cmocka_unit_test(cookies_of_one_connection_differ),
        cmocka_unit_test(lost_cookies_come_again),
        cmocka_unit_test(cookies_without_hmac_do_not_pass),
        cmocka_unit_test(cookies_are_found),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
