/** Addresses that are no pod's, as far as policies tell some from others: one of each stands for all like it. */
import { cidrNetwork, cidrSize, makeCidr } from '../../../base/ip/cidr.ts';
import { familyBits, type Ip, type IpFamily, ipFromBigInt } from '../../../base/ip/ip.ts';
import type { Ruling } from '../compile/ruling.ts';
import { formatSpan, type Span, segmentsOf } from '../compile/segments.ts';
import type { Party } from './party.ts';

export type Place = { who: Party; ip: Ip };

/**
 * @param rulings whose ranges are to be told apart.
 * @param isPod whether an address is a pod's: what only pods have is left out.
 */
export function placesOf(
  rulings: readonly (Ruling | undefined)[],
  family: IpFamily,
  isPod: (ip: Ip) => boolean,
): Place[] {
  const blocks = rulings.flatMap((ruling) => (ruling?.clauses ?? []).flatMap(({ who }) => who?.blocks ?? []));
  const segments = segmentsOf(
    blocks.map((block, number) => ({ ...block, number })),
    family,
  );
  const standIn = ({ first, last }: Span): Ip | undefined => {
    for (let at = first; at <= last; at++) {
      const ip = ipFromBigInt(at, family);
      if (!isPod(ip)) return ip;
    }
    return undefined;
  };
  const named = segments.flatMap((segment): Place[] => {
    const ip = standIn(segment);
    return ip === undefined
      ? []
      : [{ who: { kind: 'addresses', family, range: describeSpan(segment, family) }, ip }];
  });
  const elsewhere = gapsOf(segments, family)
    .map(standIn)
    .find((ip) => ip !== undefined);
  if (elsewhere === undefined) return named;
  return [...named, { who: { kind: 'other-addresses', family, isAll: named.length === 0 }, ip: elsewhere }];
}

/** As a range in prefix notation where it is one. */
function describeSpan(span: Span, family: IpFamily): string {
  const first = ipFromBigInt(span.first, family);
  const size = span.last - span.first + 1n;
  const cidr = makeCidr(first, familyBits(family) - (size.toString(2).length - 1));
  return size > 1n && cidrNetwork(cidr) === first && cidrSize(cidr) === size
    ? cidr
    : formatSpan(span, family);
}

function gapsOf(segments: readonly Span[], family: IpFamily): Span[] {
  const gaps: Span[] = [];
  let first = 0n;
  for (const segment of segments) {
    if (segment.first > first) gaps.push({ first, last: segment.first - 1n });
    first = segment.last + 1n;
  }
  const last = (1n << BigInt(familyBits(family))) - 1n;
  return first > last ? gaps : [...gaps, { first, last }];
}
