/** What changes about nodes in the API while all runs: peers follow by themselves, and what cannot be is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { clientOf } from '../../lab/client.ts';
import { nodeRecord } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { clusterDirectory, readPods } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { parseCidr } from '../../src/base/ip/cidr.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { writeNode } from '../../src/cluster/directory-store.ts';
import { reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import { faultsOf, startLab } from './fixture.ts';
import { eventsOf, inNode, nodeObject, problemsOf, statusOf, unavailable } from './node.ts';

type Client = ReturnType<typeof clientOf>;

function patchNode(client: Client, name: string, body: object): Promise<unknown> {
  return client.json({
    method: 'PATCH',
    path: `/api/v1/nodes/${name}`,
    contentType: 'application/merge-patch+json',
    body,
  });
}

/** As its kubelet would report them: in the API, from where the agents have them. */
function setAddresses(plan: LabPlan, node: LabNode, ...addresses: string[]): void {
  const internalIps = addresses.map((address) => parseIp(address));
  writeNode(clusterDirectory(plan.options.name), { ...nodeRecord(plan, node), internalIps });
}

/** The record goes and comes back with another range, as where a node is given a new one. */
async function setRange(plan: LabPlan, client: Client, node: LabNode, range: string): Promise<void> {
  const record = { ...nodeRecord(plan, node), podCidrs: [parseCidr(range)], uid: 'another' };
  writeNode(clusterDirectory(plan.options.name), record);
  await client.json({ method: 'DELETE', path: `/api/v1/nodes/${node.name}` });
}

for (const backend of ['vxlan', 'host-gw'] as const) {
  test(`${backend}: another address, other labels and another range of a node in the API are followed`, async () => {
    const plan = await startLab({ nodes: 2, pods: 1, backend, api: true });
    const [node, moving] = plan.nodes as [LabNode, LabNode];
    using client = clientOf(plan);
    await inNode(moving, 'ip', 'addr', 'add', '192.168.1.33/24', 'dev', 'eth0');
    setAddresses(plan, moving, '192.168.1.33');
    const shown = backend === 'vxlan' ? ['bridge', 'fdb', 'show', 'dev', 'fl-vxlan'] : ['ip', 'route'];
    await until('its peer has followed', async () => /192\.168\.1\.33\b/.test(await inNode(node, ...shown)));
    assert.doesNotMatch(await inNode(node, ...shown), /192\.168\.1\.3\b/);
    const meets = async (from: string, to: string) => {
      const pods = readPods(plan.options.name);
      const [a, b] = [from, to].map((name) => pods.find((pod) => pod.name === name)!);
      return (await reach(a!.namespace, 'tcp', b!.ips![0]!, 8080)) !== undefined;
    };
    await until('pods meet over the new address', () => meets('pod-1', 'pod-2'));

    const operations = async () => (await statusOf(plan, node)).lastResync?.at;
    const before = await operations();
    await patchNode(client, moving.name, { metadata: { labels: { zone: 'b' } } });
    await until('the change was looked at', async () => (await operations()) !== before);
    assert.equal(await meets('pod-1', 'pod-2'), true, 'labels change no path');

    await setRange(plan, client, moving, '10.244.9.0/24');
    await until('the new range is reached', async () =>
      (await inNode(node, 'ip', 'route')).includes('10.244.9.0/24'),
    );
    assert.doesNotMatch(await inNode(node, 'ip', 'route'), /10\.244\.1\.0\/24/);
    const stranded =
      /pod default\/pod-2 \(eth0\) has 10\.244\.1\.2, which is of none of the ranges 10\.244\.9\.0\/24/;
    await until('who cannot go on is named in the status', async () =>
      stranded.test(await problemsOf(plan, moving)),
    );
    await until('and in an Event', async () => stranded.test(await eventsOf(client, moving.name)));
    await addPod(plan, 'next', moving.name);
    await until('a new pod is reached', () => meets('pod-1', 'next'));
    assert.equal(await meets('pod-2', 'next'), true, 'on the node itself the old pod goes on');
  });
}

test('the condition goes back to unavailable with the reason when the path is lost, and returns', async () => {
  const plan = await startLab({ nodes: 2, pods: 1, api: true });
  const node = plan.nodes[0]!;
  using client = clientOf(plan);
  const becomes = (wanted: RegExp) =>
    until(`the condition is ${wanted}`, async () => wanted.test(await unavailable(client, node.name)));
  await becomes(/^False FairleadIsUp: pods of 10\.244\.0\.0\/24 are reached/);
  assert.equal(await eventsOf(client, node.name), '', 'a start without a fault is no Event');
  const since = async () =>
    (await nodeObject(client, node.name)).status.conditions?.find(
      ({ type }) => type === 'NetworkUnavailable',
    )!.lastTransitionTime;
  setAddresses(plan, node, '192.168.1.222');
  await becomes(/^True FairleadIsNotReady: none of the node's addresses 192\.168\.1\.222 is on an interface/);
  const down = await since();
  await sleep(1100);
  await addPod(plan, 'meanwhile', node.name);
  setAddresses(plan, node);
  await becomes(/^True FairleadIsNotReady: none of the node's addresses \(none\) is on an interface/);
  assert.equal(await since(), down, 'another reason is no transition');
  setAddresses(plan, node, node.address);
  await becomes(/^False FairleadIsUp/);
  await until('nothing is wrong', async () => (await problemsOf(plan, node)) === '');
  assert.deepEqual(await faultsOf(plan), []);
});
