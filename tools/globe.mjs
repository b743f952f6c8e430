#!/usr/bin/env node
// @ts-check
/**
 * Makes web/widget/land.js, what the widget's globe draws.
 *   npm pack world-atlas@2 && tar -xf world-atlas-2.*.tgz
 *   tools/globe.mjs package /usr/share/iso-codes/json/iso_3166-1.json >web/widget/land.js
 *
 * world-atlas is Natural Earth (public domain) as TopoJSON; its countries have ISO 3166-1 numbers,
 * and Debian's iso-codes knows which letters belong to those.
 *
 * Land: the 1:110m outline on a grid of one degree, small islands left out. A ring is four digits
 * (longitude + 180, latitude + 90, two digits each) and then one digit a step of at most 4 degrees
 * each way: 9 * (north + 4) + east + 4. Rings are separated by spaces. A digit is a character from
 * '(' on, without the backslash.
 * Places: for each first letter of the countries' codes, separated by spaces, the second letters,
 * each with three digits, (longitude + 180) * 181 + latitude + 90: the middle of the country's
 * largest part.
 */
import { readFileSync } from 'node:fs';

/** @typedef {[number, number]} Point */

const STEP = 4;
const SMALLEST = 6; // square degrees of land that are worth a line
const BASE = 81;

/** @param {string} path */
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));

const [atlas, codes] = process.argv.slice(2);
if (!codes) {
  console.error('usage: globe.mjs WORLD-ATLAS-DIRECTORY ISO_3166-1.JSON');
  process.exit(2);
}

/** @param {number} n below BASE */
const digit = (n) => String.fromCharCode(40 + n + (n > 51 ? 1 : 0));

/**
 * @param {number} n
 * @param {number} length
 * @returns {string}
 */
const digits = (n, length) =>
  length ? digits(Math.floor(n / BASE), length - 1) + digit(n % BASE) : '';

/**
 * Arcs of a topology in degrees.
 * @param {any} topology
 * @returns {Point[][]}
 */
function arcsOf({ arcs, transform: { scale, translate } }) {
  return arcs.map((/** @type {Point[]} */ arc) => {
    let x = 0;
    let y = 0;
    return arc.map(([dx, dy]) =>
      [(x += dx) * scale[0] + translate[0], (y += dy) * scale[1] + translate[1]]);
  });
}

/**
 * The outer rings of a geometry.
 * @param {any} geometry
 * @param {Point[][]} arcs
 * @returns {Point[][]}
 */
function ringsOf(geometry, arcs) {
  if (geometry.type === 'GeometryCollection')
    return geometry.geometries.flatMap((/** @type {any} */ each) => ringsOf(each, arcs));
  const polygons = geometry.type === 'Polygon' ? [geometry.arcs] : geometry.arcs ?? [];
  return polygons.map((/** @type {number[][]} */ [outer]) => outer.flatMap((index) =>
    index < 0 ? [...arcs[~index]].reverse() : arcs[index]));
}

/**
 * The ring, closed, on a map that goes on beyond 180 degrees: without the jump back that a ring
 * makes there, or around a pole.
 * @param {Point[]} ring
 * @returns {Point[]}
 */
function unrolled(ring) {
  let [x] = ring[0];
  return [...ring, ring[0]].map(([lon, y]) => {
    x += ((((lon - x + 180) % 360) + 360) % 360) - 180;
    return [x, y];
  });
}

/**
 * Its area, and its centroid, on a flat map.
 * @param {Point[]} ring
 */
function measure(ring) {
  let [area, x, y] = [0, 0, 0];
  ring.forEach(([x1, y1], i) => {
    const [x2, y2] = ring[(i + 1) % ring.length];
    const cross = x1 * y2 - x2 * y1;
    area += cross;
    x += (x1 + x2) * cross;
    y += (y1 + y2) * cross;
  });
  return { area: Math.abs(area) / 2, middle: /** @type {Point} */ ([x / area / 3, y / area / 3]) };
}

/**
 * Douglas and Peucker's: without the points that are less than a tolerance off the line.
 * @param {Point[]} line
 * @param {number} tolerance
 * @returns {Point[]}
 */
function simplify(line, tolerance) {
  if (line.length < 3) return line;
  const [[x1, y1], [x2, y2]] = [line[0], line[line.length - 1]];
  const length = Math.hypot(x2 - x1, y2 - y1);
  const off = line.map(([x, y]) => length
    ? Math.abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / length
    : Math.hypot(x - x1, y - y1));
  const far = off.indexOf(Math.max(...off.slice(1, -1)));
  if (off[far] <= tolerance) return [line[0], line[line.length - 1]];
  return [...simplify(line.slice(0, far + 1), tolerance).slice(0, -1),
    ...simplify(line.slice(far), tolerance)];
}

/** @param {Point[]} ring @returns {string} '' if it is too small */
function encode(ring) {
  const line = unrolled(ring);
  if (measure(line).area < SMALLEST) return '';
  const rough = simplify(line, 0.6)
    .map(([x, y]) => /** @type {Point} */ ([Math.round(x), Math.round(y)]));
  let [x, y] = rough[0];
  let text = digits(x + 180, 2) + digits(y + 90, 2);
  for (const [toX, toY] of rough.slice(1)) {
    const steps = Math.ceil(Math.max(Math.abs(toX - x), Math.abs(toY - y)) / STEP);
    for (let left = steps; left > 0; left--) {
      const dx = Math.round((toX - x) / left);
      const dy = Math.round((toY - y) / left);
      text += digit(9 * (dy + STEP) + dx + STEP);
      x += dx;
      y += dy;
    }
  }
  return text;
}

const small = json(`${atlas}/countries-110m.json`);
const land = ringsOf(small.objects.land, arcsOf(small)).map(encode).filter(Boolean);

const letters = new Map(json(codes)['3166-1'].map((/** @type {any} */ each) =>
  [each.numeric, each.alpha_2]));
/** @type {Map<string, Point>} */ const middles = new Map();
for (const detail of ['50m', '10m']) {
  const topology = json(`${atlas}/countries-${detail}.json`);
  const arcs = arcsOf(topology);
  for (const country of topology.objects.countries.geometries) {
    const code = letters.get(country.id);
    if (!code || middles.has(code)) continue;
    const [largest] = ringsOf(country, arcs).map(unrolled).map(measure)
      .sort((a, b) => b.area - a.area);
    const [x, y] = largest.middle;
    middles.set(code, [((((x + 180) % 360) + 360) % 360) - 180, y]);
  }
}
const places = [...Array(26).keys()].map((i) => [...middles]
  .filter(([code]) => code.charCodeAt(0) === 65 + i)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([code, [x, y]]) => code[1] + digits((Math.round(x) + 180) * 181 + Math.round(y) + 90, 3))
  .join(''));

/** @param {string} text as a literal over several lines */
function literal(text) {
  const lines = text.match(/.{1,88}/g) ?? [];
  return lines.map((line) => `  '${line.replace(/'/g, "\\'")}'`).join(' +\n');
}

console.log(`// @ts-check
/**
 * The outline of land and the middle of each country, made by tools/globe.mjs, which tells the
 * form. From Natural Earth (naturalearthdata.com), which is in the public domain.
 */
export const LAND =
${literal(land.join(' '))};

export const PLACES =
${literal(places.join(' '))};`);
