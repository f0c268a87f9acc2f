/** How much policies may say together about one pod and direction: what is said is one chain, which is made and loaded at once. */
import type { Clause } from './clause.ts';
import type { Ruling } from './ruling.ts';

/** Ranges, exceptions, selectors and ports of all rules. */
const MOST_VALUES = 30_000;
const MOST_NAMED = 3;

/** What is more than can be enforced allows nothing; where only staged policies are too much, those are left out. */
export function bound(draft: Omit<Ruling, 'key'>): Omit<Ruling, 'key'> {
  if (count(draft.clauses) <= MOST_VALUES) return draft;
  const { direction, ownPorts, isolatedBy } = draft;
  const clauses = draft.clauses.filter(({ staged }) => !staged);
  const leftOut = [...new Set(draft.clauses.map(({ policy }) => policy))];
  if (count(clauses) <= MOST_VALUES) return { direction, ownPorts, isolatedBy, clauses, leftOut };
  const all = [...new Set([...isolatedBy, ...clauses.map(({ policy }) => policy)])];
  return { direction, ownPorts, isolatedBy: all, clauses: [], leftOut };
}

/** Sentences, one for each set of policies that say too much. */
export function describeExcess(rulings: Iterable<Ruling>): string[] {
  const sentences = Iterator.from(rulings).flatMap(({ leftOut, direction, clauses }) => {
    if (leftOut === undefined) return [];
    const more = leftOut.length > MOST_NAMED ? ` and ${leftOut.length - MOST_NAMED} more` : '';
    const reached = clauses.length > 0 ? 'staged ones are not evaluated there' : 'nothing is allowed to it';
    return [
      `policies ${leftOut.slice(0, MOST_NAMED).join(', ')}${more} say more than ${MOST_VALUES} values about ${direction} of ` +
        `one pod: ${reached} until they say less; join ranges, or let fewer policies select the same pods`,
    ];
  });
  return [...new Set(sentences)];
}

const counts = new WeakMap<Clause, number>();

function count(clauses: readonly Clause[]): number {
  return clauses.reduce((sum, clause) => {
    let own = counts.get(clause);
    if (own === undefined) counts.set(clause, (own = countOne(clause)));
    return sum + own;
  }, 0);
}

function countOne({ peers = [], ports }: Clause): number {
  const ofPeers = peers.reduce((sum, peer) => sum + 1 + (peer.kind === 'block' ? peer.except.length : 0), 0);
  return ofPeers + (ports === undefined ? 0 : ports.ranges.length + ports.names.length);
}
