// @ts-check
/**
 * Volunteers that go: four paths at 100 ms through tabs of Chromium and headless volunteers, of
 * which every 5 s a tab is closed or a headless one killed, by turns; and the only volunteer that
 * goes while another waits at the broker. The gaps are those that the reading app sees.
 */
import { inLab, readyClient } from './labstage.mjs';
import { Flow, now } from './labtraffic.mjs';
import { Busy } from './machine.mjs';
import { median, plotOf, round } from './stats.mjs';

export const names = ['churn_gap', 'churn_gap_silent', 'churn_goodput', 'replace_gap'];

const PATHS = '4';
const KINDS = 3; // so many tabs, and as many headless volunteers: of both some carry
const EVERY_MS = 5000;
const CALM_S = 15;
/** What each volunteer carries, so that the machine is not the limit. */
const RATE = 4e6;
/** @type {import('../net/lab.mjs').Link} */
const LEG = { delay: 50, rate: RATE, queue: (RATE / 8) * 0.1 };

/** Half of each leg of 100 ms is at either end of it. @type {import('../net/lab.mjs').Link} */
const FAR = { delay: 25 };
/**
 * Of a new path where no other lives: STUN, TCP and TLS (2), offer, volunteer, its STUN, ICE,
 * DTLS, SCTP (2), and session packets there and back over both hops (2).
 */
const NEW_PATH_MS = 12 * 100;

/** @typedef {import('./labstage.mjs').LabStage} LabStage */
/** @param {number} ms */
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/** A volunteer that can end and come again. @typedef {{ carries: () => Promise<boolean>,
 *   end: () => Promise<unknown>, begin: () => Promise<unknown> }} Place */

/** @param {LabStage} stage @param {string} host @returns {Promise<Place>} */
async function tabPlace({ net }, host) {
  const browser = await net.chromium(host);
  /** @type {import('../net/labnet.mjs').Tab} */ let tab;
  const begin = async () => (tab = await net.tabOf(browser));
  await begin();
  return {
    begin,
    carries: async () => (await tab.state()) === 'carrying',
    end: () => tab.page.close(),
  };
}

/** @param {LabStage} stage @param {string} host @returns {Promise<Place>} */
async function headlessPlace({ net }, host) {
  let volunteer = await net.volunteer(host);
  return {
    begin: async () => (volunteer = await net.volunteer(host)),
    carries: async () =>
      volunteer.output.match(/: (carrying|waiting) for/g)?.pop() === ': carrying for',
    end: () => volunteer.stop('SIGKILL'),
  };
}

/**
 * Ends one that carries, and lets it come again.
 * @param {Place[]} places
 * @returns {Promise<number>} when
 */
async function endOne(places) {
  for (const late = now() + EVERY_MS; now() < late; await wait(100))
    for (const place of places)
      if (await place.carries()) {
        const at = now();
        await place.end();
        place.begin().catch(() => {}); // the next look at it tells
        places.push(...places.splice(places.indexOf(place), 1));
        return at;
      }
  throw new Error('none of these volunteers carries anything');
}

/**
 * @param {LabStage} stage
 * @param {Place[][]} kinds by turns
 * @param {number} seconds
 */
async function churn({ net, origin }, kinds, seconds) {
  const client = await readyClient(net, 'reader', '--paths', PATHS);
  const flow = new Flow(net, origin, 'reader', 'down');
  try {
    const calm = await flow.window(5, CALM_S);
    const busy = new Busy();
    const began = now();
    /** @type {number[][]} */ const times = kinds.map(() => []);
    for (let i = 0; now() - began < seconds * 1000; i++) {
      const next = now() + EVERY_MS;
      times[i % kinds.length].push(await endOne(kinds[i % kinds.length]));
      await wait(next - now());
    }
    const whole = flow.between(began, now());
    return {
      calm: calm.mbits, mbits: whole.mbits, busy: busy.share(), goodput: flow.goodput,
      gaps: times.map((each) => each.map((at) => flow.between(at, at + EVERY_MS).gap)),
    };
  } finally {
    await flow.stop();
    await client.stop();
  }
}

/**
 * @param {import('./results.mjs').Results} results
 * @param {number} rounds
 * @param {number} seconds
 */
async function measureChurn(results, rounds, seconds) {
  await inLab({}, async (stage) => {
    const { lab } = stage.net;
    await lab.addHost('reader');
    /** @type {Place[][]} */ const kinds = [[], []];
    for (let i = 0; i < 2 * KINDS; i++) {
      await lab.addHost(`volunteer${i}`, { link: {} });
      await lab.addLeg(`volunteer${i}`, 'reader', LEG);
      const make = i < KINDS ? tabPlace : headlessPlace;
      kinds[i < KINDS ? 0 : 1].push(await make(stage, `volunteer${i}`));
    }
    /** @type {Awaited<ReturnType<typeof churn>>[]} */ const runs = [];
    for (let i = 0; i < rounds; i++) runs.push(await churn(stage, kinds, seconds));
    const busy = round(median(runs.map((run) => run.busy)));
    ['churn_gap', 'churn_gap_silent'].forEach((name, i) =>
      results.add(name, 'ms', runs.map(({ gaps }) => Math.max(...gaps[i])),
        { gaps: runs.map(({ gaps }) => gaps[i].map(round)), busy }));
    results.addPairs('churn_goodput', 'Mbit/s',
      runs.map(({ mbits, calm }) => ({ value: mbits, baseline: calm })), { busy });
    results.plots.churn_goodput = plotOf(runs);
  });
}

/** @param {import('./results.mjs').Results} results @param {number} rounds */
async function measureReplace(results, rounds) {
  await inLab({ operator: FAR, origin: FAR, stun: FAR }, async (stage) => {
    const { net, origin } = stage;
    await net.lab.addHost('reader', { link: FAR });
    /** @type {Record<'closed' | 'killed', number[]>} */ const gaps = { closed: [], killed: [] };
    const busy = new Busy();
    for (const host of ['one', 'two']) await net.lab.addHost(host, { link: FAR });
    for (let i = 0; i < rounds; i++)
      for (const how of /** @type {('closed' | 'killed')[]} */ (['closed', 'killed'])) {
        const first = await net.volunteer('one');
        const client = await readyClient(net, 'reader', '--paths', '1');
        const flow = new Flow(net, origin, 'reader', 'down', { bits: RATE });
        await flow.window(1, 2);
        const second = await net.volunteer('two');
        const at = now();
        await first.stop(how === 'closed' ? 'SIGTERM' : 'SIGKILL');
        await second.says(/carrying for 1/, 60000);
        await wait(3000);
        gaps[how].push(flow.between(at, now()).gap);
        await flow.stop();
        await client.stop();
        await second.stop();
      }
    results.add('replace_gap', 'ms', gaps.closed, {
      allowed: NEW_PATH_MS + 300, killed: gaps.killed.map(round), busy: round(busy.share()),
    });
  });
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, window: number, chosen: Set<string> }} options
 */
export async function measure(_, results, { rounds, window, chosen }) {
  if (names.slice(0, 3).some((name) => chosen.has(name)))
    await measureChurn(results, rounds, 2 * window);
  if (chosen.has('replace_gap')) await measureReplace(results, rounds);
}
