// @ts-check
/**
 * What runs behind a face: the bridge, in its worker where the browser can hand data channels to
 * one, and its peer connections. A face shows what the host's view says and passes on what the
 * visitor wants; it starts nothing by itself.
 *
 * Nothing of the bridge is fetched before the first flip(true).
 */
import { Peers } from './peers.js';

/** @typedef {import('./bridge.js').View} View */
/** @typedef {import('./bridge.js').News} News */
/** @typedef {(news: News, transfer?: any[]) => void} Tell */

/** Before anything has begun. @type {View} */
const OFF = { state: 'off', paused: [], trouble: '', now: 0, people: [], total: 0, up: 0, down: 0,
  used: 0, month: 0, country: '' };

/**
 * Data channels can be handed to a worker in Chromium and Firefox.
 * @returns {boolean}
 */
function transferable() {
  const pc = new RTCPeerConnection();
  const { port1 } = new MessageChannel();
  try {
    const channel = /** @type {any} */ (pc.createDataChannel(''));
    port1.postMessage(channel, [channel]);
    return true;
  } catch {
    return false;
  } finally {
    port1.close();
    pc.close();
  }
}

export class Host {
  /** @type {View} what a face shows */ view = OFF;
  on = false;
  /** @type {((view: View) => void)[]} */ #faces = [];
  /** @type {Promise<Tell> | undefined} */ #bridge;

  /** A face, from now on and at once. @param {(view: View) => void} face */
  show(face) {
    this.#faces.push(face);
    face(this.view);
  }

  /** What the visitor chose, and no one else. @param {boolean} on */
  async flip(on) {
    this.on = on;
    this.#bridge ??= this.#startWorker().catch(() => this.#startHere());
    (await this.#bridge)({ did: 'switch', on });
  }

  /** @param {View} view */
  #seen(view) {
    this.view = view;
    for (const face of this.#faces) face(view);
  }

  /** @returns {Promise<Tell>} the bridge in its worker; fails where that is not possible */
  #startWorker() {
    return new Promise((resolve, reject) => {
      // In a sandboxed frame the origin is opaque, and no worker starts.
      if (origin === 'null' || !transferable()) throw new Error('no worker here');
      const worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
      /** @type {Tell} */
      const tell = (news, transfer = []) => worker.postMessage(news, transfer);
      const peers = new Peers(tell);
      worker.onerror = reject;
      worker.onmessage = ({ data }) => {
        if (data.do === 'ready') resolve(tell);
        else if (data.do === 'view') this.#seen(data.view);
        else peers.obey(data);
      };
    });
  }

  /** @returns {Promise<Tell>} the bridge on this thread */
  async #startHere() {
    const { Bridge } = await import('./bridge.js');
    /** @type {Tell} */
    const tell = (news) => queueMicrotask(() => bridge.tell(news));
    const peers = new Peers(tell);
    const bridge = new Bridge((order) => {
      if (order.do === 'view') this.#seen(order.view);
      else peers.obey(order);
    });
    return tell;
  }
}
