/** Where the cluster's state comes from. The agent knows no more of it than this. */
import type { Cidr } from '../base/ip/cidr.ts';
import type { ClusterNode } from '../plan/node/cluster-node.ts';

export type ClusterState = {
  nodes: readonly ClusterNode[];
  /** Records that could not be read, one sentence each; the others count all the same. */
  problems: readonly string[];
};

/** How a node is: whether pods can use its network, why or why not, and what is wrong. */
export type NodeReport = { ready: boolean; message: string; problems: readonly string[] };

export type ClusterStore = {
  /** The whole state, now. */
  readonly state: ClusterState;
  /**
   * Where ranges are assigned for all nodes: what a node that has none yet shall say, in one sentence. Absent where
   * each node claims its own.
   */
  readonly awaitRange?: string;
  /** Where services have their addresses, as far as the cluster says so. */
  readonly serviceNetwork?: readonly Cidr[];
  /** Calls back after every change; ask {@link state} for what it is then. */
  watch(onChange: () => void): { [Symbol.dispose](): void };
  /**
   * Makes the ranges the node's by compare-and-swap, all of them or none: of any number of nodes that want one at once
   * one gets it.
   * @returns false when another node has one of them.
   */
  claimRanges(node: ClusterNode, ranges: readonly Cidr[]): Promise<boolean>;
  /** Tells the cluster how this node is, where it wants to know. */
  report?(report: NodeReport): void;
  /** Tells the cluster that this node's network goes for good; nothing is reported afterwards. */
  leave?(): Promise<void>;
  close(): void;
};
