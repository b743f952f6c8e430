// @ts-check
/** 40 Mbit/s through one path: what arrives, and what it costs the frame's main thread. */
import { Busy, mainThreadSeconds } from './machine.mjs';
import { median, round } from './stats.mjs';
import { flow } from './traffic.mjs';

export const names = ['path_paced', 'widget_main_thread'];

const BITS = 40e6;

/**
 * @param {import('./stage.mjs').Stage} stage
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number, seconds: number }} options
 */
export async function measure(stage, results, { rounds, seconds }) {
  await stage.carrying();
  const frame = await stage.framePid();
  /** @type {{ value: number, baseline: number }[]} */ const delivered = [];
  /** @type {number[]} */ const percent = [];
  /** @type {number[]} */ const busy = [];
  for (let i = 0; i < rounds; i++) {
    let machine = new Busy();
    let [then, spent] = [0, 0];
    const run = await flow(stage, 'down', seconds * 2, {
      bits: BITS,
      around: {
        begin: () => ([then, machine] = [mainThreadSeconds(frame), new Busy()]),
        end: () => {
          spent = mainThreadSeconds(frame) - then;
          busy.push(machine.share());
        },
      },
    });
    delivered.push({ value: run.mbits, baseline: (run.offered * 8e-6) / run.seconds });
    percent.push((100 * spent) / run.seconds);
  }
  const more = { busy: round(median(busy)) };
  results.addPairs('path_paced', 'Mbit/s', delivered, more);
  results.add('widget_main_thread', '%', percent, more);
}
