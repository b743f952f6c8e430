// @ts-check
/** What `footbridge network` prints for publishers is what the preview page gives them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { frame, tag } from '../../web/widget/snippet.js';
import { footbridge } from '../browser/program.mjs';
import { scratch } from './scratch.mjs';

const operator = 'https://b.example';

/** @param {string} text */
const flat = (text) => text.replace(/\s+/g, ' ');

test('the command and the preview give the same tag and the same frame', () => {
  const script = readFileSync(new URL('../../web/widget/widget-1.js', import.meta.url));
  const hash = `sha384-${createHash('sha384').update(script).digest('base64')}`;
  const printed = flat(execFileSync(footbridge, ['network', 'new', '--broker', operator,
    '--egress', 'wss://e.example/v1/path', join(scratch('snippet'), 'net')], { encoding: 'utf8' }));
  for (const text of [tag(operator, hash, { layout: 'panel' }),
    frame(operator, { layout: 'panel' }), `${operator}/preview.html`])
    assert.ok(printed.includes(flat(text)), `${flat(text)}\nis not in\n${printed}`);
});
