/* core/describe: both forms, with what Chromium 156 and Firefox ESR 153 said, and hostile input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/describe.h"
#include "env.h"

static size_t read_vector(const char *name, char *out, size_t cap) {
    const char *dir = getenv("FB_TEST_DIR");
    char path[512];
    assert_non_null(dir);
    snprintf(path, sizeof path, "%s/vectors/sdp/%s.sdp", dir, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(out, 1, cap, file);
    fclose(file);
    assert_true(len > 0 && len < cap);
    out[len] = '\0';
    return len;
}

static struct fb_addr addr_of(const char *text) {
    struct fb_addr addr;
    assert_int_equal(fb_addr_parse_port(text, strlen(text), &addr), 0);
    return addr;
}

static struct fb_desc example(void) {
    struct fb_desc desc = {.ufrag = "aJXQ",
                           .pwd = "FIOAcNb/K9XvWO3+FpfPI+Z0",
                           .setup = FB_SETUP_ACTPASS,
                           .sctp_port = 5000,
                           .max_message_size = 262144,
                           .candidate_count = 3};
    for (size_t i = 0; i < sizeof desc.fingerprint; i++)
        desc.fingerprint[i] = (uint8_t)(i * 7);
    desc.candidates[0] = (struct fb_candidate){FB_CAND_HOST, addr_of("[2a00:1::2]:50000"),
                                               2113942271};
    desc.candidates[1] = (struct fb_candidate){FB_CAND_SRFLX, addr_of("93.184.216.34:50001"),
                                               1677732095};
    desc.candidates[2] = (struct fb_candidate){FB_CAND_HOST, addr_of("10.0.0.1:50002"), 2113937151};
    return desc;
}

static void assert_same(const struct fb_desc *a, const struct fb_desc *b) {
    assert_string_equal(a->ufrag, b->ufrag);
    assert_string_equal(a->pwd, b->pwd);
    assert_memory_equal(a->fingerprint, b->fingerprint, sizeof a->fingerprint);
    assert_int_equal(a->setup, b->setup);
    assert_int_equal(a->sctp_port, b->sctp_port);
    assert_int_equal(a->max_message_size, b->max_message_size);
    assert_int_equal(a->candidate_count, b->candidate_count);
    for (size_t i = 0; i < a->candidate_count; i++) {
        assert_int_equal(a->candidates[i].type, b->candidates[i].type);
        assert_true(a->candidates[i].priority == b->candidates[i].priority);
        assert_true(fb_addr_equal(&a->candidates[i].addr, &b->candidates[i].addr));
    }
}

/* Through the compact form and through SDP text the description stays what it is. */
static void assert_round_trip(const struct fb_desc *desc) {
    uint8_t compact[FB_DESC_COMPACT_MAX];
    char text[FB_SDP_MAX];
    struct fb_desc again;
    int len = fb_desc_encode(desc, compact, sizeof compact);
    assert_true(len > 0);
    assert_int_equal(fb_desc_decode(&again, compact, (size_t)len), 0);
    assert_same(desc, &again);
    len = fb_desc_to_sdp(desc, text, sizeof text);
    assert_true(len > 0);
    assert_int_equal(len, strlen(text));
    assert_int_equal(fb_desc_from_sdp(&again, text, (size_t)len), 0);
    assert_same(desc, &again);
}

