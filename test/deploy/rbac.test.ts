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
import { openCluster } from '../../src/agent/cluster-source.ts';
import { chartValues } from '../../src/chart/chart.ts';
import { parseConfiguration } from '../../src/config/parse.ts';
import { agentGrants } from '../../src/lab/agent-account.ts';
import { type Attempt, attemptOf, type Grant, rulesFor } from '../../src/lab/api/authorize.ts';
import { openStore } from '../../src/lab/api/journal.ts';
import { ensureObject } from '../../src/lab/api/owner.ts';
import { apiListener } from '../../src/lab/api/server.ts';
import { createLogger } from '../../src/log/logger.ts';
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

test('all controllers of an agent, against an API that gives the rights of the manifest and no more', async () => {
  using stack = new DisposableStack();
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
  const addresses = [{ type: 'InternalIP', address: '192.168.1.2' }];
  ensureObject(api, 'Node', {
    metadata: { name: 'node-1' },
    spec: { taints: [{ key: 'fairlead.io/network-not-ready', effect: 'NoSchedule' }] },
    status: { addresses },
  });

  const grants = agentGrants();
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
  const { podNetwork, cni } = chartValues()['configuration'] as {
    podNetwork: string[];
    cni: { daemonSet: string };
  };
  const configuration = parseConfiguration(
    `podNetwork: [${podNetwork.join()}]
cluster: { source: kubernetes, kubeconfig: ${kubeconfig} }
cni: { daemonSet: kube-system/${cni.daemonSet} }
`,
    'fairlead.yaml',
  );
  const lines: string[] = [];
  const log = createLogger({ level: 'warn', format: 'text' }, (line) => void lines.push(line));
  const cluster = stack.adopt(
    openCluster(() => configuration, 'node-1', log),
    (opened) => opened.close(),
  );
  await until('the node has a range', () => cluster.state.nodes.some(({ podCidrs }) => podCidrs.length > 0));
  cluster.report?.({ ready: true, message: 'it is up', problems: ['something is wrong'] });
  await cluster.removal?.isUnderWay();

  const permissions = permissionsOf(grants);
  const unused = () =>
    permissions.filter((permission) => !attempts.some((attempt) => uses(permission, attempt)));
  await until('every rule was used', () => unused().length === 0).catch(() => undefined);
  assert.deepEqual(unused().map(describe), [], 'rights that no agent needs');
  const refused = attempts.filter((attempt) => rulesFor(attempt, grants).length === 0);
  assert.deepEqual(refused.map(describe), [], 'requests that the roles do not allow');
  assert.deepEqual(
    lines.filter((line) => /forbidden/.test(line)),
    [],
  );
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
