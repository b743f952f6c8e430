// @ts-check
/**
 * A tab of Chromium under full load from one slow and one fast client: what its data channels and
 * WebSockets hold at most that has not been sent, and what its main thread costs.
 */
import { inLab, readyClient } from './labstage.mjs';
import { Flow } from './labtraffic.mjs';
import { Busy, cpuSeconds, mainThreadSeconds, renderers } from './machine.mjs';
import { median, round } from './stats.mjs';

export const names = ['volunteer_queue', 'volunteer_main_thread'];

/** @type {Record<string, import('../net/lab.mjs').Link>} */
const READERS = {
  slow: { delay: 100, rate: 2e6, queue: 50000 },
  fast: { delay: 20, rate: 30e6, queue: 150000 },
};
const WARM_S = 2;

/** Runs in the widget's worker before its own first line: notes the most that each queue held. */
const WATCH = `
  globalThis.most = { channel: [], socket: [] };
  const watch = (kind, name) => {
    const send = kind.prototype.send;
    const all = [];
    kind.prototype.send = function (data) {
      send.call(this, data);
      let i = all.indexOf(this);
      if (i < 0) i = all.push(this) - 1;
      most[name][i] = Math.max(most[name][i] ?? 0, this.bufferedAmount);
    };
  };
  watch(RTCDataChannel, 'channel');
  watch(WebSocket, 'socket');`;

/**
 * A tab with the switch on, and a look into its worker.
 * @param {import('../net/labnet.mjs').LabNetwork} net
 */
async function watchedTab(net) {
  const browser = await net.chromium('tab');
  const page = await browser.open('data:text/html,');
  const watched = new Promise((done) =>
    browser.events.set('Target.attachedToTarget', async ({ sessionId, targetInfo }) => {
      if (targetInfo.type !== 'worker') return;
      await browser.call('Runtime.evaluate', { expression: WATCH }, sessionId);
      await browser.call('Runtime.runIfWaitingForDebugger', {}, sessionId);
      done(sessionId);
    }));
  await browser.call('Target.setAutoAttach',
    { autoAttach: true, waitForDebuggerOnStart: true, flatten: true }, page.session);
  await net.tabOf(browser, page);
  const session = /** @type {string} */ (await watched);
  return async () => {
    const { result } = await browser.call('Runtime.evaluate',
      { expression: 'JSON.stringify(most)' }, session);
    return /** @type {{ channel: number[], socket: number[] }} */ (JSON.parse(result.value));
  };
}

/** The renderer that has worked most since. @param {Map<number, number>} then */
function busiest(then) {
  const spent = renderers().map((pid) => ({ pid, s: cpuSeconds(pid) - (then.get(pid) ?? 0) }));
  return spent.sort((a, b) => b.s - a.s)[0].pid;
}

/**
 * @param {import('./labstage.mjs').LabStage} stage
 * @param {number} seconds
 */
async function oneRound({ net, origin }, seconds) {
  const most = await watchedTab(net);
  const clients = [];
  for (const reader of Object.keys(READERS)) clients.push(await readyClient(net, reader));
  const then = new Map(renderers().map((pid) => [pid, cpuSeconds(pid)]));
  const flows = Object.keys(READERS).map((reader) => new Flow(net, origin, reader, 'down'));
  try {
    await Promise.all(flows.map((flow) => flow.window(WARM_S, 1)));
    const frame = busiest(then);
    const [spent, busy] = [mainThreadSeconds(frame), new Busy()];
    const began = performance.now();
    await new Promise((done) => setTimeout(done, seconds * 1000));
    const took = (performance.now() - began) / 1000;
    const percent = (100 * (mainThreadSeconds(frame) - spent)) / took;
    const mbits = flows.map((flow) => {
      const { at } = flow.samples[flow.samples.length - 1];
      return flow.between(at - seconds * 1000, at).mbits;
    });
    return { ...(await most()), percent, mbits, busy: busy.share() };
  } finally {
    await Promise.all(flows.map((flow) => flow.stop()));
    await Promise.all(clients.map((client) => client.stop()));
    await Promise.all([...net.browsers].map((browser) => browser.close()));
  }
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, window: number }} options
 */
export async function measure(_, results, { rounds, window }) {
  await inLab({}, async (stage) => {
    await stage.net.lab.addHost('tab');
    for (const [reader, link] of Object.entries(READERS))
      await stage.net.lab.addHost(reader, { link });
    const runs = [];
    for (let i = 0; i < rounds; i++) runs.push(await oneRound(stage, 2 * window));
    const more = {
      mbits: runs.map(({ mbits }) => mbits.map(round)),
      busy: round(median(runs.map(({ busy }) => busy))),
    };
    results.add('volunteer_queue', 'bytes',
      runs.map(({ channel, socket }) => Math.max(...channel, ...socket)),
      { ...more, channels: runs.map(({ channel }) => channel) });
    results.add('volunteer_main_thread', '%', runs.map(({ percent }) => percent), more);
  });
}
