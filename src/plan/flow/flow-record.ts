/** A flow as every report has it: drops, live connections, `why`, `policy diff --flows`. Data alone: texts are made of it. */
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import { type Direction, PROTOCOLS, type Protocol, type Tier } from '../policy/parse/objects.ts';

/** `unreachable`: policies aside, no packet gets there. */
export type Verdict = 'allowed' | 'denied' | 'unreachable';

export type FlowRecord = {
  family: IpFamily;
  /** `TCP`, `UDP`, `SCTP`, `ICMP` of either family, or its number. */
  protocol: string;
  source: Ip;
  destination: Ip;
  sourcePort?: number;
  /** Of the destination. */
  port?: number;
  /** `namespace/name` of the pods that have the addresses, as far as they are known. */
  sourcePod?: string;
  destinationPod?: string;
  verdict: Verdict;
  /** Whose side decided; absent where no policy did. */
  direction?: Direction;
  /** Which decided; none where none has a say. */
  policies?: readonly string[];
  reason?: Reason;
};

/** Why one side lets a packet through, or does not. */
export type Reason =
  /** A rule decides: `default/web ingress[0]`. */
  | { code: 'rule'; rule: string; tier: Tier | 'network'; action: 'allow' | 'deny'; pod: string }
  /** Policies isolate the pod, and none of their rules allows it. */
  | { code: 'isolated'; pod: string; direction: Direction; policies: readonly string[] }
  /** Cluster policies speak of the pod, and none of their rules matches. */
  | { code: 'no-rule'; pod: string; direction: Direction }
  | { code: 'not-isolated'; direction: Direction }
  /** The rules may have changed since the packet met them: only whose they were is known. */
  | { code: 'policies'; policies: readonly string[] }
  /** Nothing leaves the pod. */
  | { code: 'itself' }
  /** What a node sends to its own pods meets no policy. */
  | { code: 'own-node' };

export function formatReason(reason: Reason): string {
  switch (reason.code) {
    case 'rule': {
      const { rule, tier, action, pod } = reason;
      const who = tier === 'network' ? rule : `cluster policy ${rule} (tier ${tier})`;
      return `${who} ${action === 'allow' ? 'allows' : 'denies'} it to pod ${pod}`;
    }
    case 'isolated':
      return `pod ${reason.pod} is isolated for ${reason.direction} by ${reason.policies.join(', ')}, and none of their rules allows it`;
    case 'no-rule':
      return `no rule for the ${reason.direction} of pod ${reason.pod} matches`;
    case 'not-isolated':
      return `no policy isolates the ${reason.direction === 'egress' ? 'source' : 'destination'} for ${reason.direction}`;
    case 'policies':
      return `denied by ${reason.policies.join(', ')}`;
    case 'itself':
      return 'it always reaches itself';
    case 'own-node':
      return 'a node always reaches its own pods';
  }
}

/** The part of it that says which flow it is. @param protocol of any case. */
export function identifyFlow(
  protocol: string,
  source: { ip: Ip; port?: number | undefined },
  destination: { ip: Ip; port?: number | undefined },
): Pick<FlowRecord, 'family' | 'protocol' | 'source' | 'destination' | 'sourcePort' | 'port'> {
  return {
    family: ipFamily(destination.ip),
    protocol: protocol.toUpperCase(),
    source: source.ip,
    destination: destination.ip,
    ...(source.port === undefined ? {} : { sourcePort: source.port }),
    ...(destination.port === undefined ? {} : { port: destination.port }),
  };
}

/** Names of the pods at both ends, where they are known. */
export function nameEnds(
  { source, destination }: Pick<FlowRecord, 'source' | 'destination'>,
  podAt: (ip: Ip) => string | undefined,
): Pick<FlowRecord, 'sourcePod' | 'destinationPod'> {
  const [sourcePod, destinationPod] = [podAt(source), podAt(destination)];
  return {
    ...(sourcePod === undefined ? {} : { sourcePod }),
    ...(destinationPod === undefined ? {} : { destinationPod }),
  };
}

/** Its protocol as rules know it: all without ports are alike to them. */
export function ruledProtocol({ protocol, port }: Pick<FlowRecord, 'protocol' | 'port'>): Protocol | 'ICMP' {
  const known = PROTOCOLS.find((one) => one === protocol);
  return known === undefined || port === undefined ? 'ICMP' : known;
}
