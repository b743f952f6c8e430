// @ts-check
/**
 * footbridge broker and footbridge egress as two processes: they find each other over their link
 * and prove themselves, sessions outlive a broker that goes; what they say when something is wrong.
 */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync }
  from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Origin, noise } from '../browser/origin.mjs';
import { Program, footbridge, run, until } from '../browser/program.mjs';
import { freePort } from './ports.mjs';

describe('broker and egress apart', () => {
  const dir = mkdtempSync(join(tmpdir(), 'footbridge-apart-'));
  const keys = join(dir, 'keys');
  /** @type {Program[]} */ const programs = [];
  /** @type {Origin} */ let origin;
  /** @type {Program} */ let broker;
  /** @type {Program} */ let egress;
  /** @type {string} */ let link;
  /** @type {string} */ let proxy;
  let brokerPort = 0;
  let egressPort = 0;

  /** @param {string[]} args */
  const start = (...args) => {
    const program = new Program(footbridge, args, { env: { XDG_CACHE_HOME: dir } });
    programs.push(program);
    return program;
  };
  const startBroker = () => start('broker', '--keys', keys, '--listen', `127.0.0.1:${brokerPort}`);
  /** @param {string} name */
  const everything = (name) => programs.map((p) => `${p.name}: ${p.output}`).join('\n') + name;

  before(async () => {
    origin = await Origin.start();
    [brokerPort, egressPort] = [await freePort(), await freePort()];
    const { status, output } = await run(footbridge, ['network', 'new', '--local', '--broker',
      `http://127.0.0.1:${brokerPort}`, '--egress', `ws://127.0.0.1:${egressPort}/v1/path`, keys]);
    assert.equal(status, 0, output);
    link = readFileSync(join(keys, 'join-link'), 'utf8').trim();
    // The egress first: it keeps trying.
    egress = start('egress', '--keys', keys, '--listen', `127.0.0.1:${egressPort}`,
      '--allow', `127.0.0.1:${origin.port}`);
    await egress.says(/no link to the broker: .*; next try in/);
    broker = startBroker();
    await egress.says(/linked to the broker/);
    await broker.says(/an egress is attached/);
  }, { timeout: 60000 });

  after(async () => {
    for (const program of programs) await program.stop('SIGKILL');
    origin?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  /**
   * @param {number} size
   * @param {string[]} options
   */
  const download = async (size, ...options) => {
    const got = join(dir, 'got');
    const { status, output } = await run('curl', ['--silent', '--show-error', '--fail',
      '--noproxy', '', '--proxy', `socks5h://${proxy}`, ...options, '-o', got,
      `${origin.url}/noise/${size}/apart`], { ms: 60000 });
    assert.equal(status, 0, everything(output));
    assert.ok(readFileSync(got).equals(Buffer.concat([...noise(size, 'apart')])));
  };

  test('a client reaches an origin through a volunteer', { timeout: 70000 }, async () => {
    start('volunteer', '--join', link);
    const client = start('client', '--join', link, '--listen', `127.0.0.1:${await freePort()}`);
    [, proxy] = await client.says(/(127\.0\.0\.1:\d+)/);
    await download(2000000);
  });

  test('a second client on this machine has its own port and volunteers', { timeout: 70000 },
    async () => {
      start('volunteer', '--join', link);
      const first = proxy;
      const client = start('client', '--join', link, '--paths', '2', '--listen', '127.0.0.1:0');
      [, proxy] = await client.says(/(127\.0\.0\.1:\d+)/);
      await client.says(/another volunteer: 2 now/, 30000);
      await download(2000000);
      assert.notEqual(proxy, first);
      proxy = first;
      await download(2000000);
    });

  test('a download outlives its broker, which comes back', { timeout: 90000 }, async () => {
    const running = download(4000000, '--limit-rate', '1M');
    await broker.stop('SIGKILL');
    await running;
    const dropped = egress.output.length;
    broker = startBroker();
    await broker.says(/an egress is attached/, 40000);
    await until(() => egress.output.slice(dropped).includes('linked to the broker'), 'the link');
  });

  test('an egress with another link key is none', { timeout: 60000 }, async () => {
    const other = join(dir, 'other');
    cpSync(keys, other, { recursive: true });
    const made = join(dir, 'made');
    await run(footbridge, ['network', 'new', '--broker', 'https://b.example',
      '--egress', 'wss://e.example/v1/path', made]);
    copyFileSync(join(made, 'link.key'), join(other, 'link.key'));
    const stranger = start('egress', '--keys', other, '--listen', '127.0.0.1:0');
    await stranger.says(/no link to the broker: .*not an egress of this network/);
    await broker.says(/an egress's link is closed: authentication failed/);
    await stranger.stop('SIGKILL');
  });

  test('what cannot start says why in one line', async () => {
    /** @type {[string[], RegExp][]} */
    const cases = [
      [['broker', '--keys', keys, '--listen', `127.0.0.1:${brokerPort}`],
        new RegExp(`port ${brokerPort} of 127\\.0\\.0\\.1: it is in use`)],
      [['broker', '--keys', keys, '--listen', '127.0.0.1:0', '--stun', 'x'], /not ADDRESS:PORT: x/],
      [['broker', '--keys', keys, '--cert', join(dir, 'none.pem'), '--key', 'k'], /none\.pem/],
      [['broker', '--keys', keys, '--key', 'k'], /certificate/],
      [['broker', '--keys', keys, '--geoip', dir], /--geoip .*: no full country tables there/],
      [['broker', '--keys', join(dir, 'none')], /none\/join-link: No such file/],
      [['egress', '--keys', keys, '--listen', '127.0.0.1:0', '--number', '2'], /egress-2\.key/],
      [['egress', '--keys', keys, '--listen', '127.0.0.1:0', '--broker', 'ftp://b'], /ftp:\/\/b/],
      [['egress', '--keys', keys, '--listen', 'localhost:1'], /not ADDRESS:PORT: localhost:1/],
      [['egress', '--keys', keys, '--allow', '1.2.3.4'], /--allow 1\.2\.3\.4: not ADDRESS:PORT/],
    ];
    for (const [args, pattern] of cases) {
      const { status, output } = await run(footbridge, [...args, '--quiet'], { ms: 20000 });
      assert.equal(status, 1, `${args}: ${output}`);
      assert.match(output, pattern);
      assert.equal(output.split('\n').length, 2, `not one line: ${output}`);
    }
  });

  test('files that fit nothing, or that others may read', async () => {
    const bad = join(dir, 'bad');
    cpSync(keys, bad, { recursive: true });
    writeFileSync(join(bad, 'link.key'), 'no key\n', { mode: 0o600 });
    for (const role of ['broker', 'egress']) {
      const { status, output } = await run(footbridge, [role, '--keys', bad, '--listen',
        '127.0.0.1:0', '--quiet']);
      assert.equal(status, 1);
      assert.match(output, /link\.key/);
    }
    copyFileSync(join(keys, 'link.key'), join(bad, 'link.key'));
    chmodSync(join(bad, 'broker-sealing.key'), 0o644);
    const { status, output } = await run(footbridge, ['broker', '--keys', bad, '--quiet']);
    assert.equal(status, 1);
    assert.match(output, /others may read it/);
  });

  test('both stop when asked, with status 0', async () => {
    assert.equal(await egress.stop('SIGTERM'), 0, egress.output);
    assert.equal(await broker.stop('SIGTERM'), 0, broker.output);
  });
});
