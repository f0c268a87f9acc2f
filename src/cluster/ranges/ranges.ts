/** Who owns which range: the same answer on every node, whatever order the nodes come in. */
import { type Cidr, cidrsOverlap, nthSubnet, subnetCount } from '../../base/ip/cidr.ts';
import { runToEnd } from '../../base/run/slices.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { type Accepted, createRangeAcceptance } from './acceptance.ts';

/**
 * Of two nodes that claim overlapping ranges the one that joined first keeps its claim; the other's is refused, on
 * every node, and both are named. Everything else goes on.
 * @param serviceNetwork where services have their addresses, as far as it is known.
 */
export function acceptRanges(
  nodes: readonly ClusterNode[],
  podNetwork: readonly Cidr[],
  serviceNetwork: readonly Cidr[] = [],
): Accepted {
  return runToEnd(createRangeAcceptance()(nodes, { podNetwork, serviceNetwork }));
}

/** The lowest range without a claim. @returns undefined when the pod network is used up. */
export function freeRange(
  podNetwork: Cidr,
  prefixLength: number,
  claimed: readonly Cidr[],
): Cidr | undefined {
  const count = subnetCount(podNetwork, prefixLength);
  for (let index = 0n; index < count; index++) {
    const candidate = nthSubnet(podNetwork, prefixLength, index);
    if (!claimed.some((range) => cidrsOverlap(range, candidate))) return candidate;
  }
  return undefined;
}
