/** The node's own end of the tunnel: a VXLAN device over one underlay. */
import { cidrFamily } from '../../base/ip/cidr.ts';
import { ROUTE_PROTOCOL, TUNNEL_RULE_PRIORITY, TUNNEL_TABLE, VXLAN_LINKS } from '../../edge/marks/marks.ts';
import type { NewLink, Rule } from '../../edge/netlink/objects.ts';
import { EMPTY_STATE, type NetworkState } from '../../edge/netlink/state/state.ts';
import { tunnelMac } from './path.ts';
import type { OverlayInput } from './plan.ts';
import type { Underlay } from './underlay.ts';

/** Outer Ethernet is not counted in an MTU: IP 20 or 40, UDP 8, VXLAN 8, inner Ethernet 14 (RFC 7348). */
const VXLAN_OVERHEAD = { 4: 50, 6: 70 } as const;

/** Bytes. */
export function tunnelMtu(underlay: Underlay): number {
  return underlay.mtu - VXLAN_OVERHEAD[underlay.family];
}

export function planTunnel({ self, vxlan, tunnelIndexes }: OverlayInput, underlay: Underlay): NetworkState {
  const link: NewLink = {
    index: tunnelIndexes[underlay.family],
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
