// @ts-check
/**
 * What client and headless volunteer say where they cannot join a network: one line and status 1,
 * and a signed document that is older than one seen before is no way back.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttps } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Program, footbridge, run } from '../browser/program.mjs';

/**
 * Listens on a free port of loopback.
 * @param {import('node:net').Server} server
 * @returns {Promise<number>}
 */
function listen(server) {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      resolve(port);
    });
  });
}

const dir = mkdtempSync(join(tmpdir(), 'footbridge-joining-'));
const ca = join(dir, 'cert.pem');
/** @type {import('node:net').Server[]} */ const servers = [];
/** What the broker that is none answers to a question for the network document. */
let document = Buffer.alloc(0);
let port = 0;

/**
 * A new network whose broker is at that URL: its directory.
 * @param {string} name
 * @param {string} url
 */
async function network(name, url) {
  const keys = join(dir, name);
  const { status, output } = await run(footbridge, ['network', 'new', '--local', '--broker', url,
    '--egress', 'wss://localhost:1/v1/path', keys]);
  assert.equal(status, 0, output);
  return keys;
}

/** @param {string} keys */
const linkOf = (keys) => readFileSync(join(keys, 'join-link'), 'utf8').trim();
/** @param {string} keys */
const documentOf = (keys) => readFileSync(join(keys, 'network.document'));

before(async () => {
  const key = join(dir, 'key.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost',
    '-keyout', key, '-out', ca], { stdio: 'ignore' });
  const broker = createHttps({ cert: readFileSync(ca), key: readFileSync(key) },
    (request, response) => {
      const found = request.url === '/v1/network' && document.length > 0;
      response.writeHead(found ? 200 : 404);
      response.end(found ? document : '');
    });
  servers.push(broker);
  port = await listen(broker);
});

after(() => {
  for (const server of servers) server.close();
  rmSync(dir, { recursive: true, force: true });
});

for (const role of ['client', 'volunteer']) {
  describe(role, () => {
    const listening = role === 'client' ? ['--listen', '127.0.0.1:0'] : [];

    /**
     * @param {RegExp} pattern
     * @param {string} link
     * @param {string[]} options
     */
    const refused = async (pattern, link, ...options) => {
      const cache = mkdtempSync(join(dir, 'cache-'));
      const { status, output, stdout } = await run(footbridge, [role, '--join', link,
        '--cache', cache, ...listening, ...options], { ms: 30000 });
      assert.equal(status, 1, output);
      assert.match(output, pattern);
      assert.equal(output.split('\n').length, 2, `not one line: ${output}`);
      assert.equal(stdout, '');
    };

    test('a link that is none, or is damaged', async () => {
      const link = linkOf(await network(`${role}-link`, `https://localhost:${port}`));
      await refused(/not a footbridge link/, 'https://localhost/');
      await refused(/damaged/, link.replace(/:./, (two) => (two === ':A' ? ':B' : ':A')));
      await refused(/damaged/, link.slice(0, 30));
      await refused(/no broker address/, link.replace('at=', 'to='));
    });

    test('a broker far away without TLS', async () => {
      const keys = await network(`${role}-bare`, 'http://broker.example:8080');
      await refused(/http:\/\/broker\.example:8080 has no TLS/, linkOf(keys));
    });

    test('a broker that cannot be reached', async () => {
      const nobody = createServer();
      const free = await listen(nobody);
      await new Promise((closed) => nobody.close(closed));
      const link = linkOf(await network(`${role}-nobody`, `http://127.0.0.1:${free}`));
      await refused(/cannot be joined: connection refused/, link);
    });

    test('a broker that takes its time: the wait is told', async () => {
      const silent = createServer();
      servers.push(silent);
      const slow = `http://127.0.0.1:${await listen(silent)}`;
      const link = linkOf(await network(`${role}-slow`, slow));
      const program = new Program(footbridge, [role, '--join', link, '--cache', dir, ...listening]);
      try {
        await program.says(/asking for the network's document; no answer yet/);
      } finally {
        await program.stop();
      }
    });

    test('a certificate that another name has, or nobody trusts; no file of certificates',
      async () => {
        const keys = await network(`${role}-tls`, `https://localhost:${port}`);
        document = documentOf(keys);
        await refused(/does not match its name/,
          linkOf(keys).replace('localhost', '127.0.0.1'), '--ca', ca);
        await refused(/not signed by a trusted authority/, linkOf(keys));
        await refused(/cannot read certificates from/, linkOf(keys), '--ca', join(dir, 'none'));
      });

    test('a broker of another network, or of none', async () => {
      const keys = await network(`${role}-mine`, `https://localhost:${port}`);
      document = documentOf(await network(`${role}-other`, `https://localhost:${port}`));
      await refused(/forged, or belongs to another network/, linkOf(keys), '--ca', ca);
      document = documentOf(keys);
      document[20] ^= 1;
      await refused(/forged, or belongs to another network/, linkOf(keys), '--ca', ca);
      document = Buffer.alloc(0);
      await refused(/cannot be joined: /, linkOf(keys), '--ca', ca);
    });

    test('a document older than one seen before: the newer one stays', async () => {
      const keys = await network(`${role}-old`, `https://localhost:${port}`);
      const old = documentOf(keys);
      const { status } = await run(footbridge, ['network', 'sign', keys]);
      assert.equal(status, 0);
      document = documentOf(keys);
      const cache = mkdtempSync(join(dir, 'cache-'));
      const args = [role, '--verbose', '--join', linkOf(keys), '--cache', cache, '--ca', ca,
        ...listening];
      for (const served of [document, old]) {
        document = served;
        const program = new Program(footbridge, args);
        try {
          await program.says(role === 'client' ? /asking the broker/ : /connecting to the broker/);
          if (served === old && role === 'volunteer')
            await program.says(/older than one seen before/);
        } finally {
          await program.stop();
        }
      }
      const [kept] = execFileSync('find', [cache, '-type', 'f'], { encoding: 'utf8' }).split('\n');
      assert.ok(readFileSync(kept).equals(documentOf(keys)), 'the older one is in the cache');
    });
  });
}

test('a proxy port that is in use', async () => {
  const other = createServer();
  servers.push(other);
  const taken = await listen(other);
  const link = linkOf(await network('port', `https://localhost:${port}`));
  const { status, output } = await run(footbridge, ['client', '--join', link,
    '--cache', dir, '--listen', `127.0.0.1:${taken}`]);
  assert.equal(status, 1, output);
  assert.match(output, new RegExp(`${taken}.*in use|in use.*${taken}`));
  assert.equal(output.split('\n').length, 2, `not one line: ${output}`);
});
