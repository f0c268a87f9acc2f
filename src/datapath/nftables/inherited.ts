/**
 * What the table of an earlier agent says of the cluster, for as long as this one knows less: who is inside it, so that
 * packets of pods to nodes keep their source, and whose connections are tracked, so that policies know answers as such.
 */

import { type Cidr, hostCidr, parseCidr } from '../../base/ip/cidr.ts';
import { type Ip, isIp, parseIp } from '../../base/ip/ip.ts';
import { TRACKED_SETS } from '../../plan/hostport/plan.ts';

export type Inherited = { inside: readonly Cidr[]; tracked: readonly Ip[] };

export const NOTHING_INHERITED: Inherited = { inside: [], tracked: [] };

const INSIDE_SETS = ['inside4', 'inside6'] as const;

/** @param listing as `nft list table` prints it; undefined where there is no table. */
export function readInherited(listing: string | undefined): Inherited {
  if (listing === undefined) return NOTHING_INHERITED;
  return {
    inside: INSIDE_SETS.flatMap((set) => elementsOf(listing, set)).flatMap(readRange),
    tracked: TRACKED_SETS.flatMap((set) => elementsOf(listing, set))
      .filter(isIp)
      .map((ip) => parseIp(ip)),
  };
}

function elementsOf(listing: string, set: string): string[] {
  const block = new RegExp(`^\\s*set ${set} \\{$([^]*?)^\\s*\\}$`, 'm').exec(listing)?.[1] ?? '';
  const elements = /elements = \{([^}]*)\}/.exec(block)?.[1] ?? '';
  return elements
    .split(',')
    .map((element) => element.trim())
    .filter((element) => element !== '');
}

/** What cannot be read is left to the cluster's own word. */
function readRange(text: string): Cidr[] {
  try {
    return [text.includes('/') ? parseCidr(text) : hostCidr(parseIp(text))];
  } catch {
    return [];
  }
}
