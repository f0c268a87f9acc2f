/** How a packet that begins a connection can end up: allowed or denied, by whom, and what staged policies make of it. */

import type { Direction } from '../parse/objects.ts';
import type { Clause } from './clause.ts';
import { type Decision, decide, digestText, propose, type Ruling } from './ruling.ts';

type Verdict = Pick<Decision, 'allowed' | 'policies'>;

export type Outcome = Verdict & {
  /** Unique; its packets are counted, and denials reported, by it. */
  name: string;
  direction: Direction;
  /** What staged policies would have made of it, where that is something else. */
  proposed?: Verdict;
};

/** Where more policies than these have a say they are counted together, or each combination would be an outcome of its own. */
const MOST_POLICIES = 32;

/**
 * The same object for the same outcome, of one ruling.
 * @returns a function from the clauses that match; undefined is that no policy has a say, and the packet passes uncounted.
 */
export function openOutcomes(ruling: Ruling): (matching: readonly Clause[]) => Outcome | undefined {
  const crowd = new Set(ruling.clauses.map(({ policy }) => policy)).size > MOST_POLICIES;
  const known = new Map<string, Outcome>();
  const verdictOf = ({ allowed, policies, clause }: Decision): Verdict => {
    const several = crowd && clause?.tier === 'network' ? (ruling.proposed ?? ruling.isolatedBy) : policies;
    const shown = several.slice(0, MOST_POLICIES);
    return {
      allowed,
      policies:
        several.length > shown.length ? [`${shown[0]} or one of ${several.length - 1} others`] : shown,
    };
  };
  return (matching) => {
    const enforced = verdictOf(decide(ruling, matching));
    const proposal = propose(ruling, matching);
    const proposed =
      proposal === undefined || proposal.allowed === enforced.allowed ? undefined : verdictOf(proposal);
    if (proposed === undefined && enforced.policies.length === 0) return undefined;
    const { direction } = ruling;
    const word = proposed === undefined ? wordOf(enforced) : `staged-${wordOf(proposed)}`;
    const text = JSON.stringify([enforced.policies, proposed?.policies]);
    const name = `${direction}-${word}-${digestText(text)}`;
    let outcome = known.get(name);
    if (outcome === undefined) {
      outcome = { name, direction, ...enforced, ...(proposed === undefined ? {} : { proposed }) };
      known.set(name, outcome);
    }
    return outcome;
  };
}

function wordOf({ allowed }: Verdict): string {
  return allowed ? 'allow' : 'deny';
}
