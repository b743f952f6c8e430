// @ts-check
/**
 * The widget's face, in the operator's frame: one switch, what it does, and how it goes. What it
 * shows is the host's view; how it looks is in its address' fragment, which the publisher writes
 * and may change at any time, and which decides about nothing but looks (attributes.js).
 *
 * What is behind the links, and what to say of people who come (panels.js), the globe (globe.js)
 * and other layouts than the panel (layouts.css) are fetched when they are wanted.
 */
import { read } from './attributes.js';
import { arm } from './consent.js';
import { Host } from './host.js';
import { bytes, choose, country, lang, number, speak, speakMore, speed, text } from './text.js';

/** @typedef {import('./host.js').View} View */
/** @typedef {'about' | 'settings' | 'details' | 'censored' | 'reader'} Page */

const QUIET_MS = 10000; // between two things said aloud
const SMALL = matchMedia('(max-height: 6.5rem)'); // a badge, in layouts.css too

/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const root = document.documentElement;
const face = at('face');
const knob = at('switch');
const host = new Host();
const dark = matchMedia('(prefers-color-scheme: dark)');
let options = read(location.hash);
const able = typeof RTCPeerConnection === 'function' && typeof WebAssembly === 'object';

/** An unchanged line is left alone. @param {string} id @param {string} line */
function put(id, line) {
  if (at(id).textContent !== line) at(id).textContent = line;
}

/** @param {View} view @returns {string} */
function statusOf({ state, now, paused }) {
  if (!able) return text('unable');
  if (state !== 'paused') return text(state, { n: now });
  const why = ['visitor', 'budget', 'hours', 'metered', 'battery'].find((w) => paused.includes(w));
  return text(`paused${why?.replace(/^./, (first) => first.toUpperCase())}`);
}

/** @param {View} view */
function show(view) {
  const state = able ? view.state : 'unable';
  face.dataset.state = state;
  knob.setAttribute('aria-checked', String(view.on));
  if (!lang) return;
  const status = statusOf(view);
  put('status', status);
  say(status);
  put('helped', number(view.helped));
  put('carried', bytes(view.carried));
  at('fast').hidden = state !== 'carrying';
  put('speed', speed(view.speed));
  put('details', text(state === 'waiting' ? 'idle' : 'details'));
  if (panels) panels.greet(view);
  else if (/carrying|paused/.test(state) || view.elsewhere) more().then(() => show(host.view));
  globe?.show(view);
  if (view.censored !== asked) {
    asked = view.censored;
    if (asked) open('censored');
  }
}

/** The censoring country for which the visitor has been asked. */
let asked = '';

let said = '';
/** @type {ReturnType<typeof setTimeout> | undefined} */ let quiet;

/** To a screen reader: the newest, and not more often than every QUIET_MS. @param {string} line */
function say(line) {
  said = line;
  if (quiet !== undefined) return;
  put('said', said);
  quiet = setTimeout(() => {
    quiet = undefined;
    if (at('said').textContent !== said) say(said);
  }, QUIET_MS);
}

/** @type {typeof import('./panels.js') | undefined} */ let panels;

/** What is not needed at first. */
async function more() {
  const [module] = await Promise.all([import('./panels.js'), speakMore()]);
  return panels = module;
}

/** @param {Page} page */
async function open(page) {
  if (SMALL.matches && page === 'about') // no room for it here
    window.open(`frame.html#layout=panel&lang=${lang}&open=about`, '',
      'popup,noopener,width=420,height=600');
  else (await more()).open(page, host);
}

/** Why the visitor's click did nothing (consent.js). @param {'' | 'covered' | 'confirm'} why */
async function refused(why) {
  face.dataset.refused = why;
  put('news', why && (await more()).refusal(why));
  say(at('news').textContent || said);
}

/** @type {import('./globe.js').Globe | undefined} */ let globe;
const globeSeen = new IntersectionObserver(async ([{ isIntersecting }]) => {
  if (isIntersecting && !globe) {
    const { Globe } = await import('./globe.js');
    globe ??= new Globe(/** @type {HTMLCanvasElement} */ (at('globe')));
    globe.show(host.view);
  }
  globe?.run(isIntersecting && options.globe);
});

/** @param {string} id @param {string} url */
function link(id, url) {
  const element = /** @type {HTMLAnchorElement} */ (at(id));
  // A stranger wrote it: no address but the secure web's, and the visitor may see whose.
  element.hidden = !/^https:|^http:\/\/(localhost|127\.|\[::1\])/.test(url);
  if (element.hidden) element.removeAttribute('href');
  else Object.assign(element, { href: url, title: new URL(url).host });
}

/** @type {Promise<unknown> | undefined} */ let other;

/** @param {string} href */
const style = (href) => new Promise((done) => document.head.append(Object.assign(
  document.createElement('link'), { rel: 'stylesheet', href, onload: done, onerror: done })));

/** What the publisher wrote. */
async function look() {
  options = read(location.hash);
  const { theme, layout } = options;
  root.dataset.theme = theme === 'auto' ? (dark.matches ? 'dark' : 'light') : theme;
  root.dataset.layout = layout;
  if (layout === 'banner' || SMALL.matches) await (other ??= style('layouts.css'));
  root.toggleAttribute('data-globe', options.globe && /panel|floating/.test(layout));
  at('earth').hidden = !root.hasAttribute('data-globe');
  at('stats').hidden = !options.stats;
  link('info', options.info);
  link('donate', options.donate);
  host.suggest({ rate: options.rate * 1e6, people: options.people });
  const wish = choose(options.lang);
  if (wish !== lang) {
    await speak(wish);
    if (panels) await speakMore();
    for (const element of document.querySelectorAll('[data-text]'))
      element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? '');
    at('page').hidden = true;
    face.hidden = false;
    show(host.view);
  }
  put('promise', text(SMALL.matches && layout !== 'banner' ? 'short' : 'promise'));
  root.dataset.ready = '';
}

addEventListener('hashchange', look);
for (const changes of [dark, SMALL]) changes.addEventListener('change', look);
for (const button of document.querySelectorAll('[data-page]'))
  /** @type {HTMLElement} */ (button).onclick = () =>
    open(/** @type {any} */ (button).dataset.page);
globeSeen.observe(at('globe'));
host.show(show);
await look();
// Nobody is to flip what has not told them what it does.
if (able) arm(knob, () => host.flip(!host.view.on), refused);
if (location.hash.endsWith('&open=about')) open('about');
