// @ts-check
/**
 * The peer connections of a bridge: they can live on the main thread alone. Each answers one offer,
 * with its one data channel (id 0, agreed upon) handed over before anything can arrive on it.
 */

/** @typedef {import('./bridge.js').News} News */

export class Peers {
  /** @type {Map<number, { pc: RTCPeerConnection, enough: () => void }>} */ #peers = new Map();
  /** @type {(news: News, transfer: any[]) => void} */ #tell;

  /** @param {(news: News, transfer: any[]) => void} tell */
  constructor(tell) {
    this.#tell = tell;
    // Said aloud, a tab's end costs the reader nothing; found out by silence, seconds.
    addEventListener('pagehide', () => this.#peers.forEach(({ pc }) => pc.close()));
  }

  /** @param {import('./bridge.js').Order} order */
  async obey(order) {
    if (order.do === 'peer') {
      try {
        await this.#answer(order);
      } catch {
        this.#tell({ did: 'closed', peer: order.peer }, []);
      }
    } else if (order.do === 'enough') {
      this.#peers.get(order.peer)?.enough();
    } else if (order.do === 'close') {
      this.#peers.get(order.peer)?.pc.close();
      this.#peers.delete(order.peer);
    }
  }

  /** @param {{ peer: number, sdp: string, stun: string[] }} order */
  async #answer({ peer, sdp, stun }) {
    const pc = new RTCPeerConnection({ iceServers: stun.map((urls) => ({ urls })) });
    /** @type {() => void} */ let enough = () => {};
    const gathered = new Promise((resolve) => (enough = () => resolve(undefined)));
    this.#peers.set(peer, { pc, enough });
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && enough();
    pc.onconnectionstatechange = () =>
      pc.connectionState === 'failed' && this.#tell({ did: 'closed', peer }, []);
    const channel = pc.createDataChannel('', { negotiated: true, id: 0, ordered: false });
    this.#tell({ did: 'channel', peer, channel }, [channel]);
    await pc.setRemoteDescription({ type: 'offer', sdp });
    await pc.setLocalDescription();
    await gathered;
    this.#tell({ did: 'described', peer, sdp: pc.localDescription?.sdp ?? '' }, []);
  }
}