static void browsers(void **state) {
    static const struct {
        const char *file, *ufrag, *pwd;
        uint8_t first, last; /* of the fingerprint */
        enum fb_setup setup;
        uint32_t size;
        const char *candidates[2];
        uint32_t priorities[2];
    } vectors[] = {
        {"chromium-offer",
         "aJXQ",
         "FIOAcNb/K9XvWO3+FpfPI+Z0",
         0x15,
         0x7e,
         FB_SETUP_ACTPASS,
         262144,
         {0},
         {0}},
        {"chromium-answer",
         "wh4q",
         "rAj/9v2/8gbQNAm67Wg99xMc",
         0x07,
         0x13,
         FB_SETUP_ACTIVE,
         262144,
         {0},
         {0}},
        {"firefox-offer",
         "36df3824",
         "414adcc299bb80d559248a30289876ec",
         0xbb,
         0x26,
         FB_SETUP_ACTPASS,
         1073741823,
         {0},
         {0}},
        {"firefox-answer",
         "5f0c9567",
         "f89fbda1a43156bf5917c8e7e69ad400",
         0x64,
         0x9b,
         FB_SETUP_ACTIVE,
         1073741823,
         {0},
         {0}},
        {"chromium-raw-offer",
         "ZPqW",
         "0Vu2b/hZgZOEtmvUJOPIN9k/",
         0xfb,
         0x7e,
         FB_SETUP_ACTPASS,
         262144,
         {"192.0.2.2:59119", "[fd00::2]:58634"},
         {2113937151, 2113942271}},
        {"chromium-raw-answer",
         "wGCA",
         "3fA/2Nu3SOq8OOkw/eVZrW8E",
         0x11,
         0x5a,
         FB_SETUP_ACTIVE,
         262144,
         {"192.0.2.2:59459", "[fd00::2]:44897"},
         {2113937151, 2113942271}},
        {"firefox-raw-offer",
         "91c79745",
         "18e9763b7bf7def74900942c9df716ee",
         0x13,
         0x29,
         FB_SETUP_ACTPASS,
         1073741823,
         {"192.0.2.2:41535", "[fd00::2]:55320"},
         {2122187007, 2122252543}},
        {"firefox-raw-answer",
         "38d1f20b",
         "07cb3a1b60e1980162cfcd7aba664565",
         0xd3,
         0x2a,
         FB_SETUP_ACTIVE,
         1073741823,
         {"192.0.2.2:42020", "[fd00::2]:57678"},
         {2122187007, 2122252543}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        char text[FB_SDP_READ_MAX];
        struct fb_desc desc;
        size_t len = read_vector(vectors[i].file, text, sizeof text);
        assert_int_equal(fb_desc_from_sdp(&desc, text, len), 0);
        assert_string_equal(desc.ufrag, vectors[i].ufrag);
        assert_string_equal(desc.pwd, vectors[i].pwd);
        assert_int_equal(desc.fingerprint[0], vectors[i].first);
        assert_int_equal(desc.fingerprint[31], vectors[i].last);
        assert_int_equal(desc.setup, vectors[i].setup);
        assert_int_equal(desc.sctp_port, 5000);
        assert_int_equal(desc.max_message_size, vectors[i].size);
        /* mDNS names and TCP are dropped. */
        assert_int_equal(desc.candidate_count, vectors[i].candidates[0] == NULL ? 0 : 2);
        for (size_t c = 0; c < desc.candidate_count; c++) {
            struct fb_addr addr = addr_of(vectors[i].candidates[c]);
            assert_true(fb_addr_equal(&desc.candidates[c].addr, &addr));
            assert_true(desc.candidates[c].priority == vectors[i].priorities[c]);
        }
        assert_round_trip(&desc);
    }
}

static void compact_layout(void **state) {
    struct fb_desc desc = example();
    uint8_t out[FB_DESC_COMPACT_MAX], again[FB_DESC_COMPACT_MAX];
    int len = fb_desc_encode(&desc, out, sizeof out);
    /* DESIGN: 100 to 150 bytes for one lane. */
    assert_int_equal(len, 1 + 5 + 25 + 32 + 1 + 23 + 11 + 11);
    assert_int_equal(out[0], 0x10);
    assert_memory_equal(out + 1,
                        "\x04"
                        "aJXQ\x18"
                        "FIOA",
                        10);
    assert_memory_equal(out + 63, "\x03\x80\x2a\x00\x00\x01", 6);
    assert_memory_equal(out + 87, "\x01\x5d\xb8\xd8\x22\xc3\x51\x64\x00\x28\xff", 11);
    assert_round_trip(&desc);
    for (int cap = 0; cap < len; cap++)
        assert_int_equal(fb_desc_encode(&desc, again, (size_t)cap), FB_ERR_TOO_BIG);
    desc.sctp_port = 6000;
    desc.max_message_size = 0;
    assert_int_equal(fb_desc_encode(&desc, out, sizeof out), len + 6);
    assert_int_equal(out[0], 0x14);
    assert_round_trip(&desc);
}

static void largest(void **state) {
    struct fb_desc desc = example();
    memset(desc.ufrag, 'u', FB_DESC_UFRAG_MAX);
    memset(desc.pwd, 'p', FB_DESC_PWD_MAX);
    desc.sctp_port = 65535;
    desc.candidate_count = FB_DESC_CANDIDATES_MAX;
    for (size_t i = 0; i < FB_DESC_CANDIDATES_MAX; i++) {
        desc.candidates[i] = (struct fb_candidate){FB_CAND_SRFLX, {.family = 6}, UINT32_MAX};
        memset(desc.candidates[i].addr.ip, 0xff, 16);
        desc.candidates[i].addr.port = 65535;
    }
    uint8_t out[FB_DESC_COMPACT_MAX];
    assert_int_equal(fb_desc_encode(&desc, out, sizeof out), FB_DESC_COMPACT_MAX);
    assert_round_trip(&desc);
}

static void compact_input_is_strict(void **state) {
    struct fb_desc desc = example(), out;
    uint8_t good[FB_DESC_COMPACT_MAX], bad[FB_DESC_COMPACT_MAX + 1];
    size_t len = (size_t)fb_desc_encode(&desc, good, sizeof good);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(fb_desc_decode(&out, good, cut), FB_ERR_MALFORMED);
    memcpy(bad, good, len);
    bad[len] = 0;
    assert_int_equal(fb_desc_decode(&out, bad, len + 1), FB_ERR_MALFORMED);
    bad[0] = 0x20;
    assert_int_equal(fb_desc_decode(&out, bad, len), FB_ERR_VERSION);
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {0, 0x13}, /* a fourth setup */
        {0, 0x18}, /* the unused bit */
        {1, 3},    /* ufrag too short; what follows then does not fit either */
        {1, 200},   {3, 0},     {3, '-'}, {3, ' '}, /* not an ice-char */
        {6, 255},   {8, '\n'},  {63, 17}, {63, 4},
        {63, 2},    {64, 0xc0}, /* unused bits of a candidate */
        {87, 0x05},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        memcpy(bad, good, len);
        bad[changes[i].at] = changes[i].value;
        assert_int_equal(fb_desc_decode(&out, bad, len), FB_ERR_MALFORMED);
        assert_int_equal(out.candidate_count, 0);
    }
    memcpy(bad, good, len);
    bad[81] = bad[82] = 0; /* port 0 */
    assert_int_equal(fb_desc_decode(&out, bad, len), FB_ERR_MALFORMED);
    /* The usual values spelled out: a second form of the same description. */
    memcpy(bad, good, 63);
    bad[0] |= 0x04;
    memcpy(bad + 63, "\x13\x88\x00\x04\x00\x00\x00", 7);
    assert_int_equal(fb_desc_decode(&out, bad, 70), FB_ERR_MALFORMED);
    bad[64] = 0x89;
    assert_int_equal(fb_desc_decode(&out, bad, 70), 0);
}

