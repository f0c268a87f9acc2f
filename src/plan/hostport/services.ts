/**
 * Addresses of services that a node holds itself: kube-proxy (mode ipvs), kube-router and the node-local DNS cache give
 * them to a device of theirs, and so they look like addresses of the node, at which its ports would be.
 */
import { type Cidr, cidrContains, cidrContainsCidr, hostCidr } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';
import type { Address, Link } from '../../edge/netlink/objects.ts';

/** kube-proxy, kube-router, node-local-dns: names that cannot be chosen. */
const HOLDERS: ReadonlySet<string> = new Set(['kube-ipvs0', 'kube-dummy-if', 'nodelocaldns']);

export type ServiceInput = {
  /** As configured, and as the cluster says. */
  serviceNetwork: readonly Cidr[];
  links: readonly Pick<Link, 'index' | 'name'>[];
  addresses: readonly Pick<Address, 'linkIndex' | 'ip'>[];
  /** By which the cluster knows the node: its own, wherever they are. */
  nodeIps: readonly Ip[];
};

/** @returns ranges that do not overlap. */
export function serviceAddresses({ serviceNetwork, links, addresses, nodeIps }: ServiceInput): Cidr[] {
  const ranges = [...new Set(serviceNetwork)].filter(
    (range, _, all) => !all.some((other) => other !== range && cidrContainsCidr(other, range)),
  );
  const holders = new Set(links.filter(({ name }) => HOLDERS.has(name)).map(({ index }) => index));
  const held = addresses
    .filter(({ linkIndex, ip }) => holders.has(linkIndex) && !nodeIps.includes(ip))
    .filter(({ ip }) => !ranges.some((range) => cidrContains(range, ip)))
    .map(({ ip }) => hostCidr(ip));
  return [...ranges, ...new Set(held)];
}
