// @ts-check
/**
 * One tab of Chromium behind a clean bottleneck of 50 Mbit/s, 100 ms from the reader: goodput
 * against the best of 1 to 16 bare data channels between the same browser and the native peer, and
 * round trips of a small request meanwhile.
 */
import { bareRun, pagesHere } from './baseline.mjs';
import { inLab, readyClient } from './labstage.mjs';
import { Flow, percentile, startEcho } from './labtraffic.mjs';
import { Busy } from './machine.mjs';
import { median, plotOf, round } from './stats.mjs';

export const names = ['clean_one_tab', 'clean_queue_delay'];

const FROM_S = 3; // the fourth second is the first that counts
const LANES = [1, 2, 4, 8, 16];
const RATE = 50e6;
/** A queue of one round trip. @type {import('../net/lab.mjs').Link} */
const LINK = { delay: 50, rate: RATE, queue: (RATE / 8) * 0.1 };

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {number} seconds
 */
async function ours({ net, origin }, seconds) {
  const client = await readyClient(net, 'reader');
  const echo = startEcho(net, 'reader');
  try {
    await echo.program.says(/(.*\n){20}/, 30000); // of an idle path
    const flow = new Flow(net, origin, 'reader', 'down');
    const busy = new Busy();
    await net.lab.count('reader');
    const { mbits } = await flow.window(FROM_S, seconds);
    const begin = flow.samples[0].at;
    const loaded = echo.trips.filter(({ at }) => at > begin);
    const { down } = await net.lab.count('reader');
    const { goodput } = flow;
    await flow.stop();
    return {
      mbits, busy: busy.share(), goodput,
      p95: percentile(loaded.map(({ ms }) => ms), 0.95),
      least: Math.min(...echo.trips.map(({ ms }) => ms)),
      trips: echo.trips.map(({ at, ms }) =>
        /** @type {[number, number]} */ ([round((at - begin) / 1000), round(ms)])),
      queued: down.queuedMax, dropped: down.droppedQueue,
    };
  } finally {
    await echo.stop();
    await client.stop();
  }
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, window: number }} options
 */
export async function measure(_, results, { rounds, window }) {
  const seconds = Math.min(window, 10);
  await inLab({}, async (stage) => {
    const { net } = stage;
    await net.lab.addHost('reader', { link: LINK });
    await net.lab.addHost('tab');
    const { browser } = await net.tab('tab');
    /** @type {Record<number, number[]>} */
    const bare = Object.fromEntries(LANES.map((lanes) => [lanes, []]));
    const runs = [];
    for (let i = 0; i < rounds; i++) {
      for (const lanes of LANES) {
        const { mbits } = await bareRun(browser, pagesHere, 'down', seconds,
          { warm: FROM_S * 1000, lanes, prefix: net.lab.command('reader') });
        bare[lanes].push(mbits);
      }
      runs.push(await ours(stage, seconds));
    }
    const byLanes = Object.fromEntries(LANES.map((lanes) => [lanes, round(median(bare[lanes]))]));
    const busy = round(median(runs.map((run) => run.busy)));
    results.addAgainst('clean_one_tab', 'Mbit/s', runs.map(({ mbits }) => mbits),
      Math.max(...Object.values(byLanes)), {
        lanes: byLanes, busy,
        queued: runs.map(({ queued }) => queued), dropped: runs.map(({ dropped }) => dropped),
      });
    results.addPairs('clean_queue_delay', 'ms',
      runs.map(({ p95, least }) => ({ value: p95, baseline: least })), { busy });
    results.plots.clean_one_tab = plotOf(runs);
    results.plots.clean_queue_delay = { unit: 'ms',
      lines: Object.fromEntries(runs.map(({ trips }, i) => [`run ${i + 1}`, trips])) };
  });
}
