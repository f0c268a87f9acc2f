/** What the agent tells about itself: decided, reached, and what stands in the way. */
import type { IpFamily } from '../ip/ip.ts';
import type { Path } from '../overlay/path.ts';
import { hostLinkName, type PodName } from '../pod/attachment.ts';
import type { AttachmentTable } from './attachments.ts';
import type { EventLoopDelay } from './event-loop.ts';
import type { NodeNetwork, Reached } from './node-network.ts';
import type { Readiness } from './node-view.ts';
import type { PolicyEnforcer } from './policy-enforcer.ts';

export type AgentStatus = {
  node: string;
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
    paths: readonly { family: IpFamily; path: Path }[];
  }[];
  attachments: readonly {
    network: string;
    containerId: string;
    ifname: string;
    ips: readonly string[];
    interface: string;
    pod?: PodName;
  }[];
  /** What is wrong now, one sentence each with cause and cure; empty when all is well. */
  problems: readonly string[];
  /** Ranges that are refused, and nodes that get none: all of them are among the problems too. */
  rangeRefusals: Reached['refusals'];
  lastResync?: Reached['resync'];
  eventLoopDelay: EventLoopDelay;
  /** Absent where the source of the cluster's nodes has no policies. */
  policy?: PolicyEnforcer['status'];
};

export type StatusInput = {
  name: string;
  startedAt: string;
  backend: string;
  table: AttachmentTable;
  network: NodeNetwork;
  eventLoopDelay: EventLoopDelay;
  policy: PolicyEnforcer['status'] | undefined;
  policyProblems: readonly string[];
};

export function describeAgent({
  name,
  startedAt,
  backend,
  table,
  network,
  eventLoopDelay,
  policy,
  policyProblems,
}: StatusInput): AgentStatus {
  const { underlays, overlay, problems, refusals, resync } = network.reached;
  return {
    node: name,
    pid: process.pid,
    startedAt,
    readiness: network.readiness,
    backend,
    underlays: (underlays ?? []).map(({ linkName, address, mtu }) => ({ interface: linkName, address, mtu })),
    peers: (overlay?.peers ?? []).map(({ peer, paths }) => ({
      name: peer.name,
      internalIps: peer.internalIps,
      ranges: peer.podCidrs,
      paths,
    })),
    attachments: [...table.live.values()].map((attachment) => ({
      network: attachment.network,
      containerId: attachment.containerId,
      ifname: attachment.ifname,
      ips: attachment.ips,
      interface: hostLinkName(attachment),
      ...(attachment.pod === undefined ? {} : { pod: attachment.pod }),
    })),
    problems: [...problems, ...policyProblems],
    rangeRefusals: refusals,
    eventLoopDelay,
    ...(policy === undefined ? {} : { policy }),
    ...(resync === undefined ? {} : { lastResync: resync }),
  };
}
