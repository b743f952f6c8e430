// @ts-check
/** What a publisher pastes: the tag, and the plain frame. `footbridge network` prints the same. */

export const SCRIPT = 'widget-1.js';

/** A plain frame has one height at any width: what the tag gives a narrow column. */
const HEIGHTS = { panel: 332, banner: 212, badge: 64 };
const GLOBE_HEIGHT = 488;

/** @typedef {Record<string, string>} Written attributes as they are written */

/** @param {string} text of an attribute */
const escape = (text) => text.replace(/[&"<>]/g, (c) => `&#${c.charCodeAt(0)};`);

/**
 * @param {string} operator its origin
 * @param {string} integrity 'sha384-...'; '' where it cannot be told
 * @param {Written} written
 */
export function tag(operator, integrity, written) {
  const attributes = Object.entries(written).map(([name, value]) =>
    value === '' ? ` ${name}` : ` ${name}="${escape(value)}"`);
  return `<script type="module" src="${operator}/${SCRIPT}"\n` +
    (integrity && `  integrity="${integrity}"\n`) +
    '  crossorigin="anonymous"></script>\n' +
    `<footbridge-widget${attributes.join('')}></footbridge-widget>`;
}

/**
 * @param {string} operator
 * @param {Written} written
 */
export function frame(operator, { folded, ...written }) {
  if (written.layout === 'floating') written.layout = 'panel'; // a frame stays where it is
  const layout = /** @type {keyof typeof HEIGHTS} */ (written.layout);
  const height = layout === 'panel' && 'globe' in written ? GLOBE_HEIGHT : HEIGHTS[layout];
  const address = `${operator}/frame.html#${new URLSearchParams(written)}`;
  return `<iframe src="${escape(address)}" title="Footbridge"\n` +
    `  width="${layout === 'badge' ? 320 : '100%'}" height="${height}" frameborder="0"` +
    ' referrerpolicy="no-referrer"></iframe>';
}
