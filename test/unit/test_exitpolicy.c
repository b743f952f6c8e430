/* core/exitpolicy: what the egress refuses to connect to, in every spelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/exitpolicy.h"
#include "env.h"

static struct test_mem tm;
static struct fb_mem mem;

static struct fb_exit_policy *policy_new(void) {
    tm = (struct test_mem){0};
    mem = test_mem_make(&tm);
    struct fb_exit_policy *policy = fb_exit_policy_new(&mem);
    assert_non_null(policy);
    return policy;
}

static void policy_free(struct fb_exit_policy *policy) {
    fb_exit_policy_free(policy);
    assert_int_equal(tm.live, 0);
}

static struct fb_addr addr_of(const char *ip, uint16_t port) {
    struct fb_addr addr;
    assert_int_equal(fb_addr_parse(ip, strlen(ip), &addr), 0);
    addr.port = port;
    return addr;
}

static bool allows(const struct fb_exit_policy *policy, const char *ip, uint16_t port) {
    struct fb_addr addr = addr_of(ip, port);
    return fb_exit_policy_allows(policy, &addr);
}

static int rule(struct fb_exit_policy *policy, const char *text) {
    return fb_exit_policy_rule(policy, text, strlen(text));
}

static void special_addresses(void **state) {
    struct fb_exit_policy *policy = policy_new();
    static const char *const special[] = {
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "168.63.129.16",
        "::1",
        "::ffff:10.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "0.0.0.0",
        "0.1.2.3",
        "100.64.0.1",
        "100.127.255.254",
        "fd00::1",
        "fd12:3456::8",
        "fc00::1",
        "fe80::1",
        "::",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.1.1",
        "192.0.0.8",
        "192.0.2.1",
        "198.18.0.1",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "ff02::1",
        "2001:db8::1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "fec0::1",
    };
    for (size_t i = 0; i < sizeof special / sizeof special[0]; i++)
        if (allows(policy, special[i], 443))
            fail_msg("%s is allowed", special[i]);
    static const char *const ordinary[] = {
        "1.1.1.1",      "8.8.8.8",        "100.63.255.255",   "100.128.0.1",
        "172.15.0.1",   "172.32.0.1",     "168.63.129.15",    "2606:4700:4700::1111",
        "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8",
    };
    for (size_t i = 0; i < sizeof ordinary / sizeof ordinary[0]; i++)
        if (!allows(policy, ordinary[i], 443))
            fail_msg("%s is rejected", ordinary[i]);
    struct fb_addr none = {.port = 443};
    assert_false(fb_exit_policy_allows(policy, &none));
    policy_free(policy);
}

static void ports(void **state) {
    struct fb_exit_policy *policy = policy_new();
    unsigned rejected = 0;
    for (unsigned port = 0; port < 65536; port++)
        rejected += !allows(policy, "8.8.8.8", (uint16_t)port);
    /* 0 25 119 135-139 445 563 1214 4661-4666 6346-6429 6699 6881-6999 */
    assert_int_equal(rejected, 1 + 1 + 1 + 5 + 1 + 1 + 1 + 6 + 84 + 1 + 119);
    static const uint16_t edges[] = {25,   119,  135,  139,  445,  563,  1214,
                                     4661, 4666, 6346, 6429, 6699, 6881, 6999};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        assert_false(allows(policy, "8.8.8.8", edges[i]));
        assert_false(allows(policy, "2a00::1", edges[i]));
    }
    policy_free(policy);
}

static void own_addresses(void **state) {
    struct fb_exit_policy *policy = policy_new();
    struct fb_addr own4 = addr_of("8.8.4.4", 9000), own6 = addr_of("2a00::7", 0);
    assert_int_equal(fb_exit_policy_own(policy, &own4), 0);
    assert_int_equal(fb_exit_policy_own(policy, &own6), 0);
    /* No rule of the operator's opens them. */
    assert_int_equal(rule(policy, "allow *"), 0);
    static const char *const spellings[] = {"8.8.4.4", "::ffff:8.8.4.4", "64:ff9b::8.8.4.4",
                                            "2a00::7"};
    for (size_t i = 0; i < 4; i++) {
        assert_false(allows(policy, spellings[i], 443));
        assert_false(allows(policy, spellings[i], 9000));
    }
    assert_true(allows(policy, "8.8.4.5", 443));
    policy_free(policy);
}

/* What the machine has now counts, beside what the operator has said. */
static void interfaces_come_and_go(void **state) {
    struct fb_exit_policy *policy = policy_new();
    struct fb_addr said = addr_of("8.8.4.4", 0);
    struct fb_addr first[] = {addr_of("9.9.9.9", 0), addr_of("2a00::7", 0)};
    struct fb_addr second = addr_of("1.1.1.1", 0);
    assert_int_equal(fb_exit_policy_own(policy, &said), 0);
    assert_int_equal(fb_exit_policy_interfaces(policy, first, 2), 0);
    assert_int_equal(rule(policy, "allow *:25"), 0);
    assert_false(allows(policy, "9.9.9.9", 443));
    assert_false(allows(policy, "2a00::7", 443));
    assert_true(allows(policy, "1.1.1.1", 443));
    assert_int_equal(fb_exit_policy_interfaces(policy, &second, 1), 0);
    assert_false(allows(policy, "1.1.1.1", 443));
    assert_true(allows(policy, "9.9.9.9", 443));
    assert_true(allows(policy, "2a00::7", 443));
    assert_false(allows(policy, "8.8.4.4", 443));
    assert_true(allows(policy, "9.9.9.9", 25)); /* the rule is still there */
    static struct fb_addr many[FB_EXIT_RULES_MAX];
    assert_int_equal(fb_exit_policy_interfaces(policy, many, FB_EXIT_RULES_MAX), FB_ERR_LIMIT);
    assert_false(allows(policy, "1.1.1.1", 443));
    assert_int_equal(fb_exit_policy_interfaces(policy, NULL, 0), 0);
    assert_true(allows(policy, "1.1.1.1", 443));
    policy_free(policy);
}

