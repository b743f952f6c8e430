/* base/buf: varints as RFC 9000 appendix A.1, and what happens past the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"

static void varints_of_rfc9000(void **state) {
    static const struct {
        uint8_t bytes[8];
        size_t len;
        uint64_t value;
    } vectors[] = {
        {{0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c}, 8, UINT64_C(151288809941952652)},
        {{0x9d, 0x7f, 0x3e, 0x7d}, 4, 494878333},
        {{0x7b, 0xbd}, 2, 15293},
        {{0x25}, 1, 37},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct fb_rd rd = fb_rd_make(vectors[i].bytes, vectors[i].len);
        assert_true(fb_rd_varint(&rd) == vectors[i].value);
        assert_true(fb_rd_done(&rd));
        uint8_t out[8];
        struct fb_wr wr = fb_wr_make(out, sizeof out);
        fb_wr_varint(&wr, vectors[i].value);
        assert_true(wr.ok);
        assert_int_equal(wr.len, vectors[i].len);
        assert_memory_equal(out, vectors[i].bytes, wr.len);
    }
    /* The non-minimal form that the same appendix shows decodes too. */
    struct fb_rd rd = fb_rd_make("\x40\x25", 2);
    assert_true(fb_rd_varint(&rd) == 37);
}

static void varint_limits(void **state) {
    uint8_t out[8];
    struct fb_wr wr = fb_wr_make(out, sizeof out);
    fb_wr_varint(&wr, FB_VARINT_MAX);
    assert_true(wr.ok);
    wr = fb_wr_make(out, sizeof out);
    fb_wr_varint(&wr, FB_VARINT_MAX + 1);
    assert_false(wr.ok);
}

static void reader_is_sticky(void **state) {
    struct fb_rd rd = fb_rd_make("\x01\x02\x03", 3);
    assert_int_equal(fb_rd_u16(&rd), 0x0102);
    assert_int_equal(fb_rd_u32(&rd), 0);
    assert_false(rd.ok);
    assert_int_equal(fb_rd_u8(&rd), 0);
    assert_false(fb_rd_done(&rd));
    uint8_t out[2] = {9, 9};
    fb_rd_copy(&rd, out, 2);
    assert_int_equal(out[0] + out[1], 0);
    rd = fb_rd_make("\xc0", 1);
    fb_rd_varint(&rd);
    assert_false(rd.ok);
    rd = fb_rd_make("ab", 2);
    assert_null(fb_rd_bytes(&rd, SIZE_MAX));
    assert_false(rd.ok);
}

static void writer_is_sticky(void **state) {
    uint8_t out[4] = {0};
    struct fb_wr wr = fb_wr_make(out, 3);
    fb_wr_u16(&wr, 0x0102);
    fb_wr_u16(&wr, 0x0304);
    assert_false(wr.ok);
    fb_wr_u8(&wr, 5);
    assert_int_equal(wr.len, 2);
    assert_int_equal(out[2], 0);
    assert_int_equal(fb_wr_room(&wr), 0);
}

static void integers_round_trip(void **state) {
    uint8_t out[32];
    struct fb_wr wr = fb_wr_make(out, sizeof out);
    fb_wr_u8(&wr, 0xab);
    fb_wr_u16(&wr, 0xabcd);
    fb_wr_u32(&wr, 0xabcdef01);
    fb_wr_u48(&wr, UINT64_C(0xabcdef012345));
    fb_wr_u64(&wr, UINT64_C(0xabcdef0123456789));
    fb_wr_zeros(&wr, 2);
    fb_wr_bytes(&wr, "xy", 2);
    struct fb_rd rd = fb_rd_make(out, wr.len);
    assert_int_equal(fb_rd_u8(&rd), 0xab);
    assert_int_equal(fb_rd_u16(&rd), 0xabcd);
    assert_true(fb_rd_u32(&rd) == 0xabcdef01);
    assert_true(fb_rd_u48(&rd) == UINT64_C(0xabcdef012345));
    assert_true(fb_rd_u64(&rd) == UINT64_C(0xabcdef0123456789));
    assert_int_equal(fb_rd_u16(&rd), 0);
    assert_memory_equal(fb_rd_bytes(&rd, 2), "xy", 2);
    assert_true(fb_rd_done(&rd));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_of_rfc9000),  cmocka_unit_test(varint_limits),
        cmocka_unit_test(reader_is_sticky),    cmocka_unit_test(writer_is_sticky),
        cmocka_unit_test(integers_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
