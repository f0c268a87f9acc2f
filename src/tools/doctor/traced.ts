/** What became of packets that nftables traced, read from what `nft monitor trace` prints (nft(8), "MONITOR"). */

import { withoutCounts } from '../../edge/nftables/forward-chains.ts';

/** The table whose rules mark the packets, and whose chains lie before and behind those of others. */
export const TRACE_TABLE = 'fairlead-doctor';

/** How far a packet came: chains of {@link TRACE_TABLE}, in their order. */
export const STAGES = ['arrived', 'routed', 'passed', 'left'] as const;
export type Stage = (typeof STAGES)[number];

export type Traced = {
  source: string;
  destination: string;
  protocol: 'icmp' | 'udp' | 'tcp' | 'other';
  stage?: Stage;
  /** What dropped it; absent where no rule and no policy did. */
  dropped?: Drop;
};

export type Drop = {
  /** As `inet firewalld`. */
  table: string;
  chain: string;
  /** As nft writes it; absent where the chain's policy dropped it. */
  rule?: string;
  /** By which `nft delete rule` knows it. */
  handle?: number;
};

/** @param text whole lines. */
export function readTraces(text: string): Traced[] {
  const packets = new Map<string, Traced>();
  for (const line of text.split('\n')) {
    const [, id, table, chain, kind, rest = ''] =
      /^trace id (\S+) (\S+ \S+) (\S+) (packet|rule|policy|verdict|unknown)(?::)?(.*)$/.exec(line) ?? [];
    if (id === undefined || table === undefined || chain === undefined) continue;
    const packet = packets.get(id) ?? readPacket(kind === 'packet' ? rest : '');
    if (packet === undefined) continue;
    packets.set(id, packet);
    const stage = STAGES.find((one) => one === chain);
    if (table.endsWith(` ${TRACE_TABLE}`) && stage !== undefined) packet.stage = stage;
    if (kind === 'policy' && rest.trim() === 'drop') packet.dropped = { table, chain };
    const rule = /^ (.*) \(verdict drop\)$/.exec(rest.trimEnd())?.[1];
    if (kind === 'rule' && rule !== undefined) packet.dropped = { table, chain, rule: withoutCounts(rule) };
  }
  return [...packets.values()];
}

export function describeDrop({ table, chain, rule, handle }: Drop): string {
  if (rule === undefined) return `the policy drop of chain ${chain} in table ${table}`;
  return `the rule “${rule}”${handle === undefined ? '' : ` (handle ${handle})`} of chain ${chain} in table ${table}`;
}

/** @param listing of the rule's chain, as `nft -a list chain` prints it. @returns the first that says the same. */
export function handleOf(rule: string, listing: string): number | undefined {
  for (const line of listing.split('\n')) {
    const [, text, handle] = /^\s*(.*) # handle (\d+)$/.exec(line) ?? [];
    if (text !== undefined && withoutCounts(text) === rule) return Number(handle);
  }
  return undefined;
}

function readPacket(text: string): Traced | undefined {
  const [, source, destination] = /\bip6? saddr (\S+) ip6? daddr (\S+)/.exec(text) ?? [];
  if (source === undefined || destination === undefined) return undefined;
  const protocol = /\bicmp(?:v6)? type /.test(text)
    ? 'icmp'
    : / udp dport /.test(text)
      ? 'udp'
      : / tcp dport /.test(text)
        ? 'tcp'
        : 'other';
  return { source, destination, protocol };
}
