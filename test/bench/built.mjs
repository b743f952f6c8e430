// @ts-check
/** What `tools/build bench` made. */
import { fileURLToPath } from 'node:url';

export const footbridge = fileURLToPath(new URL('../../build/bench/footbridge', import.meta.url));
/** The directory of this directory's programs. */
export const built = fileURLToPath(new URL('../../build/bench/test/bench/', import.meta.url));
