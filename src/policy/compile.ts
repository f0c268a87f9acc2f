/** From the cluster's pods, namespaces and policies to what this node enforces: who of its pods may talk to whom. */

import { type Grant, grantsOf } from './allowance.ts';
import {
  DIRECTIONS,
  type Direction,
  type NetworkPolicy,
  type PolicyNamespace,
  type PolicyPod,
} from './objects.ts';
import { hasNetwork, type Population, populate } from './population.ts';
import { meets } from './selector.ts';

export type PolicyInput = {
  pods: readonly PolicyPod[];
  namespaces: readonly PolicyNamespace[];
  policies: readonly NetworkPolicy[];
};

/** One pod's isolation in one direction: absent where no policy isolates it there. */
export type Isolation = { grants: readonly Grant[]; policies: readonly string[] };

export type CompiledPod = { pod: PolicyPod } & Partial<Record<Direction, Isolation>>;

export type Compiled = {
  /** Those of the wanted pods that some policy isolates. */
  pods: CompiledPod[];
  population: Population;
};

/** @param isOurs which pods are compiled: those of this node, or all of them to explain any. */
export function compile(input: PolicyInput, isOurs: (pod: PolicyPod) => boolean = () => true): Compiled {
  const population = populate(input.pods, input.namespaces);
  const byNamespace = Map.groupBy(input.policies, ({ namespace }) => namespace);
  const compiled = input.pods.flatMap((pod): CompiledPod[] => {
    if (!isOurs(pod) || !hasNetwork(pod)) return [];
    const selecting = (byNamespace.get(pod.namespace) ?? []).filter(({ pods }) => meets(pod.labels, pods));
    const isolations = DIRECTIONS.flatMap((direction) => {
      const isolating = selecting.filter((policy) => policy[direction] !== undefined);
      if (isolating.length === 0) return [];
      const isolation: Isolation = {
        grants: grantsOf(pod, isolating, direction, population),
        policies: isolating.map(({ namespace, name }) => `${namespace}/${name}`),
      };
      return [[direction, isolation] as const];
    });
    return isolations.length === 0 ? [] : [{ pod, ...Object.fromEntries(isolations) }];
  });
  return { pods: compiled, population };
}
