// @ts-check
/**
 * Apps and origins on hosts of the laboratory. An app speaks SOCKS5 (RFC 1928) to its host's proxy;
 * its first line tells the origin what to do. Both read one clock (ms).
 *
 *     node labtraffic.mjs origin ADDRESS PORT          down [BITS] | up | echo
 *     node labtraffic.mjs down|up|echo ADDRESS PORT STREAMS [BITS]
 *     node labtraffic.mjs first ADDRESS PORT
 *
 * Streams are a pattern that repeats each MiB, and checked. Whoever receives prints a line of JSON
 * each 100 ms: { at, streams: bytes of each, gap: the longest silence in between }; echo prints
 * { at, ms } for each round trip of a request of 100 bytes, begun each 100 ms; first waits for the
 * proxy to listen, asks it for an http:// URL (so that the request need not wait for the connection
 * to the origin) and prints { at } of the first byte of the answer.
 */
import { createCipheriv } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

import { PROXY } from '../net/labnet.mjs';
import { round } from './stats.mjs';

export const PORT = 8000;
const SAMPLE_MS = 100;
const PLOT_EVERY = 5; // samples
const ECHO = 100;
const BLOCK = 1024 * 1024;
const CHUNK = 64 * 1024;
const pattern = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16))
  .update(Buffer.alloc(BLOCK + CHUNK));
pattern.copy(pattern, BLOCK, 0, CHUNK); // a chunk from any place in the block is in one piece

/** Of every process on this machine, in ms. */
export const now = () => Number(process.hrtime.bigint()) / 1e6;

/** @param {object} line */
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** @param {import('node:net').Socket} socket @param {number} [bits] */
async function flood(socket, bits = 0) {
  const began = now();
  for (let sent = 0; !socket.destroyed;) {
    const at = sent % BLOCK;
    sent += CHUNK;
    if (!socket.write(pattern.subarray(at, at + CHUNK)))
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {});
    const early = bits ? (sent * 8000) / bits - (now() - began) : 0;
    if (early > 0) await new Promise((done) => setTimeout(done, early));
  }
}

/** What receives: counts by stream, and the silence that the reader would notice. */
class Receiver {
  /** @type {number[]} */ #bytes = [];
  #last = 0;
  #gap = 0;

