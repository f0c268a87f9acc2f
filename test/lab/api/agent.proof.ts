import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { kubeconfig } from '../../../lab/api/access/kubeconfig.ts';
import { type ApiObject, listAt, textAt } from '../../../lab/api/storage/object.ts';
import { labKubeconfig, readAccess } from '../../../lab/api-access.ts';
import { awaitAgent, killAgent, startAgent } from '../../../lab/nodes.ts';
import { labDirectory, nodePaths } from '../../../lab/state.ts';
import { parseCidr } from '../../../src/base/ip/cidr.ts';
import { openKubeStore } from '../../../src/cluster/kube-store.ts';
import { KubeClient } from '../../../src/edge/kubernetes/client.ts';
import { parseKubeconfig } from '../../../src/edge/kubernetes/kubeconfig.ts';
import { until } from '../../until.ts';
import { faultsOf, startLab } from '../fixture.ts';
import { serveApi } from './fixture.ts';

test('the client of the agents lists, watches and claims a range', async () => {
  const { url, call } = await serveApi();
  const text = kubeconfig('test', url, 'none', 'none').replace(/^ +certificate-authority-data: .*\n/m, '');
  const client = new KubeClient(parseKubeconfig(text, 'test', '/'));
  const node = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.1.2' }] },
  });
  await call('POST', '/api/v1/nodes', node('first'));
  const store = openKubeStore(client, { awaitRange: 'wait' });
  try {
    await until('it knows the node', () => store.state.nodes.length === 1);
    await call('POST', '/api/v1/nodes', node('second'));
    await until('it is told of another', () => store.state.nodes.length === 2);
    const range = parseCidr('10.244.7.0/24');
    const own = store.state.nodes.find(({ name }) => name === 'second')!;
    assert.equal(await store.claimRanges(own, [range]), true);
    assert.deepEqual((await call('GET', '/api/v1/nodes/second')).body.spec.podCIDRs, [range]);
    await call('DELETE', '/api/v1/nodes/first');
    await until('it is told that one left', () => store.state.nodes.length === 1);
  } finally {
    store.close();
    client[Symbol.dispose]();
  }
});

test('agents that know the cluster by the API alone serve the same pods, and tell it how they are', async () => {
  const plan = await startLab({ api: true, pods: 1 });
  const { name } = plan.options;
  const file = join(labDirectory(name), 'agents.kubeconfig');
  writeFileSync(file, labKubeconfig(plan, true, 'agentToken'), { mode: 0o600 });
  for (const node of plan.nodes) {
    killAgent(node);
    const { configuration } = nodePaths(name, node.name);
    const text = readFileSync(configuration, 'utf8').replace(
      /^cluster: .*$/m,
      `cluster: { source: kubernetes, kubeconfig: ${file} }`,
    );
    writeFileSync(configuration, text);
    startAgent(plan, node);
  }
  await Promise.all(plan.nodes.map((node) => awaitAgent(plan, node)));
  assert.deepEqual(await faultsOf(plan), []);
  const { certificate, port, token } = readAccess(name)!;
  const access = parseKubeconfig(
    kubeconfig('test', `https://127.0.0.1:${port}`, certificate, token),
    'test',
    '/',
  );
  using client = new KubeClient(access);
  await until('each node says that its network is up, beside being ready', async () => {
    const { items } = (await client.json({ path: '/api/v1/nodes' })) as { items: ApiObject[] };
    const status = (node: ApiObject, type: string) =>
      textAt(
        listAt(node, 'status', 'conditions').find((condition) => textAt(condition, 'type') === type),
        'status',
      );
    return items.every(
      (node) => status(node, 'NetworkUnavailable') === 'False' && status(node, 'Ready') === 'True',
    );
  });
});
