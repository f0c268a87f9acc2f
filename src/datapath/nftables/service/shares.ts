/** How many owners an element has, of the sets whose elements several services may have: by set, and there by key. */

import type { Slices } from '../../../base/run/slices.ts';
import type { Element } from '../../../edge/nftables/objects.ts';

export type Shares = Map<string, Map<string, number>>;

/** Elements by set, and there by key. */
export type Contents = Map<string, Map<string, Element>>;

/** Elements of one step. */
const STEP = 1000;

export function addShare(shares: Shares, set: string, key: string, by: 1 | -1): void {
  let counts = shares.get(set);
  if (counts === undefined) shares.set(set, (counts = new Map<string, number>()));
  counts.set(key, (counts.get(key) ?? 0) + by);
}

/**
 * An element that another owner has too stays, and one that is there already does not come: both are taken out of what
 * goes and what comes.
 */
export function* settleShares(shares: Shares, changes: Shares, old: Contents, now: Contents): Slices<void> {
  let count = 0;
  for (const [set, counts] of changes) {
    const [present, going, coming] = [shares.get(set), old.get(set), now.get(set)];
    for (const [key, by] of counts) {
      const before = present?.get(key) ?? 0;
      if (before > 0 && before + by > 0) {
        going?.delete(key);
        coming?.delete(key);
      }
      if (++count % STEP === 0) yield;
    }
  }
}

/** @returns elements that have no owner any more. */
export function commitShares(shares: Shares, changes: Shares): { set: string; key: string }[] {
  const left: { set: string; key: string }[] = [];
  for (const [set, counts] of changes) {
    const present = shares.get(set);
    // Of the first services: all that there is.
    if (present === undefined) {
      shares.set(set, counts);
      continue;
    }
    for (const [key, by] of counts) {
      const after = (present.get(key) ?? 0) + by;
      if (after > 0) present.set(key, after);
      else if (present.delete(key)) left.push({ set, key });
    }
  }
  return left;
}
