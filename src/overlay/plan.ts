/** The node's view of all peers: which devices, routes, neighbors, forwarding entries and rules its kernel shall hold. */
import type { ClusterNode } from '../cluster/node.ts';
import { type Cidr, cidrFamily, cidrNetwork, hostCidr } from '../ip/cidr.ts';
import { familyBits, type Ip, ipFamily } from '../ip/ip.ts';
import { gatewayOf } from '../ipam/allocate.ts';
import {
  type FdbEntry,
  MAIN_TABLE,
  type Neighbor,
  type NewLink,
  NUD_PERMANENT,
  type Route,
  type Rule,
  SCOPE_LINK,
  SCOPE_UNIVERSE,
} from '../netlink/objects.ts';
import { EMPTY_STATE, mergeStates, type NetworkState } from '../reconcile/state.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL, TUNNEL_RULE_PRIORITY, TUNNEL_TABLE, VXLAN_LINKS } from './identity.ts';
import { type Backend, choosePath, type Path, tunnelMac } from './path.ts';
import type { Underlay } from './underlay.ts';

export type OverlayInput = {
  /** This node and its peers, with those of their ranges that were accepted (no two of them overlap). */
  self: ClusterNode;
  peers: readonly ClusterNode[];
  podNetwork: readonly Cidr[];
  underlay: Underlay;
  backend: Backend;
  vxlan: { port: number; vni: number };
  /** Index of the VXLAN device: the one it has, or a free one for it to get. */
  tunnelIndex: number;
  loopbackIndex: number;
};

export type PeerPath = { peer: ClusterNode; path: Path };
export type OverlayPlan = {
  state: NetworkState;
  paths: PeerPath[];
  /** Largest packet that a pod can send to every pod, in bytes. */
  mtu: number;
};

/** Outer Ethernet is not counted in an MTU: IP 20 or 40, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348). */
const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const;

export function planOverlay(input: OverlayInput): OverlayPlan {
  const { underlay, backend } = input;
  const paths = input.peers.map((peer) => ({ peer, path: choosePath(peer, underlay, backend) }));
  const tunnelled = paths.some(({ path }) => path.mode === 'vxlan');
  // With `vxlan` the device is there even without peers, so that the MTU does not change when the first one joins.
  const withTunnel = tunnelled || backend === 'vxlan';
  return {
    state: mergeStates(
      planSelf(input),
      withTunnel ? planTunnel(input) : EMPTY_STATE,
      ...paths.map(({ peer, path }) => planPeer(input, peer, path)),
    ),
    paths,
    mtu: withTunnel ? tunnelMtu(underlay) : underlay.mtu,
  };
}

function planSelf({ self, podNetwork, loopbackIndex }: OverlayInput): NetworkState {
  return {
    ...EMPTY_STATE,
    // Scope link: never chosen as the source of a packet that leaves the node.
    addresses: self.podCidrs.map((range) => ({
      linkIndex: loopbackIndex,
      ip: gatewayOf(range),
      prefixLength: familyBits(cidrFamily(range)),
      scope: SCOPE_LINK,
    })),
    // What no pod has is answered at once, here, instead of leaving by the default route.
    routes: [...new Set([...podNetwork, ...self.podCidrs])].map(unreachable),
  };
}

export function tunnelMtu(underlay: Underlay): number {
  return underlay.mtu - VXLAN_OVERHEAD[underlay.family];
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

function planTunnel({ self, underlay, vxlan, tunnelIndex }: OverlayInput): NetworkState {
  const link: NewLink = {
    index: tunnelIndex,
    name: VXLAN_LINKS[underlay.family],
    mac: tunnelMac(self),
    mtu: tunnelMtu(underlay),
    up: true,
    kind: {
      type: 'vxlan',
      vni: vxlan.vni,
      port: vxlan.port,
      local: underlay.address,
      lowerIndex: underlay.linkIndex,
      learning: false,
    },
  };
  // A pod's packet to a node behind the tunnel goes through it too: the fabric between may refuse pods' addresses.
  const rules = self.podCidrs
    .filter((range) => cidrFamily(range) === underlay.family)
    .map((from): Rule => {
      return {
        family: cidrFamily(from),
        priority: TUNNEL_RULE_PRIORITY,
        table: TUNNEL_TABLE,
        protocol: ROUTE_PROTOCOL,
        from,
      };
    });
  return { ...EMPTY_STATE, links: [link], rules };
}

function planPeer(input: OverlayInput, peer: ClusterNode, path: Path): NetworkState {
  switch (path.mode) {
    case 'direct':
      return {
        ...EMPTY_STATE,
        routes: peer.podCidrs.map((range) => peerRoute(input, range, path.gateway, input.underlay.linkIndex)),
      };
    case 'vxlan':
      return planTunnelledPeer(input, peer, path);
    case 'none':
      return EMPTY_STATE;
  }
}

/**
 * Per range one route, one neighbor and per peer one forwarding entry. The next hop is the network address of the
 * peer's range: it is the peer's alone, and on-link spares the device an address.
 */
function planTunnelledPeer(
  input: OverlayInput,
  peer: ClusterNode,
  path: Path & { mode: 'vxlan' },
): NetworkState {
  const { tunnelIndex } = input;
  const first = peer.podCidrs[0];
  if (first === undefined) return EMPTY_STATE;
  const neighbors = peer.podCidrs.map(
    (range): Neighbor => ({
      linkIndex: tunnelIndex,
      ip: cidrNetwork(range),
      mac: path.mac,
      state: NUD_PERMANENT,
    }),
  );
  const entry: FdbEntry = {
    linkIndex: tunnelIndex,
    mac: path.mac,
    destination: path.endpoint,
    state: NUD_PERMANENT,
  };
  const toPods = peer.podCidrs.map((range) => ({
    ...peerRoute(input, range, cidrNetwork(range), tunnelIndex),
    onLink: true,
  }));
  const toNode = peer.internalIps
    .filter((ip) => ipFamily(ip) === cidrFamily(first))
    .map((ip) => ({
      ...peerRoute(input, hostCidr(ip), cidrNetwork(first), tunnelIndex),
      table: TUNNEL_TABLE,
      onLink: true,
    }));
  return { ...EMPTY_STATE, neighbors, fdb: [entry], routes: [...toPods, ...toNode] };
}

/** The node's own packets to its peers' pods carry the address by which the cluster knows the node. */
function peerRoute({ underlay }: OverlayInput, destination: Cidr, gateway: Ip, linkIndex: number): Route {
  return {
    destination,
    table: MAIN_TABLE,
    protocol: ROUTE_PROTOCOL,
    type: 'unicast',
    scope: SCOPE_UNIVERSE,
    gateway,
    linkIndex,
    metric: ROUTE_METRIC,
    ...(cidrFamily(destination) === underlay.family ? { source: underlay.address } : {}),
  };
}
