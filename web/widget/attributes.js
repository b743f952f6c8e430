// @ts-check
/**
 * The widget's attributes: the one table. The comment above a row is its meaning, and
 * tools/attributes.mjs makes the manual page and the table of doc/publishers.md from both.
 *
 * The tag (widget-1.js) passes on what the publisher wrote in the frame's fragment,
 * `frame.html#layout=badge&theme=dark`; read() says what holds. Strangers write it: what is not
 * understood is the default. Nothing here is about whether the switch is on: no attribute is.
 */

/**
 * @typedef {{ kind: 'choice', values: readonly string[], default: string }
 *   | { kind: 'flag', default: boolean }
 *   | { kind: 'number', min: number, max: number, default: number }
 *   | { kind: 'url', default: string }
 *   | { kind: 'language', default: string }} Attribute
 */

/** @typedef {ReturnType<typeof read>} Options what the frame is to be like */

export const ATTRIBUTES = {
  /** How much room it takes: a card, a line across the column, a card in the window's corner that
   * folds, or a switch with a name. */
  layout: choice('panel', 'banner', 'floating', 'badge'),
  /** Light or dark colours; auto follows what the visitor has chosen for the device. */
  theme: choice('auto', 'light', 'dark'),
  /** Whether a globe shows between which countries bridges are open (panel and floating). It is
   * fetched only once it is in view. */
  globe: { kind: /** @type {const} */ ('flag'), default: false },
  /** Whether the numbers of people helped and of bytes carried are shown. */
  stats: { kind: /** @type {const} */ ('flag'), default: true },
  /** The language, as a BCP 47 tag; auto takes the visitor's. A language that the widget does not
   * speak gives English. */
  lang: { kind: /** @type {const} */ ('language'), default: 'auto' },
  /** How many megabits a second to carry in all, both directions together, until the visitor says
   * otherwise; 0 sets no limit. */
  rate: number(0, 1000, 0),
  /** How many people to help at once, until the visitor says otherwise. */
  people: number(1, 16, 4),
  /** Where the link "About this project" leads; without an address there is none. */
  info: { kind: /** @type {const} */ ('url'), default: '' },
  /** Where the link "Donate" leads; without an address there is none. */
  donate: { kind: /** @type {const} */ ('url'), default: '' },
  /** Whether a floating widget begins folded, as a badge in the corner. The visitor folds and
   * unfolds it by a button above it. */
  folded: { kind: /** @type {const} */ ('flag'), default: true },
};

/**
 * @template {string} T
 * @param {T} standard
 * @param {...T} others
 */
function choice(standard, ...others) {
  return { kind: /** @type {const} */ ('choice'), values: [standard, ...others],
    default: standard };
}

/**
 * @param {number} min
 * @param {number} max
 * @param {number} standard
 */
function number(min, max, standard) {
  return { kind: /** @type {const} */ ('number'), min, max, default: standard };
}

/** @param {string} text an absolute address of the web's @returns {string} '' if it is none */
function address(text) {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) ? url.href : '';
  } catch {
    return '';
  }
}

/**
 * One value as it is written; undefined: not understood.
 * @param {Attribute} attribute
 * @param {string} text
 */
function understand(attribute, text) {
  switch (attribute.kind) {
    case 'choice':
      return attribute.values.includes(text) ? text : undefined;
    case 'flag':
      return /^(on|true|)$/.test(text) || (/^(off|false)$/.test(text) ? false : undefined);
    case 'number': {
      const n = /^\d{1,4}$/.test(text) ? Number(text) : NaN;
      return n >= attribute.min && n <= attribute.max ? n : undefined;
    }
    case 'url':
      return address(text);
    case 'language':
      return /^[a-z]{2,4}(-[a-z\d]{2,8}){0,3}$/i.test(text) ? text : undefined;
  }
}

/**
 * @param {string} fragment of the frame's address, with or without '#'
 * @returns {{ layout: 'banner' | 'panel' | 'floating' | 'badge', theme: 'auto' | 'light' | 'dark',
 *   globe: boolean, stats: boolean, lang: string, rate: number, people: number, info: string,
 *   donate: string, folded: boolean }}
 */
export function read(fragment) {
  const written = new URLSearchParams(fragment.slice(0, 4096).replace(/^#/, ''));
  /** @type {Record<string, any>} */ const options = {};
  for (const [name, attribute] of Object.entries(ATTRIBUTES))
    options[name] = understand(attribute, written.get(name) ?? '\0') ?? attribute.default;
  return /** @type {any} */ (options);
}
