// @ts-check
/**
 * The visitor's own hand on a switch. A button with role "switch" takes input only once it, and
 * what describes it (aria-describedby), has been in view for ARM_MS (until then it is
 * aria-disabled), and only from events that the browser marks as the visitor's own.
 *
 * In a frame on somebody's page the page could have covered it, made it transparent, or cut out all
 * but the knob. Where the browser can tell (IntersectionObserver v2, Chromium), such a frame takes
 * no input. Elsewhere a click opens a small window of the operator's, once for each site, and what
 * counts is the click there: confirm.html, which no page can frame.
 *
 * Switching off is never refused.
 */
import { keep, kept } from './store.js';

const ARM_MS = 500; // a frame that a page pops up under a click is not what the visitor meant
const SEE_MS = 100; // the least that browsers allow between two looks
const SHARE = 0.9; // of it that must be in view
const HOME = new URL(import.meta.url).origin;
const WINDOW = 'popup,width=440,height=360';

const framed = window !== top;
const proves = 'isVisible' in IntersectionObserverEntry.prototype;

/**
 * Whether a choice made on this site was surely the visitor's.
 * @returns {boolean}
 */
export const confirmed = () => !framed || proves || kept().confirmed;

/** @type {Window | null} */ let asking = null;
/** @type {AbortController | undefined} */ let listening;

/**
 * Asks in a window of its own, which pages get no handle to: it has no name.
 * @param {() => void} done
 */
function ask(done) {
  if (asking && !asking.closed) return asking.focus();
  try {
    asking = open(new URL(`confirm.html${location.hash}`, import.meta.url), '', WINDOW);
  } catch { // a sandbox forbids it
    asking = null;
  }
  listening?.abort();
  listening = new AbortController();
  addEventListener('message', ({ source, origin, data }) => {
    if (!source || source !== asking || origin !== HOME || data !== 'confirmed') return;
    listening?.abort();
    keep({ confirmed: true });
    done();
  }, listening);
}

/**
 * @param {HTMLElement} knob
 * @param {() => void} flipped by the visitor
 * @param {(why: '' | 'covered' | 'confirm') => void} [tell] why a click did nothing: something on
 *   the page covers or changes the widget; a window asks (none has opened where the browser or the
 *   page allows none). '': it did
 */
export function arm(knob, flipped, tell = () => {}) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  /** In view and, where the browser tells, visible. @type {Map<Element, boolean>} */
  const seen = new Map([[knob, false]]);
  for (const id of knob.getAttribute('aria-describedby')?.split(' ') ?? [])
    seen.set(/** @type {Element} */ (document.getElementById(id)), false);
  /** Out of view, or covered. What has no box in this layout need not be seen. */
  const hidden = () => [...seen].some(([element, visible]) =>
    !visible && (element === knob || element.getClientRects().length > 0));
  const look = () => {
    clearTimeout(timer);
    knob.setAttribute('aria-disabled', 'true');
    if (hidden() || (!framed && !document.hasFocus())) return;
    timer = setTimeout(() => knob.removeAttribute('aria-disabled'), ARM_MS);
  };
  const eye = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const { target, intersectionRatio, isVisible } = /** @type {any} */ (entry);
      seen.set(target, intersectionRatio >= SHARE && (!framed || !proves || isVisible));
    }
    look();
  }, /** @type {any} */ ({ threshold: SHARE, trackVisibility: true, delay: SEE_MS }));
  for (const element of seen.keys()) eye.observe(element);
  // A window that comes up between the two clicks of a double click is not what was meant either.
  if (!framed) for (const type of ['focus', 'blur']) addEventListener(type, look);

  knob.addEventListener('click', (event) => {
    if (!event.isTrusted) return;
    if (knob.getAttribute('aria-checked') === 'true') return flipped();
    if (knob.hasAttribute('aria-disabled')) return hidden() ? tell('covered') : undefined;
    const done = () => {
      tell('');
      flipped();
    };
    if (confirmed()) return done();
    ask(done);
    tell('confirm');
  });
}
