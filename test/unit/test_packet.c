/* core/packet, core/frame: sealing, the replay window, key phases, every frame there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/frame.h"
#include "core/packet.h"
#include "crypto/openssl.h"
#include "env.h"

static struct fb_packets a, b;

static int setup(void **state) {
    uint8_t one[32] = {1}, two[32] = {2};
    assert_int_equal(fb_packets_init(&a, fb_crypto_openssl(), 5, one, two, 0), 0);
    assert_int_equal(fb_packets_init(&b, fb_crypto_openssl(), 5, two, one, 0), 0);
    return 0;
}

static int teardown(void **state) {
    fb_packets_clear(&a);
    fb_packets_clear(&b);
    fb_packets_clear(&b);
    return 0;
}

static size_t seal(struct fb_packets *from, uint8_t *msg) {
    memcpy(msg + FB_PACKET_HEADER, "hello", 5);
    fb_packet_seal(from, msg, 5);
    return 5 + FB_PACKET_OVERHEAD;
}

static int open_at(struct fb_packets *to, const uint8_t *msg, size_t len, uint64_t now) {
    uint8_t copy[64];
    uint64_t number;
    uint8_t *frames;
    size_t frames_len;
    memcpy(copy, msg, len);
    int err = fb_packet_open(to, copy, len, now, 1000, &number, &frames, &frames_len);
    if (err == 0) {
        assert_int_equal(frames_len, 5);
        assert_memory_equal(frames, "hello", 5);
    }
    return err;
}

static void opens_once(void **state) {
    uint8_t msg[64];
    size_t len = seal(&a, msg);
    assert_int_equal(open_at(&b, msg, len, 0), 0);
    assert_int_equal(open_at(&b, msg, len, 0), FB_ERR_USED);
    assert_int_equal(open_at(&a, msg, len, 0), FB_ERR_AUTH); /* not its direction */
}

static void every_bit_counts(void **state) {
    uint8_t msg[64];
    size_t len = seal(&a, msg);
    for (size_t bit = 0; bit < len * 8; bit++) {
        msg[bit / 8] ^= (uint8_t)(1 << (bit % 8));
        assert_int_not_equal(open_at(&b, msg, len, 0), 0);
        msg[bit / 8] ^= (uint8_t)(1 << (bit % 8));
    }
    for (size_t cut = 0; cut < len; cut++)
        assert_int_not_equal(open_at(&b, msg, cut, 0), 0);
    assert_int_equal(open_at(&b, msg, len, 0), 0);
}

static void other_path_other_key(void **state) {
    uint8_t msg[64], one[32] = {1}, two[32] = {2};
    struct fb_packets c;
    assert_int_equal(fb_packets_init(&c, fb_crypto_openssl(), 6, two, one, 0), 0);
    size_t len = seal(&a, msg);
    assert_int_equal(open_at(&c, msg, len, 0), FB_ERR_AUTH);
    fb_packets_clear(&c);
}

