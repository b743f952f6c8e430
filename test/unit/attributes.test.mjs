// @ts-check
/** The widget's attributes, and what is made of them and must not go its own way. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { ATTRIBUTES, read } from '../../web/widget/attributes.js';
import { frame, tag } from '../../web/widget/snippet.js';

/** @param {string} path */
const load = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const defaults = Object.fromEntries(
  Object.entries(ATTRIBUTES).map(([name, attribute]) => [name, attribute.default]));

/** Of web/widget/widget-1.js. Publishers' pages pin it, so from the first release on the file may
 * not change and this line with it: a change is a new file, widget-2.js, beside it. Before that
 * release, put in what the message says. */
const VERSION_1 =
  'sha384-lPrn0I/F7PnnoSn1ZzlubodxI0IM13a402YB8kkGiHkq1x19cfkWmzgWFR0VBZ34';

test('version 1 of the tag is what pages pin', () => {
  const hash = createHash('sha384').update(load('web/widget/widget-1.js')).digest('base64');
  assert.equal(`sha384-${hash}`, VERSION_1, 'widget-1.js has changed. Released, it must not: ' +
    'make a widget-2.js. Before its release, put the new hash here and run tools/attributes.mjs');
});

test('the manual page, the table for publishers and the WordPress plugin are fresh', () => {
  const tool = fileURLToPath(new URL('../../tools/attributes.mjs', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, [tool, '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, `run tools/attributes.mjs: ${stdout}`);
});

test('the tag passes on every attribute of the table but its own', () => {
  const [, list] = /PASSED = \[([^\]]*)\]/.exec(load('web/widget/widget-1.js')) ?? [];
  const passed = list.match(/\w+/g) ?? [];
  assert.deepEqual([...passed, 'folded'].sort(), Object.keys(ATTRIBUTES).sort());
});

test('nothing written is the defaults', () => {
  assert.deepEqual(read(''), defaults);
  assert.deepEqual(read('#'), defaults);
});

test('every value of every choice, flag and bound is read', () => {
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    /** @type {[string, any][]} */ let cases = [];
    if (attribute.kind === 'choice') cases = attribute.values.map((value) => [value, value]);
    if (attribute.kind === 'flag')
      cases = [['', true], ['on', true], ['true', true], ['off', false], ['false', false]];
    if (attribute.kind === 'number')
      cases = [[String(attribute.min), attribute.min], [String(attribute.max), attribute.max]];
    if (attribute.kind === 'url')
      cases = ['https://a.example/b?c=d#e', 'http://b.example/'].map((url) => [url, url]);
    if (attribute.kind === 'language')
      cases = ['auto', 'fa', 'zh-Hant'].map((language) => [language, language]);
    assert.ok(cases.length > 0, name);
    for (const [text, value] of cases)
      assert.deepEqual(read(`#x=y&${name}=${encodeURIComponent(text)}&layout`),
        { ...defaults, [name]: value });
  }
});

test('what is not understood is the default', () => {
  const bad = ['<b>', 'PANEL ', '-1', '1e3', '99999', ' 4', '4.5', '0x4', 'javascript:alert(1)',
    'data:text/html,x', 'https://', '//a.example', '/a', 'en_US', 'en-', '__proto__',
    'constructor', '\u202e', '%00', 'x'.repeat(9000)];
  for (const name of Object.keys(ATTRIBUTES))
    for (const value of bad)
      assert.deepEqual(read(`#${name}=${encodeURIComponent(value)}`), defaults, `${name} ${value}`);
  assert.deepEqual(read('#%%%&&&===&__proto__=1&toString=2&=&layout=%E0%A4%A'), defaults);
  assert.equal(/** @type {any} */ ({}).polluted, undefined);
});

test('snippets escape what a publisher typed, and the frame reads it back', () => {
  const nasty = 'https://a.example/?a=1&b="><script>';
  const text = tag('https://op.example', 'sha384-x', { layout: 'badge', globe: '', info: nasty });
  assert.ok(text.includes('<footbridge-widget layout="badge" globe ' +
    'info="https://a.example/?a=1&#38;b=&#34;&#62;&#60;script&#62;">'));
  const html = frame('https://op.example', { layout: 'floating', folded: 'off', info: nasty });
  const [, address] = /src="([^"]*)"/.exec(html) ?? [];
  const url = new URL(address.replaceAll('&#38;', '&'));
  assert.deepEqual(read(url.hash),
    { ...defaults, info: 'https://a.example/?a=1&b=%22%3E%3Cscript%3E' });
});
