/** A packet that a policy denied, or would deny if it were in force, as people are told of it. */

import type { PacketFlow } from '../../edge/nflog/packet.ts';
import { nameOf } from '../policy/compile/clause.ts';
import type { Compiled } from '../policy/compile/compile.ts';
import { evaluate, type SideVerdict } from '../policy/compile/evaluate.ts';
import type { Outcome } from '../policy/compile/outcome.ts';
import type { Direction, PolicyPod } from '../policy/parse/objects.ts';
import {
  type FlowRecord,
  formatReason,
  identifyFlow,
  nameEnds,
  type Reason,
  ruledProtocol,
} from './flow-record.ts';

export type Denial = FlowRecord & {
  /** RFC 3339. */
  time: string;
  /** Whose side denied it. */
  direction: Direction;
  policies: readonly string[];
  reason: Reason;
  /** It passed, as its verdict says: what is staged would deny it, for the reason. */
  staged?: true;
};

/** @param pods of the cluster. */
export function describeDenial(
  packet: PacketFlow,
  outcome: Outcome,
  compiled: Compiled,
  pods: readonly PolicyPod[],
  time: Date,
): Denial {
  const podAt = (ip: string) => {
    const pod = pods.find(({ podIPs, hostNetwork }) => !hostNetwork && podIPs.some((own) => own === ip));
    return pod === undefined ? undefined : nameOf(pod);
  };
  const { direction, proposed, policies } = outcome;
  const flow = identifyFlow(
    packet.protocol,
    { ip: packet.source, port: packet.sourcePort },
    { ip: packet.destination, port: packet.port },
  );
  const side = explain(compiled, flow)[direction];
  const decisive = proposed === undefined ? side : side.proposed;
  return {
    time: time.toISOString(),
    ...flow,
    ...nameEnds(flow, podAt),
    verdict: proposed === undefined ? 'denied' : 'allowed',
    direction,
    policies: (proposed ?? outcome).policies,
    // The rules may have changed since the packet met them.
    reason:
      decisive !== undefined && !decisive.allowed
        ? decisive.reason
        : { code: 'policies', policies: proposed?.policies ?? policies },
    ...(proposed === undefined ? {} : { staged: true as const }),
  };
}

function explain(
  compiled: Compiled,
  flow: Pick<FlowRecord, 'source' | 'destination' | 'protocol' | 'port'>,
): Record<Direction, SideVerdict> {
  const { source, destination, port } = flow;
  const protocol = ruledProtocol(flow);
  return evaluate(compiled, { source, destination, protocol, ...(port === undefined ? {} : { port }) });
}

export function formatDenial(denial: Denial): string {
  const { time, source, destination, sourcePod, destinationPod, protocol, sourcePort, port, staged, reason } =
    denial;
  const end = (ip: string, number: number | undefined, pod: string | undefined) => {
    const address = number === undefined ? ip : ip.includes(':') ? `[${ip}]:${number}` : `${ip}:${number}`;
    return pod === undefined ? address : `${pod} (${address})`;
  };
  return `${time.slice(11, 23)} ${staged === true ? 'would deny' : 'denied'} ${protocol} ${end(source, sourcePort, sourcePod)} → ${end(destination, port, destinationPod)}: ${formatReason(reason)}`;
}
