// @ts-check
/**
 * make bench: the figures that this program answers for, as a table and in build/bench.json.
 *
 *     node test/bench/bench.mjs [--rounds N] [--seconds S] [--window S] [NAME...]
 *
 * Names are those of the table; figures that come from the same runs are measured together. Rounds
 * last so many seconds, in the laboratory (test/net/lab.mjs) windows. Needs `tools/build bench`.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import * as aggregate from './aggregate.mjs';
import * as broker from './broker.mjs';
import * as browsercpu from './browsercpu.mjs';
import { built } from './built.mjs';
import * as churn from './churn.mjs';
import * as clean from './clean.mjs';
import * as coldrtts from './coldrtts.mjs';
import * as coldstart from './coldstart.mjs';
import * as memory from './memory.mjs';
import * as paced from './paced.mjs';
import * as page from './page.mjs';
import * as paths from './paths.mjs';
import * as fairness from './fairness.mjs';
import * as lossy from './lossy.mjs';
import { noLab } from '../net/lab.mjs';
import { HEADER, Results, TARGETS, row } from './results.mjs';
import { Stage } from './stage.mjs';
import * as tabmemory from './tabmemory.mjs';
import { writePlots } from './plot.mjs';
import * as queue from './queue.mjs';
import * as widget from './widget.mjs';

const REPORT = fileURLToPath(new URL('../../build/bench.json', import.meta.url));

const PLOTS = fileURLToPath(new URL('../../build/plots', import.meta.url));

const onStage = [coldstart, paths, paced, browsercpu];
const alone = [widget, page, memory, broker];
const inLab = [lossy, clean, coldrtts, aggregate, churn, fairness, queue, tabmemory];

function options() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '11' },
      seconds: { type: 'string', default: '2' },
      window: { type: 'string', default: '30' },
    },
  });
  const chosen = new Set(positionals.length ? positionals : Object.keys(TARGETS));
  const unknown = [...chosen].filter((name) => !(name in TARGETS));
  if (unknown.length) throw new Error(`no such figure: ${unknown.join(', ')}`);
  const rounds = Number(values.rounds);
  const seconds = Number(values.seconds);
  const window = Number(values.window);
  if (!(rounds >= 1 && seconds > 0 && window > 0))
    throw new Error('--rounds, --seconds and --window are positive numbers');
  return { chosen, rounds, seconds, window };
}

/** Cases that could not be measured. */
let failed = 0;

/**
 * What happens to one case on its network takes no figure from the others.
 * @param {typeof inLab[0]} figures
 * @param {Results} results
 * @param {ReturnType<typeof options>} chosen
 */
async function tried(figures, results, chosen) {
  try {
    await figures.measure(undefined, results, chosen);
    results.write(REPORT); // the next takes minutes
  } catch (error) {
    failed++;
    console.log(`${figures.names.join(', ')}: ${error instanceof Error ? error.message : error}`);
  }
}

async function main() {
  const chosen = options();
  /** @param {{ names: string[] }} figures */
  const wanted = ({ names }) => names.some((name) => chosen.chosen.has(name));
  const results = new Results();
  console.log(`${cpus().length} cores, ${cpus()[0].model}\n\n${HEADER}`);
  try {
    if (onStage.some(wanted)) {
      const stage = await Stage.start();
      try {
        for (const figures of onStage.filter(wanted)) await figures.measure(stage, results, chosen);
      } finally {
        await stage.stop();
      }
    }
    const few = { ...chosen, rounds: Math.min(chosen.rounds, 3) }; // these hardly vary
    for (const figures of alone.filter(wanted)) await figures.measure(undefined, results, few);
    const none = inLab.some(wanted) ? noLab(`${built}../net/lab`) : '';
    if (none) console.log(none);
    else for (const figures of inLab.filter(wanted)) await tried(figures, results, few);
  } finally {
    results.write(REPORT);
    writePlots(results.plots, PLOTS);
  }
  const missed = results.missed();
  if (missed.length) {
    console.log('\nMissed:');
    for (const [name, figure] of missed) console.log(row(name, figure));
  }
}

main().then(
  () => process.exit(failed ? 1 : 0),
  (error) => {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  });
