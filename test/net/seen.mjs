// @ts-check
/**
 * What a volunteer has seen of a session, field by field, out of what tap.c wrote: the broker's
 * messages, STUN, the clear part of DTLS, SCTP inside it, and session messages on both hops. Fields
 * that say when and how much (lengths, counts of bytes, expiry) and addresses are left out; they
 * are what a volunteer may know.
 */
import { readFileSync } from 'node:fs';

/** @typedef {{ name: string, bytes: Buffer }} Field */
/** @typedef {{ kind: string, received: boolean, from: number, bytes: Buffer }} Entry */

/** @param {string} file @returns {Entry[]} */
function entries(file) {
  const all = readFileSync(file);
  const out = [];
  for (let at = 0; at < all.length;) {
    const length = all.readUInt32BE(at + 6);
    out.push({
      kind: String.fromCharCode(all[at]), received: all[at + 1] === 1,
      from: all.readUInt32BE(at + 2), bytes: all.subarray(at + 10, at + 10 + length),
    });
    at += 10 + length;
  }
  return out;
}

/** Reads a length-prefixed piece. @param {Buffer} bytes @param {number} at */
const piece = (bytes, at) => bytes.subarray(at + 1, at + 1 + bytes[at]);

export class Seen {
  /** @param {string} file @param {string[]} addresses IPv4, left out wherever they stand */
  constructor(file, addresses) {
    /** @type {Field[]} */ this.fields = [];
    /** @type {number[]} */ this.ports = [];
    /** @type {string[]} */ this.times = [];
    this.addresses = addresses.map((address) => Buffer.from(address.split('.').map(Number)));
    /** @type {Map<string, { ws: boolean, path: string, rest: Buffer }>} */
    const streams = new Map();
    for (const entry of entries(file)) {
      if (entry.kind === 'U') this.#datagram(entry);
      else if (entry.kind === 'D') this.#sctp(entry);
      else this.#stream(streams, entry);
    }
  }

