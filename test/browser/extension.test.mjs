// @ts-check
/**
 * The extension as tools/extension builds it, in both browsers: off until the visitor's click in
 * its popup, carries for a reader, says for how many, is after a restart as it was before.
 *
 * Input goes to the popup's page in a tab, where drivers reach it; that the real popup has room for
 * all and takes input is looked at through the browser's own extension.getViews().
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, createReadStream, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { scratch } from '../net/scratch.mjs';
import { CHROMIUM_FLAGS, browserPath } from './browsers.mjs';
import { Network } from './network.mjs';
import { Origin, noiseHash } from './origin.mjs';
import { comes, footbridge, run } from './program.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BYTES = 8 * 1024 * 1024;
const LONG = { timeout: 120000 };
const FACE = 'face/frame.html#globe';
const UUID = '6f0e3c1a-5b52-4c3e-9d1c-0a7b8e9f1234'; // by which Firefox would not be guessed

/**
 * @param {string} dir where to
 * @param {...string} args
 */
const build = (dir, ...args) => run(`${ROOT}tools/extension`, args, { env: {
  FB_EXTENSION_DIR: dir, FB_WASM: `${dirname(footbridge)}/src/wasm/slot.wasm`,
} });

/** @param {string} file */
async function fileHash(file) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  return hash.digest('hex');
}

/** The operator's address in the extension: it counts who asks for the network's data. */
class Front {
  asked = 0;

  /** @param {string} broker */
  constructor(broker) {
    this.server = createServer(async ({ url }, response) => {
      this.asked++;
      const reply = await fetch(broker + url);
      response.writeHead(reply.status, { 'access-control-allow-origin': '*' });
      response.end(await reply.text());
    });
  }

  /** @returns {Promise<string>} its address */
  async listen() {
    await new Promise((done) => this.server.listen(0, '127.0.0.1', () => done(undefined)));
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.server.address());
    return `http://127.0.0.1:${port}`;
  }
}

/** Chromium with the extension and one profile. */
class Chromium {
  /** @param {string} dir of both extensions @param {string} profile */
  constructor(dir, profile) {
    this.dir = `${dir}/chromium`;
    this.profile = profile;
  }

  async open() {
    const { chromium } = await import('playwright-core');
    this.context = await chromium.launchPersistentContext(this.profile, {
      executablePath: browserPath('chromium'),
      ignoreDefaultArgs: ['--disable-extensions'],
      args: [...CHROMIUM_FLAGS, '--headless=new', `--load-extension=${this.dir}`,
        `--disable-extensions-except=${this.dir}`],
    });
    /** @type {any} */ this.background = this.context.serviceWorkers()[0] ??
      await this.context.waitForEvent('serviceworker', { timeout: 30000 });
    this.url = new URL('.', this.background.url()).href;
  }

  /** The popup's page, in a tab. */
  async popup() {
    /** @type {any} */ const page = await this.context?.newPage();
    await page.goto(this.url + FACE);
    return page;
  }

  async close() {
    await this.context?.close();
    this.context = undefined;
  }
}

/** Firefox with the extension installed in one profile, as a store would. */
class Firefox {
  /** @param {string} dir of both extensions @param {string} profile */
  constructor(dir, profile) {
    this.profile = profile;
    this.url = `moz-extension://${UUID}/`;
    mkdirSync(`${profile}/extensions`, { recursive: true });
    copyFileSync(`${dir}/firefox.zip`, `${profile}/extensions/footbridge@127.0.0.1.xpi`);
  }

  async open() {
    const { default: puppeteer } = await import('puppeteer-core');
    this.browser = await puppeteer.launch({
      browser: 'firefox',
      protocol: 'webDriverBiDi',
      executablePath: browserPath('firefox'),
      headless: true,
      timeout: 60000,
      userDataDir: this.profile,
      args: ['--remote-allow-system-access'], // else the driver may not open extensions' pages
      extraPrefsFirefox: {
        'xpinstall.signatures.required': false,
        'extensions.autoDisableScopes': 0,
        'extensions.webextensions.uuids': JSON.stringify({ 'footbridge@127.0.0.1': UUID }),
      },
    });
  }