static void encoding_refuses_what_is_not_valid(void **state) {
    uint8_t out[FB_DESC_COMPACT_MAX];
    char text[FB_SDP_MAX];
    for (int i = 0; i < 9; i++) {
        struct fb_desc desc = example();
        switch (i) {
        case 0: desc.ufrag[3] = '\0'; break;
        case 1: desc.pwd[2] = '\r'; break;
        case 2: memset(desc.ufrag, 'x', sizeof desc.ufrag); break; /* no NUL */
        case 3: memset(desc.pwd, 'x', sizeof desc.pwd); break;
        case 4: desc.sctp_port = 0; break;
        case 5: desc.candidate_count = 17; break;
        case 6: desc.candidates[1].addr.family = 5; break;
        case 7: desc.candidates[1].addr.ip[9] = 1; break; /* IPv4 with more bytes */
        case 8: desc.candidates[2].addr.port = 0; break;
        }
        assert_false(fb_desc_valid(&desc));
        assert_int_equal(fb_desc_encode(&desc, out, sizeof out), FB_ERR_MALFORMED);
        assert_int_equal(fb_desc_to_sdp(&desc, text, sizeof text), FB_ERR_MALFORMED);
    }
    struct fb_desc desc = example();
    int len = fb_desc_to_sdp(&desc, text, sizeof text);
    for (int cap = 0; cap <= len; cap++)
        assert_int_equal(fb_desc_to_sdp(&desc, text, (size_t)cap), FB_ERR_TOO_BIG);
}

