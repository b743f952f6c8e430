/* core/ticket: each way in which a ticket can be wrong has its own error; ids are used once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/ticket.h"
#include "crypto/openssl.h"
#include "env.h"

#define NOW UINT64_C(1800000000)

static const uint8_t broker_seed[FB_KEY_LEN] = {1}, other_seed[FB_KEY_LEN] = {2};
static const uint8_t process[FB_PROCESS_ID_LEN] = {3}, other_process[FB_PROCESS_ID_LEN] = {4};
static uint8_t first[FB_FIRST_LEN] = {5};

static struct fb_ticket_key key_of(const uint8_t seed[FB_KEY_LEN]) {
    uint8_t public_key[FB_KEY_LEN];
    struct fb_ticket_key key;
    assert_int_equal(fb_ed25519_public(seed, public_key), 0);
    fb_ticket_key_init(&key, fb_crypto_openssl(), public_key);
    return key;
}

static void make(const uint8_t seed[FB_KEY_LEN], uint64_t now_s, uint8_t out[FB_TICKET_LEN]) {
    static uint64_t random_seed = 7;
    struct fb_rng rng = test_rng_make(&random_seed);
    struct fb_ticket_key key = key_of(seed);
    assert_int_equal(fb_ticket_make(fb_crypto_openssl(), &rng, seed, &key, process, first,
                                    sizeof first, now_s, out),
                     0);
}

static int check(const uint8_t *bytes, size_t len, uint64_t now_s, struct fb_ticket *ticket) {
    struct fb_ticket_key keys[2] = {key_of(other_seed), key_of(broker_seed)};
    return fb_ticket_check(fb_crypto_openssl(), bytes, len, keys, 2, process, first, sizeof first,
                           now_s, ticket);
}

static void good_ticket(void **state) {
    uint8_t bytes[FB_TICKET_LEN];
    struct fb_ticket ticket;
    make(broker_seed, NOW, bytes);
    assert_int_equal(check(bytes, sizeof bytes, NOW, &ticket), 0);
    assert_true(ticket.expiry_s == NOW + FB_TICKET_LIFE_S);
    assert_memory_equal(ticket.process_id, process, sizeof process);
    assert_memory_equal(ticket.id, bytes + 5, FB_TICKET_ID_LEN);
}

static void forged(void **state) {
    uint8_t bytes[FB_TICKET_LEN];
    struct fb_ticket ticket;
    make(broker_seed, NOW, bytes);
    for (size_t i = 5; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        assert_int_equal(check(bytes, sizeof bytes, NOW, &ticket), FB_ERR_AUTH);
        bytes[i] ^= 1;
    }
    /* A signature that is sound but made by somebody else, under the broker's key id. */
    uint8_t own[FB_TICKET_LEN];
    struct fb_ticket_key key = key_of(broker_seed);
    uint64_t seed = 1;
    struct fb_rng rng = test_rng_make(&seed);
    const uint8_t stranger[FB_KEY_LEN] = {99};
    fb_ticket_make(fb_crypto_openssl(), &rng, stranger, &key, process, first, sizeof first, NOW,
                   own);
    assert_int_equal(check(own, sizeof own, NOW, &ticket), FB_ERR_AUTH);
}

static void unknown_key_version_length(void **state) {
    uint8_t bytes[FB_TICKET_LEN + 1] = {0};
    const uint8_t stranger[FB_KEY_LEN] = {99};
    struct fb_ticket ticket;
    make(stranger, NOW, bytes);
    assert_int_equal(check(bytes, FB_TICKET_LEN, NOW, &ticket), FB_ERR_NOT_FOUND);
    make(broker_seed, NOW, bytes);
    for (size_t len = 0; len <= sizeof bytes; len++)
        if (len != FB_TICKET_LEN)
            assert_int_equal(check(bytes, len, NOW, &ticket), FB_ERR_MALFORMED);
    bytes[0] = 2;
    assert_int_equal(check(bytes, FB_TICKET_LEN, NOW, &ticket), FB_ERR_VERSION);
}

/* Two keys whose short ids collide: the ticket of either is good. */
static void key_ids_may_collide(void **state) {
    uint8_t bytes[FB_TICKET_LEN];
    struct fb_ticket ticket;
    struct fb_ticket_key keys[2] = {key_of(other_seed), key_of(broker_seed)};
    make(broker_seed, NOW, bytes);
    keys[0].id = keys[1].id;
    assert_int_equal(fb_ticket_check(fb_crypto_openssl(), bytes, sizeof bytes, keys, 2, process,
                                     first, sizeof first, NOW, &ticket),
                     0);
}

static void foreign_process_or_message(void **state) {
    uint8_t bytes[FB_TICKET_LEN], other_first[FB_FIRST_LEN] = {6};
    struct fb_ticket ticket;
    struct fb_ticket_key key = key_of(broker_seed);
    make(broker_seed, NOW, bytes);
    assert_int_equal(fb_ticket_check(fb_crypto_openssl(), bytes, sizeof bytes, &key, 1,
                                     other_process, first, sizeof first, NOW, &ticket),
                     FB_ERR_DENIED);
    assert_int_equal(fb_ticket_check(fb_crypto_openssl(), bytes, sizeof bytes, &key, 1, process,
                                     other_first, sizeof other_first, NOW, &ticket),
                     FB_ERR_STATE);
    assert_int_equal(fb_ticket_check(fb_crypto_openssl(), bytes, sizeof bytes, &key, 1, process,
                                     first, sizeof first - 1, NOW, &ticket),
                     FB_ERR_STATE);
}

