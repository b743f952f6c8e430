// @ts-check
/**
 * A tab of Chromium under full load from one slow and one fast client: what the data channels of a
 * path hold at most that has not been sent, or its WebSocket; and what the tab's main thread costs.
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

/**
 * Runs in the frame before its own first line, and tells the worker which reader each connection
 * leads to, by the address in its description. The bridge skips news that it does not know.
 */
const TELL = `
  const [connections, places] = [new Map(), new Map()];
  const { createDataChannel, setRemoteDescription } = RTCPeerConnection.prototype;
  const { postMessage } = Worker.prototype;
  RTCPeerConnection.prototype.createDataChannel = function (...args) {
    const channel = createDataChannel.apply(this, args);
    connections.set(channel, this);
    return channel;
  };
  Worker.prototype.postMessage = function (news, transfer) {
    if (news.channel)
      places.set(connections.get(news.channel), { worker: this, peer: news.peer ?? news.m });
    return postMessage.call(this, news, transfer);
  };
  RTCPeerConnection.prototype.setRemoteDescription = function (description) {
    const { worker, peer } = places.get(this) ?? {};
    const [reader] = /20[.]0[.][0-9]+[.][0-9]+/.exec(description.sdp);
    if (worker) postMessage.call(worker, { did: 'watch', peer, reader });
    return setRemoteDescription.call(this, description);
  };`;

/** Runs in the worker, likewise: notes the most that was queued for each reader and the egress. */
const WATCH = `
  const [peers, readers] = [new Map(), new Map()];
  addEventListener('message', ({ data }) => {
    if (data.did === 'channel') peers.set(data.channel, data.peer ?? data.m);
    else if (data.did === 'watch') readers.set(data.peer, data.reader);
  });
  globalThis.most = {};
  const note = (name, bytes) => (most[name] = Math.max(most[name] ?? 0, bytes));
  const toReader = RTCDataChannel.prototype.send;
  RTCDataChannel.prototype.send = function (data) {
    toReader.call(this, data);
    const reader = readers.get(peers.get(this));
    let all = 0;
    for (const [channel, peer] of peers)
      if (readers.get(peer) === reader) all += channel.bufferedAmount;
    note(reader, all);
  };
  const toEgress = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    toEgress.call(this, data);
    note('egress', this.bufferedAmount);
  };`;

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
  await browser.call('Page.enable', {}, page.session); // or scripts wait in vain
  await browser.call('Page.addScriptToEvaluateOnNewDocument', { source: TELL }, page.session);
  await browser.call('Target.setAutoAttach',
    { autoAttach: true, waitForDebuggerOnStart: true, flatten: true }, page.session);
  await net.tabOf(browser, page);
  const session = /** @type {string} */ (await watched);
  return async () => {
    const { result } = await browser.call('Runtime.evaluate',
      { expression: 'JSON.stringify(most)' }, session);
    return /** @type {Record<string, number>} */ (JSON.parse(result.value));
  };
}

/**
 * @param {import('../net/labnet.mjs').LabNetwork} net
 * @param {Record<string, number>} most by address
 */
function byReader(net, most) {
  const names = Object.keys(READERS).map((reader) => [reader, net.lab.address(reader)]);
  /** @type {Record<string, number>} */ const queues = { egress: most.egress };
  for (const [name, address] of names) {
    if (most[address] === undefined) throw new Error(`no channel to the ${name} reader was seen`);
    queues[name] = most[address];
  }
  return queues;
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
    return { queues: byReader(net, await most()), percent, mbits, busy: busy.share() };
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
      runs.map(({ queues }) => Math.max(...Object.values(queues))),
      { ...more, queues: runs.map(({ queues }) => queues) });
    results.add('volunteer_main_thread', '%', runs.map(({ percent }) => percent), more);
  });
}
