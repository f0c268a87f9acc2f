/** Addresses of services: one per family, the lowest free one of its ranges, kept over updates. */
import { type Cidr, cidrContains, cidrFamily, cidrSize, nthIp } from '../../../src/base/ip/cidr.ts';
import { ipFamily, isIp, parseIp } from '../../../src/base/ip/ip.ts';
import type { Cause } from '../request/failure.ts';
import { type Fields, listAt, textAt, withField } from '../storage/object.ts';
import { FAMILY_NAMES, type FamilyName } from './families.ts';
import { isHeadless, needsClusterIp } from './type.ts';

/** Further than this no free address is looked for. */
const MOST_LOOKED_AT = 1n << 16n;

/** One field says what two say: clients know the older `clusterIP`, or both. */
export function normalizeClusterIps(service: Fields, before: Fields | undefined): Fields {
  const ip = textAt(service, 'spec', 'clusterIP');
  const ips = listAt(service, 'spec', 'clusterIPs').map(String);
  const had = textAt(before, 'spec', 'clusterIP');
  const unchanged = String(ips) === String(listAt(before, 'spec', 'clusterIPs'));
  if (before !== undefined && ip !== had && unchanged)
    return ip === '' ? without(service) : withField(service, ['spec', 'clusterIPs'], [ip, ...ips.slice(1)]);
  if (ip === '' && ips.length === 0) return without(service);
  if (ip !== '' && ips.length === 0) return withField(service, ['spec', 'clusterIPs'], [ip]);
  if (ips.length > 0 && (ip === '' || (ip === had && !unchanged)))
    return withField(service, ['spec', 'clusterIP'], ips[0]);
  return service;
}

function without(service: Fields): Fields {
  return withField(withField(service, ['spec', 'clusterIPs'], undefined), ['spec', 'clusterIP'], undefined);
}

/** @param taken addresses of other services. */
export function withClusterIps(
  service: Fields,
  before: Fields | undefined,
  ranges: ReadonlyMap<FamilyName, readonly Cidr[]>,
  taken: ReadonlySet<string>,
): Fields | Cause[] {
  if (!needsClusterIp(service) || isHeadless(service)) return service;
  const asked = listAt(service, 'spec', 'clusterIPs').map(String);
  const had = listAt(before, 'spec', 'clusterIPs').map(String);
  const causes: Cause[] = [];
  const refuse = (index: number, message: string) =>
    causes.push({
      field: `spec.clusterIPs[${index}]`,
      message: `Invalid value: ${JSON.stringify(asked[index] ?? '')}: ${message}`,
    });
  const ips = listAt(service, 'spec', 'ipFamilies').flatMap((family, index): string[] => {
    const ip = asked[index];
    const own = ranges.get(family as FamilyName) ?? [];
    if (ip === undefined) {
      const free = lowestFree(own, taken);
      if (free !== undefined) return [free];
      refuse(index, `${own.join(', ')} is used up`);
    } else if (ip === had[index]) return [ip];
    else if (!isIp(ip)) refuse(index, 'must be a valid IP address');
    else if (FAMILY_NAMES[ipFamily(parseIp(ip))] !== family)
      refuse(index, `expected an ${String(family)} value as indicated by \`ipFamilies[${index}]\``);
    else if (!own.some((range) => cidrContains(range, parseIp(ip))))
      refuse(
        index,
        `failed to allocate IP ${ip}: the provided IP is not in the valid range. The range of valid IPs is ${own.join(', ')}`,
      );
    else if (taken.has(parseIp(ip)))
      refuse(index, `failed to allocate IP ${ip}: provided IP is already allocated`);
    else return [parseIp(ip)];
    return [];
  });
  if (asked.length > ips.length && causes.length === 0)
    refuse(ips.length, 'there are more addresses than families; name the families, or leave the address out');
  if (causes.length > 0) return causes;
  return withField(withField(service, ['spec', 'clusterIP'], ips[0]), ['spec', 'clusterIPs'], ips);
}

/** The first address of a range is the network's, the last of an IPv4 one everyone's. */
function lowestFree(ranges: readonly Cidr[], taken: ReadonlySet<string>): string | undefined {
  for (const range of ranges) {
    const size = cidrSize(range) < MOST_LOOKED_AT ? cidrSize(range) : MOST_LOOKED_AT;
    const end = cidrFamily(range) === 4 ? size - 1n : size;
    for (let index = 1n; index < end; index++) {
      const ip = nthIp(range, index);
      if (!taken.has(ip)) return ip;
    }
  }
  return undefined;
}