  /** @param {string} name @param {Buffer} bytes */
  #add(name, bytes) {
    if (bytes.length >= 4) this.fields.push({ name, bytes });
  }

  /* ---- UDP: STUN (RFC 8489) and DTLS 1.2 (RFC 6347) ---- */

  /** @param {Entry} entry */
  #datagram({ received, bytes }) {
    const from = received ? 'reader' : 'volunteer';
    if (bytes[0] < 4 && bytes.length >= 20) this.#stun(`${from}'s STUN`, bytes);
    else if (bytes[0] >= 20 && bytes[0] < 64) this.#dtls(`${from}'s DTLS`, bytes);
    else this.#add(`${from}'s datagram`, bytes);
  }

  /** @param {string} name @param {Buffer} bytes */
  #stun(name, bytes) {
    const mapped = new Set([0x0001, 0x0020]); // addresses and ports
    const label = `${name} ${bytes.readUInt16BE(0).toString(16)}`;
    this.#add(`${label} transaction`, bytes.subarray(8, 20));
    for (let at = 20; at + 4 <= bytes.length;) {
      const type = bytes.readUInt16BE(at);
      const length = bytes.readUInt16BE(at + 2);
      if (!mapped.has(type))
        this.#add(`${label} attribute ${type.toString(16)}`,
          bytes.subarray(at + 4, at + 4 + length));
      at += 4 + length + (4 - (length % 4)) % 4;
    }
  }

  /** @param {string} name @param {Buffer} bytes */
  #dtls(name, bytes) {
    for (let at = 0; at + 13 <= bytes.length;) {
      const length = bytes.readUInt16BE(at + 11);
      const body = bytes.subarray(at + 13, at + 13 + length);
      if (bytes.readUInt16BE(at + 3) > 0) this.#add(`${name} sealed`, body);
      else if (bytes[at] === 22) this.#handshake(name, body);
      at += 13 + length;
    }
  }

  /** Random values, keys and signatures; the rest of a flight is the same for everybody.
   * @param {string} name @param {Buffer} bytes */
  #handshake(name, bytes) {
    const body = bytes.subarray(12);
    const type = bytes[0];
    if (type === 1 || type === 2) {
      this.#add(`${name} random`, body.subarray(2, 34));
      this.#add(`${name} session id`, piece(body, 34));
    } else if (type === 11) {
      this.#certificate(name, body);
    } else if (type === 12) {
      this.#add(`${name} key share`, piece(body, 3));
      this.#add(`${name} key share's signature`, integers(body.subarray(4 + body[3] + 4)));
    }
  }

  /** @param {string} name @param {Buffer} bytes */
  #certificate(name, bytes) {
    const serial = bytes.indexOf(Buffer.from('a003020102', 'hex')) + 5;
    const key = bytes.indexOf(Buffer.from('034200', 'hex')) + 3;
    const time = bytes.indexOf(Buffer.from('170d', 'hex')) + 2;
    this.#add(`${name} certificate's serial`, piece(bytes, serial + 1));
    this.#add(`${name} certificate's key`, bytes.subarray(key + 1, key + 65));
    this.#add(`${name} certificate's signature`, integers(lastSequence(bytes)));
    if (name.startsWith('reader')) this.times.push(bytes.toString('latin1', time, time + 12));
  }

  /* ---- SCTP (RFC 9260) ---- */

  /** @param {Entry} entry */
  #sctp({ received, bytes }) {
    const name = `${received ? 'reader' : 'volunteer'}'s SCTP`;
    this.#add(`${name} tag`, bytes.subarray(4, 8));
    for (let at = 12; at + 4 <= bytes.length;) {
      const length = Math.max(bytes.readUInt16BE(at + 2), 4);
      this.#chunk(name, bytes[at], bytes.subarray(at + 4, at + length), received);
      at += length + (4 - (length % 4)) % 4;
    }
  }

  /** @param {string} name @param {number} type @param {Buffer} value @param {boolean} received */
  #chunk(name, type, value, received) {
    if (type === 0) {
      this.#add(`${name} TSN`, value.subarray(0, 4));
      this.#message(received ? 'from reader' : 'to reader', value.subarray(12));
    } else if (type === 1 || type === 2) {
      this.#add(`${name} initial tag`, value.subarray(0, 4));
      this.#add(`${name} initial TSN`, value.subarray(12, 16));
      for (let at = 16; at + 4 <= value.length;) {
        const length = Math.max(value.readUInt16BE(at + 2), 4);
        this.#add(`${name} parameter ${value.readUInt16BE(at).toString(16)}`,
          value.subarray(at + 4, at + length));
        at += length + (4 - (length % 4)) % 4;
      }
    } else if (type === 3) {
      this.#add(`${name} SACK`, value.subarray(0, 4)); // then room and gaps: how much
    } else {
      this.#add(`${name} chunk ${type}`, value);
    }
  }

  /* ---- TCP: HTTP and WebSocket (RFC 6455) ---- */

  /** @param {Map<string, { ws: boolean, path: string, rest: Buffer }>} streams @param {Entry} e */
  #stream(streams, { received, from, bytes }) {
    const key = `${from} ${received}`;
    let stream = streams.get(key) ?? { ws: false, path: '', rest: Buffer.alloc(0) };
    if (/^(GET|POST) |^HTTP\/1/.test(bytes.toString('latin1', 0, 8)))
      stream = { ws: false, path: '', rest: Buffer.alloc(0) };
    stream.rest = Buffer.concat([stream.rest, bytes]);
    streams.set(key, stream);
    const end = stream.rest.indexOf('\r\n\r\n');
    if (!stream.ws && end >= 0) {
      const head = stream.rest.toString('latin1', 0, end);
      if (!received) stream.path = head.split(' ')[1];
      else stream.path = streams.get(`${from} false`)?.path ?? '';
      stream.ws = /upgrade: *websocket/i.test(head);
      if (stream.ws) stream.rest = stream.rest.subarray(end + 4);
    }
    while (stream.ws && this.#frame(stream, received));
  }

  /** @param {{ path: string, rest: Buffer }} stream @param {boolean} received */
  #frame(stream, received) {
    const { rest } = stream;
    if (rest.length < 2) return false;
    let length = rest[1] & 127;
    let at = 2;
    if (length === 126) {
      if (rest.length < 4) return false;
      length = rest.readUInt16BE(2);
      at = 4;
    }
    const mask = rest[1] & 128 ? rest.subarray(at, at + 4) : Buffer.alloc(4);
    if (rest[1] & 128) at += 4;
    if (rest.length < at + length) return false;
    const payload = Buffer.from(rest.subarray(at, at + length));
    for (const i of payload.keys()) payload[i] ^= mask[i % 4];
    stream.rest = rest.subarray(at + length);
    if ((rest[0] & 15) !== 2) return true;
    if (stream.path.startsWith('/v1/volunteer')) this.#signal(payload);
    else this.#message(received ? 'from egress' : 'to egress', payload);
    return true;
  }

  /* ---- Footbridge (doc/protocol.md) ---- */

  /** A message between volunteer and broker. @param {Buffer} bytes */
  #signal(bytes) {
    if (bytes[0] === 4) this.#description('offer', bytes.subarray(13));
    else if (bytes[0] === 5) this.#description('answer', bytes.subarray(11));
    else if (bytes[0] === 7) this.#ticket('release', bytes.subarray(41), bytes.subarray(9, 41));
  }

  /** @param {string} name @param {Buffer} bytes */
  #description(name, bytes) {
    const ufrag = piece(bytes, 1);
    const pwd = piece(bytes, 2 + ufrag.length);
    let at = 3 + ufrag.length + pwd.length;
    this.#add(`${name}'s ufrag`, ufrag);
    this.#add(`${name}'s pwd`, pwd);
    this.#add(`${name}'s fingerprint`, bytes.subarray(at, at + 32));
    at += 32 + (bytes[0] & 4 ? 6 : 0) + 1;
    while (at < bytes.length) {
      const size = bytes[at] & 128 ? 16 : 4;
      if (name === 'offer') this.ports.push(bytes.readUInt16BE(at + 1 + size));
      this.#add(`${name}'s priority`, bytes.subarray(at + 3 + size, at + 7 + size));
      at += 7 + size;
    }
  }

  /** @param {string} name @param {Buffer} bytes ticket and first message @param {Buffer} egress */
  #ticket(name, bytes, egress) {
    this.#add(`${name}'s egress`, egress);
    // Each part for itself: what is the same for all, with a byte of chance beside it, is no run.
    // At 21 it says when it expires.
    for (const [from, to] of [[0, 5], [5, 21], [29, 45], [45, 77], [77, 141]])
      this.#add(`${name}'s ticket${from > 0 ? ` at ${from}` : ''}`, bytes.subarray(from, to));
    this.#add(`${name}'s first message`, bytes.subarray(143));
  }

  /** On the data channel or the egress's socket. @param {string} way @param {Buffer} bytes */
  #message(way, bytes) {
    if (bytes[0] === 3) this.#ticket('attach', bytes.subarray(1), Buffer.alloc(0));
    else if (bytes[0] === 1 && bytes[1] < 2) this.#add(`packet ${way}`, bytes.subarray(8));
    else if (bytes[0] === 1) this.#add(`session message ${way}`, bytes.subarray(2));
    else this.#add(`hop control ${way}`, this.#withoutAddresses(bytes));
  }

  /** @param {Buffer} bytes */
  #withoutAddresses(bytes) {
    const copy = Buffer.from(bytes);
    for (const address of this.addresses)
      for (let at = copy.indexOf(address); at >= 0; at = copy.indexOf(address, at + 4))
        copy.fill(0, at, at + 4);
    return copy;
  }
}

