// @ts-check
/**
 * footbridge serve as an operator runs it: keys by `network new`, a configuration file, TLS; a
 * client and a headless volunteer join by the link. And what it says when something is wrong.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Origin, noise } from '../browser/origin.mjs';
import { Program, footbridge, run } from '../browser/program.mjs';
import { certificate } from './certificate.mjs';
import { freePort } from './ports.mjs';

describe('footbridge serve', () => {
  const dir = mkdtempSync(join(tmpdir(), 'footbridge-serve-'));
  const keys = join(dir, 'keys');
  const config = join(dir, 'serve.conf');
  const port = freePort();
  /** @type {Program[]} */ const programs = [];
  /** @type {{ cert: string, key: string }} */ let tls;
  /** @type {Origin} */ let origin;
  /** @type {string} */ let link;
  /** @type {Program} */ let serve;
  let made = '';

  /** @param {string[]} args */
  const start = (...args) => {
    const program = new Program(footbridge, args, { env: { XDG_CACHE_HOME: dir } });
    programs.push(program);
    return program;
  };

  /** @param {string} path */
  const fetch = async (path) => {
    const url = `https://localhost:${await port}${path}`;
    return new Promise((resolve, reject) => {
      get(url, { ca: readFileSync(tls.cert) }, (response) => {
        /** @type {Buffer[]} */ const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('end', () => resolve({ status: response.statusCode,
          body: Buffer.concat(chunks) }));
      }).on('error', reject);
    });
  };

  before(async () => {
    origin = await Origin.start();
    tls = certificate(dir, 'localhost');
    const { status, output, stdout } = await run(footbridge, ['network', 'new', '--local',
      '--broker', `https://localhost:${await port}`,
      '--egress', `wss://localhost:${await port}/v1/path`, keys]);
    assert.equal(status, 0, output);
    made = stdout;
    link = readFileSync(join(keys, 'join-link'), 'utf8').trim();
    writeFileSync(config, ['; what an operator writes', `keys = ${keys}`,
      `listen = 127.0.0.1:${await port}`, `cert = ${tls.cert}`, `key = ${tls.key}`,
      `allow = 127.0.0.1:${origin.port}`, ''].join('\n'));
    serve = start('serve', '--config', config, '--verbose');
    await serve.says(/ready; Ctrl-C stops/);
  }, { timeout: 60000 });

  after(async () => {
    for (const program of programs) await program.stop('SIGKILL');
    origin?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('it prints the join link and answers', async () => {
    assert.ok(serve.output.includes(link), serve.output);
    assert.equal((await fetch('/healthz')).status, 200);
    assert.deepEqual((await fetch('/v1/network')).body,
      readFileSync(join(keys, 'network.document')));
    assert.equal((await fetch('/nothing')).status, 404);
  });

  test('the snippet names the script that is served, by address and hash', async () => {
    const script = /src="https:\/\/localhost:\d+(\/\S+)"\s+integrity="sha384-(\S+)"/.exec(made);
    assert.ok(script, made);
    const { status, body } = await fetch(script[1]);
    assert.equal(status, 200);
    assert.equal(createHash('sha384').update(body).digest('base64'), script[2]);
    const frame = /<iframe src="https:\/\/localhost:\d+(\/\S+)"/.exec(made);
    assert.ok(frame, made);
    assert.equal((await fetch(frame[1])).status, 200);
  });

  test('a client reaches an origin through a headless volunteer', { timeout: 60000 }, async () => {
    start('volunteer', '--join', link, '--ca', tls.cert);
    const client = start('client', '--join', link, '--ca', tls.cert, '--listen',
      `127.0.0.1:${await freePort()}`, '--verbose');
    const [, proxy] = await client.says(/(127\.0\.0\.1:\d+)/);
    const size = 3000000;
    const got = join(dir, 'got');
    const { status, output } = await run('curl', ['--silent', '--show-error', '--fail',
      '--noproxy', '', '--proxy', `socks5h://${proxy}`, '-o', got,
      `${origin.url}/noise/${size}/serve`], { ms: 50000 });
    assert.equal(status, 0, output + client.output + serve.output);
    assert.ok(readFileSync(got).equals(Buffer.concat([...noise(size, 'serve')])));
  });

  test('a port in use, keys of others, files that are missing: one line each', async () => {
    /** @type {[string[], RegExp][]} */
    const cases = [
      [['--config', config], new RegExp(`${await port}.*in use|in use.*${await port}`)],
      [['--keys', join(dir, 'none')], /none\/join-link: No such file/],
      [['--keys', keys, '--cert', tls.cert], /--cert and --key go together/],
      [['--keys', keys, '--cert', join(dir, 'none.pem'), '--key', tls.key], /none\.pem/],
      [['--keys', keys, '--listen', 'localhost:1'], /--listen localhost:1: not ADDRESS:PORT/],
      [['--keys', keys, '--listen', '127.0.0.1:0', '--stun', 'x'], /--stun x: not ADDRESS:PORT/],
      [['--keys', keys, '--exit', 'perhaps'], /perhaps: not a rule/],
      [['--keys', keys, '--own-address', '1.2.3'], /--own-address 1\.2\.3: not an IP address/],
      [['--keys', keys, '--allow', '1.2.3.4'], /--allow 1\.2\.3\.4: not ADDRESS:PORT/],
      [['--keys', keys, '--geoip', dir], /--geoip .*: no full country tables there/],
    ];
    for (const [args, pattern] of cases) {
      const command = ['serve', ...args];
      const { status, output } = await run(footbridge, command, { ms: 20000 });
      assert.equal(status, 1, `${args}: ${output}`);
      assert.match(output, pattern);
      assert.equal(output.split('\n').length, 2, `not one line: ${output}`);
    }
  });

  test('keys that are not those of the document, or open to others', async () => {
    const other = join(dir, 'other');
    await run(footbridge, ['network', 'new', '--broker', 'https://b.example',
      '--egress', 'wss://e.example/v1/path', other]);
    const again = ['serve', '--quiet', '--keys', other, '--listen', '127.0.0.1:0'];
    chmodSync(join(other, 'egress.key'), 0o644);
    let { status, output } = await run(footbridge, again);
    assert.equal(status, 1);
    assert.match(output, /egress\.key: others may read it/);
    chmodSync(join(other, 'egress.key'), 0o600);
    copyFileSync(join(other, 'egress.key'), join(dir, 'kept'));
    copyFileSync(join(keys, 'egress.key'), join(other, 'egress.key'));
    ({ status, output } = await run(footbridge, again));
    assert.equal(status, 1);
    assert.match(output, /does not list the egress/);
    copyFileSync(join(dir, 'kept'), join(other, 'egress.key'));
    copyFileSync(join(keys, 'broker-ticket.key'), join(other, 'broker-ticket.key'));
    ({ status, output } = await run(footbridge, again));
    assert.equal(status, 1);
    assert.match(output, /keys/);
  });

  test('it stops when asked, with status 0', async () => {
    assert.equal(await serve.stop('SIGTERM'), 0, serve.output);
  });
});
