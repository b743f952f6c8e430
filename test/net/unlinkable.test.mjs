// @ts-check
/**
 * Two readers with a session each, each over three volunteers of its own, all on hosts of their
 * own. Every field that the volunteers of one session saw is held against what those of the other
 * saw: beyond the reader's address, timing and volume nothing may tell which belong together
 * (DESIGN section 3.4).
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Program, footbridge } from '../browser/program.mjs';
import { Lab, noLab } from './lab.mjs';
import { Seen, common, counted } from './seen.mjs';

const skip = noLab() || false;
const port = 48614;
const readers = ['reader1', 'reader2'];
const each = 3; // volunteers: two that carry and a spare
const tap = join(dirname(footbridge), 'test/net/libtap.so');

/** @type {Lab} */ let hosts;
/** @type {string} */ let dir;
/** For each reader, what its volunteers saw. @type {Seen[][]} */ const sessions = [];

const origin = `
  const { createServer } = require('node:http');
  createServer((q, a) => a.end('x'.repeat(2000))).listen(${port}, '0.0.0.0',
    () => console.log('origin ready'));`;

/** @param {number} number */
const volunteerName = (number) => `v${number}`;

/** @param {string} link @param {number} number */
async function volunteer(link, number) {
  const env = {
    LD_PRELOAD: tap, FB_TAP: join(dir, `tap${number}`),
    // The tap comes before the sanitizer's own library, which does not matter to it.
    ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0:detect_leaks=0`,
  };
  const name = volunteerName(number);
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const program = hosts.run(name, 'env', [...variables, footbridge, 'volunteer', '--people', '1',
    '--cache', join(dir, name), '--join', link]);
  await program.says(/waiting for a reader|is of the network/, 30000);
  return program;
}

/** A session over volunteers that wait, with some traffic.
 * @param {string} link @param {string} name */
async function session(link, name) {
  const client = hosts.run(name, footbridge, ['client', '--paths', String(each - 1), '--cache',
    join(dir, name), '--join', link, '--listen', '127.0.0.1:1080']);
  await client.says(new RegExp(`another volunteer: ${each} now`), 60000);
  for (let i = 0; i < 3; i++) {
    const curl = hosts.run(name, 'curl', ['-sS', '-m', '20', '-x', 'socks5h://127.0.0.1:1080', '-o',
      '/dev/null', '-w', '%{size_download}', `http://${hosts.address('origin')}:${port}/`]);
    assert.equal(await curl.ended, 0, curl.output);
    assert.equal(curl.output.trim(), '2000');
  }
}

before(async () => {
  if (skip) return;
  dir = mkdtempSync(join(tmpdir(), 'footbridge-unlinkable-'));
  const volunteers = Array.from({ length: readers.length * each }, (_, i) => i);
  const names = ['operator', 'origin', ...readers, ...volunteers.map(volunteerName)];
  hosts = await Lab.open({ net: '10.201' }); // addresses that networks without TLS may have
  for (const name of names) await hosts.addHost(name);
  const at = hosts.address('operator');
  const made = new Program(footbridge, ['network', 'new', '--local', '--broker',
    `http://${at}:8080`, '--egress', `ws://${at}:8080/v1/path`, '--stun', `${at}:3478`,
    join(dir, 'keys')]);
  assert.equal(await made.ended, 0, made.output);
  const link = readFileSync(join(dir, 'keys', 'join-link'), 'utf8').trim();
  await hosts.run('origin', process.execPath, ['-e', origin]).says(/origin ready/);
  const serve = hosts.run('operator', footbridge, ['serve', '--keys', join(dir, 'keys'), '--listen',
    `${at}:8080`, '--stun', `${at}:3478`, '--allow', `${hosts.address('origin')}:${port}`]);
  await serve.says(/ready/);
  // One reader after the other, so that it is known who serves whom.
  for (const [r, reader] of readers.entries()) {
    const mine = volunteers.slice(r * each, (r + 1) * each);
    const programs = [];
    for (const number of mine) programs.push(await volunteer(link, number));
    await session(link, reader);
    for (const program of programs) await program.says(/carrying for 1/, 30000);
  }
  const addresses = names.map((name) => hosts.address(name));
  await hosts.close(); // the taps are whole
  for (const [r] of readers.entries())
    sessions.push(volunteers.slice(r * each, (r + 1) * each)
      .map((number) => new Seen(join(dir, `tap${number}`), addresses)));
}, { timeout: 150000 });

