/** Pods, namespaces, nodes and policies of a cluster as they are at one moment, for commands. */

import { CLUSTER_POLICY_KIND } from '../../cluster/kinds/cluster-policy.ts';
import { NAMESPACE_KIND } from '../../cluster/kinds/namespace.ts';
import { NETWORK_POLICY_KIND } from '../../cluster/kinds/network-policy.ts';
import { NODE_KIND } from '../../cluster/kinds/node.ts';
import { POD_KIND } from '../../cluster/kinds/pod.ts';
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { readKind } from '../../edge/kubernetes/read-kind.ts';
import type { PolicyInput } from '../../plan/policy/compile/compile.ts';
import { digestPolicies } from '../../plan/policy/compile/digest.ts';

export type PolicyView = { input: PolicyInput; problems: readonly string[] };

/** @throws ApiError where the API does not give them. */
export async function readPolicyView(client: KubeClient): Promise<PolicyView> {
  const [pods, namespaces, policies, clusterPolicies, nodes] = await Promise.all([
    readKind(client, POD_KIND),
    readKind(client, NAMESPACE_KIND),
    readKind(client, NETWORK_POLICY_KIND),
    readKind(client, CLUSTER_POLICY_KIND),
    readKind(client, NODE_KIND),
  ]);
  return {
    input: {
      pods: pods.objects,
      namespaces: namespaces.objects,
      policies: policies.objects.map(({ policy }) => policy),
      clusterPolicies: clusterPolicies.objects.map(({ policy }) => policy),
      nodes: nodes.objects,
    },
    problems: [pods, namespaces, policies, clusterPolicies].flatMap(({ problems }) => problems),
  };
}

/** Of all policies as the API has them now: what an agent that enforces the newest ones reports. */
export async function readPoliciesDigest(client: KubeClient): Promise<string> {
  const [policies, clusterPolicies] = await Promise.all([
    readKind(client, NETWORK_POLICY_KIND),
    readKind(client, CLUSTER_POLICY_KIND),
  ]);
  return digestPolicies([...policies.objects, ...clusterPolicies.objects]);
}
