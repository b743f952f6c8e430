// @ts-check
/**
 * A globe with arcs from the visitor's country to those of the people being helped; countries are
 * all that it knows. Drawn on a canvas, some twenty times a second at most and only while it is in
 * view; still where the visitor prefers no motion.
 */
import { LAND, PLACES } from './land.js';
import { country, lang, text } from './text.js';

/** @typedef {[number, number, number]} Point on the unit sphere: 0° east, 90° east, north */

const TILT = 0.35; // radians north of the equator that the middle is
const FRAME_MS = 45;
const TURN = 0.07; // radians a second
const SWAY = 0.5; // radians to both sides while there are arcs
const PARTS = 28; // of an arc

/** @param {string} text @returns {number} see tools/globe.mjs */
const digits = (text) => [...text].reduce((sum, char) => {
  const code = char.charCodeAt(0) - 40;
  return 81 * sum + code - Number(code > 52);
}, 0);

/**
 * @param {number} lon degrees
 * @param {number} lat
 * @returns {Point}
 */
function point(lon, lat) {
  const [l, p] = [(lon * Math.PI) / 180, (lat * Math.PI) / 180];
  return [Math.cos(p) * Math.cos(l), Math.cos(p) * Math.sin(l), Math.sin(p)];
}

/**
 * Rings of degrees, beyond 180 too: flat, for whether a place is within.
 * @type {[number, number][][]}
 */
const rings = LAND.split(' ').map((ring) => {
  let lon = digits(ring.slice(0, 2)) - 180;
  let lat = digits(ring.slice(2, 4)) - 90;
  return [[lon, lat], ...[...ring.slice(4)].map((step) => {
    const n = digits(step);
    return /** @type {[number, number]} */ ([lon += (n % 9) - 4, lat += Math.floor(n / 9) - 4]);
  })];
});
const land = rings.map((ring) => ring.map(([lon, lat]) => point(lon, lat)));

/** @param {string} code @returns {Point | undefined} the middle of a country */
function place(code) {
  const group = PLACES.split(' ')[code.charCodeAt(0) - 65] ?? '';
  for (let i = 0; i < group.length; i += 4) {
    const n = digits(group.slice(i + 1, i + 4));
    if (group[i] === code[1]) return point(Math.floor(n / 181) - 180, (n % 181) - 90);
  }
  return undefined;
}

/**
 * Whether a ring goes around a place, on a flat map.
 * @param {[number, number][]} ring
 * @param {number} lon
 * @param {number} lat
 */
function around(ring, lon, lat) {
  let inside = false;
  ring.forEach(([x1, y1], i) => {
    const [x2, y2] = ring[(i || ring.length) - 1];
    if (y1 > lat !== y2 > lat && lon < x1 + ((x2 - x1) * (lat - y1)) / (y2 - y1)) inside = !inside;
  });
  return inside;
}

/**
 * From one point to another over the sphere, and above it in between.
 * @param {Point} a
 * @param {Point} b
 * @param {number} t 0 to 1
 * @returns {Point}
 */
function between(a, b, t) {
  const angle = Math.acos(Math.min(1, a[0] * b[0] + a[1] * b[1] + a[2] * b[2])) || 1e-6;
  const height = 1 + (0.06 + 0.1 * angle) * Math.sin(Math.PI * t);
  const [p, q] = [Math.sin((1 - t) * angle), Math.sin(t * angle)]
    .map((part) => (height * part) / Math.sin(angle));
  return [p * a[0] + q * b[0], p * a[1] + q * b[1], p * a[2] + q * b[2]];
}

export class Globe {
  /** @type {HTMLCanvasElement} */ #canvas;
  /** @type {CanvasRenderingContext2D} */ #brush;
  /** @type {Point | undefined} */ #home;
  /** @type {Point[]} */ #others = [];
  #still = matchMedia('(prefers-reduced-motion)');
  #on = false;
  #frame = 0;
  #drawn = 0;
  #turn = 0.2; // the middle's longitude

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
    this.#brush = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    this.#still.addEventListener('change', () => this.run(this.#on));
    new ResizeObserver(() => this.#draw()).observe(canvas);
  }

