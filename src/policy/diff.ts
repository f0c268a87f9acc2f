/** Which pods would reach which others at which ports, and no longer, if policies were others. */
import { type IpFamily, ipFamily } from '../ip/ip.ts';
import type { Compiled, PolicyInput } from './compile.ts';
import { type Crowd, compileAll, describeCrowd } from './crowd.ts';
import { DIRECTIONS, type Direction } from './objects.ts';
import { placesOf } from './outside.ts';
import { formatReach, reachBetween, sideOf } from './reach.ts';

export type ReachChange = { from: string; to: string; before: string; after: string; pairs: number };

/** Pods towards pods, and towards addresses that are no pod's. @param after the same cluster with other policies. */
export function diffPolicies(before: PolicyInput, after: PolicyInput): ReachChange[] {
  const old = compileAll(before);
  const now = compileAll(after);
  const families = [4, 6] as const;
  const changed = (direction: Direction) =>
    new Set(
      old.crowds.filter(
        (crowd) => keyOf(old.compiled, crowd, direction) !== keyOf(now.compiled, crowd, direction),
      ),
    );
  const [targets, sources] = DIRECTIONS.map(changed);
  const changes: ReachChange[] = [];
  for (const from of old.crowds) {
    for (const to of old.crowds) {
      if (!sources!.has(from) && !targets!.has(to)) continue;
      const pairs =
        from === to ? from.pods.length * (from.pods.length - 1) : from.pods.length * to.pods.length;
      if (pairs === 0) continue;
      const texts = new Set<string>();
      for (const family of families) {
        const ends = endsOf(from, to, family);
        if (ends === undefined) continue;
        const [was, is] = [old, now].map(({ compiled }) => formatReach(reachBetween(compiled, ...ends)));
        if (was === is || texts.has(`${was} ${is}`)) continue;
        texts.add(`${was} ${is}`);
        changes.push({ from: describeCrowd(from), to: describeCrowd(to), before: was!, after: is!, pairs });
      }
    }
  }
  return [
    ...changes,
    ...DIRECTIONS.flatMap((direction) =>
      [...(direction === 'ingress' ? targets! : sources!)].flatMap((crowd) =>
        diffOutside(old.compiled, now.compiled, crowd, direction),
      ),
    ),
  ];
}

function diffOutside(old: Compiled, now: Compiled, crowd: Crowd, direction: Direction): ReachChange[] {
  return crowd.pods[0]!.podIPs.flatMap((own) => {
    const rulings = [old, now].map(({ byIp }) => byIp.get(own)?.[direction]);
    return placesOf(rulings, ipFamily(own)).flatMap(({ who, ip }): ReachChange[] => {
      const [before, after] = [old, now].map((one) => formatReach(sideOf(one, direction, own, ip)));
      if (before === after) return [];
      const [from, to] = direction === 'ingress' ? [who, describeCrowd(crowd)] : [describeCrowd(crowd), who];
      return [{ from, to, before: before!, after: after!, pairs: crowd.pods.length }];
    });
  });
}

/** Equal keys mean the same, since pods and namespaces are the same before and after. */
function keyOf({ byIp }: Compiled, { identity }: Crowd, direction: Direction): string {
  return byIp.get(identity.ips[0]!)?.[direction]?.key ?? '';
}

/** Two different pods, of one family. */
function endsOf(from: Crowd, to: Crowd, family: IpFamily) {
  const ipOf = (pod: Crowd['pods'][number] | undefined) => pod?.podIPs.find((ip) => ipFamily(ip) === family);
  const source = ipOf(from.pods[0]);
  const destination = ipOf(from === to ? to.pods[1] : to.pods[0]);
  return source === undefined || destination === undefined ? undefined : ([source, destination] as const);
}
