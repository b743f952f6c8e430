// @ts-check
/** A whole network on this machine: `footbridge demo`, and curl through its client. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Program, quick, run } from './program.mjs';

export class Network {
  /**
   * @param {{ allow?: string[] }} [options] addresses that the egress may connect to here
   */
  static async start({ allow = [] } = {}) {
    const dir = mkdtempSync(join(tmpdir(), 'footbridge-demo-'));
    const args = ['demo', '--verbose', ...allow.flatMap((address) => ['--allow', address])];
    const demo = new Program(quick, args, { env: { TMPDIR: dir } });
    try {
      const [, site] = await demo.says(/^site: +(http\S+)$/m);
      const [, proxy] = await demo.says(/^proxy: +(\S+)$/m);
      const [, link] = await demo.says(/^join: +(footbridge:\S+)$/m);
      return new Network(demo, dir, site, proxy, link);
    } catch (error) {
      await demo.stop('SIGKILL');
      rmSync(dir, { recursive: true, force: true });
      throw error;
    }
  }

  /**
   * @param {Program} demo
   * @param {string} dir
   * @param {string} site URL of the page with the widget
   * @param {string} proxy host:port
   * @param {string} link
   */
  constructor(demo, dir, site, proxy, link) {
    this.demo = demo;
    this.dir = dir;
    this.site = site;
    this.proxy = proxy;
    this.link = link;
    /** @type {Program[]} */ this.others = [];
  }

  /** The origin that serves the widget. */
  get operator() {
    return this.demo.says(/^broker: +(http\S+)$/m).then(([, url]) => url.replace(/\/$/, ''));
  }

  /** A headless volunteer, ready for a match. */
  async addVolunteer() {
    const volunteer = new Program(quick, ['volunteer', '--join', this.link, '--verbose']);
    this.others.push(volunteer);
    await volunteer.says(/waiting/i);
    return volunteer;
  }

  /**
   * @param {'socks' | 'connect'} way
   * @param {string[]} args
   */
  curlArguments(way, args) {
    const proxy = way === 'socks'
      ? ['--proxy', `socks5h://${this.proxy}`]
      : ['--proxy', `http://${this.proxy}`, '--proxytunnel'];
    return ['--silent', '--show-error', '--fail', '--noproxy', '', ...proxy, ...args];
  }

  /**
   * @param {'socks' | 'connect'} way
   * @param {string[]} args
   * @param {{ ms?: number }} [options]
   */
  curl(way, args, options) {
    return run('curl', this.curlArguments(way, args), options);
  }

  /** A curl that is not waited for. @param {string[]} args */
  startCurl(...args) {
    const curl = new Program('curl', this.curlArguments('socks', args));
    this.others.push(curl);
    return curl;
  }

  /** @returns {Promise<number | string>} how the demo ended */
  async stop() {
    for (const other of this.others) await other.stop();
    const status = await this.demo.stop();
    rmSync(this.dir, { recursive: true, force: true });
    return status;
  }
}
