// @ts-check
/** The widget's languages: each says everything that English says, with the same blanks to fill. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';

/** @typedef {import('../../web/widget/text.js').Messages} Messages */

const WIDGET = new URL('../../web/widget/', import.meta.url);
const { LANGUAGES } = await import(`${WIDGET}text.js`);

/** @param {string} tag @returns {Promise<{ face: Messages, panels: Messages }>} */
const load = (tag) => import(`${WIDGET}text.${tag}.js`);

/** @param {string} text @returns {string[]} */
const blanks = (text) => (text.match(/{\w*}/g) ?? []).sort();

test('there is a file for each language, and no other', () => {
  const files = readdirSync(WIDGET).filter((name) => /^text\..+\.js$/.test(name));
  assert.deepEqual(files.sort(),
    LANGUAGES.map((/** @type {string} */ tag) => `text.${tag}.js`).sort());
});

for (const tag of LANGUAGES) {
  test(`${tag} is complete`, async () => {
    const [english, other] = [await load('en'), await load(tag)];
    for (const part of /** @type {const} */ (['face', 'panels'])) {
      assert.deepEqual(Object.keys(other[part]), Object.keys(english[part]));
      for (const [key, message] of Object.entries(other[part])) {
        const pattern = english[part][key];
        assert.equal(typeof message, typeof pattern, key);
        const forms = typeof message === 'string' ? { other: message } : message;
        const wanted = typeof pattern === 'string' ? pattern : pattern.other;
        for (const [category, form] of Object.entries(forms)) {
          assert.ok(form.trim() === form && form.length > 0, `${key} says nothing`);
          // "One person" may be said without the number, "people" may not.
          const optional = ['zero', 'one', 'two'].includes(category) ? ['{n}'] : [];
          assert.deepEqual(blanks(form).filter((blank) => !optional.includes(blank)),
            blanks(wanted).filter((blank) => !optional.includes(blank)), `${key} ${category}`);
        }
      }
    }
  });

  test(`${tag} has the forms that its plurals need, and its direction`, async () => {
    const { face, panels } = await load(tag);
    const { pluralCategories } = new Intl.PluralRules(tag).resolvedOptions();
    for (const message of Object.values({ ...face, ...panels }))
      if (typeof message !== 'string')
        assert.deepEqual(Object.keys(message).sort(), [...pluralCategories].sort());
    assert.equal(face.dir, /^(ar|fa|ug)$/.test(tag) ? 'rtl' : 'ltr');
  });
}
