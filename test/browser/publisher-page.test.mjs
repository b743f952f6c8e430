// @ts-check
/** What the tag does to a publisher's page: as little as can be. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Chromium } from '../bench/cdp.mjs';
import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Publisher } from './publisher.mjs';
import { comes, until } from './program.mjs';

/** What only a bridge needs, or a globe that is in view. */
const HEAVY = /\.wasm$|\/(worker|bridge|globe|land)\.js$|\/v1\//;
const FONT = /\.(woff2?|ttf|otf)\b|font/i;
const LOADS = 7;
const OWN_MS = 1.5; // a millisecond on a quiet machine; others' work leaves some in every load

const first = `document.querySelector('footbridge-widget')`;
const frameOf = (widget = first) => `${widget}.shadowRoot.querySelector('iframe')`;

/** @type {Network} */ let network;
/** @type {string} */ let operator;
/** @type {Publisher} */ let publisher;

before(async () => {
  network = await Network.start();
  operator = await network.operator;
  publisher = await Publisher.start(operator);
}, { timeout: 60000 });

after(async () => {
  publisher?.stop();
  await network?.stop();
}, { timeout: 60000 });

/** The page's own errors, not those of its frames. @param {any} page */
function complaints(page) {
  /** @type {string[]} */ const errors = [];
  page.on('pageerror', (/** @type {Error} */ error) => errors.push(String(error)));
  page.on('console', (/** @type {any} */ message) => {
    if (/^(error|warn|warning)$/.test(message.type())) errors.push(message.text());
  });
  return errors;
}

/** What a page and its frames ask for. @param {any} page @returns {string[]} addresses */
function asked(page) {
  /** @type {string[]} */ const all = [];
  page.on('request', (/** @type {any} */ request) => all.push(request.url()));
  return all;
}

/**
 * The widget's frame, shown. @param {any} page @param {number} [count] of frames
 * @returns {Promise<any[]>}
 */
