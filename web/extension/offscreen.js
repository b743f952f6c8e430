// @ts-check
/** Makes Chromium's offscreen document, run.html. Firefox has its background page at all times. */

const { offscreen, runtime } = /** @type {any} */ (globalThis).chrome;

/** Resolves when run.js listens. */
export async function ensure() {
  if (!offscreen) return;
  // One at a time, of the service worker and popups.
  await navigator.locks.request('offscreen', async () => {
    const there = await runtime.getContexts({ contextTypes: ['OFFSCREEN_DOCUMENT'] });
    if (there.length > 0) return;
    await offscreen.createDocument({
      url: 'run.html',
      reasons: ['WEB_RTC'],
      justification: 'Carries encrypted traffic between a reader and the network.',
    });
  });
}
