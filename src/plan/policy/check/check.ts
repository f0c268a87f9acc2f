/** Mistakes that people make in policies: each is valid, and does not do what was meant. */
import type { Fields } from '../../../base/fields/fields.ts';
import { nameOf } from '../compile/clause.ts';
import type {
  ClusterPolicy,
  NetworkPolicy,
  PolicyNamespace,
  PolicyPod,
  PolicyRule,
  Selector,
} from '../parse/objects.ts';
import { findDirectionMistakes } from './directions.ts';
import { findOrderMistakes } from './order.ts';
import { findPeerMistakes } from './peers.ts';
import { findPortMistakes } from './ports.ts';
import { findSubjectMistakes } from './subject.ts';
import { findTwins } from './twins.ts';
import { findWritingMistakes } from './writing.ts';

/** Of programs that leave some out: they stay. docs/policy.md says of each what it is. */
export const MISTAKES = [
  'invalid',
  'unknown-field',
  'empty-list',
  'staging',
  'selects-nothing',
  'host-network',
  'ignored-rules',
  'closed-direction',
  'no-dns',
  'open-rule',
  'peer-selects-nothing',
  'separate-items',
  'pod-address',
  'port-name',
  'port-protocol',
  'twins',
  'same-name',
  'same-priority',
  'shadowed',
] as const;
export type MistakeId = (typeof MISTAKES)[number];

/** `text`: one sentence with the cure. */
export type Mistake = { mistake: MistakeId; text: string };
/** `policy`: `default/web`; a cluster policy has no namespace. */
export type Finding = { policy: string } & Mistake;

/** Either kind, as far as both say the same. */
export type Checked = {
  /** Absent for a cluster policy. */
  namespace?: string;
  /** Without namespaces: of the policy's own. */
  subject: { namespaces?: Selector; pods: Selector };
  ingress?: readonly PolicyRule[];
  egress?: readonly PolicyRule[];
};

/** What the policies are held against. */
export type Surroundings = {
  pods: readonly PolicyPod[];
  namespaces: readonly PolicyNamespace[];
  /** All that will be in force, those that are checked among them. */
  policies: readonly NetworkPolicy[];
  clusterPolicies: readonly ClusterPolicy[];
  /** Whether there are no other pods and namespaces: a cluster was asked. */
  complete: boolean;
};

/** One that is not valid is closed, whatever else it says. */
export type ToCheck<P> = { policy: P; written: Fields; valid: boolean };

export function checkPolicies(
  policies: readonly ToCheck<NetworkPolicy>[],
  clusterPolicies: readonly ToCheck<ClusterPolicy>[],
  around: Surroundings,
): Finding[] {
  const valid = policies.filter((one) => one.valid).map(({ policy }) => policy);
  return [
    ...findSameNames(policies.map(({ policy }) => nameOf(policy))),
    ...policies.flatMap((one) => findIn(nameOf(one.policy), one, networkMistakes, around)),
    ...findTwins(valid, around),
    ...findSameNames(clusterPolicies.map(({ policy }) => policy.name)),
    ...clusterPolicies.flatMap((one) => findIn(one.policy.name, one, clusterMistakes, around)),
  ];
}

type Finder<P> = (one: ToCheck<P>, around: Surroundings) => Mistake[];

function findIn<P extends NetworkPolicy | ClusterPolicy>(
  name: string,
  one: ToCheck<P>,
  find: Finder<P>,
  around: Surroundings,
): Finding[] {
  const writing = findWritingMistakes(one.written, 'namespace' in one.policy);
  return [...writing, ...(one.valid ? find(one, around) : [])].map((found) => ({ policy: name, ...found }));
}

function networkMistakes({ policy, written }: ToCheck<NetworkPolicy>, around: Surroundings): Mistake[] {
  return [
    ...sharedMistakes({ ...policy, subject: { pods: policy.pods } }, around),
    ...findDirectionMistakes(policy, written, around),
  ];
}

function clusterMistakes({ policy }: ToCheck<ClusterPolicy>, around: Surroundings): Mistake[] {
  return [...sharedMistakes(policy, around), ...findOrderMistakes(policy, around)];
}

function sharedMistakes(policy: Checked, around: Surroundings): Mistake[] {
  return [
    ...findSubjectMistakes(policy, around),
    ...findPeerMistakes(policy, around),
    ...findPortMistakes(policy, around),
  ];
}

function findSameNames(names: readonly string[]): Finding[] {
  return [...new Set(names)]
    .filter((name) => names.indexOf(name) !== names.lastIndexOf(name))
    .map((policy) => ({
      policy,
      mistake: 'same-name',
      text: 'is there several times, of which the last takes the place of the others; give each its own name',
    }));
}