async function shown(page, count = 1) {
  const deadline = Date.now() + 20000;
  for (;;) {
    const frames = page.frames().filter((/** @type {any} */ frame) =>
      frame.url().startsWith(`${operator}/frame.html`));
    try {
      for (const frame of frames) await frame.waitForSelector('#switch', { timeout: 5000 });
      if (frames.length === count) return frames;
    } catch (error) { // one of them has just gone
      if (Date.now() > deadline) throw error;
    }
    assert.ok(Date.now() < deadline, `${frames.length} frames instead of ${count}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`a publisher's page in ${name}`, { skip, timeout: 240000 }, () => {
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

    before(async () => {
      browser = await launch(name);
    }, { timeout: 90000 });
    after(() => browser?.close(), { timeout: 30000 });

    /** @param {string} path @param {{ width?: number, height?: number }} [look] */
    async function open(path, look) {
      const page = await browser.newPage(look);
      const [errors, requests] = [complaints(page), asked(page)];
      await page.goto(`${publisher.elsewhere}/${path}`);
      return { page, errors, requests };
    }

    test('asks the operator alone, for nothing heavy, and keeps nothing', async () => {
      const { page, errors, requests } = await open('article');
      const [frame] = await shown(page);
      await frame.waitForSelector('#switch:not([aria-disabled])', { timeout: 15000 });
      assert.ok(requests.includes(`${operator}/widget-1.js`));
      for (const url of requests) {
        assert.ok(url.startsWith(`${operator}/`) || url.startsWith(`${publisher.elsewhere}/`), url);
        assert.doesNotMatch(url, HEAVY);
        assert.doesNotMatch(url, FONT);
      }
      const kept = `Promise.all([() => document.cookie.length, () => localStorage.length,
        () => sessionStorage.length, async () => (await indexedDB.databases()).length,
        async () => (await caches.keys()).length,
        async () => (await navigator.serviceWorker.getRegistrations()).length]
        .map(async (count) => count()).map((count) => count.catch((error) =>
          /denied|SecurityError/.test(error) ? 0 : String(error))))`; // what is refused is empty
      for (const place of [page, frame])
        assert.deepEqual(await place.evaluate(kept), [0, 0, 0, 0, 0, 0]);
      assert.equal(await page.evaluate('document.fonts.size'), 0);
      assert.deepEqual(errors, [], 'under a strict policy, trusted types and COEP');
      assert.equal(await page.evaluate('crossOriginIsolated'), true);
      await page.close();
    });

    test('a script that is not the pinned one does not run', async () => {
      const { page } = await open('changed');
      await page.evaluate(`new Promise((done) => document.readyState === 'complete'
        ? done() : addEventListener('load', done))`);
      assert.equal(await page.evaluate(`customElements.get('footbridge-widget') === undefined`),
        true);
      assert.equal(await page.evaluate(`${first}.shadowRoot`), null);
      await page.close();
    });

    test('nothing of a globe is fetched while it is out of view', async () => {
      const { page, requests } = await open('below');
      await shown(page);
      await page.evaluate(`new Promise((done) => setTimeout(done, 1000))`); // none comes later
      for (const url of requests) assert.doesNotMatch(url, HEAVY);
      await page.close();
    });

    test('several on one page, with what was written, in any order', async () => {
      const { page, errors } = await open('several');
      const frames = await shown(page, 5);
      const [[, number]] = frames.map((frame) => /#page=(\d+)/.exec(frame.url()) ?? []);
      const hashes = frames.map((frame) => new URL(frame.url()).hash).sort()
        .map((hash) => hash.replace(`#page=${number}`, '')); // one for all of this page
      assert.deepEqual(hashes, ['', '&layout=badge', '&layout=badge&theme=light&lang=en',
        '&layout=banner&theme=dark', '&layout=nonsense&globe=perhaps']);
      const heights = await page.evaluate(`[...document.querySelectorAll('footbridge-widget')]
        .map((widget) => widget.shadowRoot.querySelector('iframe').clientHeight)`);
      assert.deepEqual(heights, [264, 108, 64, 64, 264]);
      assert.deepEqual(errors, []);
      await page.close();
    });

    test('changes are live: the same document, no step in the history, the switch as it was',
      async () => {
        const { page, errors } = await open('article');
        const [frame] = await shown(page);
        const armed = await frame.waitForSelector('#switch:not([aria-disabled])',
          { timeout: 15000 });
        if (name === 'chromium') { // others ask once more
          await armed.click();
          await frame.waitForSelector('#switch[aria-checked="true"]', { timeout: 15000 });
        }
        await frame.evaluate('void (window.mark = 1)');
        const steps = await page.evaluate('history.length');
        await page.evaluate(`{
          for (let i = 0; i < 500; i++) ${first}.setAttribute('people', i % 16 + 1);
          ${first}.setAttribute('theme', 'dark');
          ${first}.setAttribute('layout', 'banner');
          ${first}.removeAttribute('people');
        }`);
        await comes(frame, `location.hash.endsWith('&layout=banner&theme=dark')`);
        await page.evaluate(`{
          for (const { name } of [...${first}.attributes]) ${first}.removeAttribute(name);
        }`);
        await comes(frame, `/^#page=\\d+$/.test(location.hash)`);
        assert.equal(await frame.evaluate('window.mark'), 1, 'the frame was loaded again');
        assert.equal(await page.evaluate('history.length'), steps);
        assert.equal(await frame.evaluate(
          `document.getElementById('switch').getAttribute('aria-checked')`),
        String(name === 'chromium'));
        assert.deepEqual(errors, []);
        await page.close();
      });

    test('removed, it is gone; put back or moved, it is there again with what is written then',
      async () => {
        const { page, errors } = await open('article');
        await shown(page);
        await page.evaluate(`{ window.kept = ${first}; kept.remove(); }`);
        await until(() => page.frames().length === 1, 'no frame', 15000);
        await page.evaluate(`{
          kept.setAttribute('layout', 'badge');
          document.body.prepend(kept);
          kept.setAttribute('theme', 'dark');
        }`);
        const [frame] = await shown(page);
        await comes(frame, `location.hash.endsWith('&layout=badge&theme=dark')`);
        await page.evaluate(`document.body.append(kept)`);
        assert.equal(await page.evaluate(`kept.shadowRoot.querySelectorAll('iframe').length`), 1);
        const [before] = await shown(page);
        if (name === 'chromium') { // Firefox has moveBefore(), and loads frames again
          await before.evaluate('void (window.mark = 1)');
          await page.evaluate(`document.body.moveBefore(kept, document.body.firstChild)`);
          assert.equal(await (await shown(page))[0].evaluate('window.mark'), 1);
        }
        assert.deepEqual(errors, []);
        await page.close();
      });

    test('a floating one is folded and unfolded, by mouse and keyboard, and covers no more',
      async () => {
        const { page, errors } = await open('several', { width: 400, height: 700 });
        await shown(page, 5);
        const widget = `document.querySelector('[layout=floating]')`;
        const box = `(() => { const { left, right, bottom, width, height } =
          ${frameOf(widget)}.getBoundingClientRect();
          return { width, height, fits: left >= 0 && right <= innerWidth && bottom <= innerHeight,
            expanded: ${widget}.shadowRoot.querySelector('button').ariaExpanded }; })()`;
        assert.deepEqual(await page.evaluate(box),
          { width: 320, height: 64, fits: true, expanded: 'false' });
        const middle = await page.evaluate(`(() => { const { x, y, width, height } =
          ${widget}.shadowRoot.querySelector('button').getBoundingClientRect();
          return [x + width / 2, y + height / 2]; })()`);
        await page.mouse.click(...middle);
        assert.deepEqual(await page.evaluate(box),
          { width: 360, height: 288, fits: true, expanded: 'true' });
        await page.keyboard.press('Enter'); // the focus has stayed
        assert.equal((await page.evaluate(box)).expanded, 'false');
        await page.evaluate(`${widget}.setAttribute('folded', 'off')`);
        assert.equal((await page.evaluate(box)).height, 288);
        assert.deepEqual(errors, []);
        await page.close();
      });
  });
}

const chromium = browserPath('chromium') ? false : 'no chromium here';

test('nothing moves on the page: not by the widget, its changes, or the switch',
  { skip: chromium, timeout: 120000 }, async () => {
    const browser = await launch('chromium');
    try {
      const page = await browser.newPage({});
      await page.goto(`${publisher.elsewhere}/article`);
      const shifts = () => page.evaluate(`new Promise((done) => {
        const seen = new PerformanceObserver((list) => done(list.getEntries()
          .map(({ startTime, value }) => ({ startTime, value }))));
        seen.observe({ type: 'layout-shift', buffered: true });
        setTimeout(() => done([]), 500);
      })`);
      const [frame] = await shown(page);
      await (await frame.waitForSelector('#switch:not([aria-disabled])')).click();
      await frame.waitForSelector('#face[data-state="waiting"], #face[data-state="carrying"]');
      await page.evaluate(`{
        ${first}.setAttribute('theme', 'dark');
        ${first}.setAttribute('lang', 'fa');
        ${first}.setAttribute('stats', 'off');
      }`);
      await comes(frame, `location.hash.includes('stats')`);
      assert.deepEqual(await shifts(), [], 'with the room reserved by a rule');
      await page.evaluate(`new Promise((done) => {
        document.body.prepend(Object.assign(document.createElement('p'), { textContent: 'Late' }));
        requestAnimationFrame(() => requestAnimationFrame(done));
      })`);
      assert.ok((await shifts()).length > 0, 'the observer sees a shift');

      // Without a rule: nothing after the page has loaded.
      await page.goto(`${publisher.elsewhere}/several`);
      await shown(page, 5);
      const loaded = await page.evaluate(
        `performance.getEntriesByType('navigation')[0].loadEventEnd`);
      const late = (await shifts()).filter((/** @type {any} */ { startTime }) =>
        startTime > loaded);
      assert.deepEqual(late, []);
    } finally {
      await browser.close();
    }
  });

/**
 * Milliseconds of the main thread's time for running a page's one module, without what is parsing
 * and compiling in it.
 * @param {any[]} events of a trace
 * @param {string} script
 */
function runs(events, script) {
  const compiled = events.filter(({ name, args }) =>
    name === 'v8.compileModule' && JSON.stringify(args).includes(script));
  return compiled.map(({ pid, tid, ts }) => {
    const inThread = events.filter((event) =>
      event.ph === 'X' && event.pid === pid && event.tid === tid && event.ts >= ts);
    const run = inThread.filter(({ name }) => name === 'v8.evaluateModule')
      .reduce((one, other) => (other.ts < one.ts ? other : one));
    const parsing = inThread.filter((event) =>
      event.name === 'V8.CompileCode' && event.ts >= run.ts && event.ts <= run.ts + run.dur);
    return (run.tdur - parsing.reduce((sum, { tdur = 0 }) => sum + tdur, 0)) / 1000;
  });
}

test('the page\'s main thread is hardly busier with the tag than with a frame alone',
  { skip: chromium, timeout: 120000 }, async (t) => {
    // Not by playwright, which makes two more contexts in each frame.
    const browser = await Chromium.launch();
    /** @type {any[]} */ const events = [];
    browser.events.set('Tracing.dataCollected', ({ value }) => events.push(...value));
    try {
      await browser.call('Tracing.start', { transferMode: 'ReportEvents',
        traceConfig: { includedCategories: ['v8', 'disabled-by-default-v8.compile'] } });
      for (let i = 0; i < 2 * LOADS; i++) {
        const page = await browser.open(`${publisher.elsewhere}/${i % 2 ? 'plain' : 'bare'}`);
        await page.until(`performance.getEntriesByType('navigation')[0].loadEventEnd > 0`);
        await page.close();
      }
      const done = new Promise((end) => browser.events.set('Tracing.tracingComplete', end));
      await browser.call('Tracing.end');
      await done;
    } finally {
      await browser.close();
    }
    const [tags, frames] = [runs(events, 'widget-1.js'), runs(events, 'bare.js')];
    assert.deepEqual([tags.length, frames.length], [LOADS, LOADS], 'all are in the trace');
    // Other work on the machine only ever adds to them.
    const [tag, frame] = [Math.min(...tags), Math.min(...frames)];
    t.diagnostic(`tag ${tag.toFixed(2)} ms, a frame alone ${frame.toFixed(2)} ms`);
    assert.ok(tag - frame < OWN_MS, `tag ${tags} ms, frame ${frames} ms`);
  });
