// @ts-check
/** The widget's face, in the operator's frame: one switch, what it does, and how it goes. */
import { Peers } from './peers.js';
import { bytes, table, text } from './text.js';

/** @typedef {import('./bridge.js').View} View */
/** @typedef {import('./bridge.js').News} News */

const ARM_MS = 500; // a frame that a page pops up under a click is not what the visitor meant

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const face = at('face');
const knob = at('switch');
let on = false;

/** @param {View} view */
function show(view) {
  face.dataset.state = view.state;
  const status = text(view.state, view.now);
  // An unchanged line is left alone: it would be read out again.
  if (at('status').textContent !== status) at('status').textContent = status;
  at('helped').textContent = new Intl.NumberFormat(table.lang).format(view.total);
  at('carried').textContent = bytes(view.bytes);
}

/**
 * Data channels can be handed to a worker in Chromium and Firefox.
 * @returns {boolean}
 */
function transferable() {
  const pc = new RTCPeerConnection();
  const { port1 } = new MessageChannel();
  try {
    const channel = /** @type {any} */ (pc.createDataChannel(''));
    port1.postMessage(channel, [channel]);
    return true;
  } catch {
    return false;
  } finally {
    port1.close();
    pc.close();
  }
}

/** @typedef {(news: News, transfer?: any[]) => void} Tell */

/** @returns {Promise<Tell>} the bridge in its worker; fails where that is not possible */
function startWorker() {
  return new Promise((resolve, reject) => {
    // In a sandboxed frame the origin is opaque, and no worker starts.
    if (origin === 'null' || !transferable()) throw new Error('no worker here');
    const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    /** @type {Tell} */
    const tell = (news, transfer = []) => worker.postMessage(news, transfer);
    const peers = new Peers(tell);
    worker.onerror = reject;
    worker.onmessage = ({ data }) => {
      if (data.do === 'ready') resolve(tell);
      else if (data.do === 'view') show(data.view);
      else peers.obey(data);
    };
  });
}

/** @returns {Promise<Tell>} the bridge on this thread */
async function startHere() {
  const { Bridge } = await import('./bridge.js');
  /** @type {Tell} */
  const tell = (news) => queueMicrotask(() => bridge.tell(news));
  const peers = new Peers(tell);
  const bridge = new Bridge((order) => {
    if (order.do === 'view') show(order.view);
    else peers.obey(order);
  });
  return tell;
}

/** @type {Promise<Tell> | undefined} */
let bridge;

const start = () => startWorker().catch(startHere);

/** @param {boolean} wanted */
async function flip(wanted) {
  on = wanted;
  knob.setAttribute('aria-checked', String(on));
  bridge ??= start();
  (await bridge)({ did: 'switch', on });
}

/** The switch works once it has been in view for ARM_MS, and only for the visitor's own hand. */
function arm() {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  const seen = new IntersectionObserver(([entry]) => {
    clearTimeout(timer);
    knob.setAttribute('aria-disabled', 'true');
    if (!entry.isIntersecting) return;
    timer = setTimeout(() => knob.removeAttribute('aria-disabled'), ARM_MS);
  }, { threshold: 0.9 });
  seen.observe(knob);
  knob.addEventListener('click', (event) => {
    if (event.isTrusted && !knob.hasAttribute('aria-disabled')) flip(!on);
  });
}

/** @param {boolean} open */
function explain(open) {
  at('about').hidden = !open;
  face.hidden = open;
  at('more').setAttribute('aria-expanded', String(open));
  at(open ? 'about' : 'more').focus();
}

function write() {
  document.documentElement.lang = table.lang;
  document.documentElement.dir = table.dir;
  for (const element of document.querySelectorAll('[data-text]'))
    element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? '');
  for (const line of table.about)
    at('about-text').append(Object.assign(document.createElement('p'), { textContent: line }));
  at('more').onclick = () => explain(true);
  at('back').onclick = () => explain(false);
  at('about').onkeydown = ({ key }) => key === 'Escape' && explain(false);
}

write();
show({ state: 'off', now: 0, total: 0, bytes: 0 });
if (typeof RTCPeerConnection === 'function' && typeof WebAssembly === 'object') {
  arm();
} else {
  face.dataset.state = 'unable';
  at('status').textContent = text('unable');
}
