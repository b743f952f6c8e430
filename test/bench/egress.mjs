// @ts-check
/**
 * An egress with many sessions, each run a fresh process of the egress's own code (egress_load.c):
 * memory of what is idle, and CPU where some of them download, against bare connections of the same
 * server that are sent messages of the same size.
 */
import { run } from '../browser/program.mjs';
import { built } from './built.mjs';
import { median, round } from './stats.mjs';

export const names = ['egress_session_memory', 'egress_path_memory', 'egress_cpu'];

const SESSIONS = 2000;
const ACTIVE = 100;

/** @param {number[]} args */
async function load(...args) {
  const { status, stdout, output } = await run(`${built}egress_load`, args.map(String),
    { ms: 180000 });
  if (status !== 0) throw new Error(output);
  return JSON.parse(stdout);
}

/** @param {import('./results.mjs').Results} results @param {number} rounds */
async function measureMemory(results, rounds) {
  /** @type {number[]} */ const sessions = [];
  /** @type {number[]} */ const paths = [];
  let bare = 0;
  for (let i = 0; i < rounds; i++) {
    const [none, one, three] = [await load(SESSIONS, 0), await load(SESSIONS, 1),
      await load(SESSIONS, 3)].map(({ each }) => each);
    const path = (three - one) / 2;
    bare = none;
    paths.push(path - none);
    sessions.push(one - path);
  }
  results.add('egress_session_memory', 'bytes', sessions, { sessions: SESSIONS });
  results.add('egress_path_memory', 'bytes', paths, { sessions: SESSIONS, connection: bare });
}

/**
 * CPU seconds a GB: ours without the seal, against bare messages of the size that ours had.
 * @param {import('./results.mjs').Results} results
 * @param {number} rounds
 * @param {number} seconds
 */
async function measureCpu(results, rounds, seconds) {
  const pairs = [];
  /** @type {Record<'all' | 'seal' | 'packet' | 'mbits', number[]>} */
  const more = { all: [], seal: [], packet: [], mbits: [] };
  for (let i = 0; i < rounds; i++) {
    const ours = await load(SESSIONS, 1, ACTIVE, seconds);
    const bare = await load(SESSIONS, 0, ACTIVE, seconds, ours.packet);
    /** @param {number} cpu @param {{ bytes: number }} run */
    const perGB = (cpu, { bytes }) => cpu / (bytes / 1e9);
    pairs.push({ value: perGB(ours.cpu - ours.seal, ours), baseline: perGB(bare.cpu, bare) });
    more.all.push(perGB(ours.cpu, ours));
    more.seal.push(perGB(ours.seal, ours));
    more.packet.push(ours.packet);
    more.mbits.push((ours.bytes * 8e-6) / ours.seconds);
  }
  results.addPairs('egress_cpu', 's/GB', pairs, { sessions: SESSIONS, active: ACTIVE,
    ...Object.fromEntries(Object.entries(more).map(([name, all]) => [name, round(median(all))])) });
}

/**
 * @param {unknown} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, chosen: Set<string> }} options
 */
export async function measure(_, results, { rounds, chosen }) {
  if (chosen.has(names[0]) || chosen.has(names[1])) await measureMemory(results, rounds);
  if (chosen.has(names[2])) await measureCpu(results, rounds, 4);
}
