import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { selfSignedCertificate } from '../../lab/api/access/certificate.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import type { KubeAccess } from '../../src/edge/kubernetes/access.ts';
import { ApiError } from '../../src/edge/kubernetes/api-error.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { readAccess } from '../../src/edge/kubernetes/credentials.ts';
import { makeCertificates } from './certificates.ts';
import { FakeApi, reply, status } from './fake-api.ts';

const certificates = makeCertificates();
after(() => certificates[Symbol.dispose]());
const { ca, strangerCa, server, otherName, expired, client: own } = certificates;

const tls = ({ certificate, key }: { certificate: string; key: string }) => ({ cert: certificate, key });

function access(api: FakeApi, rest: Partial<KubeAccess> = {}): KubeAccess {
  return {
    server: new URL(`https://127.0.0.1:${api.port}`),
    origin: 'test.kubeconfig',
    ca: { text: ca.certificate },
    ...rest,
  };
}

/** The message with which asking for the version fails. */
async function refusalOf(of: KubeAccess): Promise<string> {
  using client = new KubeClient(of);
  const error: unknown = await client.json({ path: '/version' }).then(
    () => assert.fail('it was served'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ApiError);
  assert.equal(error.code, 'FL_API');
  return error.message;
}

test('a client certificate and a token are presented, and the server is known by its authority', async () => {
  using api = await FakeApi.start({
    ...tls(server),
    ca: ca.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const tokens: unknown[] = [];
  api.intercept = (_, response, request) => {
    tokens.push(request.headers.authorization);
    reply(response, 200, { major: '1' });
    return true;
  };
  const withCertificate = access(api, {
    certificate: { text: own.certificate },
    key: { text: own.key },
    token: { text: 'secret\n' },
  });
  using client = new KubeClient(withCertificate);
  assert.deepEqual(await client.json({ path: '/version' }), { major: '1' });
  assert.deepEqual(tokens, ['Bearer secret']);
  const message = await refusalOf(access(api));
  assert.match(message, /ERR_SSL|ECONNRESET/, 'without the certificate nobody enters');
});

test('another authority, another name, a certificate of yesterday or of tomorrow and a server without TLS: each is said', async () => {
  using api = await FakeApi.start(tls(server));
  assert.match(
    await refusalOf(access(api, { ca: { text: strangerCa.certificate } })),
    /another authority signed the certificate of the server; correct certificate-authority/,
  );
  using named = await FakeApi.start(tls(otherName));
  assert.match(await refusalOf(access(named)), /127\.0\.0\.1.*set tls-server-name/);
  using right = new KubeClient(access(named, { serverName: 'api.example' }));
  named.intercept = (_, response) => {
    reply(response, 200, {});
    return true;
  };
  assert.deepEqual(await right.json({ path: '/version' }), {});
  using old = await FakeApi.start(tls(expired));
  assert.match(
    await refusalOf(access(old)),
    /CERT_HAS_EXPIRED\); renew the server's certificate, or correct the clock/,
  );
  // By this machine's clock, which may be the one that is wrong.
  const { certificate: cert, key } = selfSignedCertificate(
    'early',
    { names: [], ips: [parseIp('127.0.0.1')] },
    Date.now() + 30 * 86_400_000,
  );
  using early = await FakeApi.start({ cert, key });
  assert.match(
    await refusalOf(access(early, { ca: { text: cert } })),
    /not yet valid.*CERT_NOT_YET_VALID\); renew the server's certificate, or correct the clock of this machine/,
  );
  using plain = await FakeApi.start();
  assert.match(await refusalOf(access(plain)), /look whether the port serves TLS/);
});

test('a token file that is replaced counts at the next request; while it is away the last one does', async () => {
  using api = await FakeApi.start(tls(server));
  let valid = 'first';
  api.intercept = (_, response, request) => {
    if (request.headers.authorization === `Bearer ${valid}`) reply(response, 200, {});
    else reply(response, 401, status(401, 'Unauthorized'));
    return true;
  };
  const file = join(certificates.folder, 'token');
  writeFileSync(file, 'first');
  const of = access(api, { token: { file } });
  using client = new KubeClient(of);
  await client.json({ path: '/version' });
  valid = 'second';
  await assert.rejects(
    client.json({ path: '/version' }),
    /401 Unauthorized; the credentials of test\.kubeconfig are wrong or expired: renew them, and compare the clocks/,
  );
  writeFileSync(`${file}.new`, 'second\n');
  renameSync(`${file}.new`, file);
  await client.json({ path: '/version' });
  renameSync(file, `${file}.away`);
  await client.json({ path: '/version' });
});

test('what cannot be used as credentials is refused before the first request, without telling secrets', async () => {
  using api = await FakeApi.start(tls(server));
  const refused = (rest: Partial<KubeAccess>, expected: RegExp) =>
    assert.throws(
      () => new KubeClient(access(api, rest)),
      (error: Error) => {
        assert.match(error.message, expected);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  refused(
    { ca: { text: 'none' } },
    /certificate-authority cannot be used: it holds no certificate; give PEM/,
  );
  refused({ token: { text: 'two\nlines hunter2' } }, /the token is not one line/);
  refused({ token: { text: ' \n' } }, /the token is empty/);
  refused(
    { token: { file: '/nonexistent/token' } },
    /test\.kubeconfig: \/nonexistent\/token: cannot be read/,
  );
  refused(
    { certificate: { text: own.certificate }, key: { text: server.key } },
    /client-key cannot be used: it is the key of another certificate/,
  );
  refused({ certificate: { text: own.certificate }, key: { text: 'hunter2' } }, /client-key cannot be used/);
});

test('an answer is bounded in size and time; compressed ones are read', async () => {
  using api = await FakeApi.start(tls(server));
  using client = new KubeClient(access(api));
  const ask = (handle: typeof api.intercept, limits: { idleMs?: number; totalMs?: number } = {}) => {
    api.intercept = handle;
    return client.json({ path: '/version', ...limits });
  };
  const zipped = gzipSync(JSON.stringify({ major: '1' }));
  assert.deepEqual(
    await ask((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(zipped);
      return true;
    }),
    { major: '1' },
  );
  await assert.rejects(
    ask((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end('not gzip');
      return true;
    }),
    /incorrect header check/,
  );
  const endless = gzipSync(Buffer.alloc(64 * 1024 * 1024));
  await assert.rejects(
    ask((_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' });
      response.end(endless);
      return true;
    }),
    /larger than 8192 KiB/,
  );
  await assert.rejects(
    ask(() => true, { idleMs: 30 }),
    /nothing came for 0\.03 s/,
  );
  await assert.rejects(
    ask(
      (_, response) => {
        const drip = setInterval(() => response.write(' '), 5);
        response.on('close', () => clearInterval(drip));
        return true;
      },
      { totalMs: 60 },
    ),
    /no end after 0\.06 s/,
  );
  await assert.rejects(
    ask((_, response) => {
      reply(response, 503, `starting\u0007${'x'.repeat(100_000)}`);
      return true;
    }),
    (error: Error) =>
      error.message.length < 600 && /503 starting x+…; the server fails or is starting/.test(error.message),
  );
});

test('what asks to be left alone says for how long', async () => {
  using api = await FakeApi.start(tls(server));
  using client = new KubeClient(access(api));
  api.intercept = (_, response) => {
    reply(response, 429, status(429, 'too many requests'), { 'retry-after': '7' });
    return true;
  };
  await assert.rejects(client.json({ path: '/version' }), { status: 429, retryAfterMs: 7000 });
});

test('a kept connection that the server has closed is no failure', async () => {
  using api = await FakeApi.start(tls(server));
  using client = new KubeClient(access(api));
  api.intercept = (_, response) => {
    reply(response, 200, {});
    return true;
  };
  for (let i = 0; i < 20; i++) {
    await client.json({ path: '/version' });
    api.cut();
  }
});

test('who is no HTTP server, or nobody at all, is named as such', async () => {
  const sockets: Socket[] = [];
  const speaker = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    socket.write('220 mail.example ESMTP\r\n');
  });
  await new Promise<void>((resolve) => {
    speaker.listen(0, '127.0.0.1', resolve);
  });
  const { port } = speaker.address() as { port: number };
  const plain = { server: new URL(`http://127.0.0.1:${port}`), origin: 'test' };
  assert.match(await refusalOf(plain), /HPE_.*this is no HTTP; correct the address/);
  for (const socket of sockets) socket.destroy();
  await new Promise((resolve) => {
    speaker.close(resolve);
  });
  assert.match(await refusalOf(plain), /ECONNREFUSED\); look whether the API server runs/);
});

test('a kubeconfig from a file is relative to itself', async () => {
  using api = await FakeApi.start({
    ...tls(server),
    ca: ca.certificate,
    requestCert: true,
    rejectUnauthorized: true,
  });
  const file = join(certificates.folder, 'kubeconfig');
  writeFileSync(
    file,
    `apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: lab, user: node}}]
clusters: [{name: lab, cluster: {server: "https://127.0.0.1:${api.port}", certificate-authority: ca.pem}}]
users:
- name: node
  user:
    client-certificate: client.pem
    client-key-data: ${Buffer.from(own.key).toString('base64')}
`,
  );
  api.intercept = (_, response) => {
    reply(response, 200, { ok: true });
    return true;
  };
  using client = new KubeClient(readAccess(file));
  assert.deepEqual(await client.json({ path: '/version' }), { ok: true });
});
