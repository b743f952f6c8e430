// @ts-check
/** Programs under test, and those that test them: a wait ends at a line of output or a deadline. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const footbridge = process.env.FB_BIN ?? `${root}build/debug/footbridge`;
/** For what is long: in the full run, the release build. */
export const quick = (process.env.FB_FULL && process.env.FB_RELEASE) || footbridge;

export class Program {
  /**
   * @param {string} file
   * @param {string[]} args
   * @param {{ env?: Record<string, string>, cwd?: string }} [options]
   */
  constructor(file, args, options = {}) {
    this.name = `${file.replace(/.*\//, '')} ${args[0] ?? ''}`;
    this.output = '';
    this.stdout = '';
    /** @type {Set<() => void>} */ this.watchers = new Set();
    /** @type {number | string | undefined} */ this.status = undefined;
    this.child = spawn(file, args, {
      env: { ...process.env, ...options.env },
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.child.stdout.on('data', (data) => {
      this.stdout += data;
      this.#heard(data);
    });
    this.child.stderr.on('data', (data) => this.#heard(data));
    this.ended = new Promise((done) => {
      this.child.on('error', (error) => {
        this.output += String(error);
        done((this.status = 127));
      });
      this.child.on('close', (code, signal) => done((this.status = code ?? signal ?? 'gone')));
    });
    this.ended.then(() => this.#heard(''));
  }

  /** @param {Buffer | string} data */
  #heard(data) {
    this.output += data;
    for (const watcher of this.watchers) watcher();
  }

  /**
   * The first match in what it has said, now or later.
   * @param {RegExp} pattern
   * @param {number} [ms]
   * @returns {Promise<RegExpMatchArray>}
   */
  says(pattern, ms = 20000) {
    return new Promise((resolve, reject) => {
      /** @param {string} why */
      const fail = (why) => {
        end();
        reject(new Error(`${this.name}: ${why} before ${pattern}; it said:\n${this.output}`));
      };
      const look = () => {
        const match = this.output.match(pattern);
        if (match) {
          end();
          resolve(match);
        } else if (this.status !== undefined) {
          fail(`ended with ${this.status}`);
        }
      };
      const timer = setTimeout(() => fail(`${ms} ms passed`), ms);
      const end = () => {
        clearTimeout(timer);
        this.watchers.delete(look);
      };
      this.watchers.add(look);
      look();
    });
  }

  /**
   * Asks it to end, and makes it after a while.
   * @param {NodeJS.Signals} [signal]
   * @returns {Promise<number | string>} exit status, or the signal that ended it
   */
  async stop(signal = 'SIGTERM') {
    if (this.status !== undefined) return this.status;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 15000);
    const status = await this.ended;
    clearTimeout(timer);
    return status;
  }
}

/**
 * Runs a program to its end.
 * @param {string} file
 * @param {string[]} args
 * @param {{ ms?: number, env?: Record<string, string>, cwd?: string }} [options]
 * @returns {Promise<{ status: number | string, stdout: string, output: string }>}
 */
export async function run(file, args, options = {}) {
  const program = new Program(file, args, options);
  const timer = setTimeout(() => program.child.kill('SIGKILL'), options.ms ?? 60000);
  const status = await program.ended;
  clearTimeout(timer);
  return { status, stdout: program.stdout, output: program.output };
}

/**
 * @param {() => boolean} condition
 * @param {string} what
 * @param {number} [ms]
 */
export async function until(condition, what, ms = 60000) {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms for ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/**
 * Waits until an expression is true in a page or frame: with waitForFunction(), which the pages'
 * policies forbid, that is luck.
 * @param {any} place
 * @param {string} expression
 */
export async function comes(place, expression, ms = 15000) {
  for (const late = Date.now() + ms; !(await place.evaluate(expression));) {
    if (Date.now() > late) throw new Error(`waited ${ms} ms for ${expression}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @param {string} what
 * @returns {Promise<T>}
 */
export function withDeadline(promise, ms, what) {
  /** @type {NodeJS.Timeout} */ let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  return Promise.race([promise, /** @type {Promise<never>} */ (late)])
    .finally(() => clearTimeout(timer));
}
