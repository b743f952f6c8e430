// @ts-check
/**
 * What runs behind a face: the bridge, in its worker where the browser can hand data channels to
 * one, and its peer connections; or, where another window has it (another widget on the same page,
 * or the companion), a mirror of that. A face shows what the host's view says and passes on what
 * the visitor wants; it starts nothing by itself.
 *
 * Nothing of the bridge is fetched before the first flip(true).
 */
import { confirmed } from './consent.js';
import { Peers } from './peers.js';
import { keep, kept, like, suggest } from './store.js';

/** @typedef {import('./bridge.js').News} News */
/** @typedef {import('./store.js').Settings} Settings */
/** @typedef {(news: News, transfer?: any[]) => void} Tell */

/**
 * What a face shows.
 * on: the visitor's choice. paused: any of 'budget', 'hours', 'metered', 'battery', 'visitor'.
 * trouble: '' or a key, the last thing that went wrong: 'unreachable', 'files', 'garbage',
 * 'version', 'egress', 'flood', 'silent', 'oversized', 'udp'. now, people: being helped. total,
 * up, down: people and bytes since the start. speed: bit/s just now. helped, carried: people and
 * bytes ever. used: bytes of this month's budget. country: the visitor's own, '' unknown.
 * censored: '', or the visitor's country, on the network's list of those that censor: it has not
 * started, until flip(true, { anyway: true }). elsewhere: the bridge is in the companion window.
 * @typedef {{ state: 'off' | 'starting' | 'waiting' | 'carrying' | 'paused' | 'trouble',
 *   on: boolean, paused: string[], trouble: string, now: number,
 *   people: { id: number, country: string }[], total: number, up: number, down: number,
 *   speed: number, helped: number, carried: number, used: number, country: string,
 *   nat: 'unknown' | 'easy' | 'hard', censored: string, elsewhere: boolean,
 *   settings: Settings }} View
 *
 * What one window asks of another that has the bridge.
 * @typedef {{ flip?: boolean, anyway?: boolean, set?: Partial<Settings>, hello?: boolean }} Word
 */

