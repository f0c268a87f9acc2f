/** Running flows lose nothing while the agent is stopped, killed, started and upgraded: 1,000 packets a second, and a stream. */
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { awaitAgent, killAgent, startAgent } from '../../lab/nodes.ts';
import { agentProcesses } from '../../lab/processes.ts';
import { type LabPod, readPods } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import { startLab } from '../lab/fixture.ts';
import { until } from '../until.ts';
import { startFlows } from './flows.ts';

async function restart(plan: LabPlan, node: LabNode, signal: 'SIGTERM' | 'SIGKILL') {
  if (signal === 'SIGKILL') killAgent(node);
  else for (const pid of agentProcesses(node.namespace)) process.kill(pid, signal);
  await until('the agent is gone', () => agentProcesses(node.namespace).length === 0);
  await sleep(200);
  startAgent(plan, node);
  await awaitAgent(plan, node);
}

for (const backend of ['vxlan', 'host-gw'] as const) {
  test(`${backend}: no packet of a running flow is lost over restarts of both agents`, async () => {
    const plan = await startLab({ nodes: 2, pods: 1, backend });
    const [from, to] = readPods(plan.options.name) as [LabPod, LabPod];
    const flows = await startFlows(from.namespace, to.namespace, to.ips![0]!);
    for (const node of plan.nodes) {
      // Told to stop, as by an upgrade, and without warning.
      await restart(plan, node, 'SIGTERM');
      await restart(plan, node, 'SIGKILL');
    }
    await flows.end();
  });
}
