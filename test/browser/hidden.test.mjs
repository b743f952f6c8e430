// @ts-check
/**
 * A tab that another one hides goes on helping, and answers a reader whom it did not know before.
 * In Chromium as visitors start it: playwright's defaults would switch off what slows hidden tabs
 * down, so it is driven by its own protocol.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Chromium, Page } from '../bench/cdp.mjs';
import { browserPath, launch } from './browsers.mjs';
import { Origin, noiseHash } from './origin.mjs';
import { Program, quick, run, withDeadline } from './program.mjs';
import { Publisher } from './publisher.mjs';

const FULL = Boolean(process.env.FB_FULL);
const SECONDS = FULL ? { chromium: 600, firefox: 90 } : { chromium: 90, firefox: 20 };
const RATE = 256 * 1024;
const PAGE_MS = 3000;

/** How often a timer of 20 ms fires while a slowed tab's does so once a second. */
const TICKS = `new Promise((done) => {
  let ticks = 0;
  const end = Date.now() + ${PAGE_MS};
  const tick = () => (Date.now() > end ? done(ticks) : (ticks++, setTimeout(tick, 20)));
  tick();
})`;

/** @returns {Promise<number>} a port that nobody uses now */
const freePort = () => new Promise((done) => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    server.close(() => done(port));
  });
});

describe('hidden', () => {
  /** @type {Origin} */ let origin;
  /** @type {Publisher} */ let publisher;
  /** @type {string} */ let dir;
  /** @type {string} */ let link;
  /** @type {Program[]} */ const programs = [];

  /** @param {string[]} args */
  const start = (...args) => {
    const program = new Program(quick, args);
    programs.unshift(program);
    return program;
  };

  before(async () => {
    origin = await Origin.start();
    dir = mkdtempSync(join(tmpdir(), 'footbridge-hidden-'));
    const [at, egressAt] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
    const made = await run(quick, ['network', 'new', dir, '--local', '--broker', `http://${at}`,
      '--egress', `ws://${egressAt}/v1/path`]);
    link = made.stdout.match(/footbridge:\S+/)?.[0] ?? '';
    const broker = start('broker', '--keys', dir, '--offers', '0', '--listen', at);
    await broker.says(/listening/);
    start('egress', '--keys', dir, '--listen', egressAt, '--allow', `127.0.0.1:${origin.port}`);
    await broker.says(/egress is attached/);
    publisher = await Publisher.start(`http://${at}`);
  }, { timeout: 60000 });

  after(async () => {
    for (const program of programs) await program.stop();
    publisher?.stop();
    origin?.stop();
    rmSync(dir, { recursive: true, force: true });
  }, { timeout: 60000 });

  /** A reader comes, and fetches for so long. @param {number} seconds */
  async function reads(seconds) {
    const proxy = `127.0.0.1:${await freePort()}`;
    const client = start('client', '--join', link, '--listen', proxy, '--verbose', '--cache',
      join(dir, `cache-${seconds}`));
    await client.says(/^client: ready/m, 60000);
    const [size, seed, into] = [seconds * RATE, `hidden${seconds}`, join(dir, `file-${seconds}`)];
    const fetch = new Program('curl', ['--silent', '--show-error', '--fail', '--noproxy', '',
      '--speed-time', '10', '--speed-limit', String(RATE / 4), '--proxy', `socks5h://${proxy}`,
      '-o', into, `${origin.url}/noise/${size}/${seed}?rate=${RATE}`]);
    programs.unshift(fetch);
    const status = await withDeadline(fetch.ended, (2 * seconds + 30) * 1000, 'curl to end');
    assert.equal(status, 0, fetch.output);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(into)) hash.update(chunk);
    assert.equal(hash.digest('hex'), noiseHash(size, seed));
    await client.stop();
  }

  const long = (/** @type {number} */ seconds) => ({ timeout: (2 * seconds + 180) * 1000 });

  test('in Chromium', { skip: browserPath('chromium') ? false : 'no chromium here',
    ...long(SECONDS.chromium) }, async () => {
    const browser = await Chromium.launch();
    try {
      // The frame in a process of its own, as on publishers' pages: its site is not its page's.
      /** @type {Promise<Page>} */
      const inner = new Promise((found) => browser.events.set('Target.attachedToTarget',
        ({ sessionId, targetInfo: { type, targetId } }) =>
          type === 'iframe' && found(new Page(browser, targetId, sessionId))));
      const { targetId } = await browser.call('Target.createTarget', { url: 'about:blank' });
      const { sessionId } = await browser.call('Target.attachToTarget',
        { targetId, flatten: true });
      const page = new Page(browser, targetId, sessionId);
      await browser.call('Target.setAutoAttach',
        { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, sessionId);
      await browser.call('Page.navigate',
        { url: `${publisher.url.replace('127.0.0.1', 'localhost')}/plain` }, sessionId);
      const frame = await inner;
      await frame.until(`document.querySelector('#switch:not([aria-disabled])') !== null`);
      const box = await page.evaluate(`(() => {
        const { x, y } = document.querySelector('footbridge-widget').shadowRoot
          .querySelector('iframe').getBoundingClientRect();
        return { x, y };
      })()`);
      const knob = await frame.evaluate(`(() => {
        const { x, y, width, height } = document.getElementById('switch').getBoundingClientRect();
        return { x: x + width / 2, y: y + height / 2 };
      })()`);
      for (const type of ['mousePressed', 'mouseReleased'])
        await browser.call('Input.dispatchMouseEvent',
          { type, x: box.x + knob.x, y: box.y + knob.y, button: 'left', clickCount: 1 }, sessionId);
      await frame.until(`document.getElementById('face').dataset.state === 'waiting'`);

      await browser.call('Target.createTarget', { url: 'about:blank' }); // in front, same window
      await frame.until(`document.visibilityState === 'hidden'`);
      await frame.until(`${TICKS}.then((ticks) => ticks < 10)`, 60000); // it is slowed down
      await reads(SECONDS.chromium);
      assert.equal(await frame.evaluate('document.visibilityState'), 'hidden');
    } finally {
      await browser.close();
    }
  });

  test('in Firefox', { skip: browserPath('firefox') ? false : 'no firefox here',
    ...long(SECONDS.firefox) }, async () => {
    const browser = await launch('firefox');
    try {
      const visit = await browser.visit(`${publisher.url}/plain`);
      await visit.flip();
      await visit.until('waiting');
      const front = /** @type {any} */ (await browser.newPage());
      await front.bringToFront();
      await visit.frame.waitForFunction(() => document.visibilityState === 'hidden',
        { polling: 100, timeout: 15000 });
      await reads(SECONDS.firefox);
      assert.equal(await visit.frame.evaluate(() => document.visibilityState), 'hidden');
    } finally {
      await browser.close();
    }
  });
});
