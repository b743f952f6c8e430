// @ts-check
/**
 * What measurements in the laboratory share: a network from the bench build with an origin, and
 * their table's targets where they are of the laboratory alone.
 */
import { LabNetwork } from '../net/labnet.mjs';
import { footbridge } from './built.mjs';
import { startOrigin } from './labtraffic.mjs';

/** @typedef {{ net: LabNetwork, origin: import('../browser/program.mjs').Program }} LabStage */

/**
 * @template T
 * @param {Record<string, import('../net/lab.mjs').Link>} links of operator, origin and stun
 * @param {(stage: LabStage) => Promise<T>} act
 * @returns {Promise<T>}
 */
export async function inLab(links, act) {
  const net = await LabNetwork.start({ file: footbridge, links });
  try {
    return await act({ net, origin: await startOrigin(net) });
  } finally {
    await net.stop();
  }
}

/** A client that is ready. @param {LabNetwork} net @param {string} host @param {string[]} args */
export async function readyClient(net, host, ...args) {
  const client = net.client(host, ...args);
  await client.says(/^client: ready/m, 60000);
  return client;
}

/** @param {number[]} values */
export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
