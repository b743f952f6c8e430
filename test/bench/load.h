/*
 * What a native end does with its connection while it is measured, the same for a data channel
 * (rtc_peer.c) and a WebSocket (ws_peer.c): a source sends messages of one size as fast as it may,
 * a sink counts them.
 *
 * Through a relay nothing holds the source back, so it keeps a window: the sink acknowledges each
 * eighth message, and the source has no more than `window` bytes unacknowledged, as a session does.
 * Without a window the connection's own buffer is the limit.
 *
 * A sink counts from warm_ns after its first message on, so that start-up is not measured.
 */
#ifndef FB_BENCH_LOAD_H
#define FB_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_WARM_NS UINT64_C(700000000)
#define LOAD_ACK_EVERY 8
#define LOAD_ACK_LEN 9

struct load {
    bool source;
    double seconds;
    size_t size, window; /* window 0: none */
    uint64_t warm_ns;
    uint64_t sent, acked, received; /* messages */
    uint64_t first_ns, last_ns, bytes;
    double cpu_s; /* of this process when counting began */
};

/* Fills it from SOURCE|SINK SECONDS BYTES [WINDOW [WARM_MS]]; false: not that. */
bool load_parse(struct load *load, int argc, char **argv);

/* Source: true while one more message may go; the caller sends and calls load_sent(). */
bool load_may_send(const struct load *load);
const uint8_t *load_message(const struct load *load);
void load_sent(struct load *load);

/* The acknowledgement that is due now, LOAD_ACK_LEN bytes written to ack. */
const uint8_t *load_ack(const struct load *load, uint8_t *ack);

/* A message came. Sink: true when ack (LOAD_ACK_LEN bytes) is to be sent back. Source: it was an
 * acknowledgement. */
bool load_received(struct load *load, const uint8_t *data, size_t len, uint8_t *ack);

/* Milliseconds from the first message to the end of counting. */
uint64_t load_ms(const struct load *load);

/* The last line of output, JSON: goodput, and this process's CPU time while it was measured. */
void load_report(const struct load *load);

#endif
