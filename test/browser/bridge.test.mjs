// @ts-check
/** web/widget/bridge.js with the real slot.wasm; sockets and channels do as they are told. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { dirname } from 'node:path';

import { Bridge } from '../../web/widget/bridge.js';
import { footbridge, until } from './program.mjs';

/** @typedef {import('../../web/widget/bridge.js').Order} Order */
/** @typedef {import('../../web/widget/bridge.js').View} View */

const wasm = readFileSync(`${dirname(footbridge)}/src/wasm/slot.wasm`);
const MIB = 1024 * 1024;
const EGRESS = 'ab'.repeat(32);
const CONFIG = {
  version: 1,
  broker: 'ws://broker.test/v1/volunteer',
  local: true,
  stun: ['stun:stun.test:3478'],
  egresses: [{ id: EGRESS, url: 'ws://egress.test/v1/path' }],
};

/** What a socket and a channel have in common. */
class Pipe {
  /** @type {Buffer[]} */ sent = [];
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType = '';
  /** @type {number | string} */ readyState = 0;
  /** @type {any} */ onopen = null;
  /** @type {any} */ onmessage = null;
  /** @type {any} */ onclose = null;
  /** @type {any} */ onbufferedamountlow = null;

  /** @param {ArrayBuffer | Uint8Array} data */
  send(data) {
    this.sent.push(Buffer.from(/** @type {ArrayBuffer} */ (data)));
  }

  /** @param {number[] | Buffer | string} bytes */
  receive(bytes) {
    this.onmessage?.({
      data: typeof bytes === 'string' ? bytes : new Uint8Array(bytes).buffer,
    });
  }

  close() {
    this.readyState = this instanceof Socket ? 3 : 'closed';
  }

  /** The other side, or the network, ends it. */
  die() {
    this.close();
    this.onclose?.({ code: 1006 });
  }
}

class Socket extends Pipe {
  static OPEN = 1;
  /** @type {Socket[]} */ static all = [];

  /** @param {string} url */
  constructor(url) {
    super();
    this.url = url;
    Socket.all.push(this);
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }
}

class Channel extends Pipe {
  readyState = 'connecting';

  open() {
    this.readyState = 'open';
    this.onopen();
  }
}

/** @param {string} part */
const sockets = (part) => Socket.all.filter(({ url }) => url.includes(part));

/** @type {Order[]} */ let orders;
/** @type {Bridge} */ let bridge;
/** @type {string[]} */ let fetched;
const real = { fetch: globalThis.fetch, WebSocket: globalThis.WebSocket };

/** @returns {View} */
const view = () => {
  const views = orders.filter((order) => order.do === 'view');
  const last = views[views.length - 1];
  assert.ok(last?.do === 'view');
  return last.view;
};

