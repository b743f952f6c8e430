// @ts-check
/**
 * What is behind the links of the widget's face: how it works, settings, details, a question; and
 * what to say of people who come, and of clicks that did not count.
 */
import { bytes, country, lang, number, speed, text } from './text.js';

/** @typedef {import('./host.js').View} View */
/** @typedef {import('./host.js').Host} Host */
/** @typedef {import('./host.js').Settings} Settings */
/** @typedef {import('./frame.js').Page} Page */

const NEWS_MS = 8000;
const GB = 1e9;
const RATES = [0, 1e6, 2e6, 5e6, 10e6, 20e6, 50e6];
const PEOPLE = [1, 2, 4, 8, 16];
const BUDGETS = [0, GB, 2 * GB, 5 * GB, 10 * GB, 20 * GB, 50 * GB, 100 * GB];
const NIGHT = { from: 22 * 60, to: 7 * 60 };

const face = /** @type {HTMLElement} */ (document.getElementById('face'));
const section = /** @type {HTMLElement} */ (document.getElementById('page'));

/** What the open page does with a new view. @type {((view: View) => void) | undefined} */
let update;
/** @type {Host | undefined} */ let shown;
/** @type {Element | null} */ let opener;

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} name
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

const style = new Promise((done) => {
  document.head.append(make('link',
    { rel: 'stylesheet', href: 'panels.css', onload: done, onerror: done }));
});

/**
 * @param {Page} page
 * @param {Host} host
 */
export async function open(page, host) {
  await style;
  if (!shown) {
    shown = host;
    host.show((view) => section.hidden || update?.(view));
    section.addEventListener('keydown', ({ key }) => key === 'Escape' && close());
  }
  if (section.hidden) opener = document.activeElement;
  update = undefined;
  const { title, body } = PAGES[page](host);
  section.replaceChildren(
    make('header', {},
      make('h1', { id: 'title', textContent: title }),
      make('button', { type: 'button', className: 'link', textContent: text('back'),
        onclick: close })),
    ...body);
  section.hidden = false;
  face.hidden = true;
  scrollTo(0, 0);
  section.focus();
}

function close() {
  section.hidden = true;
  face.hidden = false;
  if (opener instanceof HTMLElement) opener.focus();
}

/** The extension has words of its own for some. @param {Host} host @param {string} key */
const own = (host, key) => (host.extension && text(`${key}Extension`)) || text(key);

/** @type {Record<Page, (host: Host) => { title: string, body: Node[] }>} */
const PAGES = {
  about: (host) => ({
    title: text('risks'),
    body: [make('div', { className: 'columns' },
      ...[1, 2, 3, 4, 5].map((i) => make('p', { textContent: own(host, `about${i}`) })))],
  }),

  settings: (host) => ({ title: text('settings'), body: [settings(host)] }),

  details: (host) => ({ title: text('details'), body: [details(host)] }),

  censored: (host) => {
    const name = country(host.view.censored);
    const anyway = make('button', { type: 'button', className: 'plain',
      textContent: text('anyway') });
    anyway.onclick = ({ isTrusted }) => {
      if (!isTrusted) return;
      host.flip(true, { anyway: true });
      close();
    };
    return {
      title: text('censoredTitle'),
      body: [
        make('p', { textContent: text('censored', { country: name }) }),
        make('p', { className: 'buttons' },
          make('button', { type: 'button', className: 'plain first', textContent: text('program'),
            onclick: () => open('reader', host) }),
          anyway,
          make('button', { type: 'button', className: 'plain', textContent: text('notNow'),
            onclick: close })),
      ],
    };
  },

  reader: () => ({
    title: text('program'),
    body: [1, 2].map((i) => make('p', { textContent: text(`reader${i}`) })),
  }),
};

/**
 * @param {number[]} offered
 * @param {number} value that is offered too
 * @param {(n: number) => string} say
 * @param {(n: number) => void} chosen
 */
function choice(offered, value, say, chosen) {
  const all = [...new Set([...offered, value])]
    .sort((a, b) => (a || Infinity) - (b || Infinity)); // 0, without a limit, is the most
  const select = make('select', {}, ...all.map((n) => new Option(say(n), String(n))));
  select.value = String(value);
  select.onchange = () => chosen(Number(select.value));
  return select;
}

/**
 * @param {string} key of its words
 * @param {HTMLElement} control
 */
const row = (key, control) =>
  make('label', { className: 'row' }, make('span', { textContent: text(key) }), control);

/**
 * @param {string} key
 * @param {boolean} checked
 * @param {(checked: boolean) => void} changed
 */
function check(key, checked, changed) {
  const box = make('input', { type: 'checkbox', checked });
  box.onchange = () => changed(box.checked);
  const label = row(key, box);
  label.classList.add('check');
  return label;
}

/** @param {number} minutes @returns {string} as <input type=time> has it */
const clock = (minutes) => [Math.floor(minutes / 60), minutes % 60]
  .map((n) => String(n).padStart(2, '0')).join(':');

