/** The address space cut where ranges begin and end, so that in each piece the same ranges hold. */
import { type Cidr, cidrFamily, cidrNetwork, cidrSize } from '../../../base/ip/cidr.ts';
import { type Ip, type IpFamily, ipFromBigInt, ipToBigInt } from '../../../base/ip/ip.ts';
import { runToEnd, type Slices, sortSteps } from '../../../base/run/slices.ts';

export type Span = { first: bigint; last: bigint };

/** Addresses that lie in the blocks of these numbers, in their order. */
export type Segment = Span & { numbers: readonly number[] };

/** @param blocks ranges without others, each with the number of whom it belongs to. @returns sorted; gaps lie in none. */
export function segmentsOf(blocks: readonly NumberedBlock[], family: IpFamily): Segment[] {
  return runToEnd(cutSegments(blocks, family));
}

export type NumberedBlock = { number: number; cidr: Cidr; except: readonly Cidr[] };

/** As {@link segmentsOf}, in steps. */
export function* cutSegments(blocks: readonly NumberedBlock[], family: IpFamily): Slices<Segment[]> {
  const unsorted: { at: bigint; number: number; change: 1 | -1 }[] = [];
  for (const { number, cidr, except } of blocks) {
    if (cidrFamily(cidr) !== family) continue;
    for (const { first, last } of subtract(spanOf(cidr), except.map(spanOf))) {
      unsorted.push({ at: first, number, change: 1 }, { at: last + 1n, number, change: -1 });
    }
    yield;
  }
  const edges = yield* sortSteps(unsorted, (a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  const depths = new Map<number, number>();
  const segments: Segment[] = [];
  for (const [index, { at, number, change }] of edges.entries()) {
    yield;
    const depth = (depths.get(number) ?? 0) + change;
    if (depth === 0) depths.delete(number);
    else depths.set(number, depth);
    const next = edges[index + 1]?.at ?? at;
    if (next === at || depths.size === 0) continue;
    segments.push({ first: at, last: next - 1n, numbers: [...depths.keys()].toSorted((a, b) => a - b) });
  }
  return segments;
}

/** @param segments of the address' family. */
export function segmentAt(segments: readonly Segment[], ip: Ip): Segment | undefined {
  const value = ipToBigInt(ip);
  let [low, high] = [0, segments.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const segment = segments[middle]!;
    if (value < segment.first) high = middle - 1;
    else if (value > segment.last) low = middle + 1;
    else return segment;
  }
  return undefined;
}

/** As nft writes ranges: `10.0.0.1-10.0.0.9`, one address alone. */
export function formatSpan({ first, last }: Span, family: IpFamily): string {
  const begin = ipFromBigInt(first, family);
  return first === last ? begin : `${begin}-${ipFromBigInt(last, family)}`;
}

function spanOf(cidr: Cidr): Span {
  const first = ipToBigInt(cidrNetwork(cidr));
  return { first, last: first + cidrSize(cidr) - 1n };
}

function subtract(span: Span, others: readonly Span[]): Span[] {
  const left: Span[] = [];
  let { first } = span;
  for (const other of others.toSorted((a, b) => (a.first < b.first ? -1 : 1))) {
    if (other.last < first || other.first > span.last) continue;
    if (other.first > first) left.push({ first, last: other.first - 1n });
    if (other.last + 1n > first) first = other.last + 1n;
  }
  return first > span.last ? left : [...left, { first, last: span.last }];
}
