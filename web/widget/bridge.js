// @ts-check
/**
 * The volunteer in a browser: the sockets, the clock and the relay around core/slot, which runs as
 * slot.wasm and decides everything (src/core/slot.h is its manual, src/wasm/slot.h its binary
 * interface). Runs in worker.js; where data channels cannot be transferred to a worker, on the
 * frame's own thread.
 *
 * Peer connections exist on the main thread only. This module asks for them by messages and is
 * handed their data channels; see Order and News.
 */

/**
 * What the bridge asks of the frame: to answer an offer; to describe what has been gathered by now,
 * because it took long enough; to close a peer; to learn the NAT's kind from two STUN servers; to
 * show.
 * @typedef {{ do: 'peer', peer: number, sdp: string, stun: string[] }
 *   | { do: 'enough', peer: number }
 *   | { do: 'close', peer: number }
 *   | { do: 'nat', stun: string[] }
 *   | { do: 'view', view: View }} Order
 *
 * What the frame tells the bridge: what the visitor chose and what the budget's month has used so
 * far; where this is; the local clock, in minutes since it showed 1970-01-01 00:00, now and again;
 * a channel at once after it was created; a peer that is closed, has failed or could not be made.
 * anyway: although the visitor's own country is on the network's list of those that censor.
 * @typedef {{ did: 'switch', on: boolean, anyway?: boolean }
 *   | { did: 'settings', settings: Settings, used: number, month: number }
 *   | { did: 'place', metered: boolean, lowBattery: boolean }
 *   | { did: 'clock', minutes: number }
 *   | { did: 'nat', nat: 'unknown' | 'easy' | 'hard' }
 *   | { did: 'channel', peer: number, channel: RTCDataChannel }
 *   | { did: 'described', peer: number, sdp: string }
 *   | { did: 'closed', peer: number }} News
 *
 * The visitor's limits: people at once, bit/s, bytes a month, minutes of the local day, and whether
 * to go on where that is metered or the battery is low (struct fb_slot_limits).
 * @typedef {{ people: number, rate: number, budget: number, from: number, to: number,
 *   metered: boolean, battery: boolean }} Settings
 *
 * month: year * 100 + month, whose bytes `used` are; trouble: the last thing that went wrong;
 * censored: the visitor's own country, where the bridge has therefore not started.
 * @typedef {{ state: 'off' | 'starting' | 'waiting' | 'carrying' | 'paused' | 'trouble',
 *   paused: string[], trouble: string, now: number, people: { id: number, country: string }[],
 *   total: number, up: number, down: number, used: number, month: number, country: string,
 *   censored?: string }} View
 *
 * What the broker serves as /v1/widget.
 * @typedef {{ version: number, broker: string, local: boolean, stun: string[],
 *   egresses: { id: string, url: string }[], country?: string, censored?: boolean }} Config
 *
 * @typedef {{
 *   memory: WebAssembly.Memory, fb_in(): number, fb_out(): number, fb_held(): number,
 *   fb_boot(kind: number, nat: number, capacity: number, local: number, egresses: number): number,
 *   fb_switch(on: number, now: number): void, fb_set_nat(nat: number): void,
 *   fb_set_limits(people: number, rate: number, budget: number, used: number, month: number,
 *     from: number, to: number, flags: number, now: number): void,
 *   fb_set_clock(minutes: number, now: number): void,
 *   fb_set_place(flags: number, now: number): void,
 *   fb_broker_open(now: number): void, fb_broker_closed(code: number, now: number): void,
 *   fb_broker_message(len: number, now: number): void,
 *   fb_peer_described(peer: number, len: number, now: number): number,
 *   fb_peer_open(peer: number, now: number): void, fb_peer_closed(peer: number, now: number): void,
 *   fb_egress_open(m: number, now: number): void, fb_egress_closed(m: number, now: number): void,
 *   fb_tick(now: number): void, fb_deadline(): number,
 *   fb_relay(m: number, fromClient: number, first: number, len: number, now: number): number,
 *   fb_next(m: number, fromClient: number, len: number, now: number): number,
 *   fb_hop(m: number, fromClient: number, len: number, now: number): void,
 *   fb_drained(m: number, toClient: number, now: number): void,
 *   fb_poll(): number, fb_look(): void
 * }} Slot
 *
 * A match, its lanes by index, and what waits towards the client and towards the egress; one lane.
 * @typedef {{ m: number, lanes: (Lane | undefined)[], socket?: WebSocket,
 *   waiting: ArrayBuffer[][], watch?: Timer }} Match
 * @typedef {{ peer: number, match: Match, channel?: RTCDataChannel, gather?: Timer }} Lane
 * @typedef {ReturnType<typeof setTimeout>} Timer
 */

