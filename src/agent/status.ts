/** What the agent tells about itself: decided, reached, and what stands in the way. */
import type { Path } from '../overlay/path.ts';
import type { Readiness } from './node-view.ts';

export type PeerStatus = {
  name: string;
  internalIps: readonly string[];
  ranges: readonly string[];
  path: Path;
};

export type AgentStatus = {
  node: string;
  version: string;
  /** RFC 3339. */
  startedAt: string;
  readiness: Readiness;
  backend: string;
  underlay?: { interface: string; address: string; mtu: number };
  peers: readonly PeerStatus[];
  attachments: readonly {
    network: string;
    containerId: string;
    ifname: string;
    ips: readonly string[];
    pod?: string;
    interface: string;
  }[];
  /** What is wrong now, one sentence each with cause and cure; empty when all is well. */
  problems: readonly string[];
  lastResync:
    | { at: string; milliseconds: number; operations: number; reasons: readonly string[] }
    | undefined;
};
