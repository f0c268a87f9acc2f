/** A VXLAN tunnel: one device of the node's own per underlay, and entries for each peer behind it. */
import { type Cidr, cidrFamily, cidrNetwork, hostCidr } from '../../../base/ip/cidr.ts';
import { type Ip, ipFamily } from '../../../base/ip/ip.ts';
import { linkLocalOf, type Mac } from '../../../base/ip/mac.ts';
import {
  ROUTE_PROTOCOL,
  TUNNEL_RULE_PRIORITY,
  TUNNEL_TABLE,
  VXLAN_LINKS,
} from '../../../edge/marks/marks.ts';
import { type NewLink, NUD_PERMANENT, type Route, type Rule } from '../../../edge/netlink/objects.ts';
import { EMPTY_STATE, type Entries, type NetworkState } from '../../../edge/netlink/state/state.ts';
import type { ClusterNode } from '../../node/cluster-node.ts';
import { addressFault } from '../address-fault.ts';
import { tunnelMac } from '../path.ts';
import type { OverlayInput } from '../plan.ts';
import type { Underlay } from '../underlay.ts';
import type { OpenPath, PathKind } from './path-kind.ts';
import { peerRoute } from './peer-route.ts';

type VxlanPath = OpenPath & { mode: 'vxlan' };

/** Outer Ethernet is not counted in an MTU: IP 20 or 40, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348). */
const OVERHEAD = { 4: 50, 6: 70 } as const;

export const VXLAN: PathKind<VxlanPath> = {
  mode: 'vxlan',
  device: {
    overhead: OVERHEAD,
    carrier: ({ over }) => over,
    isKept: (backend) => backend === 'vxlan',
    plan: planDevice,
  },
  toRanges: planRanges,
  // One forwarding entry per tunnel that leads to the peer, whatever goes through it.
  toPeer: ({ tunnelIndexes }, paths) =>
    [...new Map(paths.map((path) => [path.over, path])).values()].map(({ mac, endpoint, over }) => ({
      linkIndex: tunnelIndexes[over],
      mac,
      destination: endpoint,
      state: NUD_PERMANENT,
    })),
  describe: ({ endpoint }) => `the VXLAN tunnel to ${endpoint}`,
  cureOfSilence: (peer) =>
    `let UDP to vxlan.port pass between the nodes, and look whether the agent of ${peer} runs (fairlead status there)`,
};

function planDevice({ self, vxlan, tunnelIndexes }: OverlayInput, underlay: Underlay): NetworkState {
  const link: NewLink = {
    index: tunnelIndexes[underlay.family],
    name: VXLAN_LINKS[underlay.family],
    mac: tunnelMac(self),
    mtu: underlay.mtu - OVERHEAD[underlay.family],
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
function planRanges(
  input: OverlayInput,
  peer: ClusterNode,
  ranges: readonly Cidr[],
  { mac, over }: VxlanPath,
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
  const toNode = ranges.slice(0, 1).flatMap((range) =>
    peer.internalIps
      .filter((ip) => ipFamily(ip) === cidrFamily(range) && ipFamily(ip) === over)
      .filter((ip) => addressFault(ip, input) === undefined)
      .map((ip) => ({ ...through(hostCidr(ip), range), table: TUNNEL_TABLE })),
  );
  return { neighbors, routes: [...toPods, ...toNode] };
}
