// @ts-check
/**
 * A laboratory: hosts in network namespaces of their own, each joined to a core by a link that is
 * ideal or emulated (wire.h: delay, jitter, loss, bursts, rate, queue, by direction), with a NAT in
 * between where one is wanted. Programs run on hosts; real Chromium too (command()).
 *
 *     const lab = await Lab.open();
 *     await lab.addHost('reader', { nat: 'symmetric', link: { delay: 50, loss: 0.01 } });
 *     await lab.addHost('server');
 *     lab.run('reader', 'ping', ['-c1', lab.address('server')]);
 *     await lab.set('reader', { down: { rate: 5e6, queue: 64e3 } });   // while it runs
 *     (await lab.count('reader')).down.droppedLoss
 *     await lab.close();
 *
 * Addresses look public (20.0.N.2, N by host), so that the rules for public addresses hold; another
 * `net` may be asked for. They lead nowhere but to each other: no namespace has a way out. Nothing
 * has a name on this machine; all of it ends with this process, however that ends (lab.h).
 */
import { execFileSync, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

import { Program, footbridge } from '../browser/program.mjs';

/**
 * A direction of a link. Times in ms, one way; rate in bit/s of whole IP packets (0: no limit);
 * queue in bytes (0: no limit; what 200 ms take, where a rate is given without one).
 * loss is by chance; a burst begins before a packet with burstStart, ends with burstEnd, and
 * loses burstLoss of what it meets (Gilbert).
 * @typedef {{ delay?: number, jitter?: number, loss?: number, burstStart?: number,
 *   burstEnd?: number, burstLoss?: number, rate?: number, queue?: number }} Wire
 * Both directions alike, or one of them: up is from the host to the core.
 * @typedef {Wire & { up?: Wire, down?: Wire }} Link
 * @typedef {{ packets: number, bytes: number, passed: number, passedBytes: number,
 *   droppedQueue: number, droppedLoss: number, queued: number, queuedMax: number }} WireCounts
 * queuedMax: since the counts were last asked for.
 * @typedef {{ up: WireCounts, down: WireCounts, refused: number }} LinkCounts
 *
 * - open: maps and filters independently of the endpoint ("full cone")
 * - address: maps so, lets in what comes from an address that the host has sent to
 * - port: maps so, lets in what comes from an address and port that the host has sent to: what most
 *   routers do
 * - symmetric: another port for each address and port that the host sends to; lets in as `port`
 * - no-udp: `port` for TCP, and no UDP at all
 * @typedef {'open' | 'address' | 'port' | 'symmetric' | 'no-udp'} Nat
 */

const QUEUE_MS = 200;
const INSIDE = '192.168.1.2';
const ROUTER = '192.168.1.1';

/** The program of lab.h beside the footbridge that is tested. */
export const labProgram = `${dirname(footbridge)}/test/net/lab`;

const MASQUERADE = 'type nat hook postrouting priority srcnat; oifname "wan" masquerade';

// What comes unasked is dropped before it leaves a trace: accepted, it would take the place in the
// table of connections that the host's own packet to there needs, and that would get another port.
const FIREWALL =
  'chain guard { type filter hook input priority filter; iifname "wan" ct state new drop; }';

/**
 * RFC 4787 by nftables, for one host behind a router: chains and sets of one table. Masquerading
 * keeps ports, so its mapping is endpoint-independent, and filters by address and port.
 * @type {Record<Nat, string[]>}
 */
const RULES = {
  open: [
    `chain in { type nat hook prerouting priority dstnat;
      iifname "wan" udp dport 1024-65535 dnat to ${INSIDE}; }`,
    `chain out { ${MASQUERADE}; }`,
  ],
  address: [
    'set met { type ipv4_addr . inet_service; flags dynamic, timeout; timeout 2m; }',
    `chain in { type nat hook prerouting priority dstnat;
      iifname "wan" ip saddr . udp dport @met dnat to ${INSIDE}; }`,
    `chain meet { type filter hook forward priority filter;
      oifname "wan" meta l4proto udp update @met { ip daddr . udp sport }; }`,
    `chain out { ${MASQUERADE}; }`,
  ],
  port: [`chain out { ${MASQUERADE}; }`],
  symmetric: [`chain out { ${MASQUERADE} random,fully-random; }`],
  'no-udp': [
    'chain none { type filter hook forward priority filter; meta l4proto udp drop; }',
    `chain out { ${MASQUERADE}; }`,
  ],
};

/**
 * Why there can be no laboratory here, in one line; '' when there can.
 * @param {string} [program]
 */
export function noLab(program = labProgram) {
  /** @type {[string, string[]][]} */
  const needed = [['ip', ['-V']], ['nft', ['-v']], [program, ['check']]];
  for (const [file, args] of needed) {
    try {
      execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    } catch (error) {
      const { code, stdout } = /** @type {{ code?: string, stdout?: string }} */ (error);
      const why = code === 'ENOENT' ? 'it is not installed, or not built' : stdout?.trim() || error;
      return `no laboratory here: ${file.replace(/.*\//, '')}: ${why}`;
    }
  }
  return '';
}

/** @param {Wire} wire */
function words(wire) {
  const { delay, jitter, rate, queue } = wire;
  /** @type {[string, number | undefined][]} */
  const keys = [
    ['delay', delay === undefined ? undefined : delay * 1000],
    ['jitter', jitter === undefined ? undefined : jitter * 1000],
    ['loss', wire.loss], ['burst-start', wire.burstStart], ['burst-end', wire.burstEnd],
    ['burst-loss', wire.burstLoss ?? (wire.burstStart === undefined ? undefined : 1)],
    ['rate', rate],
    ['queue', queue ?? (rate ? Math.max(20000, (rate / 8000) * QUEUE_MS) : undefined)],
  ];
  return keys.filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key} ${value}`).join(' ');
}

export class Lab {
  /**
   * @param {{ program?: string, seed?: number, net?: string }} [options] the same seed loses the
   *   same packets; net: how all addresses begin
   */
  static async open({ program = labProgram, seed = 1, net = '20.0' } = {}) {
    const why = noLab(program);
    if (why) throw new Error(why);
    const lab = new Lab(program, seed, net);
    try {
      lab.#places.set('core', Number(await lab.#answer()));
      lab.#prepare('core');
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** @type {((line: string | undefined) => void)[]} */ #waiting = [];
  /** Namespaces: descriptors of the lab's process. @type {Map<string, number>} */
  #places = new Map();
  /** @type {Map<string, string>} */ #addresses = new Map();

  /** @param {string} program @param {number} seed @param {string} net */
  constructor(program, seed, net) {
    this.program = program;
    this.net = net;
    /** @type {Program[]} */ this.programs = [];
    this.child = spawn(program, ['run', String(seed)], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.ended = new Promise((done) => this.child.on('close', done));
    this.child.stdin.on('error', () => {}); // it has ended: answers fail
    createInterface(this.child.stdout).on('line', (line) => this.#waiting.shift()?.(line));
    this.ended.then(() => this.#waiting.splice(0).forEach((answer) => answer(undefined)));
  }

  /** @returns {Promise<string>} */
  #answer() {
    return new Promise((resolve, reject) => {
      this.#waiting.push((line) => {
        if (line?.startsWith('ok')) resolve(line.slice(3));
        else reject(new Error(`lab: ${line ?? 'it has ended'}`));
      });
    });
  }

  /** @param {string} line */
  #tell(line) {
    this.child.stdin.write(`${line}\n`);
    return this.#answer();
  }

  /** @param {string} name */
  async #place(name) {
    this.#places.set(name, Number(await this.#tell(`host ${name}`)));
    this.#prepare(name);
  }

  /** @param {string} name */
  #path(name) {
    return `/proc/${this.child.pid}/fd/${this.#fd(name)}`;
  }

  /** @param {string} name */
  #fd(name) {
    const fd = this.#places.get(name);
    if (fd === undefined) throw new Error(`no host ${name} in the laboratory`);
    return fd;
  }

  /** @param {string} name @param {string} file @param {string[]} args @param {string} input */
  #do(name, file, args, input) {
    const [program, ...prefix] = this.command(name);
    execFileSync(program, [...prefix, file, ...args], { input, stdio: ['pipe', 'ignore', 'pipe'] });
  }

  /** @param {string} name @param {string[]} lines */
  #ip(name, ...lines) {
    this.#do(name, 'ip', ['-batch', '-'], lines.join('\n'));
  }

  /** @param {string} name */
  #prepare(name) {
    this.#do(name, 'sh', ['-c', `cd /proc/sys/net
      echo 1 >ipv4/ip_forward
      for all in all default; do
        echo 1 >ipv6/conf/$all/disable_ipv6; echo 0 >ipv4/conf/$all/rp_filter
      done 2>/dev/null
      ip link set lo up`], '');
  }

  /**
   * @param {string} name
   * @param {{ link?: Link, nat?: Nat, addresses?: number }} [options] without link: an ideal one.
   *   addresses: how many it has (without nat)
   */
  async addHost(name, { link, nat, addresses = 1 } = {}) {
    const n = this.#addresses.size + 1;
    const outer = nat ? `${name}-nat` : name;
    await this.#place(name);
    if (nat) await this.#place(outer);
    if (link) {
      await this.#tell(`link ${name} ${outer} wan core l${n}`);
      await this.set(name, link);
    } else {
      this.#ip('core', `link add l${n} type veth peer name wan netns ${this.#path(outer)}`);
    }
    this.#ip('core', `address add ${this.net}.${n}.1/24 dev l${n}`,
      `link set l${n} txqueuelen 10000 up`);
    const own = Array.from({ length: addresses }, (_, i) => `${this.net}.${n}.${2 + i}/24`);
    this.#ip(outer, ...own.map((address) => `address add ${address} dev wan`),
      'link set wan txqueuelen 10000 up', `route add default via ${this.net}.${n}.1`);
    this.#addresses.set(name, `${this.net}.${n}.2`);
    if (nat) this.#route(name, outer, nat);
  }

  /** @param {string} name @param {string} router @param {Nat} nat */
  #route(name, router, nat) {
    this.#ip(router, `link add lan type veth peer name wan netns ${this.#path(name)}`,
      `address add ${ROUTER}/24 dev lan`, 'link set lan up');
    this.#ip(name, `address add ${INSIDE}/24 dev wan`, 'link set wan up',
      `route add default via ${ROUTER}`);
    const rules = ['table ip nat {', FIREWALL, ...RULES[nat], '}', ''];
    this.#do(router, 'nft', ['-f', '-'], rules.join('\n'));
  }

  /**
   * Changes what a host's link does, from now on; what is not named stays.
   * @param {string} name @param {Link} link
   * @param {string} [leg] '' is the link itself
   */
  async set(name, { up, down, ...both }, leg = '') {
    /** @type {[string, Wire | undefined][]} */
    const parts = [['both', both], ['up', up], ['down', down]];
    for (const [direction, wire] of parts) {
      const keys = words(wire ?? {});
      if (keys) await this.#tell(`set ${name} ${leg || '-'} ${direction} ${keys}`);
    }
  }

  /**
   * Gives what goes between a host and another a line of its own on the host's link.
   * @param {string} name @param {string} far @param {Link} link
   */
  async addLeg(name, far, link) {
    await this.#tell(`leg ${name} ${far} ${this.address(far).replace(/\d+$/, '0/24')}`);
    await this.set(name, link, far);
  }

  /** @param {string} name @param {string} [leg] @returns {Promise<LinkCounts>} */
  async count(name, leg = '') {
    return JSON.parse(await this.#tell(`count ${name} ${leg || '-'}`));
  }

  /** Another address, of which the others know nothing. @param {string} name @param {string} ip */
  gain(name, ip) {
    this.#ip(name, `address add ${ip}/32 dev lo`);
  }

  /**
   * As the others see it; its NAT's where it has one.
   * @param {string} name @param {number} [which]
   */
  address(name, which = 0) {
    const address = this.#addresses.get(name);
    if (!address) throw new Error(`no host ${name} in the laboratory`);
    return address.replace(/\d+$/, String(2 + which));
  }

  /** What stands before a command line to run it on a host. @param {string} name */
  command(name) {
    const ids = [process.pid, this.child.pid, this.#fd(name)].map(String);
    return [this.program, 'exec', ...ids];
  }

  /**
   * A program on a host.
   * @param {string} name @param {string} file @param {string[]} args
   * @param {{ env?: Record<string, string>, cwd?: string }} [options]
   */
  run(name, file, args, options = {}) {
    const [program, ...prefix] = this.command(name);
    const made = new Program(program, [...prefix, file, ...args], options);
    made.name = `${name}: ${file.replace(/.*\//, '')} ${args[0] ?? ''}`;
    this.programs.push(made);
    return made;
  }

  /** Ends what still runs, then the hosts. */
  async close() {
    await Promise.all(this.programs.map((program) => program.stop()));
    this.child.stdin.end();
    await this.ended;
  }
}