  async popup() {
    const page = await /** @type {any} */ (this.browser).newPage();
    page.goto(this.url + FACE).catch(() => {}); // the page comes, the driver does not notice
    // Nor does it notice which page it looks at while one takes another's place.
    for (const late = Date.now() + 30000; ;)
      try {
        await page.waitForSelector('#face', { timeout: 5000 });
        return page;
      } catch (error) {
        if (Date.now() > late) throw error;
      }
  }

  async close() {
    if (this.browser?.connected) await this.browser.close();
    this.browser = undefined;
  }
}

describe('the extension as files', () => {
  const dir = scratch('extension');
  after(() => rmSync(dir, { recursive: true, force: true }));

  test('is for an operator on the secure web, or on this machine, and for no other', async () => {
    const cases = [[], ['http://operator.example'], ['https://operator.example/path'],
      ['https://operator.example', 'ws://egress.example'], ["https://a.example;script-src'"]];
    for (const args of cases) {
      const { status, output } = await build(`${dir}/none`, ...args);
      assert.equal(status, 1, String(args));
      assert.match(output, /make extension OPERATOR=https|is not an origin like/);
    }
  });

  test('the same tree gives the same bytes', async () => {
    const args = ['https://operator.example', 'wss://one.example wss://two.example:8443'];
    for (const made of ['one', 'two']) {
      const { status, output } = await build(join(dir, made), ...args);
      assert.equal(status, 0, output);
    }
    for (const zip of ['chromium.zip', 'firefox.zip'])
      assert.equal(await fileHash(`${dir}/one/${zip}`), await fileHash(`${dir}/two/${zip}`));
    const manifest = JSON.parse(readFileSync(`${dir}/one/chromium/manifest.json`, 'utf8'));
    const policy = manifest.content_security_policy.extension_pages;
    assert.match(policy, new RegExp("connect-src 'self' " +
      'https://operator.example wss://operator.example wss://one.example wss://two.example:8443;'));
    assert.deepEqual(manifest.permissions, ['alarms', 'offscreen']);
    assert.equal(manifest.host_permissions, undefined);
  });

  test("Mozilla's linter finds nothing", async () => {
    const { stdout, output } = await run(process.execPath,
      [`${ROOT}node_modules/addons-linter/bin/addons-linter`, '--output', 'json',
        `${dir}/one/firefox.zip`]);
    const { summary } = JSON.parse(stdout);
    assert.deepEqual(summary, { errors: 0, notices: 0, warnings: 0 }, output);
  });
});