/** What a bridge shows before it says anything. */
const NOTHING = {
  state: /** @type {View['state']} */ ('off'),
  paused: /** @type {string[]} */ ([]),
  trouble: '',
  now: 0,
  people: /** @type {View['people']} */ ([]),
  total: 0,
  up: 0,
  down: 0,
  used: 0,
  month: 0,
  country: '',
  censored: '',
};
const SPEED_MS = 900; // below the time between two views of a bridge that carries
const LOW_BATTERY = 0.2;
const WINDOW = 'popup,width=440,height=420';

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
  /** @type {View} what a face shows */ view;
  /** @type {((view: View) => void)[]} */ #faces = [];
  /** @type {Promise<Tell> | undefined} */ #bridge;
  /** What the bridge showed last. @type {typeof NOTHING} */ #seen = NOTHING;
  #on = false;
  /** @type {{ udp: boolean, nat: View['nat'] }} */ #line = { udp: true, nat: 'unknown' };
  #speed = { now: 0, at: 0, bytes: 0 };
  /** Who has the bridge while it is not here. @type {((word: Word) => void) | undefined} */ #other;
  /** To the other widgets of this page. @type {BroadcastChannel | undefined} */ #page;
  #leads = false; // of the widgets of this page, the one to have the bridge
  #waits = false; // to lead

  /** @param {string} [operator] the address of the operator's origin; an extension has it */
  constructor(operator) {
    this.extension = operator !== undefined;
    this.operator = operator ?? new URL('.', import.meta.url).href;
    this.view = this.#look();
    addEventListener('storage', () => this.#settle()); // by another frame or tab of this site
    if (window !== top) this.#meet();
    else if (opener) import('./companion.js').then(({ takeOver }) => takeOver(this));
    const { on, settings } = kept();
    // In an extension the switch itself is the standing choice.
    if (on && (settings.keep || this.extension) && confirmed()) this.flip(true);
    else if (on) keep({ on: false });
  }

  /** A face, from now on and at once. @param {(view: View) => void} face */
  show(face) {
    this.#faces.push(face);
    face(this.view);
  }

  /**
   * What the visitor chose, and no one else.
   * @param {boolean} on
   * @param {{ anyway?: boolean }} [how] see View's censored
   */
  async flip(on, { anyway = false } = {}) {
    this.#on = on;
    keep({ on: on && !this.view.elsewhere });
    if (this.#other) {
      this.#other({ flip: on, anyway });
      return this.#put({ ...this.view, on, state: on ? 'starting' : 'off' });
    }
    this.#seen = { ...this.#seen, censored: '' };
    this.#put(this.#look());
    if (on && !this.#leads && !(await this.lead({ ifAvailable: true }))) {
      this.#follow();
      return this.#page?.postMessage({ flip: this.#on, anyway });
    }
    if (!on && !this.#bridge) return;
    this.#bridge ??= this.#begin();
    (await this.#bridge)({ did: 'switch', on: this.#on, anyway });
  }

  /**
   * The publisher's limits; the visitor's own settings go before.
   * @param {Partial<Settings>} part
   */
  suggest(part) {
    suggest(part);
    this.#settle();
  }

  /** @param {Partial<Settings>} part */
  set(part) {
    const on = this.#on && !this.view.elsewhere;
    keep({ settings: like(kept().settings, part), own: true, on });
    this.#other?.({ set: part });
    this.#settle();
  }

  /**
   * Opens the companion window, which has the bridge from then on, also when this page is gone. To
   * be called in the task of a click.
   * @returns {boolean} false: the browser allows no window
   */
  leave() {
    const companion = open(new URL(`frame.html${location.hash}`, import.meta.url), '', WINDOW);
    if (companion) import('./companion.js').then(({ handOver }) => handOver(this, companion));
    return companion !== null;
  }

  /**
   * The bridge is elsewhere, and shows this.
   * @param {View} view
   * @param {(word: Word) => void} other
   */
  mirror(view, other) {
    if (!this.#other) this.#bridge?.then((tell) => tell({ did: 'switch', on: false }));
    this.#other = other;
    this.#on = view.on;
    this.#put(view);
  }

  /** The bridge is not elsewhere any more. @param {boolean} on to have it here instead */
  alone(on) {
    this.#other = undefined;
    this.#on = on;
    this.#put(this.#look());
    if (on) this.flip(true, { anyway: true });
  }

  /** What the visitor wants, said in another window. @param {Word} word */
  obey({ flip, anyway, set, hello }) {
    if (flip !== undefined) this.flip(flip, { anyway });
    if (set) this.set(set);
    if (hello) this.#page?.postMessage({ view: this.view });
  }

  /**
   * Of the widgets of one page, the one that holds a lock leads; with its document the lock goes.
   * @param {LockOptions} how
   * @returns {Promise<boolean>}
   */
  lead(how) {
    const page = this.#page;
    return new Promise((resolve) => {
      if (!page) return resolve(true);
      navigator.locks.request(page.name, how, (lock) => {
        this.#leads = lock !== null;
        resolve(this.#leads);
        return lock && new Promise(() => {});
      }).catch(() => {
        if (this.#leads) { // stolen, by the one with a companion
          this.#leads = false;
          page.postMessage({ hello: true });
        } else { // locks are forbidden, as storage is: each is for itself
          this.#page = undefined;
          resolve(true);
        }
      });
    });
  }

  /** Finds the other widgets of this page. */
  #meet() {
    const scope = /** @type {any} */ (window);
    let page = new URLSearchParams(location.hash.slice(1)).get('page');
    for (let i = 0; !page && i < parent.length; i++) {
      try {
        page = /** @type {any} */ (parent[i]).page;
      } catch { /* of another origin */ }
    }
    scope.page = page ??= String(Math.random());
    // A sandboxed frame can reach none, and without locks (no HTTPS) each is for itself.
    if (origin === 'null' || !navigator.locks) return;
    this.#page = new BroadcastChannel(`footbridge ${page}`);
    this.#page.onmessage = ({ data }) => {
      if (this.#leads) {
        this.obey(data);
      } else if (data.view) {
        this.mirror(data.view, (word) => this.#page?.postMessage(word));
        this.#follow();
      }
    };
    this.#page.postMessage({ hello: true });
  }

  /** Leads once nobody else does. */
  async #follow() {
    if (this.#waits) return;
    this.#waits = true;
    await this.lead({});
    this.#waits = false;
    this.alone(this.#on && !this.view.elsewhere);
  }

  /** @param {View} view */
  #put(view) {
    this.view = view;
    for (const face of this.#faces) face(view);
    if (this.#leads) this.#page?.postMessage({ view });
  }

  /** @returns {View} of the bridge that is here */
  #look() {
    const { month, ...seen } = this.#seen;
    const { settings, helped, carried, used } = kept();
    const { udp, nat } = this.#line;
    const on = this.#on;
    return {
      ...seen,
      state: !on ? 'off' : seen.state === 'off' ? 'starting' : seen.state,
      on,
      trouble: udp ? seen.trouble : 'udp',
      speed: this.#speed.now,
      helped,
      carried,
      used: month ? seen.used : used,
      nat,
      elsewhere: false,
      settings,
    };
  }

  /** @param {import('./bridge.js').View} view what the bridge shows */
  #heard(view) {
    const last = this.#seen;
    const seen = { ...view, censored: view.censored ?? '' };
    if (seen.state === 'trouble') seen.trouble ||= 'unreachable';
    if (seen.month === last.month) seen.used = Math.max(seen.used, last.used);
    this.#seen = seen;
    if (seen.censored) keep({ on: this.#on = false });
    this.#count(seen, last);
    if (!this.#other) this.#put(this.#look());
  }

  /**
   * Keeps what has come since.
   * @param {typeof NOTHING} seen
   * @param {typeof NOTHING} last
   */
  #count(seen, last) {
    const { helped, carried, used, month } = kept();
    const [bytes, before] = [seen.up + seen.down, last.up + last.down];
    const now = performance.now();
    if (seen.state !== 'carrying') this.#speed = { now: 0, at: now, bytes };
    const since = now - this.#speed.at;
    if (since >= SPEED_MS)
      this.#speed = { now: (8000 * (bytes - this.#speed.bytes)) / since, at: now, bytes };
    if (seen.total === last.total && bytes === before && seen.used === last.used) return;
    keep({
      helped: helped + seen.total - last.total,
      carried: carried + bytes - before,
      // Another tab of this site may have used some too.
      used: seen.month === month ? used + seen.used - last.used : seen.used,
      month: seen.month,
    });
  }

  /** The settings, or what was used in another tab, have changed. */
  #settle() {
    const { settings, used, month } = kept();
    if (month === this.#seen.month) this.#seen = { ...this.#seen, used };
    this.#bridge?.then((tell) => tell({ did: 'settings', settings, used, month }));
    this.#put(this.#other ? { ...this.view, settings } : this.#look());
  }

  /** @returns {Promise<Tell>} */
  async #begin() {
    const tell = await this.#startWorker().catch(() => this.#startHere());
    const { settings, used, month } = kept();
    if (this.extension) tell({ did: 'extension', operator: this.operator });
    tell({ did: 'settings', settings, used, month });
    this.#watchPlace(tell);
    return tell;
  }

  /**
   * Metered connections and low batteries, where the browser tells: Chromium alone does, and of a
   * connection on desks only whether it is to save data.
   * @param {Tell} tell
   */
  async #watchPlace(tell) {
    const { connection, getBattery } = /** @type {any} */ (navigator);
    /** @type {any} */ let battery;
    const say = () => tell({
      did: 'place',
      metered: Boolean(connection?.saveData || connection?.type === 'cellular'),
      lowBattery: Boolean(battery && !battery.charging && battery.level < LOW_BATTERY),
    });
    if (connection) connection.onchange = say;
    say();
    battery = await getBattery?.call(navigator).catch(() => undefined); // the page may forbid it
    if (!battery) return;
    battery.onlevelchange = battery.onchargingchange = say;
    say();
  }

  /**
   * @param {import('./bridge.js').Order} order
   * @param {Peers} peers
   * @param {Tell} tell
   */
  async #do(order, peers, tell) {
    if (order.do === 'view') {
      this.#heard(order.view);
    } else if (order.do === 'nat') {
      const { look } = await import('./nat.js');
      this.#line = await look(order.stun);
      // Whom no UDP reaches is hard to reach.
      tell({ did: 'nat', nat: this.#line.udp ? this.#line.nat : 'hard' });
      if (!this.#other) this.#put(this.#look());
    } else {
      peers.obey(order);
    }
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
        else this.#do(data, peers, tell);
      };
    });
  }

  /** @returns {Promise<Tell>} the bridge on this thread */
  async #startHere() {
    const { Bridge, keepTime } = await import('./bridge.js');
    /** @type {Tell} */
    const tell = (news) => queueMicrotask(() => bridge.tell(news));
    const peers = new Peers(tell);
    const bridge = new Bridge((order) => this.#do(order, peers, tell));
    keepTime(tell);
    return tell;
  }
}
