/** The underlay: the interface and network through which this node reaches the others. */
import { type Cidr, cidrContains, makeCidr } from '../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFamily } from '../../base/ip/ip.ts';
import type { Address, Link } from '../../edge/netlink/objects.ts';

export type Underlay = {
  family: IpFamily;
  /** The node's own address. */
  address: Ip;
  linkIndex: number;
  linkName: string;
  /** Bytes. */
  mtu: number;
  /** The networks that the interface is connected to: what is in one of them is reached without a router. */
  connected: readonly Cidr[];
};

/**
 * The interface that holds the first of the node's addresses that any interface holds.
 * @returns undefined when none does (the cluster's record is wrong, or the interface is not there yet).
 */
export function findUnderlay(
  nodeIps: readonly Ip[],
  family: IpFamily,
  addresses: readonly Address[],
  links: readonly Link[],
): Underlay | undefined {
  for (const nodeIp of nodeIps) {
    if (ipFamily(nodeIp) !== family) continue;
    const link = links.find(({ index }) => index === addresses.find(({ ip }) => ip === nodeIp)?.linkIndex);
    if (link === undefined) continue;
    const connected = addresses
      .filter(({ linkIndex, ip }) => linkIndex === link.index && ipFamily(ip) === family)
      .map(({ ip, prefixLength }) => makeCidr(ip, prefixLength));
    return { family, address: nodeIp, linkIndex: link.index, linkName: link.name, mtu: link.mtu, connected };
  }
  return undefined;
}

/** Whether this address is reached on the interface itself, without a router between. */
export function isOnLink(underlay: Underlay, ip: Ip): boolean {
  return underlay.connected.some((network) => cidrContains(network, ip));
}