// src/wasm/slot.h and src/core/slot.h
const IN = 16384;
const BROWSER = 1;
const NAT_UNKNOWN = 0;
const PASS = 1;
const WAIT = 2;
const HOP = 3;
const QUEUE_REPORT = 256 * 1024;
const QUEUE_LOW = QUEUE_REPORT / 4;
const LANES = 16;
const PEOPLE = 64;
const LANE_LOW = 4000;

const GATHER_MS = 3000; // a STUN server that does not answer must not cost the match
const FLUSH_MS = 1000; // for a farewell to leave before its channel is closed
const POLL_MS = 20; // a WebSocket has no low-water event
const VIEW_MS = 1000; // how often the bytes on the face move
const RETRY_MS = [2000, 5000, 15000, 60000]; // while the operator's files cannot be had

const STATES = /** @type {const} */ (['off', 'starting', 'waiting', 'carrying', 'paused']);
const PAUSES = ['budget', 'hours', 'metered', 'battery'];
const TROUBLES = ['', 'unreachable', 'garbage', 'version', 'egress', 'flood', 'silent',
  'oversized'];
const NATS = ['unknown', 'easy', 'hard'];

/** @param {number} code two letters, fb_look()'s */
const country = (code) => (code ? String.fromCharCode(code >> 8, code & 255) : '');

export class Bridge {
  /** @type {(order: Order) => void} */ #post;
  /** @type {Slot | undefined} */ #slot;
  /** @type {Config | undefined} */ #config;
  /** @type {WebSocket | undefined} */ #broker;
  /** @type {Map<number, Match>} */ #matches = new Map();
  /** @type {Map<number, Lane>} */ #lanes = new Map();
  #held = new Uint32Array(LANES);
  #on = false;
  #anyway = false;
  #loading = false;
  /** @type {Timer | undefined} */ #retry;
  #trouble = false;
  #files = ''; // what went wrong before there was a slot
  /** What the slot is told when it comes to be. @type {Map<string, (slot: Slot) => void>} */
  #told = new Map();
  #used = { used: 0, month: 0 };
  /** @type {Timer | undefined} */ #timer;
  #due = Infinity;
  /** @type {Timer | undefined} */ #viewTimer;

  /** @param {(order: Order) => void} post must not call back into the bridge */
  constructor(post) {
    this.#post = post;
  }

