/** Packets that were dropped because they were not what they claimed to be: how many, by kind. */
import { describeError } from '../../base/errors/errors.ts';
import { notKnown } from '../../base/known.ts';
import type { Nftables } from '../../edge/nftables/nft.ts';
import type { SpoofDrops, SpoofKind } from '../datapath.ts';
import { TABLE } from './node-table.ts';

/** Named counters of the node's table, and what each counts. */
export const SPOOF_KINDS = {
  'spoofed-source': 'of pods with an address that they do not have',
  'tunnel-stranger': "to the tunnel's port from what is no node",
  'tunnel-inner-source': 'out of the tunnel with a source that is not of the node that sent them',
  'router-advertisement': 'of pods that would configure the node (router advertisements, redirects)',
} as const satisfies Readonly<Record<SpoofKind, string>>;

/** @param now for when they cannot be read. */
export async function readSpoofDrops(
  nftables: Pick<Nftables, 'counts'>,
  now: () => Date,
): Promise<SpoofDrops> {
  try {
    const counts = await nftables.counts(TABLE);
    const packets: Partial<Record<SpoofKind, number>> = {};
    for (const kind of Object.keys(SPOOF_KINDS) as SpoofKind[]) {
      const count = counts.get(kind);
      if (count !== undefined) packets[kind] = count.packets;
    }
    return { known: true, packets };
  } catch (error) {
    return notKnown(now(), describeError(error));
  }
}

/** As in `12 of pods with an address that they do not have`; kinds without packets are left out. */
export function describeSpoofDrops(drops: SpoofDrops): string {
  if (!drops.known) return `not known since ${drops.since}: ${drops.why}`;
  const counted = Object.entries(drops.packets) as [SpoofKind, number][];
  if (counted.length === 0) return 'not counted';
  const some = counted.filter(([, packets]) => packets > 0);
  return some.map(([kind, packets]) => `${packets} ${SPOOF_KINDS[kind]}`).join(', ') || 'none';
}
