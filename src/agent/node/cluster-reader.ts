/** Reads what the cluster says of nodes: which of their ranges are accepted, and which this node has or claims. */

import type { Configuration } from '../../base/config/configuration.ts';
import type { Logger } from '../../base/log/logger.ts';
import { runSliced } from '../../base/run/sliced.ts';
import { type Accepted, createRangeAcceptance } from '../../cluster/ranges/acceptance.ts';
import { createSharedAddresses } from '../../cluster/shared-addresses.ts';
import type { ClusterStore } from '../../cluster/store.ts';
import type { ClusterView } from '../world.ts';
import { ownRecord } from './own-record.ts';

export type ClusterReading = {
  view: Omit<ClusterView, 'policies'>;
  accepted: Accepted;
  /** Of records and addresses, one sentence each. */
  problems: readonly string[];
  /** Of claims, which are made again. */
  unclaimed: readonly string[];
};

export type ClusterReaderOptions = {
  name: string;
  store: ClusterStore;
  configuration: () => Configuration;
  log: Logger;
};

/** @returns a function that reads; what follows from nodes that are the same objects as before is kept. */
export function createClusterReader({ name, store, configuration, log }: ClusterReaderOptions) {
  const acceptRanges = createRangeAcceptance();
  const sharedAddresses = createSharedAddresses();
  return async (): Promise<ClusterReading> => {
    const now = configuration();
    const { podNetwork, cluster } = now;
    const serviceNetwork = [...cluster.serviceNetwork, ...(store.serviceNetwork ?? [])];
    const accepted = await runSliced(acceptRanges(store.state.nodes, { podNetwork, serviceNetwork }));
    const own = await ownRecord({ name, store, accepted, configuration: now, serviceNetwork, log });
    return {
      view: {
        nodes: accepted.nodes,
        peers: accepted.nodes.filter((node) => node.name !== name),
        self: own.self,
        serviceNetwork,
      },
      accepted,
      problems: [...store.state.problems, ...sharedAddresses(accepted.nodes)],
      unclaimed: own.problems,
    };
  };
}
