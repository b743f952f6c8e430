// @ts-check
/**
 * Tabs of Chromium at 100 ms and 1 % loss (each way) from the reader: what a client gets through
 * them, against one bare data channel between the same browser and the native peer under the same
 * emulation.
 */
import { bareRun, pagesHere } from './baseline.mjs';
import { inLab, mean, readyClient } from './labstage.mjs';
import { Flow } from './labtraffic.mjs';
import { Busy } from './machine.mjs';
import { median, plotOf, round } from './stats.mjs';

export const names = ['lossy_one_tab_down', 'lossy_one_tab_up', 'lossy_four_tabs'];

const WARM_S = 8;
/** @type {import('../net/lab.mjs').Link} */
const LINK = { delay: 50, loss: 0.01 };

/** @typedef {import('./baseline.mjs').Direction} Direction */

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {import('./cdp.mjs').Chromium} browser
 * @param {Direction} direction
 * @param {number} seconds
 * @param {number} paths
 */
async function oneRound({ net, origin }, browser, direction, seconds, paths) {
  const bare = await bareRun(browser, pagesHere, direction, seconds,
    { warm: WARM_S * 1000, prefix: net.lab.command('reader') });
  const client = await readyClient(net, 'reader', '--paths', String(paths));
  const flow = new Flow(net, origin, 'reader', direction);
  const busy = new Busy();
  try {
    const { mbits, gap } = await flow.window(WARM_S, seconds);
    return { value: mbits, baseline: bare.mbits, gap, busy: busy.share(), goodput: flow.goodput };
  } finally {
    await flow.stop();
    await client.stop();
  }
}

/**
 * @param {import('./results.mjs').Results} results
 * @param {string} name
 * @param {Awaited<ReturnType<typeof oneRound>>[]} runs
 */
function report(results, name, runs) {
  const baseline = mean(runs.map((run) => run.baseline)); // of all windows together
  results.addAgainst(name, 'Mbit/s', runs.map(({ value }) => value), baseline, {
    baselines: runs.map((run) => round(run.baseline)),
    gap_ms: round(median(runs.map(({ gap }) => gap))),
    busy: round(median(runs.map(({ busy }) => busy))),
  });
  results.plots[name] = plotOf(runs);
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, window: number, chosen: Set<string> }} options
 */
export async function measure(_, results, { rounds, window, chosen }) {
  await inLab({}, async (stage) => {
    const { net } = stage;
    await net.lab.addHost('reader', { link: LINK });
    const hosts = ['tab1', 'tab2', 'tab3', 'tab4'].slice(0, chosen.has(names[2]) ? 4 : 1);
    for (const host of hosts) await net.lab.addHost(host);
    const first = await net.tab(hosts[0]);
    for (const direction of /** @type {Direction[]} */ (['down', 'up'])) {
      const name = `lossy_one_tab_${direction}`;
      if (!chosen.has(name)) continue;
      const runs = [];
      for (let i = 0; i < rounds; i++)
        runs.push(await oneRound(stage, first.browser, direction, window, 1));
      report(results, name, runs);
    }
    if (!chosen.has(names[2])) return;
    for (const host of hosts.slice(1)) await net.tab(host);
    const runs = [];
    for (let i = 0; i < rounds; i++)
      runs.push(await oneRound(stage, first.browser, 'down', window, 4));
    report(results, names[2], runs);
  });
}
