/** Commands in pods through the API: the client against the lab's server, on a connection as a cluster's would be. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { execListener } from '../../../lab/api/exec.ts';
import { apiListener } from '../../../lab/api/server.ts';
import { findAgentPods } from '../../../src/cluster/agent-pods.ts';
import { KubeClient } from '../../../src/edge/kubernetes/client.ts';
import { execInPod, exitStatusOf } from '../../../src/edge/kubernetes/exec.ts';
import { makeCertificates } from '../../kube/certificates.ts';
import { until } from '../../until.ts';
import { podManifest, serveApi } from './fixture.ts';

const certificates = makeCertificates();
after(() => certificates[Symbol.dispose]());

/** Accounts: one that may do all, one that may read pods alone, one that may run commands too. */
const READS = { apiGroups: [''], resources: ['pods'], verbs: ['list'] };
const RUNS = { apiGroups: [''], resources: ['pods/exec'], verbs: ['create'] };
const ACCOUNTS = [
  { token: 'all' },
  { token: 'reads', grants: [{ rules: [READS] }] },
  { token: 'runs', grants: [{ rules: [READS, RUNS] }] },
];

const { api, call } = await serveApi();
for (const name of ['agent', 'other'])
  await call('POST', '/api/v1/namespaces/default/pods', podManifest(name));
const { ca, server, client: person } = certificates;
const listening = createServer(
  { key: server.key, cert: server.certificate, ca: ca.certificate, requestCert: true },
  apiListener(api, ACCOUNTS),
).on(
  'upgrade',
  execListener({
    api,
    accounts: ACCOUNTS,
    runnable: (_, pod) => (pod === 'agent' ? { network: '/proc/self/ns/net' } : undefined),
  }),
);
await new Promise<void>((resolve) => void listening.listen(0, '127.0.0.1', resolve));
after(() => {
  listening.closeAllConnections();
  listening.close();
});

function clientAs(token: string, authority = ca.certificate): KubeClient {
  const { port } = listening.address() as AddressInfo;
  const client = new KubeClient({
    server: new URL(`https://127.0.0.1:${port}`),
    origin: 'test',
    ca: { text: authority },
    certificate: { text: person.certificate },
    key: { text: person.key },
    token: { text: token },
    rights: 'ask for them',
  });
  after(() => client[Symbol.dispose]());
  return client;
}

async function run(client: KubeClient, command: readonly string[], pod = 'agent', signal?: AbortSignal) {
  const said = { out: [] as Buffer[], error: [] as Buffer[] };
  const status = await execInPod(client, {
    namespace: 'default',
    pod,
    container: 'main',
    command,
    onStdout: (chunk) => said.out.push(chunk),
    onStderr: (chunk) => said.error.push(chunk),
    ...(signal === undefined ? {} : { signal }),
  });
  return { status, out: Buffer.concat(said.out), error: Buffer.concat(said.error).toString() };
}

test('both streams and the exit status arrive, whatever the size', async () => {
  const { status, out, error } = await run(clientAs('runs'), [
    'sh',
    '-c',
    'echo "$0 out"; echo bad >&2; exit 3',
    'a b',
  ]);
  assert.deepEqual([status, String(out), error], [3, 'a b out\n', 'bad\n']);
  const large = await run(clientAs('all'), ['head', '-c', '3000000', '/dev/zero']);
  assert.deepEqual([large.status, large.out.length], [0, 3_000_000]);
});

test('what is refused says why, with the cure', async () => {
  const cases: readonly [token: string, pod: string, command: string[], says: RegExp][] = [
    ['reads', 'agent', ['true'], /exec: 403 pods\/exec "agent" is forbidden: .*create.*; ask for them$/],
    ['nobody', 'agent', ['true'], /exec: 401 Unauthorized.*; the credentials of test are wrong or expired/],
    ['all', 'absent', ['true'], /exec: 404 pods "absent" not found; /],
    ['all', 'other', ['true'], /exec: 400 pod other has no network in which a command could run; /],
    ['all', 'agent', [], /exec: 400 command: is missing/],
    ['all', 'agent', ['/does/not/exist'], /\b127\b|No such file|could not be run/],
  ];
  for (const [token, pod, command, says] of cases) {
    const outcome = await run(clientAs(token), command, pod).then(
      ({ status, error }) => `${status} ${error}`,
      (error: Error) => error.message,
    );
    assert.match(outcome, says);
  }
  await assert.rejects(
    run(clientAs('all', certificates.strangerCa.certificate), ['true']),
    /another authority signed the certificate of the server|SELF_SIGNED|UNABLE_TO/,
  );
});

test('a command whose caller goes away is ended', async () => {
  const gone = new AbortController();
  let pid = '';
  const running = execInPod(clientAs('all'), {
    namespace: 'default',
    pod: 'agent',
    container: 'main',
    command: ['sh', '-c', 'echo $$; exec sleep 1000'],
    onStdout: (chunk) => {
      pid = String(chunk).trim();
      gone.abort();
    },
    onStderr: () => undefined,
    signal: gone.signal,
  });
  assert.equal(await running, 0);
  assert.match(pid, /^\d+$/);
  await until('it has ended', () => !existsSync(`/proc/${pid}`));
});

test('only pods of agents that run are asked, one of each node', async () => {
  const labels = { 'app.kubernetes.io/name': 'fairlead' };
  const agent = (name: string, node: string, spec: object = {}) =>
    podManifest(name, {
      labels,
      spec: {
        nodeName: node,
        containers: [{ name: 'agent', image: 'any', args: ['agent', '--config', '/f'] }],
        ...spec,
      },
    });
  for (const manifest of [
    agent('fairlead-1', 'node-1'),
    agent('fairlead-2', 'node-2'),
    agent('elsewhere', 'node-3', { containers: [{ name: 'main', image: 'any' }] }),
    agent('unbound', ''),
  ])
    await call('POST', '/api/v1/namespaces/default/pods', manifest);
  for (const name of ['fairlead-1', 'elsewhere', 'unbound'])
    await call(
      'PATCH',
      `/api/v1/namespaces/default/pods/${name}/status`,
      { status: { phase: 'Running' } },
      {
        'content-type': 'application/merge-patch+json',
      },
    );
  const wanted = [
    { node: 'node-1', namespace: 'default', pod: 'fairlead-1', container: 'agent', configuration: '/f' },
  ];
  assert.deepEqual(await findAgentPods(clientAs('reads')), wanted);
  assert.deepEqual(await findAgentPods(clientAs('reads'), 'default'), wanted);
});

test('the status of a command is read as Kubernetes writes it', () => {
  const failed = (causes: object[]) =>
    JSON.stringify({ status: 'Failure', message: 'no', details: { causes } });
  assert.equal(exitStatusOf('{"metadata":{},"status":"Success"}'), 0);
  assert.equal(exitStatusOf(failed([{ reason: 'ExitCode', message: '2' }])), 2);
  assert.deepEqual(exitStatusOf(failed([])), { problem: 'no' });
  assert.deepEqual(exitStatusOf('nonsense'), { problem: 'nonsense' });
});