/** Each run of so many bytes within a field, with the names of the fields that hold it.
 * @param {Field[]} fields @param {number} size */
function grams(fields, size) {
  /** @type {Map<string, Set<string>>} */ const out = new Map();
  for (const { name, bytes } of fields) {
    const text = bytes.toString('latin1');
    for (let at = 0; at + size <= text.length; at++) {
      const gram = text.substring(at, at + size);
      const names = out.get(gram);
      if (names) names.add(name);
      else out.set(gram, new Set([name]));
    }
  }
  return out;
}

/**
 * Runs of `size` bytes that all of these volunteers have in common and none of the others has.
 * Random bytes agree by chance: four bytes of two volunteers now and then, of three hardly ever,
 * and eight never.
 * @param {Field[][]} session one list for each volunteer @param {Field[][]} others
 * @param {number} size
 */
export function common(session, others, size) {
  const mine = session.map((fields) => grams(fields, size));
  const theirs = others.map((fields) => grams(fields, size));
  const out = [];
  for (const [gram, names] of mine[0])
    if (mine.every((one) => one.has(gram)) && !theirs.some((one) => one.has(gram)))
      out.push(`${Buffer.from(gram, 'latin1').toString('hex')} in ${[...names].join(', ')}`);
  return out;
}

/** The first of each kind of field, as numbers of four bytes. @param {Field[]} fields */
function numbers(fields) {
  /** @type {Map<string, number>} */ const out = new Map();
  for (const { name, bytes } of fields)
    for (let at = 0; at + 4 <= bytes.length; at += 4)
      for (const order of ['big', 'little']) {
        const key = `${name} [${at}] ${order}-endian`;
        const value = order === 'big' ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at);
        if (!out.has(key)) out.set(key, value);
      }
  return out;
}

/**
 * The two numbers of an ECDSA signature. The heads that DER gives them are left out: they stand at
 * one of few places, by chance.
 * @param {Buffer} der
 */
function integers(der) {
  const out = [];
  for (let at = 2; at < der.length; at += 2 + der[at + 1])
    out.push(der.subarray(at + 2, at + 2 + der[at + 1]).subarray(-31));
  return Buffer.concat(out);
}

/**
 * A certificate ends with its signature.
 * @param {Buffer} bytes
 */
function lastSequence(bytes) {
  for (let n = 66; n <= 72; n++)
    if (bytes.at(-n) === 0x30 && bytes.at(1 - n) === n - 2 && bytes.at(2 - n) === 2)
      return bytes.subarray(-n);
  throw new Error('a certificate without an ECDSA signature');
}

/**
 * Numbers that lie close together within a session and far from those of the others: counters.
 * @param {Field[][]} session @param {Field[][]} others
 */
export function counted(session, others) {
  const near = (/** @type {number} */ a, /** @type {number} */ b) => Math.abs(a - b) < 65536;
  const [first, ...rest] = session.map(numbers);
  const theirs = others.map(numbers);
  const out = [];
  for (const [name, value] of first) {
    const same = rest.map((one) => one.get(name));
    if (same.every((other) => other !== undefined && near(other, value)) &&
        !theirs.some((one) => near(one.get(name) ?? Infinity, value)))
      out.push(`${name}: ${[value, ...same].join(', ')}`);
  }
  return out;
}
