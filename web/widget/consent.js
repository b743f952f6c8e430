// @ts-check
/**
 * The visitor's own hand on a switch: a button with role "switch" takes input only once it has been
 * in view for ARM_MS (until then it is aria-disabled), and only from events that the browser marks
 * as the visitor's own.
 */

const ARM_MS = 500; // a frame that a page pops up under a click is not what the visitor meant

/**
 * @param {HTMLElement} knob
 * @param {() => void} flipped by the visitor
 */
export function arm(knob, flipped) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  const seen = new IntersectionObserver(([entry]) => {
    clearTimeout(timer);
    knob.setAttribute('aria-disabled', 'true');
    if (!entry.isIntersecting) return;
    timer = setTimeout(() => knob.removeAttribute('aria-disabled'), ARM_MS);
  }, { threshold: 0.9 });
  seen.observe(knob);
  knob.addEventListener('click', (event) => {
    if (event.isTrusted && !knob.hasAttribute('aria-disabled')) flipped();
  });
}
