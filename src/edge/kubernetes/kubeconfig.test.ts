import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FairleadError } from '../../base/errors/errors.ts';
import type { KubeAccess } from './access.ts';
import { inClusterAccess } from './in-cluster.ts';
import { parseKubeconfig } from './kubeconfig.ts';

/** @param cluster, user in flow style, without braces. */
function config(cluster: string, user = '', top = 'current-context: main'): string {
  return `apiVersion: v1
kind: Config
${top}
contexts:
- {name: other, context: {cluster: none, user: none}}
- {name: main, context: {cluster: c, user: u, namespace: default}}
clusters:
- {name: c, cluster: {${cluster}}}
users:
- {name: u, user: {${user}}}
`;
}

const parse = (text: string): KubeAccess => parseKubeconfig(text, 'k.conf', '/etc/k');
const SERVER = 'server: "https://192.168.1.2:6443"';

test('the cluster and the user of the current context, texts in base64 and files beside it', () => {
  const data = Buffer.from('PEM').toString('base64');
  const full = parse(
    config(
      `${SERVER}, certificate-authority-data: ${data}, tls-server-name: api`,
      `client-certificate: a.pem, client-key: /b.key, token: abc, tokenFile: token`,
    ),
  );
  assert.deepEqual(full, {
    server: new URL('https://192.168.1.2:6443'),
    origin: 'k.conf',
    ca: { text: 'PEM' },
    certificate: { file: '/etc/k/a.pem' },
    key: { file: '/b.key' },
    token: { file: '/etc/k/token' },
    serverName: 'api',
  });
  assert.deepEqual(parse(config('server: "http://127.0.0.1:8001"')).server.port, '8001');
});

/** Kubeconfigs with a mistake, and what is said of it. */
const MISTAKES: [string, string, RegExp][] = [
  ['no YAML', 'a: [', /k\.conf: is not YAML: .*; write a kubeconfig as kubectl does/],
  ['a list', '- a', /k\.conf: is not a map of keys/],
  ['another kind', 'kind: Pod', /kind: "Pod" is not Config/],
  ['no context', config(SERVER, '', ''), /current-context: nothing does not fit; name one of other, main/],
  [
    'an unknown context',
    config(SERVER, '', 'current-context: prod'),
    /contexts: has no context named "prod"; there are other, main/,
  ],
  [
    'a context without its cluster',
    config(SERVER, '', 'current-context: other'),
    /clusters: has no cluster named "none"; there are c/,
  ],
  ['no server', config(''), /server: nothing is not an address; write it like https:/],
  [
    'a server without a scheme',
    config('server: "192.168.1.2:6443"'),
    /server: "192\.168\.1\.2:6443" is not an address/,
  ],
  ['another scheme', config('server: "ftp://a"'), /is not an address/],
  ['a password in the address', config('server: "https://a:b@c"'), /server: holds a password/],
  [
    'an unchecked server',
    config(`${SERVER}, insecure-skip-tls-verify: true`),
    /insecure-skip-tls-verify: true would give the credentials to whoever answers/,
  ],
  [
    'a proxy',
    config(`${SERVER}, proxy-url: "http://p"`),
    /proxy-url: is not served: the API is reached directly/,
  ],
  [
    'a plugin',
    config(SERVER, 'exec: {command: aws}'),
    /exec: is not served: an agent runs no programs to log in/,
  ],
  ['a provider', config(SERVER, 'auth-provider: {name: gcp}'), /auth-provider: is not served/],
  ['a password', config(SERVER, 'username: me, password: hunter2'), /username: is not served/],
  [
    'half a certificate',
    config(SERVER, 'client-certificate: a.pem'),
    /client-certificate and client-key come together/,
  ],
  [
    'no base64',
    config(`${SERVER}, certificate-authority-data: "-----BEGIN"`),
    /certificate-authority-data: is not base64/,
  ],
  ['a token that is a number', config(SERVER, 'token: 4711'), /token: is not a text; write one/],
  [
    'a token in the clear',
    config('server: "http://192.168.1.2"', 'token: hunter2'),
    /would carry the credentials in the clear; write https/,
  ],
  ['a bomb of aliases', 'a: &a [1]\nb: *a', /is not YAML/],
  ['a file of another size', `# ${'x'.repeat(2_000_000)}`, /larger than 1 MiB/],
];

for (const [what, text, reason] of MISTAKES) {
  test(`${what} is refused, and what to do is said`, () => {
    assert.throws(
      () => parse(text),
      (error: unknown) => {
        assert.ok(error instanceof FairleadError && error.code === 'FL_KUBECONFIG');
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /hunter2/);
        return true;
      },
    );
  });
}

test('nonsense is refused as such, never a crash', () => {
  const anything = fc.oneof(
    fc.string(),
    fc.jsonValue().map((value) => JSON.stringify(value)),
  );
  const fields = ['contexts', 'clusters', 'users', 'current-context', 'kind'];
  const shaped = fc
    .dictionary(fc.constantFrom(...fields), fc.jsonValue())
    .map((value) => JSON.stringify({ ...value, kind: 'Config', 'current-context': 'a' }));
  fc.assert(
    fc.property(fc.oneof(anything, shaped), (text) => {
      assert.throws(() => parse(text), FairleadError);
    }),
  );
});

test('inside a pod the environment has the address, also of IPv6', () => {
  const inside = inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' });
  assert.equal(inside.server.href, 'https://[fd00::1]:6443/');
  assert.deepEqual(inside.token, { file: '/var/run/secrets/kubernetes.io/serviceaccount/token' });
  assert.throws(
    () => inClusterAccess({}),
    /no KUBERNETES_SERVICE_HOST .* name a file in cluster\.kubeconfig/,
  );
  const odd = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: 'https' };
  assert.throws(() => inClusterAccess(odd), /"10\.96\.0\.1:https" is not an address/);
});
