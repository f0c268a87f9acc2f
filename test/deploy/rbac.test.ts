/**
 * The roles of the manifest against what agents ask for: every request is allowed, and every rule is used, to the last
 * verb of the last resource.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentGrants } from '../../lab/agent-account.ts';
import { type Attempt, attemptOf, type Grant, rulesFor } from '../../lab/api/access/authorize.ts';
import { apiListener } from '../../lab/api/server.ts';
import { openStore } from '../../lab/api/storage/journal.ts';
import { ensureObject } from '../../lab/api/validation/owner.ts';
import { openCluster } from '../../src/agent/cluster-source.ts';
import { parseConfiguration } from '../../src/base/config/parse.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { createLogger } from '../../src/base/log/logger.ts';
import { trimPod } from '../../src/cluster/kinds/pod.ts';
import { reportDenials } from '../../src/cluster/report/denial-report.ts';
import { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { readAccess } from '../../src/edge/kubernetes/credentials.ts';
import type { Denial } from '../../src/plan/flow/denial.ts';
import { chartValues, valuesWithEvents } from '../../src/tools/chart/chart.ts';
import { until } from '../until.ts';

/** One permission of a rule: a verb on a resource, of one name or any. */
type Permission = { grant: Grant; verb: string; group: string; resource: string; name?: string };

function permissionsOf(grants: readonly Grant[]): Permission[] {
  return grants.flatMap((grant) =>
    grant.rules.flatMap(({ apiGroups, resources, verbs, resourceNames = [undefined] }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.flatMap((verb) =>
            resourceNames.map((name) => ({
              grant,
              verb,
              group,
              resource,
              ...(name === undefined ? {} : { name }),
            })),
          ),
        ),
      ),
    ),
  );
}

function uses({ grant, ...permission }: Permission, attempt: Attempt): boolean {
  const { verb, group, resource, name } = permission;
  return (
    verb === attempt.verb &&
    group === attempt.group &&
    resource === attempt.resource &&
    (name === undefined || name === attempt.name) &&
    (grant.namespace === undefined || grant.namespace === attempt.namespace)
  );
}

const describe = ({ verb, group, resource, name }: Omit<Permission, 'grant'>) =>
  `${verb} ${resource}${group === '' ? '' : `.${group}`}${name === undefined ? '' : ` ${name}`}`;

const DENIAL: Denial = {
  time: '2026-01-01T00:00:00.000Z',
  source: parseIp('10.244.1.2'),
  destination: parseIp('10.244.0.2'),
  destinationPod: 'shop/web',
  protocol: 'TCP',
  sourcePort: 40_000,
  port: 80,
  direction: 'ingress',
  policies: ['shop/closed'],
  family: 4,
  verdict: 'denied',
  reason: { code: 'isolated', pod: 'shop/web', direction: 'ingress', policies: ['shop/closed'] },
};

