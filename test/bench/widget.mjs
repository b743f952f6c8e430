// @ts-check
/** What a visitor's browser fetches from the operator until the switch works, as it is served. */
import { connect } from 'node:net';

import { launch } from '../browser/browsers.mjs';
import { Publisher } from '../browser/publisher.mjs';
import { Servers } from './stage.mjs';
import { wait } from './traffic.mjs';

export const names = ['widget_bytes', 'widget_bytes_full', 'wasm_bytes'];

const SETTLED_MS = 2000; // a globe comes after the switch

/**
 * Head and body, as they came.
 * @param {string} url
 * @returns {Promise<{ head: number, body: number }>}
 */
function fetchRaw(url) {
  const { hostname, port, pathname } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    /** @type {Buffer[]} */ const chunks = [];
    socket.setTimeout(10000, () => socket.destroy(new Error(`${pathname}: no answer`)));
    socket.on('data', (data) => chunks.push(data));
    socket.on('error', reject);
    socket.on('close', () => {
      const all = Buffer.concat(chunks);
      const head = all.indexOf('\r\n\r\n') + 4;
      if (!all.toString('latin1', 0, head).startsWith('HTTP/1.1 200'))
        return reject(new Error(`${pathname}: ${all.toString('latin1', 0, 40)}`));
      resolve({ head, body: all.length - head });
    });
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
      'Accept-Encoding: gzip, deflate, br\r\nConnection: close\r\n\r\n');
  });
}

/**
 * Everything that came from the operator.
 * @param {string} operator
 * @param {string} name of the publisher's page
 * @param {number} settled milliseconds after the switch
 * @returns {Promise<string[]>}
 */
async function fetched(operator, name, settled) {
  const listed = `performance.getEntriesByType('resource').map(({ name }) => name)`;
  const publisher = await Publisher.start(operator);
  const browser = await launch('chromium');
  try {
    const visit = await browser.visit(`${publisher.url}/${name}`);
    await visit.flip();
    await visit.until('waiting');
    await wait(settled);
    const { page, frame } = visit;
    const all = [frame.url(), ...(await page.evaluate(listed)), ...(await frame.evaluate(listed))];
    for (const worker of page.workers())
      all.push(worker.url(), ...(await worker.evaluate(listed)));
    return [...new Set(all)].filter((url) => url.startsWith(`${operator}/`)).sort();
  } finally {
    await browser.close();
    publisher.stop();
  }
}

/** Heads and bodies. @param {string[]} urls @returns {Promise<Record<string, number>>} by path */
async function sizes(urls) {
  /** @type {Record<string, number>} */ const files = {};
  for (const url of urls) {
    const { head, body } = await fetchRaw(url);
    files[new URL(url).pathname] = head + body;
  }
  return files;
}

/** @param {Record<string, number>} files */
const sum = (files) => Object.values(files).reduce((a, b) => a + b, 0);

/**
 * @param {unknown} _
 * @param {import('./results.mjs').Results} results
 */
export async function measure(_, results) {
  /** @type {Record<string, number>} */ let files;
  /** @type {Record<string, number>} */ let full;
  const servers = await Servers.start({});
  try {
    files = await sizes(await fetched(servers.operator, 'plain', 0));
    full = { ...files, ...await sizes(await fetched(servers.operator, 'full', SETTLED_MS)) };
  } finally {
    await servers.stop();
  }
  results.add('widget_bytes', 'bytes', [sum(files)], { files });
  results.add('widget_bytes_full', 'bytes', [sum(full)], { files: full });
  const wasm = Object.entries(files).filter(([path]) => path.endsWith('.wasm'));
  results.add('wasm_bytes', 'bytes', [wasm.reduce((all, [, bytes]) => all + bytes, 0)]);
}
