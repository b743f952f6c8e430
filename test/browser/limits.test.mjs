// @ts-check
/**
 * The visitor's limits in a real tab, with two readers: the bridge and its peer connections as the
 * frame has them, in a worker where channels can go there (Chromium), else in the page (Firefox).
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { freePort } from '../net/ports.mjs';
import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Origin } from './origin.mjs';
import { Program, quick } from './program.mjs';

/** @typedef {import('../../web/widget/bridge.js').News} News */
/** @typedef {import('../../web/widget/bridge.js').View} View */

const LONG = { timeout: 120000 };
const RATE = 2e6; // bit/s
const WARM_MS = 3000;
const WINDOW_MS = 10000;
const SETTINGS = { people: 4, rate: 0, budget: 0, from: 0, to: 0, metered: false, battery: false };

/** In the page: the bridge; globals tell() and view. @param {boolean} apart in a worker */
async function begin(apart) {
  const scope = /** @type {any} */ (globalThis);
  const { Peers } = await import(/** @type {any} */ ('/peers.js'));
  const peers = new Peers((/** @type {News} */ news, /** @type {any[]} */ transfer) =>
    scope.tell(news, transfer));
  const obey = (/** @type {import('../../web/widget/bridge.js').Order} */ order) => {
    if (order.do === 'view') scope.view = order.view;
    else peers.obey(order);
  };
  if (!apart) {
    const { Bridge, keepTime } = await import(/** @type {any} */ ('/bridge.js'));
    const bridge = new Bridge((/** @type {any} */ order) => setTimeout(obey, 0, order));
    scope.tell = (/** @type {News} */ news) => bridge.tell(news);
    return keepTime(scope.tell);
  }
  const worker = new Worker('/worker.js', { type: 'module' });
  scope.tell = (/** @type {News} */ news, /** @type {any[]} */ transfer = []) =>
    worker.postMessage(news, transfer);
  await new Promise((ready) => {
    worker.onmessage = ({ data }) => data.do === 'ready' ? ready(undefined) : obey(data);
  });
}

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`limits in a tab of ${name}`, { skip }, () => {
    /** @type {Origin} */ let origin;
    /** @type {Network} */ let network;
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;
    /** @type {any} */ let page;
    /** @type {Program} */ let second;
    let proxy = '';
    const dir = mkdtempSync(join(tmpdir(), 'footbridge-limits-'));
    /** @type {{ bytes: number, curl: import('node:child_process').ChildProcess }[]} */
    const readers = [];

    before(async () => {
      origin = await Origin.start();
      network = await Network.start({ allow: [`127.0.0.1:${origin.port}`] });
      browser = await launch(name);
      page = await browser.newPage();
      await page.goto(`${await network.operator}/frame.html`);
      await page.evaluate(begin, name === 'chromium');
    }, LONG);

    after(async () => {
      for (const { curl } of readers) curl.kill();
      await second?.stop();
      await browser?.close();
      await network?.stop();
      origin?.stop();
      rmSync(dir, { recursive: true, force: true });
    }, LONG);

    /** @param {News} news */
    const tell = (news) => page.evaluate((/** @type {any} */ what) =>
      /** @type {any} */ (globalThis).tell(what), news);

    /** @param {Partial<typeof SETTINGS>} part @param {number} [used] @param {number} [month] */
    const set = (part, used = 0, month = 0) =>
      tell({ did: 'settings', settings: { ...SETTINGS, ...part }, used, month });

    /** @returns {Promise<View>} */
    const view = () => page.evaluate(() => /** @type {any} */ (globalThis).view);

    /** @param {(view: View) => boolean} what */
    const shows = async (what) => {
      const deadline = Date.now() + 30000;
      for (let now; !(now = await view()) || !what(now);) {
        assert.ok(Date.now() < deadline, `${what}: ${JSON.stringify(now)}`);
        await new Promise((done) => setTimeout(done, 50));
      }
    };

    /** @param {string} through @param {string} name */
    const read = (through, name) => {
      const curl = spawn('curl', ['--silent', '--noproxy', '', '--proxy', `socks5h://${through}`,
        `${origin.url}/noise/1000000000/${name}`], { stdio: ['ignore', 'pipe', 'ignore'] });
      const reader = { bytes: 0, curl };
      curl.stdout.on('data', (data) => (reader.bytes += data.length));
      readers.push(reader);
    };

    /** @param {number} is @param {number} wanted @param {string} what */
    const within = (is, wanted, what) =>
      assert.ok(Math.abs(is / wanted - 1) < 0.1, `${what}: ${is}, not ${wanted}`);

    test('2 Mbit/s hold for two readers, who have half each', LONG, async () => {
      await set({ rate: RATE });
      await tell({ did: 'switch', on: true });
      await shows((view) => view.now === 1);
      second = new Program(quick, ['client', '--join', network.link, '--verbose', '--listen',
        `127.0.0.1:${await freePort()}`, '--cache', dir]);
      await second.says(/^client: ready/m, 60000);
      proxy = second.output.match(/127\.0\.0\.1:\d+/)?.[0] ?? '';
      await shows((view) => view.now === 2);
      read(network.proxy, 'one');
      read(proxy, 'two');
      await shows((view) => view.down > 100000);
      await new Promise((done) => setTimeout(done, WARM_MS));
      const start = performance.now();
      const from = readers.map(({ bytes }) => bytes), { up, down } = await view();
      await new Promise((done) => setTimeout(done, WINDOW_MS));
      const seconds = (performance.now() - start) / 1000;
      const got = readers.map(({ bytes }, i) => (bytes - from[i]) * 8 / seconds);
      const after = await view();
      const relayed = (after.up + after.down - up - down) * 8 / seconds;
      console.log(`# relayed ${(relayed / 1e6).toFixed(3)} Mbit/s, readers got ` +
        got.map((each) => (each / 1e6).toFixed(3)).join(' and '));
      within(relayed, RATE, 'what is relayed'); // views are a second apart
      within((got[0] + got[1]) / 0.95, RATE, 'what readers get, but for headers and the like');
      for (const each of got) within(each, (got[0] + got[1]) / 2, 'a half');
      const { now, people, total, trouble } = await view();
      assert.deepEqual([now, people.length, total, trouble], [2, 2, 2, '']);
    });

    test('a budget pauses it, and a larger one resumes it', LONG, async () => {
      const { used, month } = await view();
      const budget = used + 4e6;
      await tell({ did: 'clock', minutes: 29000000 });
      await set({ budget }, used, month);
      await shows((view) => view.state === 'paused');
      const paused = await view();
      assert.deepEqual([paused.paused, paused.now], [['budget'], 0]);
      assert.ok(paused.used <= budget && paused.used > budget - 1.2e6,
        `${paused.used} of ${budget}`);
      await set({ rate: RATE }, paused.used, paused.month);
      await shows((view) => view.state === 'waiting' || view.state === 'carrying');
    });

    test('metered: it pauses; the reader goes on as soon as it comes back', LONG, async () => {
      await shows((view) => view.state === 'carrying');
      await tell({ did: 'place', metered: true, lowBattery: false });
      await shows((view) => view.state === 'paused' && view.paused[0] === 'metered');
      await tell({ did: 'place', metered: false, lowBattery: false });
      await shows((view) => view.state === 'carrying');
      const { down } = await view();
      await shows((view) => view.down > down + 300000);
    });
  });
}
