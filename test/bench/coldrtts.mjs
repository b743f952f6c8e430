// @ts-check
/**
 * Cold start at 100 ms on every leg, in round trips: from the start of the client's process, with
 * the network document cached, to the first byte that an origin answers. And the same from behind
 * a symmetric NAT to volunteers behind the NATs that must work with it.
 */
import { STEPS } from './coldstart.mjs';
import { inLab } from './labstage.mjs';
import { now, startFirst } from './labtraffic.mjs';
import { Busy } from './machine.mjs';
import { median, round } from './stats.mjs';

export const names = ['cold_start_rtts', 'nat_symmetric'];

const RTT_MS = 100;
/** Half of each leg is at either end of it. @type {import('../net/lab.mjs').Link} */
const LINK = { delay: RTT_MS / 4 };

/** What has to go there and back, in its order; each waits for the one before. */
const ROUND_TRIPS = [
  { count: 2, what: 'client to broker: TCP, TLS 1.3; its STUN servers meanwhile' },
  { count: 1, what: 'client to broker: offer and answer' },
  { count: 1, what: 'broker to volunteer: offer and answer, inside the one before' },
  { count: 1, what: 'volunteer to STUN servers, inside the one before' },
  { count: 1, what: 'client and volunteer: ICE' },
  { count: 1, what: "client and volunteer: DTLS 1.2, its ClientHello right behind ICE's answer" },
  { count: 2, what: 'client and volunteer: SCTP' },
  { count: 1, what: "client to volunteer: destination and request, and the origin's answer back" },
  { count: 1, what: 'volunteer to egress: the same on its next leg' },
  { count: 1, what: 'egress to origin: TCP' },
  { count: 1, what: 'egress to origin: request and first byte' },
];

/** @typedef {Record<string, number>} Times ms from the start, by step; tries: volunteers asked */

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {string} host
 * @returns {Promise<Times>}
 */
async function start({ net }, host) {
  const arrived = await startFirst(net, host);
  const began = now();
  const client = net.client(host);
  /** @type {Times} */ const at = {};
  const steps = Object.entries(STEPS).map(async ([step, line]) => {
    await client.says(line, 60000);
    at[step] = now() - began;
  });
  try {
    at['first byte'] = (await arrived()) - began;
    await Promise.all(steps);
    at.tries = client.output.match(/volunteer found/g)?.length ?? 0;
    return at;
  } finally {
    await client.stop();
  }
}

/** @param {Times[]} runs */
function inRoundTrips(runs) {
  return Object.fromEntries([...Object.keys(STEPS), 'first byte'].map((step) =>
    [step, round(median(runs.map((run) => run[step])) / RTT_MS)]));
}

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {string} host
 * @param {number} rounds
 */
async function starts(stage, host, rounds) {
  await start(stage, host); // caches the network document
  const runs = [];
  for (let i = 0; i < rounds; i++) runs.push(await start(stage, host));
  return runs;
}

/** @param {Times[]} runs */
const totals = (runs) => runs.map((run) => run['first byte'] / RTT_MS);

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, chosen: Set<string> }} options
 */
export async function measure(_, results, { rounds, chosen }) {
  const links = { operator: LINK, origin: LINK, stun: LINK };
  await inLab(links, async (stage) => {
    const { net } = stage;
    await net.lab.addHost('reader', { link: LINK });
    await net.lab.addHost('tab', { link: LINK });
    const plain = await net.tab('tab');
    const busy = new Busy();
    const runs = await starts(stage, 'reader', rounds);
    const steps = inRoundTrips(runs);
    if (chosen.has('cold_start_rtts')) {
      results.add('cold_start_rtts', 'round trips', totals(runs),
        { steps, round_trips: ROUND_TRIPS, busy: round(busy.share()) });
      for (const [step, trips] of Object.entries(steps))
        console.log(`  ${step.padEnd(24)} at ${trips}`);
      for (const { count, what } of ROUND_TRIPS) console.log(`  ${count}  ${what}`);
    }
    if (!chosen.has('nat_symmetric')) return;
    await plain.browser.close();
    await net.lab.addHost('symmetric', { nat: 'symmetric', link: LINK });
    /** @type {Record<string, any>} */ const behind = {};
    /** @type {Times[]} */ const all = [];
    for (const nat of /** @type {import('../net/lab.mjs').Nat[]} */ (['open', 'address'])) {
      await net.lab.addHost(nat, { nat, link: LINK });
      const { browser } = await net.tab(nat);
      const those = await starts(stage, 'symmetric', rounds);
      await browser.close();
      all.push(...those);
      behind[nat] = { steps: inRoundTrips(those), tries: those.map(({ tries }) => tries) };
    }
    const least = median(totals(runs));
    results.addPairs('nat_symmetric', 'round trips',
      totals(all).map((value) => ({ value, baseline: least })),
      { behind, first_try: all.every(({ tries }) => tries === 1), busy: round(busy.share()) });
  });
}
