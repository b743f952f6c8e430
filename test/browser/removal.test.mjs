// @ts-check
/**
 * The widget is taken off the page in mid-download: everything closes at once, and the download
 * goes on elsewhere.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Origin, noiseHash } from './origin.mjs';
import { until, withDeadline } from './program.mjs';

const MIB = 1024 * 1024;
const SIZE = 8 * MIB;
const AT_ONCE_MS = 3000; // a side that is not told finds out by silence, after 5 s at the least

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`taken off the page, in ${name}`, { skip }, () => {
    /** @type {Origin} */ let origin;
    /** @type {Network} */ let network;
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

    before(async () => {
      origin = await Origin.start();
      network = await Network.start({ allow: [`127.0.0.1:${origin.port}`] });
      browser = await launch(name);
    }, { timeout: 120000 });

    after(async () => {
      await browser?.close();
      await network?.stop();
      origin?.stop();
    }, { timeout: 60000 });

    test('the download survives, the path is closed and not found dead', { timeout: 120000 },
      async () => {
        const visit = await browser.visit(network.site);
        await visit.flip();
        await visit.until('carrying');
        const volunteer = await network.addVolunteer();
        const into = join(network.dir, 'removal');
        const curl = network.startCurl('-o', into,
          `${origin.url}/noise/${SIZE}/removal?rate=${MIB}`);
        await until(() => origin.sent > 2 * MIB, 'a quarter of the file');
        const said = network.demo.output.length;
        await visit.page.evaluate(() => document.querySelector('footbridge-widget')?.remove());
        await until(() => /the volunteer is gone: closed by the other side/
          .test(network.demo.output.slice(said)), 'the path to be closed', AT_ONCE_MS);
        assert.equal(await withDeadline(curl.ended, 90000, 'curl to end'), 0, curl.output);
        const hash = createHash('sha256');
        for await (const chunk of createReadStream(into)) hash.update(chunk);
        assert.equal(hash.digest('hex'), noiseHash(SIZE, 'removal'));
        await visit.close();
        await volunteer.stop();
      });
  });
}
