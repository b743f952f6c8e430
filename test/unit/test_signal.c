/* core/signal: every message there and back, sizes that never vary, and input that is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/signal.h"
#include "env.h"

static struct fb_desc example_desc(void) {
    struct fb_desc desc = {.ufrag = "aJXQ",
                           .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0",
                           .setup = FB_SETUP_ACTIVE,
                           .sctp_port = 5000,
                           .max_message_size = 262144,
                           .candidate_count = 1};
    desc.candidates[0].addr = (struct fb_addr){.family = 4, .ip = {8, 8, 4, 4}, .port = 40000};
    desc.candidates[0].priority = 77;
    return desc;
}

static struct fb_desc largest_desc(void) {
    struct fb_desc desc = {
        .setup = FB_SETUP_ACTPASS, .sctp_port = 1, .candidate_count = FB_DESC_CANDIDATES_MAX};
    memset(desc.ufrag, 'u', FB_DESC_UFRAG_MAX);
    memset(desc.pwd, 'p', FB_DESC_PWD_MAX);
    for (size_t i = 0; i < FB_DESC_CANDIDATES_MAX; i++)
        desc.candidates[i].addr = (struct fb_addr){.family = 6, .ip = {0x2a}, .port = 1};
    return desc;
}

static struct fb_offer example_offer(void) {
    struct fb_offer offer = {.flags = FB_OFFER_BROWSERS_ONLY, .nat = FB_NAT_HARD};
    memset(offer.egress, 0xe1, sizeof offer.egress);
    memset(offer.process, 0xe2, sizeof offer.process);
    memset(offer.handle, 0xe3, sizeof offer.handle);
    memset(offer.first, 0xe4, sizeof offer.first);
    offer.desc = example_desc();
    return offer;
}

/* What was read says the same as what was written: it gives the same bytes. */
static void assert_reads_back(const uint8_t *bytes, size_t len) {
    struct fb_offer offer;
    struct fb_answer answer;
    uint8_t again[FB_OFFER_LEN];
    if (len == FB_OFFER_LEN) {
        assert_int_equal(fb_offer_decode(&offer, bytes, len), 0);
        assert_int_equal(fb_offer_encode(&offer, again), len);
    } else {
        assert_int_equal(fb_answer_decode(&answer, bytes, len), 0);
        assert_int_equal(fb_answer_encode(&answer, again), len);
    }
    assert_memory_equal(again, bytes, len);
}

static void offers(void **state) {
    struct fb_offer offer = example_offer(), out;
    uint8_t bytes[FB_OFFER_LEN];
    assert_int_equal(fb_offer_encode(&offer, bytes), FB_OFFER_LEN);
    assert_memory_equal(bytes, "\x01\x01\x02\xe1", 4);
    assert_int_equal(bytes[35], 0xe2);
    assert_int_equal(bytes[51], 0xe3);
    assert_int_equal(bytes[67], 0xe4);
    assert_int_equal(bytes[323] << 8 | bytes[324], 1 + 5 + 25 + 32 + 1 + 11);
    assert_reads_back(bytes, FB_OFFER_LEN);
    assert_int_equal(fb_offer_decode(&out, bytes, sizeof bytes), 0);
    assert_int_equal(out.nat, FB_NAT_HARD);
    assert_int_equal(out.desc.candidates[0].priority, 77);
    /* The longest description fits the bucket. */
    offer.desc = largest_desc();
    assert_int_equal(fb_offer_encode(&offer, bytes), FB_OFFER_LEN);
    assert_reads_back(bytes, FB_OFFER_LEN);
    offer.desc.sctp_port = 0;
    assert_int_equal(fb_offer_encode(&offer, bytes), FB_ERR_MALFORMED);
    offer = example_offer();
    offer.nat = FB_NAT_COUNT;
    assert_int_equal(fb_offer_encode(&offer, bytes), FB_ERR_MALFORMED);
    offer = example_offer();
    offer.flags = 0x80;
    assert_int_equal(fb_offer_encode(&offer, bytes), FB_ERR_MALFORMED);
}

