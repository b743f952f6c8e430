// @ts-check
/**
 * The plugin in the WordPress of Debian, booted without a database: what it emits, and what it
 * makes of settings and texts that nobody meant well.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync,
  writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ATTRIBUTES } from '../../web/widget/attributes.js';
import { scratch } from './scratch.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const plugin = `${root}packaging/wordpress/footbridge-widget`;
const wordpress = ['/usr/share', `${process.env.FB_TOOLS ?? `${root}build/tools`}/usr/share`]
  .map((dir) => `${dir}/wordpress`).find((dir) => existsSync(`${dir}/wp-settings.php`));
const operator = 'https://bridge.example';
const hash = createHash('sha384').update(readFileSync(`${root}web/widget/widget-1.js`))
  .digest('base64');
const script = `<script type="module" src="${operator}/widget-1.js" integrity="sha384-${hash}" ` +
  'crossorigin="anonymous"></script>';

/** @type {string} */ let dir;

/**
 * @param {Record<string, any>} question as test/net/wordpress.php takes it
 * @param {Record<string, any>} [settings] as they are in the database
 */
function ask(question, settings = { operator }) {
  const input = JSON.stringify({ options: { footbridge_widget: settings }, ...question });
  const output = execFileSync('php', [`${root}test/net/wordpress.php`, dir],
    { input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'inherit'] });
  const { answer, complaints, requests } = JSON.parse(output);
  assert.deepEqual(complaints, []);
  assert.deepEqual(requests, [], 'the server asked somebody');
  return answer;
}

/** A post with this text. @param {string} content @param {Record<string, any>} [settings] */
const post = (content, settings) => ask({ content }, settings).trim();

/** Every way into markup. */
const HOSTILE = ['"><script>alert(1)</script>', "' onload='alert(1)", 'javascript:alert(1)',
  '</footbridge-widget>', 'x" autostart="1', '\u0000', 'https://a.example/"onclick="alert(1)',
  'data:text/html,<script>', '&quot; onclick=&quot;alert(1)', '9'.repeat(400)];

const KNOWN = new Set(['type', 'src', 'integrity', 'crossorigin', ...Object.keys(ATTRIBUTES)]);

