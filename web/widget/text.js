// @ts-check
/**
 * What the widget says. One table a language: a string, or forms by plural category
 * (Intl.PluralRules) with {n} for the number. A language is added as one more file with a table of
 * the same keys.
 */
import en from './text.en.js';

/** @typedef {string | { [category: string]: string }} Message */
/** @typedef {{ lang: string, dir: 'ltr' | 'rtl', about: string[], [key: string]: any }} Table */

/** @type {Table} */
export const table = en;

const plural = new Intl.PluralRules(table.lang);
const number = new Intl.NumberFormat(table.lang);

/**
 * @param {string} key
 * @param {number} [n]
 * @returns {string}
 */
export function text(key, n = 0) {
  /** @type {Message} */
  const message = table[key];
  const form = typeof message === 'string' ? message : message[plural.select(n)] ?? message.other;
  return form.replace('{n}', number.format(n));
}

const UNITS = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];

/**
 * @param {number} n bytes
 * @returns {string} "12.3 MB"
 */
export function bytes(n) {
  let unit = 0;
  while (n >= 999.5 && unit < UNITS.length - 1) {
    n /= 1000;
    unit++;
  }
  return new Intl.NumberFormat(table.lang, {
    style: 'unit',
    unit: UNITS[unit],
    unitDisplay: unit === 0 ? 'long' : 'short',
    maximumFractionDigits: unit > 1 && n < 100 ? 1 : 0,
  }).format(n);
}
