/** The node's view of all peers: which devices, routes, neighbors, forwarding entries and rules its kernel shall hold. */
import { isDeepStrictEqual } from 'node:util';
import { type Cidr, cidrFamily } from '../../base/ip/cidr.ts';
import { familyBits, type IpFamily } from '../../base/ip/ip.ts';
import { atOnce, type Steps } from '../../base/run/slices.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import { MAIN_TABLE, type Route, SCOPE_LINK, SCOPE_UNIVERSE } from '../../edge/netlink/objects.ts';
import { EMPTY_STATE, type Entries, mergeStates, type NetworkState } from '../../edge/netlink/state/state.ts';
import { gatewayOf } from '../ipam/allocate.ts';
import type { ClusterNode } from '../node/cluster-node.ts';
import { type Backend, choosePath, type Path } from './path.ts';
import { planPeer } from './peer.ts';
import { planTunnel, tunnelMtu } from './tunnel.ts';
import type { Underlay } from './underlay.ts';

export type OverlayInput = {
  /** This node and its peers, with those of their ranges that were accepted (no two of them overlap). */
  self: ClusterNode;
  peers: readonly ClusterNode[];
  podNetwork: readonly Cidr[];
  /** At most one per family, at least one. */
  underlays: readonly Underlay[];
  backend: Backend;
  vxlan: { port: number; vni: number };
  /** Indexes of the VXLAN devices, by the family that carries them: those they have, or free ones for them to get. */
  tunnelIndexes: Readonly<Record<IpFamily, number>>;
  loopbackIndex: number;
};

/** How a peer's pods are reached, by the family of their addresses. */
export type PeerPaths = { peer: ClusterNode; paths: readonly { family: IpFamily; path: Path }[] };

/** With what leads there. */
export type PeerPlan = PeerPaths & { entries: Entries };

export type OverlayPlan = {
  /** What the node has for itself: its addresses, its ends of the tunnels. */
  own: NetworkState;
  peers: readonly PeerPlan[];
  /** Largest packet that a pod can send to every pod, in bytes. */
  mtu: number;
};

export function planOverlay(input: OverlayInput): OverlayPlan {
  return atOnce(createOverlayPlanner()(input));
}

/**
 * {@link planOverlay} for one who plans again whenever a few of many peers have changed: the plan of a peer that is the
 * same object as before is so too, for a node that is as it was; and so is what the node has for itself.
 */
export function createOverlayPlanner(): (input: OverlayInput) => Steps<OverlayPlan> {
  let known = new WeakMap<ClusterNode, PeerPlan>();
  let knownSelf = '';
  let own: NetworkState = EMPTY_STATE;
  return function* (input) {
    const { underlays, backend, tunnelIndexes } = input;
    // All that the plan of a peer depends on beside the peer.
    const self = JSON.stringify([underlays, backend, tunnelIndexes]);
    if (self !== knownSelf) known = new WeakMap();
    knownSelf = self;
    const peers: PeerPlan[] = [];
    for (const peer of input.peers) {
      let plan = known.get(peer);
      if (plan === undefined) {
        plan = planPeer(input, choosePaths(input, peer));
        known.set(peer, plan);
        yield;
      }
      peers.push(plan);
    }
    const tunnelled = underlays.filter((underlay) => carriesTunnel(underlay, input, peers));
    const planned = mergeStates(planSelf(input), ...tunnelled.map((underlay) => planTunnel(input, underlay)));
    own = isDeepStrictEqual(own, planned) ? own : planned;
    return {
      own,
      peers,
      mtu: Math.min(
        ...underlays.map((underlay) => (tunnelled.includes(underlay) ? tunnelMtu(underlay) : underlay.mtu)),
      ),
    };
  };
}

function choosePaths({ underlays, backend }: OverlayInput, peer: ClusterNode): PeerPaths {
  const families = [...new Set(peer.podCidrs.map(cidrFamily))];
  return {
    peer,
    paths: families.map((family) => ({ family, path: choosePath(peer, family, underlays, backend) })),
  };
}

/** With `vxlan` the devices are there even without peers, so that the MTU does not change when the first one joins. */
function carriesTunnel({ family }: Underlay, input: OverlayInput, peers: readonly PeerPaths[]): boolean {
  const used = peers.some(({ paths }) =>
    paths.some(({ path }) => path.mode === 'vxlan' && path.over === family),
  );
  return used || (input.backend === 'vxlan' && preferredCarriers(input).has(family));
}

/** The families that carry tunnels to a peer that has all the addresses that this node has. */
function preferredCarriers({ podNetwork, underlays }: OverlayInput): Set<IpFamily> {
  const own = underlays.map(({ family }) => family);
  return new Set(
    podNetwork.map(cidrFamily).flatMap((family) => own.find((carrier) => carrier === family) ?? own[0] ?? []),
  );
}

function planSelf({ self, podNetwork, loopbackIndex }: OverlayInput): NetworkState {
  return {
    ...EMPTY_STATE,
    // Scope link: never chosen as the source of a packet that leaves the node. IPv6 takes its scope from the address.
    addresses: self.podCidrs.map((range) => ({
      linkIndex: loopbackIndex,
      ip: gatewayOf(range),
      prefixLength: familyBits(cidrFamily(range)),
      scope: cidrFamily(range) === 4 ? SCOPE_LINK : SCOPE_UNIVERSE,
    })),
    // What no pod has is answered at once, here, instead of leaving by the default route.
    routes: [...new Set([...podNetwork, ...self.podCidrs])].map(unreachable),
  };
}

function unreachable(destination: Cidr): Route {
  return {
    destination,
    table: MAIN_TABLE,
    protocol: ROUTE_PROTOCOL,
    type: 'unreachable',
    scope: SCOPE_UNIVERSE,
    // Behind every other route to the same range.
    metric: ROUTE_METRIC + 1,
  };
}
