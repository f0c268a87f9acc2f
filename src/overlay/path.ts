/** How this node reaches one peer: decided per peer, from the backend and from where the peer is. */

import type { ClusterNode } from '../cluster/node.ts';
import { type Ip, ipFamily } from '../ip/ip.ts';
import { type Mac, macFromSeed } from '../ip/mac.ts';
import { isOnLink, type Underlay } from './underlay.ts';

/** `auto` is direct where the peer is on the same link and VXLAN elsewhere; `host-gw` is direct or nothing. */
export type Backend = 'auto' | 'vxlan' | 'host-gw';

export type Path =
  | { mode: 'direct'; gateway: Ip }
  | { mode: 'vxlan'; endpoint: Ip; mac: Mac }
  /** The peer cannot be reached this way: one sentence with the cause and the cure. */
  | { mode: 'none'; reason: string };

export function choosePath(peer: ClusterNode, underlay: Underlay, backend: Backend): Path {
  const address = peer.internalIps.find((ip) => ipFamily(ip) === underlay.family);
  if (address === undefined) {
    return {
      mode: 'none',
      reason: `node ${peer.name} has no internal IPv${underlay.family} address; give it one`,
    };
  }
  const direct = isOnLink(underlay, address);
  switch (backend) {
    case 'vxlan':
      return tunnel(peer, address);
    case 'auto':
      return direct ? { mode: 'direct', gateway: address } : tunnel(peer, address);
    case 'host-gw':
      if (direct) return { mode: 'direct', gateway: address };
      return {
        mode: 'none',
        reason:
          `node ${peer.name} (${address}) is behind a router as seen from ${underlay.linkName}, ` +
          'and backend host-gw needs all nodes on one link; use backend auto or vxlan',
      };
  }
}

/** The MAC address of a node's tunnel end follows from who the node is, so nobody has to publish or learn it. */
export function tunnelMac(node: Pick<ClusterNode, 'uid'>): Mac {
  return macFromSeed(`tunnel end of node ${node.uid}`);
}

function tunnel(peer: ClusterNode, endpoint: Ip): Path {
  return { mode: 'vxlan', endpoint, mac: tunnelMac(peer) };
}
