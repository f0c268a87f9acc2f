/** Which range each waiting node gets, where one assigns for all. */
import {
  type Cidr,
  cidrContainsCidr,
  cidrFamily,
  cidrNetwork,
  cidrSize,
  cidrsOverlap,
  nthSubnet,
  subnetCount,
} from '../../base/ip/cidr.ts';
import { type IpFamily, ipToBigInt } from '../../base/ip/ip.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';

export type RangePlan = {
  /** Oldest node first; one range per family of the pod network. */
  assignments: { node: ClusterNode; ranges: Cidr[] }[];
  /** One sentence per family that has no room for all. */
  problems: string[];
};

/**
 * Gives every waiting node the lowest free ranges, all of its families or none.
 * @param nodes all of them: what any of them claims, rightly or not, is not given to another.
 * @param serviceNetwork is no node's either.
 * @param podNetwork of several parts of a family the first that has room is used.
 */
export function planRanges(
  nodes: readonly ClusterNode[],
  waiting: readonly ClusterNode[],
  podNetwork: readonly Cidr[],
  prefixLengths: Readonly<Record<IpFamily, number>>,
  serviceNetwork: readonly Cidr[] = [],
): RangePlan {
  const claimed = [...nodes.flatMap(({ podCidrs }) => podCidrs), ...serviceNetwork];
  const pools = [...Map.groupBy(podNetwork, cidrFamily)];
  const free = pools.map(([family, networks]) => freeRangesOf(networks, prefixLengths[family], claimed));
  const plan: RangePlan = { assignments: [], problems: [] };
  const queue = waiting.toSorted(byAge);
  for (const [index, node] of queue.entries()) {
    const ranges = free.map((ranges_) => ranges_.next());
    const full = ranges.findIndex(({ done }) => done === true);
    if (full !== -1) {
      const [family, networks] = pools[full]!;
      plan.problems.push(
        `no free range of /${prefixLengths[family]} is left in ${networks.join(', ')} for ${queue.length - index} nodes, ` +
          `${node.name} the first of them; remove nodes that are gone, or enlarge podNetwork`,
      );
      return plan;
    }
    plan.assignments.push({ node, ranges: ranges.map(({ value }) => value as Cidr) });
  }
  return plan;
}

function* freeRangesOf(
  networks: readonly Cidr[],
  prefixLength: number,
  claimed: readonly Cidr[],
): Generator<Cidr, void> {
  for (const network of networks) yield* freeRanges(network, prefixLength, claimed);
}

/** The ranges without a claim, lowest first, in one sweep over all claims. */
function* freeRanges(network: Cidr, prefixLength: number, claimed: readonly Cidr[]): Generator<Cidr, void> {
  const count = subnetCount(network, prefixLength);
  if (count === 0n) return;
  const size = cidrSize(network) / count;
  const base = ipToBigInt(cidrNetwork(network));
  const taken = claimed
    .filter((range) => cidrsOverlap(range, network))
    .map((range): [bigint, bigint] => {
      if (cidrContainsCidr(range, network)) return [0n, count];
      const offset = ipToBigInt(cidrNetwork(range)) - base;
      return [offset / size, (offset + cidrSize(range) - 1n) / size + 1n];
    })
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  let next = 0n;
  for (const [from, to] of [...taken, [count, count] as const]) {
    for (; next < from; next++) yield nthSubnet(network, prefixLength, next);
    if (to > next) next = to;
  }
}

function byAge(a: ClusterNode, b: ClusterNode): number {
  return Date.parse(a.createdAt) - Date.parse(b.createdAt) || (a.uid < b.uid ? -1 : 1);
}
