// @ts-check
/**
 * `make screenshots`: the pictures of doc/pictures, by Chromium, of the widget as it is in this
 * tree with a stand-in behind its face. Look at each before you commit it.
 */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

import { CHROMIUM_FLAGS, browserPath } from './browsers.mjs';
import { FaceServer } from './faceserver.mjs';

const OUT = new URL('../../doc/pictures/', import.meta.url);
const TURNED_MS = 8000; // of a globe, towards its arcs

const WAITING = { state: 'waiting', on: true, nat: 'easy', helped: 11, carried: 2.9e9 };
const CARRYING = {
  state: 'carrying', on: true, now: 2, total: 3, speed: 4.2e6, helped: 12, carried: 3.4e9,
  country: 'DE', nat: 'easy', up: 2e8, down: 3e9,
  people: [{ id: 1, country: 'IR' }, { id: 2, country: 'CN' }],
};

/**
 * width: of the page. open: what is open. dark: the visitor's choice of colours.
 * @typedef {{ name: string, attributes: string, width: number, view?: any, open?: string,
 *   dark?: boolean }} Picture
 */
/** @type {Picture[]} */
const PICTURES = [
  { name: 'panel-light', attributes: 'globe', width: 480, view: CARRYING },
  { name: 'panel-dark', attributes: 'globe', width: 480, view: CARRYING, dark: true },
  { name: 'panel-rtl', attributes: 'globe lang=fa', width: 360, view: CARRYING },
  { name: 'banner-light', attributes: 'layout=banner', width: 1000 },
  { name: 'banner-dark', attributes: 'layout=banner', width: 1000, view: CARRYING, dark: true },
  { name: 'floating-light', attributes: 'layout=floating folded=off', width: 392, view: WAITING },
  { name: 'floating-dark', attributes: 'layout=floating folded=off', width: 392, view: CARRYING,
    dark: true },
  { name: 'badge-light', attributes: 'layout=badge', width: 320 },
  { name: 'badge-dark', attributes: 'layout=badge', width: 320, view: CARRYING, dark: true },
  { name: 'settings', attributes: 'globe', width: 480, open: 'settings', view: { used: 3.1e9,
    settings: { people: 4, rate: 10e6, budget: 10e9, from: 0, to: 0, metered: false,
      battery: false, keep: true } } },
];

/**
 * @param {any} browser
 * @param {string} url
 * @param {Picture} picture
 */
async function take(browser, url, { name, attributes, width, view, open, dark }) {
  const context = await browser.newContext({ locale: 'en-GB',
    deviceScaleFactor: name === 'newspaper' ? 1 : 1.5, viewport: { width, height: 700 },
    colorScheme: dark ? 'dark' : 'light' });
  const page = await context.newPage();
  await page.goto(url);
  const widget = page.locator('footbridge-widget');
  const frame = await (await widget.locator('iframe').elementHandle()).contentFrame();
  await frame.waitForSelector('[data-ready]');
  if (view) {
    await frame.evaluate((/** @type {any} */ part) =>
      /** @type {any} */ (globalThis).fake.become(part), view);
    await frame.waitForFunction(() => document.getElementById('status')?.textContent);
  }
  if (open) {
    await frame.click(`[data-page=${open}]`);
    await frame.waitForSelector('#page:not([hidden]) h1');
  }
  if (attributes.includes('globe') && view?.people)
    await frame.evaluate((/** @type {number} */ ms) => new Promise((done) => {
      const step = (/** @type {number} */ now) =>
        now > ms ? done(undefined) : requestAnimationFrame(step);
      requestAnimationFrame(step);
    }), TURNED_MS);
  await frame.evaluate(() => Promise.all(document.getAnimations()
    .filter((one) => one instanceof CSSTransition).map((one) => one.finished)));
  const what = name === 'newspaper' ? page : widget;
  await what.screenshot({ path: fileURLToPath(new URL(`${name}.png`, OUT)), omitBackground: true });
  await context.close();
}

mkdirSync(OUT, { recursive: true });
const server = await FaceServer.start();
const browser = await chromium.launch({ executablePath: browserPath('chromium'),
  args: CHROMIUM_FLAGS });
try {
  for (const picture of PICTURES)
    await take(browser, `${server.url}/page?${encodeURIComponent(picture.attributes)}`, picture);
  await take(browser, `${server.url}/paper/`, { name: 'newspaper', attributes: '', width: 1040,
    view: { ...CARRYING, now: 1 } });
} finally {
  await browser.close();
  server.stop();
}
