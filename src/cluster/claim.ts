/** Ranges of its own for a node that the cluster gave none. */
import { type Cidr, cidrFamily } from '../ip/cidr.ts';
import type { IpFamily } from '../ip/ip.ts';
import type { ClusterNode } from './node.ts';
import { freeRange } from './ranges.ts';
import type { ClusterStore } from './store.ts';

/**
 * Claims the lowest free range of every part of the pod network, all of them or none; those that another node takes
 * at the same moment are passed over.
 * @returns undefined when a part of the pod network is used up.
 */
export async function claimFreeRanges(
  store: ClusterStore,
  node: ClusterNode,
  podNetwork: readonly Cidr[],
  prefixLengths: Readonly<Record<IpFamily, number>>,
): Promise<Cidr[] | undefined> {
  const lost: Cidr[] = [];
  for (;;) {
    const claimed = [...store.state.nodes.flatMap(({ podCidrs }) => podCidrs), ...lost];
    const ranges = podNetwork.flatMap(
      (network) => freeRange(network, prefixLengths[cidrFamily(network)], claimed) ?? [],
    );
    if (ranges.length < podNetwork.length) return undefined;
    if (await store.claimRanges(node, ranges)) return ranges;
    lost.push(...ranges);
  }
}
