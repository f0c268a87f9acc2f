/** Mistakes that people make in policies: each is valid, and does not do what was meant. */
import { nameOf } from '../clause.ts';
import type { ClusterPolicy, NetworkPolicy, PolicyNamespace, PolicyPod } from '../objects.ts';
import { findDirectionMistakes } from './directions.ts';
import { findPeerMistakes } from './peers.ts';
import { findPortMistakes } from './ports.ts';
import { findSubjectMistakes } from './subject.ts';
import { findTwins } from './twins.ts';

export type Finding = {
  /** `default/web`; a cluster policy has no namespace. */
  policy: string;
  /** Of the mistake, for ignoring it by program: `selects-nothing`. */
  mistake: string;
  /** One sentence with the cure. */
  text: string;
};

/** What the policies are held against; empty lists are a cluster that nobody asked: then less is found. */
export type Surroundings = {
  pods: readonly PolicyPod[];
  namespaces: readonly PolicyNamespace[];
  /** All that will be in force, those that are checked among them. */
  policies: readonly NetworkPolicy[];
};

export function checkPolicies(
  policies: readonly NetworkPolicy[],
  clusterPolicies: readonly ClusterPolicy[],
  around: Surroundings,
): Finding[] {
  return [
    ...policies.flatMap((policy) =>
      [
        ...findSubjectMistakes(policy, around),
        ...findDirectionMistakes(policy, around),
        ...findPeerMistakes(policy, around),
        ...findPortMistakes(policy, around),
      ].map((found) => ({ policy: nameOf(policy), ...found })),
    ),
    ...findTwins(policies, around),
    ...clusterPolicies.flatMap((policy) =>
      findSubjectMistakes(asNetworkPolicies(policy), around).map((found) => ({
        policy: policy.name,
        ...found,
      })),
    ),
  ];
}

/** Its subject alone, for what is asked of both kinds. */
function asNetworkPolicies({
  name,
  staged,
  subject,
}: ClusterPolicy): NetworkPolicy & { namespaces: ClusterPolicy['subject']['namespaces'] } {
  return { name, staged, namespace: '', pods: subject.pods, namespaces: subject.namespaces };
}
