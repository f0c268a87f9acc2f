/** Policies in files: as they would be in the cluster if they were applied. */
import { FairleadError } from '../../base/errors/errors.ts';
import { type Fields, fieldAt, fieldsAt, show, textAt } from '../../base/fields/fields.ts';
import { nameOf } from '../../plan/policy/compile/clause.ts';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';
import type { ClusterPolicy, NetworkPolicy } from '../../plan/policy/parse/objects.ts';
import { parseClusterPolicy } from '../../plan/policy/parse/parse-cluster-policy.ts';
import { parseNetworkPolicy } from '../../plan/policy/parse/parse-network-policy.ts';
import type { Manifest } from './manifests.ts';

/** A policy with the object that it was read from. */
export type Written<P> = { policy: P; written: Fields; valid: boolean };

export type ProposedPolicies = {
  policies: readonly Written<NetworkPolicy>[];
  clusterPolicies: readonly Written<ClusterPolicy>[];
  /** What in them would be refused or read otherwise; the text begins with its place. */
  problems: readonly { policy: string; text: string }[];
};

export const NOTHING_PROPOSED: ProposedPolicies = { policies: [], clusterPolicies: [], problems: [] };

const VERSIONS = {
  NetworkPolicy: 'networking.k8s.io/v1',
  ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
} as const;
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Objects of other kinds are left alone. @throws FairleadError where there is no policy, or one without a name. */
export function readProposed(manifests: readonly Manifest[]): ProposedPolicies {
  const policies: Written<NetworkPolicy>[] = [];
  const clusterPolicies: Written<ClusterPolicy>[] = [];
  const problems: ProposedPolicies['problems'][number][] = [];
  for (const { at, value: written } of manifests) {
    const kind = textAt(written, 'kind');
    if (kind !== 'NetworkPolicy' && kind !== 'ClusterNetworkPolicy') continue;
    const metadata = fieldsAt(written, 'metadata');
    const name = nameAt(metadata, 'name', at);
    const namespace =
      fieldAt(metadata, 'namespace') === undefined ? 'default' : nameAt(metadata, 'namespace', at);
    const shown = kind === 'NetworkPolicy' ? `${namespace}/${name}` : name;
    const version = textAt(written, 'apiVersion');
    if (version !== VERSIONS[kind]) {
      const text = `${at}: apiVersion: ${show(version)} of ${kind} is not read here; write ${VERSIONS[kind]}`;
      problems.push({ policy: shown, text });
      continue;
    }
    const note = (problem: string | undefined) => {
      if (problem !== undefined)
        problems.push({ policy: shown, text: `${at}: ${kind.toLowerCase()} ${shown}: ${problem}` });
    };
    if (kind === 'NetworkPolicy') {
      const { policy, problem } = parseNetworkPolicy(namespace, name, written);
      policies.push({ policy, written, valid: problem === undefined });
      note(problem);
    } else {
      const { policy, problem } = parseClusterPolicy(name, written);
      clusterPolicies.push({ policy, written, valid: problem === undefined });
      note(problem);
    }
  }
  if (policies.length + clusterPolicies.length + problems.length === 0)
    throw usage(
      `${manifests[0]?.at ?? 'the files'}: there is no NetworkPolicy and no ClusterNetworkPolicy; name files that have some`,
    );
  return { policies, clusterPolicies, problems };
}

function nameAt(metadata: Fields, field: 'name' | 'namespace', at: string): string {
  const value = textAt(metadata, field) ?? '';
  if (NAME.test(value)) return value;
  throw usage(
    `${at}: metadata.${field}: ${show(fieldAt(metadata, field))} is not a name; give the policy one, as default-deny`,
  );
}

/**
 * The cluster with the proposed policies in place of those of the same names; of several with one name the last.
 * @param without names of policies that are gone: `default/web`, or of a cluster policy `web`.
 */
export function withProposed(
  input: PolicyInput,
  { policies, clusterPolicies }: ProposedPolicies,
  without: readonly string[] = [],
): PolicyInput {
  return {
    ...input,
    policies: replace(input.policies, policies, nameOf, without),
    clusterPolicies: replace(input.clusterPolicies, clusterPolicies, ({ name }) => name, without),
  };
}

function replace<P>(
  known: readonly P[],
  proposed: readonly Written<P>[],
  keyOf: (policy: P) => string,
  without: readonly string[],
): P[] {
  const byName = new Map(known.map((policy) => [keyOf(policy), policy]));
  for (const name of without) byName.delete(name);
  for (const { policy } of proposed) byName.set(keyOf(policy), policy);
  return [...byName.values()];
}

function usage(message: string): FairleadError {
  return new FairleadError('FL_USAGE', message);
}
