// @ts-check
/**
 * Hosts in network namespaces of this test's own, joined by one bridge: each has an address of
 * its own and a default route, so that what a program says can be searched for addresses. Needs
 * root and iproute2; leaves nothing behind.
 */
import { execFileSync } from 'node:child_process';
import { Program } from '../browser/program.mjs';

/** @param {...string} args */
function ip(...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Why namespaces cannot be made here; '' when they can. */
export function cannot() {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  try {
    ip('netns', 'add', `fbprobe${process.pid}`);
    ip('netns', 'del', `fbprobe${process.pid}`);
    return '';
  } catch (error) {
    return `network namespaces cannot be made: ${String(error).split('\n')[0]}`;
  }
}

export class Hosts {
  /** @param {string[]} names */
  constructor(names) {
    this.tag = `fb${process.pid}`;
    this.hub = `${this.tag}hub`;
    /** @type {string[]} */ this.spaces = [];
    /** @type {Program[]} */ this.programs = [];
    /** @type {Map<string, string>} */ this.addresses = new Map();
    try {
      this.#add(this.hub);
      this.#in(this.hub, 'link', 'add', 'br0', 'type', 'bridge');
      this.#in(this.hub, 'link', 'set', 'br0', 'up');
      names.forEach((name, index) => this.#join(name, `10.201.77.${10 + index}`));
    } catch (error) {
      this.#unmake();
      throw error;
    }
  }

  /** @param {string} space */
  #add(space) {
    ip('netns', 'add', space);
    this.spaces.push(space);
    this.#in(space, 'link', 'set', 'lo', 'up');
  }

  /** @param {string} space @param {...string} args */
  #in(space, ...args) {
    ip('-n', space, ...args);
  }

  /** @param {string} name @param {string} address */
  #join(name, address) {
    const space = `${this.tag}${name}`;
    this.#add(space);
    const port = `p${this.spaces.length}`;
    ip('link', 'add', 'eth0', 'netns', space, 'type', 'veth', 'peer', port, 'netns', this.hub);
    this.#in(this.hub, 'link', 'set', port, 'master', 'br0', 'up');
    this.#in(space, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    this.#in(space, 'link', 'set', 'eth0', 'up');
    this.#in(space, 'route', 'add', 'default', 'via', '10.201.77.1');
    this.addresses.set(name, address);
  }

  /** @param {string} name */
  address(name) {
    const address = this.addresses.get(name);
    if (address === undefined) throw new Error(`no host ${name}`);
    return address;
  }

  /**
   * A further address of a host, on its loopback.
   * @param {string} name @param {string} address
   */
  gain(name, address) {
    this.#in(`${this.tag}${name}`, 'address', 'add', `${address}/32`, 'dev', 'lo');
  }

  /**
   * A program on a host.
   * @param {string} name @param {string} file @param {string[]} args
   * @param {{ env?: Record<string, string>, cwd?: string }} [options]
   */
  run(name, file, args, options = {}) {
    const command = ['netns', 'exec', `${this.tag}${name}`, file, ...args];
    const program = new Program('ip', command, options);
    this.programs.push(program);
    return program;
  }

  /** Ends what still runs, then the hosts. */
  async remove() {
    await Promise.all(this.programs.map((program) => program.stop()));
    this.#unmake();
  }

  #unmake() {
    for (const space of this.spaces.splice(0)) {
      try {
        ip('netns', 'del', space);
      } catch {
        // gone already
      }
    }
  }
}
