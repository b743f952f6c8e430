/* core/session against a peer that holds the keys and breaks the rules: closed with the reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/session_impl.h"
#include "crypto/openssl.h"
#include "env.h"
#include "sim/pair.h"

static uint8_t egress_private[32] = {9}, egress_public[32];
static struct pair pr;
static struct test_mem tm;

static bool is_open(const struct pair *pair) {
    return pair->opened[0] > 0 && pair->opened[1] > 0;
}

static int setup(void **state) {
    uint32_t path;
    tm = (struct test_mem){0};
    struct fb_mem mem = test_mem_make(&tm);
    assert_int_equal(fb_x25519_public(egress_private, egress_public), 0);
    assert_true(pair_init(&pr, &mem, fb_crypto_openssl(), egress_public, egress_private, 1));
    assert_true(pair_open(&pr, 10000, &path));
    assert_true(pair_run(&pr, 5000000, is_open));
    for (size_t id = 0; id < PAIR_STREAMS; id++) /* what is injected is no pattern to check */
        pr.stream[id].pause[0] = pr.stream[id].pause[1] = true;
    return 0;
}

static int teardown(void **state) {
    pair_clear(&pr);
    assert_int_equal(tm.live, 0);
    return 0;
}

/* End `from` sends these frames in a packet of its own making. */
static void inject(int from, const uint8_t *frames, size_t len) {
    uint8_t msg[FB_MESSAGE_MAX];
    struct fb_path *p = fb_path_find(pr.end[from], 0);
    memcpy(msg + FB_PACKET_HEADER, frames, len);
    fb_sent_note(&p->sent, fb_packet_seal(&p->packets, msg, len));
    (void)fb_session_recv(pr.end[1 - from], 0, msg, len + FB_PACKET_OVERHEAD, pr.now);
    pair_pump(&pr);
    pair_pump(&pr); /* FB_EVENT_CLOSED comes once CLOSE has been sent */
}

static void inject_frame(int from, const struct fb_frame *frame) {
    uint8_t buf[FB_MESSAGE_MAX];
    struct fb_wr wr = fb_wr_make(buf, sizeof buf - FB_PACKET_OVERHEAD);
    fb_frame_write(&wr, frame);
    inject(from, buf, wr.len);
}

static void inject_stream(int from, uint64_t id, uint64_t offset, size_t len, bool fin) {
    static uint8_t buf[FB_MESSAGE_MAX];
    struct fb_wr wr = fb_wr_make(buf, sizeof buf - FB_PACKET_OVERHEAD);
    fb_frame_write_stream(&wr, id, offset, fin, len);
    fb_wr_zeros(&wr, len);
    assert_true(wr.ok);
    inject(from, buf, wr.len);
}

static void assert_closed(int end, enum fb_close_code code) {
    assert_true(pr.closed[end]);
    assert_int_equal(pr.code[end], code);
}

static void acknowledges_the_unsent(void **state) {
    inject_frame(
        0, &(struct fb_frame){.type = FB_FRAME_ACK, .range_count = 1, .ranges = {{1000, 1001}}});
    assert_closed(1, FB_CLOSE_PROTOCOL);
}

static void beyond_the_streams_window(void **state) {
    inject_stream(0, 0, pr.config[1].first_stream_data - 10, 10, false);
    assert_false(pr.closed[1]);
    inject_stream(0, 0, pr.config[1].first_stream_data, 1, false);
    assert_closed(1, FB_CLOSE_FLOW_CONTROL);
}

static void beyond_the_sessions_window(void **state) {
    uint64_t all = 20;
    pr.end[1]->in_limit = all * pr.config[1].first_stream_data;
    for (uint64_t id = 0; id < all; id++)
        inject_stream(0, id, pr.config[1].first_stream_data - 10, 10, false);
    assert_false(pr.closed[1]);
    inject_stream(0, all, 0, 1, false);
    assert_closed(1, FB_CLOSE_FLOW_CONTROL);
}

