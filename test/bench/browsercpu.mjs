// @ts-check
/**
 * CPU time of all of Chromium's processes for a GB relayed by the widget, by turns with the
 * simplest relay page.
 */
import { relayRun } from './baseline.mjs';
import { treeSeconds } from './machine.mjs';
import { median, round } from './stats.mjs';
import { flow, wait } from './traffic.mjs';

export const names = ['widget_cpu'];

const WINDOW = 512 * 1024; // as in paths.mjs
const WARM_MS = 1000; // of the relay page, which begins to count after 700
const EDGE_MS = 300; // from the end of what is counted

/** CPU seconds a GB from CPU seconds a second. @param {number} cpu @param {number} mbits */
const perGB = (cpu, mbits) => cpu / (mbits / 8000);

/**
 * @param {import('./stage.mjs').Stage} stage
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, seconds: number }} options
 */
export async function measure(stage, results, { rounds, seconds }) {
  const { browser, pages } = stage;
  const spent = () => treeSeconds(/** @type {number} */ (browser.child.pid));
  /** @param {import('./baseline.mjs').Direction} direction */
  const relay = async (direction) => {
    const watch = async () => {
      await wait(WARM_MS);
      const [then, begun] = [spent(), performance.now()];
      await wait(seconds * 1000 - EDGE_MS);
      return (spent() - then) / ((performance.now() - begun) / 1000);
    };
    const whole = seconds + (WARM_MS + EDGE_MS) / 1000;
    const { mbits, watched } = await relayRun(browser, pages, direction, whole, WINDOW, watch);
    return perGB(watched, mbits);
  };
  /** @param {import('./baseline.mjs').Direction} direction */
  const ours = async (direction) => {
    let [then, cpu] = [0, 0];
    const run = await flow(stage, direction, seconds,
      { around: { begin: () => (then = spent()), end: () => (cpu = spent() - then) } });
    return perGB(cpu / run.seconds, run.mbits);
  };
  await stage.carrying();
  await ours('down'); // what is slow only once
  /** @type {Record<string, { value: number, baseline: number }[]>} */
  const pairs = { down: [], up: [] };
  for (let i = 0; i < rounds; i++)
    for (const direction of /** @type {const} */ (['down', 'up'])) {
      const baseline = await relay(direction);
      pairs[direction].push({ value: await ours(direction), baseline });
    }
  const at = Object.fromEntries(Object.entries(pairs).map(([direction, all]) =>
    [direction, round(median(all.map(({ value }) => value)))]));
  results.addPairs('widget_cpu', 's/GB', [...pairs.down, ...pairs.up], at);
}
