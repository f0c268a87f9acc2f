/**
 * What of the kernel may be other than it was read or written last. What was not touched need not be read again
 * when the cluster changes: with 5,000 peers that is what a comparison takes longest for.
 */

import { ROUTE_METRIC, ROUTE_PROTOCOL } from '../../edge/marks/marks.ts';
import type { KernelEvent } from '../../edge/netlink/kernel.ts';
import type { FdbEntry, Neighbor, Route } from '../../edge/netlink/objects.ts';
import { sameFields } from '../../edge/netlink/state/identity.ts';

export type Doubt = {
  /** Routes, neighbors and forwarding entries: those of peers, so all of them. */
  entries: boolean;
  /** Links, addresses, rules and queues. */
  links: boolean;
  /** Links of pods whose routes and neighbors may differ. */
  podLinks: ReadonlySet<number>;
};

export const NO_DOUBT: Doubt = { entries: false, links: false, podLinks: new Set() };
export const ALL_DOUBT: Doubt = { entries: true, links: true, podLinks: new Set() };

/** Which links carry what is ours. */
export type OwnLinks = {
  /** Tunnels, what they go over, and loopback; undefined before anything was planned. */
  overlay: ReadonlySet<number> | undefined;
  tunnels: ReadonlySet<number>;
  isPod: (linkIndex: number) => boolean;
  isShaper: (linkIndex: number) => boolean;
  /** Whether a foreign route leads where pods are. */
  isForeign: (route: Route) => boolean;
  /** Whether such a route goes through the link. */
  carriesForeign: (linkIndex: number) => boolean;
  /** What a tunnel's neighbor or forwarding entry was read or written as last; undefined where there was none. */
  known: (entry: Neighbor | FdbEntry) => Neighbor | FdbEntry | undefined;
};

/**
 * What is stale after a foreign change.
 * @returns undefined where it is none of our business.
 */
export function doubtAfter(event: KernelEvent, own: OwnLinks): Doubt | undefined {
  switch (event.kind) {
    case 'overrun':
      return ALL_DOUBT;
    case 'rule':
    case 'netconf':
      return { ...NO_DOUBT, links: true };
    case 'route':
      return isPlacedAsOurs(event.route) || own.isForeign(event.route) ? ALL_DOUBT : undefined;
    case 'link':
    case 'address':
      return doubtOfLink(event.linkIndex, own);
    case 'neighbor':
      return doubtOfEntry(event.neighbor, event.change, own);
    case 'fdb':
      return doubtOfEntry(event.entry, event.change, own);
    case 'queue':
      return own.isPod(event.linkIndex) || own.isShaper(event.linkIndex)
        ? { ...NO_DOUBT, links: true }
        : undefined;
  }
}

export function bothDoubts(a: Doubt, b: Doubt): Doubt {
  return {
    entries: a.entries || b.entries,
    links: a.links || b.links,
    podLinks: new Set([...a.podLinks, ...b.podLinks]),
  };
}

/** One that takes the place of ours has the metric of ours, whatever its protocol (fib_table_insert, NLM_F_REPLACE). */
function isPlacedAsOurs({ protocol, metric }: Route): boolean {
  return protocol === ROUTE_PROTOCOL || metric === ROUTE_METRIC || metric === ROUTE_METRIC + 1;
}

/** Those of the underlay come and go all the time, and do not count; our own are as they were written. */
function doubtOfEntry(
  entry: Neighbor | FdbEntry,
  change: 'new' | 'deleted',
  own: OwnLinks,
): Doubt | undefined {
  const { linkIndex } = entry;
  if (!own.tunnels.has(linkIndex)) return own.isPod(linkIndex) ? doubtOfLink(linkIndex, own) : undefined;
  const known = own.known(entry);
  const isKnown =
    change === 'deleted' ? known === undefined : known !== undefined && sameFields(known, entry);
  return isKnown ? undefined : ALL_DOUBT;
}

/** With a link, or an address on it, the kernel takes routes away without a word. */
function doubtOfLink(linkIndex: number, { overlay, isPod, carriesForeign }: OwnLinks): Doubt {
  if (overlay === undefined || overlay.has(linkIndex) || carriesForeign(linkIndex)) return ALL_DOUBT;
  return { ...NO_DOUBT, links: true, podLinks: new Set(isPod(linkIndex) ? [linkIndex] : []) };
}
