/** The lab as the proofs see it: hosts with an address and a namespace. */
import { readPods } from '../state.ts';
import type { LabPlan } from '../topology.ts';
import { type Host, PROTOCOLS, type Question } from './ask.ts';

export type PodHost = Host & { node: string; mtu: number };
export type NodeHost = Host & { range: string };
export type LabView = { plan: LabPlan; pods: PodHost[]; nodes: NodeHost[]; world: Host };

export function viewLab(plan: LabPlan): LabView {
  return {
    plan,
    pods: readPods(plan.options.name).flatMap(({ name, namespace, node, ips, mtu }) =>
      ips?.[0] === undefined ? [] : [{ name, namespace, address: ips[0], node, mtu: mtu ?? 1500 }],
    ),
    nodes: plan.nodes.map(({ name, namespace, address, podCidr }) => ({
      name,
      namespace,
      address,
      range: podCidr,
    })),
    world: { name: 'world', namespace: plan.world.namespace, address: plan.world.address },
  };
}

/** One pod of each node: what they prove holds for their neighbors too. */
export function onePerNode(pods: readonly PodHost[]): PodHost[] {
  return [...Map.groupBy(pods, ({ node }) => node).values()].map((group) => group[0]!);
}

/** The same question by every protocol; the other end must see the asker's own address. */
export function everyWay(from: Host, to: Host, expectSource: string = from.address): Question[] {
  return PROTOCOLS.map((protocol) => ({ from, to, protocol, expectSource }));
}