after(async () => {
  await hosts?.close();
  if (dir) rmSync(dir, { recursive: true });
});

test('the taps hold every kind of thing', { skip }, () => {
  const wanted = [
    "offer's ufrag", "offer's pwd", "offer's fingerprint", "release's ticket",
    "release's first message", "attach's ticket", "attach's first message",
    "reader's STUN 1 transaction", "reader's STUN 1 attribute 6", "reader's STUN 1 attribute 802a",
    "reader's STUN 1 attribute 8", "reader's DTLS random", "reader's DTLS session id",
    "reader's DTLS certificate's serial", "reader's DTLS certificate's key",
    "reader's DTLS certificate's signature", "reader's DTLS key share", "reader's DTLS sealed",
    "reader's SCTP tag", "reader's SCTP initial TSN", "reader's SCTP parameter 7",
    "reader's SCTP chunk 10", "reader's SCTP TSN", 'packet from reader', 'packet from egress',
    'packet to reader', 'packet to egress',
  ];
  for (const seen of sessions.flat()) {
    const names = new Set(seen.fields.map(({ name }) => name));
    for (const name of wanted)
      assert.ok(names.has(name), `${name}; there is ${[...names].join('; ')}`);
  }
});

test('volunteers of one session share nothing that those of another lack', { skip }, () => {
  for (const [i, mine] of sessions.entries()) {
    const fields = mine.map((seen) => seen.fields);
    const others = sessions.filter((_, k) => k !== i).flat().map((seen) => seen.fields);
    assert.deepEqual(common(fields, others, 4), []);
    for (const [k, one] of fields.entries())
      for (const other of fields.slice(k + 1))
        assert.deepEqual(common([one, other], others, 8), []);
    assert.deepEqual(counted(fields, others), []);
  }
});

test('no two volunteers see one port, one certificate or one token', { skip }, () => {
  const all = sessions.flat();
  for (const name of [
    "offer's ufrag", "offer's pwd", "offer's fingerprint", "release's first message",
    "reader's DTLS random", "reader's DTLS session id", "reader's DTLS key share",
    "reader's STUN 1 attribute 802a",
  ]) {
    const values = all.map((seen) =>
      new Set(seen.fields.filter((f) => f.name === name).map((f) => f.bytes.toString('hex'))));
    const total = values.reduce((sum, one) => sum + one.size, 0);
    assert.equal(new Set(values.flatMap((one) => [...one])).size, total, name);
  }
  for (const mine of sessions) {
    const ports = mine.map((seen) => new Set(seen.ports));
    assert.equal(new Set(ports.flatMap((one) => [...one])).size,
      ports.reduce((sum, one) => sum + one.size, 0), 'ports of a reader');
    // Certificates are minutes to hours apart, though they were made at once: no clock shows.
    const minutes = mine.map((seen) => seen.times[0].slice(0, 10));
    assert.equal(new Set(minutes).size, mine.length, minutes.join(' '));
  }
});

test('the search finds what it looks for', { skip }, () => {
  const [mine, others] = sessions.map((seens) => seens.map((seen) => seen.fields));
  const mark = Buffer.from('a session');
  const marked = mine.map((fields) => [...fields, { name: 'planted', bytes: mark }]);
  for (const size of [4, 8])
    assert.ok(common(marked, others, size).some((found) => found.includes('planted')));
  const counting = mine.map((fields, i) => {
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32BE(3000000000 + i, 4);
    return [...fields, { name: 'planted', bytes }];
  });
  const far = others.map((fields) => [...fields, { name: 'planted', bytes: Buffer.alloc(8, 7) }]);
  assert.ok(counted(counting, far).some((found) => found.startsWith('planted [4] big-endian')));
  // ... and what both have is nothing.
  const both = others.map((fields) => [...fields, { name: 'planted', bytes: mark }]);
  assert.deepEqual(common(marked, both, 4), []);
});
