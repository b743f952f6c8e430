// @ts-check
/**
 * STUN (RFC 8489) with the two addresses and two ports that show a NAT's behaviour (RFC 5780):
 * a server, and a prober.
 *
 *     node stun.mjs serve ADDRESS ADDRESS        ports 3478 and 3479 of both
 *     node stun.mjs probe ADDRESS ADDRESS        prints JSON
 */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { fileURLToPath } from 'node:url';

/** @typedef {'none' | 'independent' | 'address' | 'port'} Dependence of the endpoint */
/** @typedef {{ mapping: Dependence, filtering: Dependence }} Behaviour 'none': no UDP */

const PORTS = [3478, 3479];
const COOKIE = 0x2112a442;
const BINDING = 0x0001;
const SUCCESS = 0x0101;
const CHANGE_REQUEST = 0x0003; // RFC 5780 section 7.2
const XOR_MAPPED_ADDRESS = 0x0020;
const CHANGE_ADDRESS = 4;
const CHANGE_PORT = 2;
const ASK_MS = 250; // some times more than any way there and back in the laboratory's tests
const ASK_TIMES = 2;

/** @param {number} kind @param {Buffer} id @param {number} attribute @param {Buffer} value */
function message(kind, id, attribute, value) {
  const head = Buffer.alloc(20);
  head.writeUInt16BE(kind, 0);
  head.writeUInt16BE(4 + value.length, 2);
  head.writeUInt32BE(COOKIE, 4);
  id.copy(head, 8);
  const tag = Buffer.alloc(4);
  tag.writeUInt16BE(attribute, 0);
  tag.writeUInt16BE(value.length, 2);
  return Buffer.concat([head, tag, value]);
}

/** The value of an attribute. @param {Buffer} data @param {number} wanted */
function attribute(data, wanted) {
  for (let at = 20; at + 4 <= data.length;) {
    const length = data.readUInt16BE(at + 2);
    if (data.readUInt16BE(at) === wanted) return data.subarray(at + 4, at + 4 + length);
    at += 4 + Math.ceil(length / 4) * 4;
  }
  return undefined;
}

/** @param {string[]} addresses */
async function serve(addresses) {
  /** @param {string} address @param {number} port */
  const open = (address, port) => new Promise((done) => {
    const socket = createSocket('udp4');
    socket.bind(port, address, () => done(socket));
  });
  /** @type {import('node:dgram').Socket[][]} */
  const sockets = await Promise.all(addresses.map((address) =>
    Promise.all(PORTS.map((port) => open(address, port)))));
  sockets.forEach((ports, a) => ports.forEach((socket, p) =>
    socket.on('message', (data, from) => {
      if (data.length < 20 || data.readUInt16BE(0) !== BINDING) return;
      const flags = attribute(data, CHANGE_REQUEST)?.readUInt32BE(0) ?? 0;
      const value = Buffer.alloc(8);
      value.writeUInt16BE(1, 0); // IPv4
      value.writeUInt16BE(from.port ^ (COOKIE >>> 16), 2);
      const address = from.address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
      value.writeUInt32BE((address ^ COOKIE) >>> 0, 4);
      const by = sockets[flags & CHANGE_ADDRESS ? 1 - a : a][flags & CHANGE_PORT ? 1 - p : p];
      by.send(message(SUCCESS, data.subarray(8, 20), XOR_MAPPED_ADDRESS, value), from.port,
        from.address);
    })));
  console.log('ready');
}

/**
 * The mapped address and port that somebody answers, as text; undefined: nobody did.
 * @param {import('node:dgram').Socket} socket
 * @param {string} address @param {number} port @param {number} flags
 * @returns {Promise<string | undefined>}
 */
function ask(socket, address, port, flags = 0) {
  const id = randomBytes(12);
  const value = Buffer.alloc(4);
  value.writeUInt32BE(flags);
  const request = message(BINDING, id, CHANGE_REQUEST, value);
  return new Promise((done) => {
    let asked = 0;
    /** @param {string} [mapped] */
    const end = (mapped) => {
      clearInterval(timer);
      socket.off('message', heard);
      done(mapped);
    };
    /** @param {Buffer} data */
    const heard = (data) => {
      if (data.subarray(8, 20).equals(id))
        end(attribute(data, XOR_MAPPED_ADDRESS)?.toString('hex'));
    };
    const again = () => (asked++ < ASK_TIMES ? socket.send(request, port, address) : end());
    const timer = setInterval(again, ASK_MS);
    socket.on('message', heard);
    again();
  });
}

/** RFC 5780 sections 4.3 and 4.4. @param {string[]} addresses @returns {Promise<Behaviour>} */
async function probe([one, two]) {
  const socket = createSocket('udp4');
  const first = await ask(socket, one, PORTS[0]);
  if (first === undefined) return { mapping: 'none', filtering: 'none' };
  const otherAddress = await ask(socket, two, PORTS[0]);
  const otherPort = await ask(socket, two, PORTS[1]);
  /** @type {Dependence} */
  const mapping = otherAddress === first ? 'independent'
    : otherPort === otherAddress ? 'address' : 'port';
  const fresh = createSocket('udp4'); // which has sent to none of the others
  await ask(fresh, one, PORTS[0]);
  /** @type {Dependence} */
  let filtering = 'port';
  if (await ask(fresh, one, PORTS[0], CHANGE_ADDRESS | CHANGE_PORT)) filtering = 'independent';
  else if (await ask(fresh, one, PORTS[0], CHANGE_PORT)) filtering = 'address';
  return { mapping, filtering };
}

const self = fileURLToPath(import.meta.url);
if (process.argv[1] === self) {
  const [way, ...addresses] = process.argv.slice(2);
  if (way === 'serve') {
    await serve(addresses);
  } else {
    console.log(JSON.stringify(await probe(addresses)));
    process.exit(0);
  }
}

/**
 * Adds a host with a server at two addresses.
 * @param {import('./lab.mjs').Lab} lab
 * @param {import('./lab.mjs').Link} [link]
 */
export async function addStun(lab, link) {
  await lab.addHost('stun', { addresses: 2, link });
  await lab.run('stun', process.execPath,
    [self, 'serve', lab.address('stun'), lab.address('stun', 1)]).says(/ready/);
}

/** @param {import('./lab.mjs').Lab} lab @param {string} host @returns {Promise<Behaviour>} */
export async function behaviour(lab, host) {
  const program = lab.run(host, process.execPath,
    [self, 'probe', lab.address('stun'), lab.address('stun', 1)]);
  const [line] = await program.says(/^\{.*\}$/m);
  return JSON.parse(line);
}
