import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { createServer, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { selfSignedCertificate } from '../../../lab/api/access/certificate.ts';
import { parseIp } from '../../../src/base/ip/ip.ts';

const HOSTS = { names: ['localhost'], ips: ['127.0.0.1', '::1', '192.168.1.1'].map((ip) => parseIp(ip)) };

test('a certificate names its hosts, signs itself and is valid now', () => {
  const { certificate } = selfSignedCertificate('test', HOSTS, Date.now());
  const parsed = new X509Certificate(certificate);
  assert.equal(parsed.subject, 'CN=test');
  assert.equal(
    parsed.subjectAltName,
    'DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:192.168.1.1',
  );
  assert.ok(parsed.verify(parsed.publicKey));
  assert.ok(parsed.ca);
  assert.ok(Date.parse(parsed.validFrom) < Date.now() && Date.parse(parsed.validTo) > Date.now());
});

test('a client that trusts it connects, another does not', async () => {
  const { certificate, key } = selfSignedCertificate('test', HOSTS, Date.now());
  const server = createServer({ cert: certificate, key }, (_, response) => response.end('hello'));
  after(() => server.close());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const ask = (ca: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request({ host: '127.0.0.1', port, ca, agent: false }, (response) =>
        resolve(response.resume().statusCode),
      )
        .on('error', reject)
        .end();
    });
  assert.equal(await ask(certificate), 200);
  await assert.rejects(
    ask(selfSignedCertificate('other', HOSTS, Date.now()).certificate),
    /self-signed|verify/,
  );
});
