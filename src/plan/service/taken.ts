/** Addresses that are taken already. */
import { type Cidr, cidrContains } from '../../base/ip/cidr.ts';
import type { Ip } from '../../base/ip/ip.ts';

/** Pods of the whole cluster, and the nodes. */
export type Taken = { podIps: ReadonlySet<Ip>; nodeIps: ReadonlySet<Ip> };

/** Of no use outside of one host or one link (RFC 6890), or no address of a single host. */
const UNREACHABLE = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/127',
  'fe80::/10',
  'ff00::/8',
] as readonly string[] as readonly Cidr[];

export function isUnreachable(ip: Ip): boolean {
  // Nearly all are none of these: the first characters say so.
  if (!/^(?:0\.|127\.|169\.254\.|2[2-5]\d\.|::|f[ef])/.test(ip)) return false;
  return UNREACHABLE.some((range) => cidrContains(range, ip));
}
