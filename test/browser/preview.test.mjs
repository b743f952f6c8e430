// @ts-check
/** The page on which a publisher chooses how the switch looks, and copies the tag. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { comes } from './program.mjs';

/** @type {Network} */ let network;
/** @type {string} */ let operator;
const script = readFileSync(new URL('../../web/widget/widget-1.js', import.meta.url));
const hash = createHash('sha384').update(script).digest('base64');

before(async () => {
  network = await Network.start();
  operator = await network.operator;
}, { timeout: 60000 });
after(() => network?.stop(), { timeout: 60000 });

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`the preview in ${name}`, { skip, timeout: 120000 }, () => {
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;
    /** @type {any} */ let page;
    /** @type {string[]} */ const errors = [];
    const text = (/** @type {string} */ id) =>
      page.evaluate(`document.getElementById('${id}').textContent`);

    before(async () => {
      browser = await launch(name);
      page = await browser.newPage({ width: 320, height: 700 });
      page.on('pageerror', (/** @type {Error} */ error) => errors.push(String(error)));
      page.on('console', (/** @type {any} */ message) => {
        if (/^(error|warn|warning)$/.test(message.type())) errors.push(message.text());
      });
      await page.goto(`${operator}/preview.html`);
      await comes(page, `document.getElementById('tag').textContent !== ''`);
    }, { timeout: 90000 });
    after(() => browser?.close(), { timeout: 30000 });

    test('the tag has the hash of what is served', async () => {
      assert.equal(await text('tag'), `<script type="module" src="${operator}/widget-1.js"\n` +
        `  integrity="sha384-${hash}"\n  crossorigin="anonymous"></script>\n` +
        '<footbridge-widget layout="panel"></footbridge-widget>');
      assert.match(await text('policy'), new RegExp(`script-src ${operator};`));
    });

    test('options show on the widget at once, and in both texts; bad ones nowhere', async () => {
      await page.evaluate(`{
        const { elements } = document.getElementById('options');
        elements.layout.value = 'badge';
        elements.theme.value = 'dark';
        elements.globe.checked = true;
        elements.stats.checked = false;
        elements.lang.value = 'fa';
        elements.people.value = '99';
        elements.info.value = 'not an address';
        elements.donate.value = 'https://a.example/?b="c"&d';
        elements.donate.dispatchEvent(new Event('input', { bubbles: true }));
      }`);
      const donate = 'https://a.example/?b=&#34;c&#34;&#38;d';
      assert.ok((await text('tag')).endsWith('<footbridge-widget layout="badge" theme="dark" ' +
        `globe stats="off" lang="fa" donate="${donate}"></footbridge-widget>`), await text('tag'));
      assert.match(await text('frame'), /frame\.html#layout=badge&#38;theme=dark&#38;globe=/);
      await comes(page,
        `document.querySelector('footbridge-widget').getAttribute('theme') === 'dark'`);
      const frame = page.frames().find((/** @type {any} */ one) =>
        one.url().includes('frame.html'));
      await comes(frame, `location.hash.includes('layout=badge&theme=dark')`);
    });

    test('it fits on 320 pixels, in every layout', async () => {
      for (const layout of ['panel', 'banner', 'floating', 'badge']) {
        await page.evaluate(`{
          const { layout } = document.getElementById('options').elements;
          layout.value = '${layout}';
          layout[0].dispatchEvent(new Event('input', { bubbles: true }));
        }`);
        assert.ok(await page.evaluate('document.documentElement.scrollWidth') <= 320, layout);
      }
    });

    test('it is worked by keyboard, and copies', async () => {
      await page.evaluate(`document.querySelector('[data-copy=tag]').focus()`);
      await page.keyboard.press('Enter');
      await comes(page, `document.querySelector('.copied').textContent !== ''`);
      assert.deepEqual(errors, []);
    });
  });
}