static void sdp_as_written(void **state) {
    static const char expected[] =
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
        "a=candidate:1 1 udp 2113942271 2a00:1::2 50000 typ host\r\n"
        "a=candidate:2 1 udp 1677732095 93.184.216.34 50001 typ srflx raddr 0.0.0.0 rport 0\r\n"
        "a=candidate:3 1 udp 2113937151 10.0.0.1 50002 typ host\r\n"
        "a=end-of-candidates\r\na=ice-ufrag:aJXQ\r\na=ice-pwd:FIOAcNb/K9XvWO3+FpfPI+Z0\r\n"
        "a=ice-options:ice2\r\na=fingerprint:sha-256 00:07:0E:15:1C:23:2A:31:38:3F:46:4D:54:5B:62:"
        "69:70:77:7E:85:8C:93:9A:A1:A8:AF:B6:BD:C4:CB:D2:D9\r\n"
        "a=setup:actpass\r\na=mid:0\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n";
    struct fb_desc desc = example();
    char text[FB_SDP_MAX];
    fb_desc_to_sdp(&desc, text, sizeof text);
    assert_string_equal(text, expected);
}

/* The Chromium offer with one line replaced, or with one more where line is NULL. */
static int parse_changed(const char *line, const char *with, struct fb_desc *out) {
    char text[FB_SDP_READ_MAX], changed[2 * FB_SDP_READ_MAX];
    read_vector("chromium-raw-offer", text, sizeof text);
    char *at = line == NULL ? text + strlen(text) : strstr(text, line);
    assert_non_null(at);
    const char *after = line == NULL ? at : strchr(at, '\n') + 1;
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(at - text), text, with, after);
    return fb_desc_from_sdp(out, changed, strlen(changed));
}