  /** @param {News} news */
  tell(news) {
    switch (news.did) {
      case 'switch':
        this.#on = news.on;
        this.#anyway = news.anyway === true;
        clearTimeout(this.#retry);
        if (this.#slot) this.#run((slot, now) => slot.fb_switch(news.on ? 1 : 0, now));
        else if (news.on) this.#load(0);
        else this.#blank('off');
        break;
      case 'settings': {
        const { settings: s, used, month } = news;
        this.#used = { used, month };
        this.#set(news.did, (slot) => slot.fb_set_limits(s.people, s.rate / 8, s.budget, used,
          month, s.from, s.to, Number(s.metered) + 2 * Number(s.battery), performance.now()));
        break;
      }
      case 'place':
        this.#set(news.did, (slot) => slot.fb_set_place(
          Number(news.metered) + 2 * Number(news.lowBattery), performance.now()));
        break;
      case 'clock': {
        const at = performance.now();
        this.#set(news.did, (slot) => slot.fb_set_clock(news.minutes, at));
        break;
      }
      case 'nat':
        this.#set(news.did, (slot) => slot.fb_set_nat(NATS.indexOf(news.nat)));
        break;
      case 'channel':
        this.#adopt(this.#lanes.get(news.peer), news.channel);
        break;
      case 'described':
        clearTimeout(this.#lanes.get(news.peer)?.gather);
        this.#run((slot, now) => slot.fb_peer_described(news.peer, this.#text(news.sdp), now));
        break;
      case 'closed':
        this.#laneGone(this.#lanes.get(news.peer));
        break;
    }
  }

  /** @param {string} what @param {(slot: Slot) => void} tell */
  #set(what, tell) {
    this.#told.set(what, tell);
    this.#run(tell);
  }

  /** While there is no slot. @param {View['state']} state @param {string} [censored] */
  #blank(state, censored) {
    this.#post({ do: 'view', view: { state, paused: [], trouble: this.#files, now: 0, people: [],
      total: 0, up: 0, down: 0, ...this.#used, country: '', censored } });
  }

  /**
   * Fetches what the operator serves: nothing of it before the switch is on.
   * @param {number} failures
   */
  async #load(failures) {
    if (this.#loading || !this.#on) return;
    this.#loading = true;
    try {
      this.#blank(failures ? 'trouble' : 'starting');
      const [config, wasm] = await Promise.all([
        fetch(new URL('v1/widget', import.meta.url)).then((reply) => reply.json()),
        WebAssembly.instantiateStreaming(fetch(new URL('slot.wasm', import.meta.url))),
      ]);
      if (config.censored && !this.#anyway) return this.#decline(config.country || '??');
      this.#boot(config, /** @type {any} */ (wasm.instance.exports));
      this.#post({ do: 'nat', stun: config.stun?.slice(0, 2) ?? [] });
    } catch {
      const wait = RETRY_MS[Math.min(failures, RETRY_MS.length - 1)];
      this.#retry = setTimeout(() => this.#load(failures + 1), wait * (1 + Math.random() / 4));
      this.#files = 'files';
      if (this.#on) this.#blank('trouble');
    } finally {
      this.#loading = false;
    }
    if (this.#slot && this.#on) this.#run((slot, now) => slot.fb_switch(1, now));
  }

  /** Does not start where that may harm the visitor, until told again. @param {string} censored */
  #decline(censored) {
    this.#on = false;
    this.#blank('off', censored);
  }

  /**
   * @param {Config} config
   * @param {Slot} slot
   */
  #boot(config, slot) {
    const ids = config.egresses.map(({ id }) => Uint8Array.from(id.match(/../g) ?? [],
      (hex) => parseInt(hex, 16)));
    if (config.version !== 1 || ids.some((id) => id.length !== 32) || 32 + 32 * ids.length > IN)
      throw new Error('configuration');
    const into = new Uint8Array(slot.memory.buffer, slot.fb_in(), IN);
    crypto.getRandomValues(into.subarray(0, 32));
    ids.forEach((id, i) => into.set(id, 32 + 32 * i));
    if (!slot.fb_boot(BROWSER, NAT_UNKNOWN, 0, config.local ? 1 : 0, ids.length))
      throw new Error('configuration');
    this.#config = config;
    this.#held = new Uint32Array(slot.memory.buffer, slot.fb_held(), LANES);
    this.#slot = slot;
    for (const tell of this.#told.values()) tell(slot);
  }

  /**
   * Tells the slot one thing, then does all that it says.
   * @param {(slot: Slot, now: number) => void} event
   */
  #run(event) {
    const slot = this.#slot;
    if (!slot) return;
    event(slot, performance.now());
    this.#act(slot);
  }

  /** @param {Slot} slot */
  #act(slot) {
    while (slot.fb_poll()) {
      const { buffer } = slot.memory;
      const out = slot.fb_out();
      const [type, m, which, lane, len] = new Uint32Array(buffer, out, 5);
      this.#do(type, m, which, lane, buffer.slice(out + 20, out + 20 + len));
    }
    const due = slot.fb_deadline();
    if (due === this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    if (due === Infinity) return;
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      this.#run((slot, now) => slot.fb_tick(now));
    }, Math.min(Math.max(due - performance.now(), 0), 1e9));
  }

  /**
   * One action of src/core/slot.h.
   * @param {number} type
   * @param {number} m
   * @param {number} which a peer, or an egress by index
   * @param {number} at a lane by index
   * @param {ArrayBuffer} bytes
   */
  #do(type, m, which, at, bytes) {
    const match = this.#matches.get(m);
    switch (type) {
      case 1: // BROKER_CONNECT
        this.#connectBroker();
        break;
      case 2: // BROKER_SEND
        if (this.#broker?.readyState === WebSocket.OPEN) this.#broker.send(bytes);
        break;
      case 3: // BROKER_CLOSE
        this.#broker?.close();
        this.#broker = undefined;
        break;
      case 4: // PEER_CREATE
        this.#createLane(m, which, at, new TextDecoder().decode(bytes));
        break;
      case 5: // PEER_SEND
        this.#sendToClient(match?.lanes[at], bytes);
        break;
      case 6: // PEER_CLOSE
        this.#closeLane(this.#lanes.get(which));
        break;
      case 7: // EGRESS_OPEN
        if (match) this.#connectEgress(match, this.#config?.egresses[which]?.url ?? '');
        break;
      case 8: // EGRESS_SEND
        if (match?.socket?.readyState === WebSocket.OPEN) match.socket.send(bytes);
        break;
      case 9: // EGRESS_CLOSE; what was sent leaves before the close frame
        if (!match) break;
        match.socket?.close();
        match.socket = undefined;
        this.#forget(match);
        break;
      case 10: // CHANGED
        this.#show();
        break;
      case 11: // NEXT
        if (match) this.#next(match, which);
        break;
    }
  }

  #connectBroker() {
    const socket = this.#open(this.#config?.broker ?? '');
    this.#broker = socket;
    const mine = () => this.#broker === socket; // closed ones may still speak
    if (!socket) return this.#soon((slot, now) => slot.fb_broker_closed(0, now));
    socket.onopen = () => mine() && this.#run((slot, now) => slot.fb_broker_open(now));
    socket.onmessage = ({ data }) => mine() &&
      this.#run((slot, now) => slot.fb_broker_message(this.#bytes(data), now));
    socket.onclose = ({ code }) => {
      if (!mine()) return;
      this.#broker = undefined;
      this.#run((slot, now) => slot.fb_broker_closed(code, now));
    };
  }

  /**
   * @param {number} m
   * @param {number} peer
   * @param {number} at
   * @param {string} sdp
   */
  #createLane(m, peer, at, sdp) {
    const match = this.#matches.get(m) ?? { m, lanes: [], waiting: [[], []] };
    const gather = setTimeout(() => this.#post({ do: 'enough', peer }), GATHER_MS);
    this.#matches.set(m, match);
    this.#lanes.set(peer, match.lanes[at] = { peer, match, gather });
    this.#post({ do: 'peer', peer, sdp, stun: this.#config?.stun ?? [] });
  }

  /**
   * @param {Match} match
   * @param {string} url
   */
  #connectEgress(match, url) {
    const { m } = match;
    const socket = this.#open(url);
    match.socket = socket;
    if (!socket) return this.#soon((slot, now) => slot.fb_egress_closed(m, now));
    socket.onopen = () => this.#run((slot, now) => slot.fb_egress_open(m, now));
    socket.onmessage = ({ data }) => this.#relay(match, 0, data);
    socket.onclose = () => {
      if (match.socket !== socket) return; // closed from here
      match.socket = undefined;
      this.#forget(match);
      this.#run((slot, now) => slot.fb_egress_closed(m, now));
    };
  }

  /**
   * @param {string} url
   * @returns {WebSocket | undefined} undefined: malformed, or refused by policy
   */
  #open(url) {
    try {
      const socket = new WebSocket(url);
      socket.binaryType = 'arraybuffer';
      return socket;
    } catch {
      return undefined;
    }
  }

  /**
   * For news that arises while the slot's actions are being done.
   * @param {(slot: Slot, now: number) => void} event
   */
  #soon(event) {
    setTimeout(() => this.#run(event), 0);
  }

  /**
   * @param {Lane | undefined} lane
   * @param {RTCDataChannel} channel
   */
  #adopt(lane, channel) {
    if (!lane) return channel.close(); // over before the channel arrived
    const { peer, match } = lane;
    lane.channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = LANE_LOW;
    channel.onopen = () => this.#run((slot, now) => slot.fb_peer_open(peer, now));
    channel.onmessage = ({ data }) => this.#relay(match, 1, data);
    channel.onbufferedamountlow = () => this.#drained(match);
    channel.onclose = () => this.#laneGone(lane);
  }

  /** @param {Match} match */
  #drained(match) {
    this.#look(match, 0);
    this.#run((slot, now) => slot.fb_drained(match.m, 1, now));
  }

  /**
   * What the send buffers hold, for the slot: its WebSocket's, or its lanes'.
   * @param {Match} match
   * @param {number} fromClient
   */
  #look({ socket, lanes }, fromClient) {
    const held = this.#held;
    if (fromClient) held[0] = socket?.bufferedAmount ?? 0;
    else for (let i = 0; i < LANES; i++) held[i] = lanes[i]?.channel?.bufferedAmount ?? 0;
  }

  /** @param {Lane | undefined} lane */
  #laneGone(lane) {
    if (!lane) return;
    this.#endLane(lane);
    this.#run((slot, now) => slot.fb_peer_closed(lane.peer, now));
    this.#drained(lane.match);
  }

  /**
   * A message that has arrived: the slot is told of it, and what it says is done, then all that
   * follows from that.
   * @param {Match} match
   * @param {0 | 1} fromClient
   * @param {ArrayBuffer} data
   */
  #relay(match, fromClient, data) {
    const slot = this.#slot;
    if (!slot || !(data instanceof ArrayBuffer)) return; // text: nobody's message
    const first = data.byteLength ? new Uint8Array(data, 0, 1)[0] : 0;
    const now = performance.now();
    this.#look(match, fromClient);
    const what = slot.fb_relay(match.m, fromClient, first, data.byteLength, now);
    if ((what & 255) === HOP) slot.fb_hop(match.m, fromClient, this.#bytes(data), now);
    else if ((what & 255) === WAIT) match.waiting[fromClient].push(data);
    else this.#pass(match, fromClient, data, what);
    this.#act(slot);
  }

  /**
   * The first of those that wait.
   * @param {Match} match
   * @param {number} fromClient
   */
  #next(match, fromClient) {
    const data = match.waiting[fromClient].shift();
    if (!data) return;
    const slot = /** @type {Slot} */ (this.#slot);
    this.#look(match, fromClient);
    this.#pass(match, fromClient, data,
      slot.fb_next(match.m, fromClient, data.byteLength, performance.now()));
  }

  /**
   * @param {Match} match
   * @param {number} fromClient
   * @param {ArrayBuffer} data
   * @param {number} what fb_relay() or fb_next() said
   */
  #pass(match, fromClient, data, what) {
    if ((what & 255) !== PASS) return;
    if (fromClient) this.#sendToEgress(match, data);
    else this.#sendToClient(match.lanes[what >> 8], data);
  }

  /**
   * @param {Lane | undefined} lane
   * @param {ArrayBuffer} data
   */
  #sendToClient(lane, data) {
    try {
      lane?.channel?.send(data);
    } catch { // it has closed, or its buffer is full in spite of the limit
      setTimeout(() => this.#laneGone(lane), 0);
    }
  }

  /**
   * @param {Match} match
   * @param {ArrayBuffer} data
   */
  #sendToEgress(match, data) {
    const socket = match.socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    socket.send(data);
    if (match.watch || socket.bufferedAmount <= QUEUE_REPORT) return;
    match.watch = setInterval(() => {
      if (socket.bufferedAmount >= QUEUE_LOW && socket.readyState === WebSocket.OPEN) return;
      clearInterval(match.watch);
      match.watch = undefined;
      this.#held[0] = socket.bufferedAmount;
      this.#run((slot, now) => slot.fb_drained(match.m, 0, now));
    }, POLL_MS);
  }

  /**
   * Closes it once what was sent has left.
   * @param {Lane | undefined} lane
   */
  #closeLane(lane) {
    if (!lane) return;
    const { channel } = lane;
    const end = () => this.#endLane(lane);
    if (!channel || channel.readyState !== 'open' || channel.bufferedAmount === 0) return end();
    channel.onmessage = null;
    channel.onclose = end;
    channel.bufferedAmountLowThreshold = 0;
    channel.onbufferedamountlow = end;
    setTimeout(end, FLUSH_MS);
  }

  /** @param {Lane} lane */
  #endLane(lane) {
    const { peer, match, channel } = lane;
    if (!this.#lanes.delete(peer)) return;
    const at = match.lanes.indexOf(lane);
    if (at >= 0) match.lanes[at] = undefined;
    clearTimeout(lane.gather);
    if (channel) {
      channel.onclose = null;
      channel.close();
    }
    this.#post({ do: 'close', peer });
    this.#forget(match);
  }

  /** @param {Match} match */
  #forget(match) {
    if (match.socket || match.lanes.some((lane) => lane)) return;
    clearInterval(match.watch);
    this.#matches.delete(match.m);
  }

  /**
   * @param {ArrayBuffer} data
   * @returns {number} its length at fb_in(); one too long is cut, and then refused for its length
   */
  #bytes(data) {
    const slot = /** @type {Slot} */ (this.#slot);
    if (!(data instanceof ArrayBuffer)) return 0;
    const bytes = new Uint8Array(data, 0, Math.min(data.byteLength, IN));
    new Uint8Array(slot.memory.buffer, slot.fb_in(), IN).set(bytes);
    return bytes.length;
  }

  /** @param {string} text */
  #text(text) {
    const bytes = new TextEncoder().encode(text);
    return this.#bytes(/** @type {ArrayBuffer} */ (bytes.buffer));
  }

  #show() {
    const slot = /** @type {Slot} */ (this.#slot);
    slot.fb_look();
    const [state, welcomed, retry, now, total, up, down, here, paused, trouble, used, month,
      ...people] = new Float64Array(slot.memory.buffer, slot.fb_out(), 12 + 2 * PEOPLE);
    // An attempt after a failed one is still trouble, until the broker speaks.
    this.#trouble = state > 0 && state < 4 && !welcomed &&
      (this.#trouble || retry !== Infinity);
    this.#post({
      do: 'view',
      view: {
        state: this.#trouble && state !== 3 ? 'trouble' : STATES[state],
        paused: PAUSES.filter((_, i) => paused >> i & 1),
        trouble: TROUBLES[trouble] || this.#files,
        now,
        people: Array.from({ length: now }, (_, i) => ({ id: people[2 * i],
          country: country(people[2 * i + 1]) })),
        total,
        up,
        down,
        used,
        month,
        country: country(here) || (this.#config?.country ?? ''),
      },
    });
    const carrying = state === 3;
    if (carrying && !this.#viewTimer)
      this.#viewTimer = setInterval(() => this.#show(), VIEW_MS);
    if (!carrying && this.#viewTimer) {
      clearInterval(this.#viewTimer);
      this.#viewTimer = undefined;
    }
  }
}

/** Tells a bridge the local time, now and each minute. @param {(news: News) => void} tell */
export function keepTime(tell) {
  const say = () => tell({
    did: 'clock',
    minutes: Math.floor(Date.now() / 60000) - new Date().getTimezoneOffset(),
  });
  setInterval(say, 60000);
  say();
}
