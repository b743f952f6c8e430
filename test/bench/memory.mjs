// @ts-check
/** Memory of an egress for what is idle, each run a fresh process of the egress's own code. */
import { run } from '../browser/program.mjs';
import { built } from './built.mjs';

export const names = ['egress_session_memory', 'egress_path_memory'];

const SESSIONS = 500;

/** @param {number} paths 0: a bare connection instead of a session */
async function each(paths) {
  const { status, stdout, output } =
    await run(`${built}egress_memory`, [`${SESSIONS}`, `${paths}`]);
  if (status !== 0) throw new Error(output);
  return JSON.parse(stdout).each;
}

/**
 * @param {unknown} _
 * @param {import('./results.mjs').Results} results
 * @param {{ rounds: number }} options
 */
export async function measure(_, results, { rounds }) {
  /** @type {number[]} */ const sessions = [];
  /** @type {number[]} */ const paths = [];
  let bare = 0;
  for (let i = 0; i < rounds; i++) {
    const [none, one, three] = [await each(0), await each(1), await each(3)];
    const path = (three - one) / 2;
    bare = none;
    paths.push(path - none);
    sessions.push(one - path);
  }
  results.add('egress_session_memory', 'bytes', sessions, { sessions: SESSIONS });
  results.add('egress_path_memory', 'bytes', paths, { sessions: SESSIONS, connection: bare });
}
