// @ts-check
/**
 * The browser's core as built, driven through one match by hand-made events. FB_WASM names it. What
 * it decides is tested in test_slot.c; here it is the binary interface (src/wasm/slot.h).
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const file = readFileSync(process.env.FB_WASM ?? 'build/src/wasm/slot.wasm');
const vectors = new URL('../vectors/sdp/', import.meta.url);
const CONNECT = 1, SAY = 2, PEER_CREATE = 4, PEER_SEND = 5, PEER_CLOSE = 6, EGRESS_OPEN = 7;
const EGRESS_SEND = 8, EGRESS_CLOSE = 9, CHANGED = 10, NEXT = 11;
const HELLO = 1, WELCOME = 2, READY = 3, OFFER = 4, ANSWER = 5, RELEASE = 7, DONE = 9;

function load() {
  const module = new WebAssembly.Module(file);
  assert.deepEqual(WebAssembly.Module.imports(module), []);
  /** @type {any} */
  const core = new WebAssembly.Instance(module).exports;
  const memory = new Uint8Array(core.memory.buffer);
  const view = new DataView(core.memory.buffer);
  /** @param {Uint8Array | string} bytes */
  const put = (bytes) => {
    const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes;
    memory.set(data, core.fb_in());
    return data.length;
  };
  /** All that it wants done, CHANGED aside. */
  const poll = () => {
    const actions = [];
    for (let type; (type = core.fb_poll()); ) {
      const out = core.fb_out();
      assert.equal(view.getUint32(out, true), type);
      const len = view.getUint32(out + 16, true);
      if (type !== CHANGED)
        actions.push({ type, m: view.getUint32(out + 4, true), which: view.getUint32(out + 8, true),
          lane: view.getUint32(out + 12, true), bytes: memory.slice(out + 20, out + 20 + len) });
    }
    return actions;
  };
  const look = () => {
    core.fb_look();
    return Array.from({ length: 14 }, (_, i) => view.getFloat64(core.fb_out() + 8 * i, true));
  };
  return { core, put, poll, look };
}

/** Booted with two egresses, switched on, welcomed. @param {number} capacity */
function ready(capacity) {
  const slot = load();
  const setup = new Uint8Array(32 + 64);
  crypto.getRandomValues(setup.subarray(0, 32));
  setup[32] = 0xe0;
  setup[64] = 0xe1;
  slot.put(setup);
  assert.equal(slot.core.fb_boot(1, 1, capacity, 0, 2), 1);
  slot.core.fb_switch(1, 10.5);
  assert.deepEqual(slot.poll().map((a) => a.type), [CONNECT]);
  slot.core.fb_broker_open(20);
  const [hello] = slot.poll();
  assert.deepEqual([...hello.bytes], [HELLO, 1, 1, 1, 0, capacity]);
  slot.core.fb_broker_message(slot.put(new Uint8Array([WELCOME, 1, 0x4e, 0x4c])), 30);
  assert.deepEqual(slot.poll().map((a) => [...a.bytes]), [[READY, 0, capacity]]);
  return slot;
}

/** A compact description as doc/protocol.md says, one IPv4 candidate. */
function offer() {
  const text = (/** @type {string} */ s) => [s.length, ...new TextEncoder().encode(s)];
  const desc = [0x10, ...text('aJXQ'), ...text('FIOAcNb/K9XvWO3+FpfPI+Z0'), ...Array(32).fill(0xab),
    1, 0x01, 8, 8, 4, 4, 0x9c, 0x40, 0, 0, 0, 77];
  return new Uint8Array([OFFER, 0, 0, 0, 0, 0, 0, 0, 5, 0x49, 0x52, 0, desc.length, ...desc]);
}

