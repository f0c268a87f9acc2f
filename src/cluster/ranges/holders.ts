/**
 * Who holds what. Two ranges overlap exactly when one holds the other, so it is enough to look for each of the few
 * lengths that there are: of 5,000 nodes every pair would be compared otherwise.
 */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';

export type Holder = { range: Cidr; node: ClusterNode };

/** `outer` are the ranges of any length that there is within which a range lies, itself among them. */
export type Holders = {
  add: (holder: Holder, outer: readonly Cidr[]) => void;
  overlapping: (range: Cidr, outer: readonly Cidr[]) => Holder | undefined;
};

export function createHolders(): Holders {
  const held = new Map<Cidr, Holder>();
  /** By a range of one of the lengths: the first holder of something within it. */
  const within = new Map<Cidr, Holder>();
  return {
    add: (holder, outer) => {
      held.set(holder.range, holder);
      for (const range of outer) if (!within.has(range)) within.set(range, holder);
    },
    overlapping: (range, outer) => {
      for (const wider of outer) {
        const holder = held.get(wider);
        if (holder !== undefined) return holder;
      }
      return within.get(range);
    },
  };
}
