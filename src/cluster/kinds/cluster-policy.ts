/** A ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2). One with a mistake is kept: what it means is closed. */

import {
  generationOf,
  type Kind,
  type KubeObject,
  readMetadata,
  type Trimmed,
} from '../../edge/kubernetes/object.ts';
import type { ClusterPolicy } from '../../plan/policy/parse/objects.ts';
import { parseClusterPolicy } from '../../plan/policy/parse/parse-cluster-policy.ts';

export type ClusterPolicyObject = KubeObject & { generation: number; policy: ClusterPolicy };

export const CLUSTER_POLICY_KIND: Kind<ClusterPolicyObject> = {
  name: 'clusternetworkpolicy',
  path: '/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies',
  optional: true,
  trim: trimClusterPolicy,
};

export function trimClusterPolicy(value: unknown): Trimmed<ClusterPolicyObject> {
  const read = readMetadata(value);
  if ('problem' in read) return read;
  const { name, uid, resourceVersion, metadata } = read;
  const { policy, problem } = parseClusterPolicy(name, value);
  return {
    object: { name, uid, resourceVersion, generation: generationOf(metadata), policy },
    ...(problem === undefined ? {} : { problem }),
  };
}
