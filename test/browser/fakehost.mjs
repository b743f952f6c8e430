// @ts-check
/**
 * Stands in for web/widget/host.js behind a face, served in its place (faceserver.mjs): shows what
 * a test wants, and remembers what the visitor asked for. In the page it is `fake`.
 */

/** Before anything has begun. */
const VIEW = {
  state: 'off', on: false, paused: [], trouble: '', now: 0, people: [], total: 0, up: 0, down: 0,
  speed: 0, helped: 0, carried: 0, used: 0, country: '', nat: 'unknown', censored: '',
  elsewhere: false,
  settings: { people: 4, rate: 0, budget: 0, from: 0, to: 0, metered: false, battery: false,
    keep: false },
};

export class Host {
  /** @type {any} */ view = VIEW;
  /** @type {any[]} */ asked = [];
  extension = false;
  operator = 'https://operator.example/';
  /** @type {((view: any) => void)[]} */ #faces = [];

  constructor() {
    /** @type {any} */ (globalThis).fake = this;
  }

  /** @param {(view: any) => void} face */
  show(face) {
    this.#faces.push(face);
    face(this.view);
  }

  /** @param {any} part of the view */
  become(part) {
    this.view = { ...this.view, ...part };
    for (const face of this.#faces) face(this.view);
  }

  /**
   * @param {boolean} on
   * @param {any} [how]
   */
  flip(on, how) {
    this.asked.push(how ? { on, how } : { on });
    this.become({ on, state: on ? 'waiting' : 'off', censored: '' });
  }

  /** @param {any} part of the settings */
  set(part) {
    this.asked.push({ set: part });
    this.become({ settings: { ...this.view.settings, ...part } });
  }

  /** @param {any} defaults */
  suggest(defaults) {
    this.asked.push({ suggest: defaults });
  }
}
