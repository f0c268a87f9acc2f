/** A lab whose agents take everything from the Kubernetes API, as in a cluster. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiProcesses, startApi } from '../../lab/api-start.ts';
import { clientOf } from '../../lab/client.ts';
import { addPod } from '../../lab/pods.ts';
import { nodePaths } from '../../lab/state.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { until } from '../until.ts';
import { itemsOf } from './api-client.ts';
import { faultsOf, startLab } from './fixture.ts';

type NodeObject = {
  metadata: { name: string };
  spec: { podCIDRs?: string[]; taints?: { key: string }[] };
  status: { conditions: { type: string; status: string; message: string }[] };
};
type EventObject = { message: string; involvedObject: { name: string } };

test('all is proven, and every node tells the cluster that its network is up', async () => {
  const plan = await startLab({ nodes: 3, subnets: 2, pods: 1, family: 'dual', api: true });
  assert.deepEqual(await faultsOf(plan), []);
  using client = clientOf(plan);
  await until('the conditions are there', async () => {
    const nodes = await itemsOf<NodeObject>(client, '/api/v1/nodes');
    return nodes.every(({ status }) =>
      status.conditions.some(({ type, status: value }) => type === 'NetworkUnavailable' && value === 'False'),
    );
  });
});

test('nodes without ranges get them from an agent that leads', async () => {
  const plan = await startLab({ nodes: 3, pods: 0, ranges: 'agents', api: true });
  using client = clientOf(plan);
  const ranges = (await itemsOf<NodeObject>(client, '/api/v1/nodes')).map(
    ({ spec }) => spec.podCIDRs?.[0] ?? '',
  );
  assert.deepEqual(
    ranges.toSorted((a, b) => a.localeCompare(b)),
    ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24'],
  );
});

test('the API is gone for a while: everything goes on, pods start, and what changed is caught up with', async () => {
  const plan = await startLab({ nodes: 2, pods: 1, api: true });
  for (const pid of apiProcesses(plan.options.name)) process.kill(pid, 'SIGKILL');
  await until('the API is gone', () => apiProcesses(plan.options.name).length === 0);
  await addPod(plan, 'late', 'node-1');
  assert.deepEqual(await faultsOf(plan), []);
  const status = () => askStatus(nodePaths(plan.options.name, 'node-1').apiSocket);
  await until('the agent says so', async () =>
    (await status()).problems.some((text) => /not up to date/.test(text)),
  );
  await startApi(plan);
  await until('nothing is wrong any more', async () => (await status()).problems.length === 0);
});

test('a taint of the start goes when the network is up; a problem is an Event of the node', async () => {
  const plan = await startLab({ nodes: 2, pods: 0, api: true });
  using client = clientOf(plan);
  const patch = (path: string, body: object) =>
    client.json({ method: 'PATCH', path, contentType: 'application/merge-patch+json', body });
  const taints = [{ key: 'fairlead.io/network-not-ready', effect: 'NoSchedule' }];
  await patch('/api/v1/nodes/node-1', { spec: { taints } });
  await until('the taint is gone', async () => {
    const [node] = await itemsOf<NodeObject>(client, '/api/v1/nodes');
    return (node!.spec.taints ?? []).length === 0;
  });
  const thief = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'thief' },
    spec: { podCIDRs: ['10.244.0.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.1.77' }] },
  };
  await client.json({ method: 'POST', path: '/api/v1/nodes', body: thief });
  await until('there is an Event', async () => {
    const events = await itemsOf<EventObject>(client, '/api/v1/events');
    return events.some(
      ({ message, involvedObject }) =>
        involvedObject.name === 'node-1' &&
        /node thief claims 10\.244\.0\.0\/24, which overlaps/.test(message),
    );
  });
});
