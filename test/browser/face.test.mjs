// @ts-check
/**
 * The widget's face with a stand-in behind it: what a publisher may write, what is shown and said,
 * by keyboard and screen reader, in every language and layout.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { FaceServer } from './faceserver.mjs';

const FULL = Boolean(process.env.FB_FULL);
const AXE = readFileSync(
  new URL('../../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const { LANGUAGES } = await import(`${new URL('../../web/widget/', import.meta.url)}text.js`);

const CARRYING = {
  state: 'carrying', on: true, now: 12, total: 30, up: 2e8, down: 3e9, speed: 42.3e6, helped: 1234,
  carried: 834e9, country: 'DE', nat: 'hard', used: 3e9,
  people: [{ id: 1, country: 'AE' }, { id: 2, country: 'CN' }],
};
const VIEWS = /** @type {Record<string, any>} */ ({
  off: { state: 'off', on: false },
  waiting: { state: 'waiting', on: true },
  carrying: CARRYING,
  paused: { state: 'paused', on: true, paused: ['metered'] },
  trouble: { state: 'trouble', on: true, trouble: 'unreachable' },
});
/** Layouts as attributes of the tag, which decides how high they are. */
const LAYOUTS = ['layout=panel', 'layout=panel globe', 'layout=banner', 'layout=badge',
  'layout=floating folded=off', 'layout=floating'];

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  describe(`the face in ${name}`, { skip: browserPath(name) ? false : `no ${name} here` }, () => {
    /** @type {FaceServer} */ let server;
    /** @type {any} */ let browser;

    before(async () => {
      server = await FaceServer.start();
      browser = await launch(name);
    }, { timeout: 120000 });

    after(async () => {
      await browser?.close();
      server?.stop();
    }, { timeout: 60000 });

    /**
     * The frame alone, as a page of its own.
     * @param {string} fragment
     * @param {{ width?: number, height?: number, dark?: boolean, still?: boolean,
     *   forced?: boolean }} [look]
     */
    async function face(fragment, look = {}) {
      const page = await browser.newPage({ width: 480, height: 264, ...look });
      if (name === 'chromium') {
        await page.emulateMedia({ reducedMotion: look.still ? 'reduce' : 'no-preference',
          forcedColors: look.forced ? 'active' : 'none' });
      }
      await page.goto(`${server.url}/frame.html#${fragment}`);
      await page.waitForSelector('[data-ready]');
      return page;
    }

    /** @param {any} page @param {any} part of the view */
    const become = (page, part) => page.evaluate((/** @type {any} */ view) =>
      /** @type {any} */ (globalThis).fake.become(view), part);

    /** @param {any} page @returns {Promise<any[]>} what the visitor asked of the host */
    const asked = (page) => page.evaluate(() => /** @type {any} */ (globalThis).fake.asked
      .filter((/** @type {any} */ one) => !one.suggest));

    /**
     * Waits until an expression is true; from here, because the policy of the page lets no library
     * evaluate one there again and again.
     * @param {any} page
     * @param {string} expression
     */
    async function until(page, expression) {
      const late = Date.now() + 10000;
      while (!(await page.evaluate(expression)))
        if (Date.now() > late) throw new Error(`never: ${expression}`);
    }

    /** @param {any} page @param {string} fragment as the tag changes it */
    async function rewrite(page, fragment) {
      await page.evaluate((/** @type {string} */ hash) => location.replace(`#${hash}`), fragment);
    }

    test('what a publisher writes is obeyed at once and live', async () => {
      const page = await face('lang=en');
      const look = () => page.evaluate(() => {
        const { lang, dir, dataset } = document.documentElement;
        const at = (/** @type {string} */ id) =>
          /** @type {HTMLAnchorElement} */ (document.getElementById(id));
        return { lang, dir, theme: dataset.theme, layout: dataset.layout,
          stats: !at('stats').hidden, globe: !at('earth').hidden,
          info: at('info').hidden ? '' : at('info').href,
          donate: at('donate').hidden ? '' : at('donate').href, status: at('status').textContent,
          paper: getComputedStyle(document.body).backgroundColor };
      });
      const first = await look();
      assert.deepEqual({ ...first, status: '', paper: '' }, { lang: 'en', dir: 'ltr',
        theme: 'light', layout: 'panel', stats: true, globe: false, info: '', donate: '',
        status: '', paper: '' });
      await rewrite(page, 'layout=banner&theme=dark&stats=off&lang=fa&info=https://a.example/x&' +
        'donate=https://b.example/');
      await until(page, 'document.documentElement.lang === "fa"');
      const then = await look();
      assert.deepEqual({ ...then, status: '', paper: '' }, { lang: 'fa', dir: 'rtl', theme: 'dark',
        layout: 'banner', stats: false, globe: false, info: 'https://a.example/x',
        donate: 'https://b.example/', status: '', paper: '' });
      assert.notEqual(then.status, first.status);
      assert.notEqual(then.paper, first.paper);
      await rewrite(page, 'lang=xx&globe=on');
      await until(page, 'document.documentElement.lang !== "fa"');
      const last = await look();
      assert.deepEqual([last.lang, last.layout, last.stats, last.globe, last.info, last.donate],
        ['en', 'panel', true, true, '', '']);
      await page.close();
    });

    test('a stranger\'s fragment switches nothing on and leads nowhere', async () => {
      const page = await face(`on&checked=true&state=carrying&switch=on&flip=1&keep=on&anyway=1&` +
        `layout=<b>&theme=javascript:1&lang=../frame&people=99&rate=-1&open=settings&` +
        `info=javascript:alert(1)&donate=http://plain.example/&${'x'.repeat(9000)}`);
      const { state, links, suggested } = await page.evaluate(() => ({
        state: document.getElementById('face')?.dataset.state,
        links: document.querySelectorAll('a:not([hidden])').length +
          document.querySelectorAll('a[href]').length,
        suggested: /** @type {any} */ (globalThis).fake.asked,
      }));
      assert.deepEqual([state, links], ['off', 0]);
      assert.deepEqual(suggested, [{ suggest: { rate: 0, people: 4 } }]);
      assert.equal(await page.evaluate(() => document.documentElement.dataset.layout), 'panel');
      await page.close();
    });

    test('one language is fetched, and nothing that is not wanted yet', async () => {
      server.fetched.length = 0;
      const page = await face('lang=ko');
      const some = server.fetched.filter((path) => /text\.|panels|globe|land|layouts/.test(path));
      assert.deepEqual(some.sort(), ['/text.js', '/text.ko.js']);
      await rewrite(page, 'lang=ko&globe=on');
      await until(page, 'document.getElementById("globe").ariaLabel || ' +
        'document.getElementById("globe").getAttribute("aria-label")');
      assert.ok(server.fetched.includes('/globe.js') && server.fetched.includes('/land.js'));
      await page.close();
    });

    test('all of it by keyboard', async () => {
      const page = await face('lang=en', { width: 480, height: 600 });
      const focused = () => page.evaluate(() => {
        const element = /** @type {HTMLElement} */ (document.activeElement);
        return element.id || element.dataset.page || element.textContent;
      });
      await page.waitForSelector('#switch:not([aria-disabled])');
      assert.equal(await page.evaluate(() => document.activeElement === document.body), true,
        'nothing has taken the focus');
      await page.keyboard.press('Tab');
      assert.equal(await focused(), 'switch');
      await page.keyboard.press(' ');
      await until(page, 'document.getElementById("switch").ariaChecked === "true" || ' +
        'document.getElementById("switch").getAttribute("aria-checked") === "true"');
      assert.deepEqual(await asked(page), [{ on: true }]);
      for (const wanted of ['about', 'settings']) {
        await page.keyboard.press('Tab');
        assert.equal(await focused(), wanted);
      }
      await page.keyboard.press('Enter');
      await page.waitForSelector('#page:not([hidden]) select');
      assert.equal(await focused(), 'page');
      for (let i = 0; i < 2; i++) await page.keyboard.press('Tab');
      await page.keyboard.press('ArrowUp'); // of the speeds, the one below none
      await until(page, 'fake.view.settings.rate > 0');
      assert.deepEqual((await asked(page)).pop(), { set: { rate: 50e6 } });
      await page.keyboard.press('Escape');
      assert.equal(await focused(), 'settings', 'back where it came from');
      assert.equal(await page.evaluate(() => document.getElementById('page')?.hidden), true);
      await page.close();
    });

    test('settings are the visitor\'s, and a view shows them', async () => {
      const page = await face('lang=en', { width: 480, height: 600 });
      await become(page, { used: 1.5e9, settings: { people: 3, rate: 7e6, budget: 5e9, from: 1320,
        to: 420, metered: true, battery: false, keep: false } });
      await (await page.waitForSelector('[data-page=settings]')).click();
      await page.waitForSelector('#page select');
      const shown = await page.evaluate(() => ({
        selects: [...document.querySelectorAll('select')].map(({ value }) => Number(value)),
        times: [...document.querySelectorAll('input')].filter(({ type }) => type === 'time')
          .map(({ value }) => value),
        checks: [...document.querySelectorAll('input')].filter(({ type }) => type === 'checkbox')
          .map(({ checked }) => checked),
        progress: document.querySelector('progress')?.value,
      }));
      assert.deepEqual(shown, { selects: [7e6, 3, 5e9], times: ['22:00', '07:00'],
        checks: [true, true, false, false], progress: 0.3 });
      const boxes = await page.$$('input[type=checkbox]');
      for (const box of [boxes[0], boxes[3]]) await box.click();
      assert.deepEqual(await asked(page),
        [{ set: { from: 0, to: 0 } }, { set: { keep: true } }]);
      await page.close();
    });

    test('where the country censors, the reader\'s program is offered; going on takes a hand',
      async () => {
        const page = await face('lang=en');
        await become(page, { censored: 'IR' });
        await page.waitForSelector('#page:not([hidden]) .first');
        const text = await page.evaluate(() => document.getElementById('page')?.textContent);
        assert.match(text, /Iran/);
        await page.evaluate(() => /** @type {HTMLElement} */ (
          document.querySelectorAll('#page .plain')[1]).click());
        assert.deepEqual(await asked(page), [], 'a script is not a hand');
        await (await page.waitForSelector('#page .first')).click();
        await until(page, `document.getElementById('page').textContent.includes('footbridge:')`);
        await become(page, { censored: '' });
        await page.keyboard.press('Escape');
        await become(page, { censored: 'IR' });
        await page.waitForSelector('#page .first');
        await (await page.$$('#page .plain'))[1].click();
        assert.deepEqual(await asked(page), [{ on: true, how: { anyway: true } }]);
        await page.close();
      });

    test('somebody new is named by country, and people are said aloud not too often', async () => {
      const page = await face('lang=en');
      await become(page, { state: 'waiting', on: true });
      await until(page, `document.getElementById('said').textContent.startsWith('Off')`);
      const heard = page.evaluate(() => new Promise((done) => {
        /** @type {(string | null)[]} */ const lines = [];
        const said = /** @type {HTMLElement} */ (document.getElementById('said'));
        new MutationObserver(() => {
          lines.push(said.textContent);
          if (said.textContent?.includes('9 people')) done(lines);
        }).observe(said, { childList: true, subtree: true, characterData: true });
      }));
      const people = [];
      for (let now = 1; now < 10; now++) {
        people.push({ id: now, country: now === 9 ? 'TM' : '' });
        await become(page, { state: 'carrying', now, people: [...people] });
      }
      await until(page, `document.getElementById('news').textContent.includes('Turkmenistan')`);
      assert.equal(await page.evaluate(() => document.getElementById('status')?.textContent),
        'Helping 9 people right now');
      assert.deepEqual(await heard, ['Helping 9 people right now'], 'once, for all nine');
      await page.close();
    });

    test('right to left is mirrored', async () => {
      /** @param {string} lang */
      const places = async (lang) => {
        const page = await face(`lang=${lang}`, { width: 480, height: 264 });
        await become(page, CARRYING);
        await page.evaluate(() => Promise.all(document.getAnimations()
          .filter((one) => one instanceof CSSTransition).map((one) => one.finished)));
        const all = await page.evaluate(() => {
          /** @param {string} selector @returns {DOMRect} */
          const box = (selector) =>
            /** @type {Element} */ (document.querySelector(selector)).getBoundingClientRect();
          return Object.fromEntries(['.mark', '#name', '#switch', '.dot', '#stats div', '.knob']
            .map((selector) => [selector, { left: box(selector).left,
              right: innerWidth - box(selector).right }]));
        });
        const parts = await page.evaluate(() => {
          const knob = /** @type {Element} */ (document.getElementById('switch'));
          const [outer, inner] = [knob, knob.children[0]].map((one) => one.getBoundingClientRect());
          return { onRight: inner.left + inner.right > outer.left + outer.right };
        });
        await page.close();
        return { all, ...parts };
      };
      const english = await places('en');
      for (const lang of ['fa', 'ar', 'ug']) {
        const other = await places(lang);
        for (const selector of ['.mark', '#switch'])
          assert.ok(Math.abs(english.all[selector].left - other.all[selector].right) < 1.5 &&
            Math.abs(english.all[selector].right - other.all[selector].left) < 1.5,
            `${lang}: ${selector} is where its mirror image is not`);
        for (const selector of ['#name', '.dot', '#stats div'])
          assert.ok(Math.abs(english.all[selector].left - other.all[selector].right) < 1.5,
            `${lang}: ${selector} does not begin at the right`);
        assert.deepEqual([english.onRight, other.onRight], [true, false],
          'on is at the line\'s end');
      }
    });

    test('reduced motion: nothing moves', async (context) => {
      if (name !== 'chromium') return context.skip('it cannot be asked for there');
      /** @param {boolean} still */
      const moving = async (still) => {
        const page = await face('lang=en&globe=on', { still, height: 488 });
        await become(page, CARRYING);
        await until(page, `document.getElementById('news').textContent !== ''`);
        await until(page, `document.getElementById('globe').width > 100`);
        await become(page, { state: 'waiting', people: [] });
        await become(page, CARRYING);
        const count = await page.evaluate(async () => {
          const globe = /** @type {HTMLCanvasElement} */ (document.getElementById('globe'));
          const before = globe.toDataURL();
          const transitions = getComputedStyle(
            /** @type {Element} */ (document.getElementById('switch'))).transitionDuration;
          const animations = document.getAnimations().length;
          for (let i = 0; i < 40; i++) await new Promise((done) => requestAnimationFrame(done));
          return { animations: animations > 0, globe: globe.toDataURL() !== before, transitions };
        });
        await page.close();
        return count;
      };
      assert.deepEqual(await moving(false),
        { animations: true, globe: true, transitions: '0.2s' });
      assert.deepEqual(await moving(true), { animations: false, globe: false, transitions: '0s' });
    });

    test('the globe names its places, and a picture takes a few milliseconds', async (context) => {
      if (name !== 'chromium') return context.skip('once is enough');
      const page = await face('lang=en&globe=on', { height: 488 });
      await become(page, CARRYING);
      await until(page, `(document.getElementById('globe').getAttribute('aria-label') ?? '')
        .includes('China')`);
      assert.equal(await page.getAttribute('#globe', 'aria-label'),
        'Globe: Germany – United Arab Emirates and China');
      const ms = await page.evaluate(async () => {
        const { Globe } = await import(`${location.origin}/globe.js`);
        const canvas = document.createElement('canvas');
        canvas.style.cssText = 'position: fixed; inset: 0; width: 200px; height: 200px';
        document.body.append(canvas);
        const globe = new Globe(canvas);
        globe.show(/** @type {any} */ (globalThis).fake.view);
        const start = performance.now();
        for (let i = 0; i < 50; i++) globe.run(true); // draws at once
        globe.run(false);
        return (performance.now() - start) / 50;
      });
      assert.ok(ms < 5, `${ms} ms`);
      await page.close();
    });

    const languages = name === 'chromium' || FULL ? LANGUAGES : ['en', 'fa', 'my'];
    test('at 320 pixels nothing is cut off, in any language and layout', async () => {
      const page = await browser.newPage({ width: 320, height: 640 });
      for (const layout of LAYOUTS)
        for (const lang of languages) {
          await page.goto(`${server.url}/page?${encodeURIComponent(`${layout} lang=${lang} ` +
            'info=https://a.example/ donate=https://b.example/')}`);
          const frame = page.frames()[1] ?? await (await page.waitForSelector(':scope >>> iframe'))
            .contentFrame();
          await frame.waitForSelector('[data-ready]');
          for (const [state, view] of Object.entries(VIEWS)) {
            await become(frame, { ...VIEWS.off, people: [], ...view });
            if (/carrying|paused/.test(state))
              await until(frame, 'document.getElementById("status").textContent !== ""');
            const over = await frame.evaluate(() => {
              const { scrollWidth, scrollHeight } = document.documentElement;
              const cut = [...document.querySelectorAll('p, span, dd, dt, button, a, h1')]
                .filter((element) => element.clientWidth && element.id !== 'said' &&
                  element.scrollWidth > element.clientWidth + 1)
                .map(({ textContent }) => textContent);
              return { wide: scrollWidth - innerWidth, high: scrollHeight - innerHeight, cut };
            });
            assert.deepEqual({ wide: Math.max(0, over.wide), high: Math.max(0, over.high),
              cut: over.cut }, { wide: 0, high: 0, cut: [] }, `${layout} ${lang} ${state}`);
          }
        }
      await page.close();
    });

    test('pages behind the links fit 320 pixels, in any language', async () => {
      for (const lang of languages) {
        const page = await face(`lang=${lang}`, { width: 320, height: 332 });
        await become(page, { ...CARRYING, settings: { people: 4, rate: 0, budget: 5e9, from: 60,
          to: 90, metered: false, battery: false, keep: false } });
        for (const which of ['about', 'settings', 'details']) {
          await (await page.waitForSelector(`[data-page=${which}]`)).click();
          await page.waitForSelector('#page:not([hidden]) h1');
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${which} in ${lang}`);
          assert.equal(await page.evaluate(() =>
            [...document.querySelectorAll('#page :is(p, span, dt, dd, button)')]
              .some(({ textContent, clientWidth }) => clientWidth > 0 && !textContent)), false,
            `${which} in ${lang} lacks words`);
          await page.keyboard.press('Escape');
        }
        await page.close();
      }
    });

    test('axe finds nothing', async (context) => {
      if (name !== 'chromium') return context.skip('its rules are the same there');
      const tongues = FULL ? LANGUAGES : ['en', 'fa', 'zh-Hans'];
      /** @param {any} page @param {string} where */
      const check = async (page, where) => {
        const found = await page.evaluate(async () => {
          const { axe } = /** @type {any} */ (globalThis);
          const { violations } = await axe.run(document, { resultTypes: ['violations'] });
          return violations.map((/** @type {any} */ { id, nodes }) =>
            `${id}: ${nodes.map((/** @type {any} */ node) => node.html).join(' ')}`);
        });
        assert.deepEqual(found, [], where);
      };
      const sizes = { panel: [480, 488], banner: [1000, 108], floating: [360, 332],
        badge: [320, 64] };
      for (const lang of tongues)
        for (const theme of ['light', 'dark'])
          for (const [layout, [width, height]] of Object.entries(sizes)) {
            const page = await face(`lang=${lang}&theme=${theme}&layout=${layout}&globe=on&` +
              'info=https://a.example/&donate=https://b.example/', { width, height });
            await page.evaluate(AXE);
            for (const [state, view] of Object.entries(VIEWS)) {
              await become(page, { ...VIEWS.off, people: [], ...view });
              await page.evaluate(() => Promise.all(document.getAnimations()
                .filter((one) => one instanceof CSSTransition).map((one) => one.finished)));
              await check(page, `${layout} ${theme} ${lang} ${state}`);
            }
            if (layout === 'panel') {
              for (const which of ['about', 'settings', 'details']) {
                await page.click(`[data-page=${which}]`);
                await page.waitForSelector('#page:not([hidden])');
                await check(page, `${which} ${theme} ${lang}`);
                await page.keyboard.press('Escape');
              }
              await become(page, { censored: 'CN' });
              await page.waitForSelector('#page:not([hidden]) .first');
              await check(page, `censored ${theme} ${lang}`);
            }
            await page.close();
          }
    });

    test('forced colours and text of twice the size leave it usable', async (context) => {
      if (name !== 'chromium') return context.skip('they cannot be asked for there');
      const page = await face('lang=en', { forced: true, width: 480, height: 264 });
      await become(page, CARRYING);
      const border = await page.evaluate(() => getComputedStyle(
        /** @type {Element} */ (document.getElementById('switch'))).borderTopWidth);
      assert.equal(border, '1px', 'the switch has an outline where backgrounds are not painted');
      await page.evaluate(() => document.documentElement.style.setProperty('font-size', '30px'));
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, 'it is read by scrolling down alone');
      await page.close();
    });
  });
}
