/** How this node reaches one peer: decided per peer and family of its pods, from the backend and from where the peer is. */

import type { Backend } from '../../base/config/backend.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import { type Mac, macFromSeed } from '../../base/ip/mac.ts';
import type { ClusterNode } from '../node/cluster-node.ts';
import { addressFault, type Surroundings } from './address-fault.ts';
import { isOnLink, type Underlay } from './underlay.ts';

export type Path =
  | { mode: 'direct'; gateway: Ip }
  /** `over` is the family of the network that carries the tunnel, not that of what is inside. */
  | { mode: 'vxlan'; endpoint: Ip; mac: Mac; over: IpFamily }
  /** The peer cannot be reached this way: one sentence with the cause and the cure. */
  | { mode: 'none'; reason: string };

/**
 * The path to a peer's pods of one family: directly where the peer has an address of that family on our link, else
 * through a tunnel over whatever network both have, of the same family if they can.
 */
export function choosePath(
  peer: ClusterNode,
  family: IpFamily,
  surroundings: Surroundings,
  backend: Backend,
): Path {
  const { underlays } = surroundings;
  const meeting = underlays
    .toSorted((a, b) => Number(b.family === family) - Number(a.family === family))
    .flatMap((underlay) => {
      const address = peer.internalIps.find(
        (ip) => ipFamily(ip) === underlay.family && addressFault(ip, surroundings) === undefined,
      );
      return address === undefined ? [] : [{ underlay, address }];
    });
  const [best] = meeting;
  if (best === undefined) return { mode: 'none', reason: explainAddresses(peer, surroundings) };
  const { underlay, address } = best;
  const direct = underlay.family === family && isOnLink(underlay, address);
  switch (backend) {
    case 'vxlan':
      return tunnel(peer, address);
    case 'auto':
      return direct ? { mode: 'direct', gateway: address } : tunnel(peer, address);
    case 'host-gw':
      if (direct) return { mode: 'direct', gateway: address };
      return { mode: 'none', reason: explain(peer, family, best) };
  }
}

/** Why none of the peer's addresses leads to it. */
function explainAddresses({ name, internalIps }: ClusterNode, surroundings: Surroundings): string {
  const faults = internalIps.flatMap((ip) => addressFault(ip, surroundings) ?? []);
  if (faults.length > 0)
    return `pods of node ${name} are not reached: its internal address ${faults.join(', and ')}; correct the addresses of the node, or delete it if its machine is gone or has another name now`;
  const families = surroundings.underlays.map(({ family }) => `IPv${family}`).join(' or ');
  return `node ${name} has no internal ${families} address; give it one`;
}

function explain(
  peer: ClusterNode,
  family: IpFamily,
  { underlay, address }: { underlay: Underlay; address: Ip },
): string {
  const cause =
    underlay.family === family
      ? `node ${peer.name} (${address}) is behind a router as seen from ${underlay.linkName}, and backend host-gw needs all nodes on one link`
      : `node ${peer.name} and this one do not both have an internal IPv${family} address, and backend host-gw needs them for IPv${family} pods`;
  return `${cause}; use backend auto or vxlan`;
}

/** The MAC address of a node's tunnel end follows from the node's UID, so it need not be published or learned. */
export function tunnelMac(node: Pick<ClusterNode, 'uid'>): Mac {
  return macFromSeed(`tunnel end of node ${node.uid}`);
}

function tunnel(peer: ClusterNode, endpoint: Ip): Path {
  return { mode: 'vxlan', endpoint, mac: tunnelMac(peer), over: ipFamily(endpoint) };
}
