// @ts-check
/** What the widget finds out about where it is: NAT, UDP, metered connection, battery, country. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';

import { browserPath, launch } from './browsers.mjs';
import { Network } from './network.mjs';
import { Publisher } from './publisher.mjs';

/** @typedef {import('./browsers.mjs').Visit} Visit */

const COOKIE = 0x2112a442;
// Firefox asks no STUN server on a loopback address.
const HERE = Object.values(networkInterfaces()).flat()
  .find((at) => at?.family === 'IPv4' && !at.internal)?.address ?? '127.0.0.1';

/** @type {import('node:dgram').Socket[]} */ const sockets = [];

/**
 * A STUN server (RFC 8489) that answers with this port of 198.51.100.7, whoever asks; without one,
 * never.
 * @param {number} [port]
 * @returns {Promise<string>} URL
 */
async function stun(port) {
  const socket = createSocket('udp4');
  sockets.push(socket);
  socket.on('message', (data, from) => {
    if (!port || data.readUInt16BE(0) !== 1) return; // no binding request
    const reply = Buffer.alloc(32);
    reply.writeUInt16BE(0x0101, 0);
    reply.writeUInt16BE(12, 2);
    data.copy(reply, 4, 4, 20);
    reply.writeUInt16BE(0x0020, 20); // XOR-MAPPED-ADDRESS
    reply.writeUInt16BE(8, 22);
    reply.writeUInt16BE(1, 24);
    reply.writeUInt16BE(port ^ (COOKIE >>> 16), 26);
    reply.writeUInt32BE(((198 << 24 | 51 << 16 | 100 << 8 | 7) ^ COOKIE) >>> 0, 28);
    socket.send(reply, from.port, from.address);
  });
  await new Promise((done) => socket.bind(0, HERE, () => done(undefined)));
  return `stun:${HERE}:${socket.address().port}`;
}

/** In every frame, before its scripts: a machine, and what the bridge is told. */
function record() {
  const scope = /** @type {any} */ (window);
  scope.told = [];
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (/** @type {any} */ news, /** @type {any} */ how) {
    scope.told.push(news);
    return post.call(this, news, how);
  };
  scope.battery = Object.assign(new EventTarget(), { level: 0.5, charging: false });
  scope.connection = { saveData: false };
  Object.defineProperty(navigator, 'connection', { value: scope.connection });
  Object.defineProperty(navigator, 'getBattery', { value: async () => scope.battery });
}

for (const name of /** @type {const} */ (['chromium', 'firefox'])) {
  const skip = browserPath(name) ? false : `no ${name} here`;
  describe(`where it is, in ${name}`, { skip }, () => {
    /** @type {Network} */ let network;
    /** @type {Publisher} */ let publisher;
    /** @type {Awaited<ReturnType<typeof launch>>} */ let browser;

    before(async () => {
      network = await Network.start();
      publisher = await Publisher.start(await network.operator);
      browser = await launch(name);
    }, { timeout: 120000 });

    after(async () => {
      await browser?.close();
      publisher?.stop();
      await network?.stop();
      for (const socket of sockets.splice(0)) socket.close();
    }, { timeout: 60000 });

    /** @param {Visit} visit @param {string[]} servers */
    const look = (visit, servers) => visit.frame.evaluate(
      async (/** @type {string[]} */ urls) =>
        (await import(new URL('nat.js', location.href).href)).look(urls), servers);

    test('the kind of NAT, by two STUN servers, and whether UDP works at all', async () => {
      const visit = await browser.visit(`${publisher.url}/plain`);
      const real = await visit.frame.evaluate(async () =>
        (await (await fetch('v1/widget')).json()).stun);
      assert.equal((await look(visit, real)).udp, true);
      const [one, same, other, silent, mute] =
        [await stun(4000), await stun(4000), await stun(5000), await stun(), await stun()];
      assert.deepEqual(await look(visit, [one, same]), { udp: true, nat: 'easy' });
      assert.deepEqual(await look(visit, [one, other]), { udp: true, nat: 'hard' });
      assert.deepEqual(await look(visit, [one, silent]), { udp: true, nat: 'unknown' });
      assert.deepEqual(await look(visit, [mute, silent]), { udp: false, nat: 'unknown' });
      assert.deepEqual(await look(visit, [one]), { udp: true, nat: 'unknown' });
      await visit.close();
    });

    /** A page whose frame says what the bridge was told. */
    async function recorded() {
      const page = /** @type {any} */ (await browser.newPage());
      await (page.addInitScript ?? page.evaluateOnNewDocument).call(page, record);
      return browser.visitOn(page, `${publisher.url}/plain`);
    }

    /**
     * @param {Visit} visit
     * @param {(news: any) => boolean} which
     * @returns {Promise<any[]>}
     */
    async function told(visit, which) {
      for (const late = Date.now() + 15000; Date.now() < late;) {
        const all = await visit.frame.evaluate(() => /** @type {any} */ (window).told
          .filter((/** @type {any} */ { did }) => did !== 'channel'));
        const found = all.filter(which);
        if (found.length > 0) return found;
      }
      throw new Error('the bridge was not told');
    }

    test('the bridge is told: settings, place, then the switch, and the NAT', async () => {
      const visit = await recorded();
      await visit.flip();
      await told(visit, ({ did }) => did === 'nat');
      const all = await told(visit, () => true);
      const order = all.map(({ did }) => did);
      assert.deepEqual(order.slice(0, 2), ['settings', 'place']);
      assert.ok(order.indexOf('switch') > 1);
      assert.equal(all[0].settings.people, 4);
      assert.deepEqual(all[1], { did: 'place', metered: false, lowBattery: false });

      await visit.frame.evaluate(() => {
        const { battery, connection } = /** @type {any} */ (window);
        battery.level = 0.19;
        battery.onlevelchange();
        connection.saveData = true;
        connection.onchange();
        battery.charging = true;
        battery.onchargingchange();
        connection.saveData = false;
        connection.type = 'cellular';
        connection.onchange();
      });
      await told(visit, ({ did, metered, lowBattery }) =>
        did === 'place' && metered && !lowBattery);
      const places = await told(visit, ({ did }) => did === 'place');
      assert.deepEqual(places.slice(-4).map(({ metered, lowBattery }) => [metered, lowBattery]),
        [[false, true], [true, true], [true, false], [true, false]]);
      await visit.close();
    });

    test('in a country that censors it starts only when the visitor insists', async () => {
      const visit = await recorded();
      await visit.frame.evaluate(() => { // as the broker says it there
        const { fetch: real } = window;
        window.fetch = async (what, how) => {
          const reply = await real(what, how);
          return String(what).endsWith('v1/widget')
            ? Response.json({ ...(await reply.json()), country: 'IR', censored: true }) : reply;
        };
        window.Worker = /** @type {any} */ (undefined); // so that the bridge is on this thread
      });
      const view = await visit.frame.evaluate(async () => {
        const { Host } = await import(new URL('host.js', location.href).href);
        const scope = /** @type {any} */ (window);
        scope.host = new Host();
        scope.host.flip(true);
        return new Promise((done) => scope.host.show((/** @type {any} */ seen) =>
          seen.censored && done(seen)));
      });
      assert.deepEqual([view.state, view.on, view.censored], ['off', false, 'IR']);
      const state = await visit.frame.evaluate(() => {
        const { host } = /** @type {any} */ (window);
        host.flip(true, { anyway: true });
        return new Promise((done) => host.show((/** @type {any} */ { state }) =>
          ['waiting', 'carrying'].includes(state) && done(state)));
      });
      assert.match(state, /waiting|carrying/);
      await visit.close();
    });
  });
}
