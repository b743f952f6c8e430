// @ts-check
/**
 * The widget's files as they are in the source, with a stand-in for what runs behind the face; and
 * /page?ATTRIBUTES, a publisher's page with a widget that has those.
 */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname } from 'node:path';

const WIDGET = new URL('../../web/widget/', import.meta.url);
const FAKE = new URL('fakehost.mjs', import.meta.url);
const TYPES = /** @type {Record<string, string>} */ ({
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
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
      const { pathname: path, search } = new URL(request.url ?? '/', 'http://localhost');
      this.fetched.push(path);
      if (path === '/page') {
        response.writeHead(200, { 'content-type': TYPES['.html'] });
        response.end(page(decodeURIComponent(search.slice(1))));
        return;
      }
      try {
        const body = await readFile(path === '/host.js' ? FAKE : new URL(`.${path}`, WIDGET));
        response.writeHead(200, { 'content-type': TYPES[extname(path)],
          'content-security-policy': POLICY });
        response.end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