/** An API that gives an agent these rights and no more. */
async function serve(grants: readonly Grant[]) {
  const stack = new DisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'flt-rbac-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const api = {
    store: openStore(join(folder, 'objects')),
    now: Date.now,
    newUid: randomUUID,
    stopsPods: () => false,
    logs: () => undefined,
  };
  for (const name of ['default', 'kube-system']) ensureObject(api, 'Namespace', { metadata: { name } });
  const attempts: Attempt[] = [];
  const listener = apiListener(api, [{ token: 'agent', grants }]);
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://api');
    const attempt = attemptOf(request.method ?? '', url.pathname, url.searchParams.get('watch') !== null);
    if (attempt !== undefined) attempts.push(attempt);
    listener(request, response);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  const kubeconfig = join(folder, 'kubeconfig');
  const { port } = server.address() as AddressInfo;
  writeFileSync(
    kubeconfig,
    `current-context: c
contexts: [{name: c, context: {cluster: c, user: u}}]
clusters: [{name: c, cluster: {server: "http://127.0.0.1:${port}"}}]
users: [{name: u, user: {token: agent}}]
`,
  );
  const lines: string[] = [];
  const permissions = permissionsOf(grants);
  const unused = () =>
    permissions.filter((permission) => !attempts.some((attempt) => uses(permission, attempt)));
  return {
    api,
    kubeconfig,
    log: createLogger({ level: 'warn', format: 'text' }, (line) => void lines.push(line)),
    unused,
    refused: () => attempts.filter((attempt) => rulesFor(attempt, grants).length === 0).map(describe),
    forbidden: () => lines.filter((line) => line.includes('forbidden')),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

test('all controllers of an agent, against an API that gives the rights of the manifest and no more', async () => {
  using it = await serve(agentGrants(chartValues()));
  const addresses = [{ type: 'InternalIP', address: '192.168.1.2' }];
  ensureObject(it.api, 'Node', {
    metadata: { name: 'node-1' },
    spec: { taints: [{ key: 'fairlead.io/network-not-ready', effect: 'NoSchedule' }] },
    status: { addresses },
  });
  const { podNetwork, cni } = chartValues()['configuration'] as {
    podNetwork: string[];
    cni: { daemonSet: string };
  };
  const configuration = parseConfiguration(
    `podNetwork: [${podNetwork.join()}]
cluster: { source: kubernetes, kubeconfig: ${it.kubeconfig} }
cni: { daemonSet: kube-system/${cni.daemonSet} }
`,
    'fairlead.yaml',
  );
  using stack = new DisposableStack();
  const cluster = stack.adopt(
    openCluster(() => configuration, 'node-1', it.log),
    (opened) => opened.close(),
  );
  await until('the node has a range', () => cluster.state.nodes.some(({ podCidrs }) => podCidrs.length > 0));
  const how = { ready: true, message: 'it is up', problems: ['something is wrong'] };
  cluster.report?.(how);
  const silent = { count: 0, peers: [] };
  const reporter = stack.use(
    cluster.reportAgent!(() => ({ ...how, version: '1', ranges: [], pods: 0, paths: {}, silent })),
  );
  reporter.look();
  await cluster.policies?.readServices();
  const services = stack.adopt(cluster.openServices!(), (opened) => opened.close());
  await until('services are known', () => services.state.known);
  await cluster.removal?.isUnderWay();

  await until('every rule was used', () => it.unused().length === 0).catch(() => undefined);
  assert.deepEqual(it.unused().map(describe), [], 'rights that no agent needs');
  assert.deepEqual(it.refused(), [], 'requests that the roles do not allow');
  assert.deepEqual(it.forbidden(), []);
});

test('Events on pods: two rights more, where they are wanted', async () => {
  const usual = new Set(permissionsOf(agentGrants(chartValues())).map(describe));
  const grants = agentGrants(valuesWithEvents(true));
  const more = permissionsOf(grants)
    .map(describe)
    .filter((permission) => !usual.has(permission) || permission === 'create events');
  assert.deepEqual([...new Set(more)], ['create events', 'patch events']);
  using it = await serve(grants);
  ensureObject(it.api, 'Namespace', { metadata: { name: 'shop' } });
  const metadata = { name: 'web', namespace: 'shop', uid: 'u1', resourceVersion: '1' };
  const trimmed = trimPod({ metadata, spec: {}, status: {} });
  assert.ok('object' in trimmed);
  using client = new KubeClient(readAccess(it.kubeconfig));
  using reporter = reportDenials({
    client,
    node: 'node-1',
    pods: () => [trimmed.object],
    isWanted: () => true,
    log: it.log,
    times: { gather: 1, repeat: 1 },
  });
  const events = () =>
    it.unused().filter(({ resource, grant }) => resource === 'events' && grant.namespace === undefined);
  await until('an Event is written, and written again', () => {
    reporter.tell(DENIAL);
    return events().length === 0;
  });
  assert.deepEqual([it.refused(), it.forbidden()], [[], []]);
});

test('how requests are read, and what a role of a namespace is worth elsewhere', () => {
  const grants: Grant[] = [
    { rules: [{ apiGroups: [''], resources: ['nodes'], verbs: ['get', 'watch'] }] },
    {
      namespace: 'kube-system',
      rules: [{ apiGroups: ['apps'], resources: ['daemonsets'], verbs: ['get'], resourceNames: ['a'] }],
    },
  ];
  const allowed = (method: string, path: string, watch = false) => {
    const attempt = attemptOf(method, path, watch);
    return attempt === undefined || rulesFor(attempt, grants).length > 0;
  };
  assert.ok(allowed('GET', '/api/v1/nodes/a'));
  assert.ok(allowed('GET', '/api/v1/nodes', true));
  assert.ok(!allowed('GET', '/api/v1/nodes'));
  assert.ok(!allowed('PATCH', '/api/v1/nodes/a'));
  assert.ok(!allowed('GET', '/api/v1/nodes/a/status'));
  assert.ok(allowed('GET', '/apis/apps/v1/namespaces/kube-system/daemonsets/a'));
  assert.ok(!allowed('GET', '/apis/apps/v1/namespaces/kube-system/daemonsets/b'));
  assert.ok(!allowed('GET', '/apis/apps/v1/namespaces/kube-system/daemonsets'));
  assert.ok(!allowed('GET', '/apis/apps/v1/namespaces/default/daemonsets/a'));
  assert.ok(allowed('GET', '/apis'), 'discovery is everybody’s');
  assert.deepEqual(attemptOf('GET', '/api/v1/namespaces/kube-system', false), {
    verb: 'get',
    group: '',
    resource: 'namespaces',
    name: 'kube-system',
  });
});
