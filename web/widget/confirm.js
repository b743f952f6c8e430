// @ts-check
/**
 * The small window that asks where a browser cannot tell whether a frame is visible (consent.js).
 * What it says is believed by the frame that opened it, and by nobody else.
 */
import { read } from './attributes.js';
import { arm } from './consent.js';
import { choose, speak, speakMore, text } from './text.js';

const yes = /** @type {HTMLButtonElement} */ (document.getElementById('yes'));
const why = /** @type {HTMLElement} */ (document.getElementById('why'));

const { theme, lang } = read(location.hash);
const dark = matchMedia('(prefers-color-scheme: dark)').matches;
document.documentElement.dataset.theme = theme === 'auto' ? (dark ? 'dark' : 'light') : theme;
await speak(choose(lang));
await speakMore();
for (const element of document.querySelectorAll('[data-text]'))
  element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? '');

if (!opener) { // by Cross-Origin-Opener-Policy of the page
  why.textContent = text('confirmApart');
  yes.textContent = text('confirmHere');
}
document.documentElement.dataset.ready = '';
arm(yes, () => {
  if (!opener) return location.replace(`frame.html${location.hash}`);
  opener.postMessage('confirmed', '*'); // a sandboxed frame has no origin to name
  close();
});
