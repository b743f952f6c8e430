// @ts-check
/**
 * What the roles say of people: the logs of all roles at their most verbose, and every metric,
 * after real traffic between hosts with addresses of their own. No reader's address, no
 * destination, no identifier of a session may stand there (DESIGN section 3.5).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Program, footbridge } from '../browser/program.mjs';
import { Lab, noLab } from './lab.mjs';

const skip = noLab() || false;
const port = 48613;
const path = '/reports/harbour-strike';
const gained = '9.9.9.9';
const missing = 'no-such-paper.invalid';

/** @type {Lab} */ let hosts;
/** @type {string} */ let dir;
/** @type {Record<string, Program>} */ const said = {};

const origin = `
  const { createServer } = require('node:http');
  createServer((q, a) => a.end('x'.repeat(3000000))).listen(${port}, '0.0.0.0',
    () => console.log('origin ready'));`;

/** @param {string} name @param {string[]} args */
function role(name, ...args) {
  return (said[name] = hosts.run(name, footbridge, args));
}

/** @param {string} url */
async function fetchOnReader(url) {
  const curl = hosts.run('reader', 'curl', [
    '-sS', '-o', join(dir, 'got'), '-w', '%{http_code} %{size_download}', '-m', '40',
    '-x', 'socks5h://127.0.0.1:1080', url,
  ]);
  const status = await curl.ended;
  return { status, output: curl.output };
}

before(async () => {
  if (skip) return;
  dir = mkdtempSync(join(tmpdir(), 'footbridge-privacy-'));
  hosts = await Lab.open({ net: '10.201' }); // addresses that networks without TLS may have
  for (const host of ['operator', 'reader', 'volunteer', 'origin']) await hosts.addHost(host);
  const at = hosts.address('operator');
  const made = new Program(footbridge, [
    'network', 'new', '--local', '--broker', `http://${at}:8080`,
    '--egress', `ws://${at}:8080/v1/path`, '--stun', `${at}:3478`, join(dir, 'keys'),
  ]);
  assert.equal(await made.ended, 0, made.output);
  const link = readFileSync(join(dir, 'keys', 'join-link'), 'utf8').trim();
  await hosts.run('origin', process.execPath, ['-e', origin]).says(/origin ready/);
  role('operator', 'serve', '--verbose', '--keys', join(dir, 'keys'), '--listen', `${at}:8080`,
    '--stun', `${at}:3478`, '--allow', `${hosts.address('origin')}:${port}`);
  await said.operator.says(/ready/);
  role('volunteer', 'volunteer', '--verbose', '--cache', join(dir, 'v'), '--join', link);
  role('reader', 'client', '--verbose', '--cache', join(dir, 'c'), '--join', link,
    '--listen', '127.0.0.1:1080');
  await said.reader.says(/ready$/m, 60000);
});

after(async () => {
  await hosts?.close();
  if (dir) rmSync(dir, { recursive: true });
});

/** Forms in which an IPv4 address may slip into a text. @param {string} address */
function forms(address) {
  const parts = address.split('.').map(Number);
  const hex = parts.map((part) => part.toString(16).padStart(2, '0')).join('');
  const number = parts.reduce((sum, part) => sum * 256 + part, 0);
  return [address, hex, parts.join(', '), String(number)];
}

test('traffic of every kind has been carried', { skip }, async () => {
  const good = await fetchOnReader(`http://${hosts.address('origin')}:${port}${path}`);
  assert.deepEqual(good, { status: 0, output: '200 3000000' }, said.operator.output);
  // What fails is said in words too, and must not say more.
  assert.notEqual((await fetchOnReader(`http://${missing}/secret`)).status, 0);
  assert.notEqual((await fetchOnReader(`http://${hosts.address('origin')}:9/`)).status, 0);
  assert.notEqual((await fetchOnReader('http://169.254.169.254/latest')).status, 0);
});

test('an address that the egress gets while it runs is its own', { skip }, async () => {
  const own = `createServer((q, a) => a.end('x')).listen(${port + 1}, () => console.log('up'));`;
  const server = `const { createServer } = require('node:http'); ${own}`;
  await hosts.run('operator', process.execPath, ['-e', server]).says(/up/);
  hosts.gain('operator', gained);
  const deadline = Date.now() + 30000;
  let got = await fetchOnReader(`http://${gained}:${port + 1}/`);
  while (got.status === 0 && Date.now() < deadline)
    got = await fetchOnReader(`http://${gained}:${port + 1}/`);
  assert.match(got.output, /SOCKS5.*\(2\)/, 'not refused by the policy'); // RFC 1928 section 6
});

test('a volunteer that leaves is replaced, and says why', { skip }, async () => {
  await said.volunteer.stop();
  await said.reader.says(/another|gone|left|lost/i, 30000);
});

test('no log holds an address of a reader, a destination or what links sessions', { skip }, () => {
  const secrets = {
    "the reader's address": forms(hosts.address('reader')),
    "the origin's address": forms(hosts.address('origin')),
    'a destination': [path, missing, String(port), gained, '169.254.169.254',
      '/secret'],
  };
  for (const [name, program] of Object.entries(said)) {
    // The operator's own command line names what it allows; it is not a log. The log is long enough
    // to show that --verbose did something.
    assert.ok(program.output.split('\n').length >= 4, `${name} says next to nothing`);
    for (const [what, texts] of Object.entries(secrets))
      for (const text of texts)
        assert.ok(!program.output.includes(text), `${name}: ${what}: ${text}\n${program.output}`);
    const rest = program.output.replace(/footbridge:\S+/g, '');
    const words = rest.match(/[0-9a-f]{12,}|[\w-]{30,}/gi) ?? [];
    assert.deepEqual(words, [], `${name}'s log holds what may be an identifier`);
  }
  const elsewhere = said.operator.output + said.reader.output;
  for (const text of forms(hosts.address('volunteer')))
    assert.ok(!elsewhere.includes(text), `a log holds the volunteer's address: ${text}`);
});

test('what is published is rounded, and holds no address', { skip }, async () => {
  const url = `http://${hosts.address('operator')}:8080/v1/status`;
  const curl = hosts.run('volunteer', 'curl', ['-sS', url]);
  assert.equal(await curl.ended, 0, curl.output);
  const status = JSON.parse(curl.output);
  /** @param {unknown} value */
  const numbers = (value) => {
    if (typeof value === 'number') assert.equal(value % 8, 0, curl.output);
    else if (value && typeof value === 'object') Object.values(value).forEach(numbers);
  };
  numbers({ volunteers: status.volunteers, matches: status.matches, countries: status.countries });
  assert.ok(!/\d+\.\d+\.\d+\.\d+/.test(curl.output), curl.output);
});

test('the search finds what it looks for', () => {
  const planted = `volunteer: 0ac94d0b connected, 10.201.77.11`;
  assert.ok(forms('10.201.77.11').some((form) => planted.includes(form)));
});
