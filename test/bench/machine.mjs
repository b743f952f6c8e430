// @ts-check
/** What the kernel says about processes and the machine (proc(5)). */
import { readFileSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';

const TICKS_PER_SECOND = 100; // USER_HZ, on every Linux that node runs on

/** @param {number} pid */
export function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/**
 * CPU time of a process's main thread.
 * @param {number} pid
 */
export function mainThreadSeconds(pid) {
  const [ran] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ');
  return Number(ran) / 1e9;
}

/**
 * Memory that is this process's alone: what it would give back by ending.
 * @param {number} pid
 */
export function privateBytes(pid) {
  let bytes = 0;
  for (const line of readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').split('\n'))
    if (line.startsWith('Private_')) bytes += 1024 * Number(line.split(/ +/)[1]);
  return bytes;
}

/** @returns {Map<number, number>} the parent of each process */
function parents() {
  /** @type {Map<number, number>} */
  const all = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      all.set(Number(name), Number(stat[1]));
    } catch {
      continue; // gone meanwhile
    }
  }
  return all;
}

/** @param {number} root @returns {number[]} it and the processes below it */
function tree(root) {
  const all = parents();
  /** @param {number} pid @returns {boolean} */
  const below = (pid) => pid === root || (pid > 1 && below(all.get(pid) ?? 0));
  return [...all.keys()].filter(below);
}

/** CPU time of a process and all below it that still live. @param {number} pid */
export function treeSeconds(pid) {
  return tree(pid).reduce((sum, one) => {
    try {
      return sum + cpuSeconds(one);
    } catch {
      return sum; // gone meanwhile
    }
  }, 0);
}

/** @returns {number[]} Chromium's renderer processes below this one */
export function renderers() {
  return tree(process.pid).filter(isRenderer);
}

/** @param {number} pid */
function isRenderer(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--type=renderer');
  } catch {
    return false;
  }
}

/** How busy the machine is from here until busy() is called: 0 to 1. */
export class Busy {
  #then = sample();

  share() {
    const now = sample();
    const total = now.total - this.#then.total;
    return total > 0 ? 1 - (now.idle - this.#then.idle) / total : 0;
  }
}

function sample() {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.idle + times.user + times.nice + times.sys + times.irq;
  }
  return { idle, total };
}
