// @ts-check
/** An operator's address that is down is tried ever more rarely: bridge.js by its own clock. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';

import { Bridge } from '../../web/widget/bridge.js';
import { footbridge } from './program.mjs';

const wasm = readFileSync(`${dirname(footbridge)}/src/wasm/slot.wasm`);
const MINUTE = 60000;
const CONFIG = {
  version: 1,
  broker: 'ws://broker.test/v1/volunteer',
  local: true,
  stun: ['stun:stun.test:3478'],
  egresses: [{ id: 'ab'.repeat(32), url: 'ws://egress.test/v1/path' }],
};

const real = {
  setTimeout, clearTimeout, fetch: globalThis.fetch, WebSocket: globalThis.WebSocket,
  instantiateStreaming: WebAssembly.instantiateStreaming,
};
const realNow = performance.now;

let now = 0;
/** @type {Map<number, { at: number, run: () => void }>} */ const timers = new Map();
/** @type {number[]} */ let attempts;
/** @type {string} */ let state;
/** @type {Bridge} */ let bridge;

/** All that promises have still to do. */
async function settle() {
  for (let i = 0; i < 5; i++) await new Promise((done) => setImmediate(done));
}

/** @param {number} ms */
async function pass(ms) {
  const end = now + ms;
  for (;;) {
    await settle();
    const [next] = [...timers].sort(([, a], [, b]) => a.at - b.at);
    if (!next || next[1].at > end) break;
    now = Math.max(now, next[1].at);
    timers.delete(next[0]);
    next[1].run();
  }
  now = end;
}

beforeEach(() => {
  let last = 0;
  now = 0;
  attempts = [];
  timers.clear();
  performance.now = () => now;
  Object.assign(globalThis, {
    setTimeout: (/** @type {() => void} */ run, /** @type {number} */ ms) => {
      timers.set(++last, { at: now + ms, run });
      return last;
    },
    clearTimeout: (/** @type {number} */ id) => timers.delete(id),
  });
  bridge = new Bridge((order) => {
    if (order.do === 'view') state = order.view.state;
  });
});

afterEach(() => {
  const { instantiateStreaming, ...globals } = real;
  WebAssembly.instantiateStreaming = instantiateStreaming;
  Object.assign(globalThis, globals);
  performance.now = realNow;
});

/** Tries soon, and then less and less often. */
async function backsOff() {
  bridge.tell({ did: 'switch', on: true });
  await pass(MINUTE);
  assert.ok(attempts.length >= 3, `only ${attempts.length} attempts in the first minute`);
  assert.equal(state, 'trouble');
  await pass(9 * MINUTE);
  await pass(50 * MINUTE);
  assert.equal(state, 'trouble');
  const late = attempts.filter((at) => at >= 10 * MINUTE);
  assert.ok(late.length >= 10, 'it goes on trying');
  for (let i = 1; i < late.length; i++)
    assert.ok(late[i] - late[i - 1] >= MINUTE, `${late[i - 1]} and then ${late[i]}`);
}

test('files that cannot be had', async () => {
  globalThis.fetch = async (url) => {
    if (String(url).endsWith('v1/widget')) attempts.push(now);
    throw new TypeError('down');
  };
  await backsOff();
  // Switched off and on again it tries at once, and not twice as often.
  for (const on of [false, true, false, true]) bridge.tell({ did: 'switch', on });
  await settle();
  attempts = [];
  await pass(60 * MINUTE);
  assert.ok(attempts.length <= 64, `${attempts.length} attempts in an hour`);
  bridge.tell({ did: 'switch', on: false });
  attempts = [];
  await pass(60 * MINUTE);
  assert.deepEqual(attempts, []);
});

test('a broker that is not there', async () => {
  const module = await WebAssembly.compile(wasm);
  WebAssembly.instantiateStreaming = async () =>
    ({ module, instance: new WebAssembly.Instance(module) });
  Object.assign(globalThis, {
    fetch: async () => Response.json(CONFIG),
    WebSocket: class {
      constructor() {
        attempts.push(now);
        queueMicrotask(() => /** @type {any} */ (this).onclose?.({ code: 1006 }));
      }

      close() {}
    },
  });
  await backsOff();
  bridge.tell({ did: 'switch', on: false });
  attempts = [];
  await pass(60 * MINUTE);
  assert.deepEqual(attempts, []);
});
