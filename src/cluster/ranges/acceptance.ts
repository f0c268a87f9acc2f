/** Which of the ranges that many nodes claim are accepted, worked out anew only where something has changed. */
import type { Cidr } from '../../base/ip/cidr.ts';
import { type Slices, stepping } from '../../base/run/slices.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';
import { type Claim, claimOf, compareNames, judge, lengthOf, olderFirst } from './claimed.ts';
import { createHolders } from './holders.ts';

/** A range that is not routed, and one sentence that says why and what to do. */
export type RefusedRange = {
  node: string;
  range: Cidr;
  cause: 'outside' | 'size' | 'services' | 'node';
  holder?: string;
  reason: string;
};

export type Accepted = {
  /** All nodes by name, each with those of its ranges that are its alone. */
  nodes: ClusterNode[];
  /** The claims of older nodes first. */
  refused: RefusedRange[];
};

/** Where pods have their addresses, and where services have theirs, as far as that is known. */
export type ClusterNetworks = { podNetwork: readonly Cidr[]; serviceNetwork: readonly Cidr[] };

export type RangeAcceptance = (nodes: readonly ClusterNode[], networks: ClusterNetworks) => Slices<Accepted>;

/**
 * `acceptRanges` for one who asks again whenever a few of many nodes have changed. A node is known by its object: one
 * whose ranges are accepted as before is the same object as before.
 */
export function createRangeAcceptance(): RangeAcceptance {
  let known: Known | undefined;
  return function* (nodes, networks) {
    if (known === undefined || !isAmended(known, nodes, networks))
      known = yield* judgeAll(nodes, networks, known);
    return {
      nodes: known.byName.map(({ accepted }) => accepted),
      refused: [...known.refusing].toSorted(olderFirst).flatMap(({ refused }) => refused),
    };
  };
}

type Known = {
  claims: Map<ClusterNode, Claim>;
  byName: readonly Claim[];
  /** Those of which something was refused. */
  refusing: Set<Claim>;
  /** How many claimed ranges lie within a range, itself among them; and how many are it. */
  within: Map<Cidr, number>;
  exactly: Map<Cidr, number>;
  /** Of all ranges that there were: `4/24`. */
  lengths: ReadonlySet<string>;
  networks: string;
};

function* judgeAll(
  nodes: readonly ClusterNode[],
  networks: ClusterNetworks,
  before: Known | undefined,
): Slices<Known> {
  const lengths = new Set(nodes.flatMap(({ podCidrs }) => podCidrs.map(lengthOf)));
  const isAsBefore = before?.networks === textOf(networks) && lengths.isSubsetOf(before.lengths);
  const known: Known = {
    claims: new Map(),
    byName: [],
    refusing: new Set(),
    within: new Map(),
    exactly: new Map(),
    lengths: isAsBefore ? before.lengths : lengths,
    networks: textOf(networks),
  };
  yield* stepping(nodes, (node) => {
    const claim =
      (isAsBefore ? before.claims.get(node) : undefined) ?? claimOf(node, networks, known.lengths);
    known.claims.set(node, claim);
    count(known, claim, 1);
  });
  const inOrder = [...known.claims.values()].toSorted(olderFirst);
  yield;
  known.byName = inOrder.toSorted(compareNames);
  yield;
  const held = createHolders();
  yield* stepping(inOrder, (claim) => {
    judge(claim, held);
    if (claim.refused.length > 0) known.refusing.add(claim);
  });
  return known;
}

/**
 * Where no claim that comes or goes overlaps any other, nothing changes for the others.
 * @returns false where it does; then all of them are to be judged.
 */
function isAmended(known: Known, nodes: readonly ClusterNode[], networks: ClusterNetworks): boolean {
  if (known.networks !== textOf(networks)) return false;
  const come = nodes.filter((node) => !known.claims.has(node));
  const gone = known.claims.size > nodes.length - come.length ? missing(known.claims, nodes) : [];
  if (come.some(({ podCidrs }) => podCidrs.some((range) => !known.lengths.has(lengthOf(range)))))
    return false;
  const fresh = come.map((node) => claimOf(node, networks, known.lengths));
  if (gone.some((claim) => overlaps(known, claim))) return false;
  for (const claim of gone) {
    known.claims.delete(claim.node);
    known.refusing.delete(claim);
    count(known, claim, -1);
  }
  for (const claim of fresh) {
    known.claims.set(claim.node, claim);
    count(known, claim, 1);
  }
  if (fresh.some((claim) => overlaps(known, claim))) return false;
  for (const claim of fresh) {
    judge(claim, createHolders());
    if (claim.refused.length > 0) known.refusing.add(claim);
  }
  if (come.length + gone.length > 0) {
    const left = new Set(gone);
    // What is sorted already costs one comparison each.
    known.byName = [...known.byName.filter((claim) => !left.has(claim)), ...fresh].toSorted(compareNames);
  }
  return true;
}

function textOf({ podNetwork, serviceNetwork }: ClusterNetworks): string {
  return `${podNetwork.join()} ${serviceNetwork.join()}`;
}

function missing(claims: ReadonlyMap<ClusterNode, Claim>, nodes: readonly ClusterNode[]): Claim[] {
  const present = new Set(nodes);
  return [...claims.values()].filter(({ node }) => !present.has(node));
}

/** Whether others claim what this one does, its own other ranges among them. It is counted itself. */
function overlaps({ within, exactly }: Known, { ranges }: Claim): boolean {
  return ranges.some(
    ({ range, refusal, outer }) =>
      refusal === undefined &&
      ((within.get(range) ?? 0) > 1 ||
        outer.some((wider) => wider !== range && (exactly.get(wider) ?? 0) > 0)),
  );
}

/** A place that is never given out is in no one's way. */
function count({ within, exactly }: Known, { ranges }: Claim, step: 1 | -1): void {
  for (const { range, refusal, outer } of ranges) {
    if (refusal !== undefined) continue;
    add(exactly, range, step);
    for (const wider of outer) add(within, wider, step);
  }
}

function add(counts: Map<Cidr, number>, range: Cidr, step: 1 | -1): void {
  const next = (counts.get(range) ?? 0) + step;
  if (next === 0) counts.delete(range);
  else counts.set(range, next);
}
