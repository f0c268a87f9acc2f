/** Policies in files: as they would be in the cluster if they were applied. */
import { FairleadError } from '../errors/errors.ts';
import { fieldsAt, textAt } from '../kube/kinds/fields.ts';
import type { Manifest } from '../kube/manifests.ts';
import { nameOf } from '../policy/clause.ts';
import type { PolicyInput } from '../policy/compile.ts';
import { parseClusterPolicy } from '../policy/parse-cluster-policy.ts';
import { parseNetworkPolicy } from '../policy/parse-network-policy.ts';

/** `problems`: what in them would be refused or read otherwise, with its place. */
export type ProposedPolicies = Pick<PolicyInput, 'policies' | 'clusterPolicies'> & {
  problems: readonly { at: string; policy: string; text: string }[];
};

/** Objects of other kinds are left alone. @throws FairleadError where there is no policy, or one without a name. */
export function readProposed(manifests: readonly Manifest[]): ProposedPolicies {
  const policies: PolicyInput['policies'][number][] = [];
  const clusterPolicies: PolicyInput['clusterPolicies'][number][] = [];
  const problems: ProposedPolicies['problems'][number][] = [];
  for (const { at, value } of manifests) {
    const kind = textAt(value, 'kind');
    if (kind !== 'NetworkPolicy' && kind !== 'ClusterNetworkPolicy') continue;
    const metadata = fieldsAt(value, 'metadata');
    const name = textAt(metadata, 'name') ?? '';
    if (name === '')
      throw new FairleadError('FL_USAGE', `${at}: has no metadata.name; give the policy a name`);
    const namespace = textAt(metadata, 'namespace') ?? 'default';
    const isCluster = kind === 'ClusterNetworkPolicy';
    const parsed = isCluster ? parseClusterPolicy(name, value) : parseNetworkPolicy(namespace, name, value);
    if (parsed.problem !== undefined)
      problems.push({ at, policy: isCluster ? name : `${namespace}/${name}`, text: parsed.problem });
    if ('namespace' in parsed.policy) policies.push(parsed.policy);
    else clusterPolicies.push(parsed.policy);
  }
  if (policies.length + clusterPolicies.length === 0)
    throw new FairleadError(
      'FL_USAGE',
      `${manifests[0]?.at ?? 'the files'}: there is no NetworkPolicy and no ClusterNetworkPolicy; name files that have some`,
    );
  return { policies, clusterPolicies, problems };
}

/**
 * The cluster with the proposed policies in place of those of the same names.
 * @param without names of policies that are gone: `default/web`, or of a cluster policy `web`.
 */
export function withProposed(
  input: PolicyInput,
  proposed: Pick<PolicyInput, 'policies' | 'clusterPolicies'>,
  without: readonly string[] = [],
): PolicyInput {
  const gone = new Set([...without, ...proposed.policies.map(nameOf)]);
  const clusterGone = new Set([...without, ...proposed.clusterPolicies.map(({ name }) => name)]);
  return {
    ...input,
    policies: [...input.policies.filter((policy) => !gone.has(nameOf(policy))), ...proposed.policies],
    clusterPolicies: [
      ...input.clusterPolicies.filter(({ name }) => !clusterGone.has(name)),
      ...proposed.clusterPolicies,
    ],
  };
}