static void offers_are_strict(void **state) {
    struct fb_offer offer = example_offer(), out;
    uint8_t bytes[FB_OFFER_LEN + 1] = {0};
    static const struct {
        size_t at;
        uint8_t value;
        int err;
    } changes[] = {
        {0, 2, FB_ERR_VERSION},      {0, 0, FB_ERR_VERSION},     {1, 2, FB_ERR_MALFORMED},
        {2, 3, FB_ERR_MALFORMED},    {323, 9, FB_ERR_MALFORMED}, {324, 9, FB_ERR_MALFORMED},
        {325, 0x20, FB_ERR_VERSION}, {975, 1, FB_ERR_MALFORMED}, {500, 1, FB_ERR_MALFORMED},
    };
    fb_offer_encode(&offer, bytes);
    for (size_t len = 0; len < FB_OFFER_LEN; len++)
        assert_int_equal(fb_offer_decode(&out, bytes, len), FB_ERR_MALFORMED);
    assert_int_equal(fb_offer_decode(&out, bytes, FB_OFFER_LEN + 1), FB_ERR_MALFORMED);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        fb_offer_encode(&offer, bytes);
        bytes[changes[i].at] = changes[i].value;
        assert_int_equal(fb_offer_decode(&out, bytes, FB_OFFER_LEN), changes[i].err);
        assert_int_equal(out.handle[0], 0);
    }
}

static void answers(void **state) {
    struct fb_answer answer = {
        .status = FB_ANSWER_OK, .document = UINT64_MAX, .country = "DE", .desc = largest_desc()};
    struct fb_answer out;
    uint8_t bytes[FB_ANSWER_LEN + 1] = {0};
    memset(answer.handle, 0x77, sizeof answer.handle);
    assert_int_equal(fb_answer_encode(&answer, bytes), FB_ANSWER_LEN);
    assert_reads_back(bytes, FB_ANSWER_LEN);
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), 0);
    assert_true(out.document == UINT64_MAX);
    assert_string_equal(out.country, "DE");
    assert_int_equal(out.desc.candidate_count, FB_DESC_CANDIDATES_MAX);
    memset(answer.country, 0, sizeof answer.country);
    assert_int_equal(fb_answer_encode(&answer, bytes), FB_ANSWER_LEN);
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), 0);
    for (int status = 1; status < FB_ANSWER_STATUS_COUNT; status++) {
        struct fb_answer no = {.status = (enum fb_answer_status)status, .retry_after = 300};
        assert_int_equal(fb_answer_encode(&no, bytes), FB_ANSWER_LEN);
        assert_reads_back(bytes, FB_ANSWER_LEN);
        assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), 0);
        assert_int_equal(out.status, status);
        assert_int_equal(out.retry_after, 300);
        assert_string_not_equal(fb_answer_status_text(no.status), "unknown answer");
        bytes[FB_ANSWER_LEN - 1] = 1;
        assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), FB_ERR_MALFORMED);
    }
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN - 1), FB_ERR_MALFORMED);
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN + 1), FB_ERR_MALFORMED);
    answer.status = FB_ANSWER_STATUS_COUNT;
    assert_int_equal(fb_answer_encode(&answer, bytes), FB_ERR_MALFORMED);
    answer.status = FB_ANSWER_OK;
    memcpy(answer.country, "de", 3);
    assert_int_equal(fb_answer_encode(&answer, bytes), FB_ERR_MALFORMED);
    memcpy(answer.country, "DE", 3);
    fb_answer_encode(&answer, bytes);
    bytes[28] = '<'; /* the country */
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), FB_ERR_MALFORMED);
    fb_answer_encode(&answer, bytes);
    bytes[1] = FB_ANSWER_STATUS_COUNT;
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), FB_ERR_MALFORMED);
    bytes[0] = 2;
    assert_int_equal(fb_answer_decode(&out, bytes, FB_ANSWER_LEN), FB_ERR_VERSION);
}

