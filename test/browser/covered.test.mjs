// @ts-check
/**
 * Property 2 (doc/threat-model.md) against pages that get the visitor to click on what is not seen,
 * or forge the answer of the window that asks.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Publisher } from './publisher.mjs';

/** @typedef {import('./browsers.mjs').Visit} Visit */

const ARM_MS = 700; // in which a switch that is in view would take input

/**
 * What a page does to the frame. The pointer still reaches the switch.
 * @type {Record<string, (frame: HTMLElement) => void>}
 */
const TRICKS = {
  'covered by a picture': () => {
    const cover = document.createElement('div');
    cover.style.cssText = 'position: fixed; inset: 0; background: #fff; pointer-events: none';
    cover.textContent = 'You have won! Click here.';
    document.body.append(cover);
  },
  'covered but for the knob': (frame) => {
    const { x, y, height } = frame.getBoundingClientRect();
    const cover = document.createElement('div');
    cover.style.cssText = `position: fixed; left: ${x}px; top: ${y + 60}px; width: 480px;
      height: ${height - 60}px; background: #fff; pointer-events: none`;
    document.body.append(cover);
  },
  transparent: (frame) => { frame.style.opacity = '0.01'; },
  'in something transparent': () => { document.documentElement.style.opacity = '0.01'; },
  filtered: (frame) => { frame.style.filter = 'blur(9px)'; },
  squeezed: (frame) => { frame.style.transform = 'scale(.99, .9)'; },
  'cut down to the knob': (frame) => { frame.style.clipPath = 'inset(0 0 70% 0)'; },
  'scrolled down to the knob': (frame) => {
    const box = /** @type {HTMLElement} */ (
      /** @type {ShadowRoot} */ (frame.getRootNode()).host);
    box.style.cssText = 'display: block; height: 56px; overflow: hidden';
  },
};

/** Where the knob is, on the page. @param {Visit} visit */
async function knobAt(visit) {
  const box = await visit.iframe.boundingBox();
  const at = await visit.frame.evaluate(() => {
    const knob = /** @type {HTMLElement} */ (document.getElementById('switch'));
    const { x, y, width, height } = knob.getBoundingClientRect();
    return { x: x + width / 2, y: y + height / 2 };
  });
  return { x: box.x + at.x, y: box.y + at.y };
}

/** @param {Visit} visit */
async function isOff(visit) {
  assert.equal((await visit.face()).on, false);
  assert.deepEqual(await visit.frame.evaluate(() =>
    performance.getEntriesByType('resource').map(({ name }) => name)
      .filter((name) => /worker\.js|bridge\.js|slot\.wasm|v1\/widget/.test(name))), []);
}

