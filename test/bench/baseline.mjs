// @ts-check
/**
 * What the widget is measured against, with the same native ends: the simplest relay page, and a
 * bare data channel.
 */
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { built } from './built.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));

const MESSAGE = 16000;
const WARM_MS = 700; // as LOAD_WARM_NS of load.h
const DEADLINE_MS = 30000; // beyond what it is to take

/** @typedef {'down' | 'up'} Direction */
/** @typedef {{ mbits: number, bytes: number, seconds: number, cpu: number }} Load */

/** One of the native ends: lines out, a description in, and a report as its last line. */
class Native {
  /**
   * @param {string[]} prefix what stands before its command line
   * @param {string} name @param {(string | number)[]} args
   */
  constructor(prefix, name, ...args) {
    this.name = name;
    const [file, ...rest] = [...prefix, `${built}${name}`, ...args.map(String)];
    this.output = '';
    /** @type {(() => void) | undefined} */ this.heard = undefined;
    this.child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdout.on('data', (data) => {
      this.output += data;
      this.heard?.();
    });
    this.ended = new Promise((done) => this.child.on('close', done));
  }

  /** @param {RegExp} pattern @returns {Promise<RegExpMatchArray>} */
  says(pattern) {
    return new Promise((resolve, reject) => {
      this.heard = () => {
        const match = this.output.match(pattern);
        if (match) resolve(match);
      };
      this.ended.then(() => reject(new Error(`${this.name} ended; it said: ${this.output}`)));
      this.heard();
    });
  }

  /** @param {number} seconds that it may take @returns {Promise<Load>} */
  async report(seconds) {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), seconds * 1000 + DEADLINE_MS);
    await this.ended;
    clearTimeout(timer);
    const line = this.output.trimEnd().split('\n').pop() ?? '';
    if (!line.startsWith('{')) throw new Error(`${this.name} measured nothing: ${this.output}`);
    return JSON.parse(line);
  }
}

/** Where these pages are without a server, for browsers in the laboratory. */
export const pagesHere = new URL('.', import.meta.url).href.replace(/\/$/, '');

/** Pages of this directory, on loopback. */
export class Pages {
  static async start() {
    const server = createServer((request, response) => {
      const name = (request.url ?? '').slice(1);
      const known = /^(bare|relay)\.html$/.test(name);
      response.writeHead(known ? 200 : 404, { 'content-type': 'text/html' });
      response.end(known ? readFileSync(here + name) : '');
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)));
    return new Pages(server);
  }

  /** @param {import('node:http').Server} server */
  constructor(server) {
    this.server = server;
    const address = /** @type {import('node:net').AddressInfo} */ (server.address());
    this.url = `http://127.0.0.1:${address.port}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** @param {Native} peer the offers that it makes, one for each lane @param {number} [count] */
async function offers(peer, count = 1) {
  const [all] = await peer.says(new RegExp(`^(?:v=0[^]*?^\\.\n){${count}}`, 'm'));
  return all.split('.\n').slice(0, count);
}

/**
 * @template T
 * @param {import('./cdp.mjs').Chromium} browser
 * @param {string} url
 * @param {(page: import('./cdp.mjs').Page) => Promise<T>} act
 * @returns {Promise<T>}
 */
async function onPage(browser, url, act) {
  const page = await browser.open(url);
  try {
    return await act(page);
  } finally {
    await page.close();
  }
}

/**
 * The simplest relay: both native ends' reports; goodput is the receiving one's. What watch, begun
 * with the page's answer, has seen meanwhile stands beside it.
 * @param {import('./cdp.mjs').Chromium} browser
 * @param {Pages} pages
 * @param {Direction} direction
 * @param {number} seconds
 * @param {number} window
 * @param {() => Promise<number>} [watch]
 */
export function relayRun(browser, pages, direction, seconds, window, watch = async () => 0) {
  return onPage(browser, `${pages.url}/relay.html`, async (page) => {
    const down = direction === 'down';
    const egress = new Native([], 'ws_peer', down ? 'source' : 'sink', seconds, MESSAGE, window);
    const way = down ? 'sink' : 'source';
    const client = new Native([], 'rtc_peer', 'offer', way, seconds, MESSAGE, window);
    const [, port] = await egress.says(/^listening (\d+)$/m);
    const answer = await page.evaluate(`relay(${JSON.stringify((await offers(client))[0])},
      'ws://127.0.0.1:${port}/relay')`);
    client.child.stdin.end(`${answer}.\n`);
    const [watched, atClient, atEgress] =
      await Promise.all([watch(), client.report(seconds), egress.report(seconds)]);
    return { mbits: (down ? atClient : atEgress).mbits, atClient, atEgress, watched };
  });
}

/**
 * Data channels between the native peer and a page that only counts, or only sends; what they carry
 * together.
 * @param {import('./cdp.mjs').Chromium} browser
 * @param {string} site where bare.html is
 * @param {Direction} direction
 * @param {number} seconds
 * @param {{ warm?: number, lanes?: number, prefix?: string[] }} [options] warm: ms from the first
 *   message to what is counted; prefix: what stands before the native peer's command line
 */
export function bareRun(browser, site, direction, seconds,
  { warm = WARM_MS, lanes = 1, prefix = [] } = {}) {
  return onPage(browser, `${site}/bare.html`, async (page) => {
    const down = direction === 'down';
    const peer = new Native(prefix, 'rtc_peer', 'offer', down ? 'source' : 'sink', seconds, MESSAGE,
      0, warm, lanes);
    for (const sdp of await offers(peer, lanes))
      peer.child.stdin.write(`${await page.evaluate(`bare(${JSON.stringify(sdp)})`)}.\n`);
    peer.child.stdin.end();
    const whole = warm / 1000 + seconds;
    if (!down) {
      page.evaluate('send()').catch(() => {}); // ends with the channels
      return peer.report(whole);
    }
    const counted = await page.evaluate(`count(${warm}, ${seconds * 1000})`, whole * 1000 + 30000);
    await page.evaluate('end()');
    const { cpu } = await peer.report(0);
    return { ...counted, mbits: counted.bytes * 8e-6 / counted.seconds, cpu };
  });
}
