// @ts-check
/**
 * Datagrams through a link, and what became of them, as JSON. Both ends read one clock.
 *
 *     node udp.mjs sink PORT                      until the sender says that it was all
 *     node udp.mjs send ADDRESS PORT COUNT SIZE BITS_A_SECOND
 */
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';

/** Delays in ms; bursts: rows of lost ones, and the longest.
 * @typedef {{ sent: number, arrived: number, mbits: number, inOrder: boolean,
 *   delay: { min: number, median: number, p95: number, max: number },
 *   bursts: number, longest: number }} Flow
 */
/** @typedef {{ number: number, delay: number, size: number, at: number }} Came */

const HEAD = 12; // number u32, when it was sent f64 in ms
const END = 0xffffffff;
const IP_UDP = 28;

const now = () => Number(process.hrtime.bigint()) / 1e6;

/** @param {Came[]} got @param {number} sent */
function summary(got, sent) {
  const delays = got.map(({ delay }) => delay).sort((a, b) => a - b);
  /** @param {number} share */
  const at = (share) => delays[Math.min(delays.length - 1, Math.floor(share * delays.length))];
  const came = new Set(got.map(({ number }) => number));
  let [bursts, longest, run] = [0, 0, 0];
  for (let i = 0; i < sent; i++) {
    run = came.has(i) ? 0 : run + 1;
    if (run === 1) bursts++;
    longest = Math.max(longest, run);
  }
  const seconds = (got[got.length - 1].at - got[0].at) / 1000;
  const bytes = got.slice(1).reduce((sum, { size }) => sum + size + IP_UDP, 0);
  return {
    sent, arrived: came.size, mbits: seconds > 0 ? (bytes * 8e-6) / seconds : 0,
    inOrder: got.every(({ number }, i) => i === 0 || number > got[i - 1].number),
    delay: { min: delays[0], median: at(0.5), p95: at(0.95), max: delays[delays.length - 1] },
    bursts, longest,
  };
}

/** @param {number} port */
function sink(port) {
  /** @type {Came[]} */ const got = [];
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  socket.on('message', (data) => {
    const at = now();
    const number = data.readUInt32BE(0);
    if (number !== END) {
      got.push({ number, delay: at - data.readDoubleBE(4), size: data.length, at });
    } else {
      console.log(JSON.stringify(summary(got, data.readDoubleBE(4))));
      process.exit(0);
    }
  });
  socket.bind(port, () => console.log('ready'));
}

/**
 * @param {string} to @param {number} port
 * @param {number} count @param {number} size @param {number} bits
 */
function send(to, port, count, size, bits) {
  const socket = createSocket({ type: 'udp4', sendBufferSize: 4 << 20 });
  const began = now();
  let [number, ends] = [0, 0];
  /** @param {number} n @param {number} value @param {number} length */
  const one = (n, value, length) => {
    const data = Buffer.alloc(length);
    data.writeUInt32BE(n, 0);
    data.writeDoubleBE(value, 4);
    socket.send(data, port, to);
  };
  const timer = setInterval(() => {
    const due = ((now() - began) / 1000) * (bits / 8 / (size + IP_UDP));
    while (number < count && number < due) one(number++, now(), size);
    if (number < count) return;
    one(END, count, HEAD); // several, for some will be lost
    if (++ends === 300) clearInterval(timer), socket.close();
  }, 1);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [way, ...args] = process.argv.slice(2);
  const [port, count, size, bits] = args.slice(way === 'send' ? 1 : 0).map(Number);
  if (way === 'sink') sink(port);
  else send(args[0], port, count, size, bits);
}

const self = fileURLToPath(import.meta.url);

/**
 * @param {import('./lab.mjs').Lab} lab @param {string} from @param {string} to
 * @param {{ count: number, size?: number, bits: number, port?: number }} flow
 * @returns {Promise<Flow>}
 */
export async function datagrams(lab, from, to, { count, size = 1000, bits, port = 5000 }) {
  const receiver = lab.run(to, process.execPath, [self, 'sink', String(port)]);
  await receiver.says(/ready/);
  const sender = lab.run(from, process.execPath,
    [self, 'send', lab.address(to), ...[port, count, size, bits].map(String)]);
  const [line] = await receiver.says(/^\{.*\}$/m, 30000);
  await Promise.all([receiver.stop(), sender.stop()]);
  return JSON.parse(line);
}
