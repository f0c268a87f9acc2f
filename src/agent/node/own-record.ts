/** The cluster's record of the node itself, with a range that it claims where the cluster gave it none. */

import type { Configuration } from '../../base/config/configuration.ts';
import { describeError } from '../../base/errors/errors.ts';
import type { Cidr } from '../../base/ip/cidr.ts';
import type { Logger } from '../../base/log/logger.ts';
import type { Accepted } from '../../cluster/ranges/acceptance.ts';
import { claimFreeRanges } from '../../cluster/ranges/claim.ts';
import type { ClusterStore } from '../../cluster/store.ts';
import type { ClusterNode } from '../../plan/node/cluster-node.ts';

export type OwnRecordInput = {
  name: string;
  store: ClusterStore;
  accepted: Accepted;
  configuration: Configuration;
  serviceNetwork: readonly Cidr[];
  log: Logger;
};

/** Undefined while the cluster has no accepted record of the node; a claim that fails is a problem, one sentence each. */
export type OwnRecord = { self: ClusterNode | undefined; problems: string[] };

export async function ownRecord({
  name,
  store,
  accepted,
  configuration,
  serviceNetwork,
  log,
}: OwnRecordInput): Promise<OwnRecord> {
  const record = store.state.nodes.find((node) => node.name === name);
  const self = accepted.nodes.find((node) => node.name === name);
  if (self === undefined || record === undefined) return { self: undefined, problems: [] };
  const { addresses } = configuration.node;
  const addressed = addresses.length > 0 ? { ...self, internalIps: addresses } : self;
  const unclaimed = { self: addressed, problems: [] };
  if (record.podCidrs.length > 0 || store.awaitRange !== undefined) return unclaimed;
  try {
    const ranges = await claimFreeRanges(
      store,
      record,
      configuration.podNetwork,
      prefixLengthsOf(configuration),
      serviceNetwork,
    );
    if (ranges === undefined) return unclaimed;
    log.info('the cluster assigned no range; claimed one', { ranges });
    return { self: { ...addressed, podCidrs: ranges }, problems: [] };
  } catch (error) {
    const problem = `no range could be claimed for this node: ${describeError(error)}; it is tried again`;
    return { self: addressed, problems: [problem] };
  }
}

export function prefixLengthsOf({ nodePrefixLength, nodePrefixLength6 }: Configuration) {
  return { 4: nodePrefixLength, 6: nodePrefixLength6 } as const;
}
