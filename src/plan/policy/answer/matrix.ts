/** What reaches a pod, and what it reaches. */
import { type Ip, ipFamily } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import { type Compiled, compile, type PolicyInput } from '../compile/compile.ts';
import { hasNetwork } from '../compile/population.ts';
import type { Direction, PolicyPod } from '../parse/objects.ts';
import { type Crowd, crowdsOf, describePods } from './crowd.ts';
import { findPod } from './find-pod.ts';
import { placesOf } from './outside.ts';
import { formatReach, reachBetween, sideOf } from './reach.ts';

export type MatrixLine = { who: string; reach: string };
export type PodMatrix = { pod: string } & Record<Direction, MatrixLine[]>;

/** @param name `namespace/name`, or a name in `default`. @throws Error with the cure. */
export function matrixOf(input: PolicyInput, name: string): PodMatrix {
  const pod = findPod(input.pods, name);
  if (pod.hostNetwork)
    throw new Error(`pod ${nameOf(pod)} is in the network of its node, where no policy isolates it`);
  if (!hasNetwork(pod)) throw new Error(`pod ${nameOf(pod)} has ended, and its address is free`);
  if (pod.podIPs.length === 0) throw new Error(`pod ${nameOf(pod)} has no address yet; wait until it runs`);
  const compiled = compile(input);
  const crowds = crowdsOf(input.pods, [compiled]);
  const linesOf = (direction: Direction): MatrixLine[] => [
    ...crowds
      .map(({ pods }) => pods.filter((one) => one !== pod))
      .filter((pods) => pods.length > 0)
      .map((pods) => lineOf(compiled, direction, pod, pods)),
    // What a node and its own pods send each other is not forwarded, so that probes always pass.
    { who: 'its own node', reach: 'everything' },
    ...linesOutside(compiled, direction, pod),
  ];
  return { pod: nameOf(pod), ingress: linesOf('ingress'), egress: linesOf('egress') };
}

export type CrowdLine = { to: string; from: string; reach: string; pairs: number };

/** Who reaches whom in the whole cluster: of pods that policies do not tell apart one line. */
export function crowdMatrix(input: PolicyInput): CrowdLine[] {
  const compiled = compile(input);
  const crowds = crowdsOf(input.pods, [compiled]);
  return crowds.flatMap((to) =>
    crowds.flatMap((from): CrowdLine[] => {
      const pairs = pairsOf(from, to);
      if (pairs === 0) return [];
      const [source, destination] = endsOf(from, to);
      const reach = between(compiled, source, destination);
      return [{ to: to.name, from: from.name, reach, pairs }];
    }),
  );
}

/** How many pods of one reach how many others. */
export function pairsOf(from: Crowd, to: Crowd): number {
  return from.pods.length * (from === to ? to.pods.length - 1 : to.pods.length);
}

/** Two different pods. */
export function endsOf(from: Crowd, to: Crowd): readonly [PolicyPod, PolicyPod] {
  return [from.pods[0]!, to.pods[from === to ? 1 : 0]!];
}

/** One pair of addresses of each family that both have. */
export function addressPairs(source: PolicyPod, destination: PolicyPod): (readonly [Ip, Ip])[] {
  return source.podIPs.flatMap((ip) => {
    const other = destination.podIPs.find((one) => ipFamily(one) === ipFamily(ip));
    return other === undefined ? [] : [[ip, other] as const];
  });
}

/** One text where all families agree. */
function between(compiled: Compiled, source: PolicyPod, destination: PolicyPod): string {
  const reaches = addressPairs(source, destination).map(([ip, other]) => ({
    family: ipFamily(ip),
    text: formatReach(reachBetween(compiled, ip, other)),
  }));
  const texts = new Set(reaches.map(({ text }) => text));
  if (texts.size === 1) return reaches[0]!.text;
  return reaches.map(({ family, text }) => `IPv${family}: ${text}`).join(' | ') || 'no common family';
}

function lineOf(
  compiled: Compiled,
  direction: Direction,
  pod: PolicyPod,
  others: readonly PolicyPod[],
): MatrixLine {
  const other = others[0]!;
  const ends = direction === 'ingress' ? ([other, pod] as const) : ([pod, other] as const);
  return { who: describePods(others), reach: between(compiled, ...ends) };
}

/** Addresses of equal reach on one line. */
function linesOutside(compiled: Compiled, direction: Direction, pod: PolicyPod): MatrixLine[] {
  const isPod = (ip: Ip) => compiled.population.identityAt(ip) !== undefined;
  const lines = pod.podIPs.flatMap((own) =>
    placesOf([compiled.byIp.get(own)?.[direction]], ipFamily(own), isPod).map(({ who, ip }) => ({
      who,
      reach: formatReach(sideOf(compiled, direction, own, ip)),
    })),
  );
  return [...Map.groupBy(lines, ({ reach }) => reach)].map(([reach, alike]) => ({
    who: alike.map(({ who }) => who).join(', '),
    reach,
  }));
}
