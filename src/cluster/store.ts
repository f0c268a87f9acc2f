/** Where the cluster's state comes from. The agent knows no more of it than this. */
import type { Cidr } from '../ip/cidr.ts';
import type { ClusterNode } from './node.ts';

export type ClusterState = {
  nodes: readonly ClusterNode[];
  /** Records that could not be read, one sentence each; the others count all the same. */
  problems: readonly string[];
};

export type ClusterStore = {
  /** The whole state, now. */
  readonly state: ClusterState;
  /** Calls back after every change; ask {@link state} for what it is then. */
  watch(onChange: () => void): { [Symbol.dispose](): void };
  /**
   * Makes the range the node's by compare-and-swap: of any number of nodes that want it at once one gets it.
   * @returns false when another node has it.
   */
  claimRange(node: ClusterNode, range: Cidr): Promise<boolean>;
  close(): void;
};
