/** Whom a policy is about: nobody, or pods that no policy concerns. */
import type { NetworkPolicy, Selector } from '../objects.ts';
import { hasNetwork } from '../population.ts';
import { meets } from '../selector.ts';
import type { Finding, Surroundings } from './check.ts';

/** @param policy with `namespaces` where it is about those of several. */
export function findSubjectMistakes(
  policy: NetworkPolicy & { namespaces?: Selector },
  { pods, namespaces }: Surroundings,
): Omit<Finding, 'policy'>[] {
  if (pods.length === 0) return [];
  const labelsOf = new Map(namespaces.map(({ name, labels }) => [name, labels]));
  const meant = pods.filter(
    ({ namespace, labels }) =>
      meets(labels, policy.pods) &&
      (policy.namespaces === undefined
        ? namespace === policy.namespace
        : meets(labelsOf.get(namespace) ?? {}, policy.namespaces)),
  );
  if (meant.length === 0)
    return [
      {
        mistake: 'selects-nothing',
        text: `selects no pod: ${describeNearMiss(policy, pods)}; correct podSelector, or create the policy together with its pods`,
      },
    ];
  if (meant.every((pod) => pod.hostNetwork))
    return [
      {
        mistake: 'host-network',
        text: 'selects pods in the network of their node alone, which no policy isolates; use a firewall of the node',
      },
    ];
  return meant.some(hasNetwork)
    ? []
    : [{ mistake: 'selects-nothing', text: 'selects pods alone that have ended' }];
}

/** The label that keeps all pods of the namespace out. */
function describeNearMiss(policy: NetworkPolicy, pods: Surroundings['pods']): string {
  const own = pods.filter(({ namespace }) => namespace === policy.namespace);
  if (own.length === 0) return `namespace ${policy.namespace} has no pods`;
  const missing = policy.pods.find((requirement) => !own.some(({ labels }) => meets(labels, [requirement])));
  if (missing === undefined) return 'no pod has all of the labels';
  const values = [...new Set(own.flatMap(({ labels }) => labels[missing.key] ?? []))].slice(0, 5);
  return values.length === 0
    ? `no pod of ${policy.namespace} has a label ${missing.key}`
    : `the label ${missing.key} has the values ${values.join(', ')} there`;
}
