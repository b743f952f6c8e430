// @ts-check
/**
 * Readers and volunteers behind NATs: who can meet does so at the first try, who cannot is not
 * brought together twice, and a reader without UDP is told so.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { noLab } from './lab.mjs';
import { LabNetwork } from './labnet.mjs';

const skip = noLab() || false;
const READY = /^client: ready/m;
const LONG = { timeout: 90000 };

/**
 * How often the client came to a volunteer.
 * @param {import('../browser/program.mjs').Program} client
 */
const tries = (client) => client.output.match(/volunteer found/g)?.length ?? 0;

describe('NATs', { skip }, () => {
  /** @type {LabNetwork} */ let net;
  before(async () => {
    net = await LabNetwork.start();
    const { lab } = net;
    for (const nat of /** @type {import('./lab.mjs').Nat[]} */ (
      ['open', 'address', 'port', 'symmetric', 'no-udp']))
      for (const who of ['reader', 'helper'])
        if (who === 'reader' || nat !== 'no-udp')
          await lab.addHost(`${who}-${nat}`, { nat, link: { delay: 10 } });
  });
  after(() => net?.stop());

  /**
   * @param {import('./lab.mjs').Nat} reader
   * @param {() => Promise<() => Promise<unknown>>} help makes a volunteer, and what ends it
   */
  const meets = async (reader, help) => {
    const end = await help();
    const client = net.client(`reader-${reader}`);
    try {
      await client.says(READY);
      assert.equal(tries(client), 1, client.output);
    } finally {
      await client.stop();
      await end();
    }
  };
  /** @param {string} host */
  const headless = async (host) => {
    const volunteer = await net.volunteer(host);
    return () => volunteer.stop();
  };
  /** @param {string} host */
  const chromium = async (host) => {
    const { browser } = await net.tab(host);
    return () => browser.close();
  };

  for (const nat of ['open', 'address'])
    for (const help of [headless, chromium])
      test(`symmetric reader, ${help.name} volunteer behind ${nat}: first try`, LONG, () =>
        meets('symmetric', () => help(`helper-${nat}`)));

  test('what most readers and volunteers have: first try', LONG, () =>
    meets('port', () => headless('helper-port')));

  test('a volunteer behind a symmetric NAT, a reader whose NAT is open: first try', LONG, () =>
    meets('open', () => headless('helper-symmetric')));

  test('a pair that cannot work is not tried twice, and another volunteer is found', LONG,
    async () => {
      const first = await net.volunteer('helper-port');
      const client = net.client('reader-symmetric');
      await client.says(/no way to the volunteer: no pair of addresses works/, 30000);
      await client.says(/asking the broker for a volunteer\n[^]*asking the broker/);
      const second = await net.volunteer('helper-open');
      await client.says(READY, 40000);
      assert.equal(tries(client), 2, client.output);
      assert.equal(first.output.match(/connection to a reader/g)?.length, 1, first.output);
      await Promise.all([client.stop(), first.stop(), second.stop()]);
    });

  test('a reader without UDP is told so in one line', LONG, async () => {
    const volunteer = await net.volunteer('helper-open');
    const client = net.client('reader-no-udp');
    const [line] = await client.says(/^.*UDP.*$/m, 40000);
    assert.match(line, /^client: no way to the volunteer: this network lets no UDP through/);
    assert.equal(tries(client), 1, client.output);
    await Promise.all([client.stop(), volunteer.stop()]);
  });
});
