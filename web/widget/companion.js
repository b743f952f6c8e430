// @ts-check
/**
 * "Keep helping after I leave": frame.html once more, in a small window that a click in a frame
 * opened. It has the bridge from then on, and the frame mirrors it for as long as it lives.
 *
 * Each end listens to the other's very window alone, and to this origin alone, so that no page can
 * switch a companion on: a page that opens one is not of this origin. The storage of a window is
 * not that of a frame on a publisher's page; so what the frame remembers goes along, the frame
 * stores what comes of it, and the companion remembers nothing by itself.
 */
import { forget, keep, kept } from './store.js';

/** @typedef {import('./host.js').Host} Host */
/** @typedef {import('./host.js').Word} Word */

const HELLO_MS = 200; // the frame may still be fetching this file
const HELLOS = 50;
const CLOSED_MS = 500; // how often to look whether it has gone without a word

/**
 * In the frame: hands the bridge over as soon as the companion is ready to carry.
 * @param {Host} host
 * @param {Window} companion
 */
export function handOver(host, companion) {
  /** @param {Word | { begin: object }} word */
  const say = (word) => companion.postMessage(word, location.origin);
  const { on } = host.view;
  let has = false;
  const end = () => {
    clearInterval(watch);
    removeEventListener('message', heard);
    if (has) host.alone(false);
  };
  const watch = setInterval(() => companion.closed && end(), CLOSED_MS);
  /** @param {MessageEvent} event */
  const heard = ({ source, origin, data }) => {
    if (source !== companion || origin !== location.origin) return;
    if (data.gone) return end();
    if (data.hello) return say({ begin: { ...kept(), on } });
    const { view, month } = data;
    if (!has && !['waiting', 'carrying', 'paused'].includes(view.state)) return;
    if (!has) host.lead({ steal: true });
    has = true;
    const { settings, helped, carried, used } = view;
    const before = kept();
    const own = before.own || JSON.stringify(settings) !== JSON.stringify(before.settings);
    keep({ on: false, settings, own, helped, carried, used, month });
    host.mirror({ ...view, elsewhere: true }, say);
  };
  addEventListener('message', heard);
}

/** In the companion. @param {Host} host */
export function takeOver(host) {
  /** @param {object} word */
  const say = (word) => opener?.postMessage(word, location.origin);
  let begun = false;
  let hellos = 0;
  const hello = setInterval(() => {
    if (begun || hellos++ === HELLOS) clearInterval(hello);
    else say({ hello: true });
  }, HELLO_MS);
  addEventListener('message', ({ source, origin, data }) => {
    if (!opener || source !== opener || origin !== location.origin) return;
    if (begun) return host.obey(data);
    begun = true;
    forget(data.begin);
    host.set({});
    if (data.begin.on) host.flip(true, { anyway: true });
    host.show((view) => say({ view, month: kept().month }));
  });
  addEventListener('pagehide', () => say({ gone: true }));
}
