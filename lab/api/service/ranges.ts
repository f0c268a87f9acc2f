/** From where services get their addresses: the cluster's ServiceCIDRs, or one range where there are none. */
import { type Cidr, cidrFamily, parseCidr } from '../../../src/base/ip/cidr.ts';
import { kindNamed } from '../kinds.ts';
import { listAt } from '../storage/object.ts';
import type { Store } from '../storage/store.ts';
import { FAMILY_NAMES, type FamilyName } from './families.ts';

/** The textbook's, and its counterpart. */
export const SERVICE_RANGES = { 4: parseCidr('10.96.0.0/16'), 6: parseCidr('fd00:10:96::/112') } as const;
/** The ServiceCIDR that every cluster begins with. */
export const DEFAULT_RANGE_NAME = 'kubernetes';

/** By family, in the order in which services prefer them. */
export function serviceRanges(store: Store): ReadonlyMap<FamilyName, readonly Cidr[]> {
  const objects = store
    .list(kindNamed('ServiceCIDR'))
    .toSorted((a, b) => Number(isDefault(b.metadata.name)) - Number(isDefault(a.metadata.name)));
  const ranges = objects
    .flatMap((object) => listAt(object, 'spec', 'cidrs').map(String))
    .map((range) => parseCidr(range));
  return Map.groupBy(
    ranges.length > 0 ? ranges : [SERVICE_RANGES[4]],
    (range) => FAMILY_NAMES[cidrFamily(range)],
  );
}

function isDefault(name: string): boolean {
  return name === DEFAULT_RANGE_NAME;
}
