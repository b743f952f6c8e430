// @ts-check
/**
 * A network in the laboratory (lab.mjs): broker and egress on the host `operator`, an origin, two
 * STUN servers; and clients and volunteers, Chromium too, on the hosts that they are given.
 *
 *     const net = await LabNetwork.start();
 *     await net.lab.addHost('reader', { nat: 'symmetric', link: { delay: 50 } });
 *     await net.lab.addHost('helper', { nat: 'open' });
 *     await net.tab('helper');                        // or net.volunteer('helper')
 *     const client = net.client('reader');
 *     await client.says(/^client: ready/m);
 *     await net.stop();
 */
import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { Chromium } from '../bench/cdp.mjs';
import { footbridge, run } from '../browser/program.mjs';
import { certificate } from './certificate.mjs';
import { Lab } from './lab.mjs';
import { scratch } from './scratch.mjs';
import { addStun } from './stun.mjs';

const BROKER_PORT = 8080;
const EGRESS_PORT = 8081;
const STUN_PORT = 3478;
export const PROXY = '127.0.0.1:1080';

/** A tab with the switch on, in a browser of its own. */
export class Tab {
  /** @param {Chromium} browser @param {import('../bench/cdp.mjs').Page} page */
  constructor(browser, page) {
    this.browser = browser;
    this.page = page;
  }

  /** @returns {Promise<string>} what the widget's face shows */
  state() {
    return this.page.evaluate(`document.getElementById('face').dataset.state`);
  }

  /** The widget's face says so. @param {string} state */
  shows(state) {
    return this.page.until(`document.getElementById('face').dataset.state === '${state}'`);
  }

  async flip() {
    await this.page.until(`document.querySelector('#switch:not([aria-disabled])') !== null`);
    await this.page.click(`document.getElementById('switch')`);
  }
}

export class LabNetwork {
  /**
   * @param {{ file?: string, seed?: number, links?: Record<string, import('./lab.mjs').Link> }}
   *   [options] file: the footbridge, with the lab beside it; links: of operator, origin and stun
   */
  static async start({ file = footbridge, seed, links = {} } = {}) {
    const lab = await Lab.open({ program: `${dirname(file)}/test/net/lab`, seed });
    const net = new LabNetwork(lab, file);
    try {
      await lab.addHost('operator', { link: links.operator });
      await lab.addHost('origin', { link: links.origin });
      await addStun(lab, links.stun);
      await net.#operate();
      return net;
    } catch (error) {
      await net.stop();
      throw error;
    }
  }

  /** @param {Lab} lab @param {string} file */
  constructor(lab, file) {
    this.lab = lab;
    this.file = file;
    this.dir = scratch('lab');
    this.link = '';
    this.cert = '';
    /** @type {Set<Chromium>} */ this.browsers = new Set();
  }

  /** Where the widget is served. */
  get site() {
    return `https://${this.lab.address('operator')}:${BROKER_PORT}`;
  }

  async #operate() {
    const at = this.lab.address('operator');
    const keys = join(this.dir, 'keys');
    const stun = [0, 1].flatMap((which) =>
      ['--stun', `${this.lab.address('stun', which)}:${STUN_PORT}`]);
    const made = await run(this.file, ['network', 'new', keys, '--broker', this.site, '--egress',
      `wss://${at}:${EGRESS_PORT}/v1/path`, ...stun]);
    if (made.status !== 0) throw new Error(made.output);
    this.link = made.stdout.match(/footbridge:\S+/)?.[0] ?? '';
    const { cert, key } = certificate(this.dir, 'operator', `IP:${at}`);
    this.cert = cert;
    // The laboratory's addresses are all of one country: tables that know others.
    writeFileSync(join(this.dir, 'geoip'), '16777216,16777471,AU\n');
    writeFileSync(join(this.dir, 'geoip6'), '2001:200::,2001:200::ffff,JP\n');
    const common = ['--keys', keys, '--cert', cert, '--key', key, '--per-address', '0'];
    this.broker = this.lab.run('operator', this.file, ['broker', ...common, '--geoip', this.dir,
      '--offers', '0', '--listen', `${at}:${BROKER_PORT}`]);
    await this.broker.says(/listening/);
    this.egress = this.lab.run('operator', this.file, ['egress', ...common, '--ca', cert,
      '--listen', `${at}:${EGRESS_PORT}`]);
    await this.broker.says(/egress is attached/);
  }

  /** A client whose proxy is PROXY on that host. @param {string} host @param {string[]} args */
  client(host, ...args) {
    return this.lab.run(host, this.file, ['client', '--verbose', '--join', this.link, '--ca',
      this.cert, '--listen', PROXY, '--cache', join(this.dir, `cache-${host}`), ...args]);
  }

  /** A headless volunteer that waits. @param {string} host @param {string[]} args */
  async volunteer(host, ...args) {
    const volunteer = this.lab.run(host, this.file, ['volunteer', '--verbose', '--join', this.link,
      '--ca', this.cert, '--cache', join(this.dir, `cache-${host}`), ...args]);
    await volunteer.says(/waiting/i);
    return volunteer;
  }

  /** Chromium on that host. @param {string} host */
  async chromium(host) {
    const browser = await Chromium.launch(this.lab.command(host),
      ['--ignore-certificate-errors']); // the one of this.cert
    this.browsers.add(browser);
    browser.ended.then(() => this.browsers.delete(browser));
    return browser;
  }

  /** A tab of a Chromium of its own that waits for a reader. @param {string} host */
  async tab(host) {
    return this.tabOf(await this.chromium(host));
  }

  /** @param {Chromium} browser @param {import('../bench/cdp.mjs').Page} [page] to be used */
  async tabOf(browser, page) {
    const url = `${this.site}/frame.html`;
    const tab = new Tab(browser, page ?? (await browser.open(url)));
    if (page) await browser.call('Page.navigate', { url }, page.session);
    await tab.flip();
    await tab.shows('waiting');
    return tab;
  }

  async stop() {
    await Promise.all([...this.browsers].map((browser) => browser.close()));
    await this.lab.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
