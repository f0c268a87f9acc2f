/** The lab as the proofs see it: hosts with an address and a namespace. */

import { cidrFamily } from '../../src/base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../src/base/ip/ip.ts';
import { readPods } from '../state.ts';
import { familiesOf, type LabPlan } from '../topology.ts';
import { type Host, PROTOCOLS, type Question } from './ask.ts';

export type PodHost = Host & { node: string; mtu: number };
export type NodeHost = Host & { range: string };
export type LabView = { plan: LabPlan; family: IpFamily; pods: PodHost[]; nodes: NodeHost[]; world: Host };

/** One family of it. */
export function viewLab(plan: LabPlan, family: IpFamily = familiesOf(plan.options)[0]!): LabView {
  const own = (ips: readonly Ip[]) => ips.find((ip) => ipFamily(ip) === family)!;
  return {
    plan,
    family,
    pods: readPods(plan.options.name)
      // Who runs a command of its own answers no questions.
      .filter(({ containers }) => containers === undefined)
      .flatMap(({ name, namespace, node, ips, mtu }) =>
        ips === undefined ? [] : [{ name, namespace, address: own(ips), node, mtu: mtu ?? 1500 }],
      ),
    nodes: plan.nodes.map(({ name, namespace, addresses, podCidrs }) => ({
      name,
      namespace,
      address: own(addresses),
      range: podCidrs.find((range) => cidrFamily(range) === family)!,
    })),
    world: { name: 'world', namespace: plan.world.namespace, address: own(plan.world.addresses) },
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
