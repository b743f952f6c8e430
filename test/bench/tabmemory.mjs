// @ts-check
/**
 * Memory of the frame's process: switched on and waiting, and while a reader downloads over eight
 * lanes, which a lossy link brings.
 */
import { inLab, readyClient } from './labstage.mjs';
import { Flow } from './labtraffic.mjs';
import { cpuSeconds, privateBytes, renderers } from './machine.mjs';
import { median, round } from './stats.mjs';
import { wait } from './traffic.mjs';

export const names = ['widget_memory'];

const LANES = 8;
const LATE_MS = 60000;
const SECONDS = 10;

/** Runs in the frame before its own first line. */
const COUNT = `
  const peers = [];
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(config) {
      super(config);
      peers.push(this);
    }
  };
  globalThis.lanes = () => peers.filter((pc) => pc.connectionState === 'connected').length;`;

/** What each renderer has, and has worked. */
const look = () => new Map(renderers().map((pid) =>
  [pid, { bytes: privateBytes(pid), cpu: cpuSeconds(pid) }]));

/** @param {import('./labstage.mjs').LabStage} stage */
async function oneRound({ net, origin }) {
  const browser = await net.chromium('tab');
  const page = await browser.open('data:text/html,');
  await browser.call('Page.enable', {}, page.session); // or scripts wait in vain
  await browser.call('Page.addScriptToEvaluateOnNewDocument', { source: COUNT }, page.session);
  await net.tabOf(browser, page);
  const collect = () => browser.call('HeapProfiler.collectGarbage', {}, page.session);
  await wait(2000);
  await collect();
  const idle = look();
  const client = await readyClient(net, 'reader', '--paths', '1', '--lanes', String(LANES));
  const flow = new Flow(net, origin, 'reader', 'down');
  try {
    await page.until(`lanes() === ${LANES}`, LATE_MS);
    await wait(SECONDS * 1000);
    await collect();
    const busy = [...look()].map(([pid, { bytes, cpu }]) =>
      ({ pid, bytes, spent: cpu - (idle.get(pid)?.cpu ?? cpu) }));
    const frame = busy.sort((a, b) => b.spent - a.spent)[0];
    return { idle: idle.get(frame.pid)?.bytes ?? 0, bytes: frame.bytes };
  } finally {
    await flow.stop();
    await client.stop();
    await browser.close();
  }
}

/**
 * @param {undefined} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number }} options
 */
export async function measure(_, results, { rounds }) {
  await inLab({}, async (stage) => {
    await stage.net.lab.addHost('reader', { link: { delay: 50, loss: 0.01 } });
    await stage.net.lab.addHost('tab');
    const runs = [];
    for (let i = 0; i < rounds; i++) runs.push(await oneRound(stage));
    results.add('widget_memory', 'bytes', runs.map(({ bytes }) => bytes),
      { lanes: LANES, idle: round(median(runs.map(({ idle }) => idle))) });
  });
}
