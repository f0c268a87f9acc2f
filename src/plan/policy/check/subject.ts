/** Whom a policy is about: none, or pods that no policy concerns. */
import { nearestName } from '../../../base/errors/nearest.ts';
import { hasNetwork } from '../compile/population.ts';
import { meets } from '../parse/selector.ts';
import type { Checked, Mistake, Surroundings } from './check.ts';
import { describeMiss, withCure } from './miss.ts';
import { podsOf } from './selected.ts';

export function findSubjectMistakes({ namespace, subject }: Checked, around: Surroundings): Mistake[] {
  const { pods, complete } = around;
  const within = podsOf({ ...subject, pods: [] }, namespace, around);
  // Of unknown pods nothing can be said.
  if (!complete && within.length === 0) return [];
  if (namespace !== undefined && within.length === 0 && subject.pods.length === 0)
    return findNoNamespace(namespace, around);
  const meant = within.filter(({ labels }) => meets(labels, subject.pods));
  if (meant.length === 0) {
    const elsewhere = pods.find(({ labels }) => subject.pods.length > 0 && meets(labels, subject.pods));
    const reason =
      within.length > 0
        ? describeMiss(
            subject.pods,
            within.map(({ labels }) => labels),
          )
        : `${namespace === undefined ? 'no namespace that it means has' : `namespace ${namespace} has no`} pods`;
    const cure =
      namespace !== undefined && elsewhere !== undefined
        ? `pods with these labels are in namespace ${elsewhere.namespace}: write metadata.namespace`
        : 'correct the selector, or apply the policy together with its pods';
    return [{ mistake: 'selects-nothing', text: `selects no pod: ${withCure(reason, cure)}` }];
  }
  if (meant.every((pod) => pod.hostNetwork))
    return [
      {
        mistake: 'host-network',
        text: 'selects pods in the network of their node alone, which no policy isolates; use a firewall of the node',
      },
    ];
  return meant.some(hasNetwork)
    ? []
    : [{ mistake: 'selects-nothing', text: 'selects pods alone that have ended; correct the selector' }];
}

/** A policy for all pods of a namespace is rightly there before them. */
function findNoNamespace(namespace: string, { namespaces }: Surroundings): Mistake[] {
  const names = namespaces.map(({ name }) => name);
  if (names.includes(namespace)) return [];
  const nearest = nearestName(namespace, names);
  const cure =
    nearest === undefined ? 'create it, or correct metadata.namespace' : `did you mean ${nearest}?`;
  return [
    { mistake: 'selects-nothing', text: `selects no pod: there is no namespace ${namespace}; ${cure}` },
  ];
}
