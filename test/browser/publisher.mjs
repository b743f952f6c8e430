// @ts-check
/** Publishers' pages with the widget: plain, strict, isolated, hostile. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
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

const hash = createHash('sha384')
  .update(readFileSync(new URL('../../web/widget/widget-1.js', import.meta.url))).digest('base64');
const STRICT_ISOLATED = {
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-opener-policy': 'same-origin',
};
const TEXT = `<p>${'What passes through is sealed. '.repeat(20)}</p>`;

/** @param {string} operator origin that serves widget-1.js @returns {Record<string, Page>} */
const pages = (operator) => {
  const head = '<!doctype html><meta charset="utf-8"><title>A publisher</title>' +
    '<meta name="viewport" content="width=device-width">';
  const script = `<script type="module" src="${operator}/widget-1.js"></script>`;
  const pinned = script.replace('>', ` integrity="sha384-${hash}" crossorigin="anonymous">`);
  const tag = `${script}<footbridge-widget></footbridge-widget>`;
  const policy = `default-src 'none'; script-src ${operator}; frame-src ${operator}; ` +
    `img-src 'self'; style-src 'self'; require-trusted-types-for 'script'; base-uri 'none'`;
  /** @param {string} widgets */
  const article = (widgets) => `${head}${pinned}<link rel="stylesheet" href="article.css">` +
    `<h1>News</h1>${TEXT}${widgets}${TEXT}${TEXT}${TEXT}`;
  return {
    plain: { html: head + tag },
    // All that may be fetched beside: a globe, another language.
    full: { html: head + tag.replace('<footbridge-widget', '<footbridge-widget globe lang="fa"') },
    strict: {
      html: head + tag,
      headers: {
        'content-security-policy':
          `default-src 'none'; script-src ${operator}; frame-src ${operator}; img-src 'self'`,
      },
    },
    isolated: { html: head + tag.replace('<script', '<script crossorigin'),
      headers: STRICT_ISOLATED },
    // As strict as a publisher can be, with the script pinned.
    article: {
      html: article('<footbridge-widget></footbridge-widget>'),
      headers: { 'content-security-policy': policy, ...STRICT_ISOLATED },
    },
    'article.css': { html: 'footbridge-widget { display: block; min-height: 264px }',
      headers: { 'content-type': 'text/css' } },
    changed: {
      html: article('<footbridge-widget></footbridge-widget>').replace(hash, 'A'.repeat(64)),
    },
    several: {
      html: article(['', 'layout="banner" theme="dark"', 'lang="en" layout="badge" theme="light"',
        'layout="floating"', 'layout="nonsense" globe="perhaps"']
        .map((attributes) => `<footbridge-widget ${attributes}></footbridge-widget>`).join(TEXT)),
      headers: { 'content-security-policy': policy },
    },
    below: {
      html: article(`${TEXT.repeat(40)}<footbridge-widget globe></footbridge-widget>`),
      headers: { 'content-security-policy': policy },
    },
    // What a page cannot go below: the frame without the tag.
    bare: { html: `${head}<script type="module" src="bare.js"></script>` },
    'bare.js': {
      html: `const frame = document.createElement('iframe');
        frame.src = '${operator}/frame.html#';
        document.body.append(frame);`,
      headers: { 'content-type': 'text/javascript' },
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
    /** The same as another site than 127.0.0.1's, in a browser's eyes. */
    this.elsewhere = `http://localhost:${port}`;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
