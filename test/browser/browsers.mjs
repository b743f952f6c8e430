// @ts-check
/**
 * Chromium (playwright-core) and Firefox (puppeteer-core, WebDriver BiDi) behind one small
 * interface, as a visitor uses them: default preferences, real input, fresh profile.
 *
 * The switch is in the frame that <footbridge-widget> makes inside its shadow root; flip() clicks
 * it there through the browser's input pipeline.
 */
import { existsSync } from 'node:fs';

export const CHROMIUM_FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const PATHS = {
  chromium: ['/usr/bin/chromium', '/usr/bin/google-chrome'],
  firefox: ['/usr/bin/firefox-esr', '/usr/bin/firefox'],
};
// The frame in the element's shadow root, or one that a page made by itself. Playwright's selectors
// pierce shadow roots anyway.
const IFRAME = { playwright: 'iframe', puppeteer: ':scope >>> iframe' };
const ARMED = '#switch:not([aria-disabled])';

/** @typedef {'chromium' | 'firefox'} BrowserName */
/**
 * @typedef {{ state: string, on: boolean, status: string, helped: string, carried: string }} Face
 */

/**
 * @param {BrowserName} name
 * @returns {string | undefined} the program, if there is one
 */
export function browserPath(name) {
  return PATHS[name].find((path) => existsSync(path));
}

/** One tab on a page with the widget. */
export class Visit {
  /**
   * @param {any} page
   * @param {any} frame
   * @param {any} iframe handle of the element
   */
  constructor(page, frame, iframe) {
    this.page = page;
    this.frame = frame;
    this.iframe = iframe;
    /** @type {string[]} */ this.errors = [];
  }

  /** Clicks the switch as a visitor does: in view, and not before it takes input. */
  async flip() {
    await this.page.bringToFront();
    await (this.iframe.scrollIntoViewIfNeeded ?? this.iframe.scrollIntoView).call(this.iframe);
    const armed = await this.frame.waitForSelector(ARMED, { timeout: 15000 });
    const { on } = await this.face();
    await armed.click();
    await this.moved(!on);
  }

  /** Waits for the switch to move, and answers the window that asks. @param {boolean} on */
  async moved(on) {
    const late = Date.now() + 15000;
    while ((await this.face()).on !== on) {
      if (Date.now() > late) throw new Error('the switch did not move');
      await (await this.asks())?.yes();
    }
  }

  /** The window that asks whether the visitor meant it, where one is open. */
  async asks() {
    if (typeof this.page.browser !== 'function') return undefined; // Chromium knows what is visible
    const pages = await this.page.browser().pages();
    const page = pages.find((/** @type {any} */ one) => one.url().includes('/confirm.html'));
    return page && {
      page,
      yes: async () => {
        await page.bringToFront();
        const yes = await page.waitForSelector('#yes:not([aria-disabled])', { timeout: 15000 });
        const closed = new Promise((done) => page.once('close', done));
        await Promise.race([yes.click(), closed]); // it closes under the click
        await this.page.bringToFront();
      },
    };
  }

  /** @returns {Promise<Face>} what the visitor sees */
  face() {
    return this.frame.evaluate(() => {
      /** @param {string} id */
      const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
      return {
        state: at('face').dataset.state ?? '',
        on: at('switch').getAttribute('aria-checked') === 'true',
        status: at('status').textContent ?? '',
        helped: at('helped').textContent ?? '',
        carried: at('carried').textContent ?? '',
      };
    });
  }

  /** @param {...string} states any of these */
  async until(...states) {
    const selector = states.map((state) => `#face[data-state="${state}"]`).join();
    try {
      await this.frame.waitForSelector(selector, { timeout: 30000 });
    } catch (error) {
      const face = JSON.stringify(await this.face());
      throw new Error(`waited for ${states.join(' or ')}, the widget shows ${face}`,
        { cause: error });
    }
  }

  async close() {
    await this.page.close();
  }
}

class Chromium {
  /**
   * @param {any} server
   * @param {any} browser
   */
  constructor(server, browser) {
    this.server = server;
    this.browser = browser;
  }

