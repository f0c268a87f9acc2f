/** Which pods selectors mean, those without an address of their own among them. */
import type { PolicyPod, Selector } from '../parse/objects.ts';
import { meets } from '../parse/selector.ts';
import type { Surroundings } from './check.ts';

/** @param own namespace of the policy, for selectors that name none. */
export function podsOf(
  { namespaces: wanted, pods: selector }: { namespaces?: Selector; pods: Selector },
  own: string | undefined,
  { pods, namespaces }: Pick<Surroundings, 'pods' | 'namespaces'>,
): PolicyPod[] {
  const byNamespace = groupByNamespace(pods);
  const meant = (some: readonly PolicyPod[] = []) => some.filter(({ labels }) => meets(labels, selector));
  if (wanted === undefined) return meant(byNamespace.get(own ?? ''));
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  return [...byNamespace].flatMap(([name, some]) =>
    meets(labelsOf.get(name) ?? {}, wanted) ? meant(some) : [],
  );
}

const groups = new WeakMap<readonly PolicyPod[], ReadonlyMap<string, readonly PolicyPod[]>>();

/** Pods that were asked about before are not counted again: policies are many. */
function groupByNamespace(pods: readonly PolicyPod[]): ReadonlyMap<string, readonly PolicyPod[]> {
  let known = groups.get(pods);
  if (known === undefined) groups.set(pods, (known = Map.groupBy(pods, ({ namespace }) => namespace)));
  return known;
}
