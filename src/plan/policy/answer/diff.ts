/** Which pods would reach which others at which ports, and no longer, if policies were others. */
import { type Ip, ipFamily } from '../../../base/ip/ip.ts';
import { type Compiled, type CompiledPod, compile, type PolicyInput } from '../compile/compile.ts';
import { DIRECTIONS, type Direction, type PolicyPod } from '../parse/objects.ts';
import { type Crowd, crowdsOf } from './crowd.ts';
import { addressPairs, endsOf, pairsOf } from './matrix.ts';
import { placesOf } from './outside.ts';
import { formatReach, reachBetween, sideOf } from './reach.ts';

/** `pairs` of pods; of a pod and addresses it counts the pods. */
export type ReachChange = { from: string; to: string; before: string; after: string; pairs: number };

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
  const texts = addressPairs(...endsOf(from, to)).map((ends) =>
    [old, now].map((one) => formatReach(reachBetween(one, ...ends))),
  );
  return distinct(texts).map(([before, after]) => ({
    from: from.name,
    to: to.name,
    before: before!,
    after: after!,
    pairs,
  }));
}

function diffOutside(old: Compiled, now: Compiled, crowd: Crowd, direction: Direction): ReachChange[] {
  const isPod = (ip: Ip) => old.population.identityAt(ip) !== undefined;
  return crowd.pods[0]!.podIPs.flatMap((own) => {
    const rulings = [old, now].map(({ byIp }) => byIp.get(own)?.[direction]);
    return placesOf(rulings, ipFamily(own), isPod).flatMap(({ who, ip }): ReachChange[] => {
      const [before, after] = [old, now].map((one) => formatReach(sideOf(one, direction, own, ip)));
      if (before === after) return [];
      const [from, to] = direction === 'ingress' ? [who, crowd.name] : [crowd.name, who];
      return [{ from, to, before: before!, after: after!, pairs: crowd.pods.length }];
    });
  });
}

/** Families in which the same changes, once. */
function distinct(texts: readonly (readonly string[])[]): (readonly string[])[] {
  const changed = texts.filter(([before, after]) => before !== after);
  return [...new Map(changed.map((pair) => [pair.join('\n'), pair])).values()];
}

/** Equal keys mean the same, since pods, namespaces and nodes are the same before and after. */
function keyOf(said: ReadonlyMap<PolicyPod, CompiledPod>, pod: PolicyPod, direction: Direction): string {
  return said.get(pod)?.[direction]?.key ?? '';
}
