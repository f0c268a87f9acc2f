/** Addresses that a node's record may carry, and that lead to no other node. */
import {
  type Cidr,
  cidrContains,
  cidrFamily,
  cidrNetwork,
  cidrPrefixLength,
  nthIp,
  parseCidr,
} from '../../base/ip/cidr.ts';
import { familyBits, type Ip } from '../../base/ip/ip.ts';
import type { Underlay } from './underlay.ts';

/** What an address is compared with. */
export type Surroundings = {
  underlays: readonly Underlay[];
  /** All addresses of this node. */
  localIps: ReadonlySet<Ip>;
};

/** The registries of special addresses, as far as the kernel refuses them as destinations of unicast (RFC 6890). */
const SPECIAL: readonly (readonly [Cidr, string])[] = (
  [
    ['0.0.0.0/8', 'is the address of no machine'],
    ['127.0.0.0/8', 'is the loopback address of every machine'],
    ['224.0.0.0/4', 'is a multicast address'],
    ['240.0.0.0/4', 'is reserved, and the address of no machine'],
    ['::/128', 'is the address of no machine'],
    ['::1/128', 'is the loopback address of every machine'],
    ['::ffff:0:0/96', 'is an IPv4 address in the form of IPv6, which is never sent'],
    ['fe80::/10', 'leads to another machine on every link'],
    ['ff00::/8', 'is a multicast address'],
  ] as const
).map(([range, words]) => [parseCidr(range), words]);

/** @returns what the address is instead of another node's, as the end of a sentence; undefined where it may be one. */
export function addressFault(ip: Ip, { underlays, localIps }: Surroundings): string | undefined {
  const special = SPECIAL.find(([range]) => cidrContains(range, ip));
  if (special !== undefined) return `${ip} ${special[1]}`;
  if (localIps.has(ip)) return `${ip} is an address of this node itself`;
  for (const { connected, linkName } of underlays) {
    const network = connected.find((range) => isEdge(range, ip));
    if (network === undefined) continue;
    const what = cidrNetwork(network) === ip ? 'the address of the network' : 'the broadcast address of';
    return `${ip} is ${what} ${network}, which ${linkName} is in`;
  }
  return undefined;
}

/** IPv4 networks of two addresses and of one have neither (RFC 3021); IPv6 has no broadcast. */
function isEdge(network: Cidr, ip: Ip): boolean {
  if (cidrFamily(network) === 6 || cidrPrefixLength(network) > familyBits(4) - 2) return false;
  if (!cidrContains(network, ip)) return false;
  return (
    cidrNetwork(network) === ip || nthIp(network, 2n ** BigInt(32 - cidrPrefixLength(network)) - 1n) === ip
  );
}
