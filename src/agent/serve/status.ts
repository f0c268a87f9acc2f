/** What the agent tells about itself: decided, reached, and what stands in the way. */

import type { IpFamily } from '../../base/ip/ip.ts';
import type { LoggedError } from '../../base/log/last-error.ts';
import type { SpoofDrops } from '../../datapath/datapath.ts';
import type { PodName } from '../../edge/cni/pod-name.ts';
import type { Path } from '../../plan/overlay/path.ts';
import { hostLinkName } from '../../plan/pod/attachment.ts';
import { timeOf } from '../../plan/probe/problems.ts';
import type { Reach } from '../../plan/probe/rounds.ts';
import type { PolicyEnforcer } from '../datapath/policy-enforcer.ts';
import { type AttachmentTable, describeUnknown } from '../node/attachments.ts';
import type { NodeNetwork, NodeReached } from '../node/network.ts';
import type { Readiness } from '../node/node-view.ts';
import type { Prober } from '../probes/prober.ts';
import type { ServicesStatus } from '../services/services.ts';
import type { EventLoopDelay } from './event-loop.ts';

/** What came of the probes on one path. Times are RFC 3339. */
export type PathProbes = {
  answers: boolean;
  sent: number;
  lost: number;
  /** Of the last answer. */
  rttSeconds?: number;
  answeredAt?: string;
  /** Absent while it answers. */
  silentSince?: string;
};

export type AgentStatus = {
  node: string;
  version: string;
  pid: number;
  /** RFC 3339. */
  startedAt: string;
  readiness: Readiness;
  backend: string;
  underlays: readonly { interface: string; address: string; mtu: number }[];
  peers: readonly {
    name: string;
    internalIps: readonly string[];
    ranges: readonly string[];
    /** By the family of the peer's pods. */
    paths: readonly { family: IpFamily; path: Path; probes?: PathProbes }[];
  }[];
  attachments: readonly {
    network: string;
    containerId: string;
    ifname: string;
    ips: readonly string[];
    interface: string;
    pod?: PodName;
  }[];
  /** Only while it is not known what is attached: the list above says nothing then. `since` is RFC 3339. */
  attachmentsUnknown?: { since: string; why: string };
  /** What is wrong now, one sentence each with cause and cure; empty when all is well. */
  problems: readonly string[];
  /** Packets that claimed to be what they are not. */
  spoofDrops: SpoofDrops;
  /** Ranges that are refused, and nodes that get none: all of them are among the problems too. */
  rangeRefusals: NodeReached['refusals'];
  /** The last thing that went wrong since the start, though it may be mended. */
  lastError?: LoggedError;
  lastResync?: NodeReached['resync'];
  eventLoopDelay: EventLoopDelay;
  /** Absent where the source of the cluster's nodes has no policies. */
  policy?: PolicyEnforcer['status'];
  services: ServicesStatus;
};

export type StatusInput = {
  name: string;
  version: string;
  startedAt: string;
  backend: string;
  table: AttachmentTable;
  network: NodeNetwork;
  eventLoopDelay: EventLoopDelay;
  policy: PolicyEnforcer['status'] | undefined;
  services: ServicesStatus;
  /** Of policies, of telling the cluster, and of the runtime's network list. */
  otherProblems: readonly string[];
  prober: Pick<Prober, 'reaches' | 'silent' | 'problems'>;
  lastError: LoggedError | undefined;
  spoofDrops: SpoofDrops;
};

export function describeAgent({
  name,
  version,
  startedAt,
  backend,
  table,
  network,
  eventLoopDelay,
  policy,
  services,
  otherProblems,
  prober,
  lastError,
  spoofDrops,
}: StatusInput): AgentStatus {
  const probes = new Map(prober.reaches.map((reach) => [keyOf(reach.target), reach]));
  const silent = new Set(prober.silent);
  const { underlays, overlay, problems, refusals, resync } = network.reached;
  return {
    node: name,
    version,
    pid: process.pid,
    startedAt,
    readiness: network.readiness,
    backend,
    underlays: (underlays ?? []).map(({ linkName, address, mtu }) => ({ interface: linkName, address, mtu })),
    peers: (overlay?.peers ?? []).map(({ peer, paths }) => ({
      name: peer.name,
      internalIps: peer.internalIps,
      ranges: peer.podCidrs,
      paths: paths.map((one) => {
        const reach = probes.get(keyOf({ peer: peer.name, family: one.family }));
        return reach === undefined ? one : { ...one, probes: describeReach(reach, !silent.has(reach)) };
      }),
    })),
    attachments: (table.now.known ? [...table.now.live.values()] : []).map((attachment) => ({
      network: attachment.network,
      containerId: attachment.containerId,
      ifname: attachment.ifname,
      ips: attachment.ips,
      interface: hostLinkName(attachment),
      ...(attachment.pod === undefined ? {} : { pod: attachment.pod }),
    })),
    ...(table.now.known ? {} : { attachmentsUnknown: { since: table.now.since, why: table.now.why } }),
    problems: [
      ...(table.now.known ? [] : [describeUnknown(table.now)]),
      ...problems,
      ...otherProblems,
      ...prober.problems,
    ],
    services,
    spoofDrops,
    rangeRefusals: refusals,
    eventLoopDelay,
    ...(policy === undefined ? {} : { policy }),
    ...(lastError === undefined ? {} : { lastError }),
    ...(resync === undefined ? {} : { lastResync: resync }),
  };
}

function keyOf({ peer, family }: { peer: string; family: IpFamily }): string {
  return `${peer} ${family}`;
}

function describeReach(
  { sent, lost, rttSeconds, answeredAt, silentSince }: Reach,
  answers: boolean,
): PathProbes {
  return {
    answers,
    sent,
    lost,
    ...(rttSeconds === undefined ? {} : { rttSeconds }),
    ...(answeredAt === undefined ? {} : { answeredAt: timeOf(answeredAt) }),
    ...(answers || silentSince === undefined ? {} : { silentSince: timeOf(silentSince) }),
  };
}
