// @ts-check
/**
 * Property 2 (doc/threat-model.md): nothing starts without the visitor's own click. And the pages
 * that the widget must live on.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Publisher } from './publisher.mjs';

/** Files that the frame fetches when it starts, and not before. @param {any} frame */
const started = (frame) => frame.evaluate(() =>
  performance.getEntriesByType('resource').map(({ name }) => name)
    .filter((name) => /worker\.js|bridge\.js|slot\.wasm|v1\/widget/.test(name)));

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  describe(`the switch in ${name}`, { skip: browserPath(name) ? false : `no ${name} here` }, () => {
    /** @type {Network} */ let network;
    /** @type {Publisher} */ let publisher;
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

    before(async () => {
      network = await Network.start();
      publisher = await Publisher.start(await network.operator);
      browser = await launch(name);
    }, { timeout: 120000 });

    after(async () => {
      await browser?.close();
      publisher?.stop();
      await network?.stop();
    }, { timeout: 60000 });

    test('a page cannot flip it', async () => {
      const visit = await browser.visit(`${publisher.url}/hostile`);
      await visit.page.waitForSelector('body[data-tried=all]');
      for (const frame of visit.page.frames()) {
        if (!frame.url().includes('frame.html')) continue;
        await frame.waitForSelector('#face');
        assert.equal(await frame.evaluate(() => document.getElementById('face')?.dataset.state),
          'off');
        assert.deepEqual(await started(frame), []);
      }
      await visit.close();
    });

    test('nor can a script in its own frame, while the visitor can', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      await visit.frame.waitForSelector('#switch:not([aria-disabled])');
      await visit.frame.evaluate(() => {
        const knob = /** @type {HTMLElement} */ (document.getElementById('switch'));
        knob.focus();
        knob.click();
        for (const type of ['click', 'pointerup', 'mouseup'])
          knob.dispatchEvent(new MouseEvent(type, { bubbles: true }));
        for (const type of ['keydown', 'keyup'])
          knob.dispatchEvent(new KeyboardEvent(type, { key: ' ', bubbles: true }));
      });
      assert.equal((await visit.face()).on, false);
      assert.deepEqual(await started(visit.frame), []);

      await visit.page.keyboard.press('Enter');
      await visit.moved(true);
      await visit.until('waiting', 'carrying');
      assert.equal(visit.page.workers().length, 1, 'the relay runs in a worker');
      await visit.close();
    });

    if (name === 'firefox')
      test('no window to ask in, no start', async () => {
        const visit = await browser.visit(`${publisher.url}/sandboxed`);
        await (await visit.frame.waitForSelector('#switch:not([aria-disabled])')).click();
        await visit.frame.waitForSelector('#face[data-refused=confirm]');
        assert.equal(await visit.asks(), undefined);
        assert.equal((await visit.face()).on, false);
        assert.deepEqual(await started(visit.frame), []);
        await visit.close();
      });

    test('a click on a frame that has only just appeared does nothing', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      await visit.frame.waitForSelector('#switch:not([aria-disabled])');
      const box = await visit.frame.evaluate(() => {
        const knob = /** @type {HTMLElement} */ (document.getElementById('switch'));
        const { x, y, width, height } = knob.getBoundingClientRect();
        knob.addEventListener('pointerdown', (event) => {
          document.documentElement.dataset.early =
            String(event.isTrusted && knob.hasAttribute('aria-disabled'));
        });
        return { x: x + width / 2, y: y + height / 2 };
      });
      const at = await visit.iframe.boundingBox();
      // On a busy machine a click may come too late to be early; that proves nothing, so again.
      let early = 'false';
      for (let attempt = 0; attempt < 10 && early === 'false'; attempt++) {
        if ((await visit.face()).on) await visit.flip();
        await visit.iframe.evaluate((/** @type {HTMLElement} */ frame) => {
          frame.style.visibility = 'hidden';
          frame.style.marginTop = '2000px';
        });
        await visit.frame.waitForSelector('#switch[aria-disabled]', { state: 'attached' });
        await visit.iframe.evaluate((/** @type {HTMLElement} */ frame) => {
          frame.style.visibility = 'visible';
          frame.style.marginTop = '0';
        });
        await visit.page.mouse.click(at.x + box.x, at.y + box.y);
        early = await visit.frame.evaluate(() => document.documentElement.dataset.early ?? '');
      }
      // Chromium keeps input from a frame that has just moved, when it watches its visibility.
      assert.equal(early, name === 'chromium' ? '' : 'true');
      assert.equal((await visit.face()).on, false);
      await visit.close();
    });

    test('its frame connects to nothing that the network does not name', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      const blocked = await visit.frame.evaluate(async (/** @type {string} */ elsewhere) => {
        /** @type {string[]} */
        const uris = [];
        document.addEventListener('securitypolicyviolation', (event) =>
          uris.push(`${event.effectiveDirective} ${event.blockedURI}`));
        await fetch(elsewhere).catch(() => {});
        try {
          new WebSocket(elsewhere.replace('http', 'ws'));
        } catch { /* some throw */ }
        document.body.append(Object.assign(new Image(), { src: `${elsewhere}/image` }));
        for (let i = 0; i < 100 && uris.length < 3; i++)
          await new Promise((done) => setTimeout(done, 50));
        return uris.map((uri) => uri.split(':')[0]).sort();
      }, publisher.url);
      assert.deepEqual(blocked, ['connect-src http', 'connect-src ws', 'img-src http']);
      await visit.close();
    });

    // In Firefox a window asks, which a sandbox must allow.
    const sandboxed = name === 'chromium' ? 'sandboxed' : 'sandboxed-popups';
    for (const page of ['strict', 'isolated', sandboxed])
      test(`it carries on a page that is ${page}`, async () => {
        const visit = await browser.visit(`${publisher.url}/${page}`);
        await visit.flip();
        await visit.until('carrying');
        const { status, output } = await network.curl('socks',
          ['-o', '/dev/null', `${network.site}file?bytes=2000000`]);
        assert.equal(status, 0, output);
        assert.deepEqual(visit.errors, []);
        await visit.close();
      });
  });
}
