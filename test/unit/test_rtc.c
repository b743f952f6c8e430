/*
 * rtc/peer: two peers of one process over this machine's own addresses. Every wait is for an event,
 * with a deadline; FB_FULL=1 in the environment runs the long form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <usrsctp.h>

#include "base/err.h"
#include "core/stun.h"
#include "rtc/crc32c.h"
#include "rtc/peer.h"

#define DEADLINE_MS 60000
#define MESSAGES 2000
#define MESSAGE_MAX 16000

struct pair;

/* One side of a connection and what it has seen. */
struct side {
    struct pair *pair;
    struct fb_peer *peer; /* NULL once closed */
    struct side *other;
    struct fb_desc desc;
    bool described, open, closed;
    enum fb_peer_reason reason;
    unsigned stages; /* bit set of enum fb_peer_stage */
    uint64_t closed_at;
    size_t sent, to_send, received, writable;
    uint64_t bytes, next_sum, sum;
    bool bad;
    uint8_t *seen;   /* one flag a message number */
    bool echo_close; /* closes itself at the first message */
};

struct pair {
    struct side offerer, answerer;
    void (*tamper)(struct side *from, struct fb_desc *desc);
};

static uv_loop_t loop;
static uv_timer_t alarm_timer;
static struct fb_rtc *rtc;
static bool rtc_gone, late;

static void on_alarm(uv_timer_t *timer) {
    late = true;
}

