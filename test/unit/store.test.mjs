// @ts-check
/** What the widget remembers, without a device: whose word counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { keep, kept, suggest } from '../../web/widget/store.js';

test('what a publisher suggests holds until the visitor sets something', () => {
  assert.deepEqual([kept().settings.rate, kept().settings.people], [0, 4]);
  suggest({ rate: 2e6, people: 2 });
  assert.deepEqual([kept().settings.rate, kept().settings.people], [2e6, 2]);

  keep({ on: true, helped: 3 }); // no setting of the visitor's
  suggest({ rate: 5e6, people: 8 });
  assert.deepEqual([kept().settings.rate, kept().settings.people], [5e6, 8]);

  keep({ settings: { ...kept().settings, rate: 1e6 }, own: true });
  suggest({ rate: 0, people: 16 });
  assert.deepEqual([kept().settings.rate, kept().settings.people], [1e6, 8]);
  assert.equal(kept().helped, 3);
});

test('a suggestion out of range is none', () => {
  keep({ own: false });
  suggest({ rate: 3e6, people: 3 });
  suggest(/** @type {any} */ ({ rate: -1, people: 99, keep: 'yes', unknown: 1 }));
  assert.deepEqual([kept().settings.rate, kept().settings.people, kept().settings.keep],
    [3e6, 3, false]);
});
