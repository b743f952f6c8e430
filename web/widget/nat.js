// @ts-check
/**
 * Is this connection fit for helping? Asks two STUN servers from one socket: an answer says that
 * UDP works here, and two different ones (another port for another server) that this NAT is hard to
 * reach through (RFC 5780 section 4.3, as far as browsers tell).
 *
 * Browsers leave out an answer that equals the own address, where there is no NAT; so silence is
 * told by the clock: a server that answers lets gathering end at once, one that does not takes
 * seconds.
 */

const ANSWER_MS = 4000;

/**
 * @param {string[]} stun URLs; two, or the kind stays unknown
 * @returns {Promise<{ udp: boolean, nat: 'unknown' | 'easy' | 'hard' }>}
 */
export async function look(stun) {
  const pc = new RTCPeerConnection({ iceServers: stun.map((urls) => ({ urls })) });
  /**
   * What the servers saw, by the candidates' foundation: the same for the same own address, which
   * browsers hide (RFC 8445 section 5.1.1.3). @type {Map<string | null, Set<string>>}
   */
  const seen = new Map();
  let silent = false;
  try {
    await new Promise((done, failed) => {
      const timer = setTimeout(() => {
        silent = true;
        done(undefined);
      }, ANSWER_MS);
      pc.onicecandidate = ({ candidate }) => {
        if (candidate?.type === 'srflx') {
          const { foundation, address, port } = candidate;
          seen.set(foundation, (seen.get(foundation) ?? new Set()).add(`${address} ${port}`));
        }
        if (candidate) return;
        clearTimeout(timer);
        done(undefined);
      };
      pc.createDataChannel('');
      pc.setLocalDescription().catch(failed);
    });
  } finally {
    pc.close();
  }
  const udp = seen.size > 0 || !silent;
  const hard = [...seen.values()].some(({ size }) => size > 1);
  return { udp, nat: hard ? 'hard' : udp && !silent && stun.length > 1 ? 'easy' : 'unknown' };
}
