/** Parts of a node's state: what is pods', what is the overlay's. */
import type { Ip } from '../../base/ip/ip.ts';
import { isTunnelLink } from '../../edge/marks/marks.ts';
import type { Operation } from '../../edge/netlink/kernel.ts';
import type { Link } from '../../edge/netlink/objects.ts';
import { diffStates } from '../../edge/netlink/state/diff.ts';
import { EMPTY_STATE, type Entries, type NetworkState } from '../../edge/netlink/state/state.ts';
import type { OverlayPlan } from '../../plan/overlay/plan.ts';
import type { Underlay } from '../../plan/overlay/underlay.ts';
import { SHAPER_GROUP } from '../../plan/pod/attachment.ts';
import { hostNeighbors, hostRoutes } from '../../plan/pod/plan.ts';
import type { LiveAttachment } from '../node/attachments.ts';

type WithoutEntries = Omit<NetworkState<Link>, keyof Entries>;

/** @param nodeIps sources of the node's own packets to them. */
export function planPods(attachments: readonly LiveAttachment[], nodeIps: readonly Ip[]): NetworkState {
  return {
    ...EMPTY_STATE,
    routes: attachments.flatMap((attachment) => hostRoutes(attachment, attachment.linkIndex, nodeIps)),
    neighbors: attachments.flatMap((attachment) => hostNeighbors(attachment, attachment.linkIndex)),
  };
}

/** The part of a state that lies on these links, with the shapers, which are all pods'. */
export function onLinks(state: NetworkState<Link>, linkIndexes: ReadonlySet<number>): NetworkState<Link> {
  const isThere = isOn(linkIndexes);
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

/** The others. */
export function withoutLinks({ routes, neighbors, fdb }: Entries, linkIndexes: ReadonlySet<number>): Entries {
  const isThere = isOn(linkIndexes);
  return {
    routes: routes.filter((route) => !isThere(route)),
    neighbors: neighbors.filter((neighbor) => !isThere(neighbor)),
    fdb,
  };
}

/** The tunnels, addresses and rules. */
export function withoutShaping(state: WithoutEntries): WithoutEntries {
  return { ...state, links: state.links.filter(isTunnelLink), qdiscs: [], redirects: [] };
}

/** Whether no tunnel is to be made, changed or taken away. */
export function sameTunnels(desired: Pick<NetworkState, 'links'>, actual: WithoutEntries): boolean {
  const [wanted, present] = [desired.links, actual.links.filter(isTunnelLink)];
  return diffStates({ ...EMPTY_STATE, links: wanted }, { ...EMPTY_STATE, links: present }).length === 0;
}

/** The links that carry the overlay, and those of them that are its own. */
export function overlayLinks(
  { own }: OverlayPlan,
  underlays: readonly Underlay[],
  loopbackIndex: number,
): { all: ReadonlySet<number>; tunnels: ReadonlySet<number> } {
  const tunnels = own.links.flatMap(({ index }) => index ?? []);
  const all = [...tunnels, ...underlays.map(({ linkIndex }) => linkIndex), loopbackIndex];
  return { all: new Set(all), tunnels: new Set(tunnels) };
}

/** The route, neighbor or forwarding entry that an operation is about. */
export function entryOf(operation: Operation): object | undefined {
  if ('route' in operation) return operation.route;
  if ('neighbor' in operation) return operation.neighbor;
  return 'entry' in operation ? operation.entry : undefined;
}

function isOn(linkIndexes: ReadonlySet<number>): (object: { linkIndex?: number }) => boolean {
  return ({ linkIndex }) => linkIndex !== undefined && linkIndexes.has(linkIndex);
}
