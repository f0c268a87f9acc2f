/** Arithmetic of ranges: what is left of one without others, and many as few. */
import {
  type Cidr,
  cidrContainsCidr,
  cidrFamily,
  cidrNetwork,
  cidrPrefixLength,
  cidrSize,
  cidrsOverlap,
  makeCidr,
} from '../ip/cidr.ts';
import { familyBits, ipFromBigInt, ipToBigInt } from '../ip/ip.ts';

/** The range without the others, as few ranges as that takes: at most one per bit and exception. */
export function subtractRanges(range: Cidr, except: readonly Cidr[]): Cidr[] {
  const inner = except.filter((other) => cidrsOverlap(range, other));
  if (inner.length === 0) return [range];
  if (inner.some((other) => cidrContainsCidr(other, range))) return [];
  return halves(range).flatMap((half) => subtractRanges(half, inner));
}

/** Without those that another one holds. */
export function withoutInner(ranges: readonly Cidr[]): Cidr[] {
  const sorted = [...new Set(ranges)].toSorted((a, b) => cidrPrefixLength(a) - cidrPrefixLength(b));
  const outer = new Map<number, Set<string>>();
  return sorted.filter((range) => {
    for (const [length, known] of outer) {
      const wide = makeCidr(cidrNetwork(range), Math.min(length, cidrPrefixLength(range)));
      if (cidrFamily(wide) === cidrFamily(range) && known.has(wide)) return false;
    }
    const length = cidrPrefixLength(range);
    const known = outer.get(length) ?? new Set();
    outer.set(length, known.add(range));
    return true;
  });
}

function halves(range: Cidr): [Cidr, Cidr] {
  const family = cidrFamily(range);
  const length = cidrPrefixLength(range) + 1;
  const network = cidrNetwork(range);
  const second = ipFromBigInt(ipToBigInt(network) + cidrSize(range) / 2n, family);
  if (length > familyBits(family)) throw new RangeError(`${range} has no halves`);
  return [makeCidr(network, length), makeCidr(second, length)];
}