/* One of each volunteer message, with the length that doc/protocol.md gives. */
static size_t vol_messages(struct fb_vol_msg out[10], size_t lens[10]) {
    struct fb_vol_msg msgs[] = {
        {.type = FB_VOL_HELLO, .hello = {1, FB_VOLUNTEER_EXTENSION, FB_NAT_EASY, 500}},
        {.type = FB_VOL_WELCOME, .welcome = {1, "NL"}},
        {.type = FB_VOL_READY, .free = 3},
        {.type = FB_VOL_OFFER, .match = UINT64_MAX, .country = "IR", .desc = example_desc()},
        {.type = FB_VOL_ANSWER, .match = 5, .desc = largest_desc()},
        {.type = FB_VOL_DECLINE, .match = 6, .decline = FB_DECLINE_FAILED},
        {.type = FB_VOL_RELEASE, .match = 7},
        {.type = FB_VOL_CANCEL, .match = 8},
        {.type = FB_VOL_DONE, .match = 9, .outcome = FB_OUTCOME_STOPPED},
        {.type = FB_VOL_STATUS, .carrying = 10},
    };
    static const size_t want[] = {6, 4, 3, 88, 517, 10, 438, 9, 10, 3};
    memset(msgs[6].release.egress, 1, sizeof msgs[6].release.egress);
    memset(msgs[6].release.ticket, 2, sizeof msgs[6].release.ticket);
    memset(msgs[6].release.first, 3, sizeof msgs[6].release.first);
    memcpy(out, msgs, sizeof msgs);
    memcpy(lens, want, sizeof want);
    return sizeof msgs / sizeof *msgs;
}

static void volunteer_messages(void **state) {
    struct fb_vol_msg msgs[10], out;
    size_t lens[10], count = vol_messages(msgs, lens);
    for (size_t i = 0; i < count; i++) {
        uint8_t bytes[FB_VOL_MAX + 1] = {0}, again[FB_VOL_MAX];
        int len = fb_vol_encode(&msgs[i], bytes, FB_VOL_MAX);
        assert_int_equal(len, lens[i]);
        assert_int_equal(fb_vol_decode(&out, bytes, (size_t)len), 0);
        assert_int_equal(out.type, msgs[i].type);
        assert_true(out.match == msgs[i].match);
        assert_int_equal(fb_vol_encode(&out, again, sizeof again), len);
        assert_memory_equal(bytes, again, (size_t)len);
        for (size_t cut = 0; cut < (size_t)len; cut++) {
            assert_int_equal(fb_vol_decode(&out, bytes, cut), FB_ERR_MALFORMED);
            assert_int_equal(fb_vol_encode(&msgs[i], again, cut), FB_ERR_TOO_BIG);
        }
        assert_int_equal(fb_vol_decode(&out, bytes, (size_t)len + 1), FB_ERR_MALFORMED);
    }
}

static void volunteer_messages_are_strict(void **state) {
    static const struct {
        const char *bytes;
        size_t len;
        int err;
    } bad[] = {
        {"\x00", 1, FB_ERR_MALFORMED},
        {"\x0b", 1, FB_ERR_MALFORMED},
        {"\xff\x00\x00", 3, FB_ERR_MALFORMED},
        {"\x01\x02\x00\x00\x00\x01", 6, FB_ERR_VERSION},
        {"\x01\x01\x03\x00\x00\x01", 6, FB_ERR_MALFORMED},
        {"\x01\x01\x00\x03\x00\x01", 6, FB_ERR_MALFORMED},
        {"\x02\x02XX", 4, FB_ERR_VERSION},
        {"\x02\x01X\0", 4, FB_ERR_MALFORMED},
        {"\x02\x01\0X", 4, FB_ERR_MALFORMED},
        {"\x02\x01<>", 4, FB_ERR_MALFORMED},
        {"\x06\0\0\0\0\0\0\0\x01\x02", 10, FB_ERR_MALFORMED},
        {"\x09\0\0\0\0\0\0\0\x01\x04", 10, FB_ERR_MALFORMED},
        {"\x04\0\0\0\0\0\0\0\x01\0\0\0\0", 13, FB_ERR_MALFORMED},
        {"\x04\0\0\0\0\0\0\0\x01i\0\0\0", 13, FB_ERR_MALFORMED},
    };
    struct fb_vol_msg out;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(fb_vol_decode(&out, (const uint8_t *)bad[i].bytes, bad[i].len),
                         bad[i].err);
    struct fb_vol_msg msg = {.type = FB_VOL_OFFER};
    uint8_t bytes[FB_VOL_MAX];
    assert_int_equal(fb_vol_encode(&msg, bytes, sizeof bytes), FB_ERR_MALFORMED);
    msg.type = (enum fb_vol_type)0;
    assert_int_equal(fb_vol_encode(&msg, bytes, sizeof bytes), FB_ERR_MALFORMED);
}