  /** @param {import('./host.js').View} view */
  show(view) {
    const codes = [...new Set(view.people.map(({ country }) => country))];
    const names = codes.map(country).filter(Boolean);
    const ends = [country(view.country), new Intl.ListFormat(lang).format(names)].filter(Boolean);
    const label = names.length ? `${text('globe')}: ${ends.join(' – ')}` : text('globe');
    if (this.#canvas.ariaLabel !== label) this.#canvas.setAttribute('aria-label', label);
    this.#home = place(view.country);
    this.#others = /** @type {Point[]} */ (codes.map(place).filter(Boolean));
    if (this.#still.matches && this.#on) this.#draw();
  }

  /** @param {boolean} on whether it is in view */
  run(on) {
    this.#on = on;
    cancelAnimationFrame(this.#frame);
    if (!on) return;
    this.#draw();
    if (!this.#still.matches) this.#frame = requestAnimationFrame((now) => this.#step(now));
  }

  /** @param {number} now */
  #step(now) {
    this.#frame = requestAnimationFrame((next) => this.#step(next));
    const since = now - this.#drawn;
    if (since < FRAME_MS) return;
    this.#drawn = now;
    const middle = this.#middle();
    if (middle === undefined) {
      this.#turn -= TURN * Math.min(since, 1000) / 1000;
    } else {
      const away = middle + SWAY * Math.sin(now / 9000) - this.#turn;
      this.#turn += 0.06 * Math.atan2(Math.sin(away), Math.cos(away)); // the short way round
    }
    this.#draw(now);
  }

  /** @returns {number | undefined} the longitude between the ends of all arcs */
  #middle() {
    const ends = [...this.#others, ...(this.#home && this.#others.length ? [this.#home] : [])];
    if (ends.length === 0) return undefined;
    return Math.atan2(ends.reduce((sum, [, y]) => sum + y, 0),
      ends.reduce((sum, [x]) => sum + x, 0));
  }

  /** @param {number} [now] undefined: a still picture */
  #draw(now) {
    const { clientWidth, clientHeight } = this.#canvas;
    const size = Math.min(clientWidth, clientHeight);
    const [width, height] = [clientWidth, clientHeight]
      .map((n) => Math.round(n * devicePixelRatio));
    if (!this.#on || !size) return;
    if (this.#canvas.width !== width || this.#canvas.height !== height)
      Object.assign(this.#canvas, { width, height });
    if (now === undefined && this.#still.matches) this.#turn = this.#middle() ?? this.#turn;
    const style = getComputedStyle(this.#canvas);
    const [ink, sea] = ['--accent', '--tint'].map((name) => style.getPropertyValue(name));
    const brush = this.#brush;
    const r = size / 2.3; // arcs rise above it
    brush.setTransform(devicePixelRatio, 0, 0, -devicePixelRatio, width / 2, height / 2);
    brush.clearRect(-width, -height, 2 * width, 2 * height);
    brush.fillStyle = sea;
    brush.beginPath();
    brush.arc(0, 0, r, 0, 7);
    brush.fill();
    brush.fillStyle = brush.strokeStyle = ink;
    brush.globalAlpha = 0.36;
    this.#fillLand(r);
    brush.globalAlpha = 1;
    brush.lineWidth = Math.max(1.4, size / 100);
    brush.lineCap = 'round';
    this.#others.forEach((end, i) => {
      if (this.#home) this.#drawArc(r, this.#home, end);
      this.#dot(r, end, 2.2);
      if (this.#home && now !== undefined)
        this.#dot(r, between(end, this.#home, (now / 3200 + i * 0.37) % 1), 1.6);
    });
    if (this.#home) this.#dot(r, this.#home, 2.8);
  }

  /**
   * Seen from afar: right and up in the picture, and towards the viewer.
   * @param {Point} point
   */
  #project([x, y, z]) {
    const [cos, sin] = [Math.cos(this.#turn), Math.sin(this.#turn)];
    const ahead = x * cos + y * sin;
    return [y * cos - x * sin, z * Math.cos(TILT) - ahead * Math.sin(TILT),
      z * Math.sin(TILT) + ahead * Math.cos(TILT)];
  }

  /**
   * The part of a ring on the far side runs along the rim. What goes around the far side's middle
   * would come out inside out, so the whole disc is added to it.
   * @param {number} r
   */
  #fillLand(r) {
    const [farLon, farLat] = [(((this.#turn * 180) / Math.PI + 360) % 360 + 360) % 360 - 180,
      (-TILT * 180) / Math.PI];
    const brush = this.#brush;
    land.forEach((ring, i) => {
      /** @type {number | undefined} */ let before;
      let seen = false;
      brush.beginPath();
      for (const point of ring) {
        const [x, y, z] = this.#project(point);
        const angle = Math.atan2(y, x);
        before ??= angle;
        if (z >= 0) brush.lineTo(r * x, r * y);
        else brush.arc(0, 0, r, before, angle, Math.sin(angle - before) < 0);
        before = angle;
        seen ||= z >= 0;
      }
      if (!seen) return;
      brush.closePath();
      if ([0, 360].some((turn) => around(rings[i], farLon + turn, farLat))) {
        brush.moveTo(r, 0);
        brush.arc(0, 0, r, 0, 2 * Math.PI);
      }
      brush.fill('evenodd');
    });
  }

  /**
   * @param {number} r
   * @param {Point} from
   * @param {Point} to
   */
  #drawArc(r, from, to) {
    const brush = this.#brush;
    brush.beginPath();
    let drawing = false;
    for (let i = 0; i <= PARTS; i++) {
      const [x, y, z] = this.#project(between(from, to, i / PARTS));
      const visible = z > 0 || x * x + y * y > 1;
      if (visible && drawing) brush.lineTo(r * x, r * y);
      else if (visible) brush.moveTo(r * x, r * y);
      drawing = visible;
    }
    brush.stroke();
  }

  /**
   * @param {number} r
   * @param {Point} point
   * @param {number} size
   */
  #dot(r, point, size) {
    const [x, y, z] = this.#project(point);
    if (z < 0 && x * x + y * y < 1) return;
    this.#brush.beginPath();
    this.#brush.arc(r * x, r * y, (size * this.#brush.lineWidth) / 1.4, 0, 7);
    this.#brush.fill();
  }
}