/** The window that asks. @param {Visit} visit */
async function asked(visit) {
  for (const late = Date.now() + 10000; Date.now() < late;) {
    const asks = await visit.asks();
    if (asks) return asks;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error('no window asks');
}

/** @param {Visit} visit */
const armed = (visit) => visit.frame.waitForSelector('#switch:not([aria-disabled])');

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`a page that tricks, in ${name}`, { skip }, () => {
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

    for (const [trick, play] of Object.entries(TRICKS))
      test(`a frame that is ${trick} does not start`, async () => {
        const visit = await browser.visit(`${publisher.url}/plain`);
        await armed(visit);
        await visit.iframe.evaluate(play);
        if (name === 'chromium') {
          await visit.frame.waitForSelector('#switch[aria-disabled]', { state: 'attached' });
          await new Promise((done) => setTimeout(done, ARM_MS));
        }
        const { x, y } = await knobAt(visit);
        await visit.page.mouse.click(x, y);
        if (name === 'chromium' && !trick.startsWith('scrolled')) {
          await visit.frame.waitForSelector('#face[data-refused=covered]');
        } else if (name === 'firefox' && await visit.frame.$('#face[data-refused=confirm]')) {
          await (await asked(visit)).page.close();
        }
        await isOff(visit);
        await visit.close();
      });

    test('a frame that is moved under the pointer does not start', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      await armed(visit);
      const { x, y } = await knobAt(visit);
      await visit.page.mouse.move(x, y + 300);
      await visit.iframe.evaluate((/** @type {HTMLElement} */ frame) => {
        frame.style.marginTop = '300px';
        return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      });
      await visit.page.mouse.click(x, y + 300);
      await isOff(visit);
      if (name === 'firefox') await (await asked(visit)).page.close();
      await visit.close();
    });

    if (name === 'chromium') return;

    test('what a page says is no confirmation', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      await (await armed(visit)).click();
      await visit.frame.waitForSelector('#face[data-refused=confirm]');
      const asks = await asked(visit);
      await visit.page.evaluate(async () => {
        const frame = /** @type {HTMLIFrameElement} */ (
          document.querySelector('footbridge-widget')?.shadowRoot?.querySelector('iframe'));
        const inner = /** @type {Window} */ (frame.contentWindow);
        for (const word of ['confirmed', { data: 'confirmed' }, { begin: { on: true } },
          { view: { on: true, state: 'carrying' } }, { flip: true }])
          inner.postMessage(word, '*');
        // From a frame of another kind, and past this: messages arrive in order.
        const other = document.body.appendChild(document.createElement('iframe'));
        const script = /** @type {any} */ (other.contentWindow);
        script.inner = inner;
        script.eval(`inner.postMessage('confirmed', '*')`);
        await new Promise((done) => setTimeout(done, 0));
      });
      await visit.frame.evaluate(() => new Promise((done) => setTimeout(done, 200)));
      await isOff(visit);
      await asks.page.close();
      await visit.close();
    });

    test('nor what a window says that the page has opened, be it the one that asks', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      await armed(visit);
      const operator = await network.operator;
      await visit.page.evaluate((/** @type {string} */ url) => {
        const frame = /** @type {HTMLIFrameElement} */ (
          document.querySelector('footbridge-widget')?.shadowRoot?.querySelector('iframe'));
        const inner = /** @type {Window} */ (frame.contentWindow);
        const button = document.body.appendChild(document.createElement('button'));
        button.textContent = 'Next page';
        button.id = 'next';
        button.onclick = () => open(url);
        addEventListener('message', ({ data }) => {
          document.body.dataset.heard = data;
          inner.postMessage(data, '*');
        });
      }, `${operator}/confirm.html`);
      await (await visit.page.$('#next')).click();
      await (await asked(visit)).yes();
      await visit.page.waitForSelector('body[data-heard=confirmed]');
      await visit.frame.evaluate(() => new Promise((done) => setTimeout(done, 200)));
      await isOff(visit);
      await visit.close();
    });

    test('the window that asks: once for a site, and again for another', async () => {
      for (const [url, asked] of /** @type {const} */ ([[publisher.url, true],
        [publisher.url, false], [publisher.url.replace('127.0.0.1', 'localhost'), true]])) {
        const visit = await browser.visit(`${url}/plain`);
        await (await armed(visit)).click();
        if (asked) {
          await visit.frame.waitForSelector('#face[data-refused=confirm]');
          await isOff(visit);
        }
        await visit.moved(true);
        await visit.close();
      }
    });

    test('a page that keeps windows apart: the visitor helps in that window', async () => {
      const second = await launch(name);
      try {
        const visit = await second.visit(`${publisher.url}/isolated`);
        await (await armed(visit)).click();
        await visit.frame.waitForSelector('#face[data-refused=confirm]');
        const asks = await asked(visit);
        await (await asks.page.waitForSelector('#yes:not([aria-disabled])')).click();
        await (await asks.page.waitForSelector('#switch:not([aria-disabled])')).click();
        await asks.page.waitForSelector('#face[data-state=waiting], #face[data-state=carrying]');
        await isOff(visit);
      } finally {
        await second.close();
      }
    });
  });
}
