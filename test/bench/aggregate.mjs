// @ts-check
/**
 * Unequal paths at once: 2, 5, 10 and 20 Mbit/s with round trips of 40 to 300 ms between reader and
 * volunteers. The sum against what each carries alone, and small requests meanwhile against those
 * on the same paths while they idle.
 */
import { inLab, mean, readyClient } from './labstage.mjs';
import { Flow, percentile, startEcho } from './labtraffic.mjs';
import { Busy } from './machine.mjs';
import { median, plotOf, round } from './stats.mjs';

export const names = ['aggregate', 'latency_under_load'];

const PATHS = [
  { mbits: 2, rtt: 40 }, { mbits: 5, rtt: 100 }, { mbits: 10, rtt: 200 }, { mbits: 20, rtt: 300 },
];
const WARM_S = 6;
const ALL = String(PATHS.length);

/** A queue of one round trip, but of 32 full packets at least. @param {typeof PATHS[0]} path */
function leg({ mbits, rtt }) {
  const rate = mbits * 1e6;
  return { delay: rtt / 2, rate, queue: Math.max(48000, ((rate / 8) * rtt) / 1000) };
}

/** @param {number} i */
const host = (i) => `volunteer${i}`;

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {number} i
 * @param {number} seconds
 */
async function alone({ net, origin }, i, seconds) {
  const volunteer = await net.volunteer(host(i));
  const client = await readyClient(net, 'reader', '--paths', '1');
  const flow = new Flow(net, origin, 'reader', 'down');
  try {
    return (await flow.window(WARM_S, seconds)).mbits;
  } finally {
    await flow.stop();
    await client.stop();
    await volunteer.stop();
  }
}

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {number} seconds
 */
async function together({ net, origin }, seconds) {
  const volunteers = await Promise.all(PATHS.map((_, i) => net.volunteer(host(i))));
  const client = await readyClient(net, 'reader', '--paths', ALL);
  const echo = startEcho(net, 'reader');
  try {
    await Promise.all(volunteers.map((volunteer) => volunteer.says(/carrying for 1/, 60000)));
    const from = echo.trips.length;
    await echo.program.says(new RegExp(`(.*\\n){${from + 30}}`), 60000);
    const idle = echo.trips.slice(from);
    const flow = new Flow(net, origin, 'reader', 'down');
    const busy = new Busy();
    const { mbits } = await flow.window(WARM_S, seconds);
    const begin = flow.samples[0].at;
    const loaded = echo.trips.filter(({ at }) => at > begin);
    const { goodput } = flow;
    await flow.stop();
    return {
      mbits, busy: busy.share(), goodput,
      idle: percentile(idle.map(({ ms }) => ms), 0.95),
      loaded: percentile(loaded.map(({ ms }) => ms), 0.95),
    };
  } finally {
    await echo.stop();
    await client.stop();
    await Promise.all(volunteers.map((volunteer) => volunteer.stop()));
  }
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, window: number }} options
 */
export async function measure(_, results, { rounds, window }) {
  const seconds = Math.min(window, 15);
  await inLab({}, async (stage) => {
    await stage.net.lab.addHost('reader');
    for (const [i, path] of PATHS.entries()) {
      await stage.net.lab.addHost(host(i), { link: {} });
      await stage.net.lab.addLeg(host(i), 'reader', leg(path));
    }
    /** @type {({ each: number[] } & Awaited<ReturnType<typeof together>>)[]} */ const runs = [];
    for (let n = 0; n < rounds; n++) {
      const each = [];
      for (const i of PATHS.keys()) each.push(await alone(stage, i, seconds));
      runs.push({ each, ...(await together(stage, seconds)) });
    }
    const busy = round(median(runs.map((run) => run.busy)));
    const each = PATHS.map((_path, i) => round(mean(runs.map((run) => run.each[i]))));
    results.addPairs('aggregate', 'Mbit/s', runs.map(({ mbits, each }) =>
      ({ value: mbits, baseline: each.reduce((sum, alone) => sum + alone, 0) })), { each, busy });
    results.plots.aggregate = plotOf(runs);
    results.addPairs('latency_under_load', 'ms',
      runs.map(({ loaded, idle }) => ({ value: loaded, baseline: idle })), { busy });
  });
}
