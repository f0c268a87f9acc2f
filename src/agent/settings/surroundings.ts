/** What of others on the node stands in the way of pods, and is not ours to change: named, with the cure. */

import type { Cidr } from '../../base/ip/cidr.ts';
import { VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { Kernel } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { describeInhabited, inhabitedRanges } from '../../plan/overlay/pod-network.ts';
import {
  describeDiversion,
  findDiversion,
  type PolicyRoutingInput,
  rulesBeforeMain,
} from '../../plan/overlay/policy-routing.ts';
import type { Underlay } from '../../plan/overlay/underlay.ts';
import { underlayProblems } from '../../plan/overlay/underlay-settings.ts';
import { ATTACHMENT_GROUP } from '../../plan/pod/attachment.ts';

export type Surroundings = {
  /** Dumped just now. */
  links: readonly Link[];
  podNetwork: readonly Cidr[];
  nodes: readonly ClusterNode[];
  underlays: readonly Underlay[];
};

/** @returns one sentence each. */
export function readSurroundings(
  kernel: Kernel,
  { links, podNetwork, nodes, underlays }: Surroundings,
): string[] {
  const tunnels: ReadonlySet<string> = new Set(Object.values(VXLAN_LINKS));
  const input: PolicyRoutingInput = {
    podNetwork,
    localIps: kernel.addresses().map(({ ip }) => ip),
    inputLinks: [...underlays.map(({ linkName }) => linkName), ...tunnels],
  };
  const ours = links.filter(({ name, group }) => group === ATTACHMENT_GROUP || tunnels.has(name));
  const indexes = new Set(ours.map(({ index }) => index));
  const names = new Map(links.map(({ index, name }) => [index, name]));
  const diversions = rulesBeforeMain(kernel.rules(), input).flatMap((rule) => {
    const route = findDiversion(rule, kernel.routes({ table: rule.table }), input, indexes);
    return route === undefined ? [] : [describeDiversion(rule, route, podNetwork, names)];
  });
  return [
    ...underlayProblems(links, underlays),
    ...diversions,
    ...inhabitedRanges(podNetwork, nodes, underlays).map(describeInhabited),
  ];
}
