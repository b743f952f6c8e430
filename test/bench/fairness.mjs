// @ts-check
/**
 * Two clients on one volunteer that shares 20 Mbit/s among them, one with 1 stream and one with 8:
 * Jain's index of what they get.
 */
import { inLab, readyClient } from './labstage.mjs';
import { Flow } from './labtraffic.mjs';
import { Busy } from './machine.mjs';
import { median, round } from './stats.mjs';

export const names = ['fairness'];

const STREAMS = [1, 8];
const WARM_S = 5;
const RATE = 20e6;
/** @type {import('../net/lab.mjs').Link} */
const LINK = { delay: 25, rate: RATE, queue: (RATE / 8) * 0.1 };

/** @param {number[]} values */
const jain = (values) => values.reduce((sum, value) => sum + value, 0) ** 2 /
  (values.length * values.reduce((sum, value) => sum + value ** 2, 0));

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {number} seconds
 */
async function oneRound({ net, origin }, seconds) {
  const clients = [];
  for (const streams of STREAMS) clients.push(await readyClient(net, `reader${streams}`));
  const flows = STREAMS.map((streams) =>
    new Flow(net, origin, `reader${streams}`, 'down', { streams }));
  const busy = new Busy();
  try {
    const got = await Promise.all(flows.map((flow) => flow.window(WARM_S, seconds)));
    return { got: got.map(({ mbits }) => mbits), busy: busy.share() };
  } finally {
    await Promise.all(flows.map((flow) => flow.stop()));
    await Promise.all(clients.map((client) => client.stop()));
  }
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, window: number }} options
 */
export async function measure(_, results, { rounds, window }) {
  await inLab({}, async (stage) => {
    const { net } = stage;
    await net.lab.addHost('volunteer', { link: LINK });
    for (const streams of STREAMS)
      await net.lab.addHost(`reader${streams}`, { link: { delay: 25 } });
    await net.volunteer('volunteer', '--people', '2');
    const runs = [];
    for (let i = 0; i < rounds; i++) runs.push(await oneRound(stage, Math.min(window, 15)));
    results.add('fairness', "Jain's", runs.map(({ got }) => jain(got)), {
      mbits: runs.map(({ got }) => got.map(round)),
      busy: round(median(runs.map(({ busy }) => busy))),
    });
  });
}
