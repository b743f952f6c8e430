/* core/rendezvous: who can open an offer, who can answer it, and what a changed byte does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/rendezvous.h"
#include "crypto/openssl.h"
#include "env.h"

static struct test_mem tm;
static struct fb_mem mem;
static uint64_t seed;
static struct fb_rng rng;
static uint8_t key[FB_KEY_LEN], public_key[FB_KEY_LEN];
static const uint8_t network[FB_NETWORK_ID_LEN] = {1, 2, 3};

static struct fb_offer an_offer(void) {
    struct fb_offer offer = {.nat = FB_NAT_EASY, .egress = {7}, .first = {1, 0x10, 9}};
    struct fb_candidate host = {FB_CAND_HOST, {4, {192, 0, 2, 1}, 9}, 1000};
    memcpy(offer.desc.ufrag, "abcd", 5);
    memcpy(offer.desc.pwd, "abcdefghijklmnopqrstuv", 23);
    offer.desc.setup = FB_SETUP_ACTPASS;
    offer.desc.sctp_port = 5000;
    offer.desc.candidates[offer.desc.candidate_count++] = host;
    return offer;
}

static int set_up(void **state) {
    tm = (struct test_mem){0};
    mem = test_mem_make(&tm);
    rng = test_rng_make(&seed);
    fb_random(&rng, key, sizeof key);
    return fb_x25519_public(key, public_key);
}

static struct fb_rendezvous *offer_to(const uint8_t *broker_key, uint8_t *sealed) {
    struct fb_offer offer = an_offer();
    struct fb_rendezvous *rv;
    assert_int_equal(fb_rendezvous_offer(&rv, &mem, &rng, fb_crypto_openssl(), broker_key, network,
                                         &offer, sealed),
                     0);
    return rv;
}

static int open_with(struct fb_rendezvous **rv, const uint8_t *sealing_key, const uint8_t *net,
                     const uint8_t *sealed, size_t len, struct fb_offer *offer) {
    return fb_rendezvous_open(rv, &mem, &rng, fb_crypto_openssl(), sealing_key, net, sealed, len,
                              offer);
}

static void there_and_back(void **state) {
    uint8_t sealed[FB_SEALED_OFFER_LEN], back[FB_SEALED_ANSWER_LEN];
    struct fb_rendezvous *broker, *client = offer_to(public_key, sealed);
    struct fb_offer offer, want = an_offer();
    struct fb_answer got, answer = {.status = FB_ANSWER_NOBODY, .retry_after = 3, .document = 8};
    assert_int_equal(open_with(&broker, key, network, sealed, sizeof sealed, &offer), 0);
    assert_memory_equal(offer.first, want.first, sizeof want.first);
    assert_int_equal(offer.desc.candidate_count, 1);
    assert_int_equal(fb_rendezvous_reply(broker, &answer, back), 0);
    assert_int_equal(fb_rendezvous_reply(broker, &answer, back), FB_ERR_STATE);
    assert_int_equal(fb_rendezvous_answer(client, back, sizeof back - 1, &got), FB_ERR_MALFORMED);
    assert_int_equal(fb_rendezvous_answer(client, back, sizeof back, &got), 0);
    assert_int_equal(got.status, FB_ANSWER_NOBODY);
    assert_int_equal(got.retry_after, 3);
    fb_rendezvous_free(client);
    fb_rendezvous_free(broker);
    assert_int_equal(tm.live, 0);
}

static void others_cannot_open(void **state) {
    uint8_t sealed[FB_SEALED_OFFER_LEN], other[FB_KEY_LEN] = {5};
    const uint8_t elsewhere[FB_NETWORK_ID_LEN] = {4};
    struct fb_rendezvous *rv, *client = offer_to(public_key, sealed);
    struct fb_offer offer;
    assert_int_equal(open_with(&rv, other, network, sealed, sizeof sealed, &offer), FB_ERR_AUTH);
    assert_null(rv);
    assert_int_equal(open_with(&rv, key, elsewhere, sealed, sizeof sealed, &offer), FB_ERR_AUTH);
    assert_int_equal(open_with(&rv, key, network, sealed, 100, &offer), FB_ERR_MALFORMED);
    for (size_t i = 0; i < sizeof sealed; i += 31) {
        sealed[i] ^= 1;
        assert_int_equal(open_with(&rv, key, network, sealed, sizeof sealed, &offer), FB_ERR_AUTH);
        assert_null(rv);
        sealed[i] ^= 1;
    }
    fb_rendezvous_free(client);
    assert_int_equal(tm.live, 0);
}

static void others_cannot_answer(void **state) {
    struct fb_answer got, answer = {.status = FB_ANSWER_AGAIN};
    for (size_t i = 0; i < FB_SEALED_ANSWER_LEN; i += 97) {
        uint8_t sealed[FB_SEALED_OFFER_LEN], back[FB_SEALED_ANSWER_LEN];
        struct fb_rendezvous *broker, *client = offer_to(public_key, sealed);
        struct fb_offer offer;
        assert_int_equal(open_with(&broker, key, network, sealed, sizeof sealed, &offer), 0);
        assert_int_equal(fb_rendezvous_reply(broker, &answer, back), 0);
        back[i] ^= 0x80;
        assert_int_equal(fb_rendezvous_answer(client, back, sizeof back, &got), FB_ERR_AUTH);
        fb_rendezvous_free(client);
        fb_rendezvous_free(broker);
    }
    assert_int_equal(tm.live, 0);
}

static void opened_but_malformed(void **state) {
    uint8_t sealed[FB_SEALED_OFFER_LEN], back[FB_SEALED_ANSWER_LEN], ephemeral[FB_KEY_LEN] = {3};
    uint8_t payload[FB_OFFER_LEN] = {99}, prologue[16 + 1 + FB_NETWORK_ID_LEN];
    const struct fb_crypto *crypto = fb_crypto_openssl();
    struct fb_answer answer = {.status = FB_ANSWER_VERSION};
    struct fb_rendezvous *broker;
    struct fb_offer offer;
    memcpy(prologue, "footbridge offer\1", 17);
    memcpy(prologue + 17, network, sizeof network);
    struct fb_noise *noise = crypto->noise_new(crypto->ctx, true, public_key, ephemeral, prologue,
                                               sizeof prologue);
    assert_int_equal(crypto->noise_write(noise, payload, sizeof payload, sealed), 0);
    assert_int_equal(open_with(&broker, key, network, sealed, sizeof sealed, &offer),
                     FB_ERR_VERSION);
    assert_non_null(broker);
    assert_int_equal(fb_rendezvous_reply(broker, &answer, back), 0);
    fb_rendezvous_free(broker);
    crypto->noise_free(noise);
    assert_int_equal(tm.live, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(others_cannot_open),
        cmocka_unit_test(others_cannot_answer),
        cmocka_unit_test(opened_but_malformed),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