  /** @param {{ dark?: boolean, width?: number, height?: number }} [look] */
  async newPage(look = {}) {
    const context = await this.browser.newContext({
      colorScheme: look.dark ? 'dark' : 'light',
      viewport: { width: look.width ?? 1280, height: look.height ?? 900 },
    });
    return context.newPage();
  }

  /**
   * @param {string} url
   * @param {{ dark?: boolean, width?: number, height?: number }} [look]
   */
  async visit(url, look) {
    return visitOn(await this.newPage(look), url);
  }

  /** @param {any} page one of this browser's @param {string} url */
  visitOn(page, url) {
    return visitOn(page, url);
  }

  /** Ends it as the kernel ends programs. */
  kill() {
    this.server.process().kill('SIGKILL');
  }

  async close() {
    await this.server.close();
  }
}

/**
 * Chromium with storage as visitors have it, kept apart for each site. Playwright switches the
 * keeping apart off, and then frames on other sites' pages have none at all.
 */
class Profile {
  /** @param {any} context */
  constructor(context) {
    this.context = context;
  }

  /** @param {string} url */
  async visit(url) {
    return visitOn(await this.context.newPage(), url);
  }

  async close() {
    await this.context.close();
  }
}

class Firefox {
  /** @param {any} browser */
  constructor(browser) {
    this.browser = browser;
  }

  /** @param {{ width?: number, height?: number }} [look] */
  async newPage(look = {}) {
    const page = await this.browser.newPage();
    await page.setViewport({ width: look.width ?? 1280, height: look.height ?? 900 });
    return page;
  }

  /**
   * @param {string} url
   * @param {{ width?: number, height?: number }} [look]
   */
  async visit(url, look) {
    return visitOn(await this.newPage(look), url);
  }

  /** @param {any} page one of this browser's @param {string} url */
  visitOn(page, url) {
    return visitOn(page, url);
  }

  kill() {
    this.browser.process().kill('SIGKILL');
  }

  async close() {
    if (this.browser.connected) await this.browser.close();
  }
}

/**
 * @param {any} page
 * @param {string} url
 */
async function visitOn(page, url) {
  /** @type {string[]} */
  const errors = [];
  page.on('pageerror', (/** @type {Error} */ error) => errors.push(String(error)));
  page.on('console', (/** @type {any} */ message) => {
    const type = message.type();
    if (type === 'error') errors.push(message.text());
  });
  await page.goto(url);
  const playwright = typeof page.frameLocator === 'function';
  const iframe = await page.waitForSelector(
    playwright ? IFRAME.playwright : IFRAME.puppeteer, { timeout: 15000 });
  const visit = new Visit(page, await iframe.contentFrame(), iframe);
  visit.errors = errors;
  return visit;
}

/**
 * @param {BrowserName} name
 * @param {boolean} [trusting] takes any certificate
 * @returns {Promise<Chromium | Firefox>}
 */
export async function launch(name, trusting = false) {
  const executablePath = browserPath(name);
  if (!executablePath) throw new Error(`no ${name} here`);
  if (name === 'chromium') {
    const { chromium } = await import('playwright-core');
    const args = [...CHROMIUM_FLAGS, ...(trusting ? ['--ignore-certificate-errors'] : [])];
    const server = await chromium.launchServer({ executablePath, args });
    return new Chromium(server, await chromium.connect(server.wsEndpoint()));
  }
  const { default: puppeteer } = await import('puppeteer-core');
  const browser = await puppeteer.launch({
    browser: 'firefox',
    protocol: 'webDriverBiDi',
    executablePath,
    headless: true,
    acceptInsecureCerts: trusting,
    timeout: 60000,
  });
  return new Firefox(browser);
}

/**
 * A browser that remembers, as long as it runs.
 * @param {BrowserName} name
 * @returns {Promise<Profile | Chromium | Firefox>}
 */
export async function launchProfile(name) {
  if (name === 'firefox') return launch(name);
  const { chromium } = await import('playwright-core');
  const args = [...CHROMIUM_FLAGS, '--disable-features=Translate']; // the last list counts
  return new Profile(await chromium.launchPersistentContext('',
    { executablePath: browserPath(name), args }));
}
