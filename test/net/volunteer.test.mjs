// @ts-check
/** The headless volunteer's limits, with a network and readers on this machine. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Network } from '../browser/network.mjs';
import { Origin } from '../browser/origin.mjs';
import { Program, footbridge, quick, run, until } from '../browser/program.mjs';
import { freePort } from './ports.mjs';
import { scratch } from './scratch.mjs';

const LONG = { timeout: 120000 };
const RATE = 2e6; // bit/s
const WARM_MS = 3000;
const WINDOW_MS = 10000;
const MB = 1e6;

describe('footbridge volunteer', () => {
  const dir = scratch('volunteer');
  /** @type {Origin} */ let origin;
  /** @type {Network} */ let network;
  /** @type {Program[]} */ const programs = [];
  /** @type {import('node:child_process').ChildProcess[]} */ const curls = [];

  before(async () => {
    origin = await Origin.start();
    network = await Network.start({ allow: [`127.0.0.1:${origin.port}`] });
  }, LONG);

  after(async () => {
    for (const curl of curls) curl.kill();
    for (const program of programs) await program.stop();
    await network?.stop();
    origin?.stop();
    rmSync(dir, { recursive: true, force: true });
  }, LONG);

  let zone = 'UTC';

  /** @param {string} state a directory @param {string[]} args */
  const volunteer = (state, ...args) => {
    const program = new Program(quick, ['volunteer', '--join', network.link, '--state', state,
      ...args], { env: { XDG_CACHE_HOME: dir, TZ: zone } });
    programs.push(program);
    return program;
  };

  /** A client of its own; its proxy. @param {string} name */
  const client = async (name) => {
    const program = new Program(quick, ['client', '--join', network.link, '--verbose', '--listen',
      `127.0.0.1:${await freePort()}`, '--cache', join(dir, name)]);
    programs.push(program);
    await program.says(/^client: ready/m, 60000);
    return program.output.match(/127\.0\.0\.1:\d+/)?.[0] ?? '';
  };

  /**
   * A reader who never has enough; what he has got so far.
   * @param {string} proxy
   * @param {string} name
   */
  const read = (proxy, name) => {
    const got = { bytes: 0 };
    const curl = spawn('curl', ['--silent', '--noproxy', '', '--proxy', `socks5h://${proxy}`,
      `${origin.url}/noise/1000000000/${name}`], { stdio: ['ignore', 'pipe', 'ignore'] });
    curl.stdout.on('data', (data) => (got.bytes += data.length));
    curls.push(curl);
    return got;
  };

  /** @param {number} port @returns {Promise<string>} */
  const metrics = (port) => new Promise((resolve, reject) => {
    get(`http://127.0.0.1:${port}/metrics`, (response) => {
      assert.equal(response.statusCode, 200);
      assert.equal(response.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
      let text = '';
      response.on('data', (data) => (text += data));
      response.on('end', () => resolve(text));
    }).on('error', reject);
  });

  /** @param {string} text @param {string} name */
  const value = (text, name) => {
    const at = text.split('\n').find((line) => line.startsWith(`footbridge_volunteer_${name} `));
    assert.ok(at, `${name} in ${text}`);
    return Number(at.split(' ').pop());
  };

  /** @param {number} is @param {number} wanted @param {string} what */
  const within = (is, wanted, what) =>
    assert.ok(Math.abs(is / wanted - 1) < 0.1, `${what}: ${is}, not ${wanted}`);

  test('2 Mbit/s hold for two readers, who have half each', LONG, async () => {
    const port = await freePort();
    const config = join(dir, 'rate.conf');
    writeFileSync(config, `rate = 9M\nmetrics = ${port}\npeople = 3\n`);
    const program = volunteer(join(dir, 'rate'), '--config', config, '--rate', '2M');
    await program.says(/waiting|carrying/);
    const second = await client('second');
    await until(() => /carrying for 2/.test(program.output), 'both to be carried');
    const readers = [read(network.proxy, 'one'), read(second, 'two')];
    await until(() => readers.every(({ bytes }) => bytes > 10000), 'both to read');
    await new Promise((done) => setTimeout(done, WARM_MS));
    const relayed = (/** @type {string} */ text) =>
      value(text, 'relayed_bytes_total{direction="up"}') +
      value(text, 'relayed_bytes_total{direction="down"}');
    const start = performance.now();
    const before = relayed(await metrics(port)), from = readers.map(({ bytes }) => bytes);
    await new Promise((done) => setTimeout(done, WINDOW_MS));
    const seconds = (performance.now() - start) / 1000;
    const text = await metrics(port);
    const got = readers.map(({ bytes }, i) => (bytes - from[i]) * 8 / seconds);
    console.log(`# relayed ${((relayed(text) - before) * 8 / seconds / 1e6).toFixed(3)} Mbit/s, ` +
      `readers got ${got.map((each) => (each / 1e6).toFixed(3)).join(' and ')}`);
    within((relayed(text) - before) * 8 / seconds, RATE, 'what is relayed');
    within((got[0] + got[1]) / 0.95, RATE, 'what readers get, headers and acknowledgements aside');
    for (const each of got) within(each, (got[0] + got[1]) / 2, 'a half');
    assert.equal(value(text, 'rate_limit_bytes_per_second'), 250000);
    assert.equal(value(text, 'people'), 2);
    assert.equal(value(text, 'people_limit'), 3);
    assert.equal(value(text, 'state{state="carrying"}'), 1);
    assert.doesNotMatch(text, /\d+\.\d+\.\d+\.\d+|[0-9a-f]{16}/); // no address, no key
    assert.doesNotMatch(program.output, /queue|warning/);
    for (const reader of curls.splice(0)) reader.kill();
    await program.stop();
  });

  /** The one file in a state directory. @param {string} state */
  const kept = (state) => {
    const [file, ...more] = readdirSync(state);
    assert.deepEqual(more, []);
    return join(state, file);
  };

  test('a budget is kept to and remembered, and garbage is no memory', LONG, async () => {
    const port = await freePort(), budget = 4 * MB, state = join(dir, 'budget');
    const first = volunteer(state, '--budget', '4M', '--metrics', `127.0.0.1:${port}`);
    await first.says(/carrying/);
    const reader = read(network.proxy, 'budget');
    await first.says(/paused: this month's data is used up/, 60000);
    const text = await metrics(port), used = value(text, 'month_used_bytes');
    assert.ok(used <= budget && used >= budget - 1.2 * MB, `${used} of ${budget}`);
    const relayed = value(text, 'relayed_bytes_total{direction="up"}') +
      value(text, 'relayed_bytes_total{direction="down"}');
    assert.ok(used > 2 * relayed && used < 2.2 * relayed + 20000, `${used}, relayed ${relayed}`);
    assert.ok(reader.bytes > 0.5 * relayed, `${reader.bytes} of ${relayed} for the reader`);
    assert.equal(value(text, 'month_budget_bytes'), budget);
    assert.equal(value(text, 'paused{reason="budget"}'), 1);
    assert.equal(value(text, 'people'), 0);
    await first.stop();
    assert.match(readFileSync(kept(state), 'utf8'), /^\d{6} \d+\n$/);
    assert.equal(statSync(kept(state)).mode & 0o777, 0o600);

    const second = volunteer(state, '--budget', '4M');
    await second.says(/paused: this month's data is used up/);
    await second.stop();
    assert.doesNotMatch(second.output, /connecting/);
    for (const garbage of ['', '202611', '999999999999999999999 1\n', '\0'.repeat(5000)]) {
      writeFileSync(kept(state), garbage);
      const again = volunteer(state, '--budget', '4M');
      await again.says(/connecting/);
      await again.stop();
    }
    for (const curl of curls.splice(0)) curl.kill();
  });

  test('where nothing can be kept it says so, and helps', LONG, async () => {
    const state = join(dir, 'blocked');
    mkdirSync(state);
    const program = volunteer(state, '--budget', '1G');
    await program.says(/waiting|carrying/);
    mkdirSync(join(state, `${name(network.link)}.used.new`)); // in the way
    await program.stop();
    assert.match(program.output, /warning: what is used of the budget cannot be kept/);
  });

  test('hours of the local day', LONG, async () => {
    for (const [hour, says] of /** @type {[number, RegExp][]} */ ([
      [18, /paused: these are not its hours/], [6, /connecting/]])) {
      const west = (new Date().getUTCHours() - hour + 24) % 24;
      zone = `UTX${west > 12 ? west - 24 : west}`; // where it is about that hour now
      const program = volunteer(join(dir, 'hours'), '--hours', '01:00-12:00');
      await program.says(says);
      await program.stop();
    }
    zone = 'UTC';
  });

  test('bad options: one line each, with file and line', async () => {
    const config = join(dir, 'bad.conf');
    const base = ['volunteer', '--join', network.link];
    /** @type {[string[], RegExp][]} */
    const cases = [
      [['--rate', 'fast'], /--rate takes a number like 500k, 2.5M or 50G, not 'fast'/],
      [['--rate', '-1'], /--rate takes a number/],
      [['--budget', '1e9'], /--budget takes a number/],
      [['--hours', '8-17'], /--hours takes hours like 22:00-06:30, not '8-17'/],
      [['--hours', '08:00-24:01'], /--hours takes/],
      [['--people', '65'], /--people takes a number from 1 to 64, not '65'/],
      [['--metrics', '192.0.2.1'], /--metrics takes PORT or ADDRESS:PORT, not '192.0.2.1'/],
    ];
    for (const [args, says] of cases) {
      const { status, output } = await run(footbridge, [...base, ...args]);
      assert.equal(status, 2, output);
      assert.match(output, /^footbridge volunteer: .*\n$/);
      assert.match(output, says);
      writeFileSync(config, `; a comment\n\n${args[0].slice(2)} = ${args[1]}\n`);
      const inFile = await run(footbridge, [...base, '--config', config]);
      assert.equal(inFile.status, 2, inFile.output);
      assert.match(inFile.output, new RegExp(`^footbridge volunteer: ${config}:3: .*\n$`));
    }
    const { status, output } = await run(footbridge, [...base, '--metrics', String(origin.port)]);
    assert.equal(status, 1);
    assert.match(output, /^footbridge volunteer: --metrics: .*in use.*\n$/);
  });

  test('on a terminal, one line that is written over', LONG, async () => {
    const program = new Program('script', ['--quiet', '--flush', '--return', '--command',
      `exec ${quick} volunteer --join '${network.link}' --state ${join(dir, 'tty')}`, '/dev/null'],
    { env: { XDG_CACHE_HOME: dir } });
    programs.push(program);
    await program.says(/\r\x1b\[Khelping \d, \d so far; \d+\.\d Mbit\/s; \d+\.\d GB this month/);
    const lines = program.output.split('\n');
    for (const line of lines.slice(0, -1))
      assert.ok(line.startsWith('\r\x1b[Kvolunteer: '), program.output);
  });
});

/** What a network's files are called by: its key, in the link. @param {string} link */
function name(link) {
  const key = link.slice('footbridge:'.length).split('?')[0];
  return Buffer.from(key, 'base64url').subarray(0, 16).toString('hex');
}
