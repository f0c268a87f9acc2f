/** One resync: read the cluster and the kernel, plan, diff, apply. The same at start, on a timer and on any event. */
import type { ClusterNode } from '../cluster/node.ts';
import type { Cidr } from '../ip/cidr.ts';
import type { Ip, IpFamily } from '../ip/ip.ts';
import type { Kernel } from '../netlink/kernel.ts';
import type { Link } from '../netlink/objects.ts';
import { VXLAN_LINKS } from '../overlay/identity.ts';
import type { Backend } from '../overlay/path.ts';
import { type OverlayPlan, planOverlay } from '../overlay/plan.ts';
import { planReversePath } from '../overlay/reverse-path.ts';
import { findUnderlay, type Underlay } from '../overlay/underlay.ts';
import { SHAPER_GROUP } from '../pod/attachment.ts';
import { hostNeighbors, hostRoutes } from '../pod/plan.ts';
import { applyOperations, type Reached } from '../reconcile/apply.ts';
import { diffStates } from '../reconcile/diff.ts';
import { readOwnState } from '../reconcile/own.ts';
import { EMPTY_STATE, mergeStates, type NetworkState } from '../reconcile/state.ts';
import type { LiveAttachment } from './attachments.ts';
import { planShapers } from './shapers.ts';
import type { Changed } from './sysctl.ts';

export type ResyncInput = {
  kernel: Kernel;
  links: readonly Link[];
  /** This node with its accepted ranges; undefined while the cluster does not know it. */
  self: ClusterNode | undefined;
  peers: readonly ClusterNode[];
  attachments: readonly LiveAttachment[];
  settings: { podNetwork: readonly Cidr[]; backend: Backend; vxlan: { port: number; vni: number } };
  freeIndex: () => number;
};

export type ResyncResult = {
  /** At most one per family. */
  underlays: readonly Underlay[];
  overlay?: OverlayPlan;
  reached: Reached;
  /** Reverse path filters that were loosened. */
  loosened: readonly Changed[];
  /** Why the overlay could not be planned; the pods of the node itself are kept right all the same. */
  problem?: string;
};

const FAMILIES = [4, 6] as const;

export function resync(input: ResyncInput): ResyncResult {
  const { kernel, links, self, settings } = input;
  const actual = readOwnState(kernel, links, settings.podNetwork);
  const addresses = kernel.addresses();
  const underlays = FAMILIES.flatMap((family) =>
    self === undefined ? [] : (findUnderlay(self.internalIps, family, addresses, links) ?? []),
  );
  const localIps = new Set(addresses.map(({ ip }) => ip));
  const pods = mergeStates(
    planPods(
      input.attachments,
      (self?.internalIps ?? []).filter((ip) => localIps.has(ip)),
    ),
    planShapers(input.attachments, links, input.freeIndex),
  );
  if (self === undefined || underlays.length === 0) {
    // Nothing is known for sure: what the overlay holds stays as it is, only the pods' own entries are mended.
    const operations = diffStates(
      pods,
      onLinks(actual, new Set(input.attachments.map(({ linkIndex }) => linkIndex))),
    );
    return {
      underlays,
      reached: applyOperations(kernel, operations),
      loosened: [],
      problem: explain(self),
    };
  }
  const tunnelIndex = (family: IpFamily) =>
    links.find(({ name }) => name === VXLAN_LINKS[family])?.index ?? input.freeIndex();
  const tunnelIndexes = { 4: tunnelIndex(4), 6: tunnelIndex(6) };
  const overlay = planOverlay({
    self,
    peers: input.peers,
    ...settings,
    underlays,
    tunnelIndexes,
    loopbackIndex: links.find(({ loopback }) => loopback)?.index ?? 1,
  });
  const reached = applyOperations(kernel, diffStates(mergeStates(overlay.state, pods), actual));
  const loosenings = planReversePath(
    [...underlays.map(({ linkIndex }) => linkIndex), tunnelIndexes[4]],
    kernel.networkConfigurations(),
  );
  const loosened = applyOperations(
    kernel,
    loosenings.map(({ operation }) => operation),
  );
  return {
    underlays,
    overlay,
    reached: {
      applied: reached.applied + loosened.applied,
      failures: [...reached.failures, ...loosened.failures],
    },
    // The tunnel's is gone with it.
    loosened: loosenings.flatMap(({ linkIndex, was, now }) => {
      const link = underlays.find((underlay) => underlay.linkIndex === linkIndex);
      const name = `net/ipv4/conf/${link?.linkName}/rp_filter`;
      return link === undefined ? [] : [{ name, value: String(now), was: String(was) }];
    }),
  };
}

function planPods(attachments: readonly LiveAttachment[], nodeIps: readonly Ip[]): NetworkState {
  return {
    ...EMPTY_STATE,
    routes: attachments.flatMap((attachment) => hostRoutes(attachment, attachment.linkIndex, nodeIps)),
    neighbors: attachments.flatMap((attachment) => hostNeighbors(attachment, attachment.linkIndex)),
  };
}

/** The part of a state that lies on these links, with the shapers, which are all pods'. */
function onLinks(state: NetworkState<Link>, linkIndexes: ReadonlySet<number>): NetworkState<Link> {
  const isThere = ({ linkIndex }: { linkIndex?: number }) =>
    linkIndex !== undefined && linkIndexes.has(linkIndex);
  return {
    ...state,
    links: state.links.filter(({ group }) => group === SHAPER_GROUP),
    addresses: [],
    routes: state.routes.filter(isThere),
    neighbors: state.neighbors.filter(isThere),
    fdb: [],
    rules: [],
  };
}

function explain(self: ClusterNode | undefined): string {
  if (self === undefined) {
    return 'the cluster has no accepted record of this node yet; other nodes are kept as they were programmed last';
  }
  return (
    `none of the node's addresses ${self.internalIps.join(', ') || '(none)'} is on an interface of this machine; ` +
    'correct the record of the node or configure node.addresses'
  );
}
