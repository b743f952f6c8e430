// @ts-check
/**
 * <footbridge-widget>: puts the operator's frame on a publisher's page, and nothing else.
 * Everything happens inside that cross-origin frame; this script neither listens nor speaks to it,
 * so nothing on the page can flip the switch.
 *
 * The page's Content-Security-Policy needs script-src and frame-src with the operator's origin.
 * Styles are set through CSSOM, which needs no style-src.
 */

// The frames of one page find each other by the same number: they share one bridge.
const FRAME = new URL(`frame.html#page=${Math.random()}`, import.meta.url).href;

class FootbridgeWidget extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return; // moved within the page
    const frame = document.createElement('iframe');
    frame.src = FRAME;
    frame.title = 'Footbridge';
    frame.referrerPolicy = 'no-referrer';
    frame.allow = 'battery'; // it pauses when the battery is low
    Object.assign(frame.style, {
      display: 'block',
      inlineSize: '100%',
      maxInlineSize: '480px',
      blockSize: '232px',
      border: '0',
      borderRadius: '14px',
      colorScheme: 'light dark',
    });
    this.style.display ||= 'block';
    this.attachShadow({ mode: 'open' }).append(frame);
  }
}

// A second tag with this script on one page finds the name taken.
if (!customElements.get('footbridge-widget'))
  customElements.define('footbridge-widget', FootbridgeWidget);
