// @ts-check
/** The figures: a table for people, build/bench.json for programs. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

import { median, round } from './stats.mjs';

/**
 * @typedef {{ value: number, unit: string, baseline?: number, ratio?: number, runs: any[],
 *   busy?: number, [more: string]: any }} Figure
 *
 * Targets: of the ratio where there is one, otherwise of the value.
 * @type {Record<string, { min?: number, max?: number }>}
 */
export const TARGETS = {
  path_down: { min: 0.9 },
  path_up: { min: 0.9 },
  path_down_bare: { min: 0.5 },
  path_up_bare: { min: 0.5 },
  path_paced: { min: 0.98 },
  client_cpu: {},
  egress_cpu: {},
  egress_session_memory: { max: 16 * 1024 },
  egress_path_memory: { max: 8 * 1024 },
  broker_volunteer_memory: { max: 12 * 1024 },
  broker_matches: {},
  widget_bytes: { max: 30000 },
  widget_bytes_full: { max: 36000 },
  wasm_bytes: { max: 12000 },
  widget_main_thread: { max: 3 },
  publisher_main_thread: { max: 1 },
  widget_cpu: { max: 1.2 },
  widget_memory: {},
  cold_start: {},
  lossy_one_tab_down: { min: 6 },
  lossy_one_tab_up: { min: 6 },
  lossy_four_tabs: { min: 20 },
  clean_one_tab: { min: 0.9 },
  clean_queue_delay: { max: 1.5 },
  aggregate: { min: 0.9 },
  latency_under_load: { max: 2 },
  churn_gap: { max: 300 },
  churn_gap_silent: { max: 700 },
  churn_goodput: { min: 0.8 },
  replace_gap: { max: 1500 },
  cold_start_rtts: { max: 13 },
  fairness: { min: 0.9 },
  volunteer_queue: { max: 256 * 1024 },
  volunteer_main_thread: { max: 3 },
  nat_symmetric: { max: 1.1 },
};

export class Results {
  /** @type {Record<string, Figure>} */ figures = {};
  /** @type {Record<string, import('./plot.mjs').Plot>} */ plots = {};

  /**
   * @param {string} name
   * @param {string} unit
   * @param {number[]} runs
   * @param {Record<string, any>} [more]
   */
  add(name, unit, runs, more = {}) {
    this.figures[name] = { value: round(median(runs)), unit, ...more, runs: runs.map(round) };
    console.log(row(name, this.figures[name]));
  }

  /**
   * Pairs of neighbours in time: the ratio is the median of theirs.
   * @param {string} name
   * @param {string} unit
   * @param {{ value: number, baseline: number }[]} pairs
   * @param {Record<string, any>} [more]
   */
  addPairs(name, unit, pairs, more = {}) {
    this.figures[name] = {
      value: round(median(pairs.map(({ value }) => value))),
      unit,
      baseline: round(median(pairs.map(({ baseline }) => baseline))),
      ratio: round(median(pairs.map(({ value, baseline }) => value / baseline))),
      ...more,
      runs: pairs.map((pair) => ({ value: round(pair.value), baseline: round(pair.baseline) })),
    };
    console.log(row(name, this.figures[name]));
  }

  /**
   * Against a baseline that is one for all of them.
   * @param {string} name
   * @param {string} unit
   * @param {number[]} runs
   * @param {number} baseline
   * @param {Record<string, any>} [more]
   */
  addAgainst(name, unit, runs, baseline, more = {}) {
    const value = median(runs);
    this.figures[name] = { value: round(value), unit, baseline: round(baseline),
      ratio: round(value / baseline), ...more, runs: runs.map(round) };
    console.log(row(name, this.figures[name]));
  }

  /** Figures of earlier runs that were not chosen this time stay. @param {string} path */
  write(path) {
    mkdirSync(dirname(path), { recursive: true });
    /** @type {Record<string, Figure>} */
    let earlier = {};
    try {
      earlier = JSON.parse(readFileSync(path, 'utf8'));
    } catch {
      // none
    }
    /** @type {Record<string, Figure>} */
    const all = {};
    for (const name of Object.keys(TARGETS)) {
      const figure = this.figures[name] ?? earlier[name];
      if (figure) all[name] = figure;
    }
    writeFileSync(path, `${JSON.stringify(all, null, 1)}\n`);
  }

  missed() {
    return Object.entries(this.figures)
      .filter(([name, figure]) => verdict(name, figure) === 'MISSED');
  }
}

/** @param {string} name @param {Figure} figure */
function verdict(name, { value, ratio }) {
  const { min, max } = TARGETS[name];
  const judged = ratio ?? value;
  if (min === undefined && max === undefined) return '';
  return judged >= (min ?? -Infinity) && judged <= (max ?? Infinity) ? 'met' : 'MISSED';
}

/** @param {string} name */
function target(name) {
  const { min, max } = TARGETS[name];
  return min !== undefined ? `>= ${min}` : max !== undefined ? `<= ${max}` : '';
}

const WIDTHS = [24, 12, 13, 10, 7, 10, 7];

/** @param {string[]} cells */
const line = (cells) => cells.map((cell, i) => cell.padEnd(WIDTHS[i] ?? 0)).join(' ').trimEnd();

export const HEADER = line(['figure', 'value', 'unit', 'baseline', 'ratio', 'target', '', 'cores']);

/** @param {string} name @param {Figure} figure */
export function row(name, figure) {
  const { value, unit, baseline, ratio, busy } = figure;
  /** @param {number | undefined} number */
  const cell = (number) => (number === undefined ? '' : String(number));
  return line([name, cell(value), unit, cell(baseline), cell(ratio), target(name),
    verdict(name, figure), busy === undefined ? '' : `${Math.round(busy * 100)} % busy`]);
}
