// @ts-check
/** The preview: the options of a form, on a live widget and in what is to be copied. */
import { ATTRIBUTES } from './attributes.js';
import { SCRIPT, frame, tag } from './snippet.js';

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const form = /** @type {HTMLFormElement} */ (at('options'));
const widget = /** @type {HTMLElement} */ (document.querySelector('footbridge-widget'));

/** Of the script as it is served; '' where browsers hash nothing, which is without TLS. */
const integrity = crypto.subtle ? await hash() : '';

async function hash() {
  const script = await (await fetch(SCRIPT)).arrayBuffer();
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-384', script));
  return `sha384-${btoa(String.fromCharCode(...digest))}`;
}

/** The attributes that differ from their defaults, and the layout, as a publisher writes them. */
function written() {
  /** @type {import('./snippet.js').Written} */ const all = {};
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    const field = /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    if (attribute.kind === 'flag') {
      if (field.checked !== attribute.default) all[name] = field.checked ? '' : 'off';
    } else if (name === 'layout' || String(attribute.default) !== field.value) {
      if (!('validity' in field) || field.validity.valid) all[name] = field.value;
    }
  }
  if (all.layout !== 'floating') delete all.folded;
  return all;
}

function show() {
  const attributes = written();
  for (const name of Object.keys(ATTRIBUTES)) {
    if (!(name in attributes)) widget.removeAttribute(name);
    else if (widget.getAttribute(name) !== attributes[name])
      widget.setAttribute(name, attributes[name]);
  }
  at('corner').hidden = attributes.layout !== 'floating';
  at('tag').textContent = tag(location.origin, integrity, attributes);
  at('frame').textContent = frame(location.origin, attributes);
  at('policy').textContent = `script-src ${location.origin};\nframe-src ${location.origin};`;
  for (const status of document.querySelectorAll('.copied')) status.textContent = '';
}

/** @param {HTMLElement} button */
async function copy(button) {
  const text = at(button.dataset.copy ?? '');
  const status = /** @type {HTMLElement} */ (button.nextElementSibling);
  try {
    await navigator.clipboard.writeText(text.textContent ?? '');
    status.textContent = 'Copied.';
  } catch {
    getSelection()?.selectAllChildren(text);
    status.textContent = 'Marked: copy it with Ctrl+C.';
  }
}

form.oninput = show;
form.onsubmit = (/** @type {Event} */ event) => event.preventDefault();
for (const button of document.querySelectorAll('button'))
  button.onclick = () => copy(button);
at('unpinned').hidden = integrity !== '';
show();
