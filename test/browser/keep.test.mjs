// @ts-check
/**
 * What outlives a frame: settings, the switch on the site's next page, the other widgets of a page,
 * the companion window. And what does not.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Visit, browserPath, launchProfile } from './browsers.mjs';
import { Network } from './network.mjs';
import { Publisher } from './publisher.mjs';

const MIB = 1024 * 1024;
const TAG = 'footbridge-widget';

/** @param {any} frame */
const kept = (frame) => frame.evaluate(() => JSON.parse(localStorage.footbridge ?? '{}'));

/**
 * As the face's controls will.
 * @param {any} frame
 * @param {object} settings
 */
const set = (frame, settings) => frame.evaluate((/** @type {object} */ part) => {
  const all = JSON.parse(localStorage.footbridge ?? '{}');
  localStorage.footbridge = JSON.stringify(
    { ...all, own: true, settings: { ...all.settings, ...part } });
}, settings);

/** @param {any} frame */
const hosts = (frame) => frame.evaluate(() =>
  performance.getEntriesByType('resource').some(({ name }) => name.includes('worker.js')));

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`what is kept, in ${name}`, { skip }, () => {
    /** @type {Network} */ let network;
    /** @type {Publisher} */ let publisher;
    /** @type {Awaited<ReturnType<typeof launchProfile>>} */ let browser;
    /** @type {string} */ let site; // another one than the operator's

    before(async () => {
      network = await Network.start();
      publisher = await Publisher.start(await network.operator);
      browser = await launchProfile(name);
      site = publisher.url.replace('127.0.0.1', 'localhost');
    }, { timeout: 120000 });

    after(async () => {
      await browser?.close();
      publisher?.stop();
      await network?.stop();
    }, { timeout: 60000 });

    /** The same tab goes on. @param {Visit} visit @param {string} url */
    async function next(visit, url) {
      await visit.page.goto(url);
      const iframe = await visit.page.waitForSelector(
        name === 'chromium' ? 'iframe' : ':scope >>> iframe');
      return new Visit(visit.page, await iframe.contentFrame(), iframe);
    }

    /** As on a first visit. @param {string} url */
    async function fresh(url) {
      let visit = await browser.visit(url);
      for (let i = 0; i < 2; i++) { // the first may have gone on where the last test was
        await visit.frame.evaluate(() => localStorage.clear());
        visit = await next(visit, url);
      }
      return visit;
    }

    test('on the next page it is off, unless the visitor chose to keep helping', async () => {
      let visit = await fresh(`${site}/plain`);
      await visit.flip();
      await visit.until('waiting', 'carrying');
      assert.equal((await kept(visit.frame)).on, true);
      visit = await next(visit, `${site}/strict`);
      await visit.frame.waitForSelector('#switch:not([aria-disabled])');
      assert.equal((await visit.face()).on, false);

      await set(visit.frame, { keep: true });
      await visit.flip();
      await visit.until('waiting', 'carrying');
      visit = await next(visit, `${site}/plain`);
      await visit.until('waiting', 'carrying');
      assert.equal((await visit.face()).on, true);
      const { status, output } = await network.curl('socks',
        ['-o', '/dev/null', `${network.site}file?bytes=${MIB}`]);
      assert.equal(status, 0, output);
      await visit.frame.waitForSelector('#face[data-state=carrying]');
      await visit.flip();
      await visit.until('off');
      const { helped } = await visit.face();
      assert.notEqual(helped, '0');
      // What the bridge said last is on its way.
      let { carried, used, month } = await kept(visit.frame);
      for (const late = Date.now() + 10000; carried < MIB && Date.now() < late;)
        ({ carried, used, month } = await kept(visit.frame));
      assert.ok(carried >= MIB && used >= 2 * MIB, `${carried} carried, ${used} on both hops`);
      const today = new Date();
      assert.equal(month, 100 * today.getFullYear() + today.getMonth() + 1);

      visit = await next(visit, `${site}/strict`);
      await visit.frame.waitForSelector('#switch:not([aria-disabled])');
      assert.equal((await visit.face()).on, false, 'switched off, it stays off');
      assert.equal((await visit.face()).helped, helped);
      await visit.close();
    });

    test('another site knows nothing of it, and a sandboxed frame remembers nothing', async () => {
      let visit = await fresh(`${site}/plain`);
      await set(visit.frame, { keep: true });
      await visit.flip();
      await visit.until('waiting', 'carrying');
      await (await fresh(`${publisher.url}/plain`)).close();
      for (const page of [`${publisher.url}/plain`, `${site}/sandboxed`]) {
        visit = await next(visit, page);
        await visit.frame.waitForSelector('#switch:not([aria-disabled])');
        const face = await visit.face();
        assert.deepEqual([face.on, face.helped], [false, '0']);
      }
      await visit.close();
    });

    test('garbage in the storage is nothing', async () => {
      const visit = await fresh(`${site}/plain`);
      for (const garbage of ['', '{', '[]', 'null', '{"settings":7,"on":"yes","helped":-5}',
        '{"settings":{"people":1e9,"rate":null,"keep":1},"used":"many"}']) {
        await visit.frame.evaluate((/** @type {string} */ text) => {
          localStorage.footbridge = text;
        }, garbage);
        const again = await next(visit, `${site}/plain`);
        await again.frame.waitForSelector('#switch:not([aria-disabled])');
        assert.equal((await again.face()).helped, '0');
        visit.frame = again.frame;
      }
      assert.deepEqual(visit.errors, []);
      await visit.close();
    });

    /** The frames of a page with two widgets. @param {Visit} visit */
    async function two(visit) {
      await visit.page.evaluate((/** @type {string} */ tag) => {
        document.body.append(document.createElement(tag));
      }, TAG);
      /** @type {any[]} */ let frames = [];
      while (frames.length < 2) {
        frames = visit.page.frames().filter((/** @type {any} */ frame) =>
          frame.url().includes('frame.html'));
        await new Promise((done) => setTimeout(done, 20));
      }
      for (const frame of frames) await frame.waitForSelector('#face');
      return frames.find((frame) => frame !== visit.frame);
    }

    test('widgets of one page share one bridge, and another goes on when its frame goes',
      async () => {
        const visit = await browser.visit(`${publisher.url}/plain`);
        const second = await two(visit);
        await visit.flip();
        await second.waitForSelector('#switch[aria-checked=true]');
        await second.waitForSelector('#face[data-state=waiting], #face[data-state=carrying]');
        assert.deepEqual([await hosts(visit.frame), await hosts(second)], [true, false]);

        await (await second.waitForSelector('#switch:not([aria-disabled])')).click();
        await visit.until('off');
        await second.waitForSelector('#face[data-state=off]');
        const knob = await second.waitForSelector('#switch:not([aria-disabled])');
        await knob.click();
        await visit.until('waiting', 'carrying');
        assert.equal(await hosts(second), false);

        await visit.page.evaluate((/** @type {string} */ tag) =>
          document.querySelector(tag)?.remove(), TAG);
        const late = Date.now() + 20000;
        while (!(await hosts(second))) {
          assert.ok(Date.now() < late, 'the other takes over');
          await new Promise((done) => setTimeout(done, 50));
        }
        await second.waitForSelector('#face[data-state=waiting], #face[data-state=carrying]');
        const { status, output } = await network.curl('socks',
          ['-o', '/dev/null', `${network.site}file?bytes=${MIB}`]);
        assert.equal(status, 0, output);
        await visit.close();
      });
  });
}
