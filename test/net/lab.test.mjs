// @ts-check
/** The laboratory itself: do links and NATs do what they say, and does it leave nothing behind? */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { until } from '../browser/program.mjs';
import { Lab, labProgram, noLab } from './lab.mjs';
import { addStun, behaviour } from './stun.mjs';
import { datagrams } from './udp.mjs';

const skip = noLab() || false;
const LATE_MS = 25; // of a busy machine's own making, in the middle of many

/** @param {number} value @param {number} low @param {number} high @param {string} what */
function between(value, low, high, what) {
  assert.ok(value >= low && value <= high, `${what}: ${value}, not from ${low} to ${high}`);
}

describe('a link', { skip }, () => {
  /** @type {Lab} */ let lab;
  before(async () => {
    lab = await Lab.open({ seed: 7 });
    await lab.addHost('a', { link: { delay: 40 } });
    await lab.addHost('b');
  });
  after(() => lab?.close());

  test('delays, each direction on its own', async () => {
    await lab.set('a', { down: { delay: 10 } });
    const up = await datagrams(lab, 'a', 'b', { count: 500, bits: 4e6 });
    const down = await datagrams(lab, 'b', 'a', { count: 500, bits: 4e6 });
    assert.equal(up.arrived, 500);
    between(up.delay.min, 40, 41, 'least delay up');
    between(up.delay.median, 40, 40 + LATE_MS, 'delay up');
    between(down.delay.min, 10, 11, 'least delay down');
    between(down.delay.median, 10, 10 + LATE_MS, 'delay down');
  });

  test('jitters and keeps the order', async () => {
    await lab.set('a', { down: { jitter: 100 } });
    const flow = await datagrams(lab, 'b', 'a', { count: 500, bits: 4e6 });
    assert.ok(flow.inOrder && flow.arrived === 500);
    between(flow.delay.max - flow.delay.min, 40, 100 + 2 * LATE_MS, 'spread');
  });

  test('loses by chance, and the same packets for the same seed', async () => {
    /** @type {number[]} */ const arrived = [];
    for (let i = 0; i < 2; i++) {
      const other = await Lab.open({ seed: 3 });
      try {
        await other.addHost('a', { link: { up: { loss: 0.05 } } });
        await other.addHost('b');
        const flow = await datagrams(other, 'a', 'b', { count: 5000, size: 100, bits: 10e6 });
        const { up, down } = await other.count('a');
        // Those that said it was all are lost too.
        assert.ok(up.droppedLoss >= 5000 - flow.arrived && down.droppedLoss === 0);
        between(flow.arrived, 4690, 4810, 'of 5,000 at 5 % loss');
        arrived.push(flow.arrived);
      } finally {
        await other.close();
      }
    }
    assert.equal(arrived[0], arrived[1]);
  });

  test('loses in bursts', async () => {
    await lab.set('a', { up: { delay: 1, burstStart: 0.01, burstEnd: 0.1 } });
    const flow = await datagrams(lab, 'a', 'b', { count: 10000, size: 100, bits: 20e6 });
    await lab.set('a', { up: { burstStart: 0, burstEnd: 1 } });
    const lost = flow.sent - flow.arrived;
    between(lost / flow.bursts, 6, 15, 'mean length of a burst');
    between(lost / flow.sent, 0.05, 0.14, 'share that is lost'); // 0.01 / (0.01 + 0.1)
  });

  test('has a rate that is exact', async () => {
    await lab.set('a', { up: { delay: 20, rate: 8e6, queue: 2e6 } });
    const flow = await datagrams(lab, 'a', 'b', { count: 1500, size: 1000, bits: 60e6 });
    assert.equal(flow.arrived, 1500);
    between(flow.mbits, 7.8, 8.2, 'Mbit/s at 8'); // for 1.5 s; the receiver's clock may stumble
    between(flow.delay.max, 1300, 1550, 'delay of the last');
  });

  test('has a queue that is bounded', async () => {
    await lab.set('a', { up: { queue: 40000 } });
    const before = await lab.count('a');
    const flow = await datagrams(lab, 'a', 'b', { count: 500, size: 1000, bits: 60e6 });
    const { up, refused } = await lab.count('a');
    assert.ok(up.queuedMax > 38000 && up.queuedMax <= 40000, `${up.queuedMax} bytes queued`);
    assert.ok(up.droppedQueue - before.up.droppedQueue >= 500 - flow.arrived);
    between(flow.arrived, 38, 200, 'arrived of 500');
    between(flow.delay.max, 58, 61 + LATE_MS, 'delay behind a full queue'); // 20 + 40
    assert.equal(refused, 0);
  });

  test('changes while it carries', async () => {
    await lab.set('a', { up: { delay: 1, rate: 4e6, queue: 1e6 } });
    const flow = datagrams(lab, 'a', 'b', { count: 1000, size: 1000, bits: 100e6 });
    while ((await lab.count('a')).up.queued < 400000); // each look waits for an answer
    await lab.set('a', { up: { rate: 80e6 } });
    const { arrived, delay } = await flow;
    assert.equal(arrived, 1000);
    assert.ok(delay.max < 1900, `${delay.max} ms: as long as at the old rate`);
  });

  test('has legs by where its packets go', async () => {
    await lab.set('a', { up: { delay: 1, rate: 0 } });
    await lab.addHost('c');
    await lab.addLeg('a', 'c', { up: { delay: 60 } });
    const [b, c] = [await datagrams(lab, 'a', 'b', { count: 100, bits: 2e6 }),
      await datagrams(lab, 'a', 'c', { count: 100, bits: 2e6 })];
    between(b.delay.min, 1, 2, 'least delay to b');
    between(c.delay.min, 60, 61, 'least delay to c');
    assert.ok((await lab.count('a', 'c')).up.passed >= 100);
  });
});

