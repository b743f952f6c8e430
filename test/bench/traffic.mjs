// @ts-check
/**
 * An app and an origin around the network under test, as cheap as they can be: raw TCP, the same
 * bytes over and over. The app speaks SOCKS5; the first byte that the origin gets says what is
 * wanted of it: 'd' sends for ever, 'u' counts, and 'p' followed by digits and a line end sends
 * that many bits a second.
 */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

const CHUNK = Buffer.alloc(64 * 1024);
const PACE_MS = 10;
const WARM_MS = 700; // as LOAD_WARM_NS of load.h
const DEADLINE_MS = 30000;

/** @typedef {import('node:net').Socket} Socket */
/** @typedef {{ bytes: number, seconds: number, mbits: number }} Counted */

/** @param {number} ms */
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** Writes as fast as it is taken. @param {Socket} socket */
function flood(socket) {
  const fill = () => {
    while (!socket.destroyed && socket.write(CHUNK));
  };
  socket.on('drain', fill);
  fill();
}

/**
 * What is due goes out, however late the timer is.
 * @param {Socket} socket
 * @param {number} rate bits a second
 * @param {(bytes: number) => void} count
 */
async function pace(socket, rate, count) {
  const began = performance.now();
  for (let sent = 0; !socket.destroyed; await wait(PACE_MS)) {
    const due = Math.floor((rate / 8000) * (performance.now() - began)) - sent;
    sent += due;
    count(due);
    for (let left = due; left > 0; left -= CHUNK.length)
      socket.write(left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK);
  }
}

export class Origin {
  static async start() {
    const origin = new Origin();
    origin.server.listen(0, '127.0.0.1');
    await once(origin.server, 'listening');
    origin.port = /** @type {import('node:net').AddressInfo} */ (origin.server.address()).port;
    return origin;
  }

  constructor() {
    this.port = 0;
    this.received = 0;
    this.offered = 0;
    /** @type {Set<Socket>} */ this.sockets = new Set();
    this.server = createServer((socket) => this.#serve(socket));
  }

  /** @param {Socket} socket */
  #serve(socket) {
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
    socket.once('data', (first) => {
      if (first[0] === 0x64) flood(socket);
      else if (first[0] === 0x70)
        pace(socket, parseInt(String(first.subarray(1)), 10), (bytes) => (this.offered += bytes));
      socket.on('data', (data) => (this.received += data.length));
    });
  }

  stop() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

/**
 * A connection to the origin through the proxy (RFC 1928), which has answered.
 * @param {number} proxy port on loopback
 * @param {number} port of the origin
 * @returns {Promise<Socket>}
 */
export async function through(proxy, port) {
  const socket = connect(proxy, '127.0.0.1');
  const late = new Error('the proxy did not answer');
  const timer = setTimeout(() => socket.destroy(late), DEADLINE_MS);
  await once(socket, 'connect');
  socket.write(Buffer.from([5, 1, 0]));
  await once(socket, 'data');
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  const [reply] = await once(socket, 'data');
  clearTimeout(timer);
  if (reply[1] !== 0) throw new Error(`the proxy refuses: ${reply[1]}`);
  socket.on('error', () => {});
  return socket;
}

/**
 * How fast a counter grows, from the warm-up on.
 * @param {() => number} counter
 * @param {number} seconds
 * @param {{ begin?: () => void, end?: () => void }} [around] called at both ends of what is counted
 * @returns {Promise<Counted>}
 */
export async function rate(counter, seconds, around = {}) {
  const idle = counter();
  for (const late = Date.now() + DEADLINE_MS; counter() === idle; await wait(5))
    if (Date.now() > late) throw new Error('nothing arrives');
  await wait(WARM_MS);
  around.begin?.();
  const [before, began] = [counter(), performance.now()];
  await wait(seconds * 1000);
  const [bytes, took] = [counter() - before, (performance.now() - began) / 1000];
  around.end?.();
  return { bytes, seconds: took, mbits: (bytes * 8e-6) / took };
}

/**
 * @param {number} proxy
 * @param {Origin} origin
 * @param {string} order what the origin is asked to do
 * @param {(socket: Socket, count: { received: number }) => Promise<Counted>} measure
 */
async function session(proxy, origin, order, measure) {
  const socket = await through(proxy, origin.port);
  const count = { received: 0 };
  socket.on('data', (data) => (count.received += data.length));
  socket.write(order);
  try {
    return await measure(socket, count);
  } finally {
    socket.destroy();
    await wait(300); // what is still on its way
  }
}

/** @typedef {{ begin: () => void, end: () => void }} Around */
/** @typedef {{ proxy: number, origin: Origin, seconds: number, around?: Around }} Way */

/** @param {Way} way */
export function download({ proxy, origin, seconds, around }) {
  return session(proxy, origin, 'd', (_, count) => rate(() => count.received, seconds, around));
}

/** @param {Way} way */
export function upload({ proxy, origin, seconds, around }) {
  return session(proxy, origin, 'u', (socket) => {
    flood(socket);
    return rate(() => origin.received, seconds, around);
  });
}

/**
 * A download that the origin paces: what arrived, and what was offered in the same time.
 * @param {Way} way
 * @param {number} bits a second
 * @returns {Promise<Counted & { offered: number }>}
 */
export async function paced({ proxy, origin, seconds, around }, bits) {
  let [before, offered] = [0, 0];
  const begin = () => {
    before = origin.offered;
    around?.begin();
  };
  const end = () => {
    offered = origin.offered - before;
    around?.end();
  };
  const counted = await session(proxy, origin, `p${bits}\n`, (_, count) =>
    rate(() => count.received, seconds, { begin, end }));
  return { ...counted, offered };
}