static void too_many_streams(void **state) {
    inject_stream(0, pr.config[1].max_streams, 0, 1, false);
    assert_closed(1, FB_CLOSE_STREAM_LIMIT);
}

static void changes_the_final_size(void **state) {
    inject_stream(0, 0, 0, 100, true);
    inject_stream(0, 0, 100, 1, false);
    assert_closed(1, FB_CLOSE_FINAL_SIZE);
}

static void shrinks_by_reset(void **state) {
    inject_stream(0, 0, 0, 100, false);
    inject_frame(0, &(struct fb_frame){.type = FB_FRAME_RESET_STREAM, .value = 50});
    assert_closed(1, FB_CLOSE_FINAL_SIZE);
}

static void splits_absurdly(void **state) {
    for (uint64_t i = 0; i <= FB_STREAM_GAPS_MAX && !pr.closed[1]; i++)
        inject_stream(0, 0, 20 + 2 * i, 1, false);
    assert_closed(1, FB_CLOSE_PROTOCOL);
}

static void opens_streams_from_the_egress(void **state) {
    inject_stream(1, 0, 0, 1, false);
    assert_closed(0, FB_CLOSE_PROTOCOL);
}

static void limits_and_tokens_from_a_client(void **state) {
    uint8_t token[FB_TOKEN_LEN] = {0};
    inject_frame(0, &(struct fb_frame){.type = FB_FRAME_NEW_TOKEN, .path = 99, .data = token});
    assert_closed(1, FB_CLOSE_PROTOCOL);
}

static void more_tokens_than_asked_for(void **state) {
    uint8_t token[FB_TOKEN_LEN] = {0};
    inject_frame(1, &(struct fb_frame){.type = FB_FRAME_NEW_TOKEN, .path = 99, .data = token});
    assert_closed(0, FB_CLOSE_PROTOCOL);
}

static void unknown_frame(void **state) {
    inject(0, (const uint8_t *)"\x3f", 1);
    assert_closed(1, FB_CLOSE_FRAME);
}

/* One packet can hold thousands of frames that each cost a walk over what is in flight, over all
 * streams, or a new token. */
static void more_frames_than_a_packet_may_hold(void **state) {
    uint8_t frames[2 * FB_PACKET_FRAMES_MAX + 2];
    struct fb_wr wr = fb_wr_make(frames, sizeof frames);
    for (int i = 0; i < FB_PACKET_FRAMES_MAX; i++)
        fb_frame_write(&wr, &(struct fb_frame){.type = FB_FRAME_MAX_DATA, .value = 1});
    inject(0, frames, wr.len);
    assert_false(pr.closed[1]);
    fb_frame_write(&wr, &(struct fb_frame){.type = FB_FRAME_MAX_DATA, .value = 1});
    inject(0, frames, wr.len);
    assert_closed(1, FB_CLOSE_PROTOCOL);
}

/* Not against the rules, but no reason to work or to grow. */
static void flood(const struct fb_frame *frame) {
    uint64_t live = tm.live;
    struct fb_session_stats before, after;
    struct fb_frame f = *frame;
    int most = 0;
    fb_session_stats(pr.end[1], &before);
    for (; most < 4000 && !pr.closed[1]; most++) {
        f.sequence++;
        f.code ^= FB_STATUS_SUSPECT;
        inject_frame(0, &f);
    }
    assert_in_range(most, FB_FLOOD_BURST / 2, FB_FLOOD_BURST + 10);
    assert_closed(1, FB_CLOSE_FLOOD);
    fb_session_stats(pr.end[1], &after);
    assert_true(after.sent_packets - before.sent_packets < FB_FLOOD_BURST);
    assert_true(tm.live < live + 20);
}

static void floods_ping(void **state) {
    flood(&(struct fb_frame){.type = FB_FRAME_PING});
}

static void floods_path_status(void **state) {
    flood(&(struct fb_frame){.type = FB_FRAME_PATH_STATUS, .sequence = 10, .value = 1});
}

