/* role/pipe: sockets whose last bytes still have to go are bounded, by number and by time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "net/loop.h"
#include "role/pipe.h"
#include "wait.h"

#define WAIT_MS 20000
#define ENDS_MAX 3
#define SOCKETS (ENDS_MAX + 2)

/* More than the kernel keeps for a peer that does not read. */
static uint8_t last_bytes[32 << 20];

struct socket {
    uv_tcp_t tcp; /* the pipe's */
    uv_tcp_t far; /* reads nothing unless told */
    uv_connect_t connect;
    uv_write_t write;
    bool connected, closed, cut, far_gone;
    struct fb_pipe pipe;
};

static uv_loop_t loop;
static uv_tcp_t listener;
static struct fb_pipe_ends ends;
static struct socket sockets[SOCKETS];
static size_t accepted;

static void on_gone(uv_handle_t *handle) {
}

static void on_far_gone(uv_handle_t *handle) {
    struct socket *socket = handle->data;
    socket->far_gone = true;
}

static void close_socket(uv_tcp_t *tcp, bool abort) {
    struct socket *socket = FB_CONTAINER(tcp, struct socket, tcp);
    socket->closed = true;
    socket->cut = abort;
    uv_close((uv_handle_t *)tcp, on_gone);
}

static const struct fb_pipe_handler handler = {.close = close_socket};

static void on_accept(uv_stream_t *stream, int status) {
    uv_tcp_t *far = &sockets[accepted].far;
    uv_tcp_init(&loop, far);
    far->data = &sockets[accepted++];
    assert_int_equal(uv_accept(stream, (uv_stream_t *)far), 0);
}

static void on_connect(uv_connect_t *request, int status) {
    FB_CONTAINER(request, struct socket, connect)->connected = status == 0;
}

static void on_written(uv_write_t *request, int status) {
}

static bool is_connected(void *ctx) {
    const struct socket *socket = ctx;
    return socket->connected && socket == &sockets[accepted - 1];
}

static int setup(void **state) {
    struct sockaddr_in addr;
    memset(sockets, 0, sizeof sockets);
    accepted = 0;
    fb_pipe_ends_init(&ends, ENDS_MAX);
    uv_loop_init(&loop);
    uv_tcp_init(&loop, &listener);
    uv_ip4_addr("127.0.0.1", 0, &addr);
    uv_tcp_bind(&listener, (const struct sockaddr *)&addr, 0);
    return uv_listen((uv_stream_t *)&listener, SOCKETS, on_accept);
}

static int teardown(void **state) {
    fb_pipe_cut_ends(&ends, FB_NEVER);
    assert_int_equal(ends.count, 0);
    assert_int_equal(fb_pipe_oldest_end(&ends), FB_NEVER);
    for (size_t i = 0; i < accepted; i++) {
        assert_true(sockets[i].closed);
        if (!uv_is_closing((uv_handle_t *)&sockets[i].far))
            uv_close((uv_handle_t *)&sockets[i].far, on_gone);
    }
    uv_close((uv_handle_t *)&listener, on_gone);
    return fb_loop_finish(&loop);
}

/* A socket with bytes that do not leave, and its pipe, stopped gently. */
static void end_one(struct socket *socket) {
    struct sockaddr_in addr;
    int len = sizeof addr;
    uv_tcp_getsockname(&listener, (struct sockaddr *)&addr, &len);
    uv_tcp_init(&loop, &socket->tcp);
    uv_tcp_connect(&socket->connect, &socket->tcp, (const struct sockaddr *)&addr, on_connect);
    assert_true(wait_for(&loop, is_connected, socket, WAIT_MS));
    uv_buf_t buf = uv_buf_init((char *)last_bytes, sizeof last_bytes);
    uv_write(&socket->write, (uv_stream_t *)&socket->tcp, &buf, 1, on_written);
    socket->pipe = (struct fb_pipe){.tcp = &socket->tcp, .handler = &handler, .ends = &ends};
    fb_pipe_start(&socket->pipe);
    fb_pipe_stop(&socket->pipe, true);
}

static void the_oldest_gives_way(void **state) {
    for (size_t i = 0; i < ENDS_MAX; i++)
        end_one(&sockets[i]);
    assert_int_equal(ends.count, ENDS_MAX);
    assert_false(sockets[0].closed);
    for (size_t i = ENDS_MAX; i < SOCKETS; i++) {
        end_one(&sockets[i]);
        assert_int_equal(ends.count, ENDS_MAX);
        assert_true(sockets[i - ENDS_MAX].closed);
        assert_true(sockets[i - ENDS_MAX].cut);
        assert_false(sockets[i - ENDS_MAX + 1].closed);
    }
}

static void time_cuts_them(void **state) {
    end_one(&sockets[0]);
    uint64_t since = fb_pipe_oldest_end(&ends);
    fb_pipe_cut_ends(&ends, since);
    assert_int_equal(ends.count, 1);
    fb_pipe_cut_ends(&ends, since + 1);
    assert_int_equal(ends.count, 0);
    assert_true(sockets[0].cut);
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf) {
    static char scratch[65536];
    *buf = uv_buf_init(scratch, sizeof scratch);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
    if (len == UV_EOF)
        uv_close((uv_handle_t *)stream, on_far_gone);
}

static bool is_over(void *ctx) {
    const struct socket *socket = ctx;
    return socket->closed && socket->far_gone;
}

static void the_last_bytes_arrive(void **state) {
    end_one(&sockets[0]);
    end_one(&sockets[1]);
    uv_read_start((uv_stream_t *)&sockets[1].far, on_alloc, on_read);
    assert_true(wait_for(&loop, is_over, &sockets[1], WAIT_MS));
    assert_false(sockets[1].cut);
    assert_int_equal(ends.count, 1);
    assert_false(sockets[0].closed);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_oldest_gives_way),
        CASE(time_cuts_them),
        CASE(the_last_bytes_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
