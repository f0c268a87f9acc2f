/** Packets that claimed to be what they are not: the node dropped them, and somewhere there is one who sends them. */
import type { SpoofDrops } from '../../datapath/datapath.ts';
import { describeSpoofDrops } from '../../datapath/nftables/spoofed.ts';
import { doubtful, type Finding, fine } from './finding.ts';

const WHAT = 'spoofed packets';

export function judgeSpoofed(drops: SpoofDrops): Finding {
  const seen = describeSpoofDrops(drops);
  if (!drops.known)
    return doubtful(WHAT, seen, 'look whether nft can be run: nft list counters table inet fairlead');
  return Object.values(drops.packets).some((packets) => packets > 0)
    ? doubtful(
        WHAT,
        `dropped ${seen}`,
        'find who sends them, or which rule for routing leads the addresses of pods elsewhere (ip rule): nft list table inet fairlead shows the rules, and tcpdump on the interfaces of pods (fl…) or on that of the node shows the packets',
      )
    : fine(WHAT, seen === 'none' ? 'none was dropped' : seen);
}
