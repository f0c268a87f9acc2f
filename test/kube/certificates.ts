/** Certificates for tests: an authority, a server and a client, and a stranger's authority. Made by openssl, each once. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type Certificate = { certificate: string; key: string };

export type Certificates = {
  folder: string;
  ca: Certificate;
  strangerCa: Certificate;
  /** For 127.0.0.1. */
  server: Certificate;
  /** For api.example alone. */
  otherName: Certificate;
  /** Valid in the past only. */
  expired: Certificate;
  client: Certificate;
  [Symbol.dispose](): void;
};

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'flt-certificates-'));
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const load = (name: string) => ({
    certificate: readFileSync(join(folder, `${name}.pem`), 'utf8'),
    key: readFileSync(join(folder, `${name}.key`), 'utf8'),
  });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const authority = (name: string) => {
    const ca = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign,cRLSign'];
    openssl(
      'req',
      '-x509',
      ...curve,
      '-subj',
      `/CN=${name}`,
      '-days',
      '30',
      ...ca.slice(2),
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
    );
    return load(name);
  };
  const signed = (name: string, extensions: string, days: readonly string[] = ['-days', '30']) => {
    writeFileSync(join(folder, `${name}.ext`), extensions);
    openssl('req', '-new', ...curve, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', String(name.length + 100)];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...by,
      ...days,
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.pem`,
    );
    return load(name);
  };
  return {
    folder,
    ca: authority('ca'),
    strangerCa: authority('stranger'),
    server: signed('server', 'subjectAltName=IP:127.0.0.1'),
    otherName: signed('other', 'subjectAltName=DNS:api.example'),
    expired: signed('expired', 'subjectAltName=IP:127.0.0.1', ['-days', '-1']),
    client: signed('client', 'extendedKeyUsage=clientAuth'),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