  constructor() {
    setInterval(() => {
      if (!this.#last) return;
      const at = now();
      this.#gap = Math.max(this.#gap, at - this.#last);
      say({ at, streams: this.#bytes, gap: this.#gap });
      this.#gap = 0;
    }, SAMPLE_MS);
  }

  /** @param {import('node:net').Socket} socket @param {Buffer} head has been read already */
  take(socket, head) {
    const stream = this.#bytes.push(0) - 1;
    /** @param {Buffer} data */
    const heard = (data) => {
      const at = now();
      if (this.#last) this.#gap = Math.max(this.#gap, at - this.#last);
      this.#last = at;
      for (let done = 0; done < data.length;) {
        const place = this.#bytes[stream] % BLOCK;
        const piece = data.subarray(done, done + Math.min(CHUNK, data.length - done));
        if (piece.compare(pattern, place, place + piece.length) !== 0) {
          say({ broken: this.#bytes[stream] });
          process.exit(1);
        }
        this.#bytes[stream] += piece.length;
        done += piece.length;
      }
    };
    if (head.length) heard(head);
    socket.on('data', heard);
  }
}

/** @param {string} address @param {number} port */
function origin(address, port) {
  const receiver = new Receiver();
  createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => {});
    let head = Buffer.alloc(0);
    /** @param {Buffer} data */
    const begin = (data) => {
      head = Buffer.concat([head, data]);
      const end = head.indexOf('\n');
      if (end < 0) return;
      socket.off('data', begin);
      const [what, bits] = head.subarray(0, end).toString().split(' ');
      const rest = head.subarray(end + 1);
      if (what === 'GET') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else if (what === 'down') flood(socket, Number(bits));
      else if (what === 'up') receiver.take(socket, rest);
      else socket.on('data', (asked) => socket.write(asked)).write(rest);
    };
    socket.on('data', begin);
  }).listen(port, address, () => process.stdout.write('ready\n'));
}

/** A connection to the proxy, which may not be there yet. */
async function connected() {
  const [host, proxy] = PROXY.split(':');
  for (const late = now() + 20000; ; await new Promise((done) => setTimeout(done, 2))) {
    const socket = connect({ port: Number(proxy), host, noDelay: true });
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      if (now() > late) throw error;
    }
  }
}

/**
 * A connection through the proxy, and what follows its reply.
 * @param {string} address @param {number} port
 */
async function dial(address, port) {
  const socket = await connected();
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'data');
  const to = address.split('.').map(Number);
  socket.write(Buffer.from([5, 1, 0, 1, ...to, port >> 8, port & 255]));
  const [reply] = await once(socket, 'data');
  if (reply[1] !== 0) throw new Error(`the proxy refuses: ${reply[1]}`);
  return { socket, rest: reply.subarray(10) };
}

/** @param {import('node:net').Socket} socket */
async function echo(socket) {
  const request = Buffer.alloc(ECHO, 'x');
  for (;;) {
    const at = now();
    socket.write(request);
    for (let got = 0; got < ECHO;) got += (await once(socket, 'data'))[0].length;
    say({ at, ms: now() - at });
    await new Promise((done) => setTimeout(done, Math.max(0, SAMPLE_MS - (now() - at))));
  }
}

/** @param {string} address @param {number} port */
async function first(address, port) {
  process.stdout.write('ready\n');
  const socket = await connected();
  socket.write(`GET http://${address}:${port}/ HTTP/1.1\r\nHost: ${address}:${port}\r\n\r\n`);
  const [answer] = await once(socket, 'data');
  if (!answer.includes('200')) throw new Error(`the proxy refuses: ${answer}`);
  say({ at: now() });
  process.exit(0);
}

/**
 * @param {string} what @param {string} address @param {number} port
 * @param {number} streams @param {string} bits
 */
async function app(what, address, port, streams, bits) {
  const receiver = new Receiver();
  for (let i = 0; i < streams; i++) {
    const { socket, rest } = await dial(address, port);
    socket.on('close', () => process.exit(1));
    if (what === 'down') receiver.take(socket, rest);
    socket.write(`${what} ${bits}\n`);
    if (what === 'up') flood(socket, Number(bits));
    else if (what === 'echo') await echo(socket);
  }
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] === self) {
  const [what, address, port, streams = '1', bits = ''] = process.argv.slice(2);
  if (what === 'origin') origin(address, Number(port));
  else if (what === 'first') await first(address, Number(port));
  else await app(what, address, Number(port), Number(streams), bits);
}

/** @typedef {{ at: number, streams: number[], gap: number, broken?: number }} Sample */

/** Samples of a program that prints lines of JSON. */
class Samples {
  /** @param {import('../browser/program.mjs').Program} program @param {number} [from] */
  constructor(program, from = program.stdout.length) {
    this.program = program;
    this.#from = from;
  }

  #from;

  /** @returns {any[]} what it has printed since this was made */
  get lines() {
    return this.program.stdout.slice(this.#from).split('\n').filter((line) => line.endsWith('}'))
      .map((line) => JSON.parse(line));
  }
}

/** An origin on the host of that name. @param {import('../net/labnet.mjs').LabNetwork} net */
export async function startOrigin(net) {
  const program = net.lab.run('origin', process.execPath,
    [self, 'origin', net.lab.address('origin'), String(PORT)]);
  await program.says(/ready/);
  return program;
}

/**
 * Round trips of small requests, until stop().
 * @param {import('../net/labnet.mjs').LabNetwork} net
 * @param {string} host
 */
export function startEcho(net, host) {
  const program = net.lab.run(host, process.execPath,
    [self, 'echo', net.lab.address('origin'), String(PORT)]);
  const samples = new Samples(program);
  return {
    /** @returns {{ at: number, ms: number }[]} */
    get trips() {
      return samples.lines;
    },
    program,
    stop: () => program.stop('SIGKILL'),
  };
}

/**
 * Waits for the host's proxy, and for the first byte through it: when that came (as now()).
 * @param {import('../net/labnet.mjs').LabNetwork} net
 * @param {string} host
 */
export async function startFirst(net, host) {
  const program = net.lab.run(host, process.execPath,
    [self, 'first', net.lab.address('origin'), String(PORT)]);
  await program.says(/ready/);
  return async () => {
    const [line] = await program.says(/^\{.*\}$/m, 60000);
    return /** @type {number} */ (JSON.parse(line).at);
  };
}

/** The value below which that share of them lies. @param {number[]} values @param {number} share */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)];
}