/* Runs the loop until *flag, or fails the test. */
static void wait_for(const bool *flag) {
    late = false;
    uv_timer_start(&alarm_timer, on_alarm, DEADLINE_MS, 0);
    while (!*flag && !late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_timer_stop(&alarm_timer);
    assert_true(*flag);
}

static void wait_until(bool (*ready)(void *arg), void *arg) {
    late = false;
    uv_timer_start(&alarm_timer, on_alarm, DEADLINE_MS, 0);
    while (!ready(arg) && !late)
        uv_run(&loop, UV_RUN_ONCE);
    uv_timer_stop(&alarm_timer);
    assert_true(ready(arg));
}

/* ---- messages whose content follows from their number ---- */

static size_t message_len(size_t number) {
    return 5 + (number * 7919) % (MESSAGE_MAX - 4);
}

static void make_message(size_t number, uint8_t *out) {
    size_t len = message_len(number);
    for (size_t i = 0; i < 4; i++)
        out[i] = (uint8_t)(number >> (8 * i));
    for (size_t i = 4; i < len; i++)
        out[i] = (uint8_t)(number * 31 + i);
}

static void send_more(struct side *side) {
    uint8_t message[MESSAGE_MAX];
    while (side->peer != NULL && side->sent < side->to_send) {
        make_message(side->sent, message);
        int err = fb_peer_send(side->peer, message, message_len(side->sent));
        if (err == FB_ERR_AGAIN)
            return;
        assert_int_equal(err, 0);
        side->sent++;
    }
}

static void check_message(struct side *side, const uint8_t *data, size_t len) {
    uint8_t expected[MESSAGE_MAX];
    size_t number = len < 4 ? SIZE_MAX
                            : (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
    if (number >= side->other->to_send || side->seen[number] || len != message_len(number)) {
        side->bad = true;
        return;
    }
    side->seen[number] = 1;
    make_message(number, expected);
    if (memcmp(data, expected, len) != 0)
        side->bad = true;
}

/* ---- callbacks ---- */

static void on_described(void *user, struct fb_peer *peer, const struct fb_desc *local) {
    struct side *side = user;
    side->desc = *local;
    side->described = true;
    if (side->pair->tamper != NULL)
        side->pair->tamper(side, &side->desc);
    if (side->other->peer != NULL)
        assert_int_equal(fb_peer_set_remote(side->other->peer, &side->desc), 0);
}

static void on_progress(void *user, struct fb_peer *peer, enum fb_peer_stage stage) {
    struct side *side = user;
    side->stages |= 1u << stage;
}

static void on_open(void *user, struct fb_peer *peer) {
    struct side *side = user;
    side->open = true;
    send_more(side);
}

static void on_message(void *user, struct fb_peer *peer, uint8_t *data, size_t len) {
    struct side *side = user;
    if (side->seen != NULL)
        check_message(side, data, len);
    memset(data, 0xee, len); /* the callee owns it for the call */
    side->received++;
    side->bytes += len;
    if (side->echo_close) {
        fb_peer_close(side->peer);
        side->peer = NULL;
    }
}

static void on_writable(void *user, struct fb_peer *peer) {
    struct side *side = user;
    side->writable++;
    send_more(side);
}

static void on_closed(void *user, struct fb_peer *peer, enum fb_peer_reason reason) {
    struct side *side = user;
    assert_false(side->closed);
    side->closed = true;
    side->closed_at = uv_hrtime();
    side->reason = reason;
    side->peer = NULL;
}

static const struct fb_peer_handler handler = {on_described, on_progress, on_open,
                                               on_message,   on_writable, on_closed};

/* ---- pairs ---- */

static void make_side(struct side *side, struct pair *pair, struct side *other,
                      const struct fb_peer_config *base, bool offerer) {
    struct fb_peer_config config = *base;
    side->pair = pair;
    side->other = other;
    config.offerer = offerer;
    config.local = true;
    config.handler = &handler;
    config.user = side;
    assert_int_equal(fb_peer_new(&side->peer, rtc, &config), 0);
}

static void make_pair(struct pair *pair, const struct fb_peer_config *base) {
    make_side(&pair->offerer, pair, &pair->answerer, base, true);
    make_side(&pair->answerer, pair, &pair->offerer, base, false);
}

static bool both_open(void *arg) {
    struct pair *pair = arg;
    return pair->offerer.open && pair->answerer.open;
}

static bool both_closed(void *arg) {
    struct pair *pair = arg;
    return pair->offerer.closed && pair->answerer.closed;
}

static void close_side(struct side *side) {
    if (side->peer != NULL)
        fb_peer_close(side->peer);
    side->peer = NULL;
}

static void close_pair(struct pair *pair) {
    close_side(&pair->offerer);
    close_side(&pair->answerer);
}

static void mark_gone(void *user) {
    *(bool *)user = true;
}

static int set_up(void **state) {
    uv_loop_init(&loop);
    uv_timer_init(&loop, &alarm_timer);
    rtc_gone = false;
    assert_int_equal(fb_rtc_new(&rtc, &loop), 0);
    return 0;
}

static int tear_down(void **state) {
    fb_rtc_free(rtc, mark_gone, &rtc_gone);
    wait_for(&rtc_gone);
    uv_close((uv_handle_t *)&alarm_timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

/* ---- tests ---- */

static void opens_through_every_stage(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    make_pair(&pair, &config);
    assert_int_equal(fb_peer_send(pair.offerer.peer, "x", 1), FB_ERR_STATE);
    wait_until(both_open, &pair);
    assert_int_equal(pair.offerer.stages, 7);
    assert_int_equal(pair.answerer.stages, 7);
    assert_int_equal(pair.offerer.desc.setup, FB_SETUP_ACTPASS);
    assert_int_equal(pair.answerer.desc.setup, FB_SETUP_ACTIVE);
    assert_int_not_equal(pair.offerer.desc.candidate_count, 0);
    assert_int_equal(fb_peer_set_remote(pair.offerer.peer, &pair.answerer.desc), FB_ERR_STATE);
    close_pair(&pair);
}

/* An answer that says passive makes the offerer the DTLS client. */
static void make_active(struct side *from, struct fb_desc *desc) {
    if (from == &from->pair->offerer)
        desc->setup = FB_SETUP_ACTIVE;
}

static void opens_with_dtls_roles_swapped(void **state) {
    struct pair pair = {.tamper = make_active};
    struct fb_peer_config config = {0};
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    assert_int_equal(pair.answerer.desc.setup, FB_SETUP_PASSIVE);
    close_pair(&pair);
}

/* Nothing that two volunteers see tells that they serve one client (DESIGN section 3.4). */
static void descriptions_share_nothing(void **state) {
    struct pair one = {0}, two = {0};
    struct fb_peer_config config = {0};
    make_pair(&one, &config);
    make_pair(&two, &config);
    wait_until(both_open, &one);
    wait_until(both_open, &two);
    const struct fb_desc *a = &one.offerer.desc, *b = &two.offerer.desc;
    assert_string_not_equal(a->ufrag, b->ufrag);
    assert_string_not_equal(a->pwd, b->pwd);
    assert_memory_not_equal(a->fingerprint, b->fingerprint, sizeof a->fingerprint);
    for (size_t i = 0; i < a->candidate_count; i++)
        for (size_t j = 0; j < b->candidate_count; j++)
            assert_int_not_equal(a->candidates[i].addr.port, b->candidates[j].addr.port);
    close_pair(&one);
    close_pair(&two);
}

static bool all_received(void *arg) {
    struct pair *pair = arg;
    return pair->offerer.received >= pair->answerer.to_send &&
           pair->answerer.received >= pair->offerer.to_send;
}

static void messages_arrive_whole(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    uint8_t seen[2][MESSAGES] = {{0}};
    pair.offerer.to_send = pair.answerer.to_send = MESSAGES;
    pair.offerer.seen = seen[0];
    pair.answerer.seen = seen[1];
    make_pair(&pair, &config);
    wait_until(all_received, &pair);
    assert_false(pair.offerer.bad);
    assert_false(pair.answerer.bad);
    assert_int_equal(pair.offerer.received, MESSAGES);
    assert_int_equal(pair.answerer.received, MESSAGES);
    assert_true(pair.offerer.writable > 0); /* 16 MB do not fit into 1 MiB of queue */
    assert_int_equal(fb_peer_buffered(pair.offerer.peer), 0);
    assert_int_equal(fb_peer_ignored(pair.offerer.peer), 0);
    close_pair(&pair);
}

static void sizes_are_enforced(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    static uint8_t big[FB_PEER_MESSAGE_MAX + 1];
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    assert_int_equal(fb_peer_send(pair.offerer.peer, big, sizeof big), FB_ERR_TOO_BIG);
    assert_int_equal(fb_peer_send(pair.offerer.peer, big, 0), FB_ERR_MALFORMED);
    assert_int_equal(fb_peer_buffered(pair.offerer.peer), 0);
    assert_int_equal(fb_peer_send(pair.offerer.peer, big, sizeof big - 1), 0);
    pair.offerer.to_send = 1;
    wait_until(all_received, &pair);
    assert_true(pair.answerer.bytes == FB_PEER_MESSAGE_MAX);
    close_pair(&pair);
}

static void shrink(struct side *from, struct fb_desc *desc) {
    desc->max_message_size = 1000;
}

static void described_size_is_respected(void **state) {
    struct pair pair = {.tamper = shrink};
    struct fb_peer_config config = {0};
    uint8_t bytes[1001] = {0};
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    assert_int_equal(fb_peer_send(pair.offerer.peer, bytes, 1001), FB_ERR_TOO_BIG);
    assert_int_equal(fb_peer_send(pair.offerer.peer, bytes, 1000), 0);
    close_pair(&pair);
}

static void forge(struct side *from, struct fb_desc *desc) {
    if (from == &from->pair->answerer)
        desc->fingerprint[31] ^= 1;
}

static void forge_offer(struct side *from, struct fb_desc *desc) {
    if (from == &from->pair->offerer)
        desc->fingerprint[0] ^= 0x80;
}

static void wrong_fingerprint_is_refused(void **state) {
    struct fb_peer_config config = {0};
    struct pair server = {.tamper = forge}, client = {.tamper = forge_offer};
    make_pair(&server, &config);
    make_pair(&client, &config);
    wait_until(both_closed, &server);
    wait_until(both_closed, &client);
    assert_int_equal(server.offerer.reason, FB_PEER_FINGERPRINT);
    assert_int_equal(client.answerer.reason, FB_PEER_FINGERPRINT);
    assert_false(server.offerer.open || server.answerer.open);
    assert_false(client.offerer.open || client.answerer.open);
}

static void bad_descriptions_are_refused(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    struct fb_desc desc = {.ufrag = "abcd",
                           .pwd = "0123456789012345678901",
                           .setup = FB_SETUP_ACTPASS,
                           .sctp_port = 5000};
    make_side(&pair.offerer, &pair, &pair.answerer, &config, true);
    struct fb_peer *peer = pair.offerer.peer;
    assert_int_equal(fb_peer_set_remote(peer, &desc), FB_ERR_MALFORMED);
    desc.setup = FB_SETUP_ACTIVE;
    desc.sctp_port = 0;
    assert_int_equal(fb_peer_set_remote(peer, &desc), FB_ERR_MALFORMED);
    desc.sctp_port = 5000;
    desc.pwd[21] = '\0';
    assert_int_equal(fb_peer_set_remote(peer, &desc), FB_ERR_MALFORMED);
    memset(desc.pwd, 'x', sizeof desc.pwd);
    assert_int_equal(fb_peer_set_remote(peer, &desc), FB_ERR_MALFORMED);
    close_pair(&pair);
}

static void close_is_seen_quickly(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    uint64_t before = uv_hrtime();
    close_side(&pair.offerer);
    wait_for(&pair.answerer.closed);
    assert_int_equal(pair.answerer.reason, FB_PEER_BY_REMOTE);
    /* Silence is noticed after 10 s; what is told is seen in milliseconds, on an idle machine. */
    assert_true(pair.answerer.closed_at - before < UINT64_C(3000000000));
}

/* The last word before a close arrives; and a peer may be closed from its own callback. */
static void farewell_arrives(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    pair.answerer.echo_close = true;
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    assert_int_equal(fb_peer_send(pair.offerer.peer, "farewell", 8), 0);
    close_side(&pair.offerer);
    late = false;
    uv_timer_start(&alarm_timer, on_alarm, DEADLINE_MS, 0);
    while (pair.answerer.peer != NULL && !late)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(pair.answerer.received, 1);
    assert_true(pair.answerer.bytes == 8);
}

/* Also behind a queue that SCTP does not take at once. */
static void queue_arrives_before_close(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {.send_window = 65536};
    uint8_t seen[40] = {0};
    pair.answerer.seen = seen;
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    pair.offerer.to_send = 40;
    send_more(&pair.offerer);
    assert_int_equal(pair.offerer.sent, 40);
    assert_true(fb_peer_buffered(pair.offerer.peer) > 0);
    close_side(&pair.offerer);
    wait_for(&pair.answerer.closed);
    assert_int_equal(pair.answerer.received, 40);
    assert_false(pair.answerer.bad);
}

/* A description of nobody: no check is answered. */
static void silence_times_out(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {.timeout_ms = 300};
    struct fb_desc nobody = {.ufrag = "abcd",
                             .pwd = "0123456789012345678901",
                             .setup = FB_SETUP_ACTIVE,
                             .sctp_port = 5000};
    make_side(&pair.offerer, &pair, &pair.answerer, &config, true);
    assert_int_equal(fb_peer_set_remote(pair.offerer.peer, &nobody), 0);
    wait_for(&pair.offerer.closed);
    assert_int_equal(pair.offerer.reason, FB_PEER_ICE_TIMEOUT);
}

/* A STUN server that says what it is told to say, or nothing. */
struct stun_stub {
    uv_udp_t udp;
    unsigned asked;
    struct fb_addr says; /* family 0: nothing */
};

static void give_buffer(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    static char bytes[2048];
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_request(uv_udp_t *udp, ssize_t len, const uv_buf_t *buf, const struct sockaddr *from,
                       unsigned flags) {
    struct stun_stub *stub = udp->data;
    uint8_t reply[FB_STUN_REPLY_MAX];
    if (len <= 0)
        return;
    size_t reply_len = fb_stun_respond((const uint8_t *)buf->base, (size_t)len,
                                       &(struct fb_addr){.family = 4, .ip = {1}}, reply,
                                       sizeof reply);
    stub->asked += reply_len > 0; /* a Binding request of RFC 8489 */
    if (stub->says.family == 0 || reply_len == 0)
        return;
    reply_len = fb_stun_respond((const uint8_t *)buf->base, (size_t)len, &stub->says, reply,
                                sizeof reply);
    uv_buf_t out = uv_buf_init((char *)reply, (unsigned)reply_len);
    uv_udp_try_send(udp, &out, 1, from);
}

/* Where this machine's own sockets reach it: at the address of a peer's candidate. */
static struct fb_addr own_address(void) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    make_side(&pair.offerer, &pair, &pair.answerer, &config, true);
    wait_for(&pair.offerer.described);
    close_pair(&pair);
    size_t i = 0;
    while (i + 1 < pair.offerer.desc.candidate_count &&
           pair.offerer.desc.candidates[i].addr.family != 4)
        i++;
    assert_int_equal(pair.offerer.desc.candidates[i].addr.family, 4);
    return pair.offerer.desc.candidates[i].addr;
}

static struct fb_addr start_stub(struct stun_stub *stub, struct fb_addr at) {
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int len = sizeof addr;
    memcpy(&addr.sin_addr, at.ip, 4);
    uv_udp_init(&loop, &stub->udp);
    stub->udp.data = stub;
    assert_int_equal(uv_udp_bind(&stub->udp, (struct sockaddr *)&addr, 0), 0);
    uv_udp_getsockname(&stub->udp, (struct sockaddr *)&addr, &len);
    uv_udp_recv_start(&stub->udp, give_buffer, on_request);
    at.port = ntohs(addr.sin_port);
    return at;
}

/* A server that does not answer holds nothing up beyond gather_ms. */
static void silent_stun_server_is_not_waited_for(void **state) {
    struct pair pair = {0};
    struct stun_stub stub = {.asked = 0};
    struct fb_addr at = start_stub(&stub, own_address());
    struct fb_peer_config config = {.stun = &at, .stun_count = 1, .gather_ms = 400};
    uint64_t before = uv_hrtime();
    make_side(&pair.offerer, &pair, &pair.answerer, &config, true);
    wait_for(&pair.offerer.described);
    assert_true(uv_hrtime() - before < UINT64_C(3000000000));
    assert_true(stub.asked > 1); /* and again, as if the first had been lost */
    assert_int_equal(fb_peer_nat(pair.offerer.peer), FB_NAT_UNKNOWN);
    close_pair(&pair);
    uv_close((uv_handle_t *)&stub.udp, NULL);
    uv_run(&loop, UV_RUN_NOWAIT);
}

static const struct fb_candidate *find_mapped(const struct fb_desc *desc) {
    for (size_t i = 0; i < desc->candidate_count; i++)
        if (desc->candidates[i].type == FB_CAND_SRFLX)
            return &desc->candidates[i];
    return NULL;
}

/* What servers say is offered, below the host's priority; two of them show the kind of NAT. */
static void mapping_is_offered(void **state) {
    static const struct fb_addr outside = {.family = 4, .ip = {198, 51, 100, 7}, .port = 4242};
    struct fb_addr own = own_address();
    for (unsigned hard = 0; hard < 2; hard++) {
        struct pair pair = {0};
        struct stun_stub stubs[2] = {{.says = outside}, {.says = outside}};
        stubs[1].says.port = (uint16_t)(outside.port + hard);
        struct fb_addr at[2] = {start_stub(&stubs[0], own), start_stub(&stubs[1], own)};
        struct fb_peer_config config = {.stun = at, .stun_count = 2};
        make_pair(&pair, &config);
        wait_until(both_open, &pair);
        const struct fb_candidate *mapped = find_mapped(&pair.offerer.desc);
        assert_non_null(mapped);
        assert_true(fb_addr_same_ip(&mapped->addr, &outside));
        assert_true(mapped->addr.port - outside.port <= (int)hard);
        assert_true(mapped->priority < pair.offerer.desc.candidates[0].priority);
        assert_int_equal(fb_peer_nat(pair.offerer.peer), hard ? FB_NAT_HARD : FB_NAT_EASY);
        close_pair(&pair);
        uv_close((uv_handle_t *)&stubs[0].udp, NULL);
        uv_close((uv_handle_t *)&stubs[1].udp, NULL);
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

static void close_at_any_moment(void **state) {
    struct fb_peer_config config = {0};
    for (int turns = 0; turns < 40; turns++) {
        struct pair pair = {0};
        make_pair(&pair, &config);
        for (int i = 0; i < turns; i++)
            uv_run(&loop, UV_RUN_NOWAIT);
        if (turns % 2)
            wait_for(&pair.offerer.described);
        close_pair(&pair);
    }
}

static void on_elapsed(uv_timer_t *timer) {
    *(bool *)timer->data = true;
}

/*
 * A receiver that does not consume: what it holds, what is in flight and what the sender holds stay
 * bounded; and all of it arrives when it consumes again.
 */
static void backpressure_reaches_the_sender(void **state) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    static uint8_t seen[MESSAGES];
    memset(seen, 0, sizeof seen);
    pair.answerer.seen = seen;
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    fb_peer_pause(pair.answerer.peer, true);
    pair.offerer.to_send = MESSAGES;
    send_more(&pair.offerer);
    uv_timer_t timer;
    bool elapsed = false;
    uv_timer_init(&loop, &timer);
    timer.data = &elapsed;
    uv_timer_start(&timer, on_elapsed, 1000, 0); /* time enough to break any bound */
    wait_for(&elapsed);
    uv_close((uv_handle_t *)&timer, NULL);
    assert_int_equal(pair.answerer.received, 0);
    /* The sender's queue, both SCTP windows, the receiver's queue, and a message over each. */
    size_t bound = 2 * FB_PEER_QUEUE_MAX + FB_PEER_SEND_WINDOW + FB_PEER_RECV_WINDOW;
    size_t sent = 0;
    for (size_t i = 0; i < pair.offerer.sent; i++)
        sent += message_len(i);
    assert_true(sent < bound + 4 * MESSAGE_MAX);
    assert_true(pair.offerer.sent < MESSAGES);
    fb_peer_pause(pair.answerer.peer, false);
    wait_until(all_received, &pair);
    assert_false(pair.answerer.bad);
    close_pair(&pair);
}

static size_t open_descriptors(void) {
    size_t count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void cycle(int how) {
    struct pair pair = {0};
    struct fb_peer_config config = {0};
    make_pair(&pair, &config);
    wait_until(both_open, &pair);
    assert_int_equal(fb_peer_send(pair.offerer.peer, "x", 1), 0);
    if (how % 3 != 2)
        close_side(how % 3 == 0 ? &pair.offerer : &pair.answerer);
    close_pair(&pair);
}

static bool descriptors_are_back(void *arg) {
    return open_descriptors() <= *(size_t *)arg;
}

static void cycles_leak_nothing(void **state) {
    const char *full = getenv("FB_FULL");
    int cycles = full != NULL && strcmp(full, "1") == 0 ? 1000 : 100;
    size_t before = open_descriptors();
    for (int i = 0; i < cycles; i++)
        cycle(i);
    wait_until(descriptors_are_back, &before);
}

static void one_at_a_time(void **state) {
    struct fb_rtc *second = NULL;
    assert_int_equal(fb_rtc_new(&second, &loop), FB_ERR_STATE);
    assert_null(second);
}

/* The check value of CRC-32C, and usrsctp's own tables at every alignment of the end. */
static void checksum_is_usrsctps(void **state) {
    uint8_t bytes[100];
    assert_true(fb_crc32c((const uint8_t *)"123456789", 9) == 0xe3069283);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        if (len > 0)
            bytes[len - 1] = (uint8_t)(len * 37);
        assert_true(fb_crc32c(bytes, len) == usrsctp_crc32c(bytes, len));
    }
}

#define RTC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum_is_usrsctps),
        RTC_TEST(one_at_a_time),
        RTC_TEST(opens_through_every_stage),
        RTC_TEST(opens_with_dtls_roles_swapped),
        RTC_TEST(descriptions_share_nothing),
        RTC_TEST(messages_arrive_whole),
        RTC_TEST(sizes_are_enforced),
        RTC_TEST(described_size_is_respected),
        RTC_TEST(wrong_fingerprint_is_refused),
        RTC_TEST(bad_descriptions_are_refused),
        RTC_TEST(close_is_seen_quickly),
        RTC_TEST(farewell_arrives),
        RTC_TEST(queue_arrives_before_close),
        RTC_TEST(silence_times_out),
        RTC_TEST(silent_stun_server_is_not_waited_for),
        RTC_TEST(mapping_is_offered),
        RTC_TEST(close_at_any_moment),
        RTC_TEST(backpressure_reaches_the_sender),
        RTC_TEST(cycles_leak_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
