/** Ranges of its own for a node that the cluster gave none. */
import { type Cidr, cidrFamily } from '../../base/ip/cidr.ts';
import type { IpFamily } from '../../base/ip/ip.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import type { ClusterStore } from '../store.ts';
import { freeRange } from './ranges.ts';

/**
 * Claims the lowest free range of every family of the pod network, all of them or none; those that another node takes
 * at the same moment are passed over.
 * @returns undefined when the pod network of a family is used up.
 */
export async function claimFreeRanges(
  store: ClusterStore,
  node: ClusterNode,
  podNetwork: readonly Cidr[],
  prefixLengths: Readonly<Record<IpFamily, number>>,
  serviceNetwork: readonly Cidr[] = [],
): Promise<Cidr[] | undefined> {
  const lost: Cidr[] = [];
  for (;;) {
    const claimed = [...store.state.nodes.flatMap(({ podCidrs }) => podCidrs), ...serviceNetwork, ...lost];
    const pools = Map.groupBy(podNetwork, cidrFamily);
    const ranges = [...pools].flatMap(([family, networks]) =>
      firstFree(networks, prefixLengths[family], claimed),
    );
    if (ranges.length < pools.size) return undefined;
    if (await store.claimRanges(node, ranges)) return ranges;
    lost.push(...ranges);
  }
}

/** None, or the one of the first part that has one. */
function firstFree(networks: readonly Cidr[], prefixLength: number, claimed: readonly Cidr[]): Cidr[] {
  for (const network of networks) {
    const range = freeRange(network, prefixLength, claimed);
    if (range !== undefined) return [range];
  }
  return [];
}
