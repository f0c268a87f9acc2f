/** Reverse path filtering where a peer may answer by another way than we ask: loose there, as strict would drop it. */
import type { Operation } from '../netlink/kernel.ts';
import type { NetworkConfiguration } from '../netlink/objects.ts';

const STRICT = 1;
const LOOSE = 2;

/**
 * The kernel applies the larger of `all` and the device's own value, so loose on the device is enough.
 * @param linkIndexes the underlay's interface and the tunnel.
 */
export function planReversePath(
  linkIndexes: readonly number[],
  configurations: readonly NetworkConfiguration[],
): Operation[] {
  const all = configurations.find(({ family, scope }) => family === 4 && scope === 'all')?.rpFilter ?? 0;
  return linkIndexes.flatMap((index): Operation[] => {
    const own = configurations.find(
      ({ family, scope }) => family === 4 && typeof scope === 'object' && scope.link === index,
    )?.rpFilter;
    if (Math.max(all, own ?? 0) !== STRICT) return [];
    return [{ op: 'link.change', change: { index, ipv4: { rpFilter: LOOSE } } }];
  });
}
