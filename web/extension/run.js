// @ts-check
/**
 * Where the bridge lives: Firefox's background page, or Chromium's offscreen document (a service
 * worker has no peer connections). Popups look in over ports and say what the visitor wants; ports
 * of pages other than this extension's own do not come here.
 *
 * The switch is a standing choice: on, it is on again after a restart of the browser.
 */
import { paint } from './badge.js';
import { Host } from './host.js';

const LEAVE_MS = 3000; // for farewells, and for a popup that comes just now

const { runtime, browserAction } = /** @type {any} */ (globalThis).browser ??
  /** @type {any} */ (globalThis).chrome;
/** @type {Set<any>} */ const popups = new Set();

// An offscreen document has no manifest to look into.
const host = new Host(document.documentElement.dataset.operator);

runtime.onConnect.addListener((/** @type {any} */ popup) => {
  popups.add(popup);
  popup.onMessage.addListener((/** @type {import('./host.js').Word} */ word) => host.obey(word));
  popup.onDisconnect.addListener(() => {
    popups.delete(popup);
    rest();
  });
  popup.postMessage(host.view);
});

let painted = '';
/** @type {ReturnType<typeof setTimeout> | undefined} */ let leaving;

/** An offscreen document that nobody needs goes, and is made again by the next popup. */
function rest() {
  clearTimeout(leaving);
  if (browserAction || host.view.on || popups.size > 0) return;
  leaving = setTimeout(() => host.view.on || popups.size > 0 || close(), LEAVE_MS);
}

host.show((view) => {
  for (const popup of popups) popup.postMessage(view);
  const { on, state, now } = view;
  const badge = { on, state, now };
  if (JSON.stringify(badge) === painted) return;
  painted = JSON.stringify(badge);
  if (browserAction) paint(badge);
  else runtime.sendMessage(badge).catch(() => {}); // background.js, which may be starting
  rest();
});
