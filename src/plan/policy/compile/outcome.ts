/** How a packet that begins a connection can end up, as a chain of the kernel that counts it and reports denials. */
import type { Chain, Rule } from '../../../edge/nftables/objects.ts';
import type { Direction } from '../parse/objects.ts';
import type { Clause } from './clause.ts';
import { type Decision, decide, digestText, propose, type Ruling } from './ruling.ts';

type Verdict = Pick<Decision, 'allowed' | 'policies'>;

export type Outcome = Verdict & {
  /** Of its chain, and of the counter of its packets. */
  name: string;
  direction: Direction;
  /** What staged policies would have made of it, where that is something else. */
  proposed?: Verdict;
};

/** Of nfnetlink_log; denials are sent there, whether or not somebody listens. */
export const LOG_GROUP = 10_244;
/** Begins what the kernel says of a denial; the name of the outcome follows. */
export const LOG_PREFIX = 'fairlead ';
/** A pod that is hammered shall not cost the node its processor: beyond this, denials are counted and not reported. */
const LOG_LIMIT = 'limit rate 20/second burst 50 packets';
/** Bytes of a packet: enough for addresses and ports. */
export const SNAP_LENGTH = 128;
/** Where more policies than these have a say they are counted together, or each would cost a chain. */
const MOST_POLICIES = 32;

/**
 * The same object for the same outcome, of one ruling.
 * @returns a function from the clauses that match; undefined is that nobody has a say, and the packet passes uncounted.
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

/** Sets of each pod's address with itself: one that reaches itself by a service leaves its namespace for that. */
export const ITSELF = { 4: 'itself4', 6: 'itself6' } as const;
const TO_ITSELF: readonly Rule[] = [
  { match: `ip saddr . ip daddr @${ITSELF[4]} accept` },
  { match: `ip6 saddr . ip6 daddr @${ITSELF[6]} accept` },
];

/** The packet returns to where the other side's policies are asked, or ends here. */
export function renderOutcome({ name, allowed, proposed }: Outcome): Chain {
  const report: Rule = {
    match: `${LOG_LIMIT} log prefix "${LOG_PREFIX}${name}" group ${LOG_GROUP} snaplen ${SNAP_LENGTH}`,
  };
  const counted: Rule = { match: `counter name "${name}" ${allowed ? 'return' : 'drop'}` };
  return { name, rules: allowed && proposed === undefined ? [counted] : [...TO_ITSELF, report, counted] };
}

function wordOf({ allowed }: Verdict): string {
  return allowed ? 'allow' : 'deny';
}