/** @param {Host} host */
function settings(host) {
  const { settings } = host.view;
  /** @param {Partial<Settings>} part */
  const set = (part) => host.set(part);
  /** @param {(n: number) => string} say */
  const orNone = (say) => (/** @type {number} */ n) => (n ? say(n) : text('unlimited'));

  const progress = make('progress', { max: 1 });
  const used = make('p', { className: 'hint' });
  progress.setAttribute('aria-label', text('budget'));
  update = ({ settings: { budget }, used: n }) => {
    progress.hidden = used.hidden = budget === 0;
    progress.value = budget && Math.min(1, n / budget);
    used.textContent = text('used', { used: bytes(n), budget: bytes(budget) });
  };
  update(host.view);

  const body = make('div', { className: 'columns' },
    row('rate', choice(RATES, settings.rate, orNone(speed), (rate) => set({ rate }))),
    row('people', choice(PEOPLE, settings.people, number, (people) => set({ people }))),
    make('div', {},
      row('budget', choice(BUDGETS, settings.budget, orNone(bytes), (budget) => set({ budget }))),
      progress, used),
    hours(settings, set),
    check('metered', settings.metered, (metered) => set({ metered })),
    check('battery', settings.battery, (battery) => set({ battery })),
    ...(host.extension ? [] : [make('div', {}, // there the switch itself is remembered
      check('keep', settings.keep, (keep) => set({ keep })),
      make('p', { className: 'hint', textContent: text('keepHint') }))]),
    ...(window === top || host.view.elsewhere ? [] : [leave(host)]));
  return body;
}

/** The companion window. @param {Host} host */
function leave(host) {
  const hint = make('p', { className: 'hint', textContent: text('leaveHint') });
  const button = make('button', { type: 'button', className: 'plain', textContent: text('leave') });
  button.onclick = ({ isTrusted }) => {
    if (!isTrusted) return;
    if (host.leave()) close();
    else hint.textContent = text('asks');
  };
  return make('div', { className: 'leave' }, button, hint);
}

/**
 * @param {Settings} settings
 * @param {(part: Partial<Settings>) => void} set
 */
function hours({ from, to }, set) {
  const timed = from !== to;
  const between = { ...(timed ? { from, to } : NIGHT) };
  const times = make('div', { className: 'times', hidden: !timed },
    ...(/** @type {const} */ (['from', 'to'])).map((end) => {
      const input = make('input', { type: 'time', value: clock(between[end]), required: true });
      input.onchange = () => {
        if (Number.isNaN(input.valueAsNumber)) return;
        between[end] = input.valueAsNumber / 60000;
        set(between);
      };
      return make('label', {}, make('span', { textContent: text(end) }), input);
    }));
  return make('div', {},
    check('hours', timed, (on) => {
      times.hidden = !on;
      set(on ? between : { from: 0, to: 0 });
    }), times);
}

/** @param {Host} host */
function details(host) {
  const why = make('p');
  const list = make('dl', { className: 'columns' });
  update = (view) => {
    why.hidden = view.state !== 'waiting' && view.state !== 'off';
    why.textContent = text(view.state === 'off' ? 'idleOff' : 'idle1');
    /** @type {[string, string][]} */
    const rows = [
      ['connection', text({ unknown: 'natUnknown', easy: 'natEasy', hard: 'natHard' }[view.nat])],
      ['last', own(host, view.trouble || 'none')],
      ['session', text('sessionValue',
        { n: view.total, up: bytes(view.up), down: bytes(view.down) })],
    ];
    const place = country(view.country);
    if (place) rows.splice(1, 0, ['place', place]);
    const written = rows.flat().join('\n');
    if (list.dataset.written === written) return;
    list.dataset.written = written;
    list.replaceChildren(...rows.map(([key, value]) => make('div', { className: 'row' },
      make('dt', { textContent: text(key) }), make('dd', { textContent: value }))));
  };
  update(host.view);
  return make('div', { lang }, why, list);
}

/** @type {Set<number>} */ let known = new Set();
/** @type {ReturnType<typeof setTimeout> | undefined} */ let old;

/** Somebody new crosses the bridge. @param {View} view */
export function greet({ people, elsewhere }) {
  const news = /** @type {HTMLElement} */ (document.getElementById('news'));
  if (elsewhere) news.textContent = text('elsewhere');
  const last = people.filter(({ id }) => !known.has(id)).pop();
  known = new Set(people.map(({ id }) => id));
  if (!last) return;
  const from = country(last.country);
  news.textContent = from ? text('connected', { country: from }) : text('connectedSomewhere');
  clearTimeout(old);
  old = setTimeout(() => (news.textContent = ''), NEWS_MS);
  if (matchMedia('(prefers-reduced-motion)').matches) return;
  document.getElementById('walker')?.animate([
    { offsetDistance: '0%', opacity: 0 }, { opacity: 1, offset: 0.15 },
    { opacity: 1, offset: 0.85 }, { offsetDistance: '100%', opacity: 0 },
  ], { duration: 2200, easing: 'ease-in-out' });
}

/** @param {'covered' | 'confirm'} why */
export const refusal = (why) => text(why === 'covered' ? 'covered' : 'asks');
