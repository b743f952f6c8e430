// @ts-check
/**
 * Chromium by its own protocol over a pipe, and nothing that is not asked for: playwright
 * subscribes to network events, and then every WebSocket message is copied to the driver as JSON,
 * which took as much CPU time as the relaying that is to be measured.
 */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';

import { CHROMIUM_FLAGS, browserPath } from '../browser/browsers.mjs';
import { scratch } from '../net/scratch.mjs';

const CALL_MS = 30000;

/** @param {number} ms */
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

export class Chromium {
  /**
   * @param {string[]} [prefix] what stands before its command line
   * @param {string[]} [flags] more of them
   */
  static async launch(prefix = [], flags = []) {
    const path = browserPath('chromium');
    if (!path) throw new Error('no chromium here');
    const chromium = new Chromium([...prefix, path, ...flags]);
    await chromium.call('Target.getTargets'); // it is there
    return chromium;
  }

  #last = 0;
  #rest = '';
  /** @type {Map<number, (reply: any) => void>} */ #waiting = new Map();
  /** What to do at events, by method. @type {Map<string, (params: any) => void>} */
  events = new Map();

  /** @param {string[]} command */
  constructor([file, ...args]) {
    this.dir = scratch('chromium');
    this.child = spawn(file, [...args, ...CHROMIUM_FLAGS, '--headless', '--remote-debugging-pipe',
      `--user-data-dir=${this.dir}`, 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.ended = new Promise((done) => this.child.on('close', done));
    this.pipe = /** @type {import('node:stream').Writable} */ (this.child.stdio[3]);
    this.pipe.on('error', () => {}); // it has ended; calls in vain time out
    const from = /** @type {import('node:stream').Readable} */ (this.child.stdio[4]);
    from.setEncoding('utf8').on('data', (text) => this.#heard(text));
  }

  /** @param {string} text messages end with NUL */
  #heard(text) {
    const messages = (this.#rest + text).split('\0');
    this.#rest = messages.pop() ?? '';
    for (const message of messages) {
      const reply = JSON.parse(message);
      if (reply.method) this.events.get(reply.method)?.(reply.params);
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    }
  }

  /**
   * @param {string} method
   * @param {Record<string, any>} [params]
   * @param {string} [sessionId]
   * @param {number} [ms] that it may take
   * @returns {Promise<any>}
   */
  call(method, params = {}, sessionId = undefined, ms = CALL_MS) {
    const id = ++this.#last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`${method}: no reply`)), ms);
      this.#waiting.set(id, ({ error, result }) => {
        clearTimeout(timer);
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result);
      });
      this.pipe.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  /** A tab of its own. @param {string} url */
  async open(url) {
    const { targetId } = await this.call('Target.createTarget',
      { url, newWindow: true }); // a hidden tab would be slowed down
    const { sessionId } = await this.call('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, targetId, sessionId);
    await page.until(`location.href !== 'about:blank' && document.readyState === 'complete'`);
    return page;
  }

  /** Ends it as the kernel ends programs. */
  async kill() {
    this.child.kill('SIGKILL');
    await this.ended;
    this.#forget();
  }

  async close() {
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await this.call('Browser.close').catch(() => this.child.kill());
    await this.ended;
    clearTimeout(timer);
    this.#forget();
  }

  #forget() { // its other processes may still be writing
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 10 });
  }
}

export class Page {
  /**
   * @param {Chromium} chromium
   * @param {string} target
   * @param {string} session
   */
  constructor(chromium, target, session) {
    this.chromium = chromium;
    this.target = target;
    this.session = session;
  }

  /**
   * The value of an expression, or of the promise that it is.
   * @param {string} expression
   * @param {number} [ms] that it may take
   * @returns {Promise<any>}
   */
  async evaluate(expression, ms) {
    const { result, exceptionDetails } = await this.chromium.call('Runtime.evaluate',
      { expression, awaitPromise: true, returnByValue: true }, this.session, ms);
    if (exceptionDetails)
      throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  /**
   * A click at the middle of what the expression yields, through the browser's input pipeline.
   * @param {string} element
   */
  async click(element) {
    const { x, y } = await this.evaluate(`{
      const { x, y, width, height } = (${element}).getBoundingClientRect();
      ({ x: x + width / 2, y: y + height / 2 })
    }`);
    for (const type of ['mousePressed', 'mouseReleased'])
      await this.chromium.call('Input.dispatchMouseEvent',
        { type, x, y, button: 'left', clickCount: 1 }, this.session);
  }

  /**
   * Waits until the expression is true.
   * @param {string} expression
   * @param {number} [ms]
   */
  async until(expression, ms = 30000) {
    for (const late = Date.now() + ms; !(await this.evaluate(expression)); await wait(20))
      if (Date.now() > late) throw new Error(`waited ${ms} ms for ${expression}`);
  }

  async close() {
    await this.chromium.call('Target.closeTarget', { targetId: this.target });
  }
}