static void replay_window(void **state) {
    static uint8_t msgs[FB_REPLAY_WINDOW + 100][64];
    size_t n = FB_REPLAY_WINDOW + 100, len = 0;
    for (size_t i = 0; i < n; i++)
        len = seal(&a, msgs[i]);
    assert_int_equal(open_at(&b, msgs[n - 1], len, 0), 0);
    for (size_t i = 0; i < n - 1; i++) /* what is older than the window is dropped unseen */
        assert_int_equal(open_at(&b, msgs[i], len, 0), i < 100 ? FB_ERR_USED : 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(open_at(&b, msgs[i], len, 0), FB_ERR_USED);
    a.next += 3 * FB_REPLAY_WINDOW; /* a jump clears the window */
    len = seal(&a, msgs[0]);
    assert_int_equal(open_at(&b, msgs[0], len, 0), 0);
    assert_int_equal(open_at(&b, msgs[0], len, 0), FB_ERR_USED);
    assert_int_equal(open_at(&b, msgs[n - 1], len, 0), FB_ERR_USED);
}

static void key_phases(void **state) {
    uint8_t old[3][64], fresh[2][64], third[64];
    size_t len = 0;
    for (int i = 0; i < 3; i++)
        len = seal(&a, old[i]);
    assert_int_equal(fb_packet_rekey(&a, 100), 0);
    seal(&a, fresh[0]);
    seal(&a, fresh[1]);
    assert_int_equal(open_at(&b, old[0], len, 100), 0);
    assert_int_equal(open_at(&b, fresh[1], len, 100), 0); /* before fresh[0]: paths reorder */
    assert_int_equal(open_at(&b, fresh[0], len, 100), 0);
    assert_int_equal(open_at(&b, old[1], len, 1099), 0);
    assert_int_equal(open_at(&b, old[2], len, 1100), FB_ERR_USED); /* the old key has died */
    assert_int_equal(fb_packet_rekey(&a, 5000), 0);
    seal(&a, third);
    third[20] ^= 1;
    assert_int_equal(open_at(&b, third, len, 5000), FB_ERR_AUTH); /* and changes no phase */
    third[20] ^= 1;
    assert_int_equal(open_at(&b, third, len, 5000), 0);
    assert_int_equal(b.recv_phase, 0);
}

static void first_message(void **state) {
    uint8_t msg[FB_FIRST_LEN] = {FB_KIND_SESSION, FB_FIRST_TOKEN}, copy[FB_FIRST_LEN];
    memset(msg + 2, 0xaa, FB_TOKEN_LEN);
    fb_packet_seal_first(&a, msg);
    memcpy(copy, msg, sizeof copy);
    copy[3] ^= 1; /* another token */
    assert_int_equal(fb_packet_open_first(&b, copy), FB_ERR_AUTH);
    assert_int_equal(fb_packet_open_first(&b, msg), 0);
    assert_int_equal(seal(&a, msg), 5 + FB_PACKET_OVERHEAD);
    assert_int_equal(a.next, 2);
}

static void frames_round_trip(void **state) {
    static const uint8_t data[16] = "sixteen bytes..";
    static const struct fb_frame frames[] = {
        {.type = FB_FRAME_PING},
        {.type = FB_FRAME_ACK,
         .path = 3,
         .value = 800,
         .range_count = 3,
         .ranges = {{90, 100}, {50, 70}, {0, 1}}},
        {.type = FB_FRAME_RESET_STREAM, .stream = 9, .code = 77, .value = 123456},
        {.type = FB_FRAME_STOP_SENDING, .stream = 9, .code = 77},
        {.type = FB_FRAME_NEW_TOKEN, .path = 70000, .data = data, .len = 16},
        {.type = FB_FRAME_MAX_DATA, .value = UINT64_C(1) << 40},
        {.type = FB_FRAME_MAX_STREAM_DATA, .stream = 2, .value = 5},
        {.type = FB_FRAME_MAX_STREAMS, .value = 256},
        {.type = FB_FRAME_CLOSE, .code = 0x22},
        {.type = FB_FRAME_PATH_STATUS, .path = 4, .sequence = 2, .code = 1, .value = 16000},
        {.type = FB_FRAME_PATH_ABANDON, .path = 4, .code = 3},
        {.type = FB_FRAME_BROKER, .value = 1, .data = data, .len = 10},
        {.type = FB_FRAME_NETWORK_DOCUMENT, .value = 2, .data = data, .len = 0},
        {.type = FB_FRAME_DATAGRAM, .data = data, .len = 16},
    };
    uint8_t buf[1000];
    struct fb_wr wr = fb_wr_make(buf, sizeof buf);
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
        fb_frame_write(&wr, &frames[i]);
    fb_frame_write_stream(&wr, 7, 1000, true, 16);
    fb_wr_bytes(&wr, data, 16);
    fb_wr_zeros(&wr, 20); /* PADDING */
    assert_true(wr.ok);
    struct fb_rd rd = fb_rd_make(buf, wr.len);
    struct fb_frame f;
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        const struct fb_frame *want = &frames[i];
        memset(&f, 0, sizeof f);
        assert_int_equal(fb_frame_read(&rd, &f), 0);
        assert_int_equal(f.type, want->type);
        assert_true(f.stream == want->stream && f.value == want->value && f.code == want->code &&
                    f.path == want->path && f.sequence == want->sequence && f.len == want->len);
        assert_int_equal(f.range_count, want->range_count);
        assert_memory_equal(f.ranges, want->ranges, f.range_count * sizeof f.ranges[0]);
        if (f.len > 0)
            assert_memory_equal(f.data, want->data, f.len);
    }
    assert_int_equal(fb_frame_read(&rd, &f), 0);
    assert_true(f.type == FB_FRAME_STREAM && f.stream == 7 && f.offset == 1000 && f.fin);
    assert_memory_equal(f.data, data, 16);
    assert_int_equal(fb_frame_read(&rd, &f), 0);
    assert_int_equal(f.type, FB_FRAME_PADDING);
    assert_true(fb_rd_done(&rd));
}

static void malformed_frames(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {
        {"\x03", 1},                                          /* unknown */
        {"\x40", 1},                                          /* half a type */
        {"\x02\x00\x05\x00\x01\x09", 6},                      /* range below 0 */
        {"\x02\x00\x05\x00\x01\x00\x09\x00", 8},              /* gap below 0 */
        {"\x02\x00\x05\x00\x40\x40\x00", 7},                  /* 65 ranges */
        {"\x02\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00", 11}, /* number above 2^48 */
        {"\x0a\x01\x05xx", 5},                                /* data cut short */
        {"\x0c\x01\xff\xff\xff\xff\xff\xff\xff\xffx", 11},    /* end above 2^62 */
        {"\x31\x7f\xff", 3},
        {"\x07\x01short", 7},
        {"\x22\x01\xc0\x00\x00\x00\xff\xff\xff\xff", 10},
    };
    struct fb_frame f;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct fb_rd rd = fb_rd_make(bad[i].bytes, bad[i].len);
        assert_int_equal(fb_frame_read(&rd, &f), FB_ERR_MALFORMED);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(opens_once, setup, teardown),
        cmocka_unit_test_setup_teardown(every_bit_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(other_path_other_key, setup, teardown),
        cmocka_unit_test_setup_teardown(replay_window, setup, teardown),
        cmocka_unit_test_setup_teardown(key_phases, setup, teardown),
        cmocka_unit_test_setup_teardown(first_message, setup, teardown),
        cmocka_unit_test(frames_round_trip),
        cmocka_unit_test(malformed_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
