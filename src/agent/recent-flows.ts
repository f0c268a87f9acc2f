/** Connections of this node that are open, and such as were denied lately: what a new policy is held against. */
import type { Conntrack } from '../conntrack/conntrack.ts';
import type { Connection } from '../conntrack/list.ts';
import type { Denial } from '../drops/denial.ts';
import type { Flow } from '../policy/evaluate.ts';
import { PROTOCOLS } from '../policy/objects.ts';

export type RecentFlow = Flow & { denied: boolean };

export async function recentFlows(conntrack: Conntrack, denials: readonly Denial[]): Promise<RecentFlow[]> {
  const open: RecentFlow[] = [];
  for await (const connections of conntrack.walk()) open.push(...connections.map(flowOf));
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

function flowOf({ protocol, source, target, targetPort }: Connection): RecentFlow {
  const known = PROTOCOLS.find((one) => one.toLowerCase() === protocol);
  const ends = { source, destination: target, denied: false };
  return known === undefined ? { ...ends, protocol: 'ICMP' } : { ...ends, protocol: known, port: targetPort };
}
