/* core/stunask: against this project's own responder, RFC 5769's vector, and damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/err.h"
#include "core/stun.h"
#include "core/stunask.h"

static const uint8_t id[FB_STUN_ID_LEN] = {0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34,
                                           0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae};

static void responder_is_understood(void **state) {
    static const struct fb_addr from[] = {
        {.family = 4, .ip = {192, 0, 2, 33}, .port = 40000},
        {.family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [15] = 9}, .port = 1}};
    uint8_t ask[FB_STUN_ASK_LEN], answer[FB_STUN_REPLY_MAX];
    fb_stun_ask(id, ask);
    for (size_t i = 0; i < 2; i++) {
        struct fb_addr mapped;
        size_t len = fb_stun_respond(ask, sizeof ask, &from[i], answer, sizeof answer);
        assert_int_equal(fb_stun_answer(answer, len, id, &mapped), 0);
        assert_true(fb_addr_equal(&mapped, &from[i]));
        for (size_t cut = 0; cut < len; cut++)
            assert_int_not_equal(fb_stun_answer(answer, cut, id, &mapped), 0);
        answer[19] ^= 1;
        assert_int_equal(fb_stun_answer(answer, len, id, &mapped), FB_ERR_NOT_FOUND);
    }
}

/* RFC 5769 section 2.2, its integrity and fingerprint included: 192.0.2.1, port 32853. */
static void vector_of_rfc5769(void **state) {
    static const uint8_t response[] =
        "\x01\x01\x00\x3c\x21\x12\xa4\x42\xb7\xe7\xa7\x01\xbc\x34\xd6\x86\xfa\x87\xdf\xae"
        "\x80\x22\x00\x0b\x74\x65\x73\x74\x20\x76\x65\x63\x74\x6f\x72\x20"
        "\x00\x20\x00\x08\x00\x01\xa1\x47\xe1\x12\xa6\x43"
        "\x00\x08\x00\x14\x2b\x91\xf5\x99\xfd\x9e\x90\xc3\x8c\x74\x89\xf9\x2a\xf9\xba\x53"
        "\xf0\x6b\xe7\xd7\x80\x28\x00\x04\xc0\x7d\x4c\x96";
    struct fb_addr mapped;
    assert_int_equal(fb_stun_answer(response, sizeof response - 1, id, &mapped), 0);
    struct fb_addr expected = {.family = 4, .ip = {192, 0, 2, 1}, .port = 32853};
    assert_true(fb_addr_equal(&mapped, &expected));
}

static void old_form_and_errors(void **state) {
    uint8_t old[32] = {1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42};
    static const uint8_t attribute[] = {0, 1, 0, 8, 0, 1, 0, 80, 10, 1, 2, 3};
    struct fb_addr mapped, expected = {.family = 4, .ip = {10, 1, 2, 3}, .port = 80};
    memcpy(old + 8, id, sizeof id);
    memcpy(old + 20, attribute, sizeof attribute);
    assert_int_equal(fb_stun_answer(old, sizeof old, id, &mapped), 0);
    assert_true(fb_addr_equal(&mapped, &expected));
    old[25] = 3; /* no such family */
    assert_int_equal(fb_stun_answer(old, sizeof old, id, &mapped), FB_ERR_MALFORMED);
    old[1] = 0x11;
    assert_int_equal(fb_stun_answer(old, sizeof old, id, &mapped), FB_ERR_DENIED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responder_is_understood),
        cmocka_unit_test(vector_of_rfc5769),
        cmocka_unit_test(old_form_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