static void expired_or_too_long(void **state) {
    uint8_t bytes[FB_TICKET_LEN];
    struct fb_ticket ticket;
    make(broker_seed, NOW, bytes);
    assert_int_equal(check(bytes, sizeof bytes, NOW + FB_TICKET_LIFE_S - 1, &ticket), 0);
    assert_int_equal(check(bytes, sizeof bytes, NOW + FB_TICKET_LIFE_S, &ticket), FB_ERR_EXPIRED);
    assert_int_equal(check(bytes, sizeof bytes, NOW - FB_TICKET_SLACK_S, &ticket), 0);
    assert_int_equal(check(bytes, sizeof bytes, NOW - FB_TICKET_SLACK_S - 1, &ticket),
                     FB_ERR_TOO_BIG);
}

static void used_once(void **state) {
    struct test_mem tm = {0};
    struct fb_mem mem = test_mem_make(&tm);
    uint64_t seed = 1;
    struct fb_rng rng = test_rng_make(&seed);
    struct fb_replay *replay = fb_replay_new(&mem, &rng, 16);
    uint8_t bytes[FB_TICKET_LEN];
    struct fb_ticket a, b;
    make(broker_seed, NOW, bytes);
    assert_int_equal(check(bytes, sizeof bytes, NOW, &a), 0);
    make(broker_seed, NOW, bytes);
    assert_int_equal(check(bytes, sizeof bytes, NOW, &b), 0);
    assert_int_equal(fb_replay_use(replay, &a, NOW), 0);
    assert_int_equal(fb_replay_use(replay, &a, NOW), FB_ERR_USED);
    assert_int_equal(fb_replay_use(replay, &b, NOW), 0);
    /* As long as the ticket would be accepted, it is remembered. */
    assert_int_equal(fb_replay_use(replay, &a, NOW + FB_TICKET_LIFE_S - 1), FB_ERR_USED);
    assert_int_equal(fb_replay_use(replay, &a, NOW + FB_TICKET_LIFE_S), FB_ERR_EXPIRED);
    assert_int_equal(fb_replay_count(replay), 0);
    /* The clock is set back: what was forgotten does not become good again. */
    assert_int_equal(fb_replay_use(replay, &a, NOW), FB_ERR_EXPIRED);
    fb_replay_free(replay);
    assert_int_equal(tm.live, 0);
}

/* Full is an error, and never lets an id be used twice; room comes back with time. */
static void bounded(void **state) {
    struct test_mem tm = {0};
    struct fb_mem mem = test_mem_make(&tm);
    uint64_t seed = 1;
    struct fb_rng rng = test_rng_make(&seed);
    struct fb_replay *replay = fb_replay_new(&mem, &rng, 100);
    struct fb_ticket ticket = {.expiry_s = NOW + 60};
    for (uint8_t round = 0; round < 5; round++) {
        uint64_t now_s = NOW + UINT64_C(100) * round;
        for (uint8_t i = 0; i <= 100; i++) {
            ticket.id[0] = i;
            ticket.expiry_s = now_s + 30 + (i * 7u) % 60; /* in no order */
            assert_int_equal(fb_replay_use(replay, &ticket, now_s), i < 100 ? 0 : FB_ERR_LIMIT);
        }
        for (uint8_t i = 0; i < 100; i++) {
            ticket.id[0] = i;
            ticket.expiry_s = now_s + 30 + (i * 7u) % 60;
            assert_int_equal(fb_replay_use(replay, &ticket, now_s), FB_ERR_USED);
        }
        assert_int_equal(fb_replay_count(replay), 100);
    }
    fb_replay_free(replay);
    assert_int_equal(tm.live, 0);
}

static void memory_runs_out(void **state) {
    uint64_t seed = 1;
    struct fb_rng rng = test_rng_make(&seed);
    for (uint64_t fail_at = 1;; fail_at++) {
        struct test_mem tm = {.fail_at = fail_at};
        struct fb_mem mem = test_mem_make(&tm);
        struct fb_replay *replay = fb_replay_new(&mem, &rng, 32);
        struct fb_ticket ticket = {.expiry_s = NOW + 60};
        for (uint8_t i = 0; replay != NULL && i < 20; i++) {
            ticket.id[0] = i;
            int err = fb_replay_use(replay, &ticket, NOW);
            if (err != 0) {
                assert_int_equal(err, FB_ERR_NOMEM);
                assert_int_equal(fb_replay_use(replay, &ticket, NOW), 0);
            }
            assert_int_equal(fb_replay_use(replay, &ticket, NOW), FB_ERR_USED);
        }
        bool done = replay != NULL && tm.count < fail_at;
        fb_replay_free(replay);
        assert_int_equal(tm.live, 0);
        if (done)
            break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ticket),
        cmocka_unit_test(forged),
        cmocka_unit_test(unknown_key_version_length),
        cmocka_unit_test(key_ids_may_collide),
        cmocka_unit_test(foreign_process_or_message),
        cmocka_unit_test(expired_or_too_long),
        cmocka_unit_test(used_once),
        cmocka_unit_test(bounded),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
