// @ts-check
/** The main job, through a real tab: what both browsers' test files run. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Origin, noise, noiseHash } from './origin.mjs';
import { run, until, withDeadline } from './program.mjs';

const MIB = 1024 * 1024;
const BIG = process.env.FB_FULL ? 100 * 1000 * 1000 : 32 * MIB;
const BIG_MS = 240000;
const LONG = { timeout: 120000 };

/** @param {string} path */
async function fileHash(path) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** @param {import('./browsers.mjs').BrowserName} name */
export function carryThrough(name) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`a reader through ${name}`, { skip }, () => {
    /** @type {Origin} */ let origin;
    /** @type {Network} */ let network;
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;
    /** @type {import('./browsers.mjs').Visit} */ let visit;

    before(async () => {
      origin = await Origin.start();
      network = await Network.start({ allow: [`127.0.0.1:${origin.port}`] });
      browser = await launch(name);
    }, { timeout: 120000 });

    after(async () => {
      await browser?.close();
      const status = await network?.stop();
      origin?.stop();
      assert.equal(status, 0, network?.demo.output);
    }, { timeout: 60000 });

    test('the switch is off until it is clicked, and then waits or carries', async () => {
      visit = await browser.visit(network.site);
      const face = await visit.face();
      assert.equal(face.state, 'off');
      assert.equal(face.on, false);
      await visit.flip();
      await visit.until('carrying');
      assert.deepEqual(visit.errors, []);
    });

    for (const way of /** @type {const} */ (['socks', 'connect'])) {
      test(`curl by ${way}, the name resolved at the egress`, async () => {
        const url = `http://localhost:${origin.port}/hello?${way}`;
        const { status, stdout, output } = await network.curl(way, [url]);
        assert.equal(status, 0, output);
        assert.equal(stdout, `hello ?${way}\n`);
      });

      test(`download by ${way}`, async () => {
        const into = join(network.dir, `down-${way}`);
        const url = `${origin.url}/noise/${BIG}/${way}`;
        const { status, output } = await network.curl(way, ['-o', into, url], { ms: BIG_MS });
        assert.equal(status, 0, output);
        assert.equal(await fileHash(into), noiseHash(BIG, way));
      });
    }

    test('an absolute-form request', async () => {
      const { status, stdout, output } = await run('curl', ['--silent', '--fail', '--noproxy', '',
        '--proxy', `http://${network.proxy}`, `${origin.url}/hello?plain`]);
      assert.equal(status, 0, output);
      assert.equal(stdout, 'hello ?plain\n');
    });

    test('upload', async () => {
      const from = join(network.dir, 'up');
      writeFileSync(from, Buffer.concat([...noise(BIG, 'up')]));
      const { status, stdout, output } = await network.curl('socks',
        ['-H', 'Expect:', '--data-binary', `@${from}`, `${origin.url}/hash`], { ms: BIG_MS });
      assert.equal(status, 0, output);
      assert.equal(stdout, noiseHash(BIG, 'up'));
    });

    test('20 requests at once', async () => {
      const all = Array.from({ length: 20 }, (_, i) => i);
      const results = await Promise.all(all.map((i) =>
        network.curl('socks', [`${origin.url}/noise/200000/n${i}`, '-o',
          join(network.dir, `n${i}`)])));
      for (const i of all) {
        assert.equal(results[i].status, 0, results[i].output);
        assert.equal(await fileHash(join(network.dir, `n${i}`)), noiseHash(200000, `n${i}`));
      }
    });

    test('git clone', async () => {
      const head = origin.makeRepository();
      const clone = join(network.dir, 'clone');
      const { status, output } = await run('git', ['-c', `http.proxy=socks5h://${network.proxy}`,
        'clone', '-q', `${origin.url}/git/repo.git`, clone]);
      assert.equal(status, 0, output);
      const parsed = await run('git', ['-C', clone, 'rev-parse', 'HEAD']);
      assert.equal(parsed.stdout.trim(), head);
      const checked = await run('git', ['-C', clone, 'fsck', '--strict']);
      assert.equal(checked.status, 0, checked.output);
    });

    test('the face tells what was carried', async () => {
      await visit.until('carrying');
      const face = await visit.face();
      assert.equal(face.on, true);
      assert.match(face.status, /^Helping 1 person/);
      assert.equal(face.helped, '1');
      assert.match(face.carried, /MB$/);
    });

    test('switched off, the path closes and stays closed; on, it carries again', async () => {
      const hello = `${origin.url}/hello?again`;
      await visit.flip();
      await visit.until('off');
      assert.equal((await visit.face()).on, false);
      const nobody = await network.curl('socks', ['--max-time', '5', hello]);
      assert.notEqual(nobody.status, 0, 'somebody carried it');
      assert.equal((await visit.face()).state, 'off');
      await visit.flip();
      await visit.until('carrying');
      const again = await network.curl('socks', [hello]);
      assert.equal(again.status, 0, again.output);
    });

    /**
     * A download goes on when its volunteer is gone and a headless one waits.
     * @param {string} seed
     * @param {() => unknown} end
     */
    async function survives(seed, end) {
      const size = 8 * MIB;
      const into = join(network.dir, seed);
      const volunteer = await network.addVolunteer();
      const before = origin.sent;
      const curl = network.startCurl('-o', into, `${origin.url}/noise/${size}/${seed}?rate=${MIB}`);
      await until(() => origin.sent - before > 2 * MIB, 'a quarter of the file');
      await end();
      assert.equal(await withDeadline(curl.ended, 90000, 'curl to end'), 0, curl.output);
      assert.equal(await fileHash(into), noiseHash(size, seed));
      return volunteer;
    }

    test('the tab closes in mid-download, and a waiting volunteer takes over', LONG, async () => {
      const volunteer = await survives('tab', () => visit.close());
      await volunteer.stop();
    });

    test('the browser is killed in mid-download, likewise', LONG, async () => {
      visit = await browser.visit(network.site);
      await visit.flip();
      await visit.until('carrying');
      await survives('browser', () => browser.kill());
    });
  });
}
