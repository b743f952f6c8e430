// @ts-check
/**
 * A program for a host of the laboratory: node tab.mjs BROWSER SITE opens the widget's frame, flips
 * the switch, and says "waiting", then "lanes N" whenever that many peer connections are connected.
 * SIGUSR2 closes one of them, as if it had died, and it says "killed". SIGTERM ends it.
 */
import { launch } from '../browser/browsers.mjs';

const [name, site] = process.argv.slice(2);
const browser = await launch(
  /** @type {import('../browser/browsers.mjs').BrowserName} */ (name), true);
process.on('SIGTERM', async () => {
  await browser.close();
  process.exit(0);
});

function record() {
  const scope = /** @type {any} */ (globalThis);
  /** @type {RTCPeerConnection[]} */ const peers = scope.peers = [];
  scope.RTCPeerConnection = class extends RTCPeerConnection {
    /** @param {RTCConfiguration} config */
    constructor(config) {
      super(config);
      peers.push(this);
    }
  };
}

const page = /** @type {any} */ (await browser.newPage());
await (page.addInitScript ?? page.evaluateOnNewDocument).call(page, record);
await page.goto(`${site}/frame.html`);
await page.bringToFront();
await (await page.waitForSelector('#switch:not([aria-disabled])')).click();
await page.waitForSelector('#face[data-state="waiting"]');
console.log('waiting');

process.on('SIGUSR2', async () => {
  await page.evaluate(() => {
    const { peers } = /** @type {any} */ (globalThis);
    peers.filter((/** @type {RTCPeerConnection} */ pc) => pc.connectionState === 'connected')
      .pop()?.close();
  });
  console.log('killed');
});

for (let said = 0; ;) {
  const lanes = await page.evaluate(() => {
    const { peers } = /** @type {any} */ (globalThis);
    return peers.filter((/** @type {RTCPeerConnection} */ pc) => pc.connectionState === 'connected')
      .length;
  });
  if (lanes !== said) console.log(`lanes ${lanes}`);
  said = lanes;
  await new Promise((done) => setTimeout(done, 100));
}
