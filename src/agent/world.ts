/** What the agent knows at this moment: the inputs of {@link derive}, each known or not. */

import type { Cidr } from '../base/ip/cidr.ts';
import { type Known, notKnown } from '../base/known.ts';
import type { DatapathState } from '../datapath/datapath.ts';
import type { Address, Link } from '../edge/netlink/objects.ts';
import type { ClusterNode } from '../plan/node/cluster-node.ts';
import type { NodeView } from './node/node-view.ts';

/** What the cluster says, as far as it is accepted. */
export type ClusterView = {
  /** All nodes, this one among them, each with those of its ranges that are its alone. */
  nodes: readonly ClusterNode[];
  peers: readonly ClusterNode[];
  /** This node, with a range that it claimed; undefined while the cluster has no accepted record of it. */
  self: ClusterNode | undefined;
  /** Where services have their addresses. */
  serviceNetwork: readonly Cidr[];
  /** What the policies in the cluster say about pods of this node. */
  policies: DatapathState['policies'];
};

/** What the node is. */
export type NodeFacts = {
  name: string;
  /** As far as a new pod needs it; that of an earlier run counts until there is a newer one. */
  view: Known<{ view: NodeView }>;
  /** As it was read last. */
  kernel: Known<{
    links: readonly Link[];
    addresses: readonly Address[];
    hasTunnel: boolean;
    /** Whether there was a plan for the peers, ever: until then it is not known which nodes there are. */
    isPlanned: boolean;
  }>;
};

export type World = { view: ClusterView; node: NodeFacts };

/** @param lastView the last good one of an earlier run. */
export function createWorld(name: string, lastView: NodeView | undefined, startedAt = new Date()): World {
  const unread = notKnown(startedAt, 'the agent has just started');
  return {
    view: { nodes: [], peers: [], self: undefined, serviceNetwork: [], policies: unread },
    node: {
      name,
      view:
        lastView === undefined
          ? notKnown(startedAt, 'this node does not know its own range yet')
          : { known: true, view: lastView },
      kernel: unread,
    },
  };
}
