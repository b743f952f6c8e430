// @ts-check
/**
 * The popup's host, in the place of host.js: the one in run.js, over a port. It has the same
 * methods, so that the widget's face need not know.
 */
import { ensure } from '../offscreen.js';

/** @typedef {import('../host.js').View} View */
/** @typedef {import('../host.js').Settings} Settings */

const AGAIN_MS = 200;

const { runtime } = /** @type {any} */ (globalThis).browser ??
  /** @type {any} */ (globalThis).chrome;
/** @type {any} */ let port;
/** @type {View} */ let last;
/** @type {((view: View) => void)[]} */ const faces = [];

/** For as long as the popup lives. @param {() => void} done with the first view */
async function connect(done) {
  try {
    await ensure();
    port = runtime.connect();
  } catch { // it is going just now
    setTimeout(connect, AGAIN_MS, done);
    return;
  }
  port.onMessage.addListener((/** @type {View} */ view) => {
    last = view;
    for (const face of faces) face(view);
    done();
  });
  port.onDisconnect.addListener(() => {
    void runtime.lastError; // or Chromium complains that nobody looked
    setTimeout(connect, AGAIN_MS, done);
  });
}

await new Promise((done) => connect(() => done(undefined)));

export class Host {
  extension = true;
  operator = runtime.getManifest().homepage_url;

  get view() {
    return last;
  }

  /** @param {(view: View) => void} face */
  show(face) {
    faces.push(face);
    face(last);
  }

  /** @param {boolean} on @param {{ anyway?: boolean }} [how] */
  flip(on, { anyway = false } = {}) {
    port.postMessage({ flip: on, anyway });
  }

  /** @param {Partial<Settings>} part */
  set(part) {
    port.postMessage({ set: part });
  }

  /** No page has a say here. */
  suggest() {}
}