static void floods_path_abandon(void **state) {
    flood(&(struct fb_frame){.type = FB_FRAME_PATH_ABANDON, .path = 1000});
}

/* What the paths could need in a bad hour is no flood. */
static void many_pings_are_borne(void **state) {
    for (int i = 0; i < 200; i++) {
        pair_run(&pr, 100000, NULL);
        for (int j = 0; j < 20; j++)
            inject_frame(0, &(struct fb_frame){.type = FB_FRAME_PING});
    }
    assert_false(pr.closed[1]);
}

/* Dropped, whatever it holds: a volunteer could repeat a packet as well, so nobody is to blame. */
static void reuses_packet_numbers(void **state) {
    struct fb_packets *packets = &fb_path_find(pr.end[0], 0)->packets;
    struct fb_session_stats before, after;
    inject_frame(0, &(struct fb_frame){.type = FB_FRAME_PING});
    packets->next--;
    fb_session_stats(pr.end[1], &before);
    inject_stream(0, 0, 0, 10, false);
    fb_session_stats(pr.end[1], &after);
    assert_true(after.dropped_packets == before.dropped_packets + 1);
    assert_null(fb_stream_find(pr.end[1], 0));
    assert_false(pr.closed[1]);
    inject_stream(0, 0, 0, 10, false);
    assert_non_null(fb_stream_find(pr.end[1], 0));
}

static void abandoned_tokens_do_not_grow(void **state) {
    for (uint64_t id = 1; id < FB_FLOOD_BURST; id++)
        inject_frame(0, &(struct fb_frame){.type = FB_FRAME_PATH_ABANDON, .path = id});
    assert_false(pr.closed[1]);
    assert_int_equal(fb_tokens_count(pr.tokens), FB_TOKENS_IN_HAND);
}

static void unread_messages_are_bounded(void **state) {
    struct fb_session *egress = pr.end[1];
    uint8_t data[100] = {0};
    pr.end[1] = NULL; /* its owner takes nothing */
    for (uint64_t i = 0; i < 200; i++) {
        uint8_t msg[FB_MESSAGE_MAX];
        struct fb_path *p = fb_path_find(pr.end[0], 0);
        struct fb_wr wr = fb_wr_make(msg + FB_PACKET_HEADER, 1000);
        fb_frame_write(&wr,
                       &(struct fb_frame){.type = FB_FRAME_DATAGRAM, .data = data, .len = 100});
        if (i < 20)
            fb_frame_write(&wr, &(struct fb_frame){
                                    .type = FB_FRAME_BROKER, .value = i, .data = data, .len = 100});
        fb_packet_seal(&p->packets, msg, wr.len);
        assert_int_equal(fb_session_recv(egress, 0, msg, wr.len + FB_PACKET_OVERHEAD, pr.now), 0);
    }
    assert_int_equal(egress->datagrams_in_count, FB_QUEUE_MAX);
    assert_int_equal(egress->posts_in_count, 20);
    pr.end[1] = egress;
}

/* ---- what a peer may make this side keep ---- */

static unsigned swallowed;

static bool swallows(struct pair *pair, int to, uint32_t path, uint8_t *msg, size_t *len) {
    swallowed += to == 0;
    return false;
}

static size_t remembered(const struct fb_sent *sent) {
    size_t count = 0;
    FB_LIST_EACH (it, &sent->in_flight)
        count++;
    FB_LIST_EACH (it, &sent->lost)
        count++;
    return count;
}

/* Tiny packets, and nobody acknowledges them: their number is bounded, not only their bytes. */
static void withholds_acknowledgements(void **state) {
    const struct fb_sent *sent = &fb_path_find(pr.end[1], 0)->sent;
    size_t most = 0, window = (fb_window_bytes(&sent->window) + FB_PATH_RESERVE) / FB_SENT_SIZE_MIN;
    swallowed = 0;
    pr.meddle = swallows;
    for (int i = 0; i < 10000; i++) {
        (void)fb_session_datagram(pr.end[1], (const uint8_t *)"x", 1);
        pair_pump(&pr);
        most = remembered(sent) > most ? remembered(sent) : most;
    }
    assert_true(most > window / 2);
    assert_true(most <= window);
    pair_run(&pr, 1000000, NULL);
    assert_true(swallowed > window / 2);
}

