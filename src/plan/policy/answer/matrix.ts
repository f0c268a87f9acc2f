/** What reaches a pod, and what it reaches. */
import { type Ip, type IpFamily, ipFamily } from '../../../base/ip/ip.ts';
import { nameOf } from '../compile/clause.ts';
import { type Compiled, compile, type PolicyInput } from '../compile/compile.ts';
import { hasNetwork } from '../compile/population.ts';
import type { Direction, PolicyNode, PolicyPod } from '../parse/objects.ts';
import { type Crowd, crowdsOf } from './crowd.ts';
import { findPod } from './find-pod.ts';
import { placesOf } from './outside.ts';
import { type Party, partyOf } from './party.ts';
import { EVERYTHING, formatReach, type Reach, reachBetween, sideOf } from './reach.ts';

/** One for each family that both ends have. */
export type FamilyReach = { family: IpFamily; reach: Reach };
/** Several are of equal reach. */
export type MatrixLine = { who: readonly Party[]; reaches: readonly FamilyReach[] };
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
    ...lineOfNode(compiled, direction, pod, input.nodes),
    ...linesOutside(compiled, direction, pod),
  ];
  return { pod: nameOf(pod), ingress: linesOf('ingress'), egress: linesOf('egress') };
}

export type CrowdLine = { to: Party; from: Party; reaches: readonly FamilyReach[]; pairs: number };

/** Who reaches whom in the whole cluster: of pods that policies do not tell apart one line. */
export function crowdMatrix(input: PolicyInput): CrowdLine[] {
  const compiled = compile(input);
  const crowds = crowdsOf(input.pods, [compiled]);
  return crowds.flatMap((to) =>
    crowds.flatMap((from): CrowdLine[] => {
      const pairs = pairsOf(from, to);
      if (pairs === 0) return [];
      const [source, destination] = endsOf(from, to);
      const reaches = between(compiled, source, destination);
      return [{ to: to.party, from: from.party, reaches, pairs }];
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
export function formatReaches(reaches: readonly FamilyReach[]): string {
  const texts = reaches.map(({ family, reach }) => ({ family, text: formatReach(reach) }));
  if (new Set(texts.map(({ text }) => text)).size === 1) return texts[0]!.text;
  return texts.map(({ family, text }) => `IPv${family}: ${text}`).join(' | ') || 'no common family';
}

function between(compiled: Compiled, source: PolicyPod, destination: PolicyPod): FamilyReach[] {
  return addressPairs(source, destination).map(([ip, other]) => ({
    family: ipFamily(ip),
    reach: reachBetween(compiled, ip, other),
  }));
}

function lineOf(
  compiled: Compiled,
  direction: Direction,
  pod: PolicyPod,
  others: readonly PolicyPod[],
): MatrixLine {
  const other = others[0]!;
  const ends = direction === 'ingress' ? ([other, pod] as const) : ([pod, other] as const);
  return { who: [partyOf(others)], reaches: between(compiled, ...ends) };
}

/** What a node sends to its own pods always passes, so that probes do; what they send to it, as policies have it. */
function lineOfNode(
  compiled: Compiled,
  direction: Direction,
  pod: PolicyPod,
  nodes: readonly PolicyNode[],
): MatrixLine[] {
  if (direction === 'ingress') {
    const always = pod.podIPs.map((own): FamilyReach => ({ family: ipFamily(own), reach: EVERYTHING }));
    return always.length === 0 ? [] : [{ who: [{ kind: 'own-node' }], reaches: always }];
  }
  const ips = nodes.find(({ name }) => name === pod.nodeName)?.ips ?? [];
  const lines = pod.podIPs.flatMap((own) => {
    const family = ipFamily(own);
    const reached = ips
      .filter((ip) => ipFamily(ip) === family)
      .map((ip) => ({ ip, reach: sideOf(compiled, direction, own, ip) }));
    const alike = [...Map.groupBy(reached, ({ reach }) => JSON.stringify(reach)).values()];
    return alike.map((some) => ({
      addresses: alike.length === 1 ? undefined : some.map(({ ip }) => ip),
      reach: { family, reach: some[0]!.reach },
    }));
  });
  const whole = lines.filter(({ addresses }) => addresses === undefined).map(({ reach }) => reach);
  return [
    ...(whole.length === 0 ? [] : [{ who: [{ kind: 'own-node' as const }], reaches: whole }]),
    ...lines.flatMap(({ addresses, reach }) =>
      addresses === undefined ? [] : [{ who: [{ kind: 'own-node' as const, addresses }], reaches: [reach] }],
    ),
  ];
}

/** Addresses of equal reach on one line. */
function linesOutside(compiled: Compiled, direction: Direction, pod: PolicyPod): MatrixLine[] {
  const isPod = (ip: Ip) => compiled.population.identityAt(ip) !== undefined;
  const lines = pod.podIPs.flatMap((own) => {
    const family = ipFamily(own);
    return placesOf([compiled.byIp.get(own)?.[direction]], family, isPod).map(({ who, ip }) => ({
      who,
      reaches: [{ family, reach: sideOf(compiled, direction, own, ip) }],
    }));
  });
  return [...Map.groupBy(lines, ({ reaches }) => formatReaches(reaches)).values()].map((alike) => ({
    who: alike.map(({ who }) => who),
    reaches: [...new Map(alike.flatMap(({ reaches }) => reaches).map((one) => [one.family, one])).values()],
  }));
}
