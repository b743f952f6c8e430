#!/usr/bin/env node
// @ts-check
/**
 * tools/attributes.mjs [--check]: writes what repeats web/widget/attributes.js and the hash of the
 * widget's script: man/footbridge-widget.7, the table in doc/publishers.md, the WordPress plugin's
 * table and constant. With --check it only says which of them are stale.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { ATTRIBUTES } from '../web/widget/attributes.js';

const root = fileURLToPath(new URL('..', import.meta.url));
/** @param {string} path */
const load = (path) => readFileSync(root + path, 'utf8');

/** @typedef {import('../web/widget/attributes.js').Attribute} Attribute */
/** @typedef {{ name: string, values: string, standard: string, meaning: string }} Row */

/** @param {Attribute} attribute @returns {string} what may be written */
function values(attribute) {
  switch (attribute.kind) {
    case 'choice': return attribute.values.join(', ');
    case 'flag': return 'on, off';
    case 'number': return `${attribute.min} to ${attribute.max}`;
    case 'url': return 'a web address';
    case 'language': return 'auto, or a language';
  }
}

/** @param {Attribute} attribute */
function standard({ default: value }) {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : String(value);
}

/** The comment above each row of the table. @returns {Row[]} */
function rows() {
  const source = load('web/widget/attributes.js');
  const found = [...source.matchAll(/^ {2}\/\*\* ([^]*?) \*\/\n {2}(\w+):/gm)];
  const meanings = new Map(found.map(([, text, name]) =>
    [name, text.replace(/\s*\n\s*\* /g, ' ')]));
  return Object.entries(ATTRIBUTES).map(([name, attribute]) => ({
    name,
    values: values(attribute),
    standard: standard(attribute),
    meaning: meanings.get(name) ?? '',
  }));
}

/** Macro arguments and lines that begin with a dot, for mandoc. @param {string} text */
const roff = (text) => text.replace(/\\/g, '\\e').replace(/"([^"]*)"/g, '\\(lq$1\\(rq');

/** A sentence a line. @param {Row} row */
function manualItem({ name, values, standard, meaning }) {
  const sentences = meaning.split(/(?<=\.) /).map(roff).join('\n');
  const ends = standard === '' ? '' : `\nThe default is\n.Cm ${standard} .`;
  return `.It Cm ${name} Ns = Ns Ar ${values.replaceAll(' ', '\\ ')}\n${sentences}${ends}`;
}

function manual() {
  return `.\\" Made by tools/attributes.mjs from web/widget/attributes.js.
.Dd November 30, 2026
.Dt FOOTBRIDGE-WIDGET 7
.Os
.Sh NAME
.Nm footbridge-widget
.Nd the switch on a publisher's page
.Sh SYNOPSIS
.Dl <script type="module" src="https://OPERATOR/widget-1.js" integrity="..." crossorigin></script>
.Dl <footbridge-widget layout="panel"></footbridge-widget>
.Sh DESCRIPTION
The tag puts a frame of the operator's on the page, in which a visitor may turn on a bridge for
people whose country blocks the free press.
.Xr footbridge-network 1
prints it, and
.Pa /preview.html
at the operator's address shows every look of it.
.Pp
These attributes may be given in any order, and changed at any time; a change shows at once and
neither loads anything again nor stops what is carried.
A value that is not understood counts as the default.
A flag is on when it stands there alone.
No attribute turns the switch on: only the visitor's hand does.
.Bl -tag -width Ds
${rows().map(manualItem).join('\n')}
.El
.Pp
A plain frame takes the same but
.Cm folded
in its address:
.Pp
.Dl <iframe src="https://OPERATOR/frame.html#layout=badge" title="Footbridge"></iframe>
.Sh SEE ALSO
.Xr footbridge-network 1 ,
.Xr footbridge-serve 1
.Pp
.Pa doc/publishers.md
in the source tells what the widget does to a page and what it does not.
`;
}

function markdown() {
  return ['| attribute | values | default | meaning |', '|---|---|---|---|',
    ...rows().map(({ name, values, standard, meaning }) =>
      `| \`${name}\` | ${values} | ${standard || 'none'} | ${meaning} |`)].join('\n');
}

/** As the plugin handles them, with all values as they are written. */
function json() {
  const table = Object.fromEntries(rows().map(({ name, standard, meaning }) => {
    const attribute = ATTRIBUTES[/** @type {keyof typeof ATTRIBUTES} */ (name)];
    return [name, { ...attribute, default: standard, meaning }];
  }));
  return `${JSON.stringify(table, null, 2)}\n`;
}

/**
 * @param {string} text
 * @param {RegExp} pattern with the part to keep as its first and third group
 * @param {string} part
 */
function replaced(text, pattern, part) {
  if (!pattern.test(text)) throw new Error(`nothing to replace: ${pattern}`);
  return text.replace(pattern, (_, before, __, after) => before + part + after);
}

const hash = createHash('sha384').update(load('web/widget/widget-1.js')).digest('base64');
const PLUGIN = 'packaging/wordpress/footbridge-widget';
/** @type {Record<string, string>} */
const made = {
  'man/footbridge-widget.7': manual(),
  'doc/publishers.md': replaced(load('doc/publishers.md'),
    /(<!-- attributes -->\n)([^]*?)(\n<!-- end -->)/, markdown()),
  [`${PLUGIN}/footbridge-widget.php`]: replaced(load(`${PLUGIN}/footbridge-widget.php`),
    /(FOOTBRIDGE_WIDGET_INTEGRITY = ')([^']*)(')/, `sha384-${hash}`),
  [`${PLUGIN}/attributes.json`]: json(),
};

for (const [path, text] of Object.entries(made)) {
  let now = '';
  try {
    now = load(path);
  } catch {
    // it is new
  }
  if (text === now) continue;
  console.log(`${path}: ${process.argv[2] === '--check' ? 'stale' : 'written'}`);
  if (process.argv[2] === '--check') process.exitCode = 1;
  else writeFileSync(root + path, text);
}
