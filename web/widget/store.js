// @ts-check
/**
 * What the widget remembers on this device: in localStorage, which browsers keep apart for each
 * top-level site. A sandboxed frame has none, nor has one whose storage the visitor has switched
 * off: there it is remembered until the frame goes.
 */

/**
 * What the visitor can set. people: at once, 1 to 16. rate: bit/s in total, both directions
 * together, 0: no limit. budget: bytes a calendar month, both hops counted, 0: none. from, to:
 * minutes of the local day between which it helps; equal: always. metered, battery: go on on a
 * metered connection, on a low battery. keep: resume by itself on this site's next page.
 * @typedef {{ people: number, rate: number, budget: number, from: number, to: number,
 *   metered: boolean, battery: boolean, keep: boolean }} Settings
 *
 * own: the visitor has set something; until then what the publisher suggests holds. on: the
 * visitor's choice. confirmed: in a window of its own (consent.js). helped, carried: people and
 * bytes ever. used: bytes of the budget of that month (yyyymm).
 * @typedef {{ settings: Settings, own: boolean, on: boolean, confirmed: boolean, helped: number,
 *   carried: number, used: number, month: number }} Kept
 */

const KEY = 'footbridge';

/** For a visitor who has set nothing. @type {Settings} */
let standard = {
  people: 4, rate: 0, budget: 0, from: 0, to: 0, metered: false, battery: false, keep: false,
};

/** @type {Record<string, [number, number]>} */
const RANGES = { people: [1, 16], from: [0, 1439], to: [0, 1439] };

/**
 * The like of a pattern: what has its type and is in range comes from the other.
 * @template {Record<string, any>} T
 * @param {T} pattern
 * @param {any} other
 * @returns {T}
 */
export function like(pattern, other) {
  /** @type {Record<string, any>} */ const all = { ...pattern };
  for (const key in all) {
    const value = other?.[key];
    const [min, max] = RANGES[key] ?? [0, Number.MAX_SAFE_INTEGER];
    if (typeof value !== typeof all[key]) continue;
    if (typeof value === 'object') all[key] = like(all[key], value);
    else if (typeof value === 'boolean') all[key] = value;
    else if (value >= min && value <= max) all[key] = Math.floor(value);
  }
  return /** @type {T} */ (all);
}

/** @type {Kept} */
const NOTHING = {
  settings: standard, own: false, on: false, confirmed: false, helped: 0, carried: 0, used: 0,
  month: 0,
};
let memory = NOTHING;
let device = true;

/** @param {string | null} text @returns {any} */
function parsed(text) {
  try {
    return JSON.parse(text ?? '{}');
  } catch { // not ours
    return {};
  }
}

/** @returns {Kept} */
export function kept() {
  try {
    if (device) memory = like(NOTHING, parsed(localStorage.getItem(KEY)));
  } catch { /* no storage: what is in memory */ }
  return memory.own ? memory : { ...memory, settings: standard };
}

/** What holds until the visitor sets something. @param {Partial<Settings>} part */
export function suggest(part) {
  standard = like(standard, part);
}

/** @param {Partial<Kept>} part @returns {Kept} */
export function keep(part) {
  memory = { ...kept(), ...part };
  try {
    if (device) localStorage.setItem(KEY, JSON.stringify(memory));
  } catch { /* until the frame goes */ }
  return memory;
}

/** From now on in memory alone. @param {Partial<Kept>} part what to start from */
export function forget(part) {
  device = false;
  memory = like(NOTHING, part);
}
