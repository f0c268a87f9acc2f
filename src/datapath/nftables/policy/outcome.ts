/** How a packet that begins a connection can end up, as a chain of the kernel that counts it and reports denials. */

import type { Chain, Rule } from '../../../edge/nftables/objects.ts';
import type { Outcome } from '../../../plan/policy/compile/outcome.ts';

/** Of nfnetlink_log; denials are sent there, with or without a listener. */
export const LOG_GROUP = 10_244;
/** Begins what the kernel says of a denial; the name of the outcome follows. */
export const LOG_PREFIX = 'fairlead ';
/** A pod that is hammered shall not cost the node its processor: beyond this, denials are counted and not reported. */
const LOG_LIMIT = 'limit rate 20/second burst 50 packets';
/** Bytes of a packet: enough for addresses and ports. */
export const SNAP_LENGTH = 128;
/** Sets of each pod's address with itself: one that reaches itself by a service leaves its namespace for that. */
export const ITSELF = { 4: 'itself4', 6: 'itself6' } as const;
const TO_ITSELF: readonly Rule[] = [
  { match: `ip saddr . ip daddr @${ITSELF[4]} accept` },
  { match: `ip6 saddr . ip6 daddr @${ITSELF[6]} accept` },
];

const rendered = new WeakMap<Outcome, Chain>();

/** As {@link renderOutcome}; of the same outcome the same object, by which tables are compared. */
export function chainOfOutcome(outcome: Outcome): Chain {
  let chain = rendered.get(outcome);
  if (chain === undefined) rendered.set(outcome, (chain = renderOutcome(outcome)));
  return chain;
}

/** The packet returns to where the other side's policies are asked, or ends here. */
function renderOutcome({ name, allowed, proposed }: Outcome): Chain {
  const report: Rule = {
    match: `${LOG_LIMIT} log prefix "${LOG_PREFIX}${name}" group ${LOG_GROUP} snaplen ${SNAP_LENGTH}`,
  };
  const counted: Rule = { match: `counter name "${name}" ${allowed ? 'return' : 'drop'}` };
  return { name, rules: allowed && proposed === undefined ? [counted] : [...TO_ITSELF, report, counted] };
}
