// @ts-check
/**
 * <footbridge-widget>: puts the operator's frame on a publisher's page, and nothing else.
 *
 * It does not listen to the frame, fetches nothing and stores nothing. What the publisher wrote in
 * attributes (attributes.js) goes into the fragment of the frame's address and decides how the
 * widget looks, never whether it is on. Pages pin this file by its hash: once released it is never
 * changed, a change is a widget-2.js beside it (doc/widget.md). So it imports nothing.
 */
const FRAME = import.meta.url.replace(/[^/]*([?#].*)?$/, 'frame.html');
const PASSED = ['layout', 'theme', 'globe', 'stats', 'lang', 'rate', 'people', 'info', 'donate'];

/** The frames of one page find each other by it, to share a bridge. */
const PAGE = String(Math.random()).slice(2);

/** Pixels: how wide at most, how high; then, in a column of so much at most, how high instead. */
const PANEL = [480, 264, 400, 332];
const SIZES = new Map([
  ['banner', [9999, 108, 959, 152, 480, 212]],
  ['floating', [360, 288, 339, 332]],
  ['badge', [320, 64, 319, 80]],
]);
const GLOBE = 488; // high, with a globe

const FLOATING = `
:host {
  position: fixed; z-index: 1000; inset-block-end: 16px; inset-inline-end: 16px;
  inline-size: calc(100vw - 32px);
}
iframe { max-block-size: calc(100vh - 72px); box-shadow: 0 4px 20px #0004; }
button {
  display: block; inline-size: 44px; block-size: 32px; margin: 0; padding: 0;
  margin-block-end: 6px; margin-inline-start: auto; border: 1px solid GrayText;
  border-radius: 16px; background: Canvas; color: CanvasText; cursor: pointer;
}
button::before {
  content: ''; display: block; inline-size: 9px; block-size: 9px; margin: -5px auto 0;
  border: solid; border-width: 0 2px 2px 0; transform: rotate(45deg);
}
button[aria-expanded=false]::before { margin-block-start: 4px; transform: rotate(225deg); }`;

/** @param {string | null} text @param {boolean} otherwise as attributes.js reads flags */
const flag = (text, otherwise) => /^(on|true|)$/.test(text ?? '-') ||
  (otherwise && !/^(off|false)$/.test(text ?? '-'));

class FootbridgeWidget extends HTMLElement {
  static observedAttributes = [...PASSED, 'folded'];
  #shadow = this.attachShadow({ mode: 'open' });
  #sheet = new CSSStyleSheet(); // needs no style-src
  /** @type {HTMLIFrameElement | undefined} */ #frame;
  /** @type {HTMLButtonElement | undefined} */ #fold;
  #address = ''; // that the frame is to have
  #there = ''; // that it was sent to
  #loaded = false;
  #changing = false;

  connectedCallback() {
    this.#shadow.adoptedStyleSheets = [this.#sheet];
    this.#read();
    const frame = document.createElement('iframe');
    frame.src = this.#there = this.#address;
    frame.title = 'Footbridge';
    frame.referrerPolicy = 'no-referrer';
    frame.onload = () => {
      this.#loaded = true;
      this.#go();
    };
    this.#shadow.append(this.#frame = frame);
  }

  disconnectedCallback() {
    this.#frame?.remove();
    this.#frame = undefined;
    this.#loaded = false;
  }

  connectedMoveCallback() {} // moveBefore() leaves the frame as it is

  attributeChangedCallback() {
    if (this.#changing || !this.#frame) return; // several at once are one change
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      this.#read();
      this.#go();
    });
  }

  /** By src it would be a step in the history; a frame sent on while it loads may get lost. */
  #go() {
    if (!this.#loaded || this.#address === this.#there) return;
    this.#frame?.contentWindow?.location.replace(this.#there = this.#address);
  }

  /** What the attributes say now. A folded one is a badge in the corner. */
  #read() {
    const floating = this.getAttribute('layout') === 'floating';
    const folded = flag(this.getAttribute('folded'), true);
    const layout = floating && folded ? 'badge' : this.getAttribute('layout');
    const written = [`page=${PAGE}`];
    for (const name of PASSED) {
      const text = name === 'layout' ? layout : this.getAttribute(name);
      if (text !== null) written.push(`${name}=${encodeURIComponent(text)}`);
    }
    this.#address = `${FRAME}#${written.join('&')}`;
    this.#size(layout ?? '', floating ? FLOATING : '');
    this.#fold?.remove();
    if (floating) this.#shadow.prepend(this.#fold = this.#makeFold(folded));
  }

  /**
   * Sizes follow from attributes and the room there is, not from what the frame shows: nothing
   * moves later. Rules of the page for the element win over those for :host.
   * @param {string} layout
   * @param {string} more rules
   */
  #size(layout, more) {
    let [width, height, ...others] = SIZES.get(layout) ?? PANEL;
    if (flag(this.getAttribute('globe'), false) && !/^(banner|badge)$/.test(layout))
      [height, others] = [GLOBE, []];
    for (let i = 0; i < others.length; i += 2)
      more += `@container (max-width: ${others[i]}px) {
        iframe { block-size: ${others[i + 1]}px; } }`;
    this.#sheet.replaceSync(`
:host { display: block; container-type: inline-size; max-inline-size: ${width}px; }
iframe {
  display: block; inline-size: 100%; block-size: ${height}px; border: 0; border-radius: 14px;
  color-scheme: light dark;
}
${more}
:host([hidden]) { display: none; }
@media print { :host { display: none; } }`);
  }

  /** @param {boolean} folded */
  #makeFold(folded) {
    const theme = this.getAttribute('theme') ?? '';
    const fold = document.createElement('button');
    fold.type = 'button';
    fold.style.colorScheme = /^(light|dark)$/.test(theme) ? theme : 'light dark';
    fold.setAttribute('aria-label', 'Footbridge'); // "expanded" is said in any language
    fold.setAttribute('aria-expanded', String(!folded));
    fold.onclick = () => {
      this.setAttribute('folded', folded ? 'off' : 'on');
      queueMicrotask(() => this.#fold?.focus());
    };
    return fold;
  }
}

// A second tag with this script on one page finds the name taken.
if (!customElements.get('footbridge-widget'))
  customElements.define('footbridge-widget', FootbridgeWidget);
