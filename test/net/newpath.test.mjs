// @ts-check
/**
 * What a further path costs, in round trips of 200 ms between the reader and everybody else: its
 * own STUN, the offer through the session, ICE, DTLS and SCTP, as doc/protocol.md lists them, and
 * nothing to attach it to the egress.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { noLab } from './lab.mjs';
import { LabNetwork } from './labnet.mjs';

const skip = noLab() || false;
const roundTrip = 200;
const expected = 1 + 1 + 1 + 2 + 2;

/** @type {LabNetwork} */ let net;

before(async () => {
  if (skip) return;
  net = await LabNetwork.start();
  for (const host of ['v1', 'v2', 'v3']) {
    await net.lab.addHost(host);
    await net.volunteer(host);
  }
  await net.lab.addHost('reader', { link: { delay: roundTrip / 2 } });
}, { timeout: 60000 });

after(async () => {
  await net?.stop();
});

/** A session with a second path; how long that took, in round trips. */
async function secondPath() {
  const client = net.client('reader', '--paths', '2');
  await client.says(/ready$/m, 30000);
  const ready = Date.now();
  await client.says(/another volunteer: 2 now/, 30000);
  const trips = (Date.now() - ready) / roundTrip;
  // Only the first volunteer was asked for at the broker's door.
  assert.equal(client.output.match(/asking the broker/g)?.length, 1, client.output);
  await client.stop();
  return trips;
}

test('a further path costs as many round trips as it must', { skip, timeout: 100000 }, async () => {
  const trips = [];
  // The best of some: a busy machine adds to them, nothing takes away.
  do trips.push(await secondPath());
  while (Math.min(...trips) >= expected + 1 && trips.length < 6);
  const least = Math.min(...trips);
  assert.ok(least < expected + 1, `${trips.join(', ')} round trips, ${expected} expected`);
  assert.ok(least > expected - 1, `${least} round trips: the delay is not there`);
});
