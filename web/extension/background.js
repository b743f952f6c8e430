// @ts-check
/**
 * Chromium's service worker: sees to it that run.html is there when the browser has started, and
 * paints what that says. While the switch is on, an alarm looks once a minute whether it has
 * crashed.
 */
import { paint } from './badge.js';
import { ensure } from './offscreen.js';

const { alarms, runtime } = /** @type {any} */ (globalThis).chrome;
const ALARM = 'look';

runtime.onStartup.addListener(ensure);
runtime.onInstalled.addListener(ensure);
alarms.onAlarm.addListener(ensure);
runtime.onMessage.addListener((/** @type {import('./badge.js').Badge} */ badge) => {
  paint(badge);
  if (badge.on) alarms.create(ALARM, { periodInMinutes: 1 });
  else alarms.clear(ALARM);
});
