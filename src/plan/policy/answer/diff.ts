/** Which pods would reach which others at which ports, and no longer, if policies were others. */
import { type Ip, type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import { type Compiled, type CompiledPod, compile, type PolicyInput } from '../compile/compile.ts';
import { DIRECTIONS, type Direction, type PolicyPod } from '../parse/objects.ts';
import { type Crowd, crowdsOf } from './crowd.ts';
import { addressPairs, endsOf, pairsOf } from './matrix.ts';
import { placesOf } from './outside.ts';
import { type Party, partyOf } from './party.ts';
import { formatReach, type Reach, reachBetween, sideOf } from './reach.ts';

export type ReachChange = {
  from: Party;
  to: Party;
  /** In which it changes so. */
  families: readonly IpFamily[];
  before: Reach;
  after: Reach;
  /** Of pods; of a pod and addresses it counts the pods. */
  pairs: number;
};

/** Pods towards pods, and towards addresses that are no pod's. @param after the same cluster with other policies. */
export function diffPolicies(before: PolicyInput, after: PolicyInput): ReachChange[] {
  const [old, now] = [compile(before), compile(after)];
  const crowds = crowdsOf(before.pods, [old, now]);
  const [saidBefore, saidNow] = [old, now].map(({ pods }) => new Map(pods.map((one) => [one.pod, one])));
  const changed = (direction: Direction) =>
    new Set(
      crowds.filter(
        ({ pods: [pod] }) => keyOf(saidBefore!, pod!, direction) !== keyOf(saidNow!, pod!, direction),
      ),
    );
  const [targets, sources] = DIRECTIONS.map(changed);
  const changes = crowds.flatMap((from) =>
    crowds.flatMap((to) => (sources!.has(from) || targets!.has(to) ? diffBetween(old, now, from, to) : [])),
  );
  const outside = DIRECTIONS.flatMap((direction) =>
    [...(direction === 'ingress' ? targets! : sources!)].flatMap((crowd) =>
      diffOutside(old, now, crowd, direction),
    ),
  );
  return [...changes, ...outside];
}

function diffBetween(old: Compiled, now: Compiled, from: Crowd, to: Crowd): ReachChange[] {
  const pairs = pairsOf(from, to);
  if (pairs === 0) return [];
  const changed = addressPairs(...endsOf(from, to)).flatMap((ends) => {
    const [before, after] = [reachBetween(old, ...ends), reachBetween(now, ...ends)];
    return isSame(before, after) ? [] : [{ family: ipFamily(ends[0]), before, after }];
  });
  // Families in which the same changes, once.
  const alike = Map.groupBy(changed, ({ before, after }) => `${formatReach(before)}\n${formatReach(after)}`);
  return [...alike.values()].map((some) => ({
    from: from.party,
    to: to.party,
    families: some.map(({ family }) => family),
    before: some[0]!.before,
    after: some[0]!.after,
    pairs,
  }));
}

function diffOutside(old: Compiled, now: Compiled, crowd: Crowd, direction: Direction): ReachChange[] {
  const isPod = (ip: Ip) => old.population.identityAt(ip) !== undefined;
  return crowd.pods[0]!.podIPs.flatMap((first) => {
    const family = ipFamily(first);
    const rulings = [old, now].map(({ byIp }) => byIp.get(first)?.[direction]);
    return placesOf(rulings, family, isPod).flatMap(({ who, ip }): ReachChange[] => {
      // What a node sends to its own pods no policy changes.
      const pods = crowd.pods.filter((pod) => direction === 'egress' || !old.isOwnNode(pod, ip));
      const own = pods[0]?.podIPs.find((one) => ipFamily(one) === family);
      if (own === undefined) return [];
      const [before, after] = [sideOf(old, direction, own, ip), sideOf(now, direction, own, ip)];
      if (isSame(before, after)) return [];
      const party = partyOf(pods);
      const [from, to] = direction === 'ingress' ? [who, party] : [party, who];
      return [{ from, to, families: [family], before, after, pairs: pods.length }];
    });
  });
}

function isSame(a: Reach, b: Reach): boolean {
  return formatReach(a) === formatReach(b);
}

/** Equal keys mean the same, since pods, namespaces and nodes are the same before and after. */
function keyOf(said: ReadonlyMap<PolicyPod, CompiledPod>, pod: PolicyPod, direction: Direction): string {
  return said.get(pod)?.[direction]?.key ?? '';
}
