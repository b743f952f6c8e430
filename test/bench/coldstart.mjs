// @ts-check
/**
 * From the start of the client's process, with nothing cached, to the first byte of what an app
 * asked for through its proxy. The volunteer is there already.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { freePort } from './stage.mjs';
import { median, round } from './stats.mjs';
import { wait } from './traffic.mjs';

export const names = ['cold_start'];

const DEADLINE_MS = 20000;

/** What the client says of itself on the way. */
export const STEPS = {
  'document verified': /asking the broker/,
  'volunteer found': /volunteer found/,
  'ICE connected': /ICE connected/,
  'DTLS done': /DTLS done/,
  'data channel open': /data channel open/,
  'egress attached': /egress attached/,
};

/** What has to go there and back, in its order; each waits for the one before. */
const ROUND_TRIPS = [
  { to: 'broker', what: 'TCP (and TLS 1.3 where it is https: one more)', count: 1 },
  { to: 'broker', what: 'network document', count: 1 },
  { to: 'broker', what: 'offer and answer, with the volunteer asked in between', count: 2 },
  { to: 'volunteer', what: 'ICE check', count: 1 },
  { to: 'volunteer', what: 'DTLS 1.2 handshake', count: 2 },
  { to: 'volunteer', what: 'SCTP association', count: 2 },
  { to: 'egress', what: 'destination, connect, first bytes (the handshake reply waits already)',
    count: 1 },
];

/** @param {number} port */
async function listening(port) {
  for (const late = Date.now() + 10000; Date.now() < late; await wait(2)) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch {
      continue;
    } finally {
      socket.destroy();
    }
  }
  throw new Error('the client does not listen');
}

/**
 * The first byte from the origin, asked for through the proxy (RFC 1928).
 * @param {number} proxy
 * @param {number} origin
 */
async function firstByte(proxy, origin) {
  const socket = connect(proxy, '127.0.0.1');
  socket.setTimeout(DEADLINE_MS, () => socket.destroy(new Error('nothing arrives')));
  await once(socket, 'connect');
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'data');
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, origin >> 8, origin & 255]));
  const [reply] = await once(socket, 'data');
  if (reply[1] !== 0) throw new Error(`the proxy refuses: ${reply[1]}`);
  if (reply.length === 10) await once(socket, 'data');
  socket.destroy();
}

/**
 * @param {import('./stage.mjs').Stage} stage
 * @returns {Promise<Record<string, number>>} ms from the start, by step
 */
async function start(stage) {
  const cache = mkdtempSync(join(tmpdir(), 'footbridge-cold-'));
  const port = await freePort();
  /** @type {Record<string, number>} */ const at = {};
  const began = performance.now();
  const client = stage.servers.startClient(port, '--cache', cache);
  const steps = Object.entries(STEPS).map(async ([step, line]) => {
    await client.says(line);
    at[step] = performance.now() - began;
  });
  try {
    await listening(port);
    await firstByte(port, stage.originPort);
    at['first byte'] = performance.now() - began;
    await Promise.all(steps);
    return at;
  } finally {
    await client.stop();
    rmSync(cache, { recursive: true, force: true });
  }
}

/**
 * @param {import('./stage.mjs').Stage} stage
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number }} options
 */
export async function measure(stage, results, { rounds }) {
  /** @type {Record<string, number>[]} */ const runs = [];
  const origin = createServer((socket) => socket.on('error', () => {}).end('hello\n'));
  await new Promise((done) => origin.listen(stage.originPort, '127.0.0.1', () => done(undefined)));
  try {
    for (let i = 0; i < rounds; i++) runs.push(await start(stage));
  } finally {
    origin.close();
  }
  /** @param {string} step */
  const all = (step) => runs.map((run) => run[step]);
  const steps = Object.fromEntries([...Object.keys(STEPS), 'first byte'].map((step) =>
    [step, round(median(all(step)))]));
  results.add('cold_start', 'ms', all('first byte'), { steps, round_trips: ROUND_TRIPS });
  for (const [step, ms] of Object.entries(steps)) console.log(`  ${step.padEnd(24)} ${ms} ms`);
  for (const { count, to, what } of ROUND_TRIPS)
    console.log(`  ${count} round trip${count > 1 ? 's' : ' '} to the ${to}: ${what}`);
}
