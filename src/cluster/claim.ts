/** A range of its own for a node that the cluster gave none. */
import type { Cidr } from '../ip/cidr.ts';
import type { ClusterNode } from './node.ts';
import { freeRange } from './ranges.ts';
import type { ClusterStore } from './store.ts';

/**
 * Claims the lowest free range; one that another node takes at the same moment is passed over.
 * @returns undefined when the pod network is used up.
 */
export async function claimFreeRange(
  store: ClusterStore,
  node: ClusterNode,
  podNetwork: Cidr,
  prefixLength: number,
): Promise<Cidr | undefined> {
  const lost: Cidr[] = [];
  for (;;) {
    const claimed = [...store.state.nodes.flatMap(({ podCidrs }) => podCidrs), ...lost];
    const range = freeRange(podNetwork, prefixLength, claimed);
    if (range === undefined || (await store.claimRange(node, range))) return range;
    lost.push(range);
  }
}