static void link_messages(void **state) {
    static const uint8_t sealed[FB_LINK_SEALED_MAX + 1] = {1, 2, 3};
    struct fb_link_msg msgs[] = {
        {.type = FB_LINK_HELLO, .hello = {.version = 1, .egress = {1}, .process = {2}}},
        {.type = FB_LINK_LOAD, .load = {1, 2, UINT64_MAX}},
        {.type = FB_LINK_REPORT, .report = {{9}, FB_LINK_CLOSED, 1000, 60}},
        {.type = FB_LINK_OFFER, .sealed = {4, sealed, 1024}},
        {.type = FB_LINK_ANSWER, .sealed = {4, sealed, FB_LINK_SEALED_MAX}},
        {.type = FB_LINK_ANSWER, .sealed = {4, sealed, 0}},
        {.type = FB_LINK_CANCEL, .sealed = {4, sealed, 0}},
    };
    static const size_t lens[] = {50, 17, 30, 1033, 9 + FB_LINK_SEALED_MAX, 9, 9};
    struct fb_link_msg out;
    uint8_t bytes[FB_LINK_MAX], again[FB_LINK_MAX];
    for (size_t i = 0; i < sizeof msgs / sizeof *msgs; i++) {
        memset(bytes, 0, sizeof bytes);
        int len = fb_link_encode(&msgs[i], bytes, sizeof bytes);
        assert_int_equal(len, lens[i]);
        assert_int_equal(fb_link_decode(&out, bytes, (size_t)len), 0);
        assert_int_equal(fb_link_encode(&out, again, sizeof again), len);
        assert_memory_equal(bytes, again, (size_t)len);
        for (size_t cut = 0; cut < (size_t)len; cut++)
            assert_int_equal(fb_link_encode(&msgs[i], again, cut), FB_ERR_TOO_BIG);
        for (size_t cut = 0; cut < (i < 3 ? (size_t)len : 9); cut++)
            assert_int_equal(fb_link_decode(&out, bytes, cut), FB_ERR_MALFORMED);
        if (i < 3)
            assert_int_equal(fb_link_decode(&out, bytes, (size_t)len + 1), FB_ERR_MALFORMED);
    }
    assert_int_equal(fb_link_decode(&out, bytes, 10 + FB_LINK_SEALED_MAX), FB_ERR_MALFORMED);
    bytes[0] = FB_LINK_OFFER; /* an offer is never empty */
    assert_int_equal(fb_link_decode(&out, bytes, 9), FB_ERR_MALFORMED);
    bytes[0] = FB_LINK_CANCEL; /* a number and no more */
    assert_int_equal(fb_link_decode(&out, bytes, 10), FB_ERR_MALFORMED);
    bytes[0] = 7;
    assert_int_equal(fb_link_decode(&out, bytes, 9), FB_ERR_MALFORMED);
    fb_link_encode(&msgs[0], bytes, sizeof bytes);
    bytes[1] = 2;
    assert_int_equal(fb_link_decode(&out, bytes, 50), FB_ERR_VERSION);
    fb_link_encode(&msgs[2], bytes, sizeof bytes);
    bytes[17] = FB_LINK_EVENT_COUNT;
    assert_int_equal(fb_link_decode(&out, bytes, 30), FB_ERR_MALFORMED);
    msgs[4].sealed.len = FB_LINK_SEALED_MAX + 1;
    assert_int_equal(fb_link_encode(&msgs[4], bytes, sizeof bytes), FB_ERR_MALFORMED);
    msgs[3].sealed.len = 0;
    assert_int_equal(fb_link_encode(&msgs[3], bytes, sizeof bytes), FB_ERR_MALFORMED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offers),
        cmocka_unit_test(offers_are_strict),
        cmocka_unit_test(answers),
        cmocka_unit_test(volunteer_messages),
        cmocka_unit_test(volunteer_messages_are_strict),
        cmocka_unit_test(link_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
