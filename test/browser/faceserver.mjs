// @ts-check
/**
 * The widget's files as they are in the source, with a stand-in for what runs behind the face; and
 * /page?ATTRIBUTES, a publisher's page with a widget that has those, and /paper/, the demo's
 * newspaper.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';

const WIDGET = new URL('../../web/widget/', import.meta.url);
const PAPER = new URL('../../web/pages/', import.meta.url);
const FAKE = new URL('fakehost.mjs', import.meta.url);
const TYPES = /** @type {Record<string, string>} */ ({
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
});
// As web/widget/headers has it: what the policy forbids must not work here either.
const POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; " +
  "worker-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'";

/** @param {string} attributes */
const page = (attributes) => `<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>A publisher</title>
<style>body { margin: 0 }</style><script type="module" src="/widget-1.js"></script>
<footbridge-widget ${attributes}></footbridge-widget>`;

export class FaceServer {
  static async start() {
    const face = new FaceServer();
    await new Promise((done) => face.server.listen(0, '127.0.0.1', () => done(undefined)));
    const { port } = /** @type {import('node:net').AddressInfo} */ (face.server.address());
    face.url = `http://127.0.0.1:${port}`;
    return face;
  }

  constructor() {
    this.url = '';
    /** @type {string[]} */ this.fetched = [];
    this.server = createServer(async (request, response) => {
      try {
        const { type, body, policy = {} } = await this.#find(request.url ?? '/');
        response.writeHead(200, { 'content-type': TYPES[type], ...policy });
        response.end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
  }

  /** @param {string} url */
  async #find(url) {
    const { pathname: path, search } = new URL(url, 'http://localhost');
    const type = extname(path) || '.html';
    this.fetched.push(path);
    if (path === '/page') return { type, body: page(decodeURIComponent(search.slice(1))) };
    if (path.startsWith('/paper/')) {
      const file = new URL(path.slice(7) || 'index.html', PAPER);
      return { type, body: (await readFile(file, 'utf8')).replaceAll('{{operator}}', this.url) };
    }
    const file = path === '/host.js' ? FAKE : new URL(`.${path}`, WIDGET);
    return { type, body: await readFile(file), policy: { 'content-security-policy': POLICY } };
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
