// @ts-check
/** The internet of the tests: an HTTP origin on this machine, with a git server. */
import { createCipheriv, createHash } from 'node:crypto';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHUNK = 64 * 1024;

/**
 * The same bytes for the same seed, and no repetition that compression or a misplaced block could
 * hide.
 * @param {number} size
 * @param {string} seed
 */
export function* noise(size, seed) {
  const key = createHash('sha256').update(seed).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(CHUNK);
  for (let left = size; left > 0; left -= CHUNK)
    yield cipher.update(left < CHUNK ? zeros.subarray(0, left) : zeros);
}

/**
 * @param {number} size
 * @param {string} seed
 */
export function noiseHash(size, seed) {
  const hash = createHash('sha256');
  for (const chunk of noise(size, seed)) hash.update(chunk);
  return hash.digest('hex');
}

/**
 * Resolves when the response takes more, or never will.
 * @param {import('node:http').ServerResponse} response
 */
function drained(response) {
  return new Promise((done) => {
    const end = () => {
      response.off('drain', end).off('close', end);
      done(undefined);
    };
    response.on('drain', end).on('close', end);
  });
}

/**
 * /noise/SIZE/SEED[?rate=BYTES_A_SECOND]: that noise. POST /hash: the SHA-256 of the body.
 * /hello: a line. /git/...: git's smart HTTP.
 */
export class Origin {
  /** @param {string} [host] */
  static async start(host = '127.0.0.1') {
    const origin = new Origin();
    await new Promise((done) => origin.server.listen(0, host, () => done(undefined)));
    const address = /** @type {import('node:net').AddressInfo} */ (origin.server.address());
    origin.port = address.port;
    origin.host = host;
    return origin;
  }

  constructor() {
    this.port = 0;
    this.host = '';
    this.requests = 0;
    this.sent = 0;
    this.dir = mkdtempSync(join(tmpdir(), 'footbridge-origin-'));
    this.server = createServer((request, response) => {
      this.requests++;
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  get url() {
    return `http://${this.host}:${this.port}`;
  }

  /**
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   */
  async #answer(request, response) {
    const url = new URL(request.url ?? '/', this.url);
    const [, what, size, seed] = url.pathname.split('/');
    if (what === 'noise') {
      await this.#noise(response, Number(size), seed, Number(url.searchParams.get('rate')));
    } else if (what === 'hash') {
      const hash = createHash('sha256');
      for await (const chunk of request) hash.update(chunk);
      response.end(hash.digest('hex'));
    } else if (what === 'hello') {
      response.end(`hello ${url.search}\n`);
    } else if (what === 'git') {
      this.#git(request, response, url);
    } else {
      response.writeHead(404).end();
    }
  }

  /**
   * @param {import('node:http').ServerResponse} response
   * @param {number} size
   * @param {string} seed
   * @param {number} rate 0: as fast as it goes
   */
  async #noise(response, size, seed, rate) {
    response.writeHead(200, { 'content-length': size });
    for (const chunk of noise(size, seed)) {
      if (response.destroyed) return;
      this.sent += chunk.length;
      if (!response.write(chunk)) await drained(response);
      if (rate) await new Promise((done) => setTimeout(done, (1000 * chunk.length) / rate));
    }
    response.end();
  }

  /** A repository with some history at /git/NAME; returns the id of its head. */
  makeRepository(name = 'repo.git') {
    const work = join(this.dir, 'work');
    /** @param {string[]} args */
    const git = (...args) => execFileSync('git', args, {
      encoding: 'utf8',
      env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_SYSTEM: '/dev/null' },
    }).trim();
    git('init', '-q', work);
    for (let i = 0; i < 5; i++) {
      for (let file = 0; file < 20; file++)
        writeFileSync(join(work, `file${file}`), Buffer.concat([...noise(20000, `${i} ${file}`)]));
      git('-C', work, 'add', '.');
      git('-C', work, '-c', 'user.name=Test', '-c', 'user.email=test@example.org', 'commit', '-qm',
        `step ${i}`);
    }
    git('clone', '-q', '--bare', work, join(this.dir, name));
    return git('-C', work, 'rev-parse', 'HEAD');
  }

  /**
   * RFC 3875's way of git-http-backend.
   * @param {import('node:http').IncomingMessage} request
   * @param {import('node:http').ServerResponse} response
   * @param {URL} url
   */
  #git(request, response, url) {
    const backend = spawn('git', ['http-backend'], {
      env: {
        PATH: process.env.PATH,
        GIT_PROJECT_ROOT: this.dir,
        GIT_HTTP_EXPORT_ALL: '1',
        // Whoever runs the tests may not own the directory's parents.
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        PATH_INFO: url.pathname.slice('/git'.length),
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: request.method,
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        CONTENT_LENGTH: request.headers['content-length'] ?? '',
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    request.pipe(backend.stdin);
    backend.stdin.on('error', () => {}); // it need not read everything
    let head = Buffer.alloc(0);
    /** @param {Buffer} chunk */
    const readHead = (chunk) => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      backend.stdout.off('data', readHead);
      let status = 200;
      for (const line of head.subarray(0, end).toString().split('\r\n')) {
        const [name, value] = line.split(/: */, 2);
        if (name.toLowerCase() === 'status') status = parseInt(value, 10);
        else response.setHeader(name, value);
      }
      response.writeHead(status);
      response.write(head.subarray(end + 4));
      backend.stdout.pipe(response);
    };
    backend.stdout.on('data', readHead);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
