/*
 * What build/web/slot.wasm exports: core/slot with core/describe and core/signal, for one volunteer
 * in a browser. No imports, no logic; fixed memory. Little-endian, as wasm is.
 *
 * Bytes go in through the buffer at fb_in() (FB_WASM_IN bytes) and come out at fb_out(); text is
 * not NUL-terminated, its length is passed along. Times are milliseconds as doubles (of
 * performance.now(), which never goes back), Infinity for "never". m is a match's number; bools are
 * 0 and 1.
 * After each call of an event or command, call fb_poll() until it returns 0.
 *
 *   fb_boot(kind, nat, capacity, local, egress_count): at fb_in() 32 random bytes, then 32 bytes
 *     for each egress's id. 1: done, once only; 0: bad arguments.
 *   fb_set_limits(people, rate, budget, used, month, from, to, flags, now): struct fb_slot_limits;
 *     flags: 1 metered, 2 battery. fb_set_place(flags, now): 1 metered, 2 low battery.
 *   fb_poll(): 0, or an action's type; then at fb_out(), as u32: [0] type, [1] m, [2] peer, or for
 *     EGRESS_OPEN the egress's index, for NEXT from_client, [3] lane, [4] length of the bytes that
 *     start at offset 20. For PEER_CREATE they are the offer's SDP.
 *   fb_peer_described(peer, len, now): at fb_in() the answer's SDP, all candidates in it. 1: taken;
 *     0: it does not parse; the peer is then over.
 *   fb_relay(m, from_client, first_byte, len, now), fb_next(m, from_client, len, now),
 *     fb_drained(m, to_client, now): what the other hop's send buffers hold is at fb_held(),
 *     FB_LANES_MAX numbers as u32. The first two give enum fb_relay and, times 256, the lane.
 *   fb_look(): at fb_out(), as f64: [0] state, [1] welcomed, [2] retry time, [3] people now,
 *     [4] people in all, [5] bytes up, [6] bytes down, [7] country as first byte * 256 + second, 0
 *     when unknown, [8] paused (enum fb_slot_pause), [9] trouble (enum fb_slot_trouble), [10] used,
 *     [11] month; then for each of those who are helped id and country.
 *   The rest as in core/slot.h, without `fb_slot_`.
 */
#ifndef FB_WASM_SLOT_H
#define FB_WASM_SLOT_H

#include <stdint.h>

#define FB_WASM_IN 16384
#define FB_WASM_OUT 8192

#define FB_EXPORT(name) __attribute__((export_name(#name))) name

uint8_t *FB_EXPORT(fb_in)(void);
uint8_t *FB_EXPORT(fb_out)(void);
int FB_EXPORT(fb_boot)(int kind, int nat, int capacity, int local, int egress_count);
void FB_EXPORT(fb_switch)(int on, double now);
void FB_EXPORT(fb_set_limits)(int people, double rate, double budget, double used, int month,
                              int from, int to, int flags, double now);
void FB_EXPORT(fb_set_clock)(uint32_t minutes, double now);
void FB_EXPORT(fb_set_place)(int flags, double now);
void FB_EXPORT(fb_set_nat)(int nat);
void FB_EXPORT(fb_broker_open)(double now);
void FB_EXPORT(fb_broker_closed)(int code, double now);
void FB_EXPORT(fb_broker_message)(int len, double now);
int FB_EXPORT(fb_peer_described)(uint32_t peer, int len, double now);
void FB_EXPORT(fb_peer_open)(uint32_t peer, double now);
void FB_EXPORT(fb_peer_closed)(uint32_t peer, double now);
void FB_EXPORT(fb_egress_open)(uint32_t m, double now);
void FB_EXPORT(fb_egress_closed)(uint32_t m, double now);
void FB_EXPORT(fb_tick)(double now);
double FB_EXPORT(fb_deadline)(void);
uint32_t *FB_EXPORT(fb_held)(void);
uint32_t FB_EXPORT(fb_relay)(uint32_t m, int from_client, int first_byte, uint32_t len, double now);
uint32_t FB_EXPORT(fb_next)(uint32_t m, int from_client, uint32_t len, double now);
void FB_EXPORT(fb_hop)(uint32_t m, int from_client, int len, double now);
void FB_EXPORT(fb_drained)(uint32_t m, int to_client, double now);
int FB_EXPORT(fb_poll)(void);
void FB_EXPORT(fb_look)(void);

#endif