static void sdp_input_is_strict(void **state) {
    static const struct {
        const char *line, *with;
    } bad[] = {
        {"m=application", ""},
        {"m=application", "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"},
        {"m=application", "m=application 9 DTLS/SCTP 5000\r\n"},
        {"m=application", "m=application 99999 UDP/DTLS/SCTP webrtc-datachannel\r\n"},
        {NULL, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"},
        {"a=ice-ufrag", ""},
        {"a=ice-ufrag", "a=ice-ufrag:abc\r\n"},
        {"a=ice-ufrag", "a=ice-ufrag:abc\xc3\xa4\r\n"},
        {"a=ice-ufrag", "a=ice-ufrag:123456789012345678901234567890123\r\n"},
        {"a=ice-pwd", ""},
        {"a=ice-pwd", "a=ice-pwd:tooshort\r\n"},
        {"a=ice-pwd", "a=ice-pwd:a b c d e f g h i j k l m n\r\n"},
        {"a=fingerprint", ""},
        {"a=fingerprint", "a=fingerprint:sha-1 00:11\r\n"},
        {"a=fingerprint", "a=fingerprint:sha-256 00:11\r\n"},
        {"a=setup", ""},
        {"a=setup", "a=setup:holdconn\r\n"},
        {"a=setup", "a=setup:\r\n"},
        {"a=sctp-port", ""},
        {"a=sctp-port", "a=sctp-port:0\r\n"},
        {"a=sctp-port", "a=sctp-port:65536\r\n"},
        {"a=sctp-port", "a=sctp-port:5000x\r\n"},
        {"a=sctp-port", "a=sctp-port:\r\n"},
        {"a=max-message-size", "a=max-message-size:-1\r\n"},
        {"a=max-message-size", "a=max-message-size:99999999999\r\n"},
        {NULL, "a=candidate:\r\n"},
        {NULL, "a=candidate:1 1 udp 1 10.0.0.1 1 typ\r\n"},
        {NULL, "a=candidate:1 1 udp 1 10.0.0.1 1 host\r\n"},
        {NULL, "a=candidate:1 1 udp 4294967296 10.0.0.1 1 typ host\r\n"},
        {NULL, "a=candidate:1 1 udp 1 10.0.0.1 65536 typ host\r\n"},
        {NULL, "a=candidate:1 1 udp 1 10.0.0.1 -1 typ host\r\n"},
        {NULL, "a=candidate:1  1 udp 1 10.0.0.1 1 typ host\r\n"},
        {NULL, "a=candidate:123456789012345678901234567890123 1 udp 1 10.0.0.1 1 typ host\r\n"},
        {"t=0 0", "a=candidate:1 1 udp 1 10.0.0.1 1 typ host\r\n"}, /* not in the media section */
        {NULL, "junk\r\n"},
        {NULL, "\r\n"},
        {NULL, "a\r\n"},
    };
    struct fb_desc out;
    assert_int_equal(parse_changed(NULL, "", &out), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse_changed(bad[i].line, bad[i].with, &out) != FB_ERR_MALFORMED)
            fail_msg("taken: %s", bad[i].with);
        assert_int_equal(out.sctp_port, 0);
    }
    char text[FB_SDP_READ_MAX + 1];
    memset(text, 'a', sizeof text);
    assert_int_equal(fb_desc_from_sdp(&out, text, sizeof text), FB_ERR_TOO_BIG);
    assert_int_equal(fb_desc_from_sdp(&out, "", 0), FB_ERR_MALFORMED);
}

static void sdp_input_is_generous(void **state) {
    static const char *const dropped[] = {
        "a=candidate:1 1 tcp 1 10.0.0.1 9 typ host tcptype active\r\n",
        "a=candidate:1 1 ssltcp 1 10.0.0.1 443 typ host\r\n",
        "a=candidate:1 2 udp 1 10.0.0.1 1 typ host\r\n",
        "a=candidate:1 1 udp 1 0b1c.local 1 typ host\r\n",
        "a=candidate:1 1 udp 1 fe80::1%eth0 1 typ host\r\n",
        "a=candidate:1 1 udp 1 010.0.0.1 1 typ host\r\n",
        "a=candidate:1 1 udp 1 10.0.0.1 0 typ host\r\n",
        "a=candidate:1 1 udp 1 10.0.0.1 1 typ magic\r\n",
        "a=what-we-do-not-know:1 2 3\r\n",
        "b=AS:30\r\n",
    };
    struct fb_desc out;
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) {
        assert_int_equal(parse_changed(NULL, dropped[i], &out), 0);
        assert_int_equal(out.candidate_count, 2);
    }
    /* As Chromium writes a server-reflexive candidate, with extensions behind. */
    assert_int_equal(
        parse_changed(NULL,
                      "a=candidate:3098175849 1 udp 1677729535 93.184.216.34 44444 typ "
                      "srflx raddr 0.0.0.0 rport 0 generation 0 network-cost 999\r\n",
                      &out),
        0);
    assert_int_equal(out.candidate_count, 3);
    assert_int_equal(out.candidates[2].type, FB_CAND_SRFLX);
    assert_int_equal(out.candidates[2].addr.port, 44444);
    assert_int_equal(parse_changed("a=max-message-size", "", &out), 0);
    assert_int_equal(out.max_message_size, 65536);
    assert_int_equal(parse_changed("a=max-message-size", "a=max-message-size:9999999999\n", &out),
                     0);
    assert_true(out.max_message_size == UINT32_MAX);
    /* More candidates than there is room for. */
    char many[4000] = "";
    for (int i = 0; i < 40; i++)
        strcat(many, "a=candidate:1 1 UDP 7 8.8.8.8 53 typ host\r\n");
    assert_int_equal(parse_changed(NULL, many, &out), 0);
    assert_int_equal(out.candidate_count, FB_DESC_CANDIDATES_MAX);
}

