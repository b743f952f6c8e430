/* core/hop: the messages between neighbours on a path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/hop.h"

static void every_message(void **state) {
    static const struct fb_hop_msg msgs[] = {
        {.type = FB_HOP_QUEUE, .bytes = 0xfffffffe},
        {.type = FB_HOP_LIMIT, .bytes = 1 << 20},
        {.type = FB_HOP_FAREWELL, .farewell = FB_FAREWELL_DENIED},
        {.type = FB_HOP_LANE_CLOSE, .lane = 65535},
        {.type = FB_HOP_FULL},
    };
    static const int lengths[] = {6, 6, 3, 4, 2};
    struct fb_hop_msg out;
    for (size_t i = 0; i < sizeof msgs / sizeof *msgs; i++) {
        uint8_t bytes[FB_HOP_MAX + 1] = {0};
        int len = fb_hop_encode(&msgs[i], bytes, FB_HOP_MAX);
        assert_int_equal(len, lengths[i]);
        assert_int_equal(bytes[0], FB_KIND_HOP);
        assert_int_equal(fb_hop_decode(&out, bytes, (size_t)len), 0);
        assert_int_equal(out.type, msgs[i].type);
        assert_true(out.bytes == msgs[i].bytes);
        assert_int_equal(out.farewell, msgs[i].farewell);
        assert_int_equal(out.lane, msgs[i].lane);
        for (size_t cut = 0; cut < (size_t)len; cut++) {
            assert_int_equal(fb_hop_decode(&out, bytes, cut), FB_ERR_MALFORMED);
            uint8_t small[FB_HOP_MAX];
            assert_int_equal(fb_hop_encode(&msgs[i], small, cut), FB_ERR_TOO_BIG);
        }
        assert_int_equal(fb_hop_decode(&out, bytes, (size_t)len + 1), FB_ERR_MALFORMED);
    }
    /* Types to come are taken and told apart; other kinds and unknown reasons are not. */
    assert_int_equal(fb_hop_decode(&out, (const uint8_t *)"\x02\x20later", 7), 0);
    assert_int_equal(out.type, 0x20);
    assert_int_equal(fb_hop_decode(&out, (const uint8_t *)"\x01\x03\x00", 3), FB_ERR_MALFORMED);
    assert_int_equal(fb_hop_decode(&out, (const uint8_t *)"\x02\x03\x08", 3), FB_ERR_MALFORMED);
    struct fb_hop_msg bad = {.type = 0x20};
    uint8_t bytes[FB_HOP_MAX];
    assert_int_equal(fb_hop_encode(&bad, bytes, sizeof bytes), FB_ERR_MALFORMED);
    bad = (struct fb_hop_msg){.type = FB_HOP_FAREWELL, .farewell = FB_FAREWELL_COUNT};
    assert_int_equal(fb_hop_encode(&bad, bytes, sizeof bytes), FB_ERR_MALFORMED);
    for (int i = 0; i < FB_FAREWELL_COUNT; i++)
        assert_string_not_equal(fb_farewell_text((enum fb_farewell)i), "closed");
}

static struct fb_hop_msg lane_msg(enum fb_hop_type type) {
    struct fb_hop_msg msg = {.type = (uint8_t)type, .lane = 2};
    msg.desc = (struct fb_desc){.ufrag = "aJXQ",
                                .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0",
                                .setup = type == FB_HOP_LANE_OFFER ? FB_SETUP_ACTPASS
                                                                   : FB_SETUP_ACTIVE,
                                .sctp_port = 5000,
                                .max_message_size = 262144,
                                .candidate_count = 1};
    msg.desc.candidates[0].addr = (struct fb_addr){.family = 4, .ip = {8, 8, 4, 4}, .port = 4};
    return msg;
}

static void descriptions_of_lanes(void **state) {
    static const enum fb_hop_type types[] = {FB_HOP_LANE_OFFER, FB_HOP_LANE_ANSWER};
    for (size_t i = 0; i < 2; i++) {
        struct fb_hop_msg msg = lane_msg(types[i]), out, bad;
        uint8_t bytes[FB_HOP_MAX], longer[FB_HOP_MAX + 1];
        int len = fb_hop_encode(&msg, bytes, sizeof bytes);
        assert_in_range(len, 70, 100);
        assert_int_equal(fb_hop_decode(&out, bytes, (size_t)len), 0);
        assert_int_equal(out.type, types[i]);
        assert_int_equal(out.lane, 2);
        assert_memory_equal(&out.desc, &msg.desc, sizeof out.desc);
        for (size_t cut = 0; cut < (size_t)len; cut++) {
            assert_int_equal(fb_hop_decode(&out, bytes, cut), FB_ERR_MALFORMED);
            assert_int_equal(fb_hop_encode(&msg, longer, cut), FB_ERR_TOO_BIG);
        }
        memcpy(longer, bytes, (size_t)len);
        longer[len] = 0;
        assert_int_equal(fb_hop_decode(&out, longer, (size_t)len + 1), FB_ERR_MALFORMED);
        /* Nobody offers the first lane or none; offers and answers keep to their DTLS roles. */
        for (uint16_t lane = 0; lane < 2; lane++) {
            bad = msg;
            bad.lane = lane;
            assert_int_equal(fb_hop_encode(&bad, longer, sizeof longer), FB_ERR_MALFORMED);
            bytes[3] = (uint8_t)lane;
            assert_int_equal(fb_hop_decode(&out, bytes, (size_t)len), FB_ERR_MALFORMED);
        }
        bytes[3] = 2;
        bytes[1] = (uint8_t)types[1 - i];
        assert_int_equal(fb_hop_decode(&out, bytes, (size_t)len), FB_ERR_MALFORMED);
        bad = msg;
        bad.desc.setup = FB_SETUP_PASSIVE;
        assert_int_equal(fb_hop_encode(&bad, longer, sizeof longer), FB_ERR_MALFORMED);
        bad = msg;
        bad.desc.ufrag[0] = 0;
        assert_int_equal(fb_hop_encode(&bad, longer, sizeof longer), FB_ERR_MALFORMED);
    }
    struct fb_hop_msg out;
    assert_int_equal(fb_hop_decode(&out, (const uint8_t *)"\x02\x12\x00\x00", 4), FB_ERR_MALFORMED);
    /* The longest there is. */
    struct fb_hop_msg msg = lane_msg(FB_HOP_LANE_OFFER);
    uint8_t bytes[FB_HOP_MAX];
    memset(msg.desc.ufrag, 'u', FB_DESC_UFRAG_MAX);
    memset(msg.desc.pwd, 'p', FB_DESC_PWD_MAX);
    msg.desc.sctp_port = 1;
    msg.desc.candidate_count = FB_DESC_CANDIDATES_MAX;
    for (size_t i = 0; i < FB_DESC_CANDIDATES_MAX; i++)
        msg.desc.candidates[i].addr = (struct fb_addr){.family = 6, .ip = {0x20, 1}, .port = 9};
    assert_int_equal(fb_hop_encode(&msg, bytes, sizeof bytes), 4 + FB_DESC_COMPACT_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message),
        cmocka_unit_test(descriptions_of_lanes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
