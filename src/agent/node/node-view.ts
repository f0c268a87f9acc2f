/** What the node knows of itself as far as a new pod needs it; the last good one is kept on disk for bad times. */
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';

export type NodeView = {
  /** The node's own ranges; of several of a family the first that has an address left gives it. */
  ranges: readonly Cidr[];
  /** The node's own addresses. */
  nodeIps: readonly Ip[];
  /** MTU of pods' interfaces in bytes. */
  mtu: number;
};

/** Whether pods can be attached; if not, one sentence with the cause and the cure. */
export type Readiness = { ready: true; view: NodeView } | { ready: false; reason: string };
