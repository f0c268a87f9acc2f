/** A packet that a policy denied, or would deny if it were in force, as people are told of it. */

import type { PacketFlow } from '../../edge/nflog/packet.ts';
import { nameOf } from '../policy/compile/clause.ts';
import type { Compiled } from '../policy/compile/compile.ts';
import { evaluate, type SideVerdict } from '../policy/compile/evaluate.ts';
import type { Outcome } from '../policy/compile/outcome.ts';
import type { Direction, PolicyPod } from '../policy/parse/objects.ts';
import { PROTOCOLS } from '../policy/parse/objects.ts';

export type Denial = PacketFlow & {
  /** RFC 3339. */
  time: string;
  /** Pods of these addresses, as far as they are known. */
  sourcePod?: string;
  destinationPod?: string;
  /** Whose side denied it. */
  direction: Direction;
  policies: readonly string[];
  /** One sentence. */
  because: string;
  /** It passed: what is staged would decide otherwise. */
  staged?: true;
};

/** @param pods of the cluster. */
export function describeDenial(
  flow: PacketFlow,
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
  const [sourcePod, destinationPod] = [podAt(flow.source), podAt(flow.destination)];
  const side = explain(compiled, flow)[direction];
  const told = proposed === undefined ? side : side.proposed;
  return {
    time: time.toISOString(),
    ...flow,
    ...(sourcePod === undefined ? {} : { sourcePod }),
    ...(destinationPod === undefined ? {} : { destinationPod }),
    direction,
    policies: (proposed ?? outcome).policies,
    // The rules may have changed since the packet met them.
    because:
      told !== undefined && !told.allowed
        ? told.because
        : `denied by ${(proposed?.policies ?? policies).join(', ')}`,
    ...(proposed === undefined ? {} : { staged: true as const }),
  };
}

function explain(compiled: Compiled, flow: PacketFlow): Record<Direction, SideVerdict> {
  const protocol = PROTOCOLS.find((known) => known === flow.protocol) ?? 'ICMP';
  const { source, destination, port } = flow;
  return evaluate(compiled, { source, destination, protocol, ...(port === undefined ? {} : { port }) });
}

export function formatDenial(denial: Denial): string {
  const {
    time,
    source,
    destination,
    sourcePod,
    destinationPod,
    protocol,
    sourcePort,
    port,
    staged,
    because,
  } = denial;
  const end = (ip: string, number: number | undefined, pod: string | undefined) => {
    const address = number === undefined ? ip : ip.includes(':') ? `[${ip}]:${number}` : `${ip}:${number}`;
    return pod === undefined ? address : `${pod} (${address})`;
  };
  return `${time.slice(11, 23)} ${staged === true ? 'would deny' : 'denied'} ${protocol} ${end(source, sourcePort, sourcePod)} → ${end(destination, port, destinationPod)}: ${because}`;
}