describe('a NAT', { skip }, () => {
  /** @type {[import('./lab.mjs').Nat | undefined, import('./stun.mjs').Behaviour][]} */
  const kinds = [
    [undefined, { mapping: 'independent', filtering: 'independent' }],
    ['open', { mapping: 'independent', filtering: 'independent' }],
    ['address', { mapping: 'independent', filtering: 'address' }],
    ['port', { mapping: 'independent', filtering: 'port' }],
    ['symmetric', { mapping: 'port', filtering: 'port' }],
    ['no-udp', { mapping: 'none', filtering: 'none' }],
  ];
  /** @type {Lab} */ let lab;
  before(async () => {
    lab = await Lab.open();
    await addStun(lab);
  });
  after(() => lab?.close());

  for (const [nat, expected] of kinds)
    test(`${nat ?? 'none'} is what RFC 5780 sees`, async () => {
      await lab.addHost(`${nat}`, { nat });
      assert.deepEqual(await behaviour(lab, `${nat}`), expected);
    });
});

/** Processes in the network namespaces that these are in. @param {Set<string>} spaces */
function processesIn(spaces) {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && spaces.has(readlinkSync(`/proc/${pid}/ns/net`));
    } catch {
      return false;
    }
  });
}

describe('when it ends', { skip }, () => {
  /** @param {string} path */
  const at = (path) => JSON.stringify(new URL(path, import.meta.url));
  const script = `
    import { readlinkSync } from 'node:fs';
    import { Chromium } from ${at('../bench/cdp.mjs')};
    import { browserPath } from ${at('../browser/browsers.mjs')};
    import { Lab } from ${at('./lab.mjs')};
    const lab = await Lab.open();
    await lab.addHost('a', { nat: 'open', link: { delay: 1 } });
    await lab.addHost('b');
    const all = ['a', 'b'].map((host) => lab.run(host, 'sleep', ['300']));
    all.push(lab.run('a', 'sh', ['-c', 'readlink /proc/self/ns/net; exec sleep 300']));
    await all[2].says(/net:/);
    if (browserPath('chromium')) await Chromium.launch(lab.command('b'));
    console.log(JSON.stringify([readlinkSync('/proc/' + lab.child.pid + '/ns/net'),
      ...all.map(({ child }) => readlinkSync('/proc/' + child.pid + '/ns/net'))]));`;

  test('killed at once, it leaves no process and no namespace', async () => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script],
      { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (data) => (said += data));
    await until(() => said.endsWith('\n'), 'the laboratory');
    const spaces = new Set(/** @type {string[]} */ (JSON.parse(said)));
    assert.equal(spaces.size, 3);
    assert.ok(processesIn(spaces).length >= 4);
    child.kill('SIGKILL');
    await until(() => processesIn(spaces).length === 0, 'its processes to end', 10000);
    assert.equal(execFileSync('ip', ['netns'], { encoding: 'utf8' }).includes('lab'), false);
  });
});

test('without what it needs it says so in one line', () => {
  assert.match(noLab('/nowhere/lab'),
    /^no laboratory here: lab: it is not installed, or not built$/);
  const path = process.env.PATH;
  try {
    process.env.PATH = '/nowhere';
    assert.match(noLab(labProgram), /^no laboratory here: ip: [^\n]+$/);
  } finally {
    process.env.PATH = path;
  }
});
