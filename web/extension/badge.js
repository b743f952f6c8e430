// @ts-check
/** The number of people being helped, on the extension's button. */

/** @typedef {{ on: boolean, state: import('./host.js').View['state'], now: number }} Badge */

const { action, browserAction } = /** @type {any} */ (globalThis).browser ??
  /** @type {any} */ (globalThis).chrome;
const button = action ?? browserAction;

/** @param {Badge} badge */
export function paint({ on, state, now }) {
  const trouble = state === 'trouble';
  button.setBadgeText({ text: !on ? '' : trouble ? '!' : String(now) });
  button.setBadgeTextColor({ color: '#ffffff' });
  button.setBadgeBackgroundColor({
    color: trouble ? '#964600' : now > 0 ? '#0a6b4d' : '#55616b',
  });
}