test('one match from switch to farewell', () => {
  const { core, put, poll, look } = ready(3);
  assert.deepEqual(look().slice(0, 12), [2, 1, Infinity, 0, 0, 0, 0, 0x4e4c, 0, 0, 13, 0]);
  core.fb_broker_message(put(offer()), 40);
  const [create] = poll();
  assert.equal(create.type, PEER_CREATE);
  const sdp = new TextDecoder().decode(create.bytes);
  assert.match(sdp, /^v=0\r\n/);
  assert.match(sdp, /\r\na=candidate:1 1 udp 77 8\.8\.4\.4 40000 typ srflx /);
  assert.match(sdp, /\r\na=setup:actpass\r\n/);
  assert.equal(core.fb_deadline(), 40 + 8000);

  const answer = readFileSync(new URL('chromium-answer.sdp', vectors), 'utf8');
  assert.equal(core.fb_peer_described(create.m, put(answer), 50), 1);
  const [said] = poll();
  assert.equal(said.type, SAY);
  assert.equal(said.bytes[0], ANSWER);
  assert.equal(said.bytes[8], 5);

  const release = new Uint8Array(1 + 8 + 32 + 141 + 256).fill(0x77);
  release.set([RELEASE, 0, 0, 0, 0, 0, 0, 0, 5, 0xe1]);
  release.fill(0, 10, 41);
  core.fb_broker_message(put(release), 60);
  assert.deepEqual(poll().map((a) => [a.type, a.m, a.which]), [[EGRESS_OPEN, create.m, 1]]);
  core.fb_egress_open(create.m, 70);
  const [attach] = poll();
  assert.equal(attach.type, EGRESS_SEND);
  assert.equal(attach.bytes.length, 398);
  assert.deepEqual([...attach.bytes.subarray(0, 2)], [3, 0x77]);
  assert.equal(core.fb_relay(create.m, 0, 1, 512, 75), 2); // waits
  core.fb_peer_open(create.m, 80);
  const opened = poll();
  assert.deepEqual(opened.map((a) => a.type), [EGRESS_SEND, PEER_SEND, NEXT]);
  assert.equal(opened[2].which, 0);
  assert.equal(core.fb_next(create.m, 0, 512, 80), 1);
  assert.equal(core.fb_relay(create.m, 1, 1, 16000, 90), 1);
  assert.equal(core.fb_relay(create.m, 1, 0, 100, 90), 0);
  assert.equal(core.fb_relay(create.m, 1, 2, 3, 90), 3);
  assert.deepEqual(look().slice(3, 7), [1, 1, 16000, 512]);
  assert.deepEqual(look().slice(12), [create.m, 0x4952]);
  limits(core, poll, look, create.m);

  core.fb_hop(create.m, 1, put(new Uint8Array([2, 3, 6])), 100);
  const end = poll();
  assert.deepEqual(end.map((a) => a.type), [EGRESS_SEND, EGRESS_CLOSE, PEER_CLOSE, SAY, SAY]);
  assert.deepEqual([...end[3].bytes], [DONE, 0, 0, 0, 0, 0, 0, 0, 5, 0]);
  core.fb_switch(0, 110);
  poll();
  assert.equal(core.fb_deadline(), Infinity);
  assert.equal(look()[0], 0);
});

/** @param {any} core @param {() => any[]} poll @param {() => number[]} look @param {number} m */
function limits(core, poll, look, m) {
  core.fb_set_limits(3, 250000, 0, 0, 202611, 0, 0, 0, 95);
  assert.equal(core.fb_relay(m, 1, 1, 16000, 95), 1);
  assert.equal(core.fb_relay(m, 1, 1, 100, 95), 2); // waits for its turn
  poll();
  const due = core.fb_deadline();
  assert.ok(due > 95 && due <= 95 + 64);
  core.fb_tick(due);
  assert.deepEqual(poll().map((a) => [a.type, a.m, a.which]), [[NEXT, m, 1]]);
  assert.equal(core.fb_next(m, 1, 100, due), 1);
  core.fb_set_clock(20787 * 1440, due);
  assert.equal(look()[11], 202611);
  core.fb_set_limits(3, 0, 0, 5e12, 202611, 0, 0, 3, due);
  assert.equal(look()[10], 5e12);
  core.fb_set_place(3, due);
  poll();
  assert.equal(look()[0], 3);
}

test('descriptions of both browsers, and what is none', () => {
  for (const name of ['chromium-answer', 'chromium-raw-answer', 'firefox-answer',
    'firefox-raw-answer']) {
    const { core, put, poll } = ready(1);
    core.fb_broker_message(put(offer()), 40);
    const sdp = readFileSync(new URL(`${name}.sdp`, vectors), 'utf8');
    assert.equal(core.fb_peer_described(poll()[0].m, put(sdp), 50), 1);
    assert.equal(poll()[0].bytes[0], ANSWER);
  }
  const { core, put, poll } = ready(1);
  core.fb_broker_message(put(offer()), 40);
  assert.equal(core.fb_peer_described(poll()[0].m, put('v=0\r\n'), 50), 0);
  assert.deepEqual(poll().map((a) => a.type), [PEER_CLOSE, SAY, SAY]);
});

test('arguments that make no sense do no harm', () => {
  const { core, poll } = load();
  assert.equal(core.fb_boot(3, 0, 1, 0, 0), 0);
  assert.equal(core.fb_boot(0, 3, 1, 0, 0), 0);
  assert.equal(core.fb_boot(0, 0, -1, 0, 0), 0);
  assert.equal(core.fb_boot(0, 0, 1, 0, 17), 0);
  assert.equal(core.fb_boot(1, 0, 0, 1, 0), 1);
  assert.equal(core.fb_boot(1, 0, 0, 1, 0), 0);
  core.fb_switch(1, NaN);
  core.fb_broker_open(-1);
  core.fb_broker_message(1 << 30, 1);
  core.fb_broker_message(-1, 1);
  core.fb_hop(7, 1, -5, 1);
  core.fb_drained(7, 1, 1e300);
  core.fb_tick(1e300);
  core.fb_set_limits(-1, NaN, -1, Infinity, -1, -1, 1e9, -1, 1);
  core.fb_set_clock(-1, 1);
  core.fb_set_place(-1, 1);
  poll();
  assert.equal(core.fb_peer_described(9, 1 << 30, 1), 0);
});

test('small enough', () => {
  assert.ok(gzipSync(file, { level: 9 }).length <= 12 * 1024);
});
