/** Which families a service has addresses of: as it says, as its addresses say, or the cluster's first. */
import { ipFamily, isIp, parseIp } from '../../../src/base/ip/ip.ts';
import { isEqual } from '../patch/equal.ts';
import type { Cause } from '../request/failure.ts';
import { at, type Fields, listAt, textAt, withField } from '../storage/object.ts';
import { isHeadless, needsClusterIp } from './type.ts';

export const FAMILY_NAMES = { 4: 'IPv4', 6: 'IPv6' } as const;
export type FamilyName = 'IPv4' | 'IPv6';

/** @param cluster families that services have addresses of, the first one by default. */
export function withFamilies(
  service: Fields,
  before: Fields | undefined,
  cluster: readonly FamilyName[],
): Fields | Cause[] {
  if (!needsClusterIp(service)) return service;
  const trimmed = before === undefined ? service : toSingleStack(service, before);
  const policy = textAt(trimmed, 'spec', 'ipFamilyPolicy');
  const ips = listAt(trimmed, 'spec', 'clusterIPs').map(String);
  const said = listAt(trimmed, 'spec', 'ipFamilies').map(String);
  // Without a selector nothing of the cluster limits where its name leads.
  const free = isHeadless(trimmed) && at(trimmed, 'spec', 'selector') === undefined;
  const causes = free ? [] : problems(policy, said, ips, cluster);
  if (causes.length > 0) return causes;
  const chosen = policy || (free || said.length > 1 || ips.length > 1 ? 'RequireDualStack' : 'SingleStack');
  const families = [...said, ...ips.slice(said.length).flatMap(familyOf)];
  if (families.length === 0) families.push(cluster[0]!);
  const other = families[0] === 'IPv4' ? 'IPv6' : 'IPv4';
  if (families.length < 2 && chosen !== 'SingleStack' && (free || cluster.includes(other)))
    families.push(other);
  return withField(withField(trimmed, ['spec', 'ipFamilyPolicy'], chosen), ['spec', 'ipFamilies'], families);
}

/** The second family of a service goes with the wish for it. */
function toSingleStack(service: Fields, before: Fields): Fields {
  if (textAt(service, 'spec', 'ipFamilyPolicy') !== 'SingleStack') return service;
  return ['ipFamilies', 'clusterIPs'].reduce((object, field) => {
    const list = listAt(object, 'spec', field);
    const unchanged = list.length > 1 && isEqual(list, listAt(before, 'spec', field));
    return unchanged ? withField(object, ['spec', field], list.slice(0, 1)) : object;
  }, service);
}

function problems(
  policy: string,
  families: readonly string[],
  ips: readonly string[],
  cluster: readonly FamilyName[],
): Cause[] {
  const causes: Cause[] = families.flatMap((family, index) =>
    cluster.some((known) => known === family)
      ? []
      : [
          {
            field: `spec.ipFamilies[${index}]`,
            message: `Invalid value: ${JSON.stringify(family)}: not configured on this cluster`,
          },
        ],
  );
  if (policy === 'RequireDualStack' && cluster.length < 2)
    causes.push({
      field: 'spec.ipFamilyPolicy',
      message: `Invalid value: ${JSON.stringify(policy)}: this cluster is not configured for dual-stack services`,
    });
  if (policy === 'SingleStack' && (families.length > 1 || ips.length > 1))
    causes.push({
      field: 'spec.ipFamilyPolicy',
      message: `Invalid value: ${JSON.stringify(policy)}: must be RequireDualStack or PreferDualStack when multiple ${families.length > 1 ? 'ipFamilies' : 'clusterIPs'} are specified`,
    });
  return causes;
}

function familyOf(ip: string): FamilyName[] {
  return isIp(ip) ? [FAMILY_NAMES[ipFamily(parseIp(ip))]] : [];
}
