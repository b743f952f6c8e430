// @ts-check
/** Directories for the time that a process lives; those of dead ones go when the next is made. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** @param {string} what letters only */
export function scratch(what) {
  const begin = `footbridge-${what}-`;
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(begin) ? /^(\d+)-/.exec(name.slice(begin.length))?.[1] : undefined;
    if (pid && !existsSync(`/proc/${pid}`))
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  return mkdtempSync(join(tmpdir(), `${begin}${process.pid}-`));
}
