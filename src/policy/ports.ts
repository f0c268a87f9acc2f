/** Arithmetic of ranges of ports. */
import { type Cidr, cidrNetwork, cidrPrefixLength, makeCidr } from '../ip/cidr.ts';
import type { PortRange } from './allowance.ts';

/** Sorted, none twice, none that overlap or touch. */
export function mergePorts(ports: readonly PortRange[]): PortRange[] {
  const sorted = ports.toSorted(
    (a, b) =>
      (a.protocol < b.protocol ? -1 : a.protocol > b.protocol ? 1 : 0) ||
      a.first - b.first ||
      b.last - a.last,
  );
  const merged: PortRange[] = [];
  for (const port of sorted) {
    const before = merged.at(-1);
    if (before !== undefined && before.protocol === port.protocol && port.first <= before.last + 1)
      merged[merged.length - 1] = { ...before, last: Math.max(before.last, port.last) };
    else merged.push(port);
  }
  return merged;
}

/** What is left of the one without the others. */
export function subtractPorts(ports: readonly PortRange[], others: readonly PortRange[]): PortRange[] {
  return others.reduce<PortRange[]>(
    (left, other) =>
      left.flatMap((port) => {
        if (port.protocol !== other.protocol || port.last < other.first || port.first > other.last)
          return [port];
        return [
          { ...port, last: other.first - 1 },
          { ...port, first: other.last + 1 },
        ].filter(({ first, last }) => first <= last);
      }),
    [...ports],
  );
}

/**
 * The kernel refuses an element of a concatenation that overlaps another one. Ranges of addresses lie within each
 * other or apart, so it is enough to leave out what a wider one has already.
 */
export function withoutOverlaps(byRange: ReadonlyMap<Cidr, readonly PortRange[]>): [Cidr, PortRange[]][] {
  const lengths = [...new Set([...byRange.keys()].map(cidrPrefixLength))].toSorted((a, b) => a - b);
  return [...byRange].map(([range, ports]) => {
    const wider = lengths
      .filter((length) => length < cidrPrefixLength(range))
      .flatMap((length) => byRange.get(makeCidr(cidrNetwork(range), length)) ?? []);
    return [range, subtractPorts(ports, wider)];
  });
}
