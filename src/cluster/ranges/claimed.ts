/** What one node claims, and what becomes of it. */
import {
  type Cidr,
  cidrContainsCidr,
  cidrFamily,
  cidrNetwork,
  cidrPrefixLength,
  cidrsOverlap,
  makeCidr,
} from '../../base/ip/cidr.ts';
import { capacityOf } from '../../plan/ipam/allocate.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import type { ClusterNetworks, RefusedRange } from './acceptance.ts';
import type { Holder, Holders } from './holders.ts';

export type Claim = {
  node: ClusterNode;
  /** Milliseconds since 1970. */
  since: number;
  ranges: readonly ClaimedRange[];
  /** As it was judged last. */
  accepted: ClusterNode;
  refused: readonly RefusedRange[];
};

export type ClaimedRange = {
  range: Cidr;
  /** Why it cannot be had. */
  refusal?: Pick<RefusedRange, 'cause' | 'reason'>;
  /** The ranges of any length that there is within which it lies, itself among them. */
  outer: readonly Cidr[];
};

/** @param lengths of all ranges that there are: see {@link lengthOf}. */
export function claimOf(node: ClusterNode, networks: ClusterNetworks, lengths: ReadonlySet<string>): Claim {
  const ranges = node.podCidrs.map((range): ClaimedRange => {
    const refusal = refuse(node, range, networks);
    const outer = [...lengths]
      .filter((length) => length.startsWith(`${cidrFamily(range)}/`))
      .map((length) => Number(length.slice(2)))
      .filter((length) => length <= cidrPrefixLength(range))
      .toSorted((a, b) => a - b)
      .map((length) => (length === cidrPrefixLength(range) ? range : makeCidr(cidrNetwork(range), length)));
    return { range, outer, ...(refusal === undefined ? {} : { refusal }) };
  });
  return { node, since: Date.parse(node.createdAt), ranges, accepted: node, refused: [] };
}

/** The family and length of a range: `4/24`. */
export function lengthOf(range: Cidr): string {
  return `${cidrFamily(range)}/${cidrPrefixLength(range)}`;
}

/** Accepts what is left for the node, and says why not the rest. */
export function judge(claim: Claim, held: Holders): void {
  const { node, ranges } = claim;
  const [podCidrs, refused]: [Cidr[], RefusedRange[]] = [[], []];
  for (const { range, refusal, outer } of ranges) {
    const holder = refusal === undefined ? held.overlapping(range, outer) : undefined;
    if (refusal !== undefined) {
      refused.push({ node: node.name, range, ...refusal });
    } else if (holder !== undefined) {
      refused.push({
        node: node.name,
        range,
        cause: 'node',
        holder: holder.node.name,
        reason: collision(node, range, holder),
      });
    } else {
      held.add({ range, node }, outer);
      podCidrs.push(range);
    }
  }
  claim.refused = refused;
  if (podCidrs.length === node.podCidrs.length) claim.accepted = node;
  else if (String(podCidrs) !== String(claim.accepted.podCidrs)) claim.accepted = { ...node, podCidrs };
}

export function olderFirst(a: Claim, b: Claim): number {
  return a.since - b.since || compare(a.node.uid, b.node.uid) || compare(a.node.name, b.node.name);
}

export function compareNames(a: Claim, b: Claim): number {
  return compare(a.node.name, b.node.name);
}

function refuse(
  node: ClusterNode,
  range: Cidr,
  { podNetwork, serviceNetwork }: ClusterNetworks,
): ClaimedRange['refusal'] {
  if (!podNetwork.some((network) => cidrContainsCidr(network, range))) {
    const reason = `node ${node.name} claims ${range}, which is outside the pod network ${podNetwork.join(', ')}; correct the range of the node or podNetwork`;
    return { cause: 'outside', reason };
  }
  if (capacityOf(range) === 0) {
    const reason = `node ${node.name} claims ${range}, which has no room for a pod; give it a range of /${cidrFamily(range) === 4 ? 30 : 126} or larger, not /${cidrPrefixLength(range)}`;
    return { cause: 'size', reason };
  }
  const services = serviceNetwork.find((network) => cidrsOverlap(network, range));
  if (services === undefined) return undefined;
  const reason = `node ${node.name} claims ${range}, which overlaps ${services}, where services have their addresses; give the node another range, or correct cluster.serviceNetwork`;
  return { cause: 'services', reason };
}

function collision(node: ClusterNode, range: Cidr, holder: Holder): string {
  return holder.node === node
    ? `node ${node.name} claims ${range} and ${holder.range}, which overlap; keep one of them`
    : `node ${node.name} claims ${range}, which overlaps ${holder.range} of node ${holder.node.name}, who joined first; ` +
        `give node ${node.name} another range`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
