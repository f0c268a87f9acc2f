/** The API is gone: everything goes on, also past a restart of the agent; what is not known is closed, never open. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { apiProcesses, startApi } from '../../lab/api-start.ts';
import { clientOf } from '../../lab/client.ts';
import { killAgent, startAgent } from '../../lab/nodes.ts';
import { addPod } from '../../lab/pods.ts';
import { nodePaths, readPods } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { askStatus } from '../../src/tools/status/ask.ts';
import { startFlows } from '../agent/flows.ts';
import { reach } from '../agent/reach.ts';
import { until } from '../until.ts';
import { labelPods } from './api-client.ts';
import { faultsOf, startLab } from './fixture.ts';

/** Of an API that neither answers nor refuses: time in which everything that waits for it has begun to. */
const HALF_OPEN_MS = 35_000;

const podOf = (plan: LabPlan, name: string) => readPods(plan.options.name).find((pod) => pod.name === name)!;

function statusOf(plan: LabPlan, node: LabNode) {
  return askStatus(nodePaths(plan.options.name, node.name).apiSocket);
}

async function restart(plan: LabPlan, node: LabNode): Promise<void> {
  killAgent(node);
  await until('the agent is gone', async () =>
    statusOf(plan, node).then(
      () => false,
      () => true,
    ),
  );
  startAgent(plan, node);
  await until('the agent serves again', () =>
    statusOf(plan, node).then(
      ({ readiness }) => readiness.ready,
      () => false,
    ),
  );
}

function signalApi(plan: LabPlan, signal: NodeJS.Signals): void {
  for (const pid of apiProcesses(plan.options.name)) process.kill(pid, signal);
}

for (const backend of ['vxlan', 'host-gw'] as const) {
  test(`${backend}: an API that hangs, then is gone: flows, new pods and restarts of agents go on, and what changed is caught up with`, async () => {
    const plan = await startLab({ nodes: 3, pods: 1, api: true, backend });
    const [node, , far] = plan.nodes as [LabNode, LabNode, LabNode];
    const to = podOf(plan, 'pod-2');
    const flows = await startFlows(podOf(plan, 'pod-1').namespace, to.namespace, to.ips![0]!);
    // The connections stay, and nothing comes on them.
    signalApi(plan, 'SIGSTOP');
    await addPod(plan, 'while-it-hangs', node.name);
    await restart(plan, node);
    await addPod(plan, 'after-the-restart', node.name);
    if (backend === 'vxlan') await sleep(HALF_OPEN_MS);
    assert.deepEqual(await faultsOf(plan), []);
    signalApi(plan, 'SIGKILL');
    await until('the API is gone', () => apiProcesses(plan.options.name).length === 0);
    await restart(plan, node);
    await addPod(plan, 'while-it-is-gone', node.name);
    assert.deepEqual(await faultsOf(plan), []);
    const { problems } = await statusOf(plan, node);
    assert.match(problems.join('\n'), /objects of kind node are not up to date since .*ECONNREFUSED/);
    await startApi(plan);
    using client = clientOf(plan);
    await client.json({ method: 'DELETE', path: `/api/v1/nodes/${far.name}` });
    await until('the agent knows all again, and nothing is wrong', async () => {
      const status = await statusOf(plan, node);
      return status.problems.length === 0 && status.peers.length === 2;
    });
    await flows.end();
    assert.deepEqual(await faultsOf(plan), []);
  });
}

test('policies over a restart without the API: what is isolated stays so, what is allowed goes on, and nobody new starts where policies are', async () => {
  const plan = await startLab({ nodes: 2, pods: 2, api: true });
  const node = plan.nodes[0]!;
  using client = clientOf(plan);
  const pods = ['pod-1', 'pod-2', 'pod-3'] as const;
  await labelPods(client, pods);
  const from = [{ podSelector: { matchLabels: { app: 'pod-3' } } }];
  await client.json({
    method: 'POST',
    path: '/apis/networking.k8s.io/v1/namespaces/default/networkpolicies',
    body: {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'pod-3-alone' },
      // Isolated for egress too: its answers pass only as part of a connection that is known.
      spec: {
        podSelector: { matchLabels: { app: 'pod-1' } },
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ from }],
      },
    },
  });
  const server = podOf(plan, 'pod-1');
  const meets = async (name: string) =>
    (await reach(podOf(plan, name).namespace, 'tcp', server.ips![0]!, 8080)) !== undefined;
  await until('the policy is in force', async () => !(await meets('pod-2')));
  const flows = await startFlows(podOf(plan, 'pod-3').namespace, server.namespace, server.ips![0]!);
  signalApi(plan, 'SIGKILL');
  await until('the API is gone', () => apiProcesses(plan.options.name).length === 0);
  await addPod(plan, 'known-policies', node.name);
  await restart(plan, node);
  assert.equal(await meets('pod-2'), false, 'what is forbidden stays so');
  assert.equal(await meets('pod-3'), true, 'what is allowed stays so');
  await assert.rejects(
    addPod(plan, 'nobody-knows', node.name),
    /which network policies select pods of namespace default is not known, since the API has not answered/,
  );
  await addPod(plan, 'anybody', node.name, undefined, { namespace: 'elsewhere', name: 'anybody', uid: 'u' });
  await startApi(plan);
  await until('the agent knows all again', async () => (await statusOf(plan, node)).problems.length === 0);
  await addPod(plan, 'late', node.name);
  assert.equal(await meets('late'), false);
  await flows.end();
});
