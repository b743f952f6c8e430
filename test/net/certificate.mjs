// @ts-check
/** A self-signed certificate for a server of a test. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/**
 * @param {string} dir where its files go
 * @param {string} name
 * @param {string} [subject] as X.509 has it in subjectAltName
 */
export function certificate(dir, name, subject = `DNS:${name}`) {
  const files = { cert: join(dir, `${name}.pem`), key: join(dir, `${name}.key`) };
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
    '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-addext', `subjectAltName=${subject}`,
    '-keyout', files.key, '-out', files.cert], { stdio: 'ignore' });
  return files;
}
