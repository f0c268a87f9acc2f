/** What reaches a pod, and what it reaches. */
import { ipFamily } from '../ip/ip.ts';
import { nameOf } from './clause.ts';
import type { Compiled, PolicyInput } from './compile.ts';
import { type Crowd, compileAll, describeCrowd } from './crowd.ts';
import { DIRECTIONS, type Direction, type PolicyPod } from './objects.ts';
import { placesOf } from './outside.ts';
import { formatReach, reachBetween, sideOf } from './reach.ts';

export type MatrixLine = { who: string; reach: string };
export type PodMatrix = { pod: string } & Record<Direction, MatrixLine[]>;

/** @param name `namespace/name`. @throws Error with the cure. */
export function matrixOf(input: PolicyInput, name: string): PodMatrix {
  const { compiled, crowds } = compileAll(input);
  const pod = input.pods.find((candidate) => nameOf(candidate) === name);
  if (pod === undefined)
    throw new Error(`there is no pod ${name}; write NAMESPACE/NAME as kubectl shows them`);
  if (pod.podIPs.length === 0) throw new Error(`pod ${name} has no address yet; wait until it runs`);
  const [ingress, egress] = DIRECTIONS.map((direction) => [
    ...crowds
      .filter(({ pods }) => pods.length > 1 || pods[0] !== pod)
      .map((crowd) => lineOf(compiled, direction, pod, crowd)),
    ...blockLines(compiled, direction, pod),
  ]);
  return { pod: name, ingress: ingress!, egress: egress! };
}

export type CrowdLine = { from: string; to: string; reach: string };

/** Who reaches whom in the whole cluster: of pods that policies do not tell apart one line. */
export function crowdMatrix(input: PolicyInput): CrowdLine[] {
  const { compiled, crowds } = compileAll(input);
  return crowds.flatMap((from) =>
    crowds.flatMap((to): CrowdLine[] => {
      const others = from === to ? to.pods.slice(1) : to.pods;
      const [source] = from.pods;
      if (others.length === 0) return [];
      return [
        { from: describeCrowd(from), to: describeCrowd(to), reach: between(compiled, source!, others[0]!) },
      ];
    }),
  );
}

/** Of all families that both have; one text where they agree. */
function between(compiled: Compiled, source: PolicyPod, destination: PolicyPod): string {
  const reaches = source.podIPs.flatMap((ip) => {
    const other = destination.podIPs.find((one) => ipFamily(one) === ipFamily(ip));
    return other === undefined ? [] : [formatReach(reachBetween(compiled, ip, other))];
  });
  return reaches.length === 0 ? 'no common family' : [...new Set(reaches)].join(' | ');
}

function lineOf(compiled: Compiled, direction: Direction, pod: PolicyPod, crowd: Crowd): MatrixLine {
  const others = crowd.pods.filter((one) => one !== pod);
  const [source, destination] = direction === 'ingress' ? [others[0]!, pod] : [pod, others[0]!];
  return { who: describeCrowd({ ...crowd, pods: others }), reach: between(compiled, source, destination) };
}

function blockLines(compiled: Compiled, direction: Direction, pod: PolicyPod): MatrixLine[] {
  return pod.podIPs.flatMap((own) =>
    placesOf([compiled.byIp.get(own)?.[direction]], ipFamily(own)).map(({ who, ip }) => ({
      who,
      reach: formatReach(sideOf(compiled, direction, own, ip)),
    })),
  );
}