/** Nothing but our two elements, with known attributes. @param {string} html */
function assertHarmless(html) {
  const elements = html.match(/<[^>]*>/g) ?? [];
  for (const element of elements) {
    assert.match(element, /^<\/?(script|footbridge-widget|p)\b/, html);
    for (const [, name] of element.matchAll(/ ([a-z-]+)="[^"<>]*"/g))
      assert.ok(KNOWN.has(name), html);
    assert.match(element.replace(/ [a-z-]+="[^"<>]*"/g, ''), /^<\/?[a-z-]+>$/, html);
  }
  assert.doesNotMatch(html, /javascript:|data:/);
}

const skip = !wordpress ? 'no WordPress here' : false;

describe('the WordPress plugin', { skip, timeout: 240000 }, () => {
  before(() => {
    dir = scratch('wordpress');
    // A whole WordPress of links, with a wp-content of its own.
    for (const name of readdirSync(wordpress ?? ''))
      if (!/^wp-(content|config\.php)$/.test(name))
        symlinkSync(`${wordpress}/${name}`, join(dir, name));
    mkdirSync(join(dir, 'wp-content/mu-plugins'), { recursive: true });
    cpSync(`${root}test/net/wordpress-db.php`, join(dir, 'wp-content/db.php'));
    writeFileSync(join(dir, 'wp-content/mu-plugins/load.php'),
      `<?php require '${plugin}/footbridge-widget.php';`);
  });

  test('without an operator there is nothing', () => {
    assert.equal(post('[footbridge]', {}), '');
    assert.equal(post('[footbridge]', { operator: 'ftp://x.example' }), '');
  });

  test('the shortcode is the tag, pinned', () => {
    assert.equal(post('[footbridge]'), `${script}\n<footbridge-widget></footbridge-widget>`);
    assert.equal(post('[footbridge layout="badge" globe donate="https://x.example/?a=1&b=2"]'),
      `${script}\n<footbridge-widget layout="badge" globe="on" ` +
      'donate="https://x.example/?a=1&amp;b=2"></footbridge-widget>');
  });

  test('settings are the default, and a text says otherwise', () => {
    const settings = { operator, theme: 'dark', stats: 'off', layout: 'floating' };
    assert.match(post('[footbridge layout="panel"]', settings),
      /<footbridge-widget layout="panel" theme="dark" stats="off"><\/footbridge-widget>$/);
  });

  test('the block is the same tag', () => {
    assert.equal(post('<!-- wp:footbridge/widget {"layout":"badge","people":"7"} /-->'),
      `${script}\n<footbridge-widget layout="badge" people="7"></footbridge-widget>`);
    const { attributes, deps, before } = ask({ block: true });
    for (const name of ['layout', 'theme', 'lang', 'info']) assert.ok(attributes.includes(name));
    assert.deepEqual(deps, ['wp-blocks', 'wp-element', 'wp-block-editor']);
    assert.match(before, /^\s*var footbridgeWidgetAttributes = \{.*\};$/);
    assert.doesNotMatch(before, /</);
  });

  test('hostile values in a text come out refused', () => {
    /** @param {unknown} value as the editor writes it into a comment */
    const json = (value) => JSON.stringify(value).replace(/[<>&-]/g, (c) =>
      `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
    for (const name of ['layout', 'theme', 'globe', 'lang', 'rate', 'people', 'info', 'donate']) {
      const blocks = HOSTILE.map((value) =>
        `<!-- wp:footbridge/widget ${json({ [name]: value })} /-->`);
      const html = post(blocks.join('\n'));
      assertHarmless(html);
      assert.equal(html.split('</footbridge-widget>').length - 1, HOSTILE.length);
    }
    const shortcodes = HOSTILE.map((value) => `[footbridge layout='${value}' onclick="alert(1)"]`);
    assert.doesNotMatch(post(shortcodes.join('\n\n')),
      /<[^>]*(onload|onclick|autostart|javascript)/);
  });

  test('hostile settings come out refused, from the form and from the database', () => {
    for (const value of HOSTILE) {
      for (const bad of [value, [value], { a: [value] }, `${operator}/${value}x`,
        `https://user@bridge.example`, `https://bridge.example?${value}`]) {
        const settings =
          { operator: bad, layout: bad, theme: bad, rate: bad, info: bad, extra: bad };
        const kept = ask({ sanitize: settings, admin: true });
        assert.equal(kept.operator, '', JSON.stringify(bad));
        assert.deepEqual(Object.keys(kept).filter((name) => !/^(operator|info)$/.test(name)), []);
        if (kept.info !== undefined) assert.match(kept.info, /^https?:\/\/[^"<>\s]+$/);
        if (bad !== value) continue;
        assert.equal(post('[footbridge]', settings), '');
        assertHarmless(post('[footbridge]', { ...settings, operator }));
      }
    }
  });

  test('good settings are kept, the operator as an origin', () => {
    assert.deepEqual(ask({ admin: true, sanitize:
      { operator: ' HTTPS://Bridge.Example:8443/ ', theme: 'dark', rate: '5', people: '4' } }),
    { operator: 'https://bridge.example:8443', theme: 'dark', rate: '5' });
    for (const [operator, kept] of [['http://bridge.example', ''],
      ['http://127.0.0.1:8080', 'http://127.0.0.1:8080']])
      assert.equal(ask({ admin: true, sanitize: { operator } }).operator, kept);
  });

  test('the settings page has a field for each attribute, escaped, for administrators', () => {
    const settings = { operator, info: 'https://a.example/?b="><script>alert(1)</script>' };
    const html = ask({ page: 'admin', admin: true }, settings);
    for (const name of ['operator', 'layout', 'theme', 'globe', 'lang', 'people', 'donate'])
      assert.match(html, new RegExp(`name="footbridge_widget\\[${name}\\]"`));
    assert.match(html, /name="_wpnonce"/);
    assert.doesNotMatch(html, /<script>alert/);
    assert.equal(ask({ page: 'reader', admin: true }, settings), '');
  });
});

test('the zip is the same each time it is made', { skip: !existsSync('/usr/bin/zip') && 'no zip' },
  () => {
    const at = scratch('zip');
    const [one, two] = ['one.zip', 'two.zip'].map((name) => {
      execFileSync(`${root}tools/wordpress`, [join(at, name)]);
      return readFileSync(join(at, name));
    });
    assert.ok(one.equals(two));
    assert.ok(one.includes('footbridge-widget/uninstall.php'));
  });
