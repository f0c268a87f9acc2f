/** Ranges of nodes with the API: what cannot be is refused loudly, and the pod network grows while all runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientOf } from '../../lab/client.ts';
import { addPod } from '../../lab/pods.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { until } from '../until.ts';
import { faultsOf, startLab } from './fixture.ts';
import {
  configure,
  eventsOf,
  inNode,
  metricsOf,
  nodeObject,
  problemsOf,
  statusOf,
  unavailable,
} from './node.ts';

/** Problem, condition, Event and metric of a node whose pods cannot get addresses; the reason at ADD is the same. */
async function isRefused(
  {
    plan,
    client,
    node,
    cause,
  }: { plan: LabPlan; client: ReturnType<typeof clientOf>; node: LabNode; cause: string },
  reason: RegExp,
): Promise<void> {
  await until('the agent says so', async () => reason.test(await problemsOf(plan, node)));
  await until('the condition says so', async () => {
    const condition = await unavailable(client, node.name);
    return condition.startsWith('True FairleadIsNotReady') && reason.test(condition);
  });
  await until('an Event says so', async () => reason.test(await eventsOf(client, node.name)));
  const metrics = await metricsOf(plan, node);
  assert.match(metrics, new RegExp(`^fairlead_range_refusals\\{cause="${cause}"\\} [1-9]$`, 'm'));
  assert.match(metrics, /^fairlead_ready 0$/m);
  await assert.rejects(addPod(plan, 'refused', node.name), reason);
}

async function isWell(plan: LabPlan, client: ReturnType<typeof clientOf>, node: LabNode): Promise<void> {
  await until('nothing is wrong', async () => (await problemsOf(plan, node)) === '');
  await until('the condition says so', async () =>
    (await unavailable(client, node.name)).startsWith('False FairleadIsUp'),
  );
  assert.doesNotMatch(await metricsOf(plan, node), /^fairlead_range_refusals\{/m);
}

test('a pod network that is used up, and a second one that is added live', async () => {
  const plan = await startLab({ nodes: 2, pods: 0, ranges: 'agents', api: true });
  using client = clientOf(plan);
  for (const node of plan.nodes)
    configure(plan, node, (text) => text.replace(/^podNetwork: .*$/m, 'podNetwork: [10.244.0.0/23]'));
  const nodes = await Promise.all(plan.nodes.map(({ name }) => nodeObject(client, name)));
  const late = plan.nodes[nodes.findIndex(({ spec }) => spec.podCIDRs?.[0] === '10.244.1.0/24')]!;
  const squatter = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'squatter' },
    spec: { podCIDRs: ['10.244.1.0/24'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.1.77' }] },
  };
  await client.json({ method: 'POST', path: '/api/v1/nodes', body: squatter });
  // It registers anew, without a range, and finds none.
  await client.json({ method: 'DELETE', path: `/api/v1/nodes/${late.name}` });
  await isRefused(
    { plan, client, node: late, cause: 'exhausted' },
    /no free range of \/24 is left in 10\.244\.0\.0\/23.*remove nodes that are gone, or enlarge podNetwork/,
  );
  for (const node of plan.nodes)
    configure(plan, node, (text) => text.replace('[10.244.0.0/23]', '[10.244.0.0/23, 10.250.0.0/16]'));
  await until('the leader gives it a range of the second network', async () =>
    ((await nodeObject(client, late.name)).spec.podCIDRs ?? []).includes('10.250.0.0/24'),
  );
  await isWell(plan, client, late);
  const pods = await Promise.all(plan.nodes.map(({ name }) => addPod(plan, `pod-of-${name}`, name)));
  assert.deepEqual(new Set(pods.map(({ ips }) => ips![0])), new Set(['10.244.0.2', '10.250.0.2']));
  // All of the proofs, between pods of both networks.
  assert.deepEqual(await faultsOf(plan), []);
});

test("a route of somebody else into the node's range, and a network that is connected there", async () => {
  const plan = await startLab({ nodes: 2, pods: 1, api: true });
  const node = plan.nodes[0]!;
  using client = clientOf(plan);
  await isWell(plan, client, node);
  const foreign = ['10.244.0.128/25', 'via', '192.168.1.1'];
  await inNode(node, 'ip', 'route', 'add', ...foreign);
  await isRefused(
    { plan, client, node, cause: 'route' },
    /range 10\.244\.0\.0\/24 of node node-1 is also where a route of this machine leads.*10\.244\.0\.128\/25 \(via 192\.168\.1\.1\); take that route away/,
  );
  await inNode(node, 'ip', 'route', 'del', ...foreign);
  await isWell(plan, client, node);
  for (const command of ['add docker0 type bridge', 'set docker0 up'])
    await inNode(node, 'ip', 'link', ...command.split(' '));
  await inNode(node, 'ip', 'addr', 'add', '10.244.0.1/20', 'dev', 'docker0');
  await isRefused({ plan, client, node, cause: 'route' }, /10\.244\.0\.0\/20 \(interface docker0\)/);
  assert.equal(
    (await statusOf(plan, plan.nodes[1]!)).problems.length,
    0,
    'the other node has nothing to do with it',
  );
  await inNode(node, 'ip', 'link', 'del', 'docker0');
  await isWell(plan, client, node);
  // A way to a company's network that is larger than ours does no harm.
  await inNode(node, 'ip', 'route', 'add', '10.0.0.0/8', 'via', '192.168.1.1');
  await addPod(plan, 'beside-it', node.name);
  assert.deepEqual(await faultsOf(plan), []);
});