static void mutations_do_no_harm(void **state) {
    uint64_t seed = 20;
    char text[FB_SDP_READ_MAX];
    size_t len = read_vector("firefox-raw-offer", text, sizeof text);
    for (int round = 0; round < 20000; round++) {
        size_t at = test_random_u64(&seed) % len;
        char was = text[at];
        text[at] = (char)test_random_u64(&seed);
        struct fb_desc out;
        size_t cut = round % 2 == 0 ? len : test_random_u64(&seed) % len;
        if (fb_desc_from_sdp(&out, text, cut) == 0)
            assert_round_trip(&out);
        text[at] = was;
    }
}

static void add(struct fb_desc *desc, const char *addr, uint32_t priority) {
    desc->candidates[desc->candidate_count++] = (struct fb_candidate){FB_CAND_HOST, addr_of(addr),
                                                                      priority};
}

static void filter(void **state) {
    struct fb_desc desc = example();
    desc.candidate_count = 0;
    add(&desc, "127.0.0.1:1", 100);
    add(&desc, "8.8.8.1:1", 1);
    add(&desc, "[2a00::1]:5", 7);
    add(&desc, "8.8.8.2:2", 3);
    add(&desc, "[::ffff:192.168.1.1]:3", 90);
    add(&desc, "[::ffff:8.8.8.2]:2", 3); /* the same again */
    add(&desc, "8.8.8.3:3", 2);
    add(&desc, "169.254.169.254:80", 99);
    add(&desc, "8.8.8.4:3", 2);
    add(&desc, "[fe80::1]:3", 2);
    struct fb_desc open = desc, local = desc;
    open.candidates[0].addr.port = 0;
    fb_desc_filter(&open, false);
    assert_int_equal(open.candidate_count, 3);
    struct fb_addr expected[] = {addr_of("[2a00::1]:5"), addr_of("8.8.8.2:2"),
                                 addr_of("8.8.8.3:3")};
    for (size_t i = 0; i < 3; i++)
        assert_true(fb_addr_equal(&open.candidates[i].addr, &expected[i]));
    assert_true(fb_desc_valid(&open));
    fb_desc_filter(&local, true);
    assert_int_equal(local.candidate_count, 9);
    assert_int_equal(local.candidates[4].addr.family, 4);
    struct fb_desc none = example();
    none.candidate_count = 0;
    fb_desc_filter(&none, false);
    assert_int_equal(none.candidate_count, 0);
}

static void hide(void **state) {
    struct fb_desc desc = example();
    fb_desc_hide(&desc);
    assert_int_equal(desc.candidate_count, 1);
    assert_int_equal(desc.candidates[0].type, FB_CAND_SRFLX);
    assert_true(fb_desc_valid(&desc));
    uint8_t out[FB_DESC_COMPACT_MAX];
    struct fb_desc again;
    int len = fb_desc_encode(&desc, out, sizeof out);
    assert_true(len > 0);
    assert_int_equal(fb_desc_decode(&again, out, (size_t)len), 0);
    assert_same(&desc, &again);
    fb_desc_hide(&desc);
    assert_int_equal(desc.candidate_count, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(browsers),
        cmocka_unit_test(compact_layout),
        cmocka_unit_test(largest),
        cmocka_unit_test(compact_input_is_strict),
        cmocka_unit_test(encoding_refuses_what_is_not_valid),
        cmocka_unit_test(sdp_as_written),
        cmocka_unit_test(sdp_input_is_strict),
        cmocka_unit_test(sdp_input_is_generous),
        cmocka_unit_test(mutations_do_no_harm),
        cmocka_unit_test(filter),
        cmocka_unit_test(hide),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
