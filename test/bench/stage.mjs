// @ts-check
/**
 * The stage of measurements: every role in a process of its own, from the release build, on
 * loopback, and Chromium on a publisher's page with the switch on.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Program, run } from '../browser/program.mjs';
import { Pages } from './baseline.mjs';
import { footbridge } from './built.mjs';
import { Chromium } from './cdp.mjs';
import { cpuSeconds, renderers } from './machine.mjs';
import { flow, wait } from './traffic.mjs';

/** @returns {Promise<number>} a port that nobody uses now */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** @param {Program} program */
const pidOf = (program) => /** @type {number} */ (program.child.pid);

/** A network's keys, its broker and its egress. */
export class Servers {
  /** @param {{ allow?: string[] }} options addresses here that the egress may connect to */
  static async start({ allow = [] }) {
    const dir = mkdtempSync(join(tmpdir(), 'footbridge-bench-'));
    const [brokerPort, egressPort] = [await freePort(), await freePort()];
    const operator = `http://127.0.0.1:${brokerPort}`;
    const made = await run(footbridge, ['network', 'new', dir, '--local', '--broker', operator,
      '--egress', `ws://127.0.0.1:${egressPort}/v1/path`]);
    if (made.status !== 0) throw new Error(made.output);
    const link = made.stdout.match(/footbridge:\S+/)?.[0] ?? '';
    const broker = new Program(footbridge, ['broker', '--keys', dir, '--offers', '0', '--listen',
      `127.0.0.1:${brokerPort}`]);
    await broker.says(/listening/);
    const egress = new Program(footbridge, ['egress', '--keys', dir, '--listen',
      `127.0.0.1:${egressPort}`, ...allow.flatMap((address) => ['--allow', address])]);
    await broker.says(/egress is attached/);
    return new Servers(dir, operator, link, broker, egress);
  }

  /**
   * @param {string} dir
   * @param {string} operator
   * @param {string} link
   * @param {Program} broker
   * @param {Program} egress
   */
  constructor(dir, operator, link, broker, egress) {
    this.dir = dir;
    this.operator = operator;
    this.link = link;
    this.broker = broker;
    this.egress = egress;
  }

  get brokerPid() {
    return pidOf(this.broker);
  }

  get egressPid() {
    return pidOf(this.egress);
  }

  /** @param {number} port @param {string[]} more */
  startClient(port, ...more) {
    return new Program(footbridge, ['client', '--join', this.link, '--listen', `127.0.0.1:${port}`,
      '--verbose', ...more]);
  }

  async stop() {
    await this.egress.stop();
    await this.broker.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export class Stage {
  static async start() {
    const originPort = await freePort();
    const servers = await Servers.start({ allow: [`127.0.0.1:${originPort}`] });
    const pages = await Pages.start();
    const browser = await Chromium.launch();
    const frame = await browser.open(`${servers.operator}/frame.html`);
    const stage = new Stage({ originPort, servers, pages, browser, frame });
    await frame.until(`document.querySelector('#switch:not([aria-disabled])') !== null`);
    await frame.click(`document.getElementById('switch')`);
    await stage.shows('waiting');
    return stage;
  }

  /**
   * @param {{ originPort: number, servers: Servers, pages: Pages, browser: Chromium,
   *   frame: import('./cdp.mjs').Page }} parts
   */
  constructor({ originPort, servers, pages, browser, frame }) {
    this.originPort = originPort;
    this.servers = servers;
    this.pages = pages;
    this.browser = browser;
    this.frame = frame;
    this.proxy = 0;
    /** @type {Program | undefined} */ this.client = undefined;
  }

  /** The widget's face says so. @param {string} state */
  shows(state) {
    return this.frame.until(`document.getElementById('face').dataset.state === '${state}'`);
  }

  /** Makes a client whose one path goes through the tab. */
  async carrying() {
    if (this.client) return;
    this.proxy = await freePort();
    this.client = this.servers.startClient(this.proxy, '--cache', join(this.servers.dir, 'cache'));
    await this.client.says(/^client: ready/m, 30000);
  }

  get clientPid() {
    return pidOf(/** @type {Program} */ (this.client));
  }

  get egressPid() {
    return this.servers.egressPid;
  }

  /** The process of the widget's frame: the renderer that works while something is carried. */
  async framePid() {
    await wait(1000); // pages that were closed last have ended
    const before = new Map(renderers().map((pid) => [pid, cpuSeconds(pid)]));
    await flow(this, 'down', 1);
    let [frame, most] = [0, -1];
    for (const pid of renderers()) { // some of those before may have ended
      const spent = cpuSeconds(pid) - (before.get(pid) ?? 0);
      if (spent > most) [frame, most] = [pid, spent];
    }
    return frame;
  }

  async stop() {
    await this.client?.stop();
    await this.servers.stop();
    this.pages.stop();
    await this.browser.close();
  }
}