beforeEach(() => {
  Socket.all = [];
  orders = [];
  fetched = [];
  Object.assign(globalThis, {
    WebSocket: Socket,
    fetch: async (/** @type {URL} */ url) => {
      fetched.push(url.href.replace(/.*web\/widget\//, ''));
      return url.href.endsWith('.wasm')
        ? new Response(wasm, { headers: { 'content-type': 'application/wasm' } })
        : Response.json(CONFIG);
    },
  });
  bridge = new Bridge((order) => orders.push(order));
});

afterEach(() => {
  bridge.tell({ did: 'switch', on: false });
  Object.assign(globalThis, real);
});

/** @param {number} value */
const u16 = (value) => [value >> 8, value & 255];

/** @param {string} text */
const lengthAndText = (text) => [text.length, ...Buffer.from(text)];

/** A client's description in the compact form, doc/protocol.md. */
const description = [
  0x10, ...lengthAndText('ufra'), ...lengthAndText('p'.repeat(22)), ...Array(32).fill(7), // actpass
  1, 0, 192, 0, 2, 1, ...u16(4000), 0x7e, 0, 0, 1, // one host candidate
];

/** @param {number} match */
const id = (match) => [0, 0, 0, 0, 0, 0, 0, match];
const WELCOME = [2, 1, 0, 0];
/** @param {number} match */
const offer = (match) => [4, ...id(match), ...Buffer.from('IR'),
  ...u16(description.length), ...description];
/** @param {number} match */
const release = (match) => [7, ...id(match), ...Buffer.from(EGRESS, 'hex'), ...Array(141).fill(8),
  ...Array(256).fill(9)];

const ANSWER = [
  'v=0', 'o=- 1 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'c=IN IP4 0.0.0.0', 'a=ice-ufrag:abcd',
  `a=ice-pwd:${'w'.repeat(24)}`, `a=fingerprint:sha-256 ${Array(32).fill('0A').join(':')}`,
  'a=setup:active', 'a=mid:0', 'a=sctp-port:5000', 'a=max-message-size:262144',
  'a=candidate:1 1 UDP 2122252543 192.0.2.2 5000 typ host', '',
].join('\r\n');

/** Switched on and welcomed. @returns {Promise<Socket>} the broker's socket */
async function welcomed() {
  bridge.tell({ did: 'switch', on: true });
  await until(() => sockets('broker').length === 1, 'the broker to be called', 5000);
  const [broker] = sockets('broker');
  broker.open();
  assert.equal(broker.sent[0][0], 1, 'HELLO');
  broker.receive(WELCOME);
  assert.equal(view().state, 'waiting');
  return broker;
}

/**
 * A match whose egress socket exists and whose channel has been handed over.
 * @param {Socket} broker
 * @param {number} match
 */
function matched(broker, match) {
  broker.receive(offer(match));
  const order = orders[orders.length - 1];
  assert.ok(order.do === 'peer' && order.sdp.includes('a=ice-ufrag:ufra'));
  assert.deepEqual(order.stun, CONFIG.stun);
  const channel = new Channel();
  bridge.tell({ did: 'channel', peer: order.peer, channel: /** @type {any} */ (channel) });
  bridge.tell({ did: 'described', peer: order.peer, sdp: ANSWER });
  const answer = broker.sent[broker.sent.length - 1];
  assert.equal(answer[0], 5, 'ANSWER');
  assert.equal(answer[8], match);
  broker.receive(release(match));
  const egress = sockets('egress').pop();
  assert.ok(egress);
  return { peer: order.peer, channel, egress };
}

/** @param {Pipe} pipe */
const sessionMessages = (pipe) => pipe.sent.filter(([kind]) => kind === 1).map((m) => [...m]);

test('off, it fetches and opens nothing', async () => {
  bridge.tell({ did: 'switch', on: false });
  await new Promise((done) => setImmediate(done));
  assert.deepEqual([fetched, Socket.all], [[], []]);
});

test('on, it fetches its configuration and the core, and waits at the broker', async () => {
  await welcomed();
  assert.deepEqual(fetched.sort(), ['slot.wasm', 'v1/widget']);
});

test('an extension asks its operator, has the core itself, and says what it is', async () => {
  bridge.tell({ did: 'extension', operator: 'https://operator.test/' });
  const broker = await welcomed();
  assert.deepEqual(fetched.sort(), ['https://operator.test/v1/widget', 'slot.wasm']);
  assert.deepEqual([...broker.sent[0].subarray(0, 3)], [1, 1, 2]);
});

test('a match: attach goes first, early messages wait in order, then both ways', async () => {
  const { channel, egress } = matched(await welcomed(), 1);
  egress.open();
  assert.deepEqual([...egress.sent[0]], [3, ...Array(141).fill(8), ...Array(256).fill(9)]);
  egress.receive([1, 0x12, 1]);
  egress.receive([1, 0x12, 2]);
  assert.deepEqual(sessionMessages(channel), []);
  channel.open();
  assert.deepEqual(sessionMessages(channel), [[1, 0x12, 1], [1, 0x12, 2]]);
  channel.receive([1, 0, 3]);
  egress.receive([1, 0, 4]);
  assert.deepEqual(sessionMessages(egress), [[1, 0, 3]]);
  assert.deepEqual(sessionMessages(channel).pop(), [1, 0, 4]);
  assert.deepEqual([view().state, view().now, view().total], ['carrying', 1, 1]);
});

/** One more lane of a match, open. @param {{ channel: Channel }} match @param {number} number */
function moreLanes({ channel }, number) {
  channel.receive([2, 0x10, 0, number, ...description]);
  const order = orders[orders.length - 1];
  assert.ok(order.do === 'peer' && order.sdp.includes('a=setup:actpass'));
  const lane = new Channel();
  bridge.tell({ did: 'channel', peer: order.peer, channel: /** @type {any} */ (lane) });
  bridge.tell({ did: 'described', peer: order.peer, sdp: ANSWER });
  const answer = channel.sent[channel.sent.length - 1];
  assert.deepEqual([...answer.subarray(0, 4)], [2, 0x11, 0, number]);
  lane.open();
  return { lane, peer: order.peer };
}

test('lanes: the one with the least takes a message, one may die, the last ends the match',
  async () => {
    const match = matched(await welcomed(), 1);
    match.egress.open();
    match.channel.open();
    const { lane, peer } = moreLanes(match, 2);
    match.channel.bufferedAmount = 10;
    match.egress.receive([1, 0, 1]);
    assert.deepEqual(sessionMessages(lane), [[1, 0, 1]]);
    lane.bufferedAmount = 20;
    match.egress.receive([1, 0, 2]);
    assert.deepEqual(sessionMessages(match.channel), [[1, 0, 2]]);
    lane.receive([1, 0, 3]);
    assert.deepEqual(sessionMessages(match.egress), [[1, 0, 3]]);
    match.channel.die();
    assert.equal(view().now, 1);
    assert.equal(match.egress.readyState, 1);
    match.egress.receive([1, 0, 4]);
    assert.deepEqual(sessionMessages(lane).pop(), [1, 0, 4]);
    lane.die();
    assert.equal(match.egress.readyState, 3);
    assert.ok(orders.some((order) => order.do === 'close' && order.peer === peer));
    assert.equal(view().now, 0);
  });

test('a queue that dies with its lane is reported as gone', async () => {
  const match = matched(await welcomed(), 1);
  match.egress.open();
  match.channel.open();
  const { lane } = moreLanes(match, 2);
  lane.bufferedAmount = 300 * 1024;
  match.egress.receive([1, 0, 1]);
  assert.deepEqual([...match.egress.sent[match.egress.sent.length - 1].subarray(0, 2)], [2, 1]);
  lane.die();
  assert.deepEqual([...match.egress.sent[match.egress.sent.length - 1]], [2, 1, 0, 0, 0, 0]);
});

test('a client that breaks the rules of lanes loses its path', async () => {
  const match = matched(await welcomed(), 1);
  match.egress.open();
  match.channel.open();
  const { lane } = moreLanes(match, 2);
  lane.receive([2, 0x10, 0, 2, ...description]); // the number is in use
  assert.deepEqual([match.channel.readyState, lane.readyState], ['closed', 'closed']);
  assert.equal(match.egress.readyState, 3);
});

test('cover and unknown kinds are dropped, and so is text', async () => {
  const { channel, egress } = matched(await welcomed(), 1);
  egress.open();
  channel.open();
  const before = egress.sent.length;
  channel.receive([0, 1, 2]);
  channel.receive([0x7f]);
  channel.receive('text');
  assert.equal(egress.sent.length, before);
});

test('an own close of either hop ends the other, and the peer connection', async () => {
  const broker = await welcomed();
  for (const side of /** @type {const} */ (['channel', 'egress'])) {
    const match = matched(broker, side === 'channel' ? 1 : 2);
    match.egress.open();
    match.channel.open();
    match[side].die();
    assert.equal(match.channel.readyState, 'closed');
    assert.equal(match.egress.readyState, 3);
    assert.ok(orders.some((order) => order.do === 'close' && order.peer === match.peer));
    assert.equal(view().state, 'waiting');
  }
});

for (const towards of /** @type {const} */ (['channel', 'egress']))
  test(`a queue over 1 MiB towards the ${towards} closes that path, with a farewell`, async () => {
    const broker = await welcomed();
    const full = matched(broker, 1);
    const other = matched(broker, 2);
    for (const match of [full, other]) {
      match.egress.open();
      match.channel.open();
    }
    const from = towards === 'channel' ? full.egress : full.channel;
    full[towards].bufferedAmount = MIB - 1000;
    from.receive([1, 0, ...Array(400).fill(1)]);
    assert.equal(sessionMessages(full[towards]).length, 1);
    full[towards].bufferedAmount = MIB + 1000;
    from.receive([1, 0, ...Array(400).fill(1)]);
    assert.equal(sessionMessages(full[towards]).length, 1);
    assert.deepEqual([...full.channel.sent[full.channel.sent.length - 1]], [2, 3, 1]);
    assert.equal(full.egress.readyState, 3);
    full.channel.bufferedAmount = 0;
    full.channel.onbufferedamountlow?.();
    assert.equal(full.channel.readyState, 'closed');
    assert.equal(other.channel.readyState, 'open');
    assert.equal(view().now, 1);
  });

test('what waits for a hop to open is bounded', async () => {
  const { channel, egress } = matched(await welcomed(), 1);
  egress.open();
  for (let i = 0; i < 3; i++) egress.receive([1, 0, ...Array(15000).fill(1)]);
  assert.equal(egress.readyState, 3);
  assert.equal(channel.readyState, 'closed');
});

test('a message over 16,000 bytes closes the path', async () => {
  const { channel, egress } = matched(await welcomed(), 1);
  egress.open();
  channel.open();
  channel.receive(Buffer.alloc(16001, 1));
  assert.equal(egress.readyState, 3);
});

test('switched off, everything closes and nothing comes back', async () => {
  const broker = await welcomed();
  const { channel, egress } = matched(broker, 1);
  egress.open();
  channel.open();
  bridge.tell({ did: 'switch', on: false });
  assert.equal(view().state, 'off');
  assert.deepEqual([broker.readyState, egress.readyState, channel.readyState], [3, 3, 'closed']);
  const count = Socket.all.length;
  for (const pipe of [broker, egress, channel]) pipe.onclose?.({ code: 1000 });
  channel.receive([1, 0, 1]);
  broker.receive(offer(2));
  await new Promise((done) => setTimeout(done, 50));
  assert.equal(Socket.all.length, count);
  assert.equal(view().state, 'off');
});

test('switched on again, it carries again', async () => {
  await welcomed();
  bridge.tell({ did: 'switch', on: false });
  bridge.tell({ did: 'switch', on: true });
  await until(() => sockets('broker').length === 2, 'the broker to be called again', 5000);
  const broker = sockets('broker')[1];
  broker.open();
  broker.receive(WELCOME);
  const { channel, egress } = matched(broker, 1);
  egress.open();
  channel.open();
  assert.equal(view().state, 'carrying');
  assert.equal(fetched.length, 2);
});

test('a broker that breaks the rules, or is gone, is trouble and not the end', async () => {
  const broker = await welcomed();
  broker.receive([99, 1, 2, 3]);
  assert.equal(broker.readyState, 3);
  assert.equal(view().state, 'trouble');
  await until(() => sockets('broker').length === 2, 'another try', 20000);
});

test('an operator whose files cannot be had is trouble', async () => {
  globalThis.fetch = async () => { throw new Error('down'); };
  bridge.tell({ did: 'switch', on: true });
  await until(() => view().state === 'trouble', 'the trouble to show', 5000);
});

test('a peer connection that cannot be made is declined', async () => {
  const broker = await welcomed();
  broker.receive(offer(1));
  const order = orders[orders.length - 1];
  assert.ok(order.do === 'peer');
  bridge.tell({ did: 'closed', peer: order.peer });
  const last = broker.sent.filter(([type]) => type === 6).pop();
  assert.ok(last);
  assert.equal(last[8], 1);
});

/** @type {import('../../web/widget/bridge.js').Settings} */
const SETTINGS = { people: 4, rate: 0, budget: 0, from: 0, to: 0, metered: false, battery: false };

/** @param {Partial<typeof SETTINGS>} part @param {number} [used] @param {number} [month] */
const set = (part, used = 0, month = 0) =>
  bridge.tell({ did: 'settings', settings: { ...SETTINGS, ...part }, used, month });

test('what was told before there is a slot holds from its first moment', async () => {
  set({ people: 2 }, 7000, 202611);
  bridge.tell({ did: 'clock', minutes: 20787 * 1440 });
  bridge.tell({ did: 'nat', nat: 'hard' });
  bridge.tell({ did: 'place', metered: true, lowBattery: false });
  bridge.tell({ did: 'switch', on: true });
  assert.deepEqual([view().state, view().used, view().month], ['starting', 7000, 202611]);
  await until(() => view().state === 'paused', 'the pause', 5000);
  assert.deepEqual([view().paused, view().used, view().month], [['metered'], 7000, 202611]);
  assert.deepEqual(Socket.all, []);
  bridge.tell({ did: 'place', metered: false, lowBattery: false });
  const [broker] = sockets('broker');
  broker.open();
  assert.deepEqual([...broker.sent[0]], [1, 1, 1, 2, 0, 2]); // HELLO of a browser behind a hard NAT
  broker.receive(WELCOME);
  assert.deepEqual([view().state, view().paused], ['waiting', []]);
  assert.deepEqual([...broker.sent[1]], [3, 0, 2]);
});

test('paused, it says farewell, leaves, and comes back by itself', async () => {
  const broker = await welcomed();
  const { channel, egress } = matched(broker, 1);
  egress.open();
  channel.open();
  bridge.tell({ did: 'place', metered: true, lowBattery: true });
  assert.deepEqual([view().state, view().paused], ['paused', ['metered', 'battery']]);
  assert.deepEqual([...channel.sent[channel.sent.length - 1]], [2, 3, 0]);
  assert.deepEqual([broker.readyState, egress.readyState, channel.readyState], [3, 3, 'closed']);
  bridge.tell({ did: 'place', metered: false, lowBattery: true });
  assert.deepEqual(view().paused, ['battery']);
  set({ battery: true });
  assert.equal(view().state, 'starting');
  assert.equal(sockets('broker').length, 2);
});

test('a speed limit: in order, hop control overtakes, both directions', async () => {
  const match = matched(await welcomed(), 1);
  match.egress.open();
  match.channel.open();
  set({ rate: 800000 });
  const message = (/** @type {number} */ n) => [1, 0, n, ...Array(3997).fill(0)];
  const start = performance.now();
  for (let n = 0; n < 10; n++) {
    match.egress.receive(message(n));
    match.channel.receive(message(n));
  }
  match.egress.receive([2, 19]); // FULL, which would be passed on if the line were the limit
  assert.ok(sessionMessages(match.channel).length + sessionMessages(match.egress).length <= 4);
  const all = () => sessionMessages(match.channel).length === 10 &&
    sessionMessages(match.egress).length === 10;
  await until(all, 'all to pass', 10000);
  const ms = performance.now() - start; // 80,000 bytes at 100,000 a second, 50 ms and one ahead
  assert.ok(ms > 650, `${ms} ms`);
  for (const pipe of [match.channel, match.egress])
    assert.deepEqual(sessionMessages(pipe).map((m) => m[2]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual([view().now, match.channel.sent.some(([kind, type]) => kind === 2 &&
    type === 19)], [1, false]);
});

test('a budget counts both hops, pauses a window before its end, and says so', async () => {
  const match = matched(await welcomed(), 1);
  match.egress.open();
  match.channel.open();
  bridge.tell({ did: 'clock', minutes: 20787 * 1440 + 1439 });
  set({ budget: 2 * MIB }, 1000, 202611);
  const { used } = view();
  match.egress.receive([1, 0, ...Array(9998).fill(0)]);
  for (let n = 0; n < 200 && view().state !== 'paused'; n++)
    match.egress.receive([1, 0, ...Array(9998).fill(0)]);
  assert.deepEqual([view().state, view().paused, view().month], ['paused', ['budget'], 202611]);
  assert.ok(view().used >= MIB && view().used <= MIB + 20100, `${view().used}`);
  assert.ok(used > 1000 && view().used - used >= 2 * view().down);
  bridge.tell({ did: 'clock', minutes: 20787 * 1440 + 1440 });
  assert.deepEqual([view().state, view().month], ['starting', 202612]);
  assert.ok(view().used < 100);
});

test('it tells who is helped by number and country alone', async () => {
  const broker = await welcomed();
  const ids = [1, 2].map((n) => {
    const match = matched(broker, n);
    match.egress.open();
    match.channel.open();
    return match.peer;
  });
  const { people } = view();
  assert.deepEqual(people.map(({ id }) => id).sort(), ids);
  assert.deepEqual(people.map((person) => ({ ...person, id: 0 })),
    [{ id: 0, country: 'IR' }, { id: 0, country: 'IR' }]);
});

/** A broker's mischief, by what the details panel calls it. */
const MISCHIEF = /** @type {Record<string, (broker: Socket) => void>} */ ({
  garbage: (broker) => broker.receive([99, 1, 2, 3]),
  version: (broker) => broker.onclose({ code: 4001 }),
  oversized: (broker) => broker.receive([4, ...Array(60000).fill(0)]),
  egress: (broker) => {
    broker.receive(offer(1));
    const order = orders[orders.length - 1];
    assert.ok(order.do === 'peer');
    bridge.tell({ did: 'described', peer: order.peer, sdp: ANSWER });
    broker.receive(release(1).map((byte, i) => (i === 9 ? byte ^ 1 : byte)));
    // Opened with the answer, to the only one there is; and told nothing.
    const [{ readyState, sent }, ...more] = sockets('egress');
    assert.deepEqual([readyState, sent, more], [3, [], []]);
  },
  flood: (broker) => {
    const before = orders.length;
    for (let n = 0; n < 1000; n++)
      broker.receive([4, ...id(0).slice(0, 6), n >> 8, n & 255, ...offer(0).slice(9)]);
    assert.equal(orders.slice(before).filter((order) => order.do === 'peer').length, 4);
  },
});

for (const [trouble, make] of Object.entries(MISCHIEF))
  test(`a broker's mischief (${trouble}) is told, and does not end it`, async () => {
    const first = await welcomed();
    make(first);
    assert.equal(view().trouble, trouble);
    if (first.readyState === Socket.OPEN) first.die();
    await until(() => sockets('broker').length === 2, 'another try', 20000);
    const broker = sockets('broker')[1];
    broker.open();
    broker.receive(WELCOME);
    const { channel, egress } = matched(broker, 7);
    egress.open();
    channel.open();
    assert.deepEqual([view().state, view().now, view().trouble], ['carrying', 1, trouble]);
  });

test('files that cannot be had for long are asked for no more than once a minute', async () => {
  /** @type {number[]} */ const waits = [];
  const { setTimeout: later } = globalThis;
  let asked = 0;
  globalThis.fetch = async () => {
    asked++;
    throw new Error('down');
  };
  try {
    globalThis.setTimeout = /** @type {any} */ ((/** @type {() => void} */ run,
      /** @type {number} */ ms) => waits.push(ms) < 30 && setImmediate(run));
    bridge.tell({ did: 'switch', on: true });
    while (waits.length < 30) await new Promise((done) => setImmediate(done));
  } finally {
    globalThis.setTimeout = later;
  }
  assert.ok(asked >= 30);
  assert.deepEqual([view().state, view().trouble], ['trouble', 'files']);
  let ms = 0;
  for (const wait of waits) {
    assert.ok(ms < 600000 || wait >= 60000, `${wait} ms after ${ms}`);
    ms += wait;
  }
});
