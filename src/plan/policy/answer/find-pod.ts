/** A pod by the name that was typed. */
import { nearestName } from '../../../base/errors/nearest.ts';
import { nameOf } from '../compile/clause.ts';
import type { PolicyPod } from '../parse/objects.ts';

/** @param name `namespace/name`, or a name in `default`. @throws Error that says which pod was probably meant. */
export function findPod(pods: readonly PolicyPod[], name: string): PolicyPod {
  const full = name.includes('/') ? name : `default/${name}`;
  const found = pods.find((pod) => nameOf(pod) === full);
  if (found !== undefined) return found;
  const [namespace, own] = full.split('/');
  const elsewhere = pods.find((pod) => pod.name === own);
  const nearest =
    elsewhere === undefined
      ? nearestName(
          full,
          [...pods.filter((pod) => pod.namespace === namespace), ...pods].slice(0, MOST_COMPARED).map(nameOf),
        )
      : nameOf(elsewhere);
  throw new Error(
    `there is no pod ${full}; ${nearest === undefined ? 'write NAMESPACE/NAME as kubectl shows them' : `did you mean ${nearest}?`}`,
  );
}

/** Comparing names costs their length squared, and an agent may be asked. */
const MOST_COMPARED = 1000;
