/** A pod network that holds more than pods: the nodes themselves, or the network that they are in. */

import { type Cidr, cidrContains, cidrFamily, cidrsOverlap } from '../../base/ip/cidr.ts';
import { ipFamily } from '../../base/ip/ip.ts';
import type { ClusterNode } from '../node/cluster-node.ts';
import type { Underlay } from './underlay.ts';

export type Inhabited = { range: Cidr; by: string };

/**
 * The ranges of the pod network in which others live, with the first of those. What no pod has cannot be answered as
 * unreachable there: it may be a node, a router or a name server.
 */
export function inhabitedRanges(
  podNetwork: readonly Cidr[],
  nodes: readonly ClusterNode[],
  underlays: readonly Underlay[],
): Inhabited[] {
  return podNetwork.flatMap((range): Inhabited[] => {
    const family = cidrFamily(range);
    for (const { name, internalIps } of nodes) {
      const ip = internalIps.find((one) => ipFamily(one) === family && cidrContains(range, one));
      if (ip !== undefined) return [{ range, by: `${ip} of node ${name}` }];
    }
    for (const { linkName, connected } of underlays) {
      const network = connected.find((one) => cidrFamily(one) === family && cidrsOverlap(range, one));
      if (network !== undefined) return [{ range, by: `the network ${network} of ${linkName}` }];
    }
    return [];
  });
}

export function describeInhabited({ range, by }: Inhabited): string {
  return (
    `podNetwork ${range} contains ${by}: addresses there that are no pod's are left to other routes, and pods and hosts ` +
    'can be taken for each other; choose a pod network in which nothing else has addresses'
  );
}
