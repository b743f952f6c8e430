// @ts-check
/**
 * What relaying costs the publisher's page: the time of its main thread, with page and frame on
 * different sites and so, as this checks, in different processes.
 */
import { Publisher } from '../browser/publisher.mjs';
import { Chromium, Page } from './cdp.mjs';
import { mainThreadSeconds, renderers } from './machine.mjs';
import { Servers, freePort } from './stage.mjs';
import { median, round } from './stats.mjs';
import { flow, wait } from './traffic.mjs';

export const names = ['publisher_main_thread'];

const BITS = 40e6;
const SECONDS = 20;

/** The renderer whose main thread this page's scripts run on. @param {Page} page */
async function processOf(page) {
  const then = new Map(renderers().map((pid) => [pid, mainThreadSeconds(pid)]));
  await page.evaluate('{ const end = Date.now() + 500; while (Date.now() < end); }');
  const spent = renderers().map((pid) =>
    ({ pid, s: mainThreadSeconds(pid) - (then.get(pid) ?? 0) }));
  return spent.sort((a, b) => b.s - a.s)[0].pid;
}

/** The widget on a publisher's page in a tab of its own. */
class Visit {
  /** @param {Chromium} browser @param {string} url */
  static async start(browser, url) {
    const page = await browser.open(url);
    /** @type {Promise<Page>} */
    const attached = new Promise((done) =>
      browser.events.set('Target.attachedToTarget', ({ sessionId, targetInfo }) => {
        // Only a frame in another process is a target.
        if (targetInfo.type === 'iframe') done(new Page(browser, targetInfo.targetId, sessionId));
      }));
    await browser.call('Target.setAutoAttach',
      { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, page.session);
    const late = wait(15000).then(() => {
      throw new Error('the frame is in no process of its own');
    });
    const visit = new Visit(page, await Promise.race([attached, late]));
    late.catch(() => {});
    const [one, other] = [await processOf(page), await processOf(visit.frame)];
    if (one === other) throw new Error('page and frame share a process');
    visit.pid = one;
    return visit;
  }

  /** @param {Page} page @param {Page} frame */
  constructor(page, frame) {
    this.page = page;
    this.frame = frame;
    this.pid = 0;
  }

  /** A click on the switch, on the page as a visitor's. @param {string} state that is to follow */
  async flip(state) {
    const rect = `(({ x, y, width, height }) => ({ x, y, width, height }))`;
    await this.frame.until(`document.querySelector('#switch:not([aria-disabled])') !== null`);
    const outer = await this.page.evaluate(`${rect}(document.querySelector('footbridge-widget')
      .shadowRoot.querySelector('iframe').getBoundingClientRect())`);
    const inner = await this.frame.evaluate(
      `${rect}(document.getElementById('switch').getBoundingClientRect())`);
    const [x, y] = [outer.x + inner.x + inner.width / 2, outer.y + inner.y + inner.height / 2];
    for (const type of ['mousePressed', 'mouseReleased'])
      await this.page.chromium.call('Input.dispatchMouseEvent',
        { type, x, y, button: 'left', clickCount: 1 }, this.page.session);
    await this.frame.until(`document.getElementById('face').dataset.state === '${state}'`);
  }
}

/**
 * @param {Visit} visit
 * @param {Servers} servers
 * @param {number} originPort
 */
async function oneRound(visit, servers, originPort) {
  let then = mainThreadSeconds(visit.pid);
  await wait(SECONDS * 1000);
  const off = (100 * (mainThreadSeconds(visit.pid) - then)) / SECONDS;
  await visit.flip('waiting');
  const proxy = await freePort();
  const client = servers.startClient(proxy);
  try {
    await client.says(/^client: ready/m, 30000);
    let spent = 0;
    const { seconds, mbits } = await flow({ proxy, originPort }, 'down', SECONDS, {
      bits: BITS,
      around: {
        begin: () => (then = mainThreadSeconds(visit.pid)),
        end: () => (spent = mainThreadSeconds(visit.pid) - then),
      },
    });
    return { off, on: (100 * spent) / seconds, mbits };
  } finally {
    await client.stop();
    await visit.flip('off');
  }
}

/**
 * @param {unknown} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number }} options
 */
export async function measure(_, results, { rounds }) {
  const originPort = await freePort();
  const servers = await Servers.start({ allow: [`127.0.0.1:${originPort}`] });
  const publisher = await Publisher.start(servers.operator);
  const browser = await Chromium.launch();
  try {
    const visit = await Visit.start(browser, `${publisher.elsewhere}/article`);
    const runs = [];
    for (let i = 0; i < rounds; i++) runs.push(await oneRound(visit, servers, originPort));
    results.add('publisher_main_thread', 'points', runs.map(({ on, off }) => on - off), {
      on: round(median(runs.map(({ on }) => on))),
      off: round(median(runs.map(({ off }) => off))),
      mbits: round(median(runs.map(({ mbits }) => mbits))),
    });
  } finally {
    await browser.close();
    publisher.stop();
    await servers.stop();
  }
}
