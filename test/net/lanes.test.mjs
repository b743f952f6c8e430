// @ts-check
/**
 * Lanes where they are needed: 100 ms from the reader to the volunteer, one packet in a hundred is
 * lost. They come by themselves, one dies in the middle of a download, nothing of it is missed.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { browserPath } from '../browser/browsers.mjs';
import { noiseHash } from '../browser/origin.mjs';
import { until } from '../browser/program.mjs';
import { noLab } from './lab.mjs';
import { LabNetwork, PROXY } from './labnet.mjs';

const skip = noLab() || false;
const LONG = { timeout: 180000 };
const SIZE = 8 << 20;
const ENOUGH = 8; // lanes: half of what a path may have
const here = (/** @type {string} */ file) => fileURLToPath(new URL(file, import.meta.url));

describe('lanes', { skip }, () => {
  /** @type {LabNetwork} */ let net;
  let origin = '';
  before(async () => {
    net = await LabNetwork.start();
    const { lab } = net;
    await lab.addHost('reader', { link: { delay: 50, loss: 0.01 } });
    await lab.addHost('helper');
    const script = `
      const { Origin } = await import(${JSON.stringify(here('../browser/origin.mjs'))});
      console.log((await Origin.start('${lab.address('origin')}')).url);`;
    const server = lab.run('origin', process.execPath, ['--input-type=module', '-e', script]);
    [origin] = await server.says(/http:\S+/);
  });
  after(() => net?.stop());

  /** Ports of the client's UDP sockets: one for each lane. */
  const ports = () => {
    const [file, ...prefix] = net.lab.command('reader');
    const all = execFileSync(file, [...prefix, 'ss', '-Hun', 'state', 'all'], { encoding: 'utf8' });
    return [...all.matchAll(/20\.0\.\d+\.2:(\d+)/g)].map(([, port]) => port);
  };

  /** @param {string} name @param {() => Promise<unknown>} cut a lane, once there are some */
  const download = async (name, cut) => {
    const client = net.client('reader', '--paths', '1');
    await client.says(/^client: ready/m);
    const into = join(net.dir, name);
    const curl = net.lab.run('reader', 'curl', ['--silent', '--show-error', '--fail',
      '--socks5-hostname', PROXY, '-o', into, `${origin}/noise/${SIZE}/${name}`]);
    await cut();
    assert.equal(await curl.ended, 0, curl.output);
    const [hash] = execFileSync('sha256sum', [into], { encoding: 'utf8' }).split(' ');
    assert.equal(hash, noiseHash(SIZE, name));
    // The path was never lost: one volunteer was found, and has stayed.
    assert.equal(client.output.match(/volunteer found/g)?.length, 1, client.output);
    assert.doesNotMatch(client.output, /lost|gone|left/);
    await client.stop();
  };

  test('headless volunteer; a lane falls silent', LONG, async () => {
    const volunteer = await net.volunteer('helper');
    await download('headless', async () => {
      await until(() => ports().length >= ENOUGH, 'lanes', 30000);
      const port = ports().pop();
      const cut = net.lab.run('reader', 'nft', [`table inet cut {
        chain in { type filter hook input priority 0; udp dport ${port} drop; }
        chain out { type filter hook output priority 0; udp sport ${port} drop; }
      }`]);
      assert.equal(await cut.ended, 0, cut.output);
    });
    await volunteer.stop();
  });

  for (const name of /** @type {const} */ (['chromium', 'firefox']))
    test(`${name}; a lane is closed`, LONG, async (context) => {
      if (!browserPath(name)) return context.skip(`no ${name} here`);
      const tab = net.lab.run('helper', process.execPath, [here('tab.mjs'), name, net.site]);
      await tab.says(/waiting/, 60000);
      await download(name, async () => {
        await tab.says(/lanes ([89]|1\d)/, 30000);
        tab.child.kill('SIGUSR2');
        await tab.says(/killed/);
      });
      await tab.stop();
    });
});