static void exceptions_are_exact(void **state) {
    struct fb_exit_policy *policy = policy_new();
    struct fb_addr origin = addr_of("127.0.0.1", 8080);
    assert_int_equal(fb_exit_policy_own(policy, &origin), 0);
    assert_int_equal(rule(policy, "reject *"), 0);
    assert_false(allows(policy, "127.0.0.1", 8080));
    assert_int_equal(fb_exit_policy_except(policy, &origin), 0);
    assert_true(allows(policy, "127.0.0.1", 8080));
    assert_true(allows(policy, "::ffff:127.0.0.1", 8080));
    assert_false(allows(policy, "127.0.0.1", 8081));
    assert_false(allows(policy, "127.0.0.2", 8080));
    assert_false(allows(policy, "::1", 8080));
    policy_free(policy);
}

static void operators_rules(void **state) {
    struct fb_exit_policy *policy = policy_new();
    static const char *const rules[] = {
        "allow 8.8.8.8:25",      "reject 8.8.0.0/16:1-1024",
        "reject [2a00::]/16:80", "allow  [2a01::5]:6881-6999 ",
        "reject *:443",          "reject 9.9.9.9",
        "allow 10.0.0.0/8",      "allow *",
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        assert_int_equal(rule(policy, rules[i]), 0);
    assert_true(allows(policy, "8.8.8.8", 25)); /* the first that fits */
    assert_false(allows(policy, "8.8.8.8", 80));
    assert_false(allows(policy, "8.8.9.9", 1024));
    assert_true(allows(policy, "8.8.9.9", 1025));
    assert_false(allows(policy, "2a00:1::1", 80));
    assert_true(allows(policy, "2a00:1::1", 81));
    assert_true(allows(policy, "2a01::5", 6999));
    assert_false(allows(policy, "1.2.3.4", 443));
    assert_false(allows(policy, "2c00::1", 443));
    assert_false(allows(policy, "9.9.9.9", 8080));
    assert_true(allows(policy, "1.2.3.4", 25));   /* "allow *" comes before the ports */
    assert_false(allows(policy, "10.0.0.1", 80)); /* but nothing opens these */
    policy_free(policy);
}

static void malformed_rules(void **state) {
    struct fb_exit_policy *policy = policy_new();
    static const char *const bad[] = {
        "",
        "allow",
        "allow ",
        "allow  ",
        "reject:80",
        "deny *",
        "Allow *",
        "allow 1.2.3",
        "allow 1.2.3.4/33",
        "allow 1.2.3.4/",
        "allow 1.2.3.4/-1",
        "allow 1.2.3.4:",
        "allow *:",
        "allow *:65536",
        "allow *:80-",
        "allow *:80-79",
        "allow *:80-90-99",
        "allow *:99999999999",
        "allow ::1",
        "allow [::1",
        "allow []",
        "allow [::1]/129",
        "allow [1.2.3.4]",
        "allow **",
        "allow */8",
        "allow 0177.0.0.1",
        "allow example.org",
        "allow 1.2.3.4 :80",
        "allow *:80 x",
        "allow 1.2.3.4/8/8",
        "allow [::1]80",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (rule(policy, bad[i]) != FB_ERR_MALFORMED)
            fail_msg("taken: %s", bad[i]);
    for (int i = 0; i < FB_EXIT_RULES_MAX; i++)
        assert_int_equal(rule(policy, "reject *:80"), 0);
    assert_int_equal(rule(policy, "reject *:80"), FB_ERR_LIMIT);
    policy_free(policy);
}

static void failing_memory(void **state) {
    struct fb_exit_policy *policy = policy_new();
    tm.fail_at = 2;
    assert_int_equal(rule(policy, "reject *:80"), FB_ERR_NOMEM);
    assert_true(allows(policy, "8.8.8.8", 80));
    assert_int_equal(rule(policy, "reject *:80"), 0);
    assert_false(allows(policy, "8.8.8.8", 80));
    policy_free(policy);
    tm = (struct test_mem){.fail_at = 1};
    assert_null(fb_exit_policy_new(&mem));
    fb_exit_policy_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_addresses),    cmocka_unit_test(ports),
        cmocka_unit_test(own_addresses),        cmocka_unit_test(interfaces_come_and_go),
        cmocka_unit_test(exceptions_are_exact), cmocka_unit_test(operators_rules),
        cmocka_unit_test(malformed_rules),      cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
