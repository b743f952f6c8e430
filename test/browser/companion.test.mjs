// @ts-check
/** "Keep helping after I leave": the small window that has the bridge when its page has gone. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { browserPath, launchProfile } from './browsers.mjs';
import { Network } from './network.mjs';
import { Publisher } from './publisher.mjs';

/** @typedef {import('./browsers.mjs').Visit} Visit */

const ON = '#switch[aria-checked=true]';
const WORKS = '#face[data-state=waiting], #face[data-state=carrying]';

/** The window that a page or a frame has opened. @param {any} page */
async function opened(page) {
  for (const late = Date.now() + 15000; Date.now() < late;) {
    const pages = await (page.context?.() ?? page.browser()).pages();
    const found = pages.find((/** @type {any} */ one) =>
      /^http[^#]*frame\.html/.test(one.url()));
    if (found) return found;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error('no window has opened');
}

/** As a visitor does. @param {Visit} visit */
async function leave({ frame }) {
  await (await frame.waitForSelector('[data-page=settings]')).click();
  await (await frame.waitForSelector('.leave button')).click();
}

/** Until the frame says that the bridge is elsewhere. @param {Visit} visit */
const mirrors = ({ frame }) => frame.waitForFunction(() =>
  document.getElementById('news')?.textContent?.includes('small window'));

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`the companion in ${name}`, { skip }, () => {
    /** @type {Network} */ let network;
    /** @type {Publisher} */ let publisher;
    /** @type {Awaited<ReturnType<typeof launchProfile>>} */ let browser;
    /** @type {string} */ let site;

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

    /** @param {...string} args */
    const fetch = (...args) => network.curl('socks',
      [...args, '-o', '/dev/null', `${network.site}file?bytes=1000000`]);

    test('it takes the bridge with the settings, outlives the page, and closed it ends',
      async () => {
        const visit = await browser.visit(`${site}/plain`);
        await visit.frame.evaluate(() => {
          localStorage.footbridge = JSON.stringify({
            own: true,
            settings: { people: 7, rate: 0, budget: 0, from: 0, to: 0, metered: false,
              battery: false, keep: true },
          });
        });
        await visit.flip();
        await visit.until('waiting', 'carrying');
        await leave(visit);
        const companion = await opened(visit.page);
        await companion.waitForSelector(ON);
        await companion.waitForSelector(WORKS);
        await mirrors(visit);
        await (await companion.waitForSelector('[data-page=settings]')).click();
        await companion.waitForSelector('#page select');
        assert.equal(await companion.evaluate(() =>
          document.querySelectorAll('select')[1].value), '7');
        await companion.keyboard.press('Escape');
        assert.equal(await companion.evaluate(() => localStorage.length), 0);

        await visit.page.goto(`${site}/plain`);
        const first = await fetch();
        assert.equal(first.status, 0, first.output);
        await companion.waitForSelector('#face[data-state=carrying]');
        const iframe = await visit.page.waitForSelector(
          name === 'chromium' ? 'iframe' : ':scope >>> iframe');
        const frame = await iframe.contentFrame();
        await frame.waitForSelector('#switch:not([aria-disabled])');
        assert.equal(await frame.$(ON), null, 'the next page does not help as well');

        await companion.close();
        const { status } = await fetch('--max-time', '4');
        assert.notEqual(status, 0, 'somebody carried it');
        await visit.close();
      });

    test('its page mirrors it, switches it off and on, and notices its end', async () => {
      const visit = await browser.visit(`${site}/plain`);
      await visit.flip();
      await visit.until('waiting', 'carrying');
      await leave(visit);
      const companion = await opened(visit.page);
      await companion.waitForSelector(WORKS);
      await mirrors(visit);
      await visit.flip();
      await companion.waitForSelector('#face[data-state=off]');
      await visit.frame.waitForSelector('#face[data-state=off]');
      await visit.flip();
      await companion.waitForSelector(WORKS);
      await visit.until('waiting', 'carrying');
      await companion.close();
      await visit.until('off');
      assert.equal((await visit.face()).on, false);
      await visit.close();
    });

    test('a page that opens one cannot switch it on', async () => {
      const visit = await browser.visit(`${site}/plain`);
      const operator = await network.operator;
      await visit.page.evaluate((/** @type {string} */ url) => {
        const button = document.body.appendChild(document.createElement('button'));
        button.id = 'next';
        button.textContent = 'Next page';
        button.onclick = () => {
          const companion = /** @type {Window} */ (open(`${url}#on&begin`));
          setInterval(() => {
            for (const word of [{ begin: { on: true } }, { flip: true }, { hello: true },
              { view: { on: true } }, 'confirmed'])
              companion.postMessage(word, '*');
            document.body.dataset.said = 'all';
          }, 50);
        };
      }, `${operator}/frame.html`);
      await (await visit.page.$('#next')).click();
      const companion = await opened(visit.page);
      await companion.waitForSelector('#switch');
      await visit.page.waitForSelector('body[data-said=all]');
      await companion.evaluate(() => new Promise((done) => setTimeout(done, 1000)));
      assert.equal(await companion.$(ON), null);
      await companion.close();
      await visit.close();
    });
  });
}
