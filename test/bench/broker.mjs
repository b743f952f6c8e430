// @ts-check
/** A broker of its own with stand-in volunteers: memory for idle ones, and matches a second. */
import { Program } from '../browser/program.mjs';
import { built } from './built.mjs';
import { Busy, cpuSeconds, privateBytes } from './machine.mjs';
import { Servers } from './stage.mjs';
import { median, round } from './stats.mjs';
import { wait } from './traffic.mjs';

export const names = ['broker_volunteer_memory', 'broker_matches'];

const VOLUNTEERS = 2000;
const CLIENTS = 32;

async function volunteerBytes() {
  const servers = await Servers.start({});
  try {
    const pid = servers.brokerPid;
    const before = privateBytes(pid);
    const crowd = new Program(`${built}idle_volunteers`, [servers.dir, String(VOLUNTEERS)]);
    await crowd.says(/^ready/m, 60000);
    await wait(1000); // for what they said last
    const each = (privateBytes(pid) - before) / VOLUNTEERS;
    await crowd.stop();
    return each;
  } finally {
    await servers.stop();
  }
}

/**
 * @param {number} seconds
 * @returns {Promise<{ rate: number, busy: number, cpu: number }>} cpu: the broker's, s a match
 */
async function matches(seconds) {
  const servers = await Servers.start({});
  const load = new Program(`${built}broker_matches`,
    [servers.dir, String(CLIENTS), String(seconds)]);
  try {
    await load.says(/^begin$/m);
    const [busy, then] = [new Busy(), cpuSeconds(servers.brokerPid)];
    const [line] = await load.says(/^\{.*\}$/m, seconds * 1000 + 20000);
    const { matches: made, rate } = JSON.parse(line);
    return { rate, busy: busy.share(), cpu: (cpuSeconds(servers.brokerPid) - then) / made };
  } finally {
    await load.stop('SIGKILL');
    await servers.stop();
  }
}

/**
 * @param {unknown} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, seconds: number, chosen: Set<string> }} options
 */
export async function measure(_, results, { rounds, seconds, chosen }) {
  /** @type {number[]} */ const bytes = [];
  /** @type {Awaited<ReturnType<typeof matches>>[]} */ const rates = [];
  for (let i = 0; i < rounds; i++) {
    if (chosen.has('broker_volunteer_memory')) bytes.push(await volunteerBytes());
    if (chosen.has('broker_matches')) rates.push(await matches(seconds));
  }
  if (bytes.length)
    results.add('broker_volunteer_memory', 'bytes', bytes, { volunteers: VOLUNTEERS });
  if (rates.length)
    results.add('broker_matches', '/s', rates.map(({ rate }) => rate),
      {
        busy: round(median(rates.map(({ busy }) => busy))),
        broker_cpu_ms: round(1000 * median(rates.map(({ cpu }) => cpu))),
        clients: CLIENTS,
      });
}
