/** Mistakes in the policies of manifests, held against a cluster and against what else the manifests would make. */

import { checkPolicies, type Finding } from '../../plan/policy/check/check.ts';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';
import type { Manifest } from './manifests.ts';
import { readProposedPods } from './proposed-pods.ts';
import { readProposed, withProposed } from './proposed-policies.ts';

/** No cluster was asked: there may be pods and namespaces beside those of the manifests. */
export const NO_CLUSTER: PolicyInput = {
  pods: [],
  namespaces: [],
  policies: [],
  clusterPolicies: [],
  nodes: [],
};

/** @throws FairleadError where there is no policy, or one without a name. */
export function checkManifests(manifests: readonly Manifest[], cluster: PolicyInput): Finding[] {
  const proposed = readProposed(manifests);
  const coming = readProposedPods(manifests);
  const { policies, clusterPolicies } = withProposed(cluster, proposed);
  const around = {
    pods: [...cluster.pods, ...coming.pods],
    // Of a namespace that is in both, what is about to be applied counts.
    namespaces: [...cluster.namespaces, ...coming.namespaces],
    policies,
    clusterPolicies,
    complete: cluster !== NO_CLUSTER,
  };
  return [
    ...proposed.problems.map(({ policy, text }): Finding => ({ policy, mistake: 'invalid', text })),
    ...checkPolicies(proposed.policies, proposed.clusterPolicies, around),
  ];
}