/* Ids of paths are never used again: at their end there are no more, rather than old ones. */
static void path_ids_run_out(void **state) {
    pr.end[1]->next_path = UINT32_MAX - 2;
    for (uint64_t id = 1; id <= FB_TOKENS_IN_HAND; id++)
        inject_frame(0, &(struct fb_frame){.type = FB_FRAME_PATH_ABANDON, .path = id});
    assert_false(pr.closed[1]);
    assert_int_equal(fb_tokens_count(pr.tokens), 2);
    assert_int_equal(pr.end[1]->next_path, UINT32_MAX);
    for (size_t i = 0; i < FB_TOKENS_IN_HAND; i++)
        assert_true(!pr.end[1]->tokens[i].used || pr.end[1]->tokens[i].path >= UINT32_MAX - 2);
}

/* As many gaps on this path as an ACK can tell of, each as long to tell as numbers get. */
static void full_of_gaps(uint32_t id) {
    struct fb_path *p = fb_path_find(pr.end[0], id);
    for (uint64_t i = 1; i < FB_ACK_RANGES_MAX; i++)
        assert_int_equal(fb_ranges_add(&p->received, i << 40, (i << 40) + (UINT64_C(1) << 39)), 0);
    fb_sent_note(&fb_path_find(pr.end[1], id)->sent, UINT64_C(1) << 47); /* all were sent */
    p->peer_suspect = true; /* others acknowledge for it */
}

static void send_to_egress(void) {
    uint8_t msg[FB_MESSAGE_MAX];
    uint32_t path;
    size_t len = fb_session_send(pr.end[0], &path, msg, pr.now);
    assert_in_range(len, 1, FB_MESSAGE_MAX);
    assert_int_equal(fb_session_recv(pr.end[1], path, msg, len, pr.now), 0);
}

/* Acknowledgements that fill a packet leave no half of a stream's frame behind them. */
static void acknowledgements_cut_no_frame(void **state) {
    static const uint8_t data[4096];
    uint32_t id;
    uint64_t stream;
    while (fb_session_open_paths(pr.end[0]) < 20) {
        assert_true(pair_open(&pr, 10000, &id));
        pair_run(&pr, 1000000, NULL);
    }
    for (id = 2; id < 20; id++)
        full_of_gaps(id);
    assert_int_equal(fb_stream_open(pr.end[0], &stream), 0);
    assert_int_equal(fb_stream_write(pr.end[0], stream, data, sizeof data), sizeof data);
    send_to_egress();
    assert_int_equal(pr.end[0]->echo_count, 1);
    for (id = 2; id < 20; id++)
        fb_path_find(pr.end[0], id)->ack_due = pr.now;
    for (int i = 0; i < 8; i++)
        send_to_egress();
    assert_int_equal(pr.end[0]->echo_count, 0);
    assert_false(fb_session_closed(pr.end[1]));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(acknowledges_the_unsent),
        CASE(beyond_the_streams_window),
        CASE(beyond_the_sessions_window),
        CASE(too_many_streams),
        CASE(changes_the_final_size),
        CASE(shrinks_by_reset),
        CASE(splits_absurdly),
        CASE(opens_streams_from_the_egress),
        CASE(limits_and_tokens_from_a_client),
        CASE(more_tokens_than_asked_for),
        CASE(unknown_frame),
        CASE(more_frames_than_a_packet_may_hold),
        CASE(floods_ping),
        CASE(floods_path_status),
        CASE(floods_path_abandon),
        CASE(many_pings_are_borne),
        CASE(reuses_packet_numbers),
        CASE(abandoned_tokens_do_not_grow),
        CASE(unread_messages_are_bounded),
        CASE(withholds_acknowledgements),
        CASE(path_ids_run_out),
        CASE(acknowledgements_cut_no_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
