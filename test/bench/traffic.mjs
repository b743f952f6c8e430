// @ts-check
/** Traffic through the network under test, from app to origin and back (traffic.c). */
import { Program } from '../browser/program.mjs';
import { built } from './built.mjs';

/** @typedef {{ bytes: number, offered: number, seconds: number, mbits: number }} Counted */
/** @typedef {{ begin: () => void, end: () => void }} Around both ends of what is counted */

/** @param {number} ms */
export const wait = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * @param {{ proxy: number, originPort: number }} stage
 * @param {'down' | 'up'} direction
 * @param {number} seconds
 * @param {{ bits?: number, around?: Around }} [options] bits a second that the origin sends
 * @returns {Promise<Counted>}
 */
export async function flow({ proxy, originPort }, direction, seconds, { bits, around } = {}) {
  const args = [proxy, originPort, seconds, direction, ...(bits ? [bits] : [])].map(String);
  const program = new Program(`${built}traffic`, args);
  try {
    await program.says(/^begin$/m, 15000);
    around?.begin();
    await program.says(/^end$/m, seconds * 1000 + 15000);
    around?.end();
    const [line] = await program.says(/^\{.*\}$/m);
    const counted = JSON.parse(line);
    return { ...counted, mbits: (counted.bytes * 8e-6) / counted.seconds };
  } finally {
    await program.stop('SIGKILL');
    await wait(300); // for what is still on its way
  }
}
