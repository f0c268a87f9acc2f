/** The generation of the cluster's policies, as far as the API knows it. */
import type { KubeClient } from '../../edge/kubernetes/client.ts';
import { readKind } from '../../edge/kubernetes/read-kind.ts';
import { digestPolicies } from '../../plan/policy/compile/digest.ts';
import { CLUSTER_POLICY_KIND } from '../kinds/cluster-policy.ts';
import { NETWORK_POLICY_KIND } from '../kinds/network-policy.ts';

/** Of all policies as the API has them now: what an agent that enforces the newest ones reports. */
export async function readPoliciesDigest(client: KubeClient): Promise<string> {
  const [policies, clusterPolicies] = await Promise.all([
    readKind(client, NETWORK_POLICY_KIND),
    readKind(client, CLUSTER_POLICY_KIND),
  ]);
  return digestPolicies([...policies.objects, ...clusterPolicies.objects]);
}
