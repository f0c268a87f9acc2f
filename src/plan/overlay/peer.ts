/** What leads to one peer's pods, by each of its paths. */

import { type Cidr, cidrFamily, cidrNetwork, hostCidr } from '../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../base/ip/ip.ts';
import { linkLocalOf, type Mac } from '../../base/ip/mac.ts';
import { ROUTE_METRIC, ROUTE_PROTOCOL, TUNNEL_TABLE } from '../../edge/marks/marks.ts';
import {
  type FdbEntry,
  MAIN_TABLE,
  NUD_PERMANENT,
  type Route,
  SCOPE_UNIVERSE,
} from '../../edge/netlink/objects.ts';
import type { Entries } from '../../edge/netlink/state/state.ts';
import type { ClusterNode } from '../node/cluster-node.ts';
import type { Path } from './path.ts';
import type { OverlayInput, PeerPaths, PeerPlan } from './plan.ts';

export function planPeer(input: OverlayInput, { peer, paths }: PeerPaths): PeerPlan {
  const leading = paths.map(({ family, path }): Omit<Entries, 'fdb'> => {
    const ranges = peer.podCidrs.filter((range) => cidrFamily(range) === family);
    switch (path.mode) {
      case 'direct':
        return planDirect(input, ranges, path.gateway);
      case 'vxlan':
        return planTunnelled(input, peer, ranges, path);
      case 'none':
        return { routes: [], neighbors: [] };
    }
  });
  const entries = {
    routes: leading.flatMap(({ routes }) => routes),
    neighbors: leading.flatMap(({ neighbors }) => neighbors),
    fdb: tunnelEnds(input, paths),
  };
  return { peer, paths, entries };
}

function planDirect(input: OverlayInput, ranges: readonly Cidr[], gateway: Ip): Omit<Entries, 'fdb'> {
  const { linkIndex } = input.underlays.find(({ family }) => family === ipFamily(gateway))!;
  return {
    neighbors: [],
    routes: ranges.map((range) => ({ ...peerRoute(input, range, linkIndex), gateway })),
  };
}

/**
 * The next hop of an IPv4 range is its network address, which is the peer's alone; on-link spares the device an
 * address. For IPv6 it is the link-local address of the peer's tunnel end: the kernel refuses an on-link next hop that
 * another route leads to (net/ipv6/route.c, ip6_route_check_nh_onlink), as the former path to the peer does.
 */
function nextHop(range: Cidr, mac: Mac): { gateway: Ip; onLink?: true } {
  return cidrFamily(range) === 4
    ? { gateway: cidrNetwork(range), onLink: true }
    : { gateway: linkLocalOf(mac) };
}

/** Per range one route and one neighbor. */
function planTunnelled(
  input: OverlayInput,
  peer: ClusterNode,
  ranges: readonly Cidr[],
  { mac, over }: Path & { mode: 'vxlan' },
): Omit<Entries, 'fdb'> {
  const linkIndex = input.tunnelIndexes[over];
  const through = (destination: Cidr, range: Cidr): Route => ({
    ...peerRoute(input, destination, linkIndex),
    ...nextHop(range, mac),
  });
  const neighbors = ranges.map((range) => ({
    linkIndex,
    ip: nextHop(range, mac).gateway,
    mac,
    state: NUD_PERMANENT,
  }));
  const toPods = ranges.map((range) => through(range, range));
  // Where the tunnel goes over the other family, the nodes have no addresses of this one in common.
  const toNode = ranges
    .slice(0, 1)
    .flatMap((range) =>
      peer.internalIps
        .filter((ip) => ipFamily(ip) === cidrFamily(range) && ipFamily(ip) === over)
        .map((ip) => ({ ...through(hostCidr(ip), range), table: TUNNEL_TABLE })),
    );
  return { neighbors, routes: [...toPods, ...toNode] };
}

/** One forwarding entry per tunnel that leads to the peer, whatever goes through it. */
function tunnelEnds({ tunnelIndexes }: OverlayInput, paths: PeerPaths['paths']): FdbEntry[] {
  const byCarrier = new Map(
    paths.flatMap(({ path }) => (path.mode === 'vxlan' ? [[path.over, path] as const] : [])),
  );
  return [...byCarrier.values()].map(({ mac, endpoint, over }) => ({
    linkIndex: tunnelIndexes[over],
    mac,
    destination: endpoint,
    state: NUD_PERMANENT,
  }));
}

/** The node's own packets to its peers' pods carry the address by which the cluster knows the node. */
function peerRoute({ underlays }: OverlayInput, destination: Cidr, linkIndex: number): Route {
  const source = underlays.find(({ family }) => family === cidrFamily(destination))?.address;
  return {
    destination,
    table: MAIN_TABLE,
    protocol: ROUTE_PROTOCOL,
    type: 'unicast',
    scope: SCOPE_UNIVERSE,
    linkIndex,
    metric: ROUTE_METRIC,
    ...(source === undefined ? {} : { source }),
  };
}
