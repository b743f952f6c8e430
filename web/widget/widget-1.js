// @ts-check
/**
 * <footbridge-widget>: puts the operator's frame on a publisher's page, and nothing else.
 *
 * It does not listen to the frame, fetches nothing and stores nothing. What the publisher wrote in
 * attributes (attributes.js) goes into the fragment of the frame's address and decides how the
 * widget looks, never whether it is on. Pages pin this file by its hash: once released it is never
 * changed, a change is a widget-2.js beside it (doc/widget.md). So it imports nothing.
 */
const FRAME = new URL('frame.html', import.meta.url).href;
const PAGE = String(Math.random()); // the frames of one page find each other by it, to share a bridge
const PASSED = ['layout', 'theme', 'globe', 'stats', 'lang', 'rate', 'people', 'info', 'donate'];

// An object, which needs no style-src. Sizes follow from attributes and the room there is, and not
// from what the frame shows: nothing moves later. The page's rules for the element win over :host.
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host { display: block; container-type: inline-size; max-inline-size: 480px; }
iframe {
  display: block; inline-size: 100%; block-size: 264px;
  border: 0; border-radius: 14px; color-scheme: light dark;
}
@container (max-width: 400px) { iframe { block-size: 332px; } }
:host(:is([globe=""], [globe=on], [globe=true])) iframe { block-size: 488px; }
:host([layout=banner]) { max-inline-size: none; }
:host([layout=banner]) iframe { block-size: 108px; }
@container (max-width: 959px) { :host([layout=banner]) iframe { block-size: 152px; } }
@container (max-width: 480px) { :host([layout=banner]) iframe { block-size: 212px; } }
:host([layout=badge]) { max-inline-size: 320px; }
:host([layout=badge]) iframe { block-size: 64px; }
@container (max-width: 319px) { :host([layout=badge]) iframe { block-size: 80px; } }
button { display: none; }
:host([layout=floating]) {
  position: fixed; z-index: 1000; inset-block-end: 16px; inset-inline-end: 16px;
  inline-size: 320px; max-inline-size: calc(100vw - 32px);
}
:host([layout=floating]) iframe {
  max-block-size: calc(100vh - 72px); box-shadow: 0 4px 20px #0004;
}
:host([layout=floating]:not([folded=off], [folded=false])) iframe { block-size: 64px; }
@container (max-width: 319px) {
  :host([layout=floating]:not([folded=off], [folded=false])) iframe { block-size: 80px; }
}
:host([layout=floating]:is([folded=off], [folded=false])) { inline-size: 360px; }
:host([layout=floating]) button {
  display: block; inline-size: 44px; block-size: 32px; margin: 0; padding: 0;
  margin-block-end: 6px; margin-inline-start: auto;
  border: 1px solid GrayText; border-radius: 16px;
  color-scheme: light dark; background: Canvas; color: CanvasText; cursor: pointer;
}
:host([theme=light]) button { color-scheme: light; }
:host([theme=dark]) button { color-scheme: dark; }
button::before {
  content: ''; display: block; inline-size: 9px; block-size: 9px; margin: -5px auto 0;
  border: solid; border-width: 0 2px 2px 0; transform: rotate(45deg);
}
button[aria-expanded=false]::before { margin-block-start: 4px; transform: rotate(225deg); }
:host([hidden]) { display: none; }
@media print { :host { display: none; } }
`);

class FootbridgeWidget extends HTMLElement {
  static observedAttributes = [...PASSED, 'folded'];
  /** @type {HTMLIFrameElement | undefined} */ #frame;
  #fold = document.createElement('button');
  #address = '';
  #changing = false;

  constructor() {
    super();
    const shadow = this.attachShadow({ mode: 'open' });
    shadow.adoptedStyleSheets = [sheet];
    this.#fold.type = 'button';
    this.#fold.setAttribute('aria-label', 'Footbridge'); // "expanded" is said in any language
    this.#fold.onclick = () => this.setAttribute('folded', this.#folded ? 'off' : 'on');
    shadow.append(this.#fold);
  }

  connectedCallback() {
    this.#read();
    this.#frame = document.createElement('iframe');
    this.#frame.src = this.#address;
    this.#frame.title = 'Footbridge';
    this.#frame.referrerPolicy = 'no-referrer';
    this.#frame.allow = 'battery'; // it pauses when the battery is low
    this.#fold.after(this.#frame);
  }

  disconnectedCallback() {
    this.#frame?.remove();
    this.#frame = undefined;
  }

  connectedMoveCallback() {} // moveBefore() leaves the frame as it is

  attributeChangedCallback() {
    if (this.#changing) return; // several at once are one change
    this.#changing = true;
    queueMicrotask(() => {
      this.#changing = false;
      const before = this.#address;
      this.#read();
      // By src it would be a step in the page's history.
      if (this.#address !== before) this.#frame?.contentWindow?.location.replace(this.#address);
    });
  }

  get #folded() {
    return !/^(off|false)$/.test(this.getAttribute('folded') ?? '');
  }

  #read() {
    const fragment = new URLSearchParams();
    for (const name of PASSED)
      if (this.hasAttribute(name)) fragment.set(name, this.getAttribute(name) ?? '');
    if (fragment.get('layout') === 'floating' && this.#folded) fragment.set('layout', 'badge');
    this.#fold.setAttribute('aria-expanded', String(!this.#folded));
    fragment.set('page', PAGE);
    this.#address = `${FRAME}#${fragment}`; // without '#' it would be another load
  }
}

// A second tag with this script on one page finds the name taken.
if (!customElements.get('footbridge-widget'))
  customElements.define('footbridge-widget', FootbridgeWidget);
