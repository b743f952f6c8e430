// @ts-check
/** Figures over time as SVG: lines over seconds. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** @typedef {{ unit: string, lines: Record<string, [number, number][]> }} Plot points: s, value */

const [WIDTH, HEIGHT] = [720, 300];
const EDGE = { left: 60, right: 20, top: 34, bottom: 40 };
const COLORS = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#ff7f0e'];

/**
 * A step of 1, 2 or 5 times a power of ten that divides it into some five.
 * @param {number} span
 */
function stepOf(span) {
  const rough = span / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
}

/** @param {string} text */
const escape = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;');

/** @param {number} x @param {number} y @param {string} anchor @param {number} value */
const text = (x, y, anchor, value) => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"
 text-anchor="${anchor}">${+value.toFixed(6)}</text>`;

/** @param {string} title @param {Plot} plot */
export function svg(title, { unit, lines }) {
  const all = Object.values(lines).flat();
  const [first, last] = [Math.min(...all.map(([x]) => x)), Math.max(...all.map(([x]) => x))];
  const top = Math.max(...all.map(([, y]) => y), 1e-9);
  const [width, height] = [WIDTH - EDGE.left - EDGE.right, HEIGHT - EDGE.top - EDGE.bottom];
  /** @param {number} s */
  const x = (s) => EDGE.left + ((s - first) / (last - first || 1)) * width;
  /** @param {number} value */
  const y = (value) => EDGE.top + height - (value / top) * height;
  /** @type {string[]} */ const parts = [];
  for (let value = 0; value <= top; value += stepOf(top))
    parts.push(`<path d="M${EDGE.left} ${y(value)}h${width}" stroke="#ddd"/>`,
      text(EDGE.left - 6, y(value) + 4, 'end', value));
  const seconds = stepOf(last - first);
  for (let s = Math.ceil(first / seconds) * seconds; s <= last; s += seconds)
    parts.push(text(x(s), HEIGHT - 20, 'middle', s));
  Object.entries(lines).forEach(([name, points], i) => {
    const color = COLORS[i % COLORS.length];
    const path = points.map(([s, value]) => `${x(s).toFixed(1)} ${y(value).toFixed(1)}`).join('L');
    parts.push(`<path d="M${path}" fill="none" stroke="${color}" stroke-width="1.5"/>`,
      `<text x="${EDGE.left + i * 160}" y="28" fill="${color}">${escape(name)}</text>`);
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-size="12"
 font-family="sans-serif"><rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>
<text x="${EDGE.left}" y="14" font-weight="bold">${escape(`${title}, ${unit} over seconds`)}</text>
${parts.join('\n')}
</svg>
`;
}

/** @param {Record<string, Plot>} plots by name @param {string} directory */
export function writePlots(plots, directory) {
  mkdirSync(directory, { recursive: true });
  for (const [name, plot] of Object.entries(plots))
    writeFileSync(join(directory, `${name}.svg`), svg(name, plot));
}
