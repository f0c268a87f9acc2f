/**
 * From the cluster's pods, namespaces and policies to what this node enforces: what is said about each of its pods. A
 * compiler that is asked again gives the same objects for what no change has touched.
 */
import type { Ip } from '../../../base/ip/ip.ts';
import { atOnce, type Steps } from '../../../base/run/slices.ts';
import {
  type ClusterPolicy,
  DIRECTIONS,
  type Direction,
  type NetworkPolicy,
  type PolicyNamespace,
  type PolicyNode,
  type PolicyPod,
} from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import { type Clause, nameOf, networkClauses, tierClauses } from './clause.ts';
import { hasNetwork, type Identity, openCensus, type Population } from './population.ts';
import { isBoundAlike, keyOf, openBinder, type Ruling } from './ruling.ts';

export type PolicyInput = {
  pods: readonly PolicyPod[];
  namespaces: readonly PolicyNamespace[];
  policies: readonly NetworkPolicy[];
  clusterPolicies: readonly ClusterPolicy[];
  nodes: readonly PolicyNode[];
};

/** A direction in which nobody says anything about the pod is absent. */
export type CompiledPod = { pod: PolicyPod } & Partial<Record<Direction, Ruling>>;

export type Compiled = {
  /** Those of the wanted pods that some policy selects. */
  pods: readonly CompiledPod[];
  byIp: ReadonlyMap<Ip, CompiledPod>;
  population: Population;
};

export type Compiler = {
  /**
   * @param isOurs which pods are compiled: those of this node, or all of them to explain any.
   * @returns what is valid until the next call.
   */
  compile(input: PolicyInput, isOurs?: (pod: PolicyPod) => boolean): Steps<Compiled>;
};

export function compile(input: PolicyInput, isOurs?: (pod: PolicyPod) => boolean): Compiled {
  return atOnce(openCompiler().compile(input, isOurs));
}

export function openCompiler(): Compiler {
  const census = openCensus();
  let before = new Map<string, Ruling>();
  return {
    *compile(input, isOurs = () => true) {
      const population = yield* census.take(input.pods, input.namespaces);
      const bind = openBinder(population, input.nodes);
      const rulings = new Map<string, Ruling>();
      const rule = (draft: Draft): Ruling => {
        const key = keyOf(draft);
        const known = rulings.get(key);
        if (known !== undefined) return known;
        const clauses = draft.clauses.map((clause) => bind(clause, draft.direction));
        const former = before.get(key);
        const ruling =
          former !== undefined && isBoundAlike(former.clauses, clauses) ? former : { ...draft, key, clauses };
        rulings.set(key, ruling);
        return ruling;
      };
      const byNamespace = Map.groupBy(input.policies, ({ namespace }) => namespace);
      const tiers = sortByPriority(input.clusterPolicies);
      const said = new Map<Identity, Partial<Record<Direction, Ruling>>>();
      const pods: CompiledPod[] = [];
      for (const pod of input.pods) {
        if (!isOurs(pod) || !hasNetwork(pod)) continue;
        yield;
        const identity = population.identityOf(pod)!;
        let directions = said.get(identity);
        if (directions === undefined) {
          const network = (byNamespace.get(pod.namespace) ?? []).filter(({ pods: selector }) =>
            meets(pod.labels, selector),
          );
          const namespaceLabels = population.namespaceLabels(pod.namespace);
          const selecting = tiers.filter(
            ({ subject }) => meets(pod.labels, subject.pods) && meets(namespaceLabels, subject.namespaces),
          );
          directions = Object.fromEntries(
            DIRECTIONS.flatMap((direction) => {
              const draft = draftOf(direction, network, selecting, pod.ports);
              return draft === undefined ? [] : [[direction, rule(draft)]];
            }),
          );
          said.set(identity, directions);
        }
        if (Object.keys(directions).length > 0) pods.push({ pod, ...directions });
      }
      before = rulings;
      return { pods, byIp: indexByIp(pods), population };
    },
  };
}

export function indexByIp(pods: readonly CompiledPod[]): Map<Ip, CompiledPod> {
  return new Map(pods.flatMap((compiled) => compiled.pod.podIPs.map((ip) => [ip, compiled] as const)));
}

/** Of equal priority the one whose name comes first: the same on every node. */
function sortByPriority(policies: readonly ClusterPolicy[]): ClusterPolicy[] {
  return policies.toSorted((a, b) => a.priority - b.priority || (a.name < b.name ? -1 : 1));
}

type Draft = Omit<Ruling, 'key'>;

/** @returns undefined where nobody says anything. */
function draftOf(
  direction: Direction,
  network: readonly NetworkPolicy[],
  tiers: readonly ClusterPolicy[],
  ownPorts: PolicyPod['ports'],
): Draft | undefined {
  const isolating = network.filter((policy) => policy[direction] !== undefined);
  const ofTier = (tier: ClusterPolicy['tier']) =>
    tiers.filter((policy) => policy.tier === tier).flatMap((policy) => tierClauses(policy, direction));
  const clauses: Clause[] = [
    ...ofTier('admin'),
    ...isolating.flatMap((policy) => networkClauses(policy, direction)),
    ...ofTier('baseline'),
  ];
  if (clauses.length === 0 && isolating.length === 0) return undefined;
  const staged = clauses.some((clause) => clause.staged) || isolating.some((policy) => policy.staged);
  return {
    direction,
    clauses,
    isolatedBy: isolating.filter((policy) => !policy.staged).map(nameOf),
    ...(staged ? { proposed: isolating.map(nameOf) } : {}),
    ownPorts,
  };
}