for (const [name, Browser] of /** @type {const} */ (
  [['chromium', Chromium], ['firefox', Firefox]])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`the extension in ${name}`, { skip }, () => {
    const dir = scratch('extension');
    /** @type {Origin} */ let origin;
    /** @type {Network} */ let network;
    /** @type {Front} */ let front;
    /** @type {Chromium | Firefox} */ let browser;
    /** @type {any} the popup's page */ let page;

    before(async () => {
      origin = await Origin.start();
      network = await Network.start({ allow: [`127.0.0.1:${origin.port}`] });
      const broker = await network.operator;
      front = new Front(broker);
      const { status, output } = await build(dir, await front.listen(),
        broker.replace('http', 'ws'));
      assert.equal(status, 0, output);
      browser = new Browser(dir, `${dir}/profile`);
      await browser.open();
      page = await browser.popup();
    }, LONG);

    after(async () => {
      await browser?.close();
      front?.server.close();
      await network?.stop();
      origin?.stop();
      rmSync(dir, { recursive: true, force: true, maxRetries: 10 });
    }, LONG);

    const armed = () => page.waitForSelector('#switch:not([aria-disabled])', { timeout: 15000 });
    const flip = async () => (await armed()).click();
    /** @param {string} state */
    const shows = (state) => page.waitForSelector(`#face[data-state=${state}]`, { timeout: 30000 });
    const helped = () => page.evaluate(() => document.getElementById('helped')?.textContent);
    const again = async () => {
      await browser.close();
      await browser.open();
    };
    /** @param {string} text */
    const badge = (text) => comes(page, `(async () => {
      const { action, browserAction } = globalThis.browser ?? chrome;
      return await (action ?? browserAction).getBadgeText({}) === ${JSON.stringify(text)};
    })()`);

    /** A reader reads, whom nobody else helps. @param {string} seed */
    async function carries(seed) {
      const file = `${dir}/${seed}`;
      const { status, output } = await network.curl('socks',
        ['-o', file, `${origin.url}/noise/${BYTES}/${seed}`]);
      assert.equal(status, 0, output);
      assert.equal(await fileHash(file), noiseHash(BYTES, seed));
    }

    test('nothing starts before the visitor clicks', LONG, async () => {
      await armed();
      await page.evaluate(() => {
        const knob = /** @type {HTMLElement} */ (document.getElementById('switch'));
        knob.click();
        knob.dispatchEvent(new MouseEvent('click', { bubbles: true }));
      });
      await badge('');
      assert.equal(await page.evaluate(() =>
        document.getElementById('switch')?.getAttribute('aria-checked')), 'false');
      await shows('off');
      assert.equal(front.asked, 0);
    });

    test('a click starts it, it carries, and the badge counts', LONG, async () => {
      await page.bringToFront();
      await flip();
      await carries('first');
      await shows('carrying');
      await badge('1');
      assert.equal(front.asked, 1);
    });

    test('the real popup takes input, and shows all that is in it', LONG, async () => {
      await page.bringToFront();
      await page.evaluate(() => {
        const { action, browserAction } = /** @type {any} */ (globalThis).browser ??
          /** @type {any} */ (globalThis).chrome;
        return (action ?? browserAction).openPopup();
      });
      await comes(page, `(() => {
        const { extension } = globalThis.browser ?? chrome;
        const [popup] = extension.getViews({ type: 'popup' });
        const knob = popup?.document.getElementById('switch');
        return knob && !knob.hasAttribute('aria-disabled') && popup.innerWidth === 345 &&
          popup.document.documentElement.scrollHeight <= popup.innerHeight &&
          (popup.close(), true);
      })()`);
    });

    test('it connects to its operator and to nobody else', LONG, async () => {
      const blocked = await page.evaluate(async (/** @type {string} */ elsewhere) => {
        /** @type {string[]} */ const uris = [];
        document.addEventListener('securitypolicyviolation', ({ effectiveDirective }) =>
          uris.push(effectiveDirective));
        await fetch(elsewhere).catch(() => {});
        for (let i = 0; i < 100 && uris.length < 1; i++)
          await new Promise((done) => setTimeout(done, 50));
        return uris;
      }, origin.url);
      assert.deepEqual(blocked, ['connect-src']);
    });

    test('after a restart of the browser it goes on without a click', LONG, async () => {
      await again();
      await carries('second'); // before anybody looks
      page = await browser.popup();
      await shows('carrying');
      await badge('1');
      assert.notEqual(await helped(), '0');
    });

    if (name === 'chromium') {
      test('a crash of its document is noticed', LONG, async () => {
        const { background } = /** @type {Chromium} */ (browser);
        await page.close();
        await background.evaluate(async () => {
          const { alarms, offscreen } = /** @type {any} */ (globalThis).chrome;
          await offscreen.closeDocument();
          const [alarm] = await alarms.getAll();
          await alarms.create(alarm.name, { when: Date.now() }); // as in a minute
        });
        await carries('third');
        page = await browser.popup();
        await shows('carrying');
      });
    }

    test('switched off, it is off, and so after a restart', LONG, async () => {
      await page.bringToFront();
      await flip();
      await shows('off');
      await badge('');
      const [before, { asked }] = [await helped(), front];
      await again();
      page = await browser.popup();
      await armed();
      await shows('off');
      assert.equal(await helped(), before);
      assert.equal(front.asked, asked);
    });

    if (name === 'chromium') {
      test('off and unseen, it takes no memory', LONG, async () => {
        const { background } = /** @type {Chromium} */ (browser);
        await page.close();
        await comes(background, `(async () => (await chrome.runtime.getContexts(
          { contextTypes: ['OFFSCREEN_DOCUMENT'] })).length === 0)()`);
        page = await browser.popup(); // which makes it again
        await armed();
      });
    }
  });
}
