/** Connections of this node that are open, and such as were denied lately: what a new policy is held against. */
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Denial } from '../../plan/flow/denial.ts';
import type { Flow } from '../../plan/policy/compile/evaluate.ts';
import { PROTOCOLS } from '../../plan/policy/parse/objects.ts';

export type RecentFlow = Flow & { denied: boolean };

export async function recentFlows(conntrack: Conntrack, denials: readonly Denial[]): Promise<RecentFlow[]> {
  const open = (await conntrack.list()).map(({ protocol, source, target, targetPort }): RecentFlow => {
    const known = PROTOCOLS.find((one) => one.toLowerCase() === protocol);
    const ends = { source, destination: target, denied: false };
    return known === undefined
      ? { ...ends, protocol: 'ICMP' }
      : { ...ends, protocol: known, port: targetPort };
  });
  const denied = denials.map(({ source, destination, protocol, port, staged }): RecentFlow => {
    const known = PROTOCOLS.find((one) => one === protocol);
    // What staged policies would deny passed.
    const ends = { source, destination, denied: staged !== true };
    return known === undefined || port === undefined
      ? { ...ends, protocol: 'ICMP' }
      : { ...ends, protocol: known, port };
  });
  return [...open, ...denied];
}
