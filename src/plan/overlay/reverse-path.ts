/** Reverse path filtering where a peer may answer by another way than we ask: loose there, as strict would drop it. */
import type { Operation } from '../../edge/netlink/kernel.ts';
import type { NetworkConfiguration } from '../../edge/netlink/objects.ts';

/** What is done, and what the device's own value was and becomes. */
export type Loosening = { linkIndex: number; was: number; now: number; operation: Operation };

const STRICT = 1;
const LOOSE = 2;

/**
 * The kernel applies the larger of `all` and the device's own value, so loose on the device is enough.
 * @param linkIndexes the underlay's interface and the tunnel.
 */
export function planReversePath(
  linkIndexes: readonly number[],
  configurations: readonly NetworkConfiguration[],
): Loosening[] {
  const all = configurations.find(({ family, scope }) => family === 4 && scope === 'all')?.rpFilter ?? 0;
  return linkIndexes.flatMap((index): Loosening[] => {
    const own = configurations.find(
      ({ family, scope }) => family === 4 && typeof scope === 'object' && scope.link === index,
    )?.rpFilter;
    if (Math.max(all, own ?? 0) !== STRICT) return [];
    const operation = { op: 'link.change', change: { index, ipv4: { rpFilter: LOOSE } } } as const;
    return [{ linkIndex: index, was: own ?? 0, now: LOOSE, operation }];
  });
}
