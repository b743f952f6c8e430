// @ts-check
/**
 * One path through Chromium as fast as it goes, by turns with the simplest relay page and a bare
 * data channel, so that all three see the same machine. CPU of client and egress comes from the
 * same runs.
 */
import { bareRun, relayRun } from './baseline.mjs';
import { Busy, cpuSeconds } from './machine.mjs';
import { median, round } from './stats.mjs';
import { flow } from './traffic.mjs';

export const names = ['path_down', 'path_up', 'path_down_bare', 'path_up_bare', 'client_cpu',
  'egress_path_cpu'];

const WINDOW = 512 * 1024; // what a session keeps in flight on a path

/** @typedef {import('./baseline.mjs').Direction} Direction */
/** @typedef {import('./stage.mjs').Stage} Stage */
/** @typedef {{ mbits: number, client: number, egress: number, busy: number }} Run CPU in s/GB */

/**
 * @param {Stage} stage
 * @param {Direction} direction
 * @param {number} seconds
 * @returns {Promise<Run>}
 */
async function through(stage, direction, seconds) {
  const pids = [stage.clientPid, stage.egressPid];
  let [then, now] = [[0, 0], [0, 0]];
  let busy = new Busy();
  let share = 0;
  const { mbits, bytes } = await flow(stage, direction, seconds, {
    around: {
      begin: () => ([then, busy] = [pids.map(cpuSeconds), new Busy()]),
      end: () => ([now, share] = [pids.map(cpuSeconds), busy.share()]),
    },
  });
  const [client, egress] = pids.map((_, i) => (now[i] - then[i]) / (bytes / 1e9));
  return { mbits, client, egress, busy: share };
}

/** @param {import('./baseline.mjs').Load} load CPU seconds a GB */
const perGB = ({ cpu, bytes }) => cpu / (bytes / 1e9);

/**
 * @param {Stage} stage
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, seconds: number }} options
 */
export async function measure(stage, results, { rounds, seconds }) {
  const [browser, pages] = [stage.browser, stage.pages];
  /** @type {Record<string, { value: number, baseline: number }[]>} */
  const pairs = Object.fromEntries(names.map((name) => [name, []]));
  /** @type {Record<Direction, Run[]>} */
  const runs = { down: [], up: [] };
  await stage.carrying();
  await through(stage, 'down', 0.5); // what is slow only once
  for (let i = 0; i < rounds; i++)
    for (const direction of /** @type {Direction[]} */ (['down', 'up'])) {
      const relay = await relayRun(browser, pages, direction, seconds, WINDOW);
      const ours = await through(stage, direction, seconds);
      const bare = await bareRun(browser, pages.url, direction, seconds);
      runs[direction].push(ours);
      pairs[`path_${direction}`].push({ value: ours.mbits, baseline: relay.mbits });
      pairs[`path_${direction}_bare`].push({ value: ours.mbits, baseline: bare.mbits });
      pairs.client_cpu.push({ value: ours.client, baseline: perGB(relay.atClient) });
      pairs.egress_path_cpu.push({ value: ours.egress, baseline: perGB(relay.atEgress) });
    }
  for (const name of names) {
    if (name.endsWith('_cpu')) {
      const role = /** @type {'client' | 'egress'} */ (name.split('_')[0]);
      /** @param {Direction} direction */
      const at = (direction) => round(median(runs[direction].map((run) => run[role])));
      results.addPairs(name, 's/GB', pairs[name], { down: at('down'), up: at('up') });
    } else {
      const direction = name.includes('down') ? 'down' : 'up';
      results.addPairs(name, 'Mbit/s', pairs[name],
        { busy: round(median(runs[direction].map((run) => run.busy))) });
    }
  }
}
