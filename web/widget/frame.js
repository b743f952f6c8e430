// @ts-check
/** The widget's face, in the operator's frame: one switch, what it does, and how it goes. */
import { arm } from './consent.js';
import { Host } from './host.js';
import { bytes, table, text } from './text.js';

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const face = at('face');
const knob = at('switch');
const host = new Host();

/** @param {import('./host.js').View} view */
function show(view) {
  face.dataset.state = view.state;
  knob.setAttribute('aria-checked', String(view.on));
  const status = text(view.state, view.now);
  // An unchanged line is left alone: it would be read out again.
  if (at('status').textContent !== status) at('status').textContent = status;
  at('helped').textContent = new Intl.NumberFormat(table.lang).format(view.helped);
  at('carried').textContent = bytes(view.carried);
}

const flip = () => host.flip(!host.view.on);

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
host.show(show);
if (typeof RTCPeerConnection === 'function' && typeof WebAssembly === 'object') {
  arm(knob, flip, (why) => (face.dataset.refused = why));
} else {
  face.dataset.state = 'unable';
  at('status').textContent = text('unable');
}
