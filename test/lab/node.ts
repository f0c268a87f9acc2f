/** A node of a lab, its agent and its record in the API, as tests ask for them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { namespacePath, run } from '../../lab/namespaces.ts';
import { nodePaths } from '../../lab/state.ts';
import type { LabNode, LabPlan } from '../../lab/topology.ts';
import type { KubeClient } from '../../src/edge/kubernetes/client.ts';
import { askStatus, followAgent } from '../../src/tools/status/ask.ts';
import { itemsOf } from './api-client.ts';

export type NodeObject = {
  metadata: { name: string; uid: string };
  spec: { podCIDRs?: string[]; taints?: { key: string }[] };
  status: {
    addresses: { type: string; address: string }[];
    conditions?: {
      type: string;
      status: string;
      reason: string;
      message: string;
      lastTransitionTime: string;
    }[];
  };
};

export function inNode(node: LabNode, ...command: string[]): Promise<string> {
  return run('nsenter', [`--net=${namespacePath(node.namespace)}`, '--', ...command]);
}

export function statusOf(plan: LabPlan, node: LabNode) {
  return askStatus(nodePaths(plan.options.name, node.name).apiSocket);
}

/** What the agent says is wrong. */
export async function problemsOf(plan: LabPlan, node: LabNode): Promise<string> {
  return (await statusOf(plan, node)).problems.join('\n');
}

/** Appends to the configuration of a node's agent, or replaces what is there, while it runs. */
export function configure(plan: LabPlan, node: LabNode, change: (text: string) => string): void {
  const { configuration } = nodePaths(plan.options.name, node.name);
  writeFileSync(configuration, change(readFileSync(configuration, 'utf8')));
}

export async function nodeObject(client: KubeClient, name: string): Promise<NodeObject> {
  return (await client.json({ path: `/api/v1/nodes/${name}` })) as NodeObject;
}

/** The condition NetworkUnavailable; `''` while there is none. */
export async function unavailable(client: KubeClient, name: string): Promise<string> {
  const { conditions = [] } = (await nodeObject(client, name)).status;
  const condition = conditions.find(({ type }) => type === 'NetworkUnavailable');
  return condition === undefined ? '' : `${condition.status} ${condition.reason}: ${condition.message}`;
}

/** Messages of all Events about a node. */
export async function eventsOf(client: KubeClient, name: string): Promise<string> {
  const events = await itemsOf<{ message: string; involvedObject: { name: string } }>(
    client,
    '/api/v1/events',
  );
  return events
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ message }) => message)
    .join('\n');
}

/** The metrics of a node's agent. */
export async function metricsOf(plan: LabPlan, node: LabNode): Promise<string> {
  const { apiSocket } = nodePaths(plan.options.name, node.name);
  const lines: string[] = [];
  await followAgent(apiSocket, '/metrics', (line) => void lines.push(line));
  return lines.join('\n');
}
