/** Which pods selectors mean, those without an address of their own among them. */
import type { PolicyPod, Selector } from '../objects.ts';
import { meets } from '../selector.ts';
import type { Surroundings } from './check.ts';

/** @param own namespace of the policy, for selectors that name none. */
export function podsOf(
  { namespaces: wanted, pods: selector }: { namespaces?: Selector; pods: Selector },
  own: string | undefined,
  { pods, namespaces }: Pick<Surroundings, 'pods' | 'namespaces'>,
): PolicyPod[] {
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  return pods.filter(
    ({ namespace, labels }) =>
      (wanted === undefined ? namespace === own : meets(labelsOf.get(namespace) ?? {}, wanted)) &&
      meets(labels, selector),
  );
}
