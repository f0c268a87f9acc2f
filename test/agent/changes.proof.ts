/** What changes about nodes while they run: addresses, links, MTU. Pods go on as far as they can. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { nodeRecord } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { clusterDirectory, nodePaths } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { ask } from '../../lab/verify/ask.ts';
import { everyWay, viewLab } from '../../lab/verify/view.ts';
import { parseIp } from '../../src/base/ip/ip.ts';
import { writeNode } from '../../src/cluster/directory-store.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';

function inNode(node: LabNode, ...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
}

function statusOf(plan: LabPlan, node: LabNode) {
  return askStatus(nodePaths(plan.options.name, node.name).apiSocket);
}

/** Whether all pods meet, by every protocol and without NAT. */
async function podsMeet(plan: LabPlan): Promise<boolean> {
  const { pods } = viewLab(plan);
  const questions = pods.flatMap((from) =>
    pods.filter((to) => to.name !== from.name).flatMap((to) => everyWay(from, to)),
  );
  return (await ask(questions.map((question) => ({ ...question, timeoutMs: 500 })))).every(({ ok }) => ok);
}

for (const backend of ['vxlan', 'host-gw'] as const) {
  test(`${backend}: a node that gets another address is followed`, async () => {
    const plan = await startLab({ nodes: 2, pods: 1, backend });
    const moving = plan.nodes[1]!;
    await inNode(moving, 'ip', 'addr', 'add', '192.168.1.33/24', 'dev', 'eth0');
    writeNode(clusterDirectory(plan.options.name), {
      ...nodeRecord(plan, moving),
      internalIps: [parseIp('192.168.1.33')],
    });
    await until('pods meet over the new address', async () => {
      await inNode(moving, 'ip', 'addr', 'del', '192.168.1.3/24', 'dev', 'eth0').catch(() => '');
      await inNode(moving, 'ip', 'addr', 'replace', '192.168.1.33/24', 'dev', 'eth0');
      return podsMeet(plan);
    });
    const shown = backend === 'vxlan' ? ['bridge', 'fdb', 'show', 'dev', 'fl-vxlan'] : ['ip', 'route'];
    assert.doesNotMatch(await inNode(plan.nodes[0]!, ...shown), /192\.168\.1\.3\b/);
  });
}

test('a link that flaps, and addresses and routes that go with it', async () => {
  const plan = await startLab({ nodes: 2, pods: 1, backend: 'vxlan' });
  const node = plan.nodes[0]!;
  for (let time = 0; time < 3; time++) {
    await inNode(node, 'ip', 'link', 'set', 'eth0', 'down');
    await inNode(node, 'ip', 'addr', 'flush', 'dev', 'eth0');
    await inNode(node, 'ip', 'link', 'set', 'eth0', 'up');
    await inNode(node, 'ip', 'addr', 'add', `${node.address}/24`, 'dev', 'eth0');
  }
  await until('pods meet again', () => podsMeet(plan));
  await until('nothing is wrong', async () => (await statusOf(plan, node)).problems.length === 0);
});

test('an MTU that becomes smaller: the tunnel follows, and so does the next pod', async () => {
  const plan = await startLab({ nodes: 2, pods: 1, backend: 'vxlan' });
  const node = plan.nodes[0]!;
  for (const each of plan.nodes) await inNode(each, 'ip', 'link', 'set', 'eth0', 'mtu', '1400');
  await until('the tunnel has followed', async () =>
    (await inNode(node, 'ip', 'link', 'show', 'fl-vxlan')).includes('mtu 1350'),
  );
  await until('the view has followed', async () => {
    const { readiness } = await statusOf(plan, node);
    return readiness.ready && readiness.view.mtu === 1350;
  });
  assert.equal((await addPod(plan, 'next', node.name)).mtu, 1350);
  assert.equal(await podsMeet(plan), true);
});
