/** A lab as it is now: what was planned, and what each agent says of itself. */
import type { Path } from '../src/plan/overlay/path.ts';
import { askStatus } from '../src/tools/status/ask.ts';
import { type LabPod, nodePaths, readPods } from './state.ts';
import type { LabNode, LabPlan } from './topology.ts';

export type LabNodeStatus = {
  name: string;
  address: string;
  subnet: string;
  ranges: readonly string[];
  /** Absent without an agent. */
  agent?: { pid: number; ready: boolean };
  /** How many peers by which path: `3 direct, 4 vxlan`. */
  paths: string;
  peers: readonly { name: string; path: Path }[];
  pods: number;
  problems: readonly string[];
};

export type LabStatus = { plan: LabPlan; nodes: LabNodeStatus[]; pods: LabPod[] };

export async function labStatus(plan: LabPlan): Promise<LabStatus> {
  const pods = readPods(plan.options.name);
  return { plan, pods, nodes: await Promise.all(plan.nodes.map((node) => nodeStatus(plan, node, pods))) };
}

export function agentLine({ agent }: LabNodeStatus): string {
  if (agent === undefined) return 'none';
  return `${agent.ready ? 'ready' : 'not ready'} (${agent.pid})`;
}

async function nodeStatus(plan: LabPlan, node: LabNode, pods: readonly LabPod[]): Promise<LabNodeStatus> {
  const common = {
    name: node.name,
    address: node.address,
    subnet: plan.subnets[node.subnet]!.range,
    pods: pods.filter((pod) => pod.node === node.name).length,
  };
  if (plan.options.cni === 'none')
    return { ...common, ranges: [node.podCidr], paths: '-', peers: [], problems: [] };
  const status = await askStatus(nodePaths(plan.options.name, node.name).apiSocket).catch(() => undefined);
  if (status === undefined) {
    const { log } = nodePaths(plan.options.name, node.name);
    return {
      ...common,
      ranges: [],
      paths: '-',
      peers: [],
      problems: [`its agent does not answer; its log is ${log}`],
    };
  }
  const { readiness, pid, peers, problems } = status;
  return {
    ...common,
    ranges: readiness.ready ? readiness.view.ranges : [],
    agent: { pid, ready: readiness.ready },
    paths: countPaths(peers.flatMap(({ paths }) => paths.map(({ path }) => path))),
    peers: peers.flatMap(({ name, paths }) => paths.map(({ path }) => ({ name, path }))),
    problems: readiness.ready ? problems : [readiness.reason, ...problems],
  };
}

function countPaths(paths: readonly Path[]): string {
  const groups = Map.groupBy(paths, ({ mode }) => mode);
  return [...groups].map(([mode, group]) => `${group.length} ${mode}`).join(', ') || '-';
}
