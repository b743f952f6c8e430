// @ts-check
/** Publishers' pages with the widget: strict, isolated, hostile. */
import { createServer } from 'node:http';

/** @typedef {{ html: string, headers?: Record<string, string> }} Page */

const ATTEMPT = `{
  const widget = document.querySelector('footbridge-widget');
  const frame = widget.shadowRoot.querySelector('iframe');
  for (const name of ['on', 'checked', 'active', 'autoplay', 'autostart', 'start'])
    for (const element of [widget, frame]) element.setAttribute(name, 'true');
  const events = () => [
    new MouseEvent('click', { bubbles: true, composed: true, clientX: 360, clientY: 25 }),
    new PointerEvent('pointerdown', { bubbles: true, composed: true }),
    new PointerEvent('pointerup', { bubbles: true, composed: true }),
    new KeyboardEvent('keydown', { key: ' ', code: 'Space', bubbles: true, composed: true }),
    new KeyboardEvent('keyup', { key: 'Enter', code: 'Enter', bubbles: true, composed: true }),
  ];
  for (const element of [widget, frame]) {
    element.click();
    element.focus();
    for (const event of events()) element.dispatchEvent(event);
  }
  for (const message of ['on', 'start', { did: 'switch', on: true }, { do: 'ready' },
    { type: 'click', on: true }, { switch: true }])
    for (const target of [frame.contentWindow, window]) target.postMessage(message, '*');
  frame.src += '#on';
  const second = document.createElement('footbridge-widget');
  second.setAttribute('on', '');
  second.on = second.checked = true;
  document.body.append(second);
}`;

/** @param {string} operator origin that serves widget-1.js @returns {Record<string, Page>} */
const pages = (operator) => {
  const head = '<!doctype html><meta charset="utf-8"><title>A publisher</title>';
  const tag = `<script type="module" src="${operator}/widget-1.js"></script>` +
    '<footbridge-widget></footbridge-widget>';
  return {
    plain: { html: head + tag },
    strict: {
      html: head + tag,
      headers: {
        'content-security-policy':
          `default-src 'none'; script-src ${operator}; frame-src ${operator}; img-src 'self'`,
      },
    },
    isolated: {
      html: head + tag.replace('<script', '<script crossorigin'),
      headers: {
        'cross-origin-embedder-policy': 'require-corp',
        'cross-origin-opener-policy': 'same-origin',
      },
    },
    sandboxed: {
      html: `${head}<iframe id="frame" sandbox="allow-scripts" width="400" height="232"
        src="${operator}/frame.html"></iframe>`,
    },
    'sandboxed-popups': {
      html: `${head}<iframe id="frame" width="400" height="232" src="${operator}/frame.html"
        sandbox="allow-scripts allow-popups allow-popups-to-escape-sandbox"></iframe>`,
    },
    hostile: {
      html: `${head + tag}<script type="module">
        await customElements.whenDefined('footbridge-widget');
        ${ATTEMPT}
        await new Promise((done) => setTimeout(done, 1200));
        ${ATTEMPT}
        document.body.dataset.tried = 'all';
      </script>`,
    },
  };
};

/** Another origin than the operator's. */
export class Publisher {
  /** @param {string} operator */
  static async start(operator) {
    const all = pages(operator);
    const server = createServer((request, response) => {
      const page = all[(request.url ?? '').slice(1)];
      response.writeHead(page ? 200 : 204, // browsers ask for an icon
        { 'content-type': 'text/html; charset=utf-8', ...page?.headers });
      response.end(page?.html);
    });
    await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)));
    return new Publisher(server);
  }

  /** @param {import('node:http').Server} server */
  constructor(server) {
    this.server = server;
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    this.url = `http://127.0.0.1:${port}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
