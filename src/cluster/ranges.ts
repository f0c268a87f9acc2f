/** Who owns which range: the same answer on every node, whatever order the nodes come in. */
import {
  type Cidr,
  cidrContainsCidr,
  cidrFamily,
  cidrNetwork,
  cidrPrefixLength,
  cidrsOverlap,
  makeCidr,
  nthSubnet,
  subnetCount,
} from '../ip/cidr.ts';
import { capacityOf } from '../ipam/allocate.ts';
import type { ClusterNode } from './node.ts';

/** A range that is not routed, and one sentence that says why and what to do. */
export type RefusedRange = {
  node: string;
  range: Cidr;
  cause: 'outside' | 'size' | 'services' | 'node';
  holder?: string;
  reason: string;
};

export type Accepted = {
  /** All nodes, each with those of its ranges that are its alone. */
  nodes: ClusterNode[];
  refused: RefusedRange[];
};

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
  const held = createHolders(nodes.flatMap(({ podCidrs }) => podCidrs));
  const refused: RefusedRange[] = [];
  const accepted = nodes.toSorted(byClaim).map((node) => {
    const podCidrs = node.podCidrs.filter((range) => {
      const refusal = refuse(node, range, { podNetwork, serviceNetwork }, held);
      if (refusal === undefined) held.add(range, node);
      else refused.push(refusal);
      return refusal === undefined;
    });
    return { ...node, podCidrs };
  });
  return { nodes: accepted.toSorted((a, b) => (a.name < b.name ? -1 : 1)), refused };
}

/** The lowest range that nobody claims. @returns undefined when the pod network is used up. */
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

function refuse(
  node: ClusterNode,
  range: Cidr,
  { podNetwork, serviceNetwork }: { podNetwork: readonly Cidr[]; serviceNetwork: readonly Cidr[] },
  held: Holders,
): RefusedRange | undefined {
  if (!podNetwork.some((network) => cidrContainsCidr(network, range))) {
    const reason = `node ${node.name} claims ${range}, which is outside the pod network ${podNetwork.join(', ')}; correct the range of the node or podNetwork`;
    return { node: node.name, range, cause: 'outside', reason };
  }
  if (capacityOf(range) === 0) {
    const reason = `node ${node.name} claims ${range}, which has no room for a pod; give it a range of /${cidrFamily(range) === 4 ? 30 : 126} or larger, not /${cidrPrefixLength(range)}`;
    return { node: node.name, range, cause: 'size', reason };
  }
  const services = serviceNetwork.find((network) => cidrsOverlap(network, range));
  if (services !== undefined) {
    const reason = `node ${node.name} claims ${range}, which overlaps ${services}, where services have their addresses; give the node another range, or correct cluster.serviceNetwork`;
    return { node: node.name, range, cause: 'services', reason };
  }
  const holder = held.overlapping(range);
  if (holder === undefined) return undefined;
  const reason =
    holder.node === node
      ? `node ${node.name} claims ${range} and ${holder.range}, which overlap; keep one of them`
      : `node ${node.name} claims ${range}, which overlaps ${holder.range} of node ${holder.node.name}, who joined first; ` +
        `give node ${node.name} another range`;
  return { node: node.name, range, cause: 'node', holder: holder.node.name, reason };
}

type Holder = { range: Cidr; node: ClusterNode };
type Holders = {
  add: (range: Cidr, node: ClusterNode) => void;
  overlapping: (range: Cidr) => Holder | undefined;
};

/**
 * Who holds what. Two ranges overlap exactly when one holds the other, so it is enough to look for each of the few
 * lengths that there are: of 5,000 nodes every pair would be compared otherwise.
 * @param ranges all that will ever be asked about.
 */
function createHolders(ranges: readonly Cidr[]): Holders {
  const lengths = new Map(
    [4, 6].map((family) => [
      family,
      [...new Set(ranges.filter((range) => cidrFamily(range) === family).map(cidrPrefixLength))],
    ]),
  );
  const held = new Map<Cidr, Holder>();
  /** By a range of one of the lengths: the first holder of something within it. */
  const within = new Map<Cidr, Holder>();
  const wider = (range: Cidr) =>
    (lengths.get(cidrFamily(range)) ?? [])
      .filter((length) => length <= cidrPrefixLength(range))
      .map((length) => makeCidr(cidrNetwork(range), length));
  return {
    add: (range, node) => {
      const holder = { range, node };
      held.set(range, holder);
      for (const outer of wider(range)) if (!within.has(outer)) within.set(outer, holder);
    },
    overlapping: (range) => {
      for (const outer of wider(range)) {
        const holder = held.get(outer);
        if (holder !== undefined) return holder;
      }
      return within.get(range);
    },
  };
}

function byClaim(a: ClusterNode, b: ClusterNode): number {
  return (
    Date.parse(a.createdAt) - Date.parse(b.createdAt) || compare(a.uid, b.uid) || compare(a.name, b.name)
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
