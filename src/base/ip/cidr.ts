/** IP ranges in prefix notation as branded strings, host bits zero: `10.244.0.0/24`, `fd00:10::/64`. */
import { FairleadError } from '../errors/errors.ts';
import {
  addToIp,
  familyBits,
  type Ip,
  type IpFamily,
  ipFamily,
  ipFromBytes,
  ipToBytes,
  isIp,
  parseIp,
} from './ip.ts';

export type Cidr = string & { readonly __brand: 'Cidr' };

/** Parses a range of either family. Host bits must be zero: the text says which range was probably meant. */
export function parseCidr(text: string, field = 'range'): Cidr {
  const [address = '', length = '', ...rest] = text.split('/');
  const refuse = (reason: string) =>
    new FairleadError('FL_CIDR_SYNTAX', `${field}: ${JSON.stringify(text)} ${reason}`);
  if (rest.length > 0 || !isIp(address) || !/^(0|[1-9]\d{0,2})$/.test(length)) {
    throw refuse('is not an IP range; write it like 10.244.0.0/16 or fd00:10:244::/56');
  }
  const ip = parseIp(address);
  if (Number(length) > familyBits(ipFamily(ip))) {
    throw refuse(`has a prefix longer than the ${familyBits(ipFamily(ip))} bits of its family`);
  }
  const network = makeCidr(ip, Number(length));
  if (cidrNetwork(network) !== ip) throw refuse(`has host bits set; the range is ${network}`);
  return network;
}

/** The range of `prefixLength` bits that holds this address. */
export function makeCidr(ip: Ip, prefixLength: number): Cidr {
  const bytes = ipToBytes(ip);
  for (let at = prefixLength >> 3; at < bytes.length; at++)
    bytes[at]! &= 0xff00 >> Math.max(0, prefixLength - 8 * at);
  return `${ipFromBytes(bytes)}/${prefixLength}` as Cidr;
}

/** The range of this one address: /32 or /128. */
export function hostCidr(ip: Ip): Cidr {
  return `${ip}/${familyBits(ipFamily(ip))}` as Cidr;
}

export function cidrNetwork(cidr: Cidr): Ip {
  return cidr.slice(0, cidr.indexOf('/')) as Ip;
}

/** In bits. */
export function cidrPrefixLength(cidr: Cidr): number {
  return Number(cidr.slice(cidr.indexOf('/') + 1));
}

export function cidrFamily(cidr: Cidr): IpFamily {
  return ipFamily(cidrNetwork(cidr));
}

/** How many addresses the range holds, network and broadcast address included. */
export function cidrSize(cidr: Cidr): bigint {
  return 1n << BigInt(familyBits(cidrFamily(cidr)) - cidrPrefixLength(cidr));
}

/** The address `index` places after the network address; it must lie in the range. */
export function nthIp(cidr: Cidr, index: number | bigint): Ip {
  if (BigInt(index) < 0n || BigInt(index) >= cidrSize(cidr)) {
    throw new RangeError(`${cidr} has no address number ${index}`);
  }
  return addToIp(cidrNetwork(cidr), index);
}

export function cidrContains(cidr: Cidr, ip: Ip): boolean {
  return cidrFamily(cidr) === ipFamily(ip) && makeCidr(ip, cidrPrefixLength(cidr)) === cidr;
}

/** Whether every address of `inner` lies in `outer`. */
export function cidrContainsCidr(outer: Cidr, inner: Cidr): boolean {
  return cidrPrefixLength(inner) >= cidrPrefixLength(outer) && cidrContains(outer, cidrNetwork(inner));
}

/** Two ranges overlap exactly when one holds the other. */
export function cidrsOverlap(a: Cidr, b: Cidr): boolean {
  return cidrContainsCidr(a, b) || cidrContainsCidr(b, a);
}

/** How many ranges of `prefixLength` bits the range holds: 0 when it is smaller than one. */
export function subnetCount(cidr: Cidr, prefixLength: number): bigint {
  const bits = prefixLength - cidrPrefixLength(cidr);
  return bits < 0 || prefixLength > familyBits(cidrFamily(cidr)) ? 0n : 1n << BigInt(bits);
}

/** The `index`-th range of `prefixLength` bits inside the range. */
export function nthSubnet(cidr: Cidr, prefixLength: number, index: number | bigint): Cidr {
  const size = 1n << BigInt(familyBits(cidrFamily(cidr)) - prefixLength);
  return makeCidr(nthIp(cidr, BigInt(index) * size), prefixLength);
}

/** Each once, and none that lies in another: nftables refuses intervals that overlap. */
export function largestCidrs(ranges: readonly Cidr[]): Cidr[] {
  return [...new Set(ranges)].filter(
    (range, _, all) => !all.some((other) => other !== range && cidrContainsCidr(other, range)),
  );
}
