/* core/linkseal: who gets a channel, and what a changed, repeated or foreign message does to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/linkseal.h"
#include "crypto/openssl.h"
#include "env.h"

struct pair {
    struct test_mem tm;
    struct fb_mem mem;
    struct fb_rng rng;
    uint64_t seed;
    uint8_t key[FB_KEY_LEN], public_key[FB_KEY_LEN], secret[FB_LINKSEAL_SECRET_LEN];
    uint8_t egress_id[FB_EGRESS_ID_LEN];
    uint8_t hello[FB_LINKSEAL_HELLO_LEN], reply[FB_LINKSEAL_REPLY_LEN];
    struct fb_linkseal *egress, *broker;
};

static void begin(struct pair *pair) {
    memset(pair, 0, sizeof *pair);
    pair->seed = 5;
    pair->mem = test_mem_make(&pair->tm);
    pair->rng = test_rng_make(&pair->seed);
    fb_random(&pair->rng, pair->key, sizeof pair->key);
    fb_random(&pair->rng, pair->secret, sizeof pair->secret);
    memset(pair->egress_id, 7, sizeof pair->egress_id);
    assert_int_equal(fb_x25519_public(pair->key, pair->public_key), 0);
    assert_int_equal(fb_linkseal_egress(&pair->egress, &pair->mem, &pair->rng, fb_crypto_openssl(),
                                        pair->public_key, pair->secret, pair->egress_id,
                                        pair->hello),
                     0);
}

static int answer(struct pair *pair, const uint8_t *key, const uint8_t *secret) {
    uint8_t id[FB_EGRESS_ID_LEN];
    int err = fb_linkseal_broker(&pair->broker, &pair->mem, &pair->rng, fb_crypto_openssl(), key,
                                 secret, pair->hello, sizeof pair->hello, pair->reply, id);
    if (err == 0)
        assert_memory_equal(id, pair->egress_id, sizeof id);
    return err;
}

static void end(struct pair *pair) {
    fb_linkseal_free(pair->egress);
    fb_linkseal_free(pair->broker);
    assert_int_equal(pair->tm.live, 0);
}

static void both_ways(void **state) {
    struct pair pair;
    uint8_t wire[100 + FB_TAG_LEN], text[100], got[100];
    begin(&pair);
    assert_int_equal(fb_linkseal_seal(pair.egress, text, 1, wire), FB_ERR_STATE);
    assert_int_equal(answer(&pair, pair.key, pair.secret), 0);
    assert_int_equal(fb_linkseal_finish(pair.egress, pair.reply, 3), FB_ERR_MALFORMED);
    assert_int_equal(fb_linkseal_finish(pair.egress, pair.reply, sizeof pair.reply), 0);
    assert_int_equal(fb_linkseal_finish(pair.egress, pair.reply, sizeof pair.reply), FB_ERR_STATE);
    for (uint8_t i = 0; i < 100; i++) {
        memset(text, i, sizeof text);
        struct fb_linkseal *from = i % 3 ? pair.egress : pair.broker;
        assert_int_equal(fb_linkseal_seal(from, text, i, wire), 0);
        assert_int_equal(
            fb_linkseal_open(i % 3 ? pair.broker : pair.egress, wire, (size_t)i + FB_TAG_LEN, got),
            0);
        assert_memory_equal(got, text, i);
    }
    end(&pair);
}

static void strangers(void **state) {
    struct pair pair;
    uint8_t other[FB_KEY_LEN] = {9};
    begin(&pair);
    assert_int_equal(answer(&pair, pair.key, other), FB_ERR_AUTH); /* not the operator's secret */
    assert_int_equal(answer(&pair, other, pair.secret), FB_ERR_AUTH); /* not this broker */
    for (size_t i = 0; i < sizeof pair.hello; i++) {
        pair.hello[i] ^= 1;
        assert_int_equal(answer(&pair, pair.key, pair.secret), FB_ERR_AUTH);
        pair.hello[i] ^= 1;
    }
    assert_int_equal(answer(&pair, pair.key, pair.secret), 0);
    for (size_t i = 0; i < sizeof pair.reply; i += 11) {
        uint8_t changed[FB_LINKSEAL_REPLY_LEN];
        memcpy(changed, pair.reply, sizeof changed);
        changed[i] ^= 1;
        struct pair fresh;
        begin(&fresh); /* the same seed: the same handshake */
        assert_int_equal(fb_linkseal_finish(fresh.egress, changed, sizeof changed), FB_ERR_AUTH);
        end(&fresh);
    }
    end(&pair);
}

static void altered_order(void **state) {
    struct pair pair;
    uint8_t first[4 + FB_TAG_LEN], second[4 + FB_TAG_LEN], got[4];
    begin(&pair);
    assert_int_equal(answer(&pair, pair.key, pair.secret), 0);
    assert_int_equal(fb_linkseal_finish(pair.egress, pair.reply, sizeof pair.reply), 0);
    fb_linkseal_seal(pair.egress, (const uint8_t *)"one!", 4, first);
    fb_linkseal_seal(pair.egress, (const uint8_t *)"two!", 4, second);
    assert_int_equal(fb_linkseal_open(pair.broker, first, 3, got), FB_ERR_MALFORMED);
    assert_int_equal(fb_linkseal_open(pair.broker, second, sizeof second, got), FB_ERR_AUTH);
    end(&pair);
    begin(&pair);
    assert_int_equal(answer(&pair, pair.key, pair.secret), 0);
    assert_int_equal(fb_linkseal_finish(pair.egress, pair.reply, sizeof pair.reply), 0);
    fb_linkseal_seal(pair.egress, (const uint8_t *)"one!", 4, first);
    assert_int_equal(fb_linkseal_open(pair.broker, first, sizeof first, got), 0);
    assert_int_equal(fb_linkseal_open(pair.broker, first, sizeof first, got), FB_ERR_AUTH);
    end(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(strangers),
        cmocka_unit_test(altered_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
