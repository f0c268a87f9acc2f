/** Connections of this node that are open, and such as were denied lately: what a new policy is held against. */

import type { Ip } from '../../base/ip/ip.ts';
import type { Conntrack } from '../../edge/conntrack/conntrack.ts';
import type { Connection } from '../../edge/conntrack/list.ts';
import type { Denial } from '../../plan/flow/denial.ts';
import { type FlowRecord, identifyFlow, nameEnds } from '../../plan/flow/flow-record.ts';

export type Surroundings = {
  /** The name of the pod that has an address. */
  podAt: (ip: Ip) => string | undefined;
  /** Addresses of the node itself. */
  own: ReadonlySet<Ip>;
  /** Those of its pods. */
  attached: ReadonlySet<Ip>;
};

/** Without what the node sends to its own pods, as probes do: no policy would end that. */
export async function recentFlows(
  conntrack: Conntrack,
  denials: readonly Denial[],
  { podAt, own, attached }: Surroundings,
): Promise<FlowRecord[]> {
  const open: FlowRecord[] = [];
  for await (const connections of conntrack.walk())
    for (const connection of connections) {
      const { source, target } = connection;
      if (!(own.has(source) && attached.has(target))) open.push(recordOf(connection, podAt));
    }
  return [...open, ...denials];
}

function recordOf(
  { protocol, source, target, targetPort }: Connection,
  podAt: Surroundings['podAt'],
): FlowRecord {
  const hasPorts = protocol !== 'other';
  const flow = identifyFlow(
    hasPorts ? protocol : 'ICMP',
    { ip: source },
    { ip: target, port: hasPorts ? targetPort : undefined },
  );
  return { ...flow, ...nameEnds(flow, podAt), verdict: 'allowed' };
}
