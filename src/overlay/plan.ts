/** The node's view of all peers: which devices, routes, neighbors, forwarding entries and rules its kernel shall hold. */
import type { ClusterNode } from '../cluster/node.ts';
import { type Cidr, cidrFamily } from '../ip/cidr.ts';
import { familyBits, type IpFamily } from '../ip/ip.ts';
import { gatewayOf } from '../ipam/allocate.ts';
import { MAIN_TABLE, type Route, SCOPE_LINK, SCOPE_UNIVERSE } from '../netlink/objects.ts';
import { EMPTY_STATE, mergeStates, type NetworkState } from '../reconcile/state.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL } from './identity.ts';
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

export type OverlayPlan = {
  state: NetworkState;
  peers: PeerPaths[];
  /** Largest packet that a pod can send to every pod, in bytes. */
  mtu: number;
};

export function planOverlay(input: OverlayInput): OverlayPlan {
  const { underlays, backend } = input;
  const peers = input.peers.map((peer): PeerPaths => {
    const families = [...new Set(peer.podCidrs.map(cidrFamily))];
    return {
      peer,
      paths: families.map((family) => ({ family, path: choosePath(peer, family, underlays, backend) })),
    };
  });
  const tunnelled = underlays.filter((underlay) => carriesTunnel(underlay, input, peers));
  return {
    state: mergeStates(
      planSelf(input),
      ...tunnelled.map((underlay) => planTunnel(input, underlay)),
      ...peers.map((peer) => planPeer(input, peer)),
    ),
    peers,
    mtu: Math.min(
      ...underlays.map((underlay) => (tunnelled.includes(underlay) ? tunnelMtu(underlay) : underlay.mtu)),
    ),
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
