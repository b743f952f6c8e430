// @ts-check

/** @param {number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * Goodput of each run over time (plot.mjs).
 * @param {{ goodput: [number, number][] }[]} runs
 */
export const plotOf = (runs) => ({
  unit: 'Mbit/s',
  lines: Object.fromEntries(runs.map(({ goodput }, i) => [`run ${i + 1}`, goodput])),
});

/** Three significant digits. @param {number} value */
export const round = (value) => Number(value.toPrecision(4));