/** @param {Sample} sample */
const bytesOf = ({ streams }) => streams.reduce((sum, bytes) => sum + bytes, 0);

/** A flow that runs until stop(). */
export class Flow {
  /**
   * @param {import('../net/labnet.mjs').LabNetwork} net
   * @param {import('../browser/program.mjs').Program} origin
   * @param {string} host
   * @param {'down' | 'up'} direction
   * @param {{ streams?: number, bits?: number }} [options] bits a second that are offered
   */
  constructor(net, origin, host, direction, { streams = 1, bits } = {}) {
    const address = net.lab.address('origin');
    const args = [self, direction, address, PORT, streams, ...(bits ? [bits] : [])];
    this.app = net.lab.run(host, process.execPath, args.map(String));
    this.#samples = new Samples(direction === 'down' ? this.app : origin);
    this.#streams = streams;
    // The origin counts all that it ever received: this flow's streams come after those.
    const [last] = direction === 'down' ? [] : new Samples(origin, 0).lines.slice(-1);
    this.#first = last?.streams.length ?? 0;
  }

  #samples;
  #streams;
  #first;

  /** @returns {Sample[]} */
  get samples() {
    return this.#samples.lines.map((line) => {
      if (line.broken !== undefined) throw new Error(`bytes are wrong at ${line.broken}`);
      return { ...line, streams: line.streams.slice(this.#first, this.#first + this.#streams) };
    });
  }

  /**
   * Waits for a window that begins so long after the first bytes, and gives what arrived in it.
   * @param {number} warm s
   * @param {number} seconds
   */
  async window(warm, seconds) {
    const first = async () => {
      for (const late = now() + 30000; now() < late; await new Promise((d) => setTimeout(d, 50))) {
        const found = this.samples.find((sample) => bytesOf(sample) > 0);
        if (found) return found.at;
        if (this.app.status !== undefined) break;
      }
      throw new Error(`nothing arrives: ${this.app.output.slice(-300)}`);
    };
    const begin = (await first()) + warm * 1000;
    const end = begin + seconds * 1000;
    await new Promise((done) => setTimeout(done, end - now() + 2 * SAMPLE_MS));
    return this.between(begin, end);
  }

  /** @param {number} begin @param {number} end */
  between(begin, end) {
    const within = this.samples.filter(({ at }) =>
      at >= begin - SAMPLE_MS && at <= end + SAMPLE_MS);
    if (within.length < 2) throw new Error(`no samples: ${this.app.output.slice(-300)}`);
    const [from, to] = [within[0], within[within.length - 1]];
    const bytes = bytesOf(to) - bytesOf(from);
    const seconds = (to.at - from.at) / 1000;
    return {
      bytes, seconds, mbits: (bytes * 8e-6) / seconds,
      gap: Math.max(...within.slice(1).map(({ gap }) => gap)),
      streams: to.streams.map((bytes, i) => ((bytes - from.streams[i]) * 8e-6) / seconds),
    };
  }

  /** Goodput over time: s since the first bytes, Mbit/s. @returns {[number, number][]} */
  get goodput() {
    const all = this.samples.filter((sample) => bytesOf(sample) > 0);
    /** @type {[number, number][]} */ const points = [];
    for (let i = PLOT_EVERY; i < all.length; i += PLOT_EVERY) {
      const [from, to] = [all[i - PLOT_EVERY], all[i]];
      const mbits = ((bytesOf(to) - bytesOf(from)) * 8e-3) / (to.at - from.at);
      points.push([round((to.at - all[0].at) / 1000), round(mbits)]);
    }
    return points;
  }

  stop() {
    return this.app.stop('SIGKILL');
  }
}
